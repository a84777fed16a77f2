"""Adaptive pools: regions that cover the input as evenly as they can, so many along each axis.

Region i of n along an axis of size H runs from ``⌊i·H/n⌋`` to ``⌈(i+1)·H/n⌉``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_cnn.kernels.pool import avg_pool as kernels
from tinygrad_cnn.kernels.pool.chosen import adaptive_max_pool
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.batching import takes_one_example
from tinygrad_cnn.ops.conv.arguments import per_axis
from tinygrad_cnn.ops.pool.arguments import check_image
from tinygrad_cnn.ops.pool.chosen import ChosenMaximum, with_indices
from tinygrad_cnn.types import Array, Operand, Shape

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
]

OutputSize = int | Sequence[int | None] | None


class _AdaptiveAvgPool(Op):
    """The means of regions that cover the input as evenly as they can."""

    __slots__ = ("output_size",)
    widens = True

    def __init__(self, output_size: Shape) -> None:
        self.output_size = output_size

    def forward(self, x: Any) -> Any:
        return kernels.adaptive_avg_pool(x, self.output_size)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (AdaptiveAvgPoolInput(x.shape)(g),)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The means of regions of signals."""

    __slots__ = ()


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The means of regions of images."""

    __slots__ = ()


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The means of regions of volumes."""

    __slots__ = ()


KINDS: dict[int, type[_AdaptiveAvgPool]] = {
    1: AdaptiveAvgPool1d,
    2: AdaptiveAvgPool2d,
    3: AdaptiveAvgPool3d,
}


class AdaptiveAvgPoolInput(Op):
    """Spread each region's value evenly over the region: the adjoint."""

    __slots__ = ("image_shape",)
    widens = True

    def __init__(self, image_shape: Shape) -> None:
        self.image_shape = image_shape

    def forward(self, y: Any) -> Any:
        return kernels.adaptive_avg_pool_gradient(y, self.image_shape)

    def backward(self, g: Any, out: Any, y: Any) -> tuple[Any, ...]:
        return (KINDS[g.ndim - 2](y.shape[2:])(g),)


