"""Pooling layers that give a result of a wanted size, or sums of powers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.tensor import Tensor

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "FractionalMaxPool2d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
]

Sizes: TypeAlias = int | Sequence[int]
OutputSize: TypeAlias = int | Sequence[int | None] | None


class _AdaptiveAvgPool(Module):
    function: ClassVar[Any]

    def __init__(self, output_size: OutputSize) -> None:
        self.output_size = output_size

    def forward(self, input: Any) -> Any:
        """Apply the function of this name."""
        return self.function(input, self.output_size)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Take the mean of regions laid out so that the result has the size that is asked for.

    Parameters
    ----------
    output_size
        OL, an integer; None keeps a size.

    Notes
    -----
    Input (N, C, L) or (C, L), result (…, OL).

    >>> import numpy as np
    >>> AdaptiveAvgPool1d(2)(np.array([[[1.0, 3.0, 5.0]]]))
    array([[[2., 4.]]])
    """

    function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Take the mean of regions laid out so that the result has the size that is asked for.

    Parameters
    ----------
    output_size
        OH and OW: an integer for both, or a pair; None keeps a size.

    Notes
    -----
    Input (N, C, H, W) or (C, H, W), result (…, OH, OW).

    >>> import numpy as np
    >>> AdaptiveAvgPool2d(1)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[7.5]]]])
    """

    function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Take the mean of regions laid out so that the result has the size that is asked for.

    Parameters
    ----------
    output_size
        OD, OH and OW: an integer for all, or three; None keeps a size.

    Notes
    -----
    Input (N, C, D, H, W) or (C, D, H, W), result (…, OD, OH, OW).

    >>> import numpy as np
    >>> AdaptiveAvgPool3d(1)(np.arange(8.0).reshape(1, 1, 2, 2, 2)).item()
    3.5
    """

    function = staticmethod(F.adaptive_avg_pool3d)


class _AdaptiveMaxPool(_AdaptiveAvgPool):
    def __init__(self, output_size: OutputSize, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, input: Any) -> Any:
        """Apply the function of this name."""
        return self.function(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Take the maximum of regions laid out so that the result has the size that is asked for.

    Parameters
    ----------
    output_size
        OL, an integer; None keeps a size.
    return_indices
        Whether to return also where each maximum is.

    Notes
    -----
    Input (N, C, L) or (C, L), result (…, OL).

    >>> import numpy as np
    >>> AdaptiveMaxPool1d(2)(np.array([[[1.0, 3.0, 5.0]]]))
    array([[[3., 5.]]])
    """

    function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Take the maximum of regions laid out so that the result has the size that is asked for.

    Parameters
    ----------
    output_size
        OH and OW: an integer for both, or a pair; None keeps a size.
    return_indices
        Whether to return also where each maximum is.

    Notes
    -----
    Input (N, C, H, W) or (C, H, W), result (…, OH, OW).

    >>> import numpy as np
    >>> AdaptiveMaxPool2d(1)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[15.]]]])
    """

    function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Take the maximum of regions laid out so that the result has the size that is asked for.

    Parameters
    ----------
    output_size
        OD, OH and OW: an integer for all, or three; None keeps a size.
    return_indices
        Whether to return also where each maximum is.

    Notes
    -----
    Input (N, C, D, H, W) or (C, D, H, W), result (…, OD, OH, OW).

    >>> import numpy as np
    >>> AdaptiveMaxPool3d(1)(np.arange(8.0).reshape(1, 1, 2, 2, 2)).item()
    7.0
    """

    function = staticmethod(F.adaptive_max_pool3d)


class _LPPool(Module):
    function: ClassVar[Any]

    def __init__(
        self,
        norm_type: float,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        ceil_mode: bool = False,
    ) -> None:
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Any) -> Any:
        """Apply the function of this name."""
        settings = self.kernel_size, self.stride, self.ceil_mode
        return self.function(input, float(self.norm_type), *settings)

    def extra_repr(self) -> str:
        """Return the settings."""
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """Take ``(Σ x^p)^(1/p)`` of each window.

    Parameters
    ----------
    norm_type
        p.
    kernel_size, stride, ceil_mode
        As for `AvgPool1d`.

    Notes
    -----
    Input (N, C, L) or (C, L), result (…, OL).

    >>> import numpy as np
    >>> LPPool1d(2, 1)(np.full((1, 1, 1), 3.0)).item()
    3.0
    """

    function = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPool):
    """Take ``(Σ x^p)^(1/p)`` of each window.

    Parameters
    ----------
    norm_type
        p.
    kernel_size, stride, ceil_mode
        As for `AvgPool2d`.

    Notes
    -----
    Input (N, C, H, W) or (C, H, W), result (…, OH, OW).

    >>> import numpy as np
    >>> LPPool2d(2, 1)(np.full((1, 1, 1, 1), 3.0)).item()
    3.0
    """

    function = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPool):
    """Take ``(Σ x^p)^(1/p)`` of each window.

    Parameters
    ----------
    norm_type
        p.
    kernel_size, stride, ceil_mode
        As for `AvgPool3d`.

    Notes
    -----
    Input (N, C, D, H, W) or (C, D, H, W), result (…, OD, OH, OW).

    >>> import numpy as np
    >>> LPPool3d(2, 1)(np.full((1, 1, 1, 1, 1), 3.0)).item()
    3.0
    """

    function = staticmethod(F.lp_pool3d)


class FractionalMaxPool2d(Module):
    """Take the maximum of windows that begin at random steps, so that the result has any size.

    Parameters
    ----------
    kernel_size
        An integer, or a pair for height and width.
    output_size, output_ratio
        One of them: how many windows, or that as a part of the input's size.
    return_indices
        Whether to return also where each maximum is.
    generator
        Draws the steps; the package's default generator if None.

    Raises
    ------
    ValueError
        If not one of output_size and output_ratio is given.

    Notes
    -----
    Input (N, C, H, W) or (C, H, W), result (…, OH, OW).

    >>> import numpy as np
    >>> FractionalMaxPool2d(2, output_size=3)(np.ones((1, 1, 7, 7))).shape
    (1, 1, 3, 3)
    """

    def __init__(
        self,
        kernel_size: Sizes,
        output_size: Sizes | None = None,
        output_ratio: float | Sequence[float] | None = None,
        return_indices: bool = False,
        _random_samples: Any = None,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        if (output_size is None) == (output_ratio is None):
            raise ValueError("FractionalMaxPool2d: expects one of output_size and output_ratio")
        self.kernel_size = kernel_size
        self.output_size = output_size
        self.output_ratio = output_ratio
        self.return_indices = return_indices
        given = _random_samples is None or isinstance(_random_samples, Tensor)
        samples = _random_samples if given else Tensor(_random_samples)
        self.register_buffer("_random_samples", samples)
        self.generator = generator

    def forward(self, input: Any) -> Any:
        """Apply `functional.fractional_max_pool2d`."""
        settings = self.kernel_size, self.output_size, self.output_ratio, self.return_indices
        return F.fractional_max_pool2d(input, *settings, self._random_samples, self.generator)

    def extra_repr(self) -> str:
        """Return the settings."""
        size = f"output_size={self.output_size}"
        if self.output_size is None:
            size = f"output_ratio={self.output_ratio}"
        return f"kernel_size={self.kernel_size}, {size}"
