"""Writing convolutions, pools, normalisations and products."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.export.writer import Pair, Writer, writes
from tinygrad_cnn.ops import group_norm, linalg, norm
from tinygrad_cnn.ops.conv import trilinear
from tinygrad_cnn.ops.pool import adaptive, average, maximum
from tinygrad_cnn.ops.resampling.folding import Unfold

__all__: list[str] = []


@writes(trilinear.Conv1d, trilinear.Conv2d, trilinear.Conv3d)
def _conv(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    window = pair.op.window
    if any(width < 0 for both in window.padding for width in both):
        raise OnnxError("a convolution that crops its input is none of ONNX's")
    return writer.emit(
        "Conv",
        *inputs,
        kernel_shape=window.kernel,
        strides=window.stride,
        dilations=window.dilation,
        pads=[width for side in zip(*window.padding, strict=True) for width in side],
        group=pair.op.groups,
    )


@writes(trilinear.ConvTranspose1d, trilinear.ConvTranspose2d, trilinear.ConvTranspose3d)
def _conv_transpose(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    window = pair.op.window
    before, after, extra = [], [], []
    for axis, (size, out) in enumerate(zip(pair.shape[2:], pair.op.image_shape[1:], strict=True)):
        first = window.padding[axis][0]
        rest = window.extent(axis, size) - out - first
        before.append(first)
        after.append(max(0, rest))
        extra.append(max(0, -rest))
    return writer.emit(
        "ConvTranspose",
        *inputs,
        kernel_shape=window.kernel,
        strides=window.stride,
        dilations=window.dilation,
        pads=[*before, *after],
        output_padding=extra,
        group=pair.op.groups,
    )


# ------------------------------------------------------------------ pools


@writes(maximum.MaxPool1d, maximum.MaxPool2d, maximum.MaxPool3d)
def _max_pool(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    window = pair.op.window
    return writer.emit(
        "MaxPool",
        *inputs,
        kernel_shape=window.kernel,
        strides=window.stride,
        dilations=window.dilation,
        pads=[width for side in zip(*window.padding, strict=True) for width in side],
        ceil_mode=int(pair.op.ceil_mode),
    )


@writes(average.AvgPool1d, average.AvgPool2d, average.AvgPool3d)
def _avg_pool(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    op, window = pair.op, pair.op.window
    divisor = op.divisor_override
    if divisor is not None and op.ceil_mode:
        raise OnnxError("an average with a divisor of its own and ceil_mode is none of ONNX's")
    y = writer.emit(
        "AveragePool",
        *inputs,
        kernel_shape=window.kernel,
        strides=window.stride,
        pads=[width for side in zip(*window.padding, strict=True) for width in side],
        ceil_mode=int(op.ceil_mode),
        count_include_pad=int(op.count_include_pad or divisor is not None),
    )
    return y if divisor is None else writer.emit("Mul", y, writer.number(window.taps / divisor))


@writes(adaptive.AdaptiveAvgPool1d, adaptive.AdaptiveAvgPool2d, adaptive.AdaptiveAvgPool3d)
def _adaptive_avg_pool(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    (y,) = inputs
    ndim = len(pair.shape)
    out = pair.one.shape[2:]
    if max(out) == 1:
        return writer.emit("GlobalAveragePool", y)
    for axis, size in enumerate(out, 2):
        length = pair.shape[axis]
        matrix = np.zeros((size, length))
        for i in range(size):
            start, stop = i * length // size, -(-(i + 1) * length // size)
            matrix[i, start:stop] = 1 / (stop - start)
        y = writer.along(y, ndim, axis, matrix)
    return y


@writes(adaptive.AdaptiveMaxPool1d, adaptive.AdaptiveMaxPool2d, adaptive.AdaptiveMaxPool3d)
def _adaptive_max_pool(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    out = pair.one.shape[2:]
    if max(out) == 1:
        return writer.emit("GlobalMaxPool", *inputs)
    if any(length % size for length, size in zip(pair.shape[2:], out, strict=True)):
        raise OnnxError(f"windows of {pair.shape[2:]} that make {out} are not of one size")
    kernel = [length // size for length, size in zip(pair.shape[2:], out, strict=True)]
    return writer.emit("MaxPool", *inputs, kernel_shape=kernel, strides=kernel)


@writes(Unfold)
def _unfold(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    """Convolve each channel with a filter for each element of the window, 1 there."""
    window, channels = pair.op.window, pair.shape[1]
    filters = np.eye(window.taps, dtype=writer.dtype).reshape(-1, 1, *window.kernel)
    weight = writer.constant(np.tile(filters, (channels, *(1,) * (filters.ndim - 1))), "windows")
    patches = writer.emit(
        "Conv",
        *(*inputs, weight),
        kernel_shape=window.kernel,
        strides=window.stride,
        dilations=window.dilation,
        pads=[width for side in zip(*window.padding, strict=True) for width in side],
        group=channels,
    )
    return writer.emit("Reshape", patches, writer.integers([0, channels * window.taps, -1]))


# ------------------------------------------------------------------ normalisation


@writes(norm.BatchNormEval)
def _batch_norm(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    x, mean, var, weight, bias = inputs
    channels = pair.shape[1]
    weight = weight or writer.constant(np.ones(channels, writer.dtype), "ones")
    bias = bias or writer.constant(np.zeros(channels, writer.dtype), "zeros")
    return writer.emit("BatchNormalization", x, weight, bias, mean, var, epsilon=float(pair.op.eps))


@writes(norm.LayerNorm)
def _layer_norm(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    x, weight, bias = inputs
    count = pair.op.ndim_normalized
    weight = weight or writer.constant(np.ones(pair.shape[-count:], writer.dtype), "ones")
    return writer.emit(
        "LayerNormalization", x, weight, bias, axis=-count, epsilon=float(pair.op.eps)
    )


@writes(group_norm.GroupNorm)
def _group_norm(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    """Normalise the groups as channels of one line each, then scale each channel."""
    x, weight, bias = inputs
    groups, dtype = pair.op.groups, writer.dtype
    lines = writer.emit("Reshape", x, writer.integers([0, groups, -1]))
    ones = writer.constant(np.ones(groups, dtype), "ones")
    zeros = writer.constant(np.zeros(groups, dtype), "zeros")
    epsilon = float(pair.op.eps)
    normal = writer.emit("InstanceNormalization", lines, ones, zeros, epsilon=epsilon)
    y = writer.emit("Reshape", normal, writer.integers([0, *pair.shape[1:]]))
    channels = writer.integers([-1, *(1,) * (len(pair.shape) - 2)])
    if weight:
        y = writer.emit("Mul", y, writer.emit("Reshape", weight, channels))
    return writer.emit("Add", y, writer.emit("Reshape", bias, channels)) if bias else y


# ------------------------------------------------------------------ products


@writes(linalg.Linear)
def _linear(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    x, weight, bias = inputs
    if len(pair.shape) == 2:
        return writer.emit("Gemm", x, weight, bias, transB=1)
    y = writer.emit("MatMul", x, writer.emit("Transpose", weight, perm=[1, 0]))
    return writer.emit("Add", y, bias) if bias else y


@writes(linalg.Matmul)
def _matmul(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("MatMul", *inputs)
