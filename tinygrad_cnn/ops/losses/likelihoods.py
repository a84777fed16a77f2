"""Losses against distributions, and the smooth L1 loss."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np

from tinygrad_cnn.ops.activation import sigmoid, softplus
from tinygrad_cnn.ops.arguments import (
    Reduction,
    as_dtype_of,
    check_reduction,
    target_like,
    values_of,
)
from tinygrad_cnn.ops.elementwise import add, div, exp, log, mul, neg, pow, sub
from tinygrad_cnn.ops.loss import huber_loss, l1_loss, reduce_loss
from tinygrad_cnn.ops.losses.distances import raised_to
from tinygrad_cnn.ops.piecewise import where
from tinygrad_cnn.ops.pointwise.combining import xlogy
from tinygrad_cnn.ops.precision import in_single_precision
from tinygrad_cnn.ops.reduce import sum as sum_over
from tinygrad_cnn.ops.shape import unsqueeze
from tinygrad_cnn.types import Operand

__all__ = [
    "gaussian_nll_loss",
    "kl_div",
    "poisson_nll_loss",
    "sigmoid_focal_loss",
    "smooth_l1_loss",
]

KLReduction: TypeAlias = Literal["mean", "batchmean", "sum", "none"]


@in_single_precision
def smooth_l1_loss(
    input: Operand, target: Operand, reduction: Reduction = "mean", beta: float = 1.0
) -> Any:
    """Square small differences and take large ones as they are: `huber_loss` over ``beta``.

    ``½·d²/beta`` where ``|d| < beta``, else ``|d| − ½·beta``, with d = input − target; with a beta
    of 0 it is `l1_loss`.

    Raises
    ------
    ValueError
        If beta is negative or shapes differ.

    Source: Girshick, "Fast R-CNN" (2015), equation 3.

    >>> smooth_l1_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), reduction="none")
    array([0.125, 2.5  ])
    """
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss: beta expects a number >= 0, got {beta}")
    check_reduction("smooth_l1_loss", reduction)
    target = target_like("smooth_l1_loss", input, target)
    if beta == 0:
        return l1_loss(input, target, reduction)
    return div(huber_loss(input, target, reduction, beta), beta)


@in_single_precision
def kl_div(
    input: Operand,
    target: Operand,
    reduction: KLReduction = "mean",
    log_target: bool = False,
) -> Any:
    """Measure log-probabilities against probabilities: ``target · (ln target − input)``.

    Parameters
    ----------
    input
        Log-probabilities, any shape.
    target
        Probabilities of the same shape, or their logarithms with `log_target`; one of 0 costs 0.
    reduction
        'batchmean' (the sum over the size of the first dimension, which is the divergence), 'mean',
        'sum' or 'none'.
    log_target
        Whether targets are logarithms.

    Source: Kullback and Leibler, "On information and sufficiency" (1951).

    >>> kl_div(np.log([[0.5, 0.5]]), np.array([[1.0, 0.0]]), "batchmean").round(4)
    np.float64(0.6931)
    """
    if reduction not in ("mean", "batchmean", "sum", "none"):
        raise ValueError(
            f"kl_div: reduction expects 'mean', 'batchmean', 'sum' or 'none', got {reduction!r}"
        )
    target = target_like("kl_div", input, target)
    if log_target:
        loss = mul(exp(target), sub(target, input))
    else:
        loss = sub(xlogy(target, target), mul(target, input))
    if reduction == "batchmean":
        return div(sum_over(loss), float(loss.shape[0] if loss.ndim else 1))
    return reduce_loss(loss, reduction)


@in_single_precision
def poisson_nll_loss(
    input: Operand,
    target: Operand,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: Reduction = "mean",
) -> Any:
    """Measure a Poisson distribution's rate against counts: ``rate − target · ln rate``.

    Parameters
    ----------
    input
        The logarithm of the rate, or the rate itself without `log_input`.
    target
        Counts of the same shape.
    log_input
        Whether the input is a logarithm.
    full
        Whether to add Stirling's ``t·ln t − t + ½·ln(2π·t)`` for targets above 1.
    eps
        Added to a rate before its logarithm.
    reduction
        'mean', 'sum' or 'none'.

    >>> poisson_nll_loss(np.array([0.0]), np.array([2.0]))
    array(1.)
    """
    check_reduction("poisson_nll_loss", reduction)
    target = target_like("poisson_nll_loss", input, target)
    if log_input:
        loss = sub(exp(input), mul(target, input))
    else:
        loss = sub(input, mul(target, log(add(input, eps))))
    if full:
        many = values_of(target) > 1
        t = where(many, target, 1.0)
        stirling = add(sub(mul(t, log(t)), t), mul(log(mul(t, 2 * math.pi)), 0.5))
        loss = add(loss, where(many, stirling, 0.0))
    return reduce_loss(loss, reduction)


@in_single_precision
def gaussian_nll_loss(
    input: Operand,
    target: Operand,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: Reduction = "mean",
) -> Any:
    """Measure a normal distribution: ``½ · (ln var + (input − target)² / var)``.

    Parameters
    ----------
    input, target
        Means and observations of one shape.
    var
        Variances: that shape, one that broadcasts to it or lacks its last dimension, or a number.
    full
        Whether to add the constant ``½·ln 2π``.
    eps
        The least variance; the gradient goes to smaller ones as well.
    reduction
        'mean', 'sum' or 'none'.

    Raises
    ------
    ValueError
        If a variance is negative, eps is not positive or shapes do not fit.

    Source: Nix and Weigend, "Estimating the mean and variance of the target probability
    distribution" (1994).

    >>> gaussian_nll_loss(np.array([1.0]), np.array([3.0]), np.array([1.0]))
    array(2.)
    """
    name = "gaussian_nll_loss"
    check_reduction(name, reduction)
    if not eps > 0:
        raise ValueError(f"{name}: eps expects a positive number, got {eps}")
    target = target_like(name, input, target)
    if isinstance(var, (int, float)):
        var = np.full(input.shape, var, input.dtype)
    var = as_dtype_of(var, input)
    shape = tuple(input.shape)
    if tuple(var.shape) == shape[:-1] != shape:
        var = unsqueeze(var, -1)
    if len(var.shape) > len(shape) or any(
        size not in (1, n) for size, n in zip(var.shape[::-1], shape[::-1], strict=False)
    ):
        raise ValueError(
            f"{name}: var expects the input's shape {shape}, one that broadcasts to it, or all but "
            f"its last dimension, got {tuple(var.shape)}"
        )
    if (values_of(var) < 0).any():
        raise ValueError(f"{name}: var expects numbers >= 0, got {values_of(var).min()}")
    var = raised_to(var, eps)
    loss = mul(add(log(var), div(pow(sub(input, target), 2), var)), 0.5)
    return reduce_loss(add(loss, 0.5 * math.log(2 * math.pi)) if full else loss, reduction)


@in_single_precision
def sigmoid_focal_loss(
    inputs: Operand,
    targets: Operand,
    alpha: float = 0.25,
    gamma: float = 2.0,
    reduction: Reduction = "none",
) -> Any:
    """Binary cross-entropy of logits in which easy elements count less: ``α_t (1 − p_t)^γ · bce``.

    ``p_t`` is the probability of what is right, α_t is alpha for a target of 1 and 1 − alpha for 0;
    a negative alpha leaves it out. Defaults are torchvision's.

    Raises
    ------
    ValueError
        If alpha is above 1 or shapes differ.

    Source: Lin et al., "Focal loss for dense object detection" (2017), equation 5.

    >>> sigmoid_focal_loss(np.array([0.0]), np.array([1.0])).round(4)
    array([0.0433])
    """
    name = "sigmoid_focal_loss"
    check_reduction(name, reduction)
    if alpha > 1:
        raise ValueError(f"{name}: alpha expects a share of at most 1, got {alpha}")
    targets = target_like(name, inputs, targets)
    missed = add(mul(sigmoid(inputs), sub(1.0, targets)), mul(sigmoid(neg(inputs)), targets))
    entropy = sub(softplus(inputs, threshold=np.inf), mul(inputs, targets))
    loss = mul(pow(missed, gamma), entropy)
    if alpha >= 0:
        loss = mul(loss, add(mul(targets, 2 * alpha - 1), 1 - alpha))
    return reduce_loss(loss, reduction)
