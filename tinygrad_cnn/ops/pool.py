"""Pooling. Max-pool picks by index; average pools are linear; each has its adjoint beside it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.norm.pending import Pending, Pooling
from tinygrad_cnn.kernels.pool import avg_pool as average_kernels
from tinygrad_cnn.kernels.pool import max_pool as kernels
from tinygrad_cnn.kernels.pool import taps as tap_kernels
from tinygrad_cnn.kernels.pool.windows import pool_output_size
from tinygrad_cnn.op import Op, TensorBase
from tinygrad_cnn.ops.arguments import pair
from tinygrad_cnn.ops.shape import reshape
from tinygrad_cnn.types import Array, Operand, Pair

__all__ = ["adaptive_avg_pool2d", "avg_pool2d", "max_pool2d"]
Size = int | Sequence[int]


class MaxPool2d(Op):
    """The maximum of each window; the first one, row by row, takes the whole gradient."""

    __slots__ = ("ceil_mode", "dilation", "kernel_size", "padding", "stride")
    has_aux = True  # which tap of each window was chosen
    takes_pending = True

    def __init__(
        self, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.ceil_mode = ceil_mode

    @property
    def _windows(self) -> tuple[Pair, Pair, Pair, Pair]:
        return self.kernel_size, self.stride, self.padding, self.dilation

    def forward(self, x: Any) -> Any:
        return kernels.max_pool2d(x, *self._windows, self.ceil_mode)

    def infer(self, x: Any) -> Any:
        return kernels.max_pool2d_values(x, *self._windows, self.ceil_mode)

    def choice(self, x: Any) -> Any:
        return self.forward(x)[1]

    def backward(self, g: Any, out: Any, x: Any, *, aux: Any) -> tuple[Any, ...]:
        if type(g) is Pending:
            return (g.scattered(Pooling(aux, x.shape, self._windows)),)
        return (PutTaps(aux, x.shape, *self._windows)(g),)


class _Taps(Op):
    """One chosen element a window, as an index of its tap."""

    __slots__ = ("dilation", "image_shape", "kernel_size", "padding", "stride", "taps")

    def __init__(
        self,
        taps: Array,
        image_shape: tuple[int, ...],
        kernel_size: Pair,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
    ) -> None:
        self.taps = taps
        self.image_shape = image_shape
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation

    @property
    def _windows(self) -> tuple[Pair, Pair, Pair, Pair]:
        return self.kernel_size, self.stride, self.padding, self.dilation


class PutTaps(_Taps):
    """Write each window's value where its chosen element stands, adding where windows overlap."""

    __slots__ = ()

    def forward(self, y: Any) -> Any:
        return tap_kernels.scatter_taps(y, self.taps, self.image_shape, *self._windows)

    def backward(self, g: Any, out: Any, y: Any) -> tuple[Any, ...]:
        return (TakeTaps(self.taps, self.image_shape, *self._windows)(g),)


class TakeTaps(_Taps):
    """Read the chosen element of each window."""

    __slots__ = ()

    def forward(self, x: Any) -> Any:
        return tap_kernels.gather_taps(x, self.taps, *self._windows)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (PutTaps(self.taps, self.image_shape, *self._windows)(g),)


