"""Connectionist temporal classification: sequences of labels without their places in time."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import Reduction, check_reduction, values_of
from tinygrad_cnn.ops.elementwise import add, div, neg
from tinygrad_cnn.ops.index import getitem
from tinygrad_cnn.ops.join import cat, stack
from tinygrad_cnn.ops.loss import reduce_loss
from tinygrad_cnn.ops.piecewise import where
from tinygrad_cnn.ops.precision import in_single_precision
from tinygrad_cnn.ops.reduce import logsumexp
from tinygrad_cnn.ops.shape import reshape, unsqueeze
from tinygrad_cnn.types import Array, Operand

__all__ = ["ctc_loss"]


class Ctc(Op):
    """Log-likelihood (N,) of label sequences under log-probabilities (T, N, C).

    The rule is the forward and backward variables' (Graves, equation 16); second derivatives are
    those of the forward recursion in operations. The aux are the forward variables.
    """

    __slots__ = ("blank", "counts", "labels", "times")
    saves = ("p", "out")
    has_aux = True
    infinite = True  # where no path leads to the labels

    def __init__(self, labels: Array, times: Array, counts: Array, blank: int) -> None:
        self.labels = labels
        self.times = times
        self.counts = counts
        self.blank = blank

    def forward(self, p: Any) -> Any:
        states = _states(self.labels, self.blank)
        emitted = _emitted(p, states)  # (T, N, 2S + 1)
        alphas = _alphas(emitted, _skips(self.labels), self.times)
        ends = _ends(self.counts, states.shape[1])
        last = alphas[-1] if len(alphas) else _start(states.shape, p.dtype)
        out = np.logaddexp.reduce(np.where(ends, last, -np.inf), axis=1)
        return out.astype(p.dtype, copy=False), alphas

    def backward(self, g: Any, out: Any, p: Any, *, aux: Any) -> tuple[Any, ...]:
        states = _states(self.labels, self.blank)
        ends = _ends(self.counts, states.shape[1])
        betas = _betas(_emitted(p, states), _skips(self.labels), self.times, ends)
        with np.errstate(invalid="ignore"):  # where there is no path at all
            share = np.exp(aux + betas - out[:, None])  # of the paths through a state at a time
        share[:, ~np.isfinite(out)] = 0.0
        share *= g[:, None]
        one_hot = (states[:, :, None] == np.arange(p.shape[2])).astype(p.dtype)  # (N, 2S + 1, C)
        return (np.matmul(share.transpose(1, 0, 2), one_hot).transpose(1, 0, 2),)

    def reference(self, p: Any) -> Any:
        """Compute the forward recursion in operations."""
        return _likelihood(p, self.labels, self.times, self.counts, self.blank)


@in_single_precision
def ctc_loss(
    log_probs: Operand,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: Reduction = "mean",
    zero_infinity: bool = False,
) -> Any:
    """Negative log-likelihood of label sequences, summed over all their alignments in time.

    Parameters
    ----------
    log_probs
        Logarithms of probabilities (T, N, C), as of `log_softmax`, or (T, C) for one sequence.
    targets
        Labels (N, S), filled up at the end, or one after the other (the sum of target_lengths,).
    input_lengths, target_lengths
        N numbers: how much of each sequence counts.
    blank
        The class between labels, itself no label.
    reduction
        'mean' (each loss over its target's length first), 'sum' or 'none'.
    zero_infinity
        Whether a target that is too long for its input costs 0 rather than ∞; its gradient is 0.

    Raises
    ------
    ValueError
        If shapes or lengths do not fit, or a label is not a class or the blank.

    Notes
    -----
    The gradient is that of the function. PyTorch's adds ``exp(log_probs)`` times a factor to it,
    which makes no difference to what is before a `log_softmax`.

    Source: Graves et al., "Connectionist temporal classification" (2006), equations 5 to 8.

    >>> uniform = np.full((2, 1, 2), np.log(0.5))
    >>> ctc_loss(uniform, np.array([[1]]), [2], [1]).round(4)  # three of the four paths
    np.float64(0.2877)
    """
    check_reduction("ctc_loss", reduction)
    if log_probs.ndim not in (2, 3):
        raise ValueError(f"ctc_loss: expects (T, N, C) or (T, C), got {tuple(log_probs.shape)}")
    p = log_probs if log_probs.ndim == 3 else unsqueeze(log_probs, 1)
    T, N, C = p.shape
    times = _lengths("input_lengths", input_lengths, N, T)
    counts = _lengths("target_lengths", target_lengths, N, None)
    labels = _labels(values_of(targets), counts, blank, C, log_probs.ndim == 2)
    loss = neg(Ctc(labels, times, counts, blank)(p))
    if zero_infinity:
        loss = where(values_of(loss) == np.inf, 0.0, loss)
    if reduction == "mean":
        loss = div(loss, np.maximum(counts, 1).astype(loss.dtype))
    if reduction == "none" and log_probs.ndim == 2:
        return reshape(loss, ())
    return reduce_loss(loss, reduction)


def _lengths(what: str, lengths: Any, N: int, longest: int | None) -> Array:
    found = np.atleast_1d(np.asarray(values_of(lengths)))
    if found.shape != (N,) or found.dtype.kind not in "iu":
        raise ValueError(f"ctc_loss: {what} expects {N} integers, got {lengths!r}")
    if found.size and (found.min() < 0 or (longest is not None and found.max() > longest)):
        most = "" if longest is None else f" to {longest}"
        raise ValueError(f"ctc_loss: {what} expects numbers from 0{most}, got {found.tolist()}")
    return found


def _labels(targets: Array, counts: Array, blank: int, C: int, single: bool) -> Array:
    """Return labels (N, S), the blank where a sequence has ended."""
    N, S = len(counts), int(counts.max(initial=0))
    if targets.dtype.kind not in "iu":
        raise TypeError(f"ctc_loss: targets expects integers, got {targets.dtype}")
    if not 0 <= blank < C:
        raise ValueError(f"ctc_loss: blank expects a class 0 to {C - 1}, got {blank}")
    within = np.arange(S) < counts[:, None]  # (N, S)
    labels = np.full((N, S), blank, np.int64)
    if targets.ndim == 2 and targets.shape[0] == N and targets.shape[1] >= S:
        labels[within] = targets[:, :S][within]
    elif targets.ndim == 1 and (len(targets) == counts.sum() or (single and len(targets) >= S)):
        labels[within] = targets[: counts.sum()]
    else:
        raise ValueError(
            f"ctc_loss: targets expects ({N}, {S} or more) or ({counts.sum()},), got "
            f"{targets.shape}"
        )
    wrong = within & ((labels < 0) | (labels >= C) | (labels == blank))
    if wrong.any():
        raise ValueError(
            f"ctc_loss: targets expects classes 0 to {C - 1} other than the blank {blank}, got "
            f"{labels[wrong][0]}"
        )
    return labels


def _states(labels: Array, blank: int) -> Array:
    """Return the classes of the states (N, 2S + 1): blanks between and around the labels."""
    N, S = labels.shape
    states = np.full((N, 2 * S + 1), blank, np.int64)
    states[:, 1::2] = labels
    return states


def _skips(labels: Array) -> Array:
    """Tell before which states (N, 2S + 1) a blank may be left out: between two other labels."""
    N, S = labels.shape
    skips = np.zeros((N, 2 * S + 1), bool)
    skips[:, 3::2] = labels[:, 1:] != labels[:, :-1]
    return skips


def _ends(counts: Array, states: int) -> Array:
    """Tell with which states a sequence may end: the last blank, the last label."""
    places = np.arange(states) - 2 * counts[:, None]
    return np.asarray((places == 0) | ((places == -1) & (counts > 0)[:, None]))


def _emitted(p: Any, states: Array) -> Any:
    """Return the log-probability of each state's class: (T, N, 2S + 1)."""
    T, N, _ = p.shape
    return getitem(p, (np.arange(T)[:, None, None], np.arange(N)[:, None], states))


def _start(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return α before the first step: as if the state before the first blank had been passed."""
    alpha = np.full(shape, -np.inf, dtype)
    alpha[:, 0] = 0.0
    return alpha


class _Step:
    """One step in time: sums, of logarithms, over staying, going on by a state, and by two.

    16 sequences of 20 labels: 13 µs, where two calls of logaddexp take 24.
    """

    def __init__(self, skips: Array, dtype: Any) -> None:
        self.ways = np.full((3, *skips.shape), -np.inf, dtype)
        self.terms = np.empty_like(self.ways)
        self.open = np.where(skips[:, 2:], 0.0, -np.inf).astype(dtype)
        self.lowest = np.finfo(dtype).min

    def __call__(self, alpha: Array) -> Array:
        """Return the logarithms for the next time, of (N, states)."""
        ways, terms = self.ways, self.terms
        ways[0] = alpha
        ways[1, :, 1:] = alpha[:, :-1]
        np.add(alpha[:, :-2], self.open, out=ways[2, :, 2:])
        most = np.maximum.reduce(ways)
        np.maximum(most, self.lowest, out=most)  # −∞ less −∞ is no number
        np.exp(np.subtract(ways, most, out=terms), out=terms)
        total = np.add.reduce(terms)
        return np.asarray(np.add(np.log(total, out=total), most, out=total))


def _alphas(emitted: Array, skips: Array, times: Array) -> Array:
    """Return the forward variables: log-likelihoods of all that leads to a state at a time."""
    alphas = np.empty_like(emitted)
    step = _Step(skips, emitted.dtype)
    alpha = _start(skips.shape, emitted.dtype)
    with np.errstate(divide="ignore", over="ignore"):
        for t, now in enumerate(emitted):
            if t == 0:
                moved = np.where(np.arange(alpha.shape[1]) < 2, 0.0, -np.inf).astype(alpha.dtype)
            else:
                moved = step(alpha)
            alphas[t] = alpha = np.where((t < times)[:, None], moved + now, alpha)
    return alphas


def _betas(emitted: Array, skips: Array, times: Array, ends: Array) -> Array:
    """Return the backward variables: log-likelihoods of all that follows a state at a time."""
    betas = np.full_like(emitted, -np.inf)  # after a sequence's time nothing counts
    last = np.where(ends, 0.0, -np.inf).astype(emitted.dtype)
    beta = np.full_like(last, -np.inf)
    back = np.zeros_like(skips)  # the states in the other order: which two are gone on by
    back[:, 2:] = skips[:, :1:-1]
    step = _Step(back, emitted.dtype)
    with np.errstate(divide="ignore", over="ignore"):
        for t in range(len(emitted) - 1, -1, -1):
            if t + 1 < len(emitted):
                beta = step((beta + emitted[t + 1])[:, ::-1])[:, ::-1]
            beta = np.where(np.equal(t, times - 1)[:, None], last, beta)
            betas[t] = np.where((t < times)[:, None], beta, -np.inf)
    return betas


def _likelihood(p: Any, labels: Array, times: Array, counts: Array, blank: int) -> Any:
    """Return the log-likelihood of each sequence: the forward variables α, step by step."""
    T, N, _ = p.shape
    states, skips = _states(labels, blank), _skips(labels)
    rows = np.arange(N)[:, None]
    emitted = _emitted(p, states)  # (T, N, 2S + 1)
    never = np.full((N, 2), -np.inf, values_of(p).dtype)
    alpha: Any = _start(states.shape, never.dtype)
    begins = np.arange(states.shape[1]) < 2
    for t in range(T):
        if t == 0:
            moved: Any = where(begins, 0.0, alpha)
        else:
            padded = cat([never, alpha], 1)  # (N, 2S + 3)
            skipping = where(skips, getitem(padded, (slice(None), slice(0, -2))), -np.inf)
            before = getitem(padded, (slice(None), slice(1, -1)))
            moved = logsumexp(stack([alpha, before, skipping]), 0)
        alpha = where((t < times)[:, None], add(moved, emitted[t]), alpha)
    ends = np.stack(
        [2 * counts, np.maximum(2 * counts - 1, 0)], 1
    )  # the last blank, the last label
    last = getitem(alpha, (rows, ends))
    return logsumexp(where([[True, False]] | (counts > 0)[:, None], last, -np.inf), 1)
