"""Which layers of a `Sequential` are computed at once: those that follow a large one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard, TypeVar

import tinygrad_cnn.functional as F
from tinygrad_cnn.graph import mode
from tinygrad_cnn.nn.activation import ReLU
from tinygrad_cnn.nn.conv import Conv2d
from tinygrad_cnn.nn.module import Module, path_of
from tinygrad_cnn.nn.norm import BatchNorm2d
from tinygrad_cnn.nn.pooling import MaxPool2d
from tinygrad_cnn.ops.arguments import pair
from tinygrad_cnn.ops.fused import After, Moments
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.types import Pair

_FIRST = (Conv2d, BatchNorm2d)
_FORWARD: dict[type[Module], Any] = {
    kind: kind.forward for kind in (Conv2d, BatchNorm2d, ReLU, MaxPool2d)
}
_CALL = Module.__call__
_M = TypeVar("_M", bound=Module)


def apply_in_order(modules: Sequence[Module], input: Any, shortcut: Any = None) -> Any:
    """Apply modules one after the other, some of them at once; the results are the same.

    A `Conv2d`, or a `BatchNorm2d` in training, is computed with the `ReLU` and the `MaxPool2d`
    behind it. The graph shows all of them, the pool before the ReLU: the order in which they take
    less time. So what comes out is what the ReLU's rule reads, and may not be changed in place.
    Where nothing is recorded, a `BatchNorm2d` in evaluation is folded into the weights of the
    convolution before it: the result then differs by rounding. Layers of derived classes are called
    one by one, for they may do something else.

    With a shortcut the result is ``relu(result + shortcut)``, computed at once with a normalisation
    that comes last.
    """
    position, count = 0, len(modules)
    moments: Moments | None = None
    while position < count:
        module = modules[position]
        position += 1
        behind = modules[position : position + 3]
        if _is(module, Conv2d) and behind and _uses_batch(behind[0], input):
            moments = Moments()
            input = module(input, after=After(), moments=moments)
            continue
        told, taken = _behind(module, behind, input, moments)
        position += taken
        if position == count and _adds(module, told, input, shortcut):
            after = After(relu=mode.scope, add=mode.scope)
            return module(input, **{**told, "after": after, "addend": shortcut})
        input, moments = module(input, **told), None
    return input if shortcut is None else F.relu(input + shortcut)


def _is(module: Module, kind: type[_M]) -> TypeGuard[_M]:
    """Whether a module is of this class itself, with the `forward` that the class came with.

    One that was replaced, on the module or on the class, is called.
    """
    return (
        type(module) is kind
        and "forward" not in vars(module)
        and kind.forward is _FORWARD[kind]
        and kind.__call__ is _CALL
    )


def _adds(module: Module, told: dict[str, Any], input: Any, shortcut: Any) -> bool:
    """Whether a module, told so much, can compute the sum with a shortcut and the ReLU at once."""
    if not isinstance(input, Tensor) or not isinstance(shortcut, Tensor):
        return False
    if told.get("after", After()) != After():
        return False
    if _is(module, Conv2d):
        return told.get("norm") is not None  # in evaluation
    if not isinstance(module, BatchNorm2d) or not _uses_batch(module, input):
        return False
    if shortcut.shape != input.shape or shortcut.dtype != input.dtype:
        return False
    tensors = input, module.weight, module.bias
    recorded = any(t is not None and t.requires_grad for t in tensors)
    return recorded or not (mode.recording and shortcut.requires_grad)


def _uses_batch(module: Module, input: Any) -> bool:
    """Whether a module will normalise images like the input by the batch's own statistics."""
    is_images = getattr(input, "ndim", 0) == 4 and input.dtype.char in "fdg"  # not half precision
    return is_images and 0 not in input.shape and _is(module, BatchNorm2d) and module.uses_batch


def _behind(
    module: Module, behind: Sequence[Module], input: Any, moments: Moments | None
) -> tuple[dict[str, Any], int]:
    """Return what a module is told to compute at once, and how many of those behind that is."""
    kind = type(module)
    if kind not in _FIRST or not _is(module, kind) or getattr(input, "ndim", 0) != 4:
        return {}, 0
    norm, relu, taken = None, None, 0
    if kind is BatchNorm2d:
        if not _uses_batch(module, input):
            return {}, 0
    elif isinstance(module, Conv2d) and behind and _folds(module, behind[0], input):
        norm, taken = behind[0], 1
    if taken < len(behind) and _is(behind[taken], ReLU):
        relu = path_of(behind[taken])
        taken += 1
    after = After(relu)
    block = _block(behind[taken]) if taken < len(behind) else None
    if block is not None:
        after = After(relu, path_of(behind[taken]), block)
        taken += 1
    if not taken and moments is None:
        return {}, 0
    if kind is Conv2d:
        return {"norm": norm, "after": after}, taken
    return {"after": after, "moments": moments}, taken


def _block(pool: Module) -> Pair | None:
    """Return the windows' size of a max-pool whose windows lie side by side, without padding."""
    if not _is(pool, MaxPool2d) or pool.return_indices or pool.ceil_mode:
        return None
    settings = pool.kernel_size, pool.stride, pool.padding, pool.dilation
    try:
        size, stride, padding, dilation = (
            pair("max_pool2d", "sizes", value, 0) for value in settings
        )
    except ValueError:
        return None  # the layer itself says what is wrong
    return size if (stride, padding, dilation) == (size, (0, 0), (1, 1)) else None


def _folds(conv: Conv2d, norm: Module, input: Any) -> bool:
    """Whether a module is a normalisation by constants that can be folded into a convolution."""
    if not _is(norm, BatchNorm2d) or norm.training or mode.recording:
        return False
    mean = norm.running_mean
    return (
        mean is not None
        and isinstance(input, Tensor)
        and norm.num_features == conv.out_channels
        and mean.dtype == input.dtype == conv.weight.dtype
    )
