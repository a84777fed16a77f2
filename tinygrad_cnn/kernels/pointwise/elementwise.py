"""Elementwise functions on plain arrays: flat memory, blocks in the cache, threads.

Arrays whose memory is dense in any order of their axes, channels-last among them, are taken as
one long vector; the result has the same memory order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.runtime.copies import GRAIN, contiguous
from tinygrad_cnn.kernels.runtime.threads import parallel, part_size

__all__ = ["PARALLEL_SIZE", "apply", "constant", "embed", "map_blocks"]

Array = npt.NDArray[Any]

# One addition of 256 K float32 takes 30 µs, as long as waking a thread; from two of these on,
# threads pay.
_UFUNC_GRAIN = 1 << 18
PARALLEL_SIZE = 2 * _UFUNC_GRAIN
# Elements a block: 256 KB of float32 for formulas of several steps (a quarter of that took a third
# longer with erf's many).
_BLOCK = 1 << 16


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
    >>> import numpy as np
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
    parallel(work, length, grain=-(-_UFUNC_GRAIN * length // target.size))
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
    formula: Callable[..., None], x: Array, *others: Array, block: int = _BLOCK, grain: int = GRAIN
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
    flat = [out, x.transpose(order).reshape(-1)] + [
        contiguous(a.transpose(order)).reshape(-1) for a in others
    ]
    with np.errstate(all="ignore"):
        if x.size <= min(block, grain):
            formula(*flat)
        else:
            parallel(_in_blocks(formula, flat, block), x.size, grain=grain)
    if x.flags.c_contiguous:
        return out.reshape(x.shape)
    return out.reshape([x.shape[axis] for axis in order]).transpose(_inverse(order))


def _in_blocks(
    formula: Callable[..., None], arrays: list[Array], block: int
) -> Callable[[int, int], None]:
    """Return a function that calls the formula on blocks of a range, in whichever thread."""

    def work(start: int, stop: int) -> None:
        size = part_size(stop - start, block)
        with np.errstate(all="ignore"):
            for i in range(start, stop, size):
                j = min(i + size, stop)
                formula(*(a[i:j] for a in arrays))

    return work


# Shortcuts of ResNet-20, (128, 16, 16, 16) among 32 channels and in every second pixel of 32 × 32:
# one thread 0.51 and 0.68 ms, two 0.41 and 0.53.
def embed(inner: Array, shape: tuple[int, ...], key: Any, value: float = 0) -> Array:
    """Return an array that is `inner` at ``[key]`` and `value` elsewhere, images side by side.

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
    >>> import numpy as np
    >>> embed(np.ones((1, 2)), (1, 5), (slice(None), slice(1, None, 2)))
    array([[0., 1., 0., 1., 0.]])
    """
    out = np.empty_like(inner, shape=shape)
    if out.size < PARALLEL_SIZE or not _takes_all(key, inner, shape):
        out[...] = value
        out[key] = inner
        return out
    rest = key[1:]

    def work(start: int, stop: int) -> None:
        part = out[start:stop]
        part[...] = value
        part[:, *rest] = inner[start:stop]

    parallel(work, shape[0], grain=-(-GRAIN * shape[0] // out.size))
    return out


def _takes_all(key: Any, inner: Array, shape: tuple[int, ...]) -> bool:
    """Whether a key leaves the first axis as it is."""
    if not isinstance(key, tuple) or not key or not inner.ndim or len(inner) != shape[0]:
        return False
    return key[0] in (slice(None), slice(0, shape[0]))
