"""Which jobs a convolution is made of: by groups, by phases, and by the method that is quickest.

Arrays are (N, *sizes, C) here, weights (*kernel, C // G, O).
"""

from __future__ import annotations

from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.conv.correlation import Correlation, WeightGradient
from tinygrad_cnn.kernels.conv.depthwise import DepthwiseCorrelation, DepthwiseWeightGradient
from tinygrad_cnn.kernels.conv.epilogue import Epilogue
from tinygrad_cnn.kernels.conv.jobs import Job
from tinygrad_cnn.kernels.conv.phases import Phase, phases_of, whole
from tinygrad_cnn.kernels.conv.tiles import Geometry
from tinygrad_cnn.kernels.conv.windows import ONE, MatrixPlan, matrix_plan
from tinygrad_cnn.kernels.conv.winograd import WinogradPlan, quicker_plan
from tinygrad_cnn.kernels.conv.winograd_conv import WinogradCorrelation, WinogradWeightGradient
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.window import Pair, Window

__all__ = ["GroupGradient", "correlation", "correlations", "group_gradients", "quicker_phases"]

Array = npt.NDArray[Any]


def correlations(x: Array, w: Array, window: Window, groups: int, epilogue: Epilogue) -> list[Job]:
    """Return the jobs that correlate `x` with `w` (*kernel, C // G, O), for an epilogue."""
    C, out_channels = x.shape[-1], epilogue.out.shape[-1]
    if groups == 1:
        return _by_phases(x, w, window, epilogue)
    if _is_depthwise(C, out_channels, groups):
        geometry = _geometry(x, epilogue.out, window)
        return [DepthwiseCorrelation(geometry, x, w[..., 0, :], epilogue)]
    jobs: list[Job] = []
    for index in range(groups):
        c, o = _group(C, groups, index), _group(out_channels, groups, index)
        jobs += _by_phases(x[..., c], w[..., o], window, epilogue.of_channels(o))
    return jobs


def _by_phases(x: Array, w: Array, window: Window, epilogue: Epilogue) -> list[Job]:
    phases = quicker_phases(_geometry(x, epilogue.out, window), False)
    if len(phases) == 1:
        return [correlation(_geometry(x, epilogue.out, window), x, w, epilogue)]
    jobs: list[Job] = []
    for outputs, together in groupby(phases, lambda phase: phase.outputs):
        *others, last = together
        for phase in (*others, last):
            is_first = phase is (others[0] if others else last)
            target = epilogue.of_outputs(outputs, not is_first, phase is last)
            source = x[:, *phase.inputs]
            geometry = _geometry(source, target.out, phase.window)
            jobs.append(correlation(geometry, source, w[phase.taps], target))
    return jobs


def correlation(geometry: Geometry, x: Array, w: Array, epilogue: Epilogue) -> Job:
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
    alone = (whole(geometry.window),)
    if max(geometry.window.stride) == 1 == max(geometry.window.dilation):
        return alone
    phases = phases_of(geometry.window, geometry.shape[1:-1], undilated=True)
    parts = [phase.geometry(geometry) for phase in phases]
    if not all(all(part.shape) for part in parts):
        return alone
    cost = sum(_plan(part, sums).cost for part in parts)
    return phases if cost < tuning.PHASES_GAIN * _plan(geometry, sums).cost else alone


def _geometry(x: Array, out: Array, window: Window) -> Geometry:
    return Geometry(x.shape, x.flags.c_contiguous, x.dtype, out.shape, window)


def _is_depthwise(C: int, out_channels: int, groups: int) -> bool:
    return C == out_channels == groups > 1


def _group(channels: int, groups: int, index: int) -> slice:
    size = channels // groups
    return slice(index * size, (index + 1) * size)


class GroupGradient(NamedTuple):
    """The jobs that make the gradient of a group's weights, each with the taps that it is for."""

    jobs: list[tuple[Phase, Any]]
    shape: tuple[int, ...]

    def result(self) -> Array:
        """Return the gradient (*kernel, C // G, O // G), after the jobs."""
        first: Array = self.jobs[0][1].result()
        if len(self.jobs) == 1:
            return first
        total = np.zeros(self.shape, first.dtype)
        total[self.jobs[0][0].taps] = first
        for phase, job in self.jobs[1:]:
            total[phase.taps] += job.result()
        return total


def group_gradients(x: Array, g: Array, window: Window, groups: int) -> list[GroupGradient]:
    """Return the jobs that sum over positions, by groups; for depthwise ones all at once."""
    C, out_channels = x.shape[-1], g.shape[-1]
    if _is_depthwise(C, out_channels, groups):
        job = DepthwiseWeightGradient(_geometry(x, g, window), x, g)
        return [GroupGradient([(whole(window), job)], (*window.kernel, 1, C))]
    gradients = []
    for index in range(groups):
        part, other = x[..., _group(C, groups, index)], g[..., _group(out_channels, groups, index)]
        phases = quicker_phases(_geometry(part, other, window), True)
        jobs = [
            (
                phase,
                _weight_gradient(part[:, *phase.inputs], other[:, *phase.outputs], phase.window),
            )
            for phase in phases
        ]
        gradients.append(GroupGradient(jobs, (*window.kernel, part.shape[-1], other.shape[-1])))
    return gradients


def _weight_gradient(x: Array, g: Array, window: Window) -> WeightGradient | WinogradWeightGradient:
    """Return the job that sums windows of `x` times `g`, by the quicker method."""
    plan = _plan(_geometry(x, g, window), True)
    if isinstance(plan, WinogradPlan):
        return WinogradWeightGradient(plan, x, g)
    return WeightGradient(plan, x, g)
