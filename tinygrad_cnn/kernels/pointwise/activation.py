"""Activation functions on plain arrays, and the gradients that are worth a kernel.

Each is a formula of several steps on a block that stays in the cache; see `elementwise.map_blocks`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.pointwise.elementwise import map_blocks, memory_order
from tinygrad_cnn.kernels.pointwise.erf import erf_into
from tinygrad_cnn.kernels.runtime.copies import GRAIN
from tinygrad_cnn.kernels.runtime.rows import rectify, zeros

__all__ = [
    "erf",
    "gelu",
    "gelu_gradient",
    "keep_where",
    "masked_gradient",
    "may_be_masked",
    "normal_cdf",
    "relu",
    "relu_gradient",
    "sigmoid",
    "sigmoid_gradient",
    "silu",
    "silu_gradient",
    "softplus",
    "tanh_gradient",
    "write_where_between",
    "write_where_positive",
]

Array = npt.NDArray[Any]

# For a single step, where only a mask has to stay in the cache.
_LARGE_BLOCK = 1 << 20
# Up to here one plain call is quicker than laying out memory.
_WIDEST = 8  # bytes of the widest integers: none is as wide as a long double
_SMALL = 1 << 11


def relu(x: Array) -> Array:
    """Compute ``max(x, 0)``; NaN stays NaN.

    Examples
    --------
    >>> import numpy as np
    >>> relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    if x.size <= _SMALL:
        return np.asarray(np.maximum(x, 0))
    row = zeros(x.dtype)
    if x.size <= row.size and memory_order(x) is not None:
        same: Array = np.ndarray(x.shape, x.dtype, row, 0, x.strides)
        return np.asarray(np.maximum(x, same))

    return map_blocks(rectify, x, block=_LARGE_BLOCK, grain=2 * GRAIN)


def relu_gradient(g: Array, out: Array) -> Array:
    """Pass the gradient where the result was positive: ``g if out > 0 else 0``.

    The mask multiplies the bits of `g` as integers: that is as fast as ``g * mask``, and an
    infinite or NaN `g` leaves 0 where it is masked. np.where takes ten times as long.

    Parameters
    ----------
    g, out
        Gradient of the result, and the result of `relu`: one shape, one dtype.

    Examples
    --------
    >>> import numpy as np
    >>> relu_gradient(np.array([np.inf, 5.0]), np.array([0.0, 2.0]))
    array([0., 5.])
    """
    if g.size <= _SMALL and g.itemsize <= _WIDEST:
        bits = np.dtype(f"i{g.itemsize}")
        return np.asarray(np.multiply(g.view(bits), out > 0)).view(g.dtype)
    return masked_gradient(g, out, write_where_positive)


def masked_gradient(g: Array, out: Array, mask: Callable[[Array, Array, Array], None]) -> Array:
    """Return `g` where an activation passed its input on: ``mask(result, out, g)`` writes it."""
    return map_blocks(mask, out, g, block=_LARGE_BLOCK, grain=GRAIN)


def write_where_positive(result: Array, out: Array, g: Array) -> None:
    """Write `g` to `result`, which it may be itself, where `out` is positive, and 0 elsewhere.

    All three are C-contiguous and of one shape and dtype.
    """
    _write_where(result, out > 0, g)


def write_where_between(result: Array, out: Array, g: Array, low: float, high: float) -> None:
    """Write `g` to `result`, which it may be itself, where `out` lies at neither end, and else 0.

    A NaN lies at neither.
    """
    at_end = out <= low
    at_end |= out >= high
    _write_where(result, np.logical_not(at_end, out=at_end), g)


def _write_where(result: Array, kept: Array, g: Array) -> None:
    if g.itemsize > _WIDEST:
        result[...] = np.where(kept, g, 0)
        return
    bits = np.dtype(f"i{g.itemsize}")
    masked = result.view(bits)
    # The mask is cast apart: a ufunc casts 8192 values at a time. One thread, (64, 64, 24, 24):
    # 1.8 ms -> 1.1.
    mask = np.empty(kept.shape, bits) if g is result else masked
    np.copyto(mask, kept)
    np.multiply(g.view(bits), mask, out=masked)


