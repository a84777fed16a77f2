"""Sweeps: a step of several passes, run over parts that stay in the cache, threads side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from tinygrad_cnn.kernels.runtime.threads import parallel, part_size
from tinygrad_cnn.types import Array

__all__ = ["axis_by_axis", "sweep"]


def sweep(step: Callable[..., None], *arrays: Array, most: float, grain: int) -> None:
    """Call ``step(*parts)`` on parts along the first axis of all arrays, threads side by side.

    No floating-point warnings come out: what steps do at ±∞ and NaN is on purpose.

    Parameters
    ----------
    step
        Writes to some of its arguments.
    arrays
        Of one length.
    most
        How many items, along the first axis, a part has: about as many as stay in the cache.
    grain
        Items worth a thread; see `parallel`.

    Examples
    --------
    >>> x, y = np.arange(5.0), np.empty(5)
    >>> sweep(lambda x, y: np.multiply(x, x, out=y), x, y, most=2, grain=1000)
    >>> y
    array([ 0.,  1.,  4.,  9., 16.])
    """
    length = len(arrays[0])
    if length <= min(most, grain):
        with np.errstate(all="ignore"):
            step(*arrays)
        return

    def work(start: int, stop: int) -> None:
        size = part_size(stop - start, most)
        with np.errstate(all="ignore"):  # of this thread
            for i in range(start, stop, size):
                step(*[array[i : min(i + size, stop)] for array in arrays])

    parallel(work, length, grain=grain)


def axis_by_axis(
    step: Callable[[int, Array, Array], None], source: Array, out: Array, axes: Iterable[int]
) -> None:
    """Call ``step(axis, source, target)`` along one axis after the other, on what was made so far.

    Its target has the size of `out` along the axes that are done; the last one is `out`.

    Examples
    --------
    >>> out = np.empty((1, 1))
    >>> add = lambda axis, source, target: np.add.reduce(source, axis, out=target, keepdims=True)
    >>> axis_by_axis(add, np.ones((2, 3)), out, [0, 1])
    >>> out
    array([[6.]])
    """
    *others, last = axes
    for axis in others:
        shape = *source.shape[:axis], out.shape[axis], *source.shape[axis + 1 :]
        target = np.empty(shape, out.dtype)
        step(axis, source, target)
        source = target
    step(last, source, out)
