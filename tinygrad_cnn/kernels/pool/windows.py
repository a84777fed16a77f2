"""The windows of pooling: which slices of an input they touch.

Tap k of every window at once is one strided view of the input, so a pool is a few vector
operations a tap. A tap that falls into the padding is left out of its view, instead of padding the
input. Arrays are (N, *sizes, C) here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.threads import parallel, part_size
from tinygrad_cnn.kernels.runtime.window import Sizes, Window

__all__ = ["Covering", "Index", "Tap", "covering", "sweep_images"]

Array = npt.NDArray[Any]
Index = tuple[slice | int, ...]


class Tap(NamedTuple):
    """One element of a window: its number, and the indices at which outputs and inputs meet."""

    number: int
    outputs: Index
    inputs: Index


class Covering:
    """Where windows meet an input.

    Attributes
    ----------
    along
        For each axis and each element of a window along it: the slice of the outputs for which
        that lies inside the input, and the slice of the input.
    taps
        All elements of a window, the last axis fastest, as indices of (n, *sizes, C) arrays.
    disjoint
        Whether no two windows share an element of the input.
    reach_all
        Whether windows that are disjoint reach every element.
    tap_dtype
        The smallest unsigned integer that holds a tap's number.
    """

    def __init__(self, window: Window, sizes: Sizes, out_sizes: Sizes) -> None:
        axes = list(zip(*window, sizes, out_sizes, strict=True))
        self.along = tuple(tuple(_along(*axis)) for axis in axes)
        self.taps = tuple(
            Tap(
                number,
                (slice(None), *(outputs for outputs, _ in parts)),
                (slice(None), *(inputs for _, inputs in parts)),
            )
            for number, parts in enumerate(itertools.product(*self.along))
        )
        self.disjoint = all(
            kernel == 1 or dilation * (kernel - 1) < stride
            for kernel, stride, _, dilation, _, _ in axes
        )
        is_tight = all(
            kernel == stride and (kernel == 1 or dilation == 1)
            for kernel, stride, _, dilation, _, _ in axes
        )
        self.reach_all = is_tight and all(
            n * stride - before >= size for _, stride, (before, _), _, size, n in axes
        )
        few = window.taps <= 256
        self.tap_dtype = np.dtype(np.uint8) if few else np.min_scalar_type(window.taps - 1)


def _along(
    kernel: int, stride: int, padding: tuple[int, int], dilation: int, size: int, outputs: int
) -> list[tuple[slice, slice]]:
    slices = []
    for k in range(kernel):
        offset = k * dilation - padding[0]
        first = max(0, -(offset // stride))
        stop = max(first, min(outputs, (size - 1 - offset) // stride + 1))
        start = offset + first * stride
        end = start + max(0, (stop - first - 1) * stride + 1)
        slices.append((slice(first, stop), slice(start, end if stop > first else start, stride)))
    return slices


# Worked out once for each geometry: it took 8 of 33 µs that pooling (1, 8, 26, 26) takes.
@planned
def covering(window: Window, sizes: Sizes, out_sizes: Sizes) -> Covering:
    """Return where the windows of `out_sizes` outputs meet an input of `sizes`."""
    return Covering(window, sizes, out_sizes)


def sweep_images(
    step: Callable[..., None], size: int, *arrays: Array, block_size: int = tuning.POOL_BLOCK
) -> None:
    """Call `step` on blocks of images, threads side by side; `size` elements in all."""
    if size <= tuning.POOL_GRAIN:
        step(*arrays)
        return
    images = arrays[0].shape[0]
    per_image = max(1, size // max(1, images))

    def work(start: int, stop: int) -> None:
        block = part_size(stop - start, block_size / per_image)
        for i in range(start, stop, block):
            step(*(array[i : min(i + block, stop)] for array in arrays))

    parallel(work, images, grain=-(-tuning.POOL_GRAIN // per_image))