def may_be_masked(x: Any, kept: Any) -> bool:
    """Whether `keep_where` takes two arrays, and is worth it."""
    return (
        isinstance(x, np.ndarray)
        and isinstance(kept, np.ndarray)
        and x.shape == kept.shape
        and kept.dtype == np.bool_
        and x.dtype.kind == "f"
        and x.itemsize <= _WIDEST
        and x.size > _SMALL
    )


def keep_where(x: Array, kept: Array) -> Array:
    """Keep elements where a mask holds, and put 0 elsewhere, also for what is NaN or infinite.

    Examples
    --------
    >>> import numpy as np
    >>> keep_where(np.array([np.inf, 5.0]), np.array([False, True]))
    array([0., 5.])
    """

    def formula(out: Array, x: Array, kept: Array) -> None:
        bits = out.view(f"i{out.itemsize}")
        np.copyto(bits, kept)
        np.multiply(x.view(bits.dtype), bits, out=bits)

    return map_blocks(formula, x, kept, block=_LARGE_BLOCK, grain=GRAIN)


def sigmoid(x: Array) -> Array:
    """Compute ``1 / (1 + exp(−x))``, to full relative accuracy in both tails.

    Examples
    --------
    >>> import numpy as np
    >>> print(sigmoid(np.array([-1e4, 0.0, 1e4])))
    [0.  0.5 1. ]
    """
    return map_blocks(_sigmoid, x)


def _sigmoid(out: Array, x: Array) -> None:
    # exp(−x) overflows to ∞ in the lower tail, and 1 / ∞ is the right answer there.
    np.negative(x, out=out)
    np.exp(out, out=out)
    np.add(out, 1, out=out)
    np.divide(1, out, out=out)


def sigmoid_gradient(g: Array, out: Array) -> Array:
    """Compute ``g · out · (1 − out)``, the gradient of the input of `sigmoid`.

    Examples
    --------
    >>> import numpy as np
    >>> sigmoid_gradient(np.array([4.0]), np.array([0.5]))
    array([1.])
    """

    def formula(result: Array, out: Array, g: Array) -> None:
        np.subtract(1, out, out=result)
        np.multiply(result, out, out=result)
        np.multiply(result, g, out=result)

    return map_blocks(formula, out, g)


def tanh_gradient(g: Array, out: Array) -> Array:
    """Compute ``g · (1 − out²)``, the gradient of the input of tanh.

    Examples
    --------
    >>> import numpy as np
    >>> tanh_gradient(np.array([4.0]), np.array([0.5]))
    array([3.])
    """

    def formula(result: Array, out: Array, g: Array) -> None:
        np.multiply(out, out, out=result)
        np.subtract(1, result, out=result)
        np.multiply(result, g, out=result)

    return map_blocks(formula, out, g)


def softplus(x: Array) -> Array:
    """Compute ``log(1 + exp(x)) = max(x, 0) + log1p(exp(−|x|))``.

    Examples
    --------
    >>> import numpy as np
    >>> print(softplus(np.array([-1e4, 0.0, 1e4])).round(4))
    [0.000e+00 6.931e-01 1.000e+04]
    """

    def formula(out: Array, x: Array) -> None:
        np.abs(x, out=out)
        np.negative(out, out=out)
        np.exp(out, out=out)
        np.log1p(out, out=out)
        np.add(out, np.maximum(x, 0), out=out)

    return map_blocks(formula, x)


def silu(x: Array) -> Array:
    """Compute ``x · sigmoid(x)``; its limit at −∞ is 0.

    Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units" (2018).

    Examples
    --------
    >>> import numpy as np
    >>> print(silu(np.array([-np.inf, 0.0, np.inf])) + 0.0)
    [ 0.  0. inf]
    """

    def formula(out: Array, x: Array) -> None:
        _sigmoid(out, x)
        _times_bounded(out, x)

    return map_blocks(formula, x)


