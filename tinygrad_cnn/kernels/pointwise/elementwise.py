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

PARALLEL_SIZE = 2 * tuning.UFUNC_GRAIN
"""Elements from which a single ufunc is shared out."""


@lru_cache(maxsize=1024)
def _outermost_first(strides: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(strides)), key=lambda axis: -strides[axis]))


@lru_cache(maxsize=1024)
def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(order.index(axis) for axis in range(len(order)))


def memory_order(x: Array) -> tuple[int, ...] | None:
    """Return the axes from outermost to innermost in memory, or None if it has gaps."""
    if x.flags.c_contiguous:
        return tuple(range(x.ndim))
    order = _outermost_first(x.strides)
    return order if x.transpose(order).flags.c_contiguous else None


# NumPy makes an array of a Python number in every call: x + 1.5, 8 numbers, takes 0.60 µs, and 0.46
# if that is looked up here.
@lru_cache(maxsize=1024)
def constant(number: float, dtype: np.dtype[Any]) -> Any:
    """Return a number, not 0, as a read-only array of shape () for operands of a dtype.

    If that is not floating-point, or cannot hold the number, the number itself: then NumPy decides,
    and warns. Not 0, for 0.0 and −0.0 would find the same array.

    Examples
    --------
    >>> constant(1.5, np.dtype(np.float32))
    array(1.5, dtype=float32)
    """
    if dtype.kind != "f":
        return number
    with np.errstate(over="ignore"):
        array = np.array(number, dtype)
    array.flags.writeable = False
    return number if np.isinf(array) else array


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
    >>> apply(np.add, np.ones(3), 1.0)
    array([2., 2., 2.])
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
        dtype = _result_dtype(ufunc, arrays)
        result = np.empty([shape[axis] for axis in order], dtype).transpose(_inverse(order))
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

    settings = np.geterr()  # a thread has settings of its own

    def work(start: int, stop: int) -> None:
        cut = [view[start:stop] if np.ndim(view) else view for view in views]
        with np.errstate(**settings):
            ufunc(*cut, out=target[start:stop])

    length = target.shape[0]
    parallel(work, length, grain=-(-tuning.UFUNC_GRAIN * length // target.size))
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
    formula: Callable[..., None],
    *arrays: Array,
    block: int | None = None,
    grain: int | None = None,
) -> Array:
    """Call ``formula(out, *arrays)`` on blocks of flat memory, threads side by side.

    No floating-point warnings come out: what formulas do at ±∞ and NaN is on purpose.

    Parameters
    ----------
    formula
        Writes to its first argument; all arguments are vectors of one length.
    arrays
        Of one shape. The result has the last one's dtype and memory order; others are copied if
        theirs differs.
    block
        Most elements a call.
    grain
        Elements worth a thread.

    Returns
    -------
    array
        Shape of the arrays.

    Examples
    --------
    >>> map_blocks(lambda out, x: np.multiply(x, x, out=out), np.arange(3.0))
    array([0., 1., 4.])
    """
    *others, x = arrays
    order = memory_order(x)
    if order is None:
        x = x.copy(order="K")
        order = memory_order(x)
        assert order is not None, "a copy has no gaps"
    out = np.empty(x.size, x.dtype)
    flat = [contiguous(a.transpose(order)).reshape(-1) for a in others]
    flat.append(x.transpose(order).reshape(-1))
    most, grain = block or tuning.FORMULA_BLOCK, grain or tuning.GRAIN
    sweep(formula, out, *flat, most=most, grain=grain)
    if x.flags.c_contiguous:
        return out.reshape(x.shape)
    return out.reshape([x.shape[axis] for axis in order]).transpose(_inverse(order))


def in_blocks(formula: Callable[..., None]) -> Callable[..., Array]:
    """Return a function of whole arrays that calls a formula in blocks; see `map_blocks`.

    Examples
    --------
    >>> @in_blocks
    ... def square(out, x):
    ...     np.multiply(x, x, out=out)
    >>> square(np.arange(3.0))
    array([0., 1., 4.])
    """

    @wraps(formula)
    def whole(*arrays: Array) -> Array:
        return map_blocks(formula, *arrays)

    return whole


def embed(inner: Array, shape: Shape, key: Any, value: float = 0) -> Array:
    """Return an array that is `inner` at ``[key]`` and `value` elsewhere.

    Parameters
    ----------
    inner
        Of the shape that ``[key]`` selects.
    shape
        Of the result, which has the dtype and memory order of `inner`.
    key
        A basic index.
    value
        A number.

    Examples
    --------
    >>> embed(np.ones((1, 2)), (1, 5), (slice(None), slice(1, None, 2)))
    array([[0., 1., 0., 1., 0.]])
    """
    out = np.empty_like(inner, shape=shape)
    out[...] = value
    out[key] = inner
    return out
