"""The settings that all convolution layers have, and their checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from tinygrad_cnn.nn.linear import positive

__all__: list[str] = []

Sizes: TypeAlias = int | Sequence[int]
Padding: TypeAlias = Literal["same", "valid"] | Sizes


class ConvSettings:
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
            ("padding_mode", "zeros"),
        ):
            if getattr(self, name, default) != default:
                parts.append(f"{name}={getattr(self, name)!r}")
        if self.bias is None:
            parts.append("bias=False")
        return ", ".join(parts)
