"""Sweeps: a step of several passes, run over parts that stay in the cache, threads side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from tinygrad_cnn.kernels.runtime.threads import parallel, part_size
from tinygrad_cnn.types import Array

__all__ = ["axis_by_axis", "sweep"]


def sweep(step: Callable[..., None], *arrays: Array, most: float, grain: int) -> None:
    """Call ``step(*parts)``, which writes to some of them, on parts along the arrays' first axis.

    A part has about `most` items; `grain` of them are worth a thread. No floating-point warnings
    come out.

    Examples
    --------
    >>> x, y = np.arange(5.0), np.empty(5)
    >>> sweep(lambda x, y: np.multiply(x, x, out=y), x, y, most=2, grain=1000)
    >>> y
    array([ 0.,  1.,  4.,  9., 16.])
    """
    length = len(arrays[0])

    def work(start: int, stop: int) -> None:
        size = part_size(stop - start, most)
        for i in range(start, stop, size):
            step(*[array[i : min(i + size, stop)] for array in arrays])

    with np.errstate(all="ignore"):
        if length <= min(most, grain):
            step(*arrays)
        else:
            parallel(work, length, grain=grain)


def axis_by_axis(
    step: Callable[[int, Array, Array], None], source: Array, out: Array, axes: Iterable[int]
) -> None:
    """Call ``step(axis, source, target)`` along one axis after the other, on what was made so far.

    Its target has the size of `out` along the axes that are done; the last one is `out`.
    """
    *others, last = axes
    for axis in others:
        shape = *source.shape[:axis], out.shape[axis], *source.shape[axis + 1 :]
        target = np.empty(shape, out.dtype)
        step(axis, source, target)
        source = target
    step(last, source, out)
