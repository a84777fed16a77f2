"""Losses as compositions of other operations; cross-entropy has its own file."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.ops.activation import softplus
from tinygrad_cnn.ops.arguments import (
    Reduction,
    as_dtype_of,
    check_reduction,
    target_like,
    values_of,
)
from tinygrad_cnn.ops.elementwise import add, log, mul, neg, pow, sub
from tinygrad_cnn.ops.piecewise import abs, clip, where
from tinygrad_cnn.ops.precision import in_single_precision
from tinygrad_cnn.ops.reduce import mean as mean_over
from tinygrad_cnn.ops.reduce import sum as sum_over
from tinygrad_cnn.types import Operand

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "huber_loss",
    "l1_loss",
    "mse_loss",
]


def reduce_loss(loss: Any, reduction: Reduction) -> Any:
    """Return the mean or the sum of the elements' losses, or the losses themselves."""
    if reduction == "none":
        return loss
    return mean_over(loss) if reduction == "mean" else sum_over(loss)


@in_single_precision
def mse_loss(input: Operand, target: Operand, reduction: Reduction = "mean") -> Any:
    """Square the differences: ``(input − target)²``; both of one shape.

    >>> mse_loss(np.array([1.0, 3.0]), np.array([0.0, 0.0]))
    array(5.)
    """
    check_reduction("mse_loss", reduction)
    target = target_like("mse_loss", input, target)
    return reduce_loss(pow(sub(input, target), 2), reduction)


@in_single_precision
def l1_loss(input: Operand, target: Operand, reduction: Reduction = "mean") -> Any:
    """Take the absolute differences: ``|input − target|``; the derivative at 0 is 0.

    >>> l1_loss(np.array([1.0, -3.0]), np.array([0.0, 0.0]))
    array(2.)
    """
    check_reduction("l1_loss", reduction)
    target = target_like("l1_loss", input, target)
    return reduce_loss(abs(sub(input, target)), reduction)


@in_single_precision
def huber_loss(
    input: Operand, target: Operand, reduction: Reduction = "mean", delta: float = 1.0
) -> Any:
    """Square small differences and take large ones linearly.

    ``½·d²`` where ``|d| ≤ delta``, else ``delta · (|d| − ½·delta)``, with d = input − target.

    Source: Huber, "Robust Estimation of a Location Parameter" (1964).

    >>> huber_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), reduction="none")
    array([0.125, 2.5  ])
    """
    check_reduction("huber_loss", reduction)
    target = target_like("huber_loss", input, target)
    if delta <= 0:
        raise ValueError(f"huber_loss: delta expects a positive number, got {delta}")
    # With c = min(|d|, delta) both cases are c · (|d| − c/2): no square of a large difference.
    distance = abs(sub(input, target))
    near = clip(distance, None, delta)
    return reduce_loss(near * (distance - near * 0.5), reduction)


@in_single_precision
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
    check_reduction(name, reduction)
    target = target_like(name, input, target)
    p = values_of(input)
    if ((p < 0) | (p > 1)).any():
        raise ValueError(f"{name}: expects probabilities in [0, 1]; see the version with logits")
    loss = -(mul(target, _safe_log(input)) + mul(sub(1.0, target), _safe_log(sub(1.0, input))))
    return reduce_loss(loss if weight is None else mul(loss, as_dtype_of(weight, input)), reduction)


def _safe_log(p: Any) -> Any:
    """Compute max(ln p, −100), without the infinite slope at 0."""
    smallest = np.exp(-100.0)
    tiny = values_of(p) < smallest
    return where(tiny, -100.0, log(where(tiny, 1.0, p)))


@in_single_precision
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
    check_reduction("binary_cross_entropy_with_logits", reduction)
    target = target_like("binary_cross_entropy_with_logits", input, target)
    if pos_weight is None:
        loss = softplus(input, threshold=np.inf) - mul(input, target)
    else:
        pos_weight = as_dtype_of(pos_weight, input)
        positive = add(mul(sub(pos_weight, 1.0), target), 1.0)
        loss = mul(sub(1.0, target), input) + positive * softplus(neg(input), threshold=np.inf)
    return reduce_loss(loss if weight is None else mul(loss, as_dtype_of(weight, input)), reduction)
