"""Elementwise functions on plain arrays: flat memory, blocks in the cache, threads.

Arrays whose memory is dense in any order of their axes, channels-last among them, are taken as
one long vector; the result has the same memory order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.copies import contiguous
from tinygrad_cnn.kernels.runtime.sweep import sweep
from tinygrad_cnn.kernels.runtime.threads import parallel
from tinygrad_cnn.types import Array, Shape

__all__ = ["PARALLEL_SIZE", "apply", "constant", "embed", "in_blocks", "map_blocks"]

PARALLEL_SIZE = 2 * tuning.PASS_GRAIN
"""Elements from which a single ufunc is shared out."""


def memory_order(x: Array) -> tuple[int, ...] | None:
    """Return the axes from outermost to innermost in memory, or None if it has gaps."""
    if x.flags.c_contiguous:
        return tuple(range(x.ndim))
    order = _outermost_first(x.strides)
    return order if x.transpose(order).flags.c_contiguous else None


@lru_cache(maxsize=1024)
def _outermost_first(strides: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(strides)), key=lambda axis: -strides[axis]))


# NumPy makes an array of a Python number in every call: x + 1.5, 8 numbers, takes 0.60 µs, and 0.46
# if that is looked up here.
@lru_cache(maxsize=1024)
def constant(number: float, dtype: np.dtype[Any]) -> Any:
    """Return a number, not 0, as a read-only array of shape () for operands of a dtype.

    If that is not floating-point, or cannot hold the number, the number itself: then NumPy decides,
    and warns. Not 0, for 0.0 and −0.0 would find the same array.
    """
    if dtype.kind != "f":
        return number
    with np.errstate(over="ignore"):
        array = np.array(number, dtype)
    array.flags.writeable = False
    return number if np.isinf(array) else array


def apply(ufunc: np.ufunc, *arrays: Any, out: Array | None = None) -> Any:
    """Return ``ufunc(*arrays, out=out)``, over threads when the arrays are large.

    Arrays of one shape and one memory order, along with numbers, are split as flat memory; with
    operands that broadcast, the outermost axis in memory is split. Anything else goes to the
    ufunc as it is, and so does everything below `PARALLEL_SIZE`.
    """
    for a in arrays:
        if isinstance(a, np.ndarray) and a.size >= PARALLEL_SIZE:
            return _apply_in_parallel(ufunc, arrays, out)
    return ufunc(*arrays, out=out)


def _apply_in_parallel(ufunc: np.ufunc, arrays: tuple[Any, ...], out: Array | None) -> Any:
    largest = max((a for a in arrays if isinstance(a, np.ndarray)), key=np.size)
    shape, order = largest.shape, memory_order(largest)
    if order is None or np.broadcast_shapes(*map(np.shape, arrays)) != shape:
        return ufunc(*arrays, out=out)
    if out is None:
        result = np.empty_like(largest, _result_dtype(ufunc, arrays))
    elif out.shape != shape or any(np.may_share_memory(out, a) for a in arrays if a is not out):
        # Parts of it may be written before the same memory is read through an operand.
        return ufunc(*arrays, out=out)
    else:
        result = out
    target = result.transpose(order)
    views = [a if np.ndim(a) == 0 else np.broadcast_to(a, shape).transpose(order) for a in arrays]
    if all(view.flags.c_contiguous for view in (target, *views) if np.ndim(view)):
        target = target.reshape(-1)
        views = [view.reshape(-1) if np.ndim(view) else view for view in views]

    def work(start: int, stop: int) -> None:
        cut = [view[start:stop] if np.ndim(view) else view for view in views]
        ufunc(*cut, out=target[start:stop])

    length = target.shape[0]
    parallel(work, length, grain=-(-tuning.PASS_GRAIN * length // target.size))
    return result


def _result_dtype(ufunc: np.ufunc, arrays: tuple[Any, ...]) -> np.dtype[Any]:
    """Ask the ufunc; Python numbers keep their weak types."""
    kinds = [type(a) if isinstance(a, int | float) else np.asarray(a).dtype for a in arrays]
    dtype: np.dtype[Any] = ufunc.resolve_dtypes((*kinds, None))[-1]
    return dtype


def map_blocks(
    formula: Callable[..., None],
    *arrays: Array,
    block: int | None = None,
    grain: int | None = None,
) -> Array:
    """Call ``formula(out, *arrays)`` on blocks of flat memory, threads side by side.

    The arrays have one shape; the result has the last one's dtype and memory order. A call gets
    vectors of `block` elements at most, a thread `grain` at least. No floating-point warnings come
    out: what formulas do at ±∞ and NaN is on purpose.

    >>> map_blocks(lambda out, x: np.multiply(x, x, out=out), np.arange(3.0))
    array([0., 1., 4.])
    """
    *others, x = arrays
    order = memory_order(x)
    if order is None:
        x = x.copy(order="K")
        order = memory_order(x)
        assert order is not None, "a copy has no gaps"
    out = np.empty_like(x)
    views = [out, *others, x]
    if not x.flags.c_contiguous:
        views = [view.transpose(order) for view in views]
    vectors = [contiguous(view).reshape(-1) for view in views]
    most, grain = block or tuning.FORMULA_BLOCK, grain or tuning.GRAIN
    sweep(formula, *vectors, most=most, grain=grain)
    return out


def in_blocks(formula: Callable[..., None]) -> Callable[..., Array]:
    """Return a function of whole arrays that calls a formula in blocks; see `map_blocks`."""

    @wraps(formula)
    def whole(*arrays: Array) -> Array:
        return map_blocks(formula, *arrays)

    return whole


def embed(inner: Array, shape: Shape, key: Any, value: float = 0) -> Array:
    """Return an array that is `inner` at a basic index, ``[key]``, and `value` elsewhere.

    >>> embed(np.ones((1, 2)), (1, 5), (slice(None), slice(1, None, 2)))
    array([[0., 1., 0., 1., 0.]])
    """
    out = np.empty_like(inner, shape=shape)
    out[...] = value
    out[key] = inner
    return out
