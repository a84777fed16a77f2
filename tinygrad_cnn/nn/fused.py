"""Which layers of a `Sequential` are computed at once: a convolution with what follows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

from tinygrad_cnn.graph import mode
from tinygrad_cnn.nn.activation import ReLU
from tinygrad_cnn.nn.conv import Conv2d
from tinygrad_cnn.nn.module import Module, path_of
from tinygrad_cnn.nn.norm import BatchNorm2d
from tinygrad_cnn.nn.pooling import MaxPool2d
from tinygrad_cnn.ops.fused import After
from tinygrad_cnn.tensor import Tensor


def apply_in_order(modules: Sequence[Module], input: Any) -> Any:
    """Apply modules one after the other, some of them at once; the results are the same.

    A `Conv2d` and the `ReLU` and the `MaxPool2d` behind it are computed tile by tile. The graph
    shows all of them, the pool before the ReLU: the order in which they take less time. Where
    nothing is recorded, so is a `BatchNorm2d` in evaluation, folded into the weights: the result
    then differs by rounding. Layers of derived classes are called one by one, for they may do
    something else.
    """
    position, count = 0, len(modules)
    while position < count:
        module = modules[position]
        position += 1
        if type(module) is not Conv2d or position == count or getattr(input, "ndim", 0) != 4:
            input = module(input)
            continue
        norm, after, taken = _behind(module, modules[position : position + 3], input)
        input = module(input, norm, after) if taken else module(input)
        position += taken
    return input


def _behind(
    conv: Conv2d, modules: Sequence[Module], input: Any
) -> tuple[Module | None, After, int]:
    """Return what is computed at once with a convolution, and how many of the modules that is."""
    norm, relu = None, None
    rest = list(modules)
    if rest and _folds(conv, rest[0], input):
        norm = rest.pop(0)
    if rest and type(rest[0]) is ReLU:
        relu = path_of(rest.pop(0))
    after = After(relu)
    if rest and _tiles(rest[0]):
        after = After(relu, path_of(rest[0]), rest[0].kernel_size)
        rest.pop(0)
    return norm, after, len(modules) - len(rest)


def _tiles(module: Module) -> TypeGuard[MaxPool2d]:
    """Whether a module is a max-pool whose windows lie side by side, without padding."""
    return (
        type(module) is MaxPool2d
        and module.stride == module.kernel_size
        and (module.padding, module.dilation) in (((0, 0), (1, 1)), (0, 1))
        and not module.return_indices
        and not module.ceil_mode
    )


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
