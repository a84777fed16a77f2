"""Losses that push classes, pairs and triplets apart until a margin is kept.

At the margin itself, as in PyTorch: the losses of classes have the derivative 0, those of pairs and
triplets 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.ops.activation import relu, softplus
from tinygrad_cnn.ops.arguments import (
    Reduction,
    as_dtype_of,
    check_reduction,
    names_operands,
    target_like,
    values_of,
)
from tinygrad_cnn.ops.cross_entropy import class_numbers
from tinygrad_cnn.ops.elementwise import add, div, mul, neg, sqrt, sub
from tinygrad_cnn.ops.index import getitem
from tinygrad_cnn.ops.loss import binary_cross_entropy_with_logits, reduce_loss
from tinygrad_cnn.ops.losses.distances import pairwise_distance
from tinygrad_cnn.ops.old_words import takes_old_words
from tinygrad_cnn.ops.piecewise import clip, minimum, where
from tinygrad_cnn.ops.precision import in_single_precision
from tinygrad_cnn.ops.reduce import mean as mean_over
from tinygrad_cnn.ops.reduce import sum as sum_over
from tinygrad_cnn.ops.shape import reshape, unsqueeze
from tinygrad_cnn.types import Operand

__all__ = [
    "cosine_embedding_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]


@in_single_precision
def soft_margin_loss(input: Operand, target: Operand, reduction: Reduction = "mean") -> Any:
    """Logistic loss of scores with targets of 1 and -1: ``ln(1 + exp(−target · input))``.

    >>> soft_margin_loss(np.array([0.0, 1e4]), np.array([1.0, -1.0]), "none").round(4)
    array([6.931e-01, 1.000e+04])
    """
    check_reduction("soft_margin_loss", reduction)
    target = target_like("soft_margin_loss", input, target)
    return reduce_loss(softplus(neg(mul(input, target)), threshold=np.inf), reduction)


@in_single_precision
def hinge_embedding_loss(
    input: Operand, target: Operand, margin: float = 1.0, reduction: Reduction = "mean"
) -> Any:
    """Keep distances small where the target is 1, and above a margin where it is -1.

    ``input`` for 1, ``max(0, margin − input)`` for -1.

    >>> hinge_embedding_loss(np.array([0.25, 0.25]), np.array([1, -1]), reduction="none")
    array([0.25, 0.75])
    """
    check_reduction("hinge_embedding_loss", reduction)
    target = values_of(target_like("hinge_embedding_loss", input, target))
    apart = where(target != 1, clip(sub(margin, input), 0.0, None), 0.0)
    return reduce_loss(add(apart, where(target != -1, input, 0.0)), reduction)


@names_operands
@takes_old_words
def margin_ranking_loss(
    input1: Operand,
    input2: Operand,
    target: Operand,
    margin: float = 0.0,
    reduction: Reduction = "mean",
) -> Any:
    """Rank two scores: ``max(0, −target · (input1 − input2) + margin)``.

    A target of 1 wants the first greater, -1 the second. All have one shape.

    >>> margin_ranking_loss(np.array([1.0]), np.array([3.0]), np.array([1.0]))
    array(2.)
    """
    name = "margin_ranking_loss"
    check_reduction(name, reduction)
    input2 = target_like(name, input1, input2)
    target = target_like(name, input1, target)
    loss = clip(sub(margin, mul(target, sub(input1, input2))), 0.0, None)
    return reduce_loss(loss, reduction)


def _rows(function: str, input: Operand, what: str) -> Any:
    if input.ndim not in (1, 2) or not input.shape[-1]:
        raise ValueError(f"{function}: expects {what} (N, C) or (C,), got {tuple(input.shape)}")
    return input if input.ndim == 2 else unsqueeze(input, 0)


@in_single_precision
def multi_margin_loss(
    input: Operand,
    target: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Operand | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """Keep the right class's score above all others: ``Σ_{i≠t} max(0, margin − x_t + x_i)^p / C``.

    Parameters
    ----------
    input
        Scores (N, C), or (C,) for one example.
    target
        Class numbers (N,), or one number.
    p
        1 or 2.
    margin
        By how much to be above.
    weight
        (C,): how much examples of each class count.
    reduction
        'mean', 'sum' or 'none'.

    Raises
    ------
    ValueError
        If p is another number, shapes do not fit or a class does not exist.

    Source: Crammer and Singer, "On the algorithmic implementation of multiclass kernel-based vector
    machines" (2001).

    >>> multi_margin_loss(np.array([[0.0, 0.5]]), np.array([0]))
    array(0.75)
    """
    name = "multi_margin_loss"
    check_reduction(name, reduction)
    if p not in (1, 2):
        raise ValueError(f"{name}: p expects 1 or 2, got {p}")
    x = _rows(name, input, "scores")
    target = np.asarray(values_of(target))
    if input.ndim == 1 and target.shape == (1,):
        target = target.reshape(())
    t = class_numbers(name, input, target, None)
    N, C = x.shape
    if weight is not None and tuple(weight.shape) != (C,):
        raise ValueError(f"{name}: weight expects shape ({C},), got {tuple(weight.shape)}")
    right = getitem(x, (np.arange(N), t))
    over = relu(add(sub(x, unsqueeze(right, 1)), margin))  # (N, C)
    over = over if p == 1 else mul(over, over)
    if weight is not None:
        over = mul(over, unsqueeze(getitem(as_dtype_of(weight, input), t), 1))
    loss = div(sum_over(where(np.arange(C) == t[:, None], 0.0, over), 1), float(C))
    return reduce_loss(reshape(loss, ()) if input.ndim == 1 else loss, reduction)


@in_single_precision
def multilabel_margin_loss(input: Operand, target: Any, reduction: Reduction = "mean") -> Any:
    """Keep the scores of several right classes above all others: ``Σ max(0, 1 − x_t + x_i) / C``.

    The sum goes over each target t and each class i that is none.

    Parameters
    ----------
    input
        Scores (N, C), or (C,).
    target
        Class numbers of the same shape; the first -1 ends them.
    reduction
        'mean', 'sum' or 'none'.

    Raises
    ------
    ValueError
        If shapes differ or a class does not exist.

    >>> multilabel_margin_loss(np.array([[0.0, 0.5, 0.0]]), np.array([[0, -1, -1]])).round(4)
    np.float64(0.8333)
    """
    name = "multilabel_margin_loss"
    check_reduction(name, reduction)
    x = _rows(name, input, "scores")
    t = np.asarray(values_of(target))
    if t.dtype.kind not in "iu":
        raise TypeError(f"{name}: expects integer class numbers, got {t.dtype}")
    if t.shape != tuple(input.shape):
        raise ValueError(
            f"{name}: target expects the input's shape {tuple(input.shape)}, got {t.shape}"
        )
    N, C = x.shape
    t = t.reshape(N, C)
    valid = np.logical_and.accumulate(t != -1, axis=1)
    if (valid & ((t < 0) | (t >= C))).any():
        raise ValueError(f"{name}: target expects classes 0 to {C - 1}, and -1 after the last")
    t = np.where(valid, t, 0)
    others = np.ones((N, C), bool)
    rows = np.broadcast_to(np.arange(N)[:, None], (N, C))
    others[rows[valid], t[valid]] = False
    right = getitem(x, (rows, t))  # (N, C)
    over = relu(add(sub(unsqueeze(x, 1), unsqueeze(right, 2)), 1.0))  # (N, targets, classes)
    counts = valid[:, :, None] & others[:, None, :]
    loss = div(sum_over(where(counts, over, 0.0), (1, 2)), float(C))
    return reduce_loss(reshape(loss, ()) if input.ndim == 1 else loss, reduction)


@in_single_precision
def multilabel_soft_margin_loss(
    input: Operand,
    target: Operand,
    weight: Operand | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """Binary cross-entropy of logits, averaged over the classes: one loss an example.

    Parameters
    ----------
    input, target
        Logits and targets in [0, 1], both (…, C).
    weight
        (C,): how much each class counts.
    reduction
        'mean', 'sum' or 'none'.

    >>> multilabel_soft_margin_loss(np.array([[0.0, 0.0]]), np.array([[1.0, 0.0]])).round(4)
    np.float64(0.6931)
    """
    check_reduction("multilabel_soft_margin_loss", reduction)
    loss = binary_cross_entropy_with_logits(input, target, weight, "none")
    return reduce_loss(mean_over(loss, -1), reduction)


@names_operands
@takes_old_words
def cosine_embedding_loss(
    input1: Operand,
    input2: Operand,
    target: Any,
    margin: float = 0.0,
    reduction: Reduction = "mean",
) -> Any:
    """Turn vectors towards each other where the target is 1, and apart where it is -1.

    ``1 − cos`` for 1, ``max(0, cos − margin)`` for -1, with 1e-12 added to the squared lengths.

    Parameters
    ----------
    input1, input2
        Vectors (N, D), or (D,).
    target
        (N,), or a number for (D,).
    margin
        The cosine that is still welcome for a target of -1.
    reduction
        'mean', 'sum' or 'none'.

    Raises
    ------
    ValueError
        If shapes do not fit.

    >>> cosine_embedding_loss(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), np.array([1]))
    array(1.)
    """
    name = "cosine_embedding_loss"
    check_reduction(name, reduction)
    target = np.asarray(values_of(target))
    if input1.ndim not in (1, 2) or tuple(input1.shape) != tuple(input2.shape):
        raise ValueError(
            f"{name}: expects two inputs (N, D) or (D,) of one shape, got {tuple(input1.shape)} "
            f"and {tuple(input2.shape)}"
        )
    if target.shape != tuple(input1.shape[:-1]):
        raise ValueError(
            f"{name}: target expects shape {tuple(input1.shape[:-1])}, got {target.shape}"
        )
    lengths = [add(sum_over(mul(x, x), -1), 1e-12) for x in (input1, input2)]
    cosine = div(sum_over(mul(input1, input2), -1), sqrt(mul(*lengths)))
    near = where(target == 1, sub(1.0, cosine), 0.0)
    apart = where(target == -1, clip(sub(cosine, margin), 0.0, None), 0.0)
    return reduce_loss(add(near, apart), reduction)


@names_operands
@takes_old_words
def triplet_margin_loss(
    anchor: Operand,
    positive: Operand,
    negative: Operand,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: Reduction = "mean",
) -> Any:
    """Keep the anchor nearer to its like than to others: ``max(0, d(a, p) − d(a, n) + margin)``.

    Parameters
    ----------
    anchor, positive, negative
        Vectors (N, D), or (D,).
    margin
        By how much to be nearer, a positive number.
    p, eps
        As in `pairwise_distance`.
    swap
        Whether the distance of positive and negative counts where it is smaller than d(a, n).
    reduction
        'mean', 'sum' or 'none'.

    Raises
    ------
    ValueError
        If dimensions differ or the margin is not positive.

    Source: Balntas et al., "Learning local feature descriptors with triplets" (2016).

    >>> a, n = np.array([[0.0]]), np.array([[0.5]])
    >>> triplet_margin_loss(a, a, n, eps=0.0)
    array(0.5)
    """

    def distance(x: Any, y: Any) -> Any:
        return pairwise_distance(x, y, p, eps)

    return _triplet(
        "triplet_margin_loss", anchor, positive, negative, distance, margin, swap, reduction
    )


@names_operands
def triplet_margin_with_distance_loss(
    anchor: Operand,
    positive: Operand,
    negative: Operand,
    *,
    distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: Reduction = "mean",
) -> Any:
    """`triplet_margin_loss` with a distance of your own, `pairwise_distance` if None.

    >>> a, n = np.array([[0.0]]), np.array([[0.5]])
    >>> triplet_margin_with_distance_loss(a, a, n, distance_function=lambda x, y: abs(x - y))
    array(0.5)
    """
    distance = pairwise_distance if distance_function is None else distance_function
    name = "triplet_margin_with_distance_loss"
    return _triplet(name, anchor, positive, negative, distance, margin, swap, reduction)


def _triplet(
    name: str,
    anchor: Operand,
    positive: Operand,
    negative: Operand,
    distance: Callable[..., Any],
    margin: float,
    swap: bool,
    reduction: Reduction,
) -> Any:
    check_reduction(name, reduction)
    if not margin > 0:
        raise ValueError(f"{name}: margin expects a positive number, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ValueError(
            f"{name}: expects inputs of as many dimensions, got {anchor.ndim}, {positive.ndim} "
            f"and {negative.ndim}"
        )
    far = distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduce_loss(
        clip(add(sub(distance(anchor, positive), far), margin), 0.0, None), reduction
    )
