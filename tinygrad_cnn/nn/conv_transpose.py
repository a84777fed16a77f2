"""Layers of transposed convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import tinygrad_cnn.functional as F
from tinygrad_cnn.dtypes import factory
from tinygrad_cnn.nn.conv_settings import ConvSettings, Sizes
from tinygrad_cnn.nn.linear import draw_weights
from tinygrad_cnn.nn.module import Module

__all__ = ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class _Transposed(ConvSettings, Module):
    """A transposed convolution of `dims` dimensions."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        *,
        generator: np.random.Generator | None = None,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
    ) -> None:
        dtype = factory(dtype, device)
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self.padding = self._sizes("padding", padding, 0)
        self.output_padding = self._sizes("output_padding", output_padding, 0)
        for extra, stride_, dilation_ in zip(
            self.output_padding, self.stride, self.dilation, strict=True
        ):
            if extra >= max(stride_, dilation_):
                raise ValueError(
                    f"{type(self).__name__}: output_padding must be less than stride or dilation, "
                    f"got {self.output_padding} at stride {self.stride}, dilation {self.dilation}"
                )
        if padding_mode != "zeros":
            raise ValueError(
                f"{type(self).__name__}: padding_mode expects 'zeros', got {padding_mode!r}"
            )
        shape = (self.in_channels, self.out_channels // self.groups, *self.kernel_size)
        self.weight, self.bias = draw_weights(shape, self.out_channels, bias, generator, dtype)

    def _apply(self, function: Any, input: Any, output_size: Sequence[int] | None) -> Any:
        extra = self.output_padding if output_size is None else self._extra(input, output_size)
        w, b, stride, padding = self.weight, self.bias, self.stride, self.padding
        return function(input, w, b, stride, padding, extra, self.groups, self.dilation)

    def _extra(self, input: Any, output_size: Sequence[int]) -> tuple[int, ...]:
        """Return the output_padding that makes an output of this size, (…, OH, OW)."""
        wanted = tuple(output_size)[-self.dims :]
        least = [
            (size - 1) * stride - 2 * width + dilation * (kernel - 1) + 1
            for size, kernel, stride, width, dilation in zip(
                input.shape[-self.dims :],
                self.kernel_size,
                self.stride,
                self.padding,
                self.dilation,
                strict=True,
            )
        ]
        extra = tuple(a - b for a, b in zip(wanted, least, strict=False))
        fits = all(0 <= e < s for e, s in zip(extra, self.stride, strict=False))
        if len(extra) != self.dims or not fits:
            raise ValueError(
                f"{type(self).__name__}: output_size expects at least {tuple(least)} and less than "
                f"a stride {self.stride} more, got {wanted}"
            )
        return extra


class ConvTranspose1d(_Transposed):
    """Apply the adjoint of a convolution of signals; see `ConvTranspose2d`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation
        As for `ConvTranspose2d`, with one dimension.
    padding_mode, generator, dtype, device
        As for `ConvTranspose2d`.

    Raises
    ------
    ValueError
        If a setting is out of range, or C or O is not divisible by groups.

    Notes
    -----
    Input (N, C, L) or (C, L), weight (C, O/groups, K).

    >>> ConvTranspose1d(2, 3, 2, stride=2)(np.ones((1, 2, 5), np.float32)).shape
    (1, 3, 10)
    """

    dims = 1

    def forward(self, input: Any, output_size: Sequence[int] | None = None) -> Any:
        """Apply `functional.conv_transpose1d`; output_size chooses output_padding."""
        return self._apply(F.conv_transpose1d, input, output_size)


class ConvTranspose2d(_Transposed):
    """Apply the adjoint of a convolution: it enlarges images where a stride shrinks them.

    Parameters
    ----------
    in_channels, out_channels
        C and O.
    kernel_size, stride, padding, output_padding, dilation
        An integer, or a pair for height and width. ``output_padding`` rows and columns are added
        at the end of the result; it is less than the stride or the dilation.
    groups
        Into how many groups the channels are split; divides C and O.
    bias
        Whether to add a bias.
    padding_mode
        ``"zeros"``, the only one.
    generator
        Draws the weights, U(±1/√(O/groups · KH · KW)); the package's default generator if None.
    dtype, device
        Of the parameters. None for the default type; the device is the processor.

    Attributes
    ----------
    weight
        Shape (C, O/groups, KH, KW).
    bias
        Shape (O,), or None.

    Raises
    ------
    ValueError
        If a setting is out of range, or C or O is not divisible by groups.

    Notes
    -----
    Input (N, C, H, W) or (C, H, W), result (N, O, OH, OW) or (O, OH, OW) with
    OH = (H − 1) · stride − 2 · padding + dilation · (KH − 1) + output_padding + 1.

    >>> ConvTranspose2d(8, 3, 2, stride=2)(np.ones((1, 8, 5, 5), np.float32)).shape
    (1, 3, 10, 10)
    """

    dims = 2

    def forward(self, input: Any, output_size: Sequence[int] | None = None) -> Any:
        """Apply `functional.conv_transpose2d`; output_size chooses output_padding."""
        return self._apply(F.conv_transpose2d, input, output_size)


class ConvTranspose3d(_Transposed):
    """Apply the adjoint of a convolution of volumes; see `ConvTranspose2d`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation
        As for `ConvTranspose2d`, with three dimensions.
    padding_mode, generator, dtype, device
        As for `ConvTranspose2d`.

    Raises
    ------
    ValueError
        If a setting is out of range, or C or O is not divisible by groups.

    Notes
    -----
    Input (N, C, D, H, W) or (C, D, H, W), weight (C, O/groups, KD, KH, KW).

    >>> ConvTranspose3d(2, 3, 2, stride=2)(np.ones((1, 2, 3, 3, 3), np.float32)).shape
    (1, 3, 6, 6, 6)
    """

    dims = 3

    def forward(self, input: Any, output_size: Sequence[int] | None = None) -> Any:
        """Apply `functional.conv_transpose3d`; output_size chooses output_padding."""
        return self._apply(F.conv_transpose3d, input, output_size)
