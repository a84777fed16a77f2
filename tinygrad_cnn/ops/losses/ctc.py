"""Connectionist temporal classification: sequences of labels without their places in time."""

from __future__ import annotations

from typing import Any

import numpy as np

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

    The forward recursion, in operations that record: of every order, and no faster than they are.

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
    loss = neg(_likelihood(p, labels, times, counts, blank))
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


def _likelihood(p: Any, labels: Array, times: Array, counts: Array, blank: int) -> Any:
    """Return the log-likelihood of each sequence: the forward variables α, step by step."""
    T, N, _ = p.shape
    S = labels.shape[1]
    states = np.full((N, 2 * S + 1), blank, np.int64)  # blanks between and around the labels
    states[:, 1::2] = labels
    skips = np.zeros(states.shape, bool)  # a blank between two other labels may be left out
    skips[:, 3::2] = labels[:, 1:] != labels[:, :-1]
    rows = np.arange(N)[:, None]
    emitted = getitem(p, (np.arange(T)[:, None, None], rows, states))  # (T, N, 2S + 1)
    never = np.full((N, 2), -np.inf, values_of(p).dtype)

    # Before the first step: as if the state before the first blank had been passed.
    alpha = np.full(states.shape, -np.inf, never.dtype)
    alpha[:, 0] = 0.0
    begins = np.arange(2 * S + 1) < 2
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