def silu_gradient(g: Array, x: Array) -> Array:
    """Compute ``g · s · (1 + x · (1 − s))`` with ``s = sigmoid(x)``.

    Examples
    --------
    >>> import numpy as np
    >>> silu_gradient(np.array([4.0]), np.array([0.0]))
    array([2.])
    """

    def formula(out: Array, x: Array, g: Array) -> None:
        _sigmoid(out, x)
        rise = 1 - out
        _times_finite(rise, x)
        np.add(rise, 1, out=rise)
        np.multiply(out, rise, out=out)
        np.multiply(out, g, out=out)

    return map_blocks(formula, x, g)


def _times_bounded(out: Array, x: Array) -> None:
    """Multiply a factor that vanishes at −∞ by `x`, kept finite there: 0 · ∞ has no value."""
    np.multiply(out, np.maximum(x, np.finfo(x.dtype).min), out=out)


def _times_finite(out: Array, x: Array) -> None:
    """Multiply a factor that vanishes at ±∞ by `x`, kept finite there."""
    limits = np.finfo(x.dtype)
    np.multiply(out, np.clip(x, limits.min, limits.max), out=out)


def erf(x: Array) -> Array:
    """Compute the error function ``2/√π ∫₀ˣ exp(−t²) dt``.

    Within 2e-15 of float64 and 4e-7 of float32, relative; see `erf` for the sources.

    Examples
    --------
    >>> import numpy as np
    >>> erf(np.array([0.5])).round(6)
    array([0.5205])
    """
    return map_blocks(erf_into, x)


def normal_cdf(x: Array) -> Array:
    """Compute the standard normal distribution function ``½ · (1 + erf(x / √2))``.

    Examples
    --------
    >>> import numpy as np
    >>> normal_cdf(np.array([0.0]))
    array([0.5])
    """
    return map_blocks(_normal_cdf, x)


def _normal_cdf(out: Array, x: Array) -> None:
    erf_into(out, x * x.dtype.type(math.sqrt(0.5)))
    np.add(out, 1, out=out)
    np.multiply(out, 0.5, out=out)


def gelu(x: Array, approximate: str = "none") -> Array:
    """Compute ``x · Φ(x)``, Φ the standard normal distribution function.

    Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016). With `approximate` = "tanh",
    ``½ · x · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))``. The limit at −∞ is 0.

    Parameters
    ----------
    x
        Any shape.
    approximate
        "none" or "tanh".

    Examples
    --------
    >>> import numpy as np
    >>> gelu(np.array([1.0])).round(6), gelu(np.array([1.0]), "tanh").round(6)
    (array([0.841345]), array([0.841192]))
    """
    assert approximate in ("none", "tanh"), approximate
    half = _normal_cdf if approximate == "none" else _tanh_cdf

    def formula(out: Array, x: Array) -> None:
        half(out, x)
        _times_bounded(out, x)

    return map_blocks(formula, x)


def gelu_gradient(g: Array, x: Array) -> Array:
    """Compute ``g · (Φ(x) + x · φ(x))``, φ the normal density: the gradient of exact `gelu`.

    Examples
    --------
    >>> import numpy as np
    >>> gelu_gradient(np.array([4.0]), np.array([0.0]))
    array([2.])
    """

    def formula(out: Array, x: Array, g: Array) -> None:
        density = x * x
        np.multiply(density, -0.5, out=density)
        np.exp(density, out=density)
        np.multiply(density, 1 / math.sqrt(2 * math.pi), out=density)
        _times_finite(density, x)
        _normal_cdf(out, x)
        np.add(out, density, out=out)
        np.multiply(out, g, out=out)

    return map_blocks(formula, x, g)


def _tanh_cdf(out: Array, x: Array) -> None:
    np.multiply(x, x, out=out)
    np.multiply(out, 0.044715, out=out)
    np.add(out, 1, out=out)
    np.multiply(out, x, out=out)
    np.multiply(out, math.sqrt(2 / math.pi), out=out)
    np.tanh(out, out=out)
    np.add(out, 1, out=out)
    np.multiply(out, 0.5, out=out)
