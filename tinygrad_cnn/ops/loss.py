"""Losses as compositions of other operations; cross-entropy stands in a file of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.ops.activation import softplus
from tinygrad_cnn.ops.cross_entropy import (
    Operand,
    Reduction,
    check_reduction,
    constant,
    values_of,
)
from tinygrad_cnn.ops.elementwise import add, log, mul, neg, pow, sub
from tinygrad_cnn.ops.piecewise import abs, clip, where
from tinygrad_cnn.ops.reduce import mean as mean_over
from tinygrad_cnn.ops.reduce import sum as sum_over


def _reduce(loss: Any, reduction: Reduction) -> Any:
    if reduction == "none":
        return loss
    return mean_over(loss) if reduction == "mean" else sum_over(loss)


def _check_same_shape(function: str, input: Operand, target: Any, reduction: str) -> Any:
    """Check a target against its input; broadcasting would hide a mistake here."""
    check_reduction(function, reduction)
    target = constant(target, input)
    if tuple(target.shape) != tuple(input.shape):
        raise ValueError(
            f"{function}: target expects the input's shape {tuple(input.shape)}, "
            f"got {tuple(target.shape)}"
        )
    return target


def mse_loss(input: Operand, target: Operand, reduction: Reduction = "mean") -> Any:
    """Square the differences: ``(input − target)²``; both of one shape.

    >>> mse_loss(np.array([1.0, 3.0]), np.array([0.0, 0.0]))
    array(5.)
    """
    target = _check_same_shape("mse_loss", input, target, reduction)
    return _reduce(pow(sub(input, target), 2), reduction)


def l1_loss(input: Operand, target: Operand, reduction: Reduction = "mean") -> Any:
    """Take the absolute differences: ``|input − target|``; the derivative at 0 is 0.

    >>> l1_loss(np.array([1.0, -3.0]), np.array([0.0, 0.0]))
    array(2.)
    """
    target = _check_same_shape("l1_loss", input, target, reduction)
    return _reduce(abs(sub(input, target)), reduction)


def huber_loss(
    input: Operand, target: Operand, reduction: Reduction = "mean", delta: float = 1.0
) -> Any:
    """Square small differences and take large ones linearly.

    ``½·d²`` where ``|d| ≤ delta``, else ``delta · (|d| − ½·delta)``, with d = input − target.

    Source: Huber, "Robust Estimation of a Location Parameter" (1964).

    >>> huber_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), reduction="none")
    array([0.125, 2.5  ])
    """
    target = _check_same_shape("huber_loss", input, target, reduction)
    if delta <= 0:
        raise ValueError(f"huber_loss: delta expects a positive number, got {delta}")
    # With c = min(|d|, delta) both cases are c · (|d| − c/2): no square of a large difference.
    distance = abs(sub(input, target))
    near = clip(distance, None, delta)
    return _reduce(near * (distance - near * 0.5), reduction)


def binary_cross_entropy(
    input: Operand,
    target: Operand,
    weight: Operand | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """Measure probabilities against targets in [0, 1]: ``−t·ln p − (1 − t)·ln(1 − p)``.

    Logarithms are limited to −100 from below, so that p = 0 and p = 1 give finite losses; their
    gradient there is 0. Logits are better served by `binary_cross_entropy_with_logits`.

    Raises
    ------
    ValueError
        If a probability lies outside of [0, 1].

    >>> binary_cross_entropy(np.array([0.5]), np.array([1.0])).round(4)
    np.float64(0.6931)
    """
    name = "binary_cross_entropy"
    target = _check_same_shape(name, input, target, reduction)
    p = values_of(input)
    if ((p < 0) | (p > 1)).any():
        raise ValueError(f"{name}: expects probabilities in [0, 1]; see the version with logits")
    loss = -(mul(target, _safe_log(input)) + mul(sub(1.0, target), _safe_log(sub(1.0, input))))
    return _reduce(loss if weight is None else mul(loss, constant(weight, input)), reduction)


def _safe_log(p: Any) -> Any:
    """Compute max(ln p, −100), without the infinite slope at 0."""
    smallest = np.exp(-100.0)
    tiny = values_of(p) < smallest
    return where(tiny, -100.0, log(where(tiny, 1.0, p)))


def binary_cross_entropy_with_logits(
    input: Operand,
    target: Operand,
    weight: Operand | None = None,
    reduction: Reduction = "mean",
    pos_weight: Operand | None = None,
) -> Any:
    """Measure logits against targets in [0, 1], stably: ``softplus(x) − t·x``.

    Parameters
    ----------
    input, target
        Of one shape.
    weight
        Broadcast against them: how much each element counts.
    pos_weight
        Broadcast against them: how much targets of 1 count.

    >>> binary_cross_entropy_with_logits(np.array([-1e4]), np.array([1.0]))
    array(10000.)
    """
    target = _check_same_shape("binary_cross_entropy_with_logits", input, target, reduction)
    if pos_weight is None:
        loss = softplus(input, threshold=np.inf) - mul(input, target)
    else:
        pos_weight = constant(pos_weight, input)
        positive = add(mul(sub(pos_weight, 1.0), target), 1.0)
        loss = mul(sub(1.0, target), input) + positive * softplus(neg(input), threshold=np.inf)
    return _reduce(loss if weight is None else mul(loss, constant(weight, input)), reduction)
