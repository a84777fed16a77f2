"""Numbers rounded to a grid of integers, and back.

Where a file rounds and turns back at once, as networks trained for it do, the two are one
here, and their gradient passes straight through: see `fake_quantize`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.operators.base import Call, Run, array, operator
from tinygrad_cnn.onnx.operators.windows import conv
from tinygrad_cnn.onnx.tensors import SMALL, dtype_of
from tinygrad_cnn.types import Array

__all__ = ["fake_quantize"]


def limits_of(number: int | None, dtype: np.dtype[Any]) -> tuple[int, int]:
    """Return the least and the largest integer of ONNX's type, or of NumPy's."""
    if number in SMALL:
        bits, signed = SMALL[number]
        return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def laid_out(call: Call, scale: Any, shape: tuple[int, ...]) -> Array:
    """Return scales, or zero points, so that they broadcast: one, one a channel, or one a block."""
    values = array(scale)
    axis, block = call.integer("axis", 1), call.integer("block_size")
    if values.size == 1 and values.ndim <= 1:
        return values.reshape(())
    if not -len(shape) <= axis < len(shape):
        raise OnnxError(f"{call.op_type}: axis {axis} of an input of shape {shape}")
    at = axis % len(shape)
    if block:
        return np.repeat(values, block, at)[tuple(slice(size) for size in shape)]
    if values.ndim > 1:
        return values
    return values.reshape(tuple(-1 if a == at else 1 for a in range(len(shape))))


@operator("QuantizeLinear")
def quantize_linear(call: Call) -> Run:
    """Divide by the scale, round halves to even, add the zero point, stay in the type's range."""
    to = call.integer("output_dtype")

    def run(x: Any, scale: Any, zero: Any = None) -> Any:
        shape = tuple(x.shape)
        step = laid_out(call, scale, shape)
        dtype = np.dtype(np.uint8)
        offset: Any = 0
        if zero is not None:
            dtype = array(zero).dtype
            offset = laid_out(call, zero, shape).astype(np.int64)
        elif to:
            dtype = dtype_of(to, "QuantizeLinear: the result")
        least, most = limits_of(to or call.element_types.get(2), dtype)
        ratio = np.rint(array(x).astype(step.dtype) / step)
        return np.clip(ratio + offset, least, most).astype(dtype)

    return run


@operator("DequantizeLinear")
def dequantize_linear(call: Call) -> Run:
    """Subtract the zero point and multiply by the scale."""

    def run(x: Any, scale: Any, zero: Any = None) -> Any:
        shape = tuple(x.shape)
        whole = array(x).astype(np.int64)
        if zero is not None:
            whole = whole - laid_out(call, zero, shape).astype(np.int64)
        step = laid_out(call, scale, shape)
        return (whole.astype(step.dtype) * step).astype(array(scale).dtype)

    return run


def fake_quantize(call: Call) -> Run:
    """Round to the grid and turn back at once: QuantizeLinear, then DequantizeLinear.

    The gradient passes straight through where the value lies within the grid's ends, and is 0
    outside: what rounding takes away or adds is a constant to it.
    """

    def run(x: Any, scale: Any, zero: Any = None) -> Any:
        shape = tuple(x.shape)
        step = laid_out(call, scale, shape).astype(x.dtype)
        offset: Any = 0 if zero is None else laid_out(call, zero, shape).astype(x.dtype)
        dtype = np.dtype(np.uint8) if zero is None else array(zero).dtype
        least, most = limits_of(call.element_types.get(2), dtype)
        inside = F.clamp(x, (least - offset) * step, (most - offset) * step)
        held = array(inside)
        rounded = (np.clip(np.rint(array(x) / step) + offset, least, most) - offset) * step
        return F.add(inside, (rounded - held).astype(x.dtype))

    return run


@operator("DynamicQuantizeLinear")
def dynamic_quantize_linear(call: Call) -> Run:
    """Round to bytes by a scale that covers the range of the values and 0."""

    def run(x: Any) -> Any:
        values = array(x)
        low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
        scale = np.float32((high - low) / 255 or 1.0)
        zero = np.uint8(np.clip(np.rint(-low / scale), 0, 255))
        whole = np.clip(np.rint(values / scale) + zero, 0, 255).astype(np.uint8)
        return whole, np.asarray(scale), np.asarray(zero)

    return run


def _centred(x: Any, zero: Any) -> Array:
    """Return small integers less their zero point, in 64 bits of a float, which holds them all."""
    values = array(x).astype(np.float64)
    return values if zero is None else values - array(zero).astype(np.float64)


@operator("ConvInteger")
def conv_integer(call: Call) -> Run:
    """Convolve small integers less their zero points, in 32 bits."""
    from_floats = conv(call)

    def run(x: Any, w: Any, x_zero: Any = None, w_zero: Any = None) -> Any:
        out = from_floats(_centred(x, x_zero), _weights(w, w_zero))
        return np.rint(array(out)).astype(np.int32)

    return run


@operator("QLinearConv")
def qlinear_conv(call: Call) -> Run:
    """Convolve quantised images with quantised filters, quantised again."""
    from_floats = conv(call)

    def run(
        x: Any, xs: Any, xz: Any, w: Any, ws: Any, wz: Any, ys: Any, yz: Any, b: Any = None
    ) -> Any:
        out = array(from_floats(_centred(x, xz), _weights(w, wz)))
        channels = (1, -1, *(1,) * (out.ndim - 2))
        if b is not None:
            out = out + array(b).reshape(channels)
        step = array(xs) * array(ws).reshape(channels if array(ws).size > 1 else ())
        return _again(out * step, ys, yz)

    return run


@operator("QLinearMatMul")
def qlinear_matmul(call: Call) -> Run:
    """Multiply quantised matrices, quantised again."""

    def run(a: Any, as_: Any, az: Any, b: Any, bs: Any, bz: Any, ys: Any, yz: Any) -> Any:
        out = _centred(a, az) @ _centred(b, bz)
        return _again(out * (array(as_) * array(bs)), ys, yz)

    return run


def _again(out: Array, scale: Any, zero: Any) -> Array:
    target = array(zero)
    whole = np.rint(out / array(scale)) + target
    least, most = limits_of(None, target.dtype)
    found: Array = np.clip(whole, least, most).astype(target.dtype)
    return found


def _weights(w: Any, zero: Any) -> Array:
    """Return filters less their zero points, one for all or one for each output channel."""
    values = array(w).astype(np.float64)
    if zero is None:
        return values
    offsets = array(zero).astype(np.float64)
    if offsets.size > 1:
        offsets = offsets.reshape(-1, *(1,) * (values.ndim - 1))
    return np.subtract(values, offsets)
