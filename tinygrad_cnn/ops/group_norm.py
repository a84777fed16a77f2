"""Group and instance normalisation: the statistics of each example by itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.norm import group_norm as kernels
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import as_real, channels_last_hint, names_operands
from tinygrad_cnn.ops.elementwise import sqrt
from tinygrad_cnn.ops.norm import batch_norm, move_towards, scale_shift
from tinygrad_cnn.ops.reduce import mean as mean_over
from tinygrad_cnn.ops.shape import reshape
from tinygrad_cnn.types import Operand

__all__ = ["group_norm", "instance_norm"]


class GroupNorm(Op):
    """Normalise the channels of each group of each example; aux: mean, inverse deviation."""

    __slots__ = ("eps", "groups")
    widens = True
    saves = ("x", "weight", "bias")
    has_aux = True
    optional = True

    def __init__(self, groups: int, eps: float) -> None:
        self.groups = groups
        self.eps = eps

    def forward(self, x: Any, weight: Any, bias: Any) -> Any:
        out, mean, inverse = kernels.group_norm(x, self.groups, weight, bias, self.eps)
        return out, (mean, inverse)

    def backward(
        self, g: Any, out: Any, x: Any, weight: Any, bias: Any, *, aux: Any
    ) -> tuple[Any, ...]:
        mean, inverse = aux
        return kernels.group_norm_gradient(g, x, self.groups, mean, inverse, weight)

    def reference(self, x: Any, weight: Any, bias: Any) -> Any:
        """Compute the same in plain operations."""
        rows = reshape(x, x.shape[0], self.groups, math.prod(x.shape[1:]) // self.groups)
        centred = rows - mean_over(rows, 2, keepdim=True)
        var = mean_over(centred * centred, 2, keepdim=True)
        return scale_shift(reshape(centred / sqrt(var + self.eps), x.shape), weight, bias)


@names_operands
def group_norm(
    input: Operand,
    num_groups: int,
    weight: Operand | None = None,
    bias: Operand | None = None,
    eps: float = 1e-5,
) -> Any:
    """Normalise groups of channels, each example by itself.

    ``(x − mean) / √(var + eps) · weight + bias``, mean and biased variance over the channels of a
    group and their positions.

    Parameters
    ----------
    input
        (N, C, …).
    num_groups
        How many groups of C / num_groups channels: 1 for all together, C for each alone.
    weight, bias
        (C,), or None for 1 and 0.
    eps
        Added to the variance.

    Returns
    -------
    The shape of input.

    Raises
    ------
    ValueError
        If a shape does not fit, or the channels cannot be divided into so many groups.

    Source: Wu and He, "Group Normalization" (2018), equation 7.

    >>> group_norm(np.array([[1.0, 3.0, 0.0, 8.0]]), 2, eps=0.0)
    array([[-1.,  1., -1.,  1.]])
    """
    shape = tuple(input.shape)
    if len(shape) < 2:
        raise ValueError(f"group_norm: expects (N, C, …), got {shape}")
    if num_groups < 1 or shape[1] % num_groups:
        raise ValueError(
            f"group_norm: expects a number of groups that divides the {shape[1]} channels of "
            f"input {shape}, got {num_groups}"
        )
    for name, array in {"weight": weight, "bias": bias}.items():
        if array is not None and tuple(array.shape) != shape[1:2]:
            raise ValueError(
                f"group_norm: {name} expects shape ({shape[1]},) for input {shape}, got "
                f"{tuple(array.shape)}" + channels_last_hint(shape, math.prod(array.shape))
            )
    if math.prod(shape) == num_groups:  # as PyTorch; of several examples, each value becomes 0
        raise ValueError(f"group_norm: expects more than one value a group, got input {shape}")
    return GroupNorm(num_groups, eps)(as_real(input), weight, bias)


@names_operands
def instance_norm(
    input: Operand,
    running_mean: Operand | None = None,
    running_var: Operand | None = None,
    weight: Operand | None = None,
    bias: Operand | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Normalise each channel of each example over its positions.

    Parameters
    ----------
    input
        (N, C, L), (N, C, H, W) or (N, C, D, H, W).
    running_mean, running_var
        (C,): they move towards the examples' average where those are used, and are used otherwise.
    weight, bias
        (C,), or None for 1 and 0.
    use_input_stats
        Whether to normalise by the statistics of the examples.
    momentum
        The share of the examples in the running statistics.
    eps
        Added to the variance.

    Returns
    -------
    The shape of input.

    Raises
    ------
    ValueError
        If a shape does not fit, a channel has one value, or there are no statistics.

    Source: Ulyanov, Vedaldi and Lempitsky, "Instance Normalization" (2016).

    >>> instance_norm(np.array([[[1.0, 3.0], [0.0, 8.0]]]), eps=0.0)
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """
    shape = tuple(input.shape)
    if len(shape) < 3:
        raise ValueError(f"instance_norm: expects (N, C, L) or more dimensions, got {shape}")
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise ValueError("instance_norm: expects running_mean and running_var, or the input's")
        return batch_norm(input, running_mean, running_var, weight, bias, eps=eps)
    C, count = shape[1], math.prod(shape[2:])
    if count == 1:
        raise ValueError(f"instance_norm: expects more than one value a channel, got input {shape}")
    for name, array in (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    ):
        if array is not None and tuple(array.shape) != (C,):
            raise ValueError(
                f"instance_norm: {name} expects shape ({C},) for input {shape}, got "
                f"{tuple(array.shape)}"
            )
    y, (mean, inverse) = GroupNorm(C, eps)(as_real(input), weight, bias, with_aux=True)
    if shape[0]:
        var = (1.0 / np.square(inverse) - eps) * (count / (count - 1))
        move_towards(running_mean, mean.reshape(-1, C).mean(axis=0), momentum)
        move_towards(running_var, var.reshape(-1, C).mean(axis=0), momentum)
    return y
