"""Batch normalisation in evaluation, folded into the layer before it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_linear_bn_eval"]


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """Return a copy of a convolution that computes the normalisation after it too.

    Parameters
    ----------
    conv, bn
        Both in evaluation; the normalisation has running statistics.
    transpose
        Whether the convolution is a transposed one.

    Raises
    ------
    ValueError
        If one is in training, or there are no running statistics.

    >>> from tinygrad_cnn import nn
    >>> conv, bn = nn.Conv2d(2, 3, 3).eval(), nn.BatchNorm2d(3).eval()
    >>> x = np.random.default_rng(0).normal(size=(1, 2, 5, 5)).astype(np.float32)
    >>> np.allclose(fuse_conv_bn_eval(conv, bn)(x), bn(conv(x)), atol=1e-5)
    True
    """
    return _fused("fuse_conv_bn_eval", conv, bn, 1 if transpose else 0)


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """Return a copy of a linear layer that computes the normalisation after it too."""
    return _fused("fuse_linear_bn_eval", linear, bn, 0)


def _fused(function: str, layer: Module, bn: Any, dim: int) -> Module:
    if layer.training or bn.training:
        raise ValueError(f"{function}: expects both in evaluation; call eval() first")
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError(f"{function}: the normalisation has no running statistics")
    fused: Any = copy.deepcopy(layer)
    weight = fused.weight.detach().numpy()
    mean, variance = bn.running_mean.numpy(), bn.running_var.numpy()
    factor = 1 / np.sqrt(variance + bn.eps)
    if bn.weight is not None:
        factor = factor * bn.weight.detach().numpy()
    bias = 0.0 if fused.bias is None else fused.bias.detach().numpy()
    shift = 0.0 if bn.bias is None else bn.bias.detach().numpy()
    shape = [1] * weight.ndim
    shape[dim] = -1
    if dim == 1 and weight.shape[1] != factor.size:
        raise ValueError(f"{function}: a transposed convolution with groups cannot be folded")
    fused.weight = Parameter((weight * factor.reshape(shape)).astype(weight.dtype))
    fused.bias = Parameter(((bias - mean) * factor + shift).astype(weight.dtype))
    result: Module = fused
    return result
