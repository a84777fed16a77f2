"""The windows of pooling: which slices of an input they touch.

Element k of every window at once is one strided view of the input, so a pool is a few vector
operations for each k. What falls into the padding is left out of its view, instead of padding the
input. Arrays are (N, *sizes, C) here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.copies import channels_first, channels_last
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.sweep import axis_by_axis, sweep
from tinygrad_cnn.kernels.runtime.window import Pair, Sizes, Window
from tinygrad_cnn.types import Array

__all__ = [
    "AlongAxis",
    "Covering",
    "Index",
    "Meeting",
    "along_axis",
    "covering",
    "covering_outputs",
    "map_images",
    "reduce_windows",
    "reducing",
    "sweep_images",
]

Index = tuple[slice, ...]

Meeting = tuple[Index, Index]
"""Indices at which an array of outputs and one of inputs meet."""

AlongAxis = Callable[[int, Array, Array], None]
"""A step ``(axis, source, target)`` for `axis_by_axis`."""


class Covering:
    """Where windows meet an input, in arrays (n, *sizes, C).

    - ``along``: for each axis, for each element of a window along it, the outputs for which it lies
      inside of the input, and the inputs
    - ``are_whole``: for each axis, whether all outputs have the first two elements
    - ``taps``: for each element of a window, the last axis fastest, its number, outputs and inputs
    - ``out_sizes``: how many windows there are along each axis
    - ``disjoint``: whether no two windows share an element of the input
    - ``reach_all``: whether windows that are disjoint reach every element
    - ``side_by_side``: whether windows that are disjoint have no gaps, and none is over the edge;
      elements behind the last may be left
    - ``numbers``: of the elements, in the smallest unsigned integers, as `by_place` lies
    """

    def __init__(self, window: Window, sizes: Sizes, out_sizes: Sizes) -> None:
        self.out_sizes = out_sizes
        axes = list(zip(*window, sizes, out_sizes, strict=True))
        each = [_elements(*axis) for axis in axes]
        self.along = [along_axis(axis, pairs) for axis, pairs in enumerate(each, 1)]
        self.are_whole = [
            [outputs for outputs, _ in pairs[:2]] == [slice(0, n)] * 2
            for pairs, n in zip(each, out_sizes, strict=True)
        ]
        dtype, whole = np.min_scalar_type(window.taps - 1), slice(None)
        self.taps: list[tuple[Any, Index, Index]] = [
            (dtype.type(number), (whole, *(o for o, _ in pairs)), (whole, *(i for _, i in pairs)))
            for number, pairs in enumerate(itertools.product(*each))
        ]
        self.disjoint = all(k == 1 or d * (k - 1) < s for k, s, _, d, _, _ in axes)
        is_tight = all(k == s and (k == 1 or d == 1) for k, s, _, d, _, _ in axes)
        self.reach_all = is_tight and all(
            n * s - before >= size for _, s, (before, _), _, size, n in axes
        )
        self.side_by_side = is_tight and all(
            before == 0 and n * k <= size for k, _, (before, _), _, size, n in axes
        )
        dims = len(axes)
        numbers = np.arange(window.taps, dtype=dtype)
        self.numbers = numbers.reshape(*window.kernel, *(1,) * (dims + 2))
        self._inside = whole, *(slice(0, n * k) for k, *_, n in axes)
        self._blocks = [length for k, *_, n in axes for length in (n, k)]
        self._order = *range(2, 2 * dims + 1, 2), 0, *range(1, 2 * dims, 2), 2 * dims + 1

    def by_place(self, x: Array) -> Array:
        """View windows that lie side by side in (n, *sizes, C) as (*kernel, n, *out sizes, C)."""
        blocks = x[self._inside].reshape(len(x), *self._blocks, x.shape[-1])
        return blocks.transpose(self._order)


def along_axis(axis: int, pairs: Sequence[tuple[slice, slice]]) -> list[Meeting]:
    """Turn slices of outputs and of inputs along an axis into indices of arrays."""
    before = (slice(None),) * axis
    return [((*before, outputs), (*before, inputs)) for outputs, inputs in pairs]


def _elements(
    kernel: int, stride: int, padding: Pair, dilation: int, size: int, outputs: int
) -> list[tuple[slice, slice]]:
    """Return where outputs and inputs meet along an axis, for each element of a window."""
    slices = []
    for k in range(kernel):
        offset = k * dilation - padding[0]
        first = max(0, -(offset // stride))
        stop = max(first, min(outputs, (size - 1 - offset) // stride + 1))
        start = offset + first * stride
        end = start + max(0, (stop - first - 1) * stride + 1)
        slices.append((slice(first, stop), slice(start, end if stop > first else start, stride)))
    return slices


@planned
def covering(window: Window, sizes: Sizes, ceil_mode: bool = False) -> Covering:
    """Return where windows meet an input of `sizes`, as many as `Window.out_size` says."""
    return Covering(window, sizes, window.out_size(sizes, ceil_mode))


@planned
def covering_outputs(window: Window, sizes: Sizes, out_sizes: Sizes) -> Covering:
    """Return where the windows of `out_sizes` outputs meet an input of `sizes`."""
    return Covering(window, sizes, out_sizes)


def reducing(ufunc: np.ufunc, empty: float, cover: Covering) -> AlongAxis:
    """Return the step that reduces windows along an axis by a ufunc, no elements to `empty`."""

    def step(axis: int, source: Array, target: Array) -> None:
        meetings = cover.along[axis - 1]
        if cover.are_whole[axis - 1]:
            (_, first), (_, second), *meetings = meetings
            ufunc(source[first], source[second], out=target)
        else:
            target.fill(empty)
        for outputs, inputs in meetings:
            ufunc(target[outputs], source[inputs], out=target[outputs])

    return step


def reduce_windows(ufunc: np.ufunc, empty: float, x: Array, out: Array, cover: Covering) -> None:
    """Write to `out` what a ufunc of two operands makes of each window, `empty` of no elements.

    One axis after the other: KH + KW elements a window instead of KH · KW.
    """
    axis_by_axis(reducing(ufunc, empty, cover), x, out, range(1, x.ndim - 1))


def map_images(step: Callable[..., None], x: Array, sizes: Sizes, *others: Array) -> Array:
    """Return (N, C, *sizes), of which ``step(source, *others, out)`` writes blocks of images.

    `x` and the others are (N, C, …), blocks of them channels last.
    """
    out = np.empty((x.shape[0], *sizes, x.shape[1]), x.dtype)
    sweep_images(step, channels_last(x), *map(channels_last, others), out)
    return channels_first(out)


def sweep_images(step: Callable[..., None], *arrays: Array, block_size: int | None = None) -> None:
    """Call `step` on blocks of images, of `block_size` elements of the first or the last array.

    Threads work side by side; few elements take none, but floating-point warnings come out.
    """
    size = max(arrays[0].size, arrays[-1].size)
    if size <= tuning.STRIDED_GRAIN:
        step(*arrays)
        return
    per_image = max(1, size // max(1, len(arrays[0])))
    most = (block_size or tuning.WIDE_BLOCK) / per_image
    sweep(step, *arrays, most=most, grain=-(-tuning.STRIDED_GRAIN // per_image))
