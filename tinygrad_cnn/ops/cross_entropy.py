"""Cross-entropy, fused, and the loss on log-probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.graph import GraphError, mode
from tinygrad_cnn.kernels.reduce.softmax import softmax_rows
from tinygrad_cnn.op import Op, TensorBase
from tinygrad_cnn.ops.arguments import Reduction, as_dtype_of, check_reduction, shape_of, values_of
from tinygrad_cnn.ops.elementwise import div
from tinygrad_cnn.ops.index import getitem
from tinygrad_cnn.ops.piecewise import where
from tinygrad_cnn.ops.precision import in_single_precision
from tinygrad_cnn.ops.reduce import sum as sum_over
from tinygrad_cnn.ops.shape import permute, reshape
from tinygrad_cnn.ops.softmax import log_softmax
from tinygrad_cnn.types import Array, Operand

__all__ = ["cross_entropy", "nll_loss"]


class CrossEntropy(Op):
    """Cross-entropy of logits (M, C) with classes (M,); aux: probabilities, divisor, who counts.

    With p = softmax(x), class weights w, smoothing ε and target class t, an example costs
    ``−(1 − ε)·w_t·ln p_t − ε/C·Σ_c w_c·ln p_c``, 0 where t is ignored; 'mean' divides the sum by
    the weights of the targets.
    """

    __slots__ = ("ignore_index", "label_smoothing", "reduction")
    widens = True
    saves = ("logits", "target", "weight")
    has_aux = True
    optional = True

    def __init__(self, ignore_index: int, label_smoothing: float, reduction: Reduction) -> None:
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.reduction = reduction

    def forward(self, logits: Any, target: Any, weight: Any) -> Any:
        M, C = logits.shape
        weight = None if weight is None else weight.astype(logits.dtype, copy=False)
        p, greatest, logarithm = softmax_rows(logits)
        kept = self._kept(target)
        t = self._class(target, kept)
        w = None if weight is None else weight[t]
        loss = logarithm - (logits[np.arange(M), t] - greatest)
        if w is not None:
            loss = loss * w
        if self.label_smoothing:
            log_p = logits - greatest[:, None] - logarithm[:, None]
            even = -(log_p if weight is None else log_p * weight).sum(axis=1) / C
            loss = (1 - self.label_smoothing) * loss + self.label_smoothing * even
        if kept is not None:
            loss = np.where(kept, loss, 0.0)
        if self.reduction == "none":
            return loss, (p, None, kept)
        divisor = None
        if self.reduction == "mean":
            divisor = self._divisor(M, kept, w, logits.dtype)
            if divisor == 0:  # nothing but ignored targets: 0 / 0
                return logits.dtype.type(np.nan), (p, divisor, kept)
            return np.add.reduce(loss) / divisor, (p, divisor, kept)
        return np.add.reduce(loss), (p, divisor, kept)

    def _kept(self, target: Any) -> Any:
        """Return which examples count, None for all."""
        kept = target != self.ignore_index
        return None if np.logical_and.reduce(kept) else kept

    def _class(self, target: Any, kept: Any) -> Any:
        """Return the targets with a legal class in place of ignored ones."""
        return target if kept is None else np.where(kept, target, 0)

    def _divisor(self, M: int, kept: Any, w: Any, dtype: Any) -> Any:
        if w is None:
            return dtype.type(M if kept is None else np.count_nonzero(kept))
        return w.sum() if kept is None else w[kept].sum()

    def backward(
        self, g: Any, out: Any, logits: Any, target: Any, weight: Any, *, aux: Any
    ) -> tuple[Any, ...]:
        p, divisor, kept = aux
        M, C = p.shape
        t = self._class(target, kept)
        smoothing = self.label_smoothing
        if divisor is not None:
            if divisor:
                g = g / divisor
            else:  # nothing but ignored targets
                with np.errstate(invalid="ignore", divide="ignore"):
                    g = g / divisor
        if kept is None and weight is None and not smoothing and g.ndim == 0:
            gx = p * g.astype(p.dtype, copy=False)
            gx[np.arange(M), t] -= g
            return gx, None, None
        w = None if weight is None else weight[t]
        scale = np.broadcast_to(g, (M,))
        if kept is not None:
            scale = np.where(kept, scale, 0.0)
        hard = scale * (1 - smoothing) if w is None else scale * (1 - smoothing) * w
        row = hard if not smoothing else hard + scale * smoothing * self._even(weight, C)
        gx = p * row[:, None].astype(p.dtype, copy=False)
        gx[np.arange(M), t] -= hard
        if smoothing:
            gx -= scale[:, None] * (smoothing / C) * (1.0 if weight is None else weight)
        return gx, None, None

    def _even(self, weight: Any, C: int) -> Any:
        return 1.0 if weight is None else weight.sum() / C

    def reference(self, logits: Any, target: Any, weight: Any) -> Any:
        """Compute the same in plain operations."""
        M, C = logits.shape
        log_p = log_softmax(logits, 1)
        kept = self._kept(target)
        t = self._class(target, kept)
        w = None if weight is None else weight[t]
        loss = -getitem(log_p, (np.arange(M), t))
        if w is not None:
            loss = loss * w
        if self.label_smoothing:
            even = -sum_over(log_p if weight is None else log_p * weight, 1) / C
            loss = loss * (1 - self.label_smoothing) + even * self.label_smoothing
        if kept is not None:
            loss = where(kept, loss, 0.0)
        if self.reduction == "none":
            return loss
        total = sum_over(loss)
        if self.reduction == "sum":
            return total
        return total / self._divisor(M, kept, w, logits.dtype)


@in_single_precision
def cross_entropy(
    input: Operand,
    target: Any,
    weight: Operand | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Measure how far logits are from classes or from probabilities: ``−ln softmax(input)_target``.

    Parameters
    ----------
    input
        Logits (N, C) or (N, C, d1, …), or (C,) for one example.
    target
        Class numbers of shape (N,) or (N, d1, …), or probabilities of the shape of input.
    weight
        (C,): how much each class counts.
    ignore_index
        A class number that does not count.
    reduction
        'mean' (over the weights of the targets; over N for probabilities), 'sum' or 'none'.
    label_smoothing
        The share ε of the target that is spread evenly over the classes, in [0, 1].

    Returns
    -------
    A number, or for 'none' the shape of the class numbers.

    Raises
    ------
    ValueError
        If shapes do not fit or a class does not exist.
    GraphError
        If `weight` wants a gradient, and targets are class numbers.

    Source: Szegedy et al., "Rethinking the Inception Architecture" (2016), section 7, for the
    smoothing.

    >>> cross_entropy(np.array([[1000.0, 0.0]]), np.array([1]))
    array(1000.)
    """
    name = "cross_entropy"
    check_reduction(name, reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"{name}: label_smoothing expects 0 to 1, got {label_smoothing}")
    shape = shape_of(name, input)
    if not shape:
        raise ValueError(f"{name}: expects logits (N, C), (N, C, …) or (C,), got a number")
    C = shape[0 if len(shape) == 1 else 1]
    if weight is not None and tuple(weight.shape) != (C,):
        raise ValueError(f"{name}: weight expects shape ({C},), got {tuple(weight.shape)}")
    if not isinstance(target, (np.ndarray, TensorBase)):
        target = np.asarray(target)
    if target.dtype.kind == "f":
        target = as_dtype_of(target, input)
        weight = None if weight is None else as_dtype_of(weight, input)
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    check_class_weight(name, weight)
    classes = class_numbers(name, input, target, ignore_index)
    op = CrossEntropy(ignore_index, label_smoothing, reduction)
    rows = _rows(input)
    # Nobody else holds this copy: a tensor's bytes need not be watched, as an array's would be.
    own = rows._wrap(classes, None) if isinstance(rows, TensorBase) else classes
    loss = op(rows, own, weight)
    return reshape(loss, target.shape) if reduction == "none" else loss


