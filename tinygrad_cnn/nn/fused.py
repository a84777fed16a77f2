"""Which layers of a `Sequential` are computed at once: those that follow a large one."""

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

_FIRST = (Conv2d, BatchNorm2d)


def apply_in_order(modules: Sequence[Module], input: Any) -> Any:
    """Apply modules one after the other, some of them at once; the results are the same.

    A `Conv2d`, or a `BatchNorm2d` in training, is computed with the `ReLU` and the `MaxPool2d`
    behind it. The graph shows all of them, the pool before the ReLU: the order in which they take
    less time. Where nothing is recorded, a `BatchNorm2d` in evaluation is folded into the weights
    of the convolution before it: the result then differs by rounding. Layers of derived classes are
    called one by one, for they may do something else.
    """
    position, count = 0, len(modules)
    while position < count:
        module = modules[position]
        position += 1
        arguments, taken = _behind(module, modules[position : position + 3], input)
        input = module(input, *arguments)
        position += taken
    return input


def _behind(module: Module, behind: Sequence[Module], input: Any) -> tuple[tuple[Any, ...], int]:
    """Return what a module is told to compute at once, and how many of those behind that is."""
    kind = type(module)
    if kind not in _FIRST or not behind or getattr(input, "ndim", 0) != 4:
        return (), 0
    norm, relu, taken = None, None, 0
    if isinstance(module, BatchNorm2d):
        if not module.uses_batch or input.dtype.kind != "f":
            return (), 0
    elif isinstance(module, Conv2d) and _folds(module, behind[0], input):
        norm, taken = behind[0], 1
    if taken < len(behind) and type(behind[taken]) is ReLU:
        relu = path_of(behind[taken])
        taken += 1
    after = After(relu)
    pool = behind[taken] if taken < len(behind) else None
    if _tiles(pool):
        after = After(relu, path_of(pool), pool.kernel_size)
        taken += 1
    if not taken:
        return (), 0
    return (norm, after) if kind is Conv2d else (after,), taken


def _tiles(module: Module | None) -> TypeGuard[MaxPool2d]:
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
