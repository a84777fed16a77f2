"""The windows of pooling: which slices of an input they touch.

Element k of every window at once is one strided view of the input, so a pool is a few vector
operations for each k. What falls into the padding is left out of its view, instead of padding the
input. Arrays are (N, *sizes, C) here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.sweep import axis_by_axis, sweep
from tinygrad_cnn.kernels.runtime.window import Pair, Sizes, Window
from tinygrad_cnn.types import Array

__all__ = [
    "Covering",
    "Index",
    "Tap",
    "covering",
    "covering_outputs",
    "reduce_windows",
    "sweep_images",
]

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
    walks
        For each axis: the first two elements' inputs, if every output has them, else None; and the
        outputs and inputs of the other elements. These are indices of (n, *sizes, C) arrays.
    taps
        All elements of a window, the last axis fastest, as indices of (n, *sizes, C) arrays.
    out_sizes
        How many windows there are along each axis.
    disjoint
        Whether no two windows share an element of the input.
    reach_all
        Whether windows that are disjoint reach every element.
    side_by_side
        Whether they lie side by side, none over the edge; elements behind the last may be left.
    numbers, numbers_by_place
        Of the elements, in the smallest unsigned integers that hold them: a vector, and as
        `by_place` lies.
    """

    def __init__(self, window: Window, sizes: Sizes, out_sizes: Sizes) -> None:
        self.out_sizes = out_sizes
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
        self.side_by_side = is_tight and all(
            before == 0 and n * kernel <= size for kernel, _, (before, _), _, size, n in axes
        )
        dims = len(axes)
        self.numbers = np.arange(window.taps, dtype=np.min_scalar_type(window.taps - 1))
        self.numbers_by_place = self.numbers.reshape(*window.kernel, *(1,) * (dims + 2))
        self.walks = tuple(
            _walk(axis, slices, length)
            for axis, (slices, length) in enumerate(zip(self.along, out_sizes, strict=True), 1)
        )
        self._inside = slice(None), *(slice(0, n * kernel) for kernel, *_, n in axes)
        self._blocks = [length for kernel, *_, n in axes for length in (n, kernel)]
        self._order = *range(2, 2 * dims + 1, 2), 0, *range(1, 2 * dims, 2), 2 * dims + 1

    def by_place(self, x: Array) -> Array:
        """View windows that lie side by side in (n, *sizes, C) as (*kernel, n, *out sizes, C)."""
        blocks = x[self._inside].reshape(len(x), *self._blocks, x.shape[-1])
        return blocks.transpose(self._order)


def _along(
    kernel: int, stride: int, padding: Pair, dilation: int, size: int, outputs: int
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


_Walk = tuple[tuple[Index, Index] | None, tuple[tuple[Index, Index], ...]]


def _walk(axis: int, slices: Sequence[tuple[slice, slice]], length: int) -> _Walk:
    """Return the indices of the elements along an axis; see `Covering.walks`."""
    before = (slice(None),) * axis
    meets = tuple(((*before, outputs), (*before, inputs)) for outputs, inputs in slices)
    if [outputs for outputs, _ in slices[:2]] == [slice(0, length)] * 2:
        return (meets[0][1], meets[1][1]), meets[2:]
    return None, meets


@planned
def covering(window: Window, sizes: Sizes, ceil_mode: bool = False) -> Covering:
    """Return where windows meet an input of `sizes`, as many as `Window.out_size` says."""
    return Covering(window, sizes, window.out_size(sizes, ceil_mode))


@planned
def covering_outputs(window: Window, sizes: Sizes, out_sizes: Sizes) -> Covering:
    """Return where the windows of `out_sizes` outputs meet an input of `sizes`."""
    return Covering(window, sizes, out_sizes)


def reduce_windows(ufunc: np.ufunc, empty: float, x: Array, out: Array, cover: Covering) -> None:
    """Write to `out` what a ufunc of two operands makes of each window's elements.

    One axis after the other: KH + KW elements a window instead of KH · KW.

    Parameters
    ----------
    ufunc, empty
        Such as ``np.add`` or ``np.maximum``; and what it makes of no elements.
    x, out
        (n, *sizes, C) and (n, *out sizes, C).
    cover
        Where windows meet.
    """

    def along(axis: int, source: Array, target: Array) -> None:
        first, others = cover.walks[axis - 1]
        if first is None:
            target.fill(empty)
        else:
            ufunc(source[first[0]], source[first[1]], out=target)
        for outputs, inputs in others:
            ufunc(target[outputs], source[inputs], out=target[outputs])

    axis_by_axis(along, x, out, range(1, x.ndim - 1))


def sweep_images(
    step: Callable[..., None], size: int, *arrays: Array, block_size: int | None = None
) -> None:
    """Call `step` on blocks of images of `block_size` elements, threads side by side.

    There are `size` elements in all. Few take no threads, but floating-point warnings come out.
    """
    if size <= tuning.POOL_GRAIN:
        step(*arrays)
        return
    per_image = max(1, size // max(1, len(arrays[0])))
    most = (block_size or tuning.POOL_BLOCK) / per_image
    sweep(step, *arrays, most=most, grain=-(-tuning.POOL_GRAIN // per_image))
