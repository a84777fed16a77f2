"""Which jobs a convolution is made of: by groups, by phases, and by the method that is quickest.

Arrays are (N, *sizes, C) here, weights (*kernel, C // G, O).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple

import numpy as np

from tinygrad_cnn.kernels.conv.correlation import Correlation, WeightGradient
from tinygrad_cnn.kernels.conv.depthwise import DepthwiseCorrelation, DepthwiseWeightGradient
from tinygrad_cnn.kernels.conv.epilogue import Epilogue
from tinygrad_cnn.kernels.conv.jobs import Job
from tinygrad_cnn.kernels.conv.phases import Phase, phases_of, whole
from tinygrad_cnn.kernels.conv.tiles import ONE, Geometry, Shape
from tinygrad_cnn.kernels.conv.windows import MatrixPlan, matrix_plan
from tinygrad_cnn.kernels.conv.winograd import WinogradPlan, quicker_plan
from tinygrad_cnn.kernels.conv.winograd_conv import WinogradCorrelation, WinogradWeightGradient
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.window import Pair, Window
from tinygrad_cnn.types import Array

__all__ = ["GroupGradient", "correlations", "group_gradients", "quicker_phases"]

WeightGradientJob = WeightGradient | WinogradWeightGradient | DepthwiseWeightGradient


def correlations(x: Array, w: Array, window: Window, groups: int, epilogue: Epilogue) -> list[Job]:
    """Return the jobs that correlate `x` with `w` (*kernel, C // G, O), for an epilogue."""
    C, out_channels = x.shape[-1], epilogue.out.shape[-1]
    if _is_depthwise(C, out_channels, groups):
        phases = phases_of(window, x.shape[1:-1], last_axis_only=True)
        return _by_phases(phases, x, w[..., 0, :], epilogue, DepthwiseCorrelation)
    jobs: list[Job] = []
    for index in range(groups):
        c, o = _group(C, groups, index), _group(out_channels, groups, index)
        part = epilogue if groups == 1 else epilogue.of_channels(o)
        phases = (whole(window),)
        if part.block == ONE:
            phases = quicker_phases(_geometry(x[..., c], part.shape, window), False)
        jobs += _by_phases(phases, x[..., c], w[..., o], part, _correlation)
    return jobs


def _by_phases(
    phases: tuple[Phase, ...],
    x: Array,
    w: Array,
    epilogue: Epilogue,
    make: Callable[[Geometry, Array, Array, Epilogue], Job],
) -> list[Job]:
    """Make a job of each phase; those of the same outputs add to what the first one wrote."""
    jobs = []
    for outputs, together in groupby(phases, lambda phase: phase.outputs):
        same = list(together)
        for index, phase in enumerate(same):
            target = epilogue.of_outputs(outputs, index > 0, phase is same[-1])
            source = x[:, *phase.inputs]
            geometry = _geometry(source, target.shape, phase.window)
            jobs.append(make(geometry, source, w[phase.taps], target))
    return jobs


def _correlation(geometry: Geometry, x: Array, w: Array, epilogue: Epilogue) -> Job:
    """Return the job that correlates `x` with `w` (*kernel, C, O), by the quicker method."""
    plan = _plan(geometry, False, epilogue.block)
    if isinstance(plan, WinogradPlan):
        return WinogradCorrelation(plan, x, w, epilogue)
    return Correlation(plan, x, w, epilogue)


def _plan(geometry: Geometry, sums: bool, block: Pair = ONE) -> WinogradPlan | MatrixPlan:
    return quicker_plan(geometry, sums, block) or matrix_plan(geometry, sums, block)


@planned
def quicker_phases(geometry: Geometry, sums: bool) -> tuple[Phase, ...]:
    """Return the phases in which a convolution is quickest: it may be one, the convolution itself.

    With `sums` for the gradient of the weights. Without strides and dilation minimal filtering
    applies, and windows are copied in larger blocks; but results are added up, and there are more
    tiles.
    """
    window = geometry.window
    alone = (whole(window),)
    if not 1 < math.prod(window.stride) * math.prod(window.dilation) <= tuning.MOST_PHASES:
        return alone
    phases = phases_of(window, geometry.shape[1:-1], undilated=True)
    parts = [phase.geometry(geometry) for phase in phases]
    if not all(all(part.shape) for part in parts):
        return alone
    cost = sum(_plan(part, sums).cost for part in parts)
    return phases if cost < tuning.PHASES_GAIN * _plan(geometry, sums).cost else alone


def _geometry(x: Array, out_shape: Shape, window: Window) -> Geometry:
    return Geometry(x.shape, x.flags.c_contiguous, x.dtype, out_shape, window)


def _is_depthwise(C: int, out_channels: int, groups: int) -> bool:
    return C == out_channels == groups > 1


def _group(channels: int, groups: int, index: int) -> slice:
    size = channels // groups
    return slice(index * size, (index + 1) * size)


class GroupGradient(NamedTuple):
    """The jobs that make the gradient of a group's weights, each with the taps that it is for."""

    shape: tuple[int, ...]
    jobs: list[tuple[tuple[slice, ...], WeightGradientJob]]

    def result(self) -> Array:
        """Return the gradient (*kernel, C // G, O // G), after the jobs."""
        (_, first), *others = self.jobs
        if not others:
            return first.result()
        total: Array = np.zeros(self.shape, first.x.dtype)
        for taps, job in self.jobs:
            total[taps] += job.result()
        return total


def group_gradients(x: Array, g: Array, window: Window, groups: int) -> list[GroupGradient]:
    """Return the jobs that sum over positions, by groups; for depthwise ones all at once."""
    C, out_channels = x.shape[-1], g.shape[-1]
    if _is_depthwise(C, out_channels, groups):
        phases = phases_of(window, x.shape[1:-1], last_axis_only=True)
        shape = *window.kernel, 1, C
        return [GroupGradient(shape, _sums_by_phases(phases, x, g, DepthwiseWeightGradient))]
    gradients = []
    for index in range(groups):
        part, other = x[..., _group(C, groups, index)], g[..., _group(out_channels, groups, index)]
        phases = quicker_phases(_geometry(part, other.shape, window), True)
        shape = *window.kernel, part.shape[-1], other.shape[-1]
        gradients.append(GroupGradient(shape, _sums_by_phases(phases, part, other, _sum)))
    return gradients


def _sums_by_phases(
    phases: tuple[Phase, ...],
    x: Array,
    g: Array,
    make: Callable[[Geometry, Array, Array], WeightGradientJob],
) -> list[tuple[tuple[slice, ...], WeightGradientJob]]:
    """Make a job of each phase, with the taps whose gradients it is part of."""
    jobs = []
    for phase in phases:
        source, over = x[:, *phase.inputs], g[:, *phase.outputs]
        jobs.append((phase.taps, make(_geometry(source, over.shape, phase.window), source, over)))
    return jobs


def _sum(geometry: Geometry, x: Array, g: Array) -> WeightGradientJob:
    """Return the job that sums windows of `x` times `g`, by the quicker method."""
    plan = _plan(geometry, True)
    if isinstance(plan, WinogradPlan):
        return WinogradWeightGradient(plan, x, g)
    return WeightGradient(plan, x, g)