class _AdaptiveMaxPool(ChosenMaximum):
    """The maximum of each region; the first one, row by row, takes the whole gradient."""

    __slots__ = ("output_size",)

    def __init__(self, output_size: Shape) -> None:
        self.output_size = output_size

    def find(self, x: Any) -> Array:
        """Return the position of each region's maximum."""
        return adaptive_max_pool(x, self.output_size)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The maximum of regions of signals."""

    __slots__ = ()


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The maximum of regions of images."""

    __slots__ = ()


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The maximum of regions of volumes."""

    __slots__ = ()


MAXIMA: dict[int, type[_AdaptiveMaxPool]] = {
    1: AdaptiveMaxPool1d,
    2: AdaptiveMaxPool2d,
    3: AdaptiveMaxPool3d,
}


def _size_of(function: str, dims: int, input: Operand, output_size: OutputSize) -> Shape:
    """Return the size that is asked for, checked; None keeps that of an axis."""
    check_image(function, dims, tuple(input.shape), input.dtype)
    wanted = output_size
    if wanted is None:
        wanted = (None,) * dims
    if isinstance(wanted, (tuple, list)) and len(wanted) == dims:
        wanted = tuple(
            own if size is None else size for size, own in zip(wanted, input.shape[2:], strict=True)
        )
    return per_axis(function, "output_size", wanted, dims)


def _average(dims: int, input: Operand, output_size: OutputSize) -> Any:
    size = _size_of(f"adaptive_avg_pool{dims}d", dims, input, output_size)
    return KINDS[dims](size)(input)


def _maximum(dims: int, input: Operand, output_size: OutputSize, return_indices: bool) -> Any:
    size = _size_of(f"adaptive_max_pool{dims}d", dims, input, output_size)
    return with_indices(MAXIMA[dims](size), input, return_indices)


@takes_one_example(ndim=4)
def adaptive_avg_pool2d(input: Operand, output_size: OutputSize) -> Any:
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
    return _average(2, input, output_size)


@takes_one_example(ndim=3)
def adaptive_avg_pool1d(input: Operand, output_size: OutputSize) -> Any:
    """Take means of regions of signals; see `adaptive_avg_pool2d`.

    Parameters
    ----------
    input
        (N, C, L), or one signal (C, L).
    output_size
        OL; None keeps the size.

    Returns
    -------
    (N, C, OL), without N for one signal.

    Raises
    ------
    ValueError
        If the output size is not positive, or the signal is empty.

    >>> import numpy as np
    >>> adaptive_avg_pool1d(np.array([[[1.0, 3.0, 5.0]]]), 2)
    array([[[2., 4.]]])
    """
    return _average(1, input, output_size)


@takes_one_example(ndim=5)
def adaptive_avg_pool3d(input: Operand, output_size: OutputSize) -> Any:
    """Take means of regions of volumes; see `adaptive_avg_pool2d`.

    Parameters
    ----------
    input
        (N, C, D, H, W), or one volume (C, D, H, W).
    output_size
        int or (OD, OH, OW); None keeps a size.

    Returns
    -------
    (N, C, OD, OH, OW), without N for one volume.

    Raises
    ------
    ValueError
        If the output size is not positive, or the volume is empty.

    >>> import numpy as np
    >>> adaptive_avg_pool3d(np.arange(8.0).reshape(1, 1, 2, 2, 2), 1).item()
    3.5
    """
    return _average(3, input, output_size)


@takes_one_example(ndim=4)
def adaptive_max_pool2d(
    input: Operand, output_size: OutputSize, return_indices: bool = False
) -> Any:
    """Take the maximum of regions so that the output has the given size.

    Regions are those of `adaptive_avg_pool2d`. At ties the first element, row by row, takes the
    whole gradient; a NaN is larger than any number.

    Parameters
    ----------
    input
        (N, C, H, W), or one image (C, H, W).
    output_size
        int or (OH, OW); None keeps a size.
    return_indices
        Return also the chosen positions, as ``row · W + column`` of the input.

    Returns
    -------
    (N, C, OH, OW), and with return_indices int64 positions of that shape.

    Raises
    ------
    ValueError
        If the output size is not positive, or the image is empty.

    >>> import numpy as np
    >>> adaptive_max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), (1, 2))
    array([[[[13., 15.]]]])
    """
    return _maximum(2, input, output_size, return_indices)


@takes_one_example(ndim=3)
def adaptive_max_pool1d(
    input: Operand, output_size: OutputSize, return_indices: bool = False
) -> Any:
    """Take the maximum of regions of signals; see `adaptive_max_pool2d`.

    Parameters
    ----------
    input
        (N, C, L), or one signal (C, L).
    output_size
        OL; None keeps the size.
    return_indices
        Return also the chosen positions.

    Returns
    -------
    (N, C, OL), and with return_indices int64 positions of that shape.

    Raises
    ------
    ValueError
        If the output size is not positive, or the signal is empty.

    >>> import numpy as np
    >>> adaptive_max_pool1d(np.array([[[1.0, 3.0, 5.0]]]), 2)
    array([[[3., 5.]]])
    """
    return _maximum(1, input, output_size, return_indices)


@takes_one_example(ndim=5)
def adaptive_max_pool3d(
    input: Operand, output_size: OutputSize, return_indices: bool = False
) -> Any:
    """Take the maximum of regions of volumes; see `adaptive_max_pool2d`.

    Parameters
    ----------
    input
        (N, C, D, H, W), or one volume (C, D, H, W).
    output_size
        int or (OD, OH, OW); None keeps a size.
    return_indices
        Return also the chosen positions.

    Returns
    -------
    (N, C, OD, OH, OW), and with return_indices int64 positions of that shape.

    Raises
    ------
    ValueError
        If the output size is not positive, or the volume is empty.

    >>> import numpy as np
    >>> adaptive_max_pool3d(np.arange(8.0).reshape(1, 1, 2, 2, 2), 1).item()
    7.0
    """
    return _maximum(3, input, output_size, return_indices)
