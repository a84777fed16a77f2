"""Which jobs a convolution is made of: by groups, and in the quicker of two ways.

Arrays are (N, H, W, C) here, weights (KH, KW, C // G, O).
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from tinygrad_cnn.kernels.conv.correlation import Correlation, WeightGradient
from tinygrad_cnn.kernels.conv.depthwise import DepthwiseCorrelation, DepthwiseWeightGradient
from tinygrad_cnn.kernels.conv.jobs import Job
from tinygrad_cnn.kernels.conv.layouts import Window
from tinygrad_cnn.kernels.conv.winograd import quicker_plan
from tinygrad_cnn.kernels.conv.winograd_conv import WinogradCorrelation, WinogradWeightGradient
from tinygrad_cnn.kernels.reduce.moments import Moments

__all__ = ["WeightGradientJob", "correlations", "weight_gradients"]

Array = npt.NDArray[Any]
WeightGradientJob = WeightGradient | WinogradWeightGradient | DepthwiseWeightGradient


def correlations(
    x: Array,
    w: Array,
    out: Array,
    window: Window,
    groups: int,
    bias: Array | None = None,
    relu: bool = False,
    moments: Moments | None = None,
    addend: Array | None = None,
) -> list[Job]:
    """Return the jobs that correlate `x` with `w` (KH, KW, C // G, O) into `out`.

    Moments are collected for a single group.
    """
    C, out_channels = x.shape[3], out.shape[3]
    if groups == 1:
        return [_correlation(x, w, out, window, bias, relu, moments, addend)]
    if _is_depthwise(C, out_channels, groups):
        return [DepthwiseCorrelation(x, w[:, :, 0], out, window, bias, relu, addend)]
    jobs: list[Job] = []
    for index in range(groups):
        c, o = _group(C, groups, index), _group(out_channels, groups, index)
        parts = [None if a is None else a[..., o] for a in (bias, addend)]
        arrays = x[..., c], w[..., o], out[..., o]
        jobs.append(_correlation(*arrays, window, parts[0], relu, addend=parts[1]))
    return jobs


def _correlation(
    x: Array,
    w: Array,
    out: Array,
    window: Window,
    bias: Array | None,
    relu: bool,
    moments: Moments | None = None,
    addend: Array | None = None,
) -> Job:
    """Return the job that correlates `x` with `w` (KH, KW, C, O) into `out`, in the quicker way."""
    plan = quicker_plan(x.shape, x.dtype, x.flags.c_contiguous, out.shape, window, True)
    if plan is not None:
        return WinogradCorrelation(plan, x, w, out, bias, relu, moments, addend)
    return Correlation(x, w, out, window, bias, relu, moments=moments, addend=addend)


def _is_depthwise(C: int, out_channels: int, groups: int) -> bool:
    return C == out_channels == groups > 1


def _group(channels: int, groups: int, index: int) -> slice:
    size = channels // groups
    return slice(index * size, (index + 1) * size)


def weight_gradients(x: Array, g: Array, window: Window, groups: int) -> list[WeightGradientJob]:
    """Return the jobs that sum over positions: one a group, or one for all channels."""
    C, out_channels = x.shape[3], g.shape[3]
    if groups == 1:
        return [_weight_gradient(x, g, window)]
    if _is_depthwise(C, out_channels, groups):
        return [DepthwiseWeightGradient(x, g, window)]
    slices = [(_group(C, groups, i), _group(out_channels, groups, i)) for i in range(groups)]
    return [_weight_gradient(x[..., c], g[..., o], window) for c, o in slices]


def _weight_gradient(x: Array, g: Array, window: Window) -> WeightGradientJob:
    """Return the job that sums windows of `x` times `g`, in the quicker way."""
    plan = quicker_plan(x.shape, x.dtype, x.flags.c_contiguous, g.shape, window, False)
    if plan is not None:
        return WinogradWeightGradient(plan, x, g)
    return WeightGradient(x, g, window)
