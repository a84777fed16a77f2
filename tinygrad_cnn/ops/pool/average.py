"""Average pools: linear, each with its adjoint beside it."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.kernels.pool import avg_pool as kernels
from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.batching import takes_one_example
from tinygrad_cnn.ops.pool.arguments import Size, window_of
from tinygrad_cnn.ops.pool.maximum import by_name
from tinygrad_cnn.types import Operand, Shape

__all__ = ["avg_pool1d", "avg_pool2d", "avg_pool3d"]


class _AvgPool(Op):
    """The mean of each window."""

    __slots__ = ("ceil_mode", "count_include_pad", "divisor_override", "window")
    widens = True

    def __init__(
        self, window: Window, ceil_mode: bool, count_include_pad: bool, divisor_override: int | None
    ) -> None:
        self.window = window
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def settings(self) -> dict[str, Any]:
        """Return the settings by name."""
        own = super().settings()
        del own["window"]
        window = by_name(self.window)
        del window["dilation"]
        return {**own, **window}

    @property
    def _all(self) -> tuple[Window, bool, bool, int | None]:
        return self.window, self.ceil_mode, self.count_include_pad, self.divisor_override

    def forward(self, x: Any) -> Any:
        return kernels.avg_pool(x, *self._all)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (AvgPoolInput(x.shape, *self._all)(g),)


class AvgPool1d(_AvgPool):
    """The mean of each window of signals."""

    __slots__ = ()


class AvgPool2d(_AvgPool):
    """The mean of each window of images."""

    __slots__ = ()


class AvgPool3d(_AvgPool):
    """The mean of each window of volumes."""

    __slots__ = ()


KINDS: dict[int, type[_AvgPool]] = {1: AvgPool1d, 2: AvgPool2d, 3: AvgPool3d}


class AvgPoolInput(_AvgPool):
    """Spread each window's value evenly over the window: the adjoint of the mean."""

    __slots__ = ("image_shape",)

    def __init__(self, image_shape: Shape, *settings: Any) -> None:
        super().__init__(*settings)
        self.image_shape = image_shape

    def forward(self, y: Any) -> Any:
        settings = self.window, self.count_include_pad, self.divisor_override
        return kernels.avg_pool_gradient(y, self.image_shape, *settings)

    def backward(self, g: Any, out: Any, y: Any) -> tuple[Any, ...]:
        return (KINDS[g.ndim - 2](*self._all)(g),)


def _avg_pool(
    dims: int,
    input: Operand,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Any:
    function = f"avg_pool{dims}d"
    image = tuple(input.shape), input.dtype
    window = window_of(function, dims, *image, kernel_size, stride, padding, 1, ceil_mode)
    if divisor_override is not None and (
        not isinstance(divisor_override, int) or divisor_override == 0
    ):
        raise ValueError(
            f"{function}: divisor_override expects an int other than 0, got {divisor_override!r}"
        )
    op = KINDS[dims](window, bool(ceil_mode), bool(count_include_pad), divisor_override)
    return op(input)


@takes_one_example(ndim=4)
def avg_pool2d(
    input: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
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
    divisor_override
        What sums are divided by instead of the count.

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
    settings = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    return _avg_pool(2, input, *settings)


@takes_one_example(ndim=3)
def avg_pool1d(
    input: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """Take the mean of each window of signals; arguments as for `avg_pool2d`.

    Parameters
    ----------
    input
        (N, C, L), or one signal (C, L).
    kernel_size, stride, padding, ceil_mode, count_include_pad
        As for `avg_pool2d`, with one dimension.

    Returns
    -------
    (N, C, OL), without N for one signal.

    Raises
    ------
    ValueError
        If the settings do not fit the input.

    >>> import numpy as np
    >>> avg_pool1d(np.array([[[1.0, 4.0, 2.0, 3.0]]]), 2)
    array([[[2.5, 2.5]]])
    """
    settings = kernel_size, stride, padding, ceil_mode, count_include_pad, None
    return _avg_pool(1, input, *settings)


@takes_one_example(ndim=5)
def avg_pool3d(
    input: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """Take the mean of each window of volumes; arguments as for `avg_pool2d`.

    Parameters
    ----------
    input
        (N, C, D, H, W), or one volume (C, D, H, W).
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As for `avg_pool2d`, with three dimensions.

    Returns
    -------
    (N, C, OD, OH, OW), without N for one volume.

    Raises
    ------
    ValueError
        If the settings do not fit the input.

    >>> import numpy as np
    >>> avg_pool3d(np.arange(8.0).reshape(1, 1, 2, 2, 2), 2).item()
    3.5
    """
    settings = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    return _avg_pool(3, input, *settings)