def check_class_weight(name: str, weight: Any) -> None:
    """Raise if a gradient is wanted of how much classes count: none would arrive."""
    if isinstance(weight, TensorBase) and weight._requires_grad and mode.recording:
        raise GraphError(
            f"{name}: weight has no derivative where targets are class numbers: give its detach(), "
            "or for a derivative of it probabilities as targets"
        )


def _soft_cross_entropy(
    input: Operand, target: Any, weight: Any, reduction: Reduction, smoothing: float
) -> Any:
    """Cross-entropy with probabilities as targets."""
    if tuple(target.shape) != tuple(input.shape):
        if tuple(target.shape) == tuple(input.shape[:1] + input.shape[2:]):
            raise TypeError(
                f"cross_entropy: classes are integers, got {target.dtype} of shape "
                f"{tuple(target.shape)}: give target.astype(int)"
            )
        raise ValueError(
            f"cross_entropy: probabilities expect the logits' shape {tuple(input.shape)}, "
            f"got {tuple(target.shape)}"
        )
    dim = 0 if input.ndim == 1 else 1
    C = input.shape[dim]
    goal = target if not smoothing else target * (1 - smoothing) + smoothing / C
    log_p = log_softmax(input, dim)
    if weight is not None:
        log_p = log_p * reshape(weight, (C,) + (1,) * (input.ndim - 1 - dim))
    # A target of 0 takes nothing, also where ln p is −∞.
    loss = -sum_over(where(values_of(goal) == 0, 0.0, log_p) * goal, dim)
    if reduction == "none":
        return loss
    total = sum_over(loss)
    count = int(np.prod(loss.shape))
    return div(total, max(count, 1)) if reduction == "mean" else total


