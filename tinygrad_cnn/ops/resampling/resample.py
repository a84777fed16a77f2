"""The operation behind borders and interpolation, and its adjoint: each other's rule."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_cnn.kernels.resample import sweep as kernels
from tinygrad_cnn.kernels.resample.taps import Along
from tinygrad_cnn.op import Op
from tinygrad_cnn.types import Array

__all__: list[str] = []


class _Resampling(Op):
    """A sparse matrix along each of the last dimensions."""

    __slots__ = ("axes",)
    widens = True

    def __init__(self, axes: tuple[Along, ...]) -> None:
        self.axes = axes

    def settings(self) -> dict[str, Any]:
        """Return the settings by name."""
        return {
            "kind": self.axes[0].kind,
            "sizes": tuple(along.size for along in self.axes),
            "out_sizes": tuple(along.out_size for along in self.axes),
        }


class Resample(_Resampling):
    """Each element a weighted sum of a few of the input, along each of the last dimensions."""

    __slots__ = ()

    def forward(self, x: Any) -> Any:
        return _as_images(kernels.resample, x, self.axes)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (ResampleInput(self.axes)(g),)


class ResampleInput(_Resampling):
    """The adjoint of `Resample`: each element is given to those it would be made of."""

    __slots__ = ()

    def forward(self, y: Any) -> Any:
        return _as_images(kernels.resample_gradient, y, self.axes)

    def backward(self, g: Any, out: Any, y: Any) -> tuple[Any, ...]:
        return (Resample(self.axes)(g),)


def _as_images(function: Any, x: Array, axes: tuple[Along, ...]) -> Array:
    """Call a function of (N, C, *sizes) with an array of any leading dimensions."""
    leading, sizes = x.shape[: x.ndim - len(axes)], x.shape[x.ndim - len(axes) :]
    if len(leading) == 2:
        return function(x, axes)  # type: ignore[no-any-return]  # a kernel
    channels = leading[-1] if leading else 1
    out = function(x.reshape(math.prod(leading[:-1]), channels, *sizes), axes)
    return out.reshape(*leading, *out.shape[2:])  # type: ignore[no-any-return]
