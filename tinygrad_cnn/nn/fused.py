"""Which layers of a `Sequential` are computed at once: a convolution with what follows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_cnn.graph import mode
from tinygrad_cnn.nn.activation import ReLU
from tinygrad_cnn.nn.conv import Conv2d, Followers
from tinygrad_cnn.nn.module import Module, path_of
from tinygrad_cnn.nn.norm import BatchNorm2d
from tinygrad_cnn.tensor import Tensor


def apply_in_order(modules: Sequence[Module], input: Any) -> Any:
    """Apply modules one after the other, some of them at once; results and graph are the same.

    A `Conv2d` and the `ReLU` behind it are computed tile by tile. Where nothing is recorded, so is
    a `BatchNorm2d` in evaluation, folded into the weights: the result then differs by rounding.
    Layers of derived classes are called one by one, for they may do something else.
    """
    position, count = 0, len(modules)
    while position < count:
        module = modules[position]
        position += 1
        if type(module) is not Conv2d or position == count or getattr(input, "ndim", 0) != 4:
            input = module(input)
            continue
        following = modules[position : position + 2]
        norm = following[0] if _folds(module, following[0], input) else None
        behind = following[1:] if norm is not None else following
        relu = bool(behind) and type(behind[0]) is ReLU
        if norm is None and not relu:
            input = module(input)
            continue
        input = module(input, Followers(norm, path_of(behind[0]) if relu else None))
        position += (norm is not None) + relu
    return input


def _folds(conv: Conv2d, norm: Module, input: Any) -> bool:
    """Whether a module is a normalisation by constants that can be folded into a convolution."""
    if type(norm) is not BatchNorm2d or norm.training or mode.recording:
        return False
    mean = norm.running_mean
    return (
        mean is not None
        and isinstance(input, Tensor)
        and norm.num_features == conv.out_channels
        and mean.dtype == input.dtype == conv.weight.dtype
    )
