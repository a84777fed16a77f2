"""Normalisations and dropout: what behaves otherwise in training among them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.operators.base import Call, Run, array, number, operator
from tinygrad_cnn.op import TensorBase

__all__ = ["Normalisation"]


class Normalisation:
    """What computes a BatchNormalization node."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.eps, self.momentum = call.real("epsilon", 1e-5), call.real("momentum", 0.9)
        self.always = bool(call.integer("training_mode"))

    def __call__(self, x: Any, scale: Any, bias: Any, mean: Any, var: Any) -> Any:
        """Normalise an input."""
        scale, bias = _like(scale, x), _like(bias, x)
        if self.always:
            return self._in_training(x, scale, bias, mean, var)
        several = x.shape[0] * prod(x.shape[2:]) > 1  # one value has no statistics
        learns = self.call.switch.training and isinstance(mean, TensorBase) and several
        return F.batch_norm(x, mean, var, scale, bias, learns, 1.0 - self.momentum, self.eps)

    def _in_training(self, x: Any, scale: Any, bias: Any, mean: Any, var: Any) -> Any:
        y = F.batch_norm(x, None, None, scale, bias, True, 0.0, self.eps)
        values = array(x)
        axes = (0, *range(2, values.ndim))
        batch = values.mean(axes), values.var(axes)
        moved = [
            array(old) * self.momentum + new * (1.0 - self.momentum)
            for old, new in zip((mean, var), batch, strict=True)
        ]
        return (y, *(m.astype(array(mean).dtype) for m in moved))[: len(self.call.outputs)]


@operator("BatchNormalization", weights=(1, 2), statistics=(3, 4))
def batch_normalization(call: Call) -> Run:
    """Normalise each channel: by running statistics, in training by the batch's own.

    The batch's own are taken where the network is in training, and the running ones then move as
    in `batch_norm`; or where the file says so (``training_mode=1``), which then gives the moved
    ones as further outputs.
    """
    if call.opset < 9 and not call.integer("spatial", 1):
        raise OnnxError("BatchNormalization with spatial=0 normalises each pixel on its own")
    return Normalisation(call)


def _like(value: Any, x: Any) -> Any:
    """Return a value in the type of another: a file may keep scales in more digits."""
    return value if value.dtype == x.dtype else F.cast(value, x.dtype)


@operator("InstanceNormalization", weights=(1, 2))
def instance_normalization(call: Call) -> Run:
    """Normalise each channel of each image by its own statistics."""
    eps = call.real("epsilon", 1e-5)
    return lambda x, scale, bias: F.instance_norm(x, None, None, scale, bias, True, 0.1, eps)


@operator("GroupNormalization", weights=(1, 2))
def group_normalization(call: Call) -> Run:
    """Normalise groups of channels; before opset 21 there is one scale a group."""
    eps, groups = call.real("epsilon", 1e-5), call.integer("num_groups")

    def run(x: Any, scale: Any, bias: Any) -> Any:
        each = x.shape[1] // groups
        if call.opset < 21 and scale.shape[0] == groups != x.shape[1]:
            scale, bias = (F.repeat_interleave(value, each) for value in (scale, bias))
        return F.group_norm(x, groups, _like(scale, x), _like(bias, x), eps)

    return run


@operator("LayerNormalization", weights=(1, 2))
def layer_normalization(call: Call) -> Run:
    """Normalise the last axes, from one on; with further outputs also mean and 1/deviation."""
    eps, first = call.real("epsilon", 1e-5), call.integer("axis", -1)

    def run(x: Any, scale: Any, bias: Any = None) -> Any:
        at = first % x.ndim if x.ndim else 0
        behind = tuple(x.shape[at:])
        exact = tuple(scale.shape) == behind and (bias is None or tuple(bias.shape) == behind)
        own = (scale, bias) if exact else (None, None)
        y = F.layer_norm(x, behind, own[0], own[1], eps)
        if not exact:
            y = F.mul(y, scale)
            y = y if bias is None else F.add(y, bias)
        if len(call.outputs) == 1:
            return y
        axes = tuple(range(at, x.ndim))
        mean = F.mean(x, axes, keepdim=True)
        inverse = F.rsqrt(F.add(F.var(x, axes, 0, keepdim=True), eps))
        return (y, mean, inverse)[: len(call.outputs)]

    return run


@operator("RMSNormalization", weights=(1,))
def rms_normalization(call: Call) -> Run:
    """Divide the last axes, from one on, by their root mean square."""
    eps, first = call.real("epsilon", 1e-5), call.integer("axis", -1)

    def run(x: Any, scale: Any) -> Any:
        axes = tuple(range(first % x.ndim, x.ndim))
        square = F.mean(F.mul(x, x), axes, keepdim=True)
        return F.mul(F.mul(x, F.rsqrt(F.add(square, eps))), scale)

    return run


@operator("LRN")
def local_response_normalization(call: Call) -> Run:
    """Divide by what is around in the neighbouring channels."""
    size = call.integer("size")
    alpha, beta = call.real("alpha", 1e-4), call.real("beta", 0.75)
    bias = call.real("bias", 1.0)
    if size % 2:
        return lambda x: F.local_response_norm(x, size, alpha, beta, bias)

    def run(x: Any) -> Any:
        before, after = (size - 1) // 2, size // 2
        channels = x.shape[1]
        square = F.pad(F.mul(x, x), (0, 0) * (x.ndim - 2) + (before, after))
        total = sum(F.narrow(square, 1, start, channels) for start in range(size))
        return F.div(x, F.pow(F.add(F.mul(total, alpha / size), bias), beta))

    return run


@operator("LpNormalization")
def lp_normalization(call: Call) -> Run:
    """Divide by the norm along an axis; what has norm 0 stays 0."""
    axis, p = call.integer("axis", -1), call.integer("p", 2)

    def run(x: Any) -> Any:
        size = F.vector_norm(x, p, axis, keepdim=True)
        return F.div(x, F.where(array(size) == 0, np.ones((), x.dtype), size))

    return run


@operator("MeanVarianceNormalization")
def mean_variance_normalization(call: Call) -> Run:
    """Subtract the mean and divide by the deviation."""
    axes: Sequence[int] = call.ints("axes", (0, 2, 3))

    def run(x: Any) -> Any:
        centred = F.sub(x, F.mean(x, tuple(axes), keepdim=True))
        spread = F.sqrt(F.mean(F.mul(centred, centred), tuple(axes), keepdim=True))
        return F.div(centred, F.add(spread, 1e-9))

    return run


@operator("Dropout", random=True)
def dropout(call: Call) -> Run:
    """Leave out elements at random, in training.

    That is where the network is in training, or where the file itself says so, with a ratio above
    0; else what comes in goes out.
    """
    setting, seed = call.real("ratio", 0.5), call.integer("seed", None)

    def run(x: Any, ratio: Any = None, training: Any = None) -> Any:
        p = setting if ratio is None else float(number(ratio))
        on = call.switch.training or (training is not None and bool(number(training)))
        mask = np.ones(x.shape, bool)
        y = x
        if on and p > 0:
            generator = None if seed is None else np.random.default_rng(seed & (2**64 - 1))
            keep = F.dropout(np.ones(x.shape, np.float32), p, True, generator=generator)
            mask = keep > 0
            y = F.mul(x, keep.astype(x.dtype))
        return (y, mask) if call.wants(1) else y

    return run
