"""Convolution layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import tinygrad_cnn.functional as F
from tinygrad_cnn.dtypes import factory
from tinygrad_cnn.nn.conv_settings import ConvSettings, Padding, Sizes
from tinygrad_cnn.nn.linear import draw_weights
from tinygrad_cnn.nn.module import Module

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
]

_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(ConvSettings, Module):
    """A convolution of `dims` dimensions, with whichever border."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Padding = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        generator: np.random.Generator | None = None,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
    ) -> None:
        dtype = factory(dtype, device)
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self.padding = self._padding(padding)
        if padding_mode not in _MODES:
            raise ValueError(
                f"{type(self).__name__}: padding_mode expects one of {', '.join(_MODES)}, "
                f"got {padding_mode!r}"
            )
        self.padding_mode = padding_mode
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self.weight, self.bias = draw_weights(shape, self.out_channels, bias, generator, dtype)

    def _bordered(self, input: Any) -> tuple[Any, Padding]:
        """Return the input with a border that is not of zeros, and the padding that is left."""
        if self.padding == "valid":
            return input, 0
        widths: list[int] = []  # of the last dimension first
        for axis in reversed(range(self.dims)):
            if isinstance(self.padding, str):
                total = self.dilation[axis] * (self.kernel_size[axis] - 1)
                widths += [total // 2, total - total // 2]
            else:
                widths += [self.padding[axis]] * 2
        return F.pad(input, widths, self.padding_mode), 0

    def _apply(self, function: Any, input: Any) -> Any:
        padding: Padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = self._bordered(input)
        settings = self.stride, padding, self.dilation, self.groups
        return function(input, self.weight, self.bias, *settings)


class Conv1d(_Conv):
    """Convolve signals (cross-correlate them, as is the custom).

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode
        As for `Conv2d`, with one dimension.
    generator, dtype, device
        As for `Conv2d`.

    Attributes
    ----------
    weight
        Shape (O, C/groups, K).
    bias
        Shape (O,), or None.

    Raises
    ------
    ValueError
        If a setting is out of range, or C or O is not divisible by groups.

    Notes
    -----
    Input (N, C, L) or (C, L), result (N, O, OL) or (O, OL).

    >>> Conv1d(2, 4, 3)(np.ones((1, 2, 10), np.float32)).shape
    (1, 4, 8)
    """

    dims = 1

    def forward(self, input: Any) -> Any:
        """Apply `functional.conv1d`."""
        return self._apply(F.conv1d, input)


class Conv2d(_Conv):
    """Convolve images (cross-correlate them, as is the custom).

    Parameters
    ----------
    in_channels, out_channels
        C and O.
    kernel_size, stride, padding, dilation
        An integer, or a pair for height and width; ``padding`` also ``"same"`` (at stride 1) or
        ``"valid"``.
    groups
        Into how many groups the channels are split; divides C and O. With groups = C each channel
        is convolved by itself.
    bias
        Whether to add a bias.
    padding_mode
        What the border is made of: ``"zeros"``, or elements of the image, ``"reflect"``,
        ``"replicate"`` or ``"circular"`` (see `functional.pad`).
    generator
        Draws the weights, U(±1/√(C/groups · KH · KW)); the package's default generator if None.
    dtype, device
        Of the parameters. None for the default type; the device is the processor.

    Attributes
    ----------
    weight
        Shape (O, C/groups, KH, KW).
    bias
        Shape (O,), or None.

    Raises
    ------
    ValueError
        If a setting is out of range, or C or O is not divisible by groups.

    Notes
    -----
    Input (N, C, H, W) or (C, H, W), result (N, O, OH, OW) or (O, OH, OW).

    >>> Conv2d(3, 8, 3, stride=2, padding=1)(np.ones((1, 3, 10, 10), np.float32)).shape
    (1, 8, 5, 5)
    """

    dims = 2

    def forward(self, input: Any) -> Any:
        """Apply `functional.conv2d`."""
        return self._apply(F.conv2d, input)


class Conv3d(_Conv):
    """Convolve volumes (cross-correlate them, as is the custom).

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode
        As for `Conv2d`, with three dimensions.
    generator, dtype, device
        As for `Conv2d`.

    Attributes
    ----------
    weight
        Shape (O, C/groups, KD, KH, KW).
    bias
        Shape (O,), or None.

    Raises
    ------
    ValueError
        If a setting is out of range, or C or O is not divisible by groups.

    Notes
    -----
    Input (N, C, D, H, W) or (C, D, H, W), result (N, O, OD, OH, OW) or (O, OD, OH, OW).

    >>> Conv3d(1, 2, 3, padding=1)(np.ones((1, 1, 4, 4, 4), np.float32)).shape
    (1, 2, 4, 4, 4)
    """

    dims = 3

    def forward(self, input: Any) -> Any:
        """Apply `functional.conv3d`."""
        return self._apply(F.conv3d, input)