def max_pool2d(
    input: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Take the maximum of each window; a NaN in a window is its maximum.

    At ties the first element, row by row, takes the whole gradient.

    Parameters
    ----------
    input
        (N, C, H, W), or one image (C, H, W).
    kernel_size, stride, padding, dilation
        In pixels, int or (vertical, horizontal); stride defaults to kernel_size; padding, at most
        half of the kernel, is never chosen.
    ceil_mode
        Keep a last window that hangs over the edge.
    return_indices
        Return also the chosen positions, as ``row · W + column`` of the input.

    Returns
    -------
    (N, C, OH, OW), and with return_indices an int64 array of that shape.

    Raises
    ------
    ValueError
        If the settings do not fit the input.

    >>> import numpy as np
    >>> max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """
    if input.ndim == 3:
        batch = reshape(input, 1, *input.shape)
        answer = max_pool2d(
            batch, kernel_size, stride, padding, dilation, ceil_mode, return_indices
        )
        if return_indices:
            return reshape(answer[0], answer[0].shape[1:]), answer[1][0]
        return reshape(answer, answer.shape[1:])
    image = tuple(input.shape), input.dtype
    op = checked_max_pool2d(*image, kernel_size, stride, padding, dilation, ceil_mode)
    y = op(input)
    if not return_indices:
        return y
    x = input._data if isinstance(input, TensorBase) else input
    return y, tap_kernels.flat_indices(op.choice(x), x.shape, *op._windows)


def checked_max_pool2d(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
) -> MaxPool2d:
    """Return the operation for images (N, C, H, W) of this shape and dtype, or raise."""
    settings = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool2d(_window("max_pool2d", shape, dtype, *settings), ceil_mode)


@lru_cache(maxsize=1024)
def _max_pool2d(window: tuple[Pair, Pair, Pair, Pair], ceil_mode: bool) -> MaxPool2d:
    return MaxPool2d(*window, ceil_mode)


class AvgPool2d(Op):
    """The mean of each window."""

    __slots__ = ("ceil_mode", "count_include_pad", "kernel_size", "padding", "stride")
    widens = True

    def __init__(
        self, kernel_size: Pair, stride: Pair, padding: Pair, ceil_mode: bool, include: bool
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = include

    @property
    def _settings(self) -> tuple[Pair, Pair, Pair, bool, bool]:
        return (
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )

    def forward(self, x: Any) -> Any:
        return average_kernels.avg_pool2d(x, *self._settings)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (AvgPool2dInput(x.shape, *self._settings)(g),)


class AvgPool2dInput(AvgPool2d):
    """Spread each window's value evenly over the window: the adjoint of the mean."""

    __slots__ = ("image_shape",)

    def __init__(self, image_shape: tuple[int, ...], *settings: Any) -> None:
        super().__init__(*settings)
        self.image_shape = image_shape

    def forward(self, y: Any) -> Any:
        return average_kernels.avg_pool2d_gradient(y, self.image_shape, *self._settings)

    def backward(self, g: Any, out: Any, y: Any) -> tuple[Any, ...]:
        return (AvgPool2d(*self._settings)(g),)


def avg_pool2d(
    input: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """Take the mean of each window.

    Parameters
    ----------
    input
        (N, C, H, W), or one image (C, H, W).
    kernel_size, stride, padding
        In pixels, int or (vertical, horizontal); stride defaults to kernel_size.
    ceil_mode
        Keep a last window that hangs over the edge.
    count_include_pad
        Whether the zeros of the padding count as elements of a window.

    Returns
    -------
    (N, C, OH, OW), without N for one image.

    Raises
    ------
    ValueError
        If the settings do not fit the input.

    >>> import numpy as np
    >>> avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """
    if input.ndim == 3:
        batch = reshape(input, 1, *input.shape)
        y = avg_pool2d(batch, kernel_size, stride, padding, ceil_mode, count_include_pad)
        return reshape(y, y.shape[1:])
    image = tuple(input.shape), input.dtype
    window = _window("avg_pool2d", *image, kernel_size, stride, padding, 1, ceil_mode)
    return AvgPool2d(*window[:3], ceil_mode, count_include_pad)(input)


class AdaptiveAvgPool2d(Op):
    """The means of OH × OW regions that cover the image as evenly as they can."""

    __slots__ = ("output_size",)
    widens = True

    def __init__(self, output_size: Pair) -> None:
        self.output_size = output_size

    def forward(self, x: Any) -> Any:
        return average_kernels.adaptive_avg_pool2d(x, self.output_size)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (AdaptiveAvgPool2dInput(x.shape)(g),)


class AdaptiveAvgPool2dInput(Op):
    """Spread each region's value evenly over the region: the adjoint."""

    __slots__ = ("image_shape",)
    widens = True

    def __init__(self, image_shape: tuple[int, ...]) -> None:
        self.image_shape = image_shape

    def forward(self, y: Any) -> Any:
        return average_kernels.adaptive_avg_pool2d_gradient(y, self.image_shape)

    def backward(self, g: Any, out: Any, y: Any) -> tuple[Any, ...]:
        return (AdaptiveAvgPool2d(y.shape[2:])(g),)


def adaptive_avg_pool2d(input: Operand, output_size: int | Sequence[int | None]) -> Any:
    """Take means of regions so that the output has the given size.

    Region i of an axis runs from ``⌊i·H/OH⌋`` to ``⌈(i+1)·H/OH⌉``.

    Parameters
    ----------
    input
        (N, C, H, W), or one image (C, H, W).
    output_size
        int or (OH, OW); None keeps a size. 1 is the mean of the whole image.

    Returns
    -------
    (N, C, OH, OW), without N for one image.

    Raises
    ------
    ValueError
        If the output size is not positive, or the image is empty.

    >>> import numpy as np
    >>> adaptive_avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 1)
    array([[[[7.5]]]])
    """
    name = "adaptive_avg_pool2d"
    if input.ndim == 3:
        y = adaptive_avg_pool2d(reshape(input, 1, *input.shape), output_size)
        return reshape(y, y.shape[1:])
    _check_image(name, tuple(input.shape), input.dtype)
    if isinstance(output_size, (tuple, list)) and len(output_size) == 2:
        output_size = [
            own if wanted is None else wanted
            for wanted, own in zip(output_size, input.shape[2:], strict=True)
        ]
    return AdaptiveAvgPool2d(pair(name, "output_size", output_size))(input)


def _check_image(function: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if len(shape) != 4 or 0 in shape[1:]:
        raise ValueError(f"{function}: expects a non-empty (N, C, H, W) or (C, H, W), got {shape}")
    if dtype.kind != "f":
        raise TypeError(f"{function}: expects floating-point numbers, got {dtype}")


def _window(
    function: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
) -> tuple[Pair, Pair, Pair, Pair]:
    """Check the settings of a pool against its input and return them as pairs."""
    kernel = pair(function, "kernel_size", kernel_size)
    steps = kernel if stride is None else pair(function, "stride", stride)
    pads = pair(function, "padding", padding, smallest=0)
    taps = pair(function, "dilation", dilation)
    _check_fit(function, shape, dtype, kernel, steps, pads, taps, bool(ceil_mode))
    return kernel, steps, pads, taps


@lru_cache(maxsize=1024)  # 5 of the 40 µs that pooling (1, 8, 26, 26) takes
def _check_fit(
    function: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    kernel: Pair,
    steps: Pair,
    pads: Pair,
    taps: Pair,
    ceil_mode: bool,
) -> None:
    """Raise if windows do not fit an image."""
    _check_image(function, shape, dtype)
    for axis in range(2):
        if pads[axis] > kernel[axis] // 2:
            raise ValueError(
                f"{function}: padding {pads} must be at most half of kernel_size {kernel}"
            )
        size = pool_output_size(
            shape[2 + axis], kernel[axis], steps[axis], pads[axis], taps[axis], ceil_mode
        )
        if size < 1:
            raise ValueError(
                f"{function}: a window of {kernel} (dilation {taps}) does not fit input of shape "
                f"{shape} with padding {pads}"
            )
