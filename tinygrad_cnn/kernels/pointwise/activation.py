"""Activation functions on plain arrays, and the gradients that are worth a kernel.

Each is a formula of several steps on a block that stays in the cache: ``formula(out, …)`` writes
to `out`, and `in_blocks` makes of it the function of whole arrays, which returns the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.pointwise.elementwise import in_blocks, map_blocks, memory_order
from tinygrad_cnn.kernels.pointwise.special import erf_into
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.rows import rectify, zeros
from tinygrad_cnn.types import Array

__all__ = [
    "erf",
    "gelu",
    "gelu_gradient",
    "gelu_tanh",
    "keep_where",
    "masked",
    "masked_gradient",
    "may_be_masked",
    "relu",
    "relu_gradient",
    "sigmoid",
    "sigmoid_gradient",
    "silu",
    "silu_gradient",
    "softplus",
    "tanh_gradient",
]


def relu(x: Array) -> Array:
    """Compute ``max(x, 0)``; NaN stays NaN."""
    if x.size <= tuning.FEW_VALUES:
        return np.asarray(np.maximum(x, 0))
    row = zeros(x.dtype)
    if x.size <= row.size and memory_order(x) is not None:
        same: Array = np.ndarray(x.shape, x.dtype, row, 0, x.strides)
        return np.asarray(np.maximum(x, same))
    return map_blocks(rectify, x, block=tuning.ONE_STEP_BLOCK, grain=2 * tuning.GRAIN)


def relu_gradient(g: Array, out: Array) -> Array:
    """Pass the gradient where the result of `relu` was positive: ``g if out > 0 else 0``."""
    return masked_gradient(g, out, lambda out: out > 0)


def masked_gradient(g: Array, out: Array, passes: Callable[[Array], Array]) -> Array:
    """Return `g` where an activation passed its input on, as `passes` finds of its results."""
    if g.size <= tuning.FEW_VALUES:
        return masked(g, passes(out))

    def formula(result: Array, g: Array, out: Array) -> None:
        masked(g, passes(out), result)

    return map_blocks(formula, g, out, block=tuning.ONE_STEP_BLOCK)


def may_be_masked(x: Any, kept: Any) -> bool:
    """Whether `keep_where` takes two arrays, and is worth it."""
    return (
        isinstance(x, np.ndarray)
        and isinstance(kept, np.ndarray)
        and x.shape == kept.shape
        and kept.dtype == np.bool_
        and x.dtype.kind == "f"
        and x.size > tuning.FEW_VALUES
    )


def keep_where(x: Array, kept: Array) -> Array:
    """Keep elements where a mask holds, and put 0 elsewhere: `masked`, by threads."""

    def formula(out: Array, kept: Array, x: Array) -> None:
        masked(x, kept, out)

    return map_blocks(formula, kept, x, block=tuning.ONE_STEP_BLOCK)


def masked(x: Array, kept: Array, out: Array | None = None) -> Array:
    """Return `x` where a mask holds, and 0 elsewhere; without `out` the mask may be larger.

    The mask multiplies bits as integers: as fast as ``x * mask``, and what is infinite or NaN
    leaves 0 where it is masked. np.where takes ten times as long.

    >>> masked(np.array([np.inf, 5.0]), np.array([False, True]))
    array([0., 5.])
    """
    if out is None:
        out = np.empty_like(kept, x.dtype)  # in the memory order of the mask
    if x.itemsize > 8:  # no integers are as wide as a long double
        out[...] = np.where(kept, x, x.dtype.type(0))
        return out
    bits = np.dtype(f"i{x.itemsize}")
    factors = out.view(bits)
    np.copyto(factors, kept)  # cast apart: a ufunc casts 8192 values at a time
    np.multiply(x.view(bits), factors, out=factors)
    return out


def _sigmoid(out: Array, x: Array) -> None:
    """Compute ``1 / (1 + exp(−x))``, to full relative accuracy in both tails.

    >>> print(sigmoid(np.array([-1e4, 0.0, 1e4])))
    [0.  0.5 1. ]
    """
    # exp(−x) overflows to ∞ in the lower tail, and 1 / ∞ is the right answer there.
    np.negative(x, out=out)
    np.exp(out, out=out)
    np.add(out, 1, out=out)
    np.divide(1, out, out=out)


sigmoid = in_blocks(_sigmoid)


@in_blocks
def sigmoid_gradient(result: Array, g: Array, out: Array) -> None:
    """Compute ``g · out · (1 − out)``, the gradient of the input of `sigmoid`."""
    np.subtract(1, out, out=result)
    np.multiply(result, out, out=result)
    np.multiply(result, g, out=result)


@in_blocks
def tanh_gradient(result: Array, g: Array, out: Array) -> None:
    """Compute ``g · (1 − out²)``, the gradient of the input of tanh."""
    np.multiply(out, out, out=result)
    np.subtract(1, result, out=result)
    np.multiply(result, g, out=result)


@in_blocks
def softplus(out: Array, x: Array) -> None:
    """Compute ``log(1 + exp(x)) = max(x, 0) + log1p(exp(−|x|))``."""
    np.abs(x, out=out)
    np.negative(out, out=out)
    np.exp(out, out=out)
    np.log1p(out, out=out)
    np.add(out, np.maximum(x, 0), out=out)


@in_blocks
def silu(out: Array, x: Array) -> None:
    """Compute ``x · sigmoid(x)``; its limit at −∞ is 0.

    Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units" (2018).
    """
    _sigmoid(out, x)
    _times_bounded(out, x)


@in_blocks
def silu_gradient(out: Array, g: Array, x: Array) -> None:
    """Compute ``g · s · (1 + x · (1 − s))`` with ``s = sigmoid(x)``."""
    _sigmoid(out, x)
    rise = 1 - out
    _times_finite(rise, x)
    np.add(rise, 1, out=rise)
    np.multiply(out, rise, out=out)
    np.multiply(out, g, out=out)


def _times_bounded(out: Array, x: Array) -> None:
    """Multiply a factor that vanishes at −∞ by `x`, kept finite there: 0 · ∞ has no value."""
    np.multiply(out, np.maximum(x, np.finfo(x.dtype).min), out=out)


def _times_finite(out: Array, x: Array) -> None:
    """Multiply a factor that vanishes at ±∞ by `x`, kept finite there."""
    limits = np.finfo(x.dtype)
    np.multiply(out, np.clip(x, limits.min, limits.max), out=out)


erf = in_blocks(erf_into)


@in_blocks
def gelu(out: Array, x: Array) -> None:
    """Compute ``x · Φ(x)``, Φ the standard normal distribution function; its limit at −∞ is 0.

    Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016).
    """
    _normal_cdf(out, x)
    _times_bounded(out, x)


@in_blocks
def gelu_gradient(out: Array, g: Array, x: Array) -> None:
    """Compute ``g · (Φ(x) + x · φ(x))``, φ the normal density: the gradient of `gelu`."""
    density = x * x
    np.multiply(density, -0.5, out=density)
    np.exp(density, out=density)
    np.multiply(density, 1 / math.sqrt(2 * math.pi), out=density)
    _times_finite(density, x)
    _normal_cdf(out, x)
    np.add(out, density, out=out)
    np.multiply(out, g, out=out)


def _normal_cdf(out: Array, x: Array) -> None:
    """Compute ``½ · (1 + erf(x / √2))``."""
    erf_into(out, x * x.dtype.type(math.sqrt(0.5)))
    np.add(out, 1, out=out)
    np.multiply(out, 0.5, out=out)


@in_blocks
def gelu_tanh(out: Array, x: Array) -> None:
    """Compute ``½ · x · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))``, which is close to `gelu`."""
    np.multiply(x, x, out=out)
    np.multiply(out, 0.044715, out=out)
    np.add(out, 1, out=out)
    np.multiply(out, x, out=out)
    np.multiply(out, math.sqrt(2 / math.pi), out=out)
    np.tanh(out, out=out)
    np.add(out, 1, out=out)
    np.multiply(out, 0.5, out=out)
    _times_bounded(out, x)
