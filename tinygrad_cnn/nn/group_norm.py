"""Normalisation layers whose statistics are each example's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

import tinygrad_cnn.functional as F
from tinygrad_cnn.dtypes import factory
from tinygrad_cnn.nn.linear import positive
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.nn.running_statistics import RunningStatistics

__all__ = [
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LocalResponseNorm",
    "RMSNorm",
]


class GroupNorm(Module):
    """Normalise groups of channels, each example by itself (Wu and He 2018).

    Parameters
    ----------
    num_groups
        How many groups; 1 normalises all channels together, as ConvNeXt-like blocks do.
    num_channels
        C.
    eps
        Added to the variance.
    affine
        Whether to learn a weight (1 at first) and a bias (0) for each channel.
    bias
        False leaves out the bias.
    dtype, device
        Of the parameters. None for the default type; the device is the processor.

    Attributes
    ----------
    weight, bias
        Shape (C,), or None.

    Raises
    ------
    ValueError
        If the channels cannot be divided into so many groups.

    >>> GroupNorm(2, 4)(np.ones((3, 4, 5, 5), np.float32)).shape
    (3, 4, 5, 5)
    """

    weight: Any  # Parameters or None
    bias: Any

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
    ) -> None:
        dtype = factory(dtype, device)
        self.num_groups = positive("GroupNorm", "num_groups", num_groups)
        self.num_channels = positive("GroupNorm", "num_channels", num_channels)
        if num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: num_groups expects a divisor of {num_channels} channels, got "
                f"{num_groups}"
            )
        self.eps = eps
        self.affine = affine
        self.weight = Parameter(np.ones(num_channels, dtype)) if affine else None
        self.bias = Parameter(np.zeros(num_channels, dtype)) if affine and bias else None

    def forward(self, input: Any) -> Any:
        """Apply `functional.group_norm`."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class _InstanceNorm(RunningStatistics, Module):
    """Instance normalisation; a subclass says how many dimensions positions have."""

    expects: ClassVar[str]
    ndim: ClassVar[int]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
    ) -> None:
        settings = eps, momentum, affine, track_running_stats
        super().__init__(num_features, *settings, bias=bias, dtype=factory(dtype, device))

    def forward(self, input: Any) -> Any:
        """Apply `functional.instance_norm`; in training, update running statistics, if any."""
        if input.ndim not in (self.ndim, self.ndim - 1):
            raise ValueError(
                f"{type(self).__name__}: expects an input of shape {self.expects}, got "
                f"{tuple(input.shape)}"
            )
        one = input.ndim < self.ndim
        x = F.unsqueeze(input, 0) if one else input
        if x.shape[1] != self.num_features:
            raise ValueError(
                f"{type(self).__name__}: expects {self.num_features} channels, got input "
                f"{tuple(input.shape)}"
            )
        own = self.training or self.running_mean is None
        tensors = self.running_mean, self.running_var, self.weight, self.bias
        y = F.instance_norm(x, *tensors, own, self.momentum, self.eps)
        return F.squeeze(y, 0) if one else y


class InstanceNorm1d(_InstanceNorm):
    """Normalise each channel of each example over its positions (Ulyanov et al. 2016).

    Parameters
    ----------
    num_features
        C.
    eps
        Added to the variance.
    momentum
        Weight of the newest examples in the running statistics.
    affine
        Whether to learn a weight (1 at first) and a bias (0).
    track_running_stats
        Whether to keep running statistics and use them in evaluation.
    bias
        False leaves out the bias.
    dtype
        Of parameters and buffers.

    Attributes
    ----------
    weight, bias, running_mean, running_var
        Shape (C,), or None.

    Raises
    ------
    ValueError
        When called: if the input has another number of dimensions or of channels.

    Notes
    -----
    Input and result (N, C, L) or (C, L).

    >>> InstanceNorm1d(1)(np.array([[[1, 3]]], np.float32)).round(3)
    array([[[-1.,  1.]]], dtype=float32)
    """

    expects = "(N, C, L) or (C, L)"
    ndim = 3


class InstanceNorm2d(_InstanceNorm):
    """Normalise each channel of each image over its pixels; otherwise as `InstanceNorm1d`.

    Input and result (N, C, H, W) or (C, H, W).

    >>> InstanceNorm2d(3)(np.ones((2, 3, 4, 4), np.float32)).shape
    (2, 3, 4, 4)
    """

    expects = "(N, C, H, W) or (C, H, W)"
    ndim = 4


class InstanceNorm3d(_InstanceNorm):
    """Normalise each channel of each volume; otherwise as `InstanceNorm1d`.

    Input and result (N, C, D, H, W) or (C, D, H, W).

    >>> InstanceNorm3d(3)(np.ones((2, 3, 4, 4, 4), np.float32)).shape
    (2, 3, 4, 4, 4)
    """

    expects = "(N, C, D, H, W) or (C, D, H, W)"
    ndim = 5


class RMSNorm(Module):
    """Divide by the root mean square of the last dimensions (Zhang and Sennrich 2019).

    Parameters
    ----------
    normalized_shape
        Their sizes; an integer for one.
    eps
        Added to the mean square; None for the smallest step of the dtype at 1.
    elementwise_affine
        Whether to learn a weight (1 at first).
    dtype, device
        Of the weight. None for the default type; the device is the processor.

    >>> RMSNorm(2)(np.array([[3, 4]], np.float32)).detach().numpy().round(4)
    array([[0.8485, 1.1314]], dtype=float32)
    """

    weight: Any  # a Parameter or None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
    ) -> None:
        dtype = factory(dtype, device)
        single = isinstance(normalized_shape, (int, np.integer))
        sizes: Any = (normalized_shape,) if single else normalized_shape
        self.normalized_shape = tuple(positive("RMSNorm", "normalized_shape", s) for s in sizes)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.weight = (
            Parameter(np.ones(self.normalized_shape, dtype)) if elementwise_affine else None
        )

    def forward(self, input: Any) -> Any:
        """Apply `functional.rms_norm`."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Return the settings."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class LocalResponseNorm(Module):
    """Divide by the size of neighbouring channels, as AlexNet does (Krizhevsky et al. 2012).

    >>> LocalResponseNorm(2)(np.ones((1, 3, 4, 4))).shape
    (1, 3, 4, 4)
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        self.size = positive("LocalResponseNorm", "size", size)
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Any) -> Any:
        """Apply `functional.local_response_norm`."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
