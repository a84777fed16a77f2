"""What pools are given: windows that fit the input."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.ops.conv.arguments import SIZES, per_axis
from tinygrad_cnn.types import Shape

__all__: list[str] = []

Size: TypeAlias = int | Sequence[int]


def window_of(
    function: str,
    dims: int,
    shape: Shape,
    dtype: np.dtype[np.generic],
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
) -> Window:
    """Check the settings of a pool against its input and return how windows lie over it."""
    kernel = per_axis(function, "kernel_size", kernel_size, dims)
    steps = kernel if stride is None or stride == () else per_axis(function, "stride", stride, dims)
    widths = per_axis(function, "padding", padding, dims, smallest=0)
    gaps = per_axis(function, "dilation", dilation, dims)
    return _checked(function, dims, shape, dtype, kernel, steps, widths, gaps, bool(ceil_mode))


@lru_cache(maxsize=1024)  # each geometry is checked once: small images take little longer
def _checked(
    function: str,
    dims: int,
    shape: Shape,
    dtype: np.dtype[np.generic],
    kernel: Shape,
    stride: Shape,
    padding: Shape,
    dilation: Shape,
    ceil_mode: bool,
) -> Window:
    check_image(function, dims, shape, dtype)
    if any(width > length // 2 for width, length in zip(padding, kernel, strict=True)):
        raise ValueError(
            f"{function}: padding {padding} must be at most half of kernel_size {kernel}"
        )
    window = Window(kernel, stride, tuple((width, width) for width in padding), dilation)
    if min(window.out_size(shape[2:], ceil_mode)) < 1:
        raise ValueError(
            f"{function}: a window of {kernel} (dilation {dilation}) does not fit input of shape "
            f"{shape} with padding {padding}"
        )
    return window


def check_image(function: str, dims: int, shape: Shape, dtype: np.dtype[np.generic]) -> None:
    """Raise unless there is something to pool."""
    if len(shape) != 2 + dims or 0 in shape[1:]:
        sizes = SIZES[dims]
        raise ValueError(
            f"{function}: expects a non-empty (N, C, {sizes}) or (C, {sizes}), got {shape}"
        )
    if dtype.kind != "f":
        raise TypeError(f"{function}: expects floating-point numbers, got {dtype}")
