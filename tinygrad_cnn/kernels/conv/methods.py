"""Which jobs a convolution is made of: by groups, by phases, and by the method that is quickest.

Arrays are (N, *sizes, C) here, weights (*kernel, C // G, O).
"""

from __future__ import annotations

import math
from itertools import groupby
from typing import NamedTuple

from tinygrad_cnn.kernels.conv.depthwise import DepthwiseSums
from tinygrad_cnn.kernels.conv.epilogue import Epilogue
from tinygrad_cnn.kernels.conv.jobs import Correlation, Method, WeightGradient
from tinygrad_cnn.kernels.conv.phases import Phase, phases_of, slabs_of, whole
from tinygrad_cnn.kernels.conv.tiles import ONE, Geometry, Slices, geometry_of
from tinygrad_cnn.kernels.conv.windows import quickest_matrix
from tinygrad_cnn.kernels.conv.winograd import TAPS, MinimalFiltering
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.types import Array

__all__ = ["correlations", "quicker_phases", "quickest_method", "weight_gradients"]


def correlations(
    x: Array, w: Array, window: Window, groups: int, epilogue: Epilogue
) -> list[Correlation]:
    """Return the jobs that correlate `x` with `w` (*kernel, C // G, O), for an epilogue."""
    jobs = []
    for piece in _pieces(geometry_of(x, epilogue.shape, window, epilogue.block), groups, False):
        source, target = x[piece.inputs], epilogue.piece(piece.outputs, piece.adds, piece.is_last)
        geometry = geometry_of(source, target.shape, piece.window, target.block)
        method = quickest_method(geometry, False, piece.is_depthwise)
        jobs.append(Correlation(method, source, w[piece.weights], target))
    return jobs


def weight_gradients(
    x: Array, g: Array, dw: Array, window: Window, groups: int
) -> list[WeightGradient]:
    """Return the jobs that sum over positions, and add to `dw` (*kernel, C // G, O)."""
    jobs = []
    for piece in _pieces(geometry_of(x, g.shape, window), groups, True):
        source, over = x[piece.inputs], g[piece.outputs]
        geometry = geometry_of(source, over.shape, piece.window)
        method = quickest_method(geometry, True, piece.is_depthwise)
        jobs.append(WeightGradient(method, source, over, dw[piece.weights]))
    return jobs


class _Piece(NamedTuple):
    """A piece of a convolution: which inputs make which outputs by which weights, and how.

    It `adds` to what a piece before it wrote to the same outputs, if there is one.
    """

    inputs: Slices
    outputs: Slices
    weights: Slices
    window: Window
    is_depthwise: bool
    adds: bool
    is_last: bool


@planned
def _pieces(geometry: Geometry, groups: int, sums: bool) -> list[_Piece]:
    """Cut a convolution into groups and phases; those of the same outputs in a row."""
    C, out_channels = geometry.shape[-1], geometry.out_shape[-1]
    is_depthwise = C == out_channels == groups > 1
    if is_depthwise:
        groups = 1
        phases = phases_of(geometry.window, geometry.shape[1:-1], last_axis_only=True)
    else:
        group = geometry._replace(
            shape=(*geometry.shape[:-1], C // groups),
            contiguous=geometry.contiguous and groups == 1,
            out_shape=(*geometry.out_shape[:-1], out_channels // groups),
        )
        phases = quicker_phases(group, sums)
    every = slice(None)
    pieces = []
    for index in range(groups):
        sizes = C // groups, out_channels // groups
        ins, outs = (slice(index * size, (index + 1) * size) for size in sizes)
        for outputs, together in groupby(phases, lambda phase: phase.outputs):
            same = list(together)
            for number, phase in enumerate(same):
                places = (every, *phase.inputs, ins), (every, *outputs, outs)
                weights = *phase.taps, every, outs
                rank = number > 0, phase is same[-1]
                pieces.append(_Piece(*places, weights, phase.window, is_depthwise, *rank))
    return pieces


@planned
def quickest_method(geometry: Geometry, sums: bool, is_depthwise: bool = False) -> Method:
    """Return a way to convolve, or with `sums` for the gradient of the weights.

    It is minimal filtering or a layout of windows, by estimates of what they take.
    """
    if is_depthwise:
        return DepthwiseSums(geometry, sums)
    matrix = quickest_matrix(geometry, sums)
    if MinimalFiltering.serves(geometry):
        filtering = MinimalFiltering(geometry, sums)
        if filtering.cost < matrix.cost:
            return filtering
    return matrix


@planned
def quicker_phases(geometry: Geometry, sums: bool) -> tuple[Phase, ...]:
    """Return the phases in which a convolution is quickest: it may be one, the convolution itself.

    Without strides and dilation, and to a few rows of a kernel, minimal filtering applies; but
    results are added up, and there are more tiles.
    """
    window = geometry.window
    alone = (whole(window),)
    steps = math.prod(window.stride) * math.prod(window.dilation)
    if steps > tuning.MOST_PHASES or geometry.block != ONE:
        return alone
    if steps > 1:
        phases = phases_of(window, geometry.shape[1:-1], undilated=True)
    elif window.kernel[0] >= TAPS.stop:
        phases = slabs_of(window, 4)  # of three and four rows half of the multiplications are saved
    else:
        return alone
    parts = [phase.geometry(geometry) for phase in phases]
    if not all(all(part.shape) for part in parts):
        return alone
    cost = sum(quickest_method(part, sums).cost for part in parts)
    return phases if cost < tuning.PHASES_GAIN * quickest_method(geometry, sums).cost else alone
