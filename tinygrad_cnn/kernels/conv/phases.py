"""Phases: a convolution as a sum of simpler ones, over parts of the arrays.

Elements of the input that lie a stride apart meet the same elements of the kernel; outputs that lie
a dilation apart share no element of the input with those between. A set of outputs with a set of
taps, and the elements of the input by which they meet, is a phase: a convolution of stride 1. A
result is the sum of the phases of its outputs. An element of the input is in one phase at most, so
in the gradient by the input nothing is added; each tap's gradient is the sum of its phases.

Slabs are phases of another kind: a few rows of a high kernel each, all inputs and all outputs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from math import gcd
from typing import NamedTuple

from tinygrad_cnn.kernels.conv.tiles import Geometry, Slices
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.window import Sizes, Window

__all__ = ["Phase", "phases_of", "slabs_of", "transposed", "whole"]


class Phase(NamedTuple):
    """A convolution of stride 1: some inputs, some outputs and the taps by which they meet."""

    inputs: Slices
    outputs: Slices
    taps: Slices
    window: Window

    def geometry(self, of: Geometry) -> Geometry:
        """Return that of this phase of a convolution of this geometry."""
        axes = zip(of.shape[1:-1], self.inputs, strict=True)
        sizes = tuple(len(range(size)[part]) for size, part in axes)
        shape = of.shape[0], *sizes, of.shape[-1]
        out_shape = of.out_shape[0], *self.window.out_size(sizes), of.out_shape[-1]
        is_whole = of.contiguous and shape == of.shape
        return Geometry(shape, is_whole, of.dtype, out_shape, self.window)


@planned
def transposed(window: Window, sizes: Sizes, out_sizes: Sizes) -> Window:
    """Return how the taps, last one first, lie over outputs for the gradient by the inputs."""
    padding = []
    for axis, (before, _) in enumerate(window.padding):
        reach = window.extent(axis) - 1
        padding.append((reach - before, sizes[axis] + before - out_sizes[axis]))
    return window._replace(padding=tuple(padding))


def whole(window: Window) -> Phase:
    """Return the convolution itself, as a phase of its own."""
    everything = (slice(None),) * len(window.kernel)
    return Phase(everything, everything, everything, window)


def slabs_of(window: Window, most: int) -> tuple[Phase, ...]:
    """Cut the kernel of a convolution without dilation into parts of `most` rows at most."""
    all_of_it = whole(window)
    kernel, *others = window.kernel
    (before, after), *padding = window.padding
    count = -(-kernel // most)
    cuts = [kernel * index // count for index in range(count + 1)]
    slabs = []
    for start, stop in itertools.pairwise(cuts):
        around = before - start, after - (kernel - stop)
        part = window._replace(kernel=(stop - start, *others), padding=(around, *padding))
        taps = slice(start, stop), *all_of_it.taps[1:]
        slabs.append(all_of_it._replace(taps=taps, window=part))
    return tuple(slabs)


@planned
def phases_of(
    window: Window, sizes: Sizes, undilated: bool = False, last_axis_only: bool = False
) -> tuple[Phase, ...]:
    """Return the phases over an input of this size, those of the same outputs in a row.

    Of stride 1, or only along the last axis; and without dilation, if that is wanted.
    """
    axes = []
    for axis, out_size in enumerate(window.out_size(sizes)):
        alone = Window(*(values[axis : axis + 1] for values in window))  # type: ignore[arg-type]
        if last_axis_only and axis < len(sizes) - 1:
            axes.append([whole(alone)])
        else:
            axes.append(list(_along_axis(alone, sizes[axis], out_size, undilated)))
    phases = [_joined(axes_of_one) for axes_of_one in itertools.product(*axes)]
    return tuple(sorted(phases, key=lambda phase: [part.start or 0 for part in phase.outputs]))


def _joined(axes: tuple[Phase, ...]) -> Phase:
    """Return the phase that has these along its axes."""
    inputs, outputs, taps, windows = zip(*axes, strict=True)
    window = Window(*(sum(values, ()) for values in zip(*windows, strict=True)))
    return Phase(sum(inputs, ()), sum(outputs, ()), sum(taps, ()), window)


def _along_axis(window: Window, size: int, out_size: int, undilated: bool) -> Iterator[Phase]:
    """Yield the phases of a convolution that has one axis.

    Tap k of output o meets element ``o · stride + k · dilation − before``. Of the taps every
    stride / gcd(stride, dilation)-th meets elements a stride apart, dilation / gcd elements of that
    set from one such tap to the next; and as many sets of outputs have elements of their own.
    """
    (kernel,), (stride,), ((before, _),), (dilation,) = window
    common = gcd(stride, dilation)
    period, step = stride // common, dilation // common
    sets = step if undilated else 1
    firsts = itertools.product(range(min(kernel, period)), range(min(out_size, sets)))
    for first_tap, first_out in firsts:
        taps, outputs = slice(first_tap, None, period), slice(first_out, None, sets)
        position = first_out * stride + first_tap * dilation - before
        shift, first = divmod(position, stride * sets)
        inputs = slice(first, None, stride * sets)
        length, made, count = (
            len(range(n)[part]) for n, part in ((size, inputs), (out_size, outputs), (kernel, taps))
        )
        after = made + (count - 1) * (step // sets) + shift - length
        part = Window((count,), (1,), ((-shift, after),), (step // sets,))
        yield Phase((inputs,), (outputs,), (taps,), part)
