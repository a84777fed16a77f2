"""Pooling layers over windows, and the one that puts maxima back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import tinygrad_cnn.functional as F
from tinygrad_cnn.nn.module import Module

__all__ = [
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]

Sizes: TypeAlias = int | Sequence[int]


class _MaxPool(Module):
    function: ClassVar[Any]

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Any) -> Any:
        """Apply the function of this name."""
        return self.function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )

    def extra_repr(self) -> str:
        """Return the settings."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """Take the maximum of each window of signals; see `MaxPool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode
        As for `MaxPool2d`, with one dimension.

    Notes
    -----
    Input (N, C, L) or (C, L), result (…, OL).

    >>> import numpy as np
    >>> MaxPool1d(2)(np.array([[[1.0, 4.0, 2.0, 3.0]]]))
    array([[[4., 3.]]])
    """

    function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """Take the maximum of each window; the first of equal ones gets the gradient.

    Parameters
    ----------
    kernel_size, stride, padding, dilation
        An integer, or a pair for height and width; the stride is the kernel's size if None.
    return_indices
        Whether to return also where each maximum is, as an index into the H · W pixels.
    ceil_mode
        Whether windows may hang over the end.

    Notes
    -----
    Input (N, C, H, W) or (C, H, W), result (…, OH, OW).

    >>> import numpy as np
    >>> MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """

    function = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """Take the maximum of each window of volumes; see `MaxPool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode
        As for `MaxPool2d`, with three dimensions.

    Notes
    -----
    Input (N, C, D, H, W) or (C, D, H, W), result (…, OD, OH, OW).

    >>> import numpy as np
    >>> MaxPool3d(2)(np.arange(8.0).reshape(1, 1, 2, 2, 2)).item()
    7.0
    """

    function = staticmethod(F.max_pool3d)


class _AvgPool(Module):
    function: ClassVar[Any]

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Any) -> Any:
        """Apply the function of this name."""
        settings = self.kernel_size, self.stride, self.padding
        return self.function(input, *settings, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """Take the mean of each window of signals; see `AvgPool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode, count_include_pad
        As for `AvgPool2d`, with one dimension.

    Notes
    -----
    Input (N, C, L) or (C, L), result (…, OL).

    >>> import numpy as np
    >>> AvgPool1d(2)(np.array([[[1.0, 4.0, 2.0, 3.0]]]))
    array([[[2.5, 2.5]]])
    """

    function = staticmethod(F.avg_pool1d)


class _DividedAvgPool(_AvgPool):
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override

    def forward(self, input: Any) -> Any:
        """Apply the function of this name."""
        settings = self.kernel_size, self.stride, self.padding, self.ceil_mode
        return self.function(input, *settings, self.count_include_pad, self.divisor_override)


class AvgPool2d(_DividedAvgPool):
    """Take the mean of each window.

    Parameters
    ----------
    kernel_size, stride, padding
        An integer, or a pair for height and width; the stride is the kernel's size if None.
    ceil_mode
        Whether windows may hang over the end.
    count_include_pad
        Whether the zeros of the padding count as pixels.
    divisor_override
        What sums are divided by instead of the count.

    Notes
    -----
    Input (N, C, H, W) or (C, H, W), result (…, OH, OW).

    >>> import numpy as np
    >>> AvgPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """

    function = staticmethod(F.avg_pool2d)


class AvgPool3d(_DividedAvgPool):
    """Take the mean of each window of volumes; see `AvgPool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As for `AvgPool2d`, with three dimensions.

    Notes
    -----
    Input (N, C, D, H, W) or (C, D, H, W), result (…, OD, OH, OW).

    >>> import numpy as np
    >>> AvgPool3d(2)(np.arange(8.0).reshape(1, 1, 2, 2, 2)).item()
    3.5
    """

    function = staticmethod(F.avg_pool3d)


class _MaxUnpool(Module):
    function: ClassVar[Any]

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding

    def forward(self, input: Any, indices: Any, output_size: Sequence[int] | None = None) -> Any:
        """Apply the function of this name."""
        settings = self.kernel_size, self.stride, self.padding
        return self.function(input, indices, *settings, output_size)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Put maxima back where `MaxPool1d` found them, zeros elsewhere.

    Parameters
    ----------
    kernel_size, stride, padding
        As `MaxPool1d` had them.

    Notes
    -----
    Input and indices (N, C, L) or without N, result (…, OL).

    >>> import numpy as np
    >>> x = np.arange(2.0).reshape(1, 1, 2)
    >>> values, indices = F.max_pool1d(x, 2, return_indices=True)
    >>> MaxUnpool1d(2)(values, indices).sum()
    np.float64(1.0)
    """

    function = staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """Put maxima back where `MaxPool2d` found them, zeros elsewhere.

    Parameters
    ----------
    kernel_size, stride, padding
        As `MaxPool2d` had them.

    Notes
    -----
    Input and indices (N, C, H, W) or without N, result (…, OH, OW).

    >>> import numpy as np
    >>> x = np.arange(4.0).reshape(1, 1, 2, 2)
    >>> values, indices = F.max_pool2d(x, 2, return_indices=True)
    >>> MaxUnpool2d(2)(values, indices).sum()
    np.float64(3.0)
    """

    function = staticmethod(F.max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """Put maxima back where `MaxPool3d` found them, zeros elsewhere.

    Parameters
    ----------
    kernel_size, stride, padding
        As `MaxPool3d` had them.

    Notes
    -----
    Input and indices (N, C, D, H, W) or without N, result (…, OD, OH, OW).

    >>> import numpy as np
    >>> x = np.arange(8.0).reshape(1, 1, 2, 2, 2)
    >>> values, indices = F.max_pool3d(x, 2, return_indices=True)
    >>> MaxUnpool3d(2)(values, indices).sum()
    np.float64(7.0)
    """

    function = staticmethod(F.max_unpool3d)
