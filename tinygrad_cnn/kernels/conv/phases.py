"""Phases: the correlations of stride 1 that make the gradient by a convolution's input.

With a stride, elements of the input that are a stride apart meet the same elements of the kernel:
each such set is a phase, and gets its gradient by a correlation of the gradient that came in.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from math import gcd
from typing import Any, NamedTuple

import numpy.typing as npt

from tinygrad_cnn.kernels.conv.tiles import Shape
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.window import Window

__all__ = ["Phase", "phases_of", "swapped"]

Array = npt.NDArray[Any]


def swapped(w: Array, groups: int) -> Array:
    """Return (*kernel, O // G, C) of (O, C // G, *kernel): inputs and outputs of groups swap."""
    out_channels, Cg, *kernel = w.shape
    parts = w.reshape(groups, out_channels // groups, Cg, *kernel)
    kernels = parts.transpose(*range(3, parts.ndim), 1, 0, 2)
    return kernels.reshape(*kernel, out_channels // groups, groups * Cg)


class Phase(NamedTuple):
    """Some of the elements of an input, which get their gradient by one correlation."""

    place: tuple[slice, ...]
    """Which elements, along each axis."""
    taps: tuple[slice, ...]
    """Which of the kernel's, the last one first."""
    window: Window
    """How they lie over the gradient."""


@planned
def phases_of(window: Window, sizes: Shape) -> tuple[Phase, ...]:
    """Return the phases of an input of this size: one for each step of the stride."""
    return tuple(_all_phases(window, sizes))


def _all_phases(window: Window, sizes: Shape) -> Iterator[Phase]:
    starts = (range(min(step, size)) for step, size in zip(window.stride, sizes, strict=True))
    out_sizes = window.out_size(sizes)
    for first in itertools.product(*starts):
        axes = []
        for axis, start in enumerate(first):
            place = slice(start, None, window.stride[axis])
            position = start + window.padding[axis][0]
            taps, dilation, before = _along_axis(
                position, window.kernel[axis], window.stride[axis], window.dilation[axis]
            )
            length, outputs = len(range(sizes[axis])[place]), len(range(window.kernel[axis])[taps])
            after = length + (outputs - 1) * dilation - before - out_sizes[axis]
            axes.append((place, taps, outputs, (before, after), dilation))
        places, taps_of, kernel, padding, dilations = zip(*axes, strict=True)
        yield Phase(places, taps_of, Window(kernel, (1,) * len(sizes), padding, dilations))


def _along_axis(position: int, taps: int, stride: int, dilation: int) -> tuple[slice, int, int]:
    """Say how one in `stride` of the input's rows gets its gradient: by a convolution of g.

    Rows at padded positions ``position + stride * q`` are reached by those taps k alone for
    which stride divides ``position - k * dilation``, from output row (position − k·dilation) /
    stride + q. So they are a convolution of stride 1 with these taps, last one first.

    Returns the slice of taps, their dilation over g, and the padding before g.
    """
    common = gcd(stride, dilation)
    period = stride // common
    reached = [k for k in range(min(taps, period)) if (position - k * dilation) % stride == 0]
    if not reached:
        return slice(0, 0), 1, 0
    first = reached[0]
    last = first + (taps - 1 - first) // period * period
    backwards = slice(last, first - 1 if first > 0 else None, -period)
    return backwards, dilation // common, (last * dilation - position) // stride
