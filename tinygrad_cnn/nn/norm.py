"""Normalisation layers."""

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

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "LayerNorm", "SyncBatchNorm"]


class _BatchNorm(RunningStatistics, Module):
    """Batch normalisation; a subclass says which inputs it takes."""

    expects: ClassVar[str]
    ndims: ClassVar[tuple[int, ...]]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
    ) -> None:
        settings = eps, momentum, affine, track_running_stats
        super().__init__(num_features, *settings, bias=bias, dtype=factory(dtype, device))

    def forward(self, input: Any) -> Any:
        """Apply `functional.batch_norm`; in training, update the running statistics."""
        if input.ndim not in self.ndims:
            raise ValueError(
                f"{type(self).__name__}: expects an input of shape {self.expects}, "
                f"got {input.shape}"
            )
        momentum = self.momentum
        if self.training and (count := self.num_batches_tracked) is not None:
            count._data += 1
            if momentum is None:  # the plain average of all batches
                momentum = 1 / count.item()
        tensors = self.running_mean, self.running_var, self.weight, self.bias
        share = 0.0 if momentum is None else momentum
        return F.batch_norm(input, *tensors, self.uses_batch, share, self.eps)

    @property
    def uses_batch(self) -> bool:
        """Whether the next call will normalise by the batch's own statistics."""
        return self.training or self.running_mean is None


class BatchNorm1d(_BatchNorm):
    """Normalise each feature over the batch: ``(x − mean) / √(var + eps) · weight + bias``.

    In training the statistics are the batch's own (with the biased variance), and running ones
    follow them: ``running ← (1 − momentum) · running + momentum · batch's`` (with the unbiased
    variance). In evaluation the running ones are used (Ioffe and Szegedy 2015).

    Parameters
    ----------
    num_features
        C.
    eps
        Added to the variance.
    momentum
        Weight of the newest batch in the running statistics; None for their plain average.
    affine
        Whether to learn a weight (1 at first) and a bias (0).
    track_running_stats
        Whether to keep running statistics; without them the batch's own serve in evaluation too.
    bias
        False leaves out the bias.
    dtype
        Of parameters and buffers.

    Attributes
    ----------
    weight, bias, running_mean, running_var
        Shape (C,), or None.
    num_batches_tracked
        How many batches the running statistics have seen, or None.

    Raises
    ------
    ValueError
        When called: if the input has another number of dimensions or of channels.

    Notes
    -----
    Input and result (N, C) or (N, C, W).

    >>> BatchNorm1d(2)(np.array([[1, 5], [3, 9]], np.float32)).detach().numpy().round(3)
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    """

    expects = "(N, C) or (N, C, W)"
    ndims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Normalise each channel over the images and their pixels; otherwise as `BatchNorm1d`.

    Input and result (N, C, H, W).

    >>> BatchNorm2d(3)(np.ones((2, 3, 4, 4), np.float32)).shape
    (2, 3, 4, 4)
    """

    expects = "(N, C, H, W)"
    ndims = (4,)


class BatchNorm3d(_BatchNorm):
    """Normalise each channel over the volumes and their voxels; otherwise as `BatchNorm1d`.

    Input and result (N, C, D, H, W).

    >>> BatchNorm3d(3)(np.ones((2, 3, 4, 4, 4), np.float32)).shape
    (2, 3, 4, 4, 4)
    """

    expects = "(N, C, D, H, W)"
    ndims = (5,)


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation of inputs of any of these shapes; otherwise as `BatchNorm1d`.

    In one process, which is all there is here, it is the same as `BatchNorm2d`.

    >>> SyncBatchNorm(3)(np.ones((2, 3, 4, 4), np.float32)).shape
    (2, 3, 4, 4)
    """

    expects = "(N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W)"
    ndims = (2, 3, 4, 5)


class LayerNorm(Module):
    """Normalise over the last dimensions: ``(x − mean) / √(var + eps) · weight + bias``.

    Mean and (biased) variance are those of each sample by itself (Ba et al. 2016).

    Parameters
    ----------
    normalized_shape
        Sizes of the last dimensions, over which to normalise; an integer for one.
    eps
        Added to the variance.
    elementwise_affine
        Whether to learn a weight (1 at first) and a bias (0).
    bias
        False leaves out the bias.
    dtype, device
        Of the parameters. None for the default type; the device is the processor.

    Attributes
    ----------
    weight, bias
        Shape `normalized_shape`, or None.

    Raises
    ------
    ValueError
        If a size is less than 1.

    Notes
    -----
    Input and result (…, *normalized_shape).

    >>> LayerNorm(2)(np.array([[1, 3], [5, 9]], np.float32)).detach().numpy().round(3)
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)
    """

    weight: Any  # Parameters or None, as above
    bias: Any

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
    ) -> None:
        dtype = factory(dtype, device)
        single = isinstance(normalized_shape, (int, np.integer))
        sizes: Any = (normalized_shape,) if single else normalized_shape
        self.normalized_shape = tuple(positive("LayerNorm", "normalized_shape", s) for s in sizes)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        shape = self.normalized_shape
        self.weight = Parameter(np.ones(shape, dtype)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(shape, dtype)) if elementwise_affine and bias else None

    def forward(self, input: Any) -> Any:
        """Apply `functional.layer_norm`."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the settings."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )
