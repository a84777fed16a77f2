"""Convolution layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

import tinygrad_cnn.functional as F
from tinygrad_cnn.graph import mode
from tinygrad_cnn.nn.linear import draw_weights, positive
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.ops.fused import After, Moments, conv2d_batch_norm, conv2d_then
from tinygrad_cnn.tensor import Tensor

__all__ = ["Conv1d", "Conv2d", "ConvTranspose2d"]

Sizes = int | Sequence[int]
Padding = Literal["same", "valid"] | Sizes


class _Conv(Module):
    """What convolutions have in common: settings, and their checks."""

    dims: ClassVar[int]  # spatial dimensions
    bias: Any  # a Parameter or None; nobody wants to assert which in init.zeros_(layer.bias)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes,
        dilation: Sizes,
        groups: int,
    ) -> None:
        layer = type(self).__name__
        self.in_channels = positive(layer, "in_channels", in_channels)
        self.out_channels = positive(layer, "out_channels", out_channels)
        self.groups = positive(layer, "groups", groups)
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(
                    f"{layer}: {name} must be divisible by groups, got {channels} and {groups}"
                )
        self.kernel_size = self._sizes("kernel_size", kernel_size, 1)
        self.stride = self._sizes("stride", stride, 1)
        self.dilation = self._sizes("dilation", dilation, 1)

    def _sizes(self, name: str, value: Any, least: int) -> tuple[int, ...]:
        """Return one size for each spatial dimension."""
        given = value if isinstance(value, (tuple, list)) else (value,) * self.dims
        if len(given) != self.dims or any(
            not isinstance(size, (int, np.integer)) or size < least for size in given
        ):
            raise ValueError(
                f"{type(self).__name__}: {name} expects an integer of at least {least}"
                + (f" or {self.dims} of them" if self.dims > 1 else "")
                + f", got {value!r}"
            )
        return tuple(int(size) for size in given)

    def _padding(self, padding: Padding) -> Literal["same", "valid"] | tuple[int, ...]:
        """Return the name of a padding, or one size for each spatial dimension."""
        if not isinstance(padding, str):
            return self._sizes("padding", padding, 0)
        if padding not in ("same", "valid"):
            raise ValueError(
                f"{type(self).__name__}: padding expects numbers, 'same' or 'valid', "
                f"got {padding!r}"
            )
        if padding == "same" and max(self.stride) > 1:
            raise ValueError(
                f"{type(self).__name__}: padding='same' needs stride 1, got {self.stride}"
            )
        return padding

    def extra_repr(self) -> str:
        """Return the settings that are not the default ones."""
        parts = [f"{self.in_channels}, {self.out_channels}"]
        parts += [f"kernel_size={self.kernel_size}, stride={self.stride}"]
        once = (1,) * self.dims
        nothing = (0,) * self.dims
        for name, default in (
            ("padding", nothing),
            ("output_padding", nothing),
            ("dilation", once),
            ("groups", 1),
        ):
            if getattr(self, name, default) != default:
                parts.append(f"{name}={getattr(self, name)!r}")
        if self.bias is None:
            parts.append("bias=False")
        return ", ".join(parts)


class Conv1d(_Conv):
    """Convolve signals (cross-correlate them, as is the custom).

    Parameters
    ----------
    in_channels, out_channels
        C and O.
    kernel_size, stride, padding, dilation
        Integers; ``padding`` also ``"same"`` (at stride 1) or ``"valid"``.
    groups
        Into how many groups the channels are split; divides C and O.
    bias
        Whether to add a bias.
    generator
        Draws the weights, U(±1/√(C/groups · KW)); the package's default generator if None.
    dtype
        Of the parameters.

    Attributes
    ----------
    weight
        Shape (O, C/groups, KW).
    bias
        Shape (O,), or None.

    Raises
    ------
    ValueError
        If a setting is out of range, or C or O is not divisible by groups.

    Notes
    -----
    Input (N, C, W), result (N, O, OW).

    >>> Conv1d(2, 4, 3)(np.ones((1, 2, 10), np.float32)).shape
    (1, 4, 8)
    """

    dims = 1

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
        *,
        generator: np.random.Generator | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self.padding = self._padding(padding)
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self.weight, self.bias = draw_weights(shape, self.out_channels, bias, generator, dtype)

    def forward(self, input: Any) -> Any:
        """Apply `functional.conv1d`."""
        padding = self.padding if isinstance(self.padding, str) else self.padding[0]
        return F.conv1d(
            input, self.weight, self.bias, self.stride[0], padding, self.dilation[0], self.groups
        )


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
    generator
        Draws the weights, U(±1/√(C/groups · KH · KW)); the package's default generator if None.
    dtype
        Of the parameters.

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
        *,
        generator: np.random.Generator | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self.padding = self._padding(padding)
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self.weight, self.bias = draw_weights(shape, self.out_channels, bias, generator, dtype)

    def forward(
        self,
        input: Any,
        norm: Any = None,
        after: After | None = None,
        moments: Moments | None = None,
        addend: Tensor | None = None,
    ) -> Any:
        """Apply `functional.conv2d`, and at once what a `Sequential` applies behind it.

        That is a `BatchNorm2d` in evaluation as `norm`, and what comes `after`. One in training
        wants the result's `moments`. A sum behind `norm` adds the `addend`.
        """
        w, b, stride, padding = self.weight, self.bias, self.stride, self.padding
        dilation, groups = self.dilation, self.groups
        if after is None:
            return F.conv2d(input, w, b, stride, padding, dilation, groups)
        settings = stride, padding, dilation, groups
        if norm is None:
            return conv2d_then(input, w, b, *settings, mode.scope, after, moments)
        constants = norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.eps
        return conv2d_batch_norm(input, w, b, *settings, constants, after, addend)


class ConvTranspose2d(_Conv):
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
    generator
        Draws the weights, U(±1/√(O/groups · KH · KW)); the package's default generator if None.
    dtype
        Of the parameters.

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
    Input (N, C, H, W), result (N, O, OH, OW) with
    OH = (H − 1) · stride − 2 · padding + dilation · (KH − 1) + output_padding + 1.

    >>> ConvTranspose2d(8, 3, 2, stride=2)(np.ones((1, 8, 5, 5), np.float32)).shape
    (1, 3, 10, 10)
    """

    dims = 2

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
        *,
        generator: np.random.Generator | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self.padding = self._sizes("padding", padding, 0)
        self.output_padding = self._sizes("output_padding", output_padding, 0)
        for extra, stride_, dilation_ in zip(
            self.output_padding, self.stride, self.dilation, strict=True
        ):
            if extra >= max(stride_, dilation_):
                raise ValueError(
                    "ConvTranspose2d: output_padding must be less than stride or dilation, got "
                    f"{self.output_padding} at stride {self.stride}, dilation {self.dilation}"
                )
        shape = (self.in_channels, self.out_channels // self.groups, *self.kernel_size)
        self.weight, self.bias = draw_weights(shape, self.out_channels, bias, generator, dtype)

    def forward(self, input: Any) -> Any:
        """Apply `functional.conv_transpose2d`."""
        return F.conv_transpose2d(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
        )
