"""Images as patches, each a column, and back: unfold and fold, each other's rule."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.pool.windows import covering_outputs
from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.batching import takes_one_example
from tinygrad_cnn.ops.conv.arguments import Sizes, per_axis
from tinygrad_cnn.types import Operand, Shape

__all__ = ["fold", "unfold"]


class _Patches(Op):
    """How windows lie over images of a size."""

    __slots__ = ("image_size", "window")
    widens = True

    def __init__(self, window: Window, image_size: Shape) -> None:
        self.window = window
        self.image_size = image_size


class Unfold(_Patches):
    """Each window a column."""

    __slots__ = ()

    def forward(self, x: Any) -> Any:
        N, C, *_ = x.shape
        sizes = self.window.out_size(self.image_size)
        patches = np.zeros((N, C, self.window.taps, *sizes), x.dtype)
        for number, (_, *outputs), (_, *inputs) in covering_outputs(
            self.window, self.image_size, sizes
        ).taps:
            patches[:, :, number, *outputs] = x[:, :, *inputs]
        return patches.reshape(N, C * self.window.taps, math.prod(sizes))

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (Fold(self.window, self.image_size)(g),)


class Fold(_Patches):
    """The sum of all columns at their windows."""

    __slots__ = ()

    def forward(self, y: Any) -> Any:
        sizes = self.window.out_size(self.image_size)
        channels = y.shape[1] // self.window.taps
        patches = y.reshape(len(y), channels, self.window.taps, *sizes)
        x = np.zeros((len(y), channels, *self.image_size), y.dtype)
        for number, (_, *outputs), (_, *inputs) in covering_outputs(
            self.window, self.image_size, sizes
        ).taps:
            x[:, :, *inputs] += patches[:, :, number, *outputs]
        return x

    def backward(self, g: Any, out: Any, y: Any) -> tuple[Any, ...]:
        return (Unfold(self.window, self.image_size)(g),)


def _window(
    function: str, image_size: Shape, kernel: Sizes, dilation: Sizes, padding: Sizes, stride: Sizes
) -> Window:
    widths = per_axis(function, "padding", padding, 2, smallest=0)
    window = Window(
        per_axis(function, "kernel_size", kernel, 2),
        per_axis(function, "stride", stride, 2),
        tuple((width, width) for width in widths),
        per_axis(function, "dilation", dilation, 2),
    )
    if min(window.out_size(image_size)) < 1:
        raise ValueError(
            f"{function}: a window of {window.kernel} (dilation {window.dilation}) does not fit "
            f"images of {image_size} with padding {widths}"
        )
    return window


@takes_one_example(ndim=4)
def unfold(
    input: Operand,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Any:
    """Take every window as a column: ``y[n, c·K + k, l] = input[n, c, place of k in window l]``.

    A convolution is the product of its weights, as a matrix, with these columns.

    Parameters
    ----------
    input
        (N, C, H, W), or one image (C, H, W).
    kernel_size, dilation, padding, stride
        In pixels, int or (vertical, horizontal).

    Returns
    -------
    (N, C · KH · KW, L), L windows in rows.

    Raises
    ------
    ValueError
        If the settings do not fit the input.

    >>> unfold(np.arange(6.0).reshape(1, 1, 2, 3), 2)
    array([[[0., 1.],
            [1., 2.],
            [3., 4.],
            [4., 5.]]])
    """
    shape = tuple(input.shape)
    if len(shape) != 4 or 0 in shape[1:]:
        raise ValueError(f"unfold: expects a non-empty (N, C, H, W) or (C, H, W), got {shape}")
    window = _window("unfold", shape[2:], kernel_size, dilation, padding, stride)
    return Unfold(window, shape[2:])(input)


@takes_one_example(ndim=3)
def fold(
    input: Operand,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Any:
    """Add every column to its window of an image of zeros: the adjoint of `unfold`.

    Parameters
    ----------
    input
        (N, C · KH · KW, L), or one image's (C · KH · KW, L).
    output_size
        (H, W), or an int for both.
    kernel_size, dilation, padding, stride
        As for `unfold`.

    Returns
    -------
    (N, C, H, W), or (C, H, W).

    Raises
    ------
    ValueError
        If the settings do not fit each other or the input.

    >>> fold(np.ones((1, 4, 2)), (2, 3), 2)
    array([[[[1., 2., 1.],
             [1., 2., 1.]]]])
    """
    shape = tuple(input.shape)
    sizes = per_axis("fold", "output_size", output_size, 2)
    window = _window("fold", sizes, kernel_size, dilation, padding, stride)
    count = math.prod(window.out_size(sizes))
    if len(shape) != 3 or shape[1] % window.taps or not shape[1] or shape[2] != count:
        raise ValueError(
            f"fold: expects (N, C · {window.taps}, {count}) for images of {sizes} and windows of "
            f"{window.kernel}, got {shape}"
        )
    return Fold(window, sizes)(input)
