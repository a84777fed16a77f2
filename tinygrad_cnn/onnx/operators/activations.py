"""Activations, and the softmax family."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn.onnx.operators.base import Call, Run, array, named, operator, simple
from tinygrad_cnn.ops.pointwise.units import PRelu

__all__: list[str] = []

for _name, _function in {
    "Relu": F.relu,
    "Sigmoid": F.sigmoid,
    "Tanh": F.tanh,
    "Softsign": F.softsign,
    "Softplus": lambda x: F.softplus(x, 1.0, 1e30),
    "Mish": F.mish,
    "HardSwish": F.hardswish,
}.items():
    simple(_name, _function)


@operator("Elu")
def elu(call: Call) -> Run:
    """Exponential linear unit."""
    alpha = call.real("alpha", 1.0)
    return lambda x: F.elu(x, alpha)


@operator("Celu")
def celu(call: Call) -> Run:
    """Continuously differentiable exponential linear unit."""
    alpha = call.real("alpha", 1.0)
    return lambda x: F.celu(x, alpha)


@operator("Selu")
def selu(call: Call) -> Run:
    """Scaled exponential linear unit: ``gamma · elu(x, alpha)``."""
    alpha = call.real("alpha", 1.6732631921768188)
    gamma = call.real("gamma", 1.0507010221481323)
    return lambda x: F.mul(F.elu(x, alpha), gamma)


@operator("LeakyRelu")
def leaky_relu(call: Call) -> Run:
    """Rectify, with a slope below 0."""
    alpha = call.real("alpha", 0.01)
    return lambda x: F.leaky_relu(x, alpha)


@operator("PRelu", weights=(1,))
def prelu(call: Call) -> Run:
    """Rectify, with a slope below 0 that is learnt; the slope is broadcast."""
    return PRelu()


@operator("ThresholdedRelu")
def thresholded_relu(call: Call) -> Run:
    """Keep what is above a threshold."""
    alpha = call.real("alpha", 1.0)
    return lambda x: F.threshold(x, alpha, 0.0)


@operator("HardSigmoid")
def hard_sigmoid(call: Call) -> Run:
    """Sigmoid of straight lines: ``clamp(alpha · x + beta, 0, 1)``."""
    alpha, beta = call.real("alpha", 0.2), call.real("beta", 0.5)
    return lambda x: F.clamp(F.add(F.mul(x, alpha), beta), 0.0, 1.0)


@operator("Shrink")
def shrink(call: Call) -> Run:
    """Move towards 0 what is far from it, and set to 0 what is near."""
    lambd, bias = call.real("lambd", 0.5), call.real("bias", 0.0)

    def run(x: Any) -> Any:
        values = array(x)
        moved = F.add(x, np.where(values < -lambd, bias, -bias).astype(values.dtype))
        return F.where(np.abs(values) > lambd, moved, np.zeros_like(values))

    return run


@operator("Gelu")
def gelu(call: Call) -> Run:
    """Gaussian error linear unit."""
    approximate = named("Gelu: approximate", call.text("approximate", "none"), ("none", "tanh"))
    return lambda x: F.gelu(x, approximate)


@operator("Swish")
def swish(call: Call) -> Run:
    """``x · sigmoid(alpha · x)``."""
    alpha = call.real("alpha", 1.0)
    if alpha == 1.0:
        return lambda x: F.silu(x)
    return lambda x: F.mul(x, F.sigmoid(F.mul(x, alpha)))


# ------------------------------------------------------------------ softmax and its like


def _along_axis(call: Call, function: Callable[[Any, int], Any]) -> Run:
    """Apply along an axis; before opset 13 over it and all behind it at once."""
    if call.opset >= 13:
        axis = call.integer("axis", -1)
        return lambda x: function(x, axis)
    first = call.integer("axis", 1)

    def run(x: Any) -> Any:
        shape = tuple(x.shape)
        at = first + x.ndim if first < 0 else first
        if at == x.ndim - 1:
            return function(x, at)
        rows = F.reshape(x, prod(shape[:at]), prod(shape[at:]))
        return F.reshape(function(rows, 1), shape)

    return run


@operator("Softmax")
def softmax(call: Call) -> Run:
    """Exponentials that add up to 1."""
    return _along_axis(call, lambda x, axis: F.softmax(x, axis))


@operator("LogSoftmax")
def log_softmax(call: Call) -> Run:
    """Logarithm of the softmax."""
    return _along_axis(call, lambda x, axis: F.log_softmax(x, axis))


@operator("Hardmax")
def hardmax(call: Call) -> Run:
    """1 at the first maximum, 0 elsewhere."""

    def choose(x: Any, axis: int) -> Any:
        values = array(x)
        out = np.zeros_like(values)
        np.put_along_axis(out, np.expand_dims(values.argmax(axis), axis), 1, axis)
        return out

    return _along_axis(call, choose)