@in_single_precision
def nll_loss(
    input: Operand,
    target: Operand,
    weight: Operand | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Any:
    """Pick the negative log-probability of each target: ``−weight[t] · input[t]``.

    Parameters
    ----------
    input
        Log-probabilities (N, C) or (N, C, d1, …), or (C,) for one example.
    target, weight, ignore_index, reduction
        As for `cross_entropy` with class numbers.

    Returns
    -------
    A number, or for 'none' the shape of target.

    >>> nll_loss(np.array([[-1.0, -2.0]]), np.array([1]))
    array(2.)
    """
    check_reduction("nll_loss", reduction)
    check_class_weight("nll_loss", weight)
    classes = class_numbers("nll_loss", input, target, ignore_index)
    rows = _rows(input)
    kept = classes != ignore_index
    t = np.where(kept, classes, 0)
    w = np.ones(len(t), input.dtype) if weight is None else values_of(weight)[t]
    w = np.where(kept, w, 0.0).astype(input.dtype)
    picked = getitem(rows, (np.arange(len(t)), t))
    loss = -where(kept, picked, 0.0) * w
    if reduction == "none":
        return reshape(loss, target.shape)
    total = sum_over(loss)
    with np.errstate(invalid="ignore"):
        return div(total, w.sum()) if reduction == "mean" else total


def _rows(input: Operand) -> Any:
    """Return logits as (M, C): one row an example."""
    if input.ndim == 1:
        return reshape(input, 1, -1)
    if input.ndim == 2:
        return input
    return reshape(permute(input, 0, *range(2, input.ndim), 1), -1, input.shape[1])  # (N·d1…, C)


def class_numbers(function: str, input: Operand, target: Any, ignore_index: int | None) -> Array:
    """Check class numbers against the logits and return them as one row, a copy."""
    classes: Array = values_of(target)
    shape = shape_of(function, input)
    expected = shape[:1] + shape[2:] if len(shape) > 1 else ()
    C = shape[0 if len(shape) == 1 else 1]
    if classes.dtype.kind not in "iu":
        raise TypeError(
            f"{function}: expects integer class numbers, got {classes.dtype}: give "
            "target.astype(int)"
        )
    if classes.shape != expected:
        raise ValueError(
            f"{function}: target expects shape {expected} for input of shape {shape}, "
            f"got {classes.shape}"
        )
    flat = classes.reshape(-1).astype(np.int64)
    # Negative numbers look huge without their sign: one reduction instead of five operations.
    if flat.size and np.maximum.reduce(flat.view(np.uint64)) >= C:
        wrong = flat[((flat < 0) | (flat >= C)) & (flat != ignore_index)]
        if wrong.size:
            raise ValueError(f"{function}: target expects classes 0 to {C - 1}, got {wrong[0]}")
    return flat
