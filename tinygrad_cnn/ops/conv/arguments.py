"""What convolutions are given: settings an axis, padding by name, channels that fit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np

from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.ops.arguments import channels_last_hint, ntuple, pair, shape_of
from tinygrad_cnn.ops.conv.trilinear import KINDS
from tinygrad_cnn.types import Operand, Pair, Shape

__all__: list[str] = []

Sizes: TypeAlias = int | Sequence[int]
Padding: TypeAlias = Sizes | Literal["same", "valid"]
SIZES = {1: "L", 2: "H, W", 3: "D, H, W"}
"""The spatial dimensions as messages name them."""
_KERNEL = {1: "K", 2: "KH, KW", 3: "KD, KH, KW"}


def per_axis(function: str, argument: str, value: Any, dims: int, smallest: int = 1) -> Shape:
    """Return an int, or as many ints as there are dimensions, as a tuple, checked."""
    if type(value) is int and value >= smallest:
        return (value,) * dims
    if type(value) is tuple and len(value) == 2 == dims:
        first, second = value
        if type(first) is int and type(second) is int and min(value) >= smallest:
            return value
    if dims == 2:
        return pair(function, argument, value, smallest)
    return ntuple(function, argument, value, dims, smallest)


def settings_of(
    function: str, dims: int, stride: Sizes, padding: Padding, dilation: Sizes
) -> tuple[Shape, Shape | str, Shape]:
    """Return stride, padding and dilation by axis, a padding's name as it is, or raise."""
    steps = per_axis(function, "stride", stride, dims)
    gaps = per_axis(function, "dilation", dilation, dims)
    if isinstance(padding, str):
        return steps, padding, gaps
    return steps, per_axis(function, "padding", padding, dims, smallest=0), gaps


def check_bias(function: str, channels: int, bias: Operand) -> None:
    """Raise unless there is one bias an output channel."""
    shape = shape_of(function, bias)
    if shape != (channels,):
        raise ValueError(f"{function}: bias expects shape ({channels},), got {shape}")


# Each geometry is checked once, since the check takes a good part of a small convolution. Typed, so
# that groups=1.0 is refused though it equals 1.
@lru_cache(maxsize=1024, typed=True)
def checked_conv(
    dims: int,
    image: Shape,
    weight: Shape,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int,
) -> Any:
    """Return the operation for these shapes and settings, checked; tuples have been before."""
    function = f"conv{dims}d"
    steps, widths, gaps = settings_of(function, dims, stride, padding, dilation)
    _check_channels(function, dims, image, weight, groups)
    pads = _pads(function, widths, steps, gaps, weight[2:])
    window = Window(weight[2:], steps, pads, gaps)
    for axis, (before, after) in enumerate(pads):
        size, extent = image[2 + axis] + before + after, window.extent(axis)
        if size < extent:
            raise ValueError(
                f"{function}: a window of {extent} pixels does not fit the padded input's {size} "
                f"(input {image}, weight {weight})"
            )
    return KINDS[dims].conv(window, groups)


def _pads(
    function: str, padding: Shape | str, stride: Shape, dilation: Shape, kernel: Shape
) -> tuple[Pair, ...]:
    """Return the padding before and after each axis."""
    if not isinstance(padding, str):
        return tuple((width, width) for width in padding)
    if padding == "valid":
        return tuple((0, 0) for _ in kernel)
    if padding != "same":
        raise ValueError(f"{function}: padding expects ints, 'same' or 'valid', got {padding!r}")
    if max(stride) > 1:
        raise ValueError(f"{function}: padding='same' needs stride 1, got {stride}")
    totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    return tuple((total // 2, total - total // 2) for total in totals)


def _check_channels(function: str, dims: int, image: Shape, weight: Shape, groups: int) -> None:
    if len(image) != 2 + dims or len(weight) != 2 + dims:
        raise ValueError(
            f"{function}: expects input (N, C, {SIZES[dims]}) or (C, {SIZES[dims]}) and weight "
            f"(O, C/groups, {_KERNEL[dims]}), got shapes {image} and {weight}"
        )
    O, I = weight[:2]
    if not isinstance(groups, (int, np.integer)) or groups < 1 or O % groups:
        raise ValueError(
            f"{function}: groups expects a positive int that divides the {O} output channels, "
            f"got {groups}"
        )
    if image[1] != I * groups:
        raise ValueError(
            f"{function}: weight expects {I * groups} input channels, got input of shape {image}"
            + channels_last_hint(image, I * groups)
        )
    if 0 in weight:
        raise ValueError(f"{function}: weight of shape {weight} is empty")


@lru_cache(maxsize=1024, typed=True)
def checked_transpose(
    dims: int,
    image: Shape,
    weight: Shape,
    stride: Shape,
    padding: Shape,
    output_padding: Shape,
    dilation: Shape,
    groups: int,
) -> Any:
    """Return the transposed operation for these shapes and settings, checked."""
    function = f"conv_transpose{dims}d"
    if len(image) != 2 + dims or len(weight) != 2 + dims:
        raise ValueError(
            f"{function}: expects input (N, C, {SIZES[dims]}) and weight "
            f"(C, O/groups, {_KERNEL[dims]}), got shapes {image} and {weight}"
        )
    is_number = isinstance(groups, (int, np.integer))
    if not is_number or groups < 1 or image[1] != weight[0] or weight[0] % groups:
        raise ValueError(
            f"{function}: weight of shape {weight} with groups={groups} expects "
            f"{weight[0]} input channels, got input of shape {image}"
            + channels_last_hint(image, weight[0])
        )
    if 0 in weight:
        raise ValueError(f"{function}: weight of shape {weight} is empty")
    sizes, pads = [], []
    for axis in range(dims):
        extra, width = output_padding[axis], padding[axis]
        if extra >= max(stride[axis], dilation[axis]):
            raise ValueError(
                f"{function}: output_padding {output_padding} must be smaller than stride {stride} "
                f"or dilation {dilation}"
            )
        extent = (image[2 + axis] - 1) * stride[axis] + dilation[axis] * (weight[2 + axis] - 1) + 1
        sizes.append(extent - 2 * width + extra)
        # So that the convolution of the output makes the input's size, and not one more.
        pads.append((width, width - extra))
    if min(sizes) < 1:
        raise ValueError(f"{function}: the output would have size {tuple(sizes)}")
    window = Window(weight[2:], stride, tuple(pads), dilation)
    return KINDS[dims].transposed((weight[1] * groups, *sizes), window, groups)
