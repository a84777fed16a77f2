"""Elementwise functions on plain arrays: flat memory, blocks in the cache, threads.

Arrays whose memory is dense in any order of their axes, channels-last among them, are taken as
one long vector; the result has the same memory order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.erf import erf_into
from tinygrad_cnn.kernels.threads import parallel

__all__ = [
    "PARALLEL_SIZE",
    "apply",
    "erf",
    "gelu",
    "map_blocks",
    "normal_cdf",
    "relu",
    "relu_gradient",
    "sigmoid",
    "silu",
    "softplus",
]

Array = npt.NDArray[Any]

# From this many elements on, threads pay: one addition of 256 K float32 takes 30 µs, as long as
# waking a thread. Below it, call the ufunc itself.
PARALLEL_SIZE = 1 << 18
# Elements worth a thread in formulas of several steps.
_GRAIN = 1 << 16
# Elements a block: 256 KB of float32 for formulas of several steps (a quarter of that took a third
# longer with erf's many); more for a single step, where only a mask has to stay in the cache.
_BLOCK = 1 << 16
_LARGE_BLOCK = 1 << 20
# np.maximum with a number takes 2.4 times as long as with a row of at least 8192 zeros.
_ZEROS = 1 << 14
# Up to here one plain call is quicker than laying out memory.
_SMALL = 1 << 11


def memory_order(x: Array) -> tuple[int, ...] | None:
    """Return the axes from outermost to innermost in memory, or None if it has gaps."""
    if x.flags.c_contiguous:
        return tuple(range(x.ndim))
    order = tuple(sorted(range(x.ndim), key=lambda axis: -x.strides[axis]))
    return order if x.transpose(order).flags.c_contiguous else None


def apply(ufunc: np.ufunc, *arrays: Any, out: Array | None = None) -> Any:
    """Call a ufunc, over threads when the arrays are large.

    Arrays of one shape and one memory order, along with numbers, are split as flat memory; with
    operands that broadcast, the outermost axis in memory is split. Anything else goes to the
    ufunc as it is, and so does everything below `PARALLEL_SIZE`.

    Parameters
    ----------
    ufunc
        A ufunc of one result.
    arrays
        Its operands: arrays, or Python numbers.
    out
        Where to write.

    Returns
    -------
    array
        ``ufunc(*arrays, out=out)``, in the memory order that the ufunc itself gives.

    Examples
    --------
    >>> import numpy as np
    >>> apply(np.add, np.ones(3), 1.0)
    array([2., 2., 2.])
    """
    largest = max((a for a in arrays if isinstance(a, np.ndarray)), key=np.size, default=None)
    if largest is None or largest.size < PARALLEL_SIZE:
        return ufunc(*arrays, out=out)
    shape, order = largest.shape, memory_order(largest)
    if order is None or np.broadcast_shapes(*map(np.shape, arrays)) != shape:
        return ufunc(*arrays, out=out)
    if out is None:
        dtype = _result_dtype(ufunc, arrays)
        result = np.empty([shape[axis] for axis in order], dtype).transpose(np.argsort(order))
    elif out.shape == shape and not any(_partly_overlap(out, a) for a in arrays):
        result = out
    else:
        return ufunc(*arrays, out=out)
    views = [a if np.ndim(a) == 0 else np.broadcast_to(a, shape).transpose(order) for a in arrays]
    target = result.transpose(order)
    arrays_in = [view for view in views if np.ndim(view)]
    if all(view.flags.c_contiguous for view in (target, *arrays_in)):
        views = [view.reshape(-1) if np.ndim(view) else view for view in views]
        target = target.reshape(-1)

    def work(start: int, stop: int) -> None:
        cut = [view[start:stop] if np.ndim(view) else view for view in views]
        ufunc(*cut, out=target[start:stop])

    parallel(work, target.shape[0])
    return result


def _result_dtype(ufunc: np.ufunc, arrays: tuple[Any, ...]) -> np.dtype[Any]:
    """Ask the ufunc; Python numbers keep their weak types."""
    kinds = [type(a) if isinstance(a, int | float) else np.asarray(a).dtype for a in arrays]
    dtype: np.dtype[Any] = ufunc.resolve_dtypes((*kinds, None))[-1]
    return dtype


def _partly_overlap(out: Array, a: Any) -> bool:
    """Whether pieces of `out` may be written before the same memory is read through `a`."""
    if not isinstance(a, np.ndarray) or not np.may_share_memory(out, a):
        return False
    return (out.ctypes.data, out.strides, out.shape) != (a.ctypes.data, a.strides, a.shape)


def map_blocks(
    formula: Callable[..., None], x: Array, *others: Array, block: int = _BLOCK, grain: int = _GRAIN
) -> Array:
    """Call ``formula(out, x, *others)`` on blocks of flat memory, threads side by side.

    No floating-point warnings come out: what formulas do at ±∞ and NaN is on purpose.

    Parameters
    ----------
    formula
        Writes to its first argument; all arguments are vectors of one length.
    x
        Any shape; the result has its dtype, and its memory order.
    others
        Arrays of the shape of `x`; copied if their memory order differs.
    block
        Most elements a call.
    grain
        Elements worth a thread.

    Returns
    -------
    array
        Shape of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> map_blocks(lambda out, x: np.multiply(x, x, out=out), np.arange(3.0))
    array([0., 1., 4.])
    """
    order = memory_order(x)
    if order is None:
        x = x.copy(order="K")
        order = memory_order(x)
        assert order is not None, "a copy has no gaps"
    out = np.empty(x.size, x.dtype)
    # A reshape copies where the memory order is another one.
    flat = [out] + [a.transpose(order).reshape(-1) for a in (x, *others)]
    with np.errstate(all="ignore"):
        if x.size <= min(block, grain):
            formula(*flat)
        else:
            parallel(_in_blocks(formula, flat, block), x.size, grain=grain)
    if x.flags.c_contiguous:
        return out.reshape(x.shape)
    back = [order.index(axis) for axis in range(x.ndim)]
    return out.reshape([x.shape[axis] for axis in order]).transpose(back)


def _in_blocks(
    formula: Callable[..., None], arrays: list[Array], block: int
) -> Callable[[int, int], None]:
    """Return a function that calls the formula on blocks of a range, in whichever thread."""

    def work(start: int, stop: int) -> None:
        with np.errstate(all="ignore"):
            for i in range(start, stop, block):
                j = min(i + block, stop)
                formula(*(a[i:j] for a in arrays))

    return work


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
    zeros = _zeros(x.dtype)

    def formula(out: Array, x: Array) -> None:
        whole = x.size // zeros.size * zeros.size
        rows = (-1, zeros.size)
        if whole:
            np.maximum(x[:whole].reshape(rows), zeros, out=out[:whole].reshape(rows))
        np.maximum(x[whole:], zeros[: x.size - whole], out=out[whole:])

    return map_blocks(formula, x, block=_LARGE_BLOCK, grain=PARALLEL_SIZE)


@lru_cache(maxsize=8)
def _zeros(dtype: np.dtype[Any]) -> Array:
    zeros = np.zeros(_ZEROS, dtype)
    zeros.flags.writeable = False
    return zeros


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
    bits = np.dtype(f"i{g.itemsize}")
    if g.size <= _SMALL:
        return np.asarray(np.multiply(g.view(bits), out > 0)).view(g.dtype)

    def formula(result: Array, out: Array, g: Array) -> None:
        np.multiply(g.view(bits), out > 0, out=result.view(bits))

    return map_blocks(formula, out, g, block=_LARGE_BLOCK, grain=_GRAIN)


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


def _times_bounded(out: Array, x: Array) -> None:
    """Multiply a factor that vanishes at −∞ by `x`, kept finite there: 0 · ∞ has no value."""
    np.multiply(out, np.maximum(x, np.finfo(x.dtype).min), out=out)


def erf(x: Array) -> Array:
    """Compute the error function ``2/√π ∫₀ˣ exp(−t²) dt``.

    Within 2e-15 of float64 and 4e-7 of float32, relative; see `kernels.erf` for the sources.

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


def _tanh_cdf(out: Array, x: Array) -> None:
    np.multiply(x, x, out=out)
    np.multiply(out, 0.044715, out=out)
    np.add(out, 1, out=out)
    np.multiply(out, x, out=out)
    np.multiply(out, math.sqrt(2 / math.pi), out=out)
    np.tanh(out, out=out)
    np.add(out, 1, out=out)
    np.multiply(out, 0.5, out=out)
