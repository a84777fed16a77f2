"""Which jobs a convolution is made of: by groups, and by the method that is quickest.

Arrays are (N, *sizes, C) here, weights (*kernel, C // G, O).
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from tinygrad_cnn.kernels.conv.correlation import Correlation, WeightGradient
from tinygrad_cnn.kernels.conv.depthwise import DepthwiseCorrelation, DepthwiseWeightGradient
from tinygrad_cnn.kernels.conv.epilogue import Epilogue
from tinygrad_cnn.kernels.conv.jobs import Job
from tinygrad_cnn.kernels.conv.tiles import Geometry
from tinygrad_cnn.kernels.conv.windows import matrix_plan
from tinygrad_cnn.kernels.conv.winograd import quicker_plan
from tinygrad_cnn.kernels.conv.winograd_conv import WinogradCorrelation, WinogradWeightGradient
from tinygrad_cnn.kernels.runtime.window import Window

__all__ = ["WeightGradientJob", "correlation", "correlations", "weight_gradients"]

Array = npt.NDArray[Any]
WeightGradientJob = WeightGradient | WinogradWeightGradient | DepthwiseWeightGradient


def correlations(x: Array, w: Array, window: Window, groups: int, epilogue: Epilogue) -> list[Job]:
    """Return the jobs that correlate `x` with `w` (*kernel, C // G, O), for an epilogue."""
    C, out_channels = x.shape[-1], epilogue.out.shape[-1]
    if groups == 1:
        return [correlation(_geometry(x, epilogue.out, window), x, w, epilogue)]
    if _is_depthwise(C, out_channels, groups):
        geometry = _geometry(x, epilogue.out, window)
        return [DepthwiseCorrelation(geometry, x, w[..., 0, :], epilogue)]
    jobs: list[Job] = []
    for index in range(groups):
        c, o = _group(C, groups, index), _group(out_channels, groups, index)
        part = epilogue.part(o)
        geometry = _geometry(x[..., c], part.out, window)
        jobs.append(correlation(geometry, x[..., c], w[..., o], part))
    return jobs


def correlation(geometry: Geometry, x: Array, w: Array, epilogue: Epilogue) -> Job:
    """Return the job that correlates `x` with `w` (*kernel, C, O), by the quicker method."""
    plan = quicker_plan(geometry, False, epilogue.block)
    if plan is not None:
        return WinogradCorrelation(plan, x, w, epilogue)
    return Correlation(matrix_plan(geometry, False, epilogue.block), x, w, epilogue)


def _geometry(x: Array, out: Array, window: Window) -> Geometry:
    return Geometry(x.shape, x.flags.c_contiguous, x.dtype, out.shape, window)


def _is_depthwise(C: int, out_channels: int, groups: int) -> bool:
    return C == out_channels == groups > 1


def _group(channels: int, groups: int, index: int) -> slice:
    size = channels // groups
    return slice(index * size, (index + 1) * size)


def weight_gradients(x: Array, g: Array, window: Window, groups: int) -> list[WeightGradientJob]:
    """Return the jobs that sum over positions: one a group, or one for all channels."""
    C, out_channels = x.shape[-1], g.shape[-1]
    if groups == 1:
        return [_weight_gradient(x, g, window)]
    if _is_depthwise(C, out_channels, groups):
        return [DepthwiseWeightGradient(_geometry(x, g, window), x, g)]
    slices = [(_group(C, groups, i), _group(out_channels, groups, i)) for i in range(groups)]
    return [_weight_gradient(x[..., c], g[..., o], window) for c, o in slices]


def _weight_gradient(x: Array, g: Array, window: Window) -> WeightGradientJob:
    """Return the job that sums windows of `x` times `g`, by the quicker method."""
    geometry = _geometry(x, g, window)
    plan = quicker_plan(geometry, True)
    if plan is not None:
        return WinogradWeightGradient(plan, x, g)
    return WeightGradient(matrix_plan(geometry, True), x, g)
