"""What batch and instance normalisation hold: scale, shift, and running statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.nn.linear import positive
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.tensor import Tensor

__all__: list[str] = []


class RunningStatistics:
    """Parameters and buffers of a normalisation; a layer inherits it before `Module`."""

    weight: Any  # Parameters or None; nobody wants to assert which in init.ones_(layer.weight)
    bias: Any
    momentum: Any  # None, where a layer takes it, is for the plain average
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self: Any,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        *,
        bias: bool,
        dtype: np.dtype[Any],
    ) -> None:
        size = self.num_features = positive(type(self).__name__, "num_features", num_features)
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = tracked = track_running_stats
        self.weight = Parameter(np.ones(size, dtype)) if affine else None
        self.bias = Parameter(np.zeros(size, dtype)) if affine and bias else None
        self.register_buffer("running_mean", Tensor(np.zeros(size, dtype)) if tracked else None)
        self.register_buffer("running_var", Tensor(np.ones(size, dtype)) if tracked else None)
        self.register_buffer("num_batches_tracked", Tensor(np.array(0)) if tracked else None)

    def reset_running_stats(self) -> None:
        """Forget the running statistics: mean 0, variance 1, no batch seen."""
        if self.running_mean is not None and self.running_var is not None:
            self.running_mean.copy_(0)
            self.running_var.copy_(1)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.copy_(0)

    def extra_repr(self: Any) -> str:
        """Return the settings."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, track_running_stats={self.track_running_stats}"
        )
