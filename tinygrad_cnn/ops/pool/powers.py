"""Pools by sums of powers: the sum of each window for p = 1, towards its maximum for p → ∞."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from tinygrad_cnn.ops.activation import relu
from tinygrad_cnn.ops.arguments import names_operands
from tinygrad_cnn.ops.conv.arguments import per_axis
from tinygrad_cnn.ops.elementwise import mul
from tinygrad_cnn.ops.elementwise import pow as power
from tinygrad_cnn.ops.piecewise import abs as absolute
from tinygrad_cnn.ops.piecewise import sign
from tinygrad_cnn.ops.pool.arguments import Size
from tinygrad_cnn.ops.pool.average import avg_pool1d, avg_pool2d, avg_pool3d
from tinygrad_cnn.types import Operand

__all__ = ["lp_pool1d", "lp_pool2d", "lp_pool3d"]

_AVERAGE: dict[int, Callable[..., Any]] = {1: avg_pool1d, 2: avg_pool2d, 3: avg_pool3d}


def _lp_pool(
    dims: int,
    input: Operand,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None,
    ceil_mode: bool,
) -> Any:
    function = f"lp_pool{dims}d"
    if not isinstance(norm_type, (int, float)) or norm_type == 0:
        raise ValueError(f"{function}: norm_type expects a number other than 0, got {norm_type!r}")
    kernel = per_axis(function, "kernel_size", kernel_size, dims)
    means = _AVERAGE[dims](power(input, norm_type), kernel, stride, 0, ceil_mode)
    sums = mul(mul(sign(means), relu(absolute(means))), float(prod(kernel)))
    return power(sums, 1.0 / norm_type)


@names_operands
def lp_pool2d(
    input: Operand,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Any:
    """Take the power mean's sum of each window: ``(Σ x^p)^(1/p)``.

    Parameters
    ----------
    input
        (N, C, H, W), or one image (C, H, W).
    norm_type
        p, not 0; negative numbers need one that makes their powers positive.
    kernel_size, stride, ceil_mode
        As for `avg_pool2d`.

    Returns
    -------
    (N, C, OH, OW), without N for one image.

    Raises
    ------
    ValueError
        If the settings do not fit the input.

    >>> import numpy as np
    >>> lp_pool2d(np.array([[[[3.0, 4.0]]]]), 2, (1, 2)).item()
    5.0
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


@names_operands
def lp_pool1d(
    input: Operand,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Any:
    """Take ``(Σ x^p)^(1/p)`` of each window of signals; see `lp_pool2d`.

    Parameters
    ----------
    input
        (N, C, L), or one signal (C, L).
    norm_type, kernel_size, stride, ceil_mode
        As for `lp_pool2d`, with one dimension.

    Returns
    -------
    (N, C, OL), without N for one signal.

    Raises
    ------
    ValueError
        If the settings do not fit the input.

    >>> import numpy as np
    >>> lp_pool1d(np.array([[[3.0, 4.0]]]), 2, 2).item()
    5.0
    """
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


@names_operands
def lp_pool3d(
    input: Operand,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Any:
    """Take ``(Σ x^p)^(1/p)`` of each window of volumes; see `lp_pool2d`.

    Parameters
    ----------
    input
        (N, C, D, H, W), or one volume (C, D, H, W).
    norm_type, kernel_size, stride, ceil_mode
        As for `lp_pool2d`, with three dimensions.

    Returns
    -------
    (N, C, OD, OH, OW), without N for one volume.

    Raises
    ------
    ValueError
        If the settings do not fit the input.

    >>> import numpy as np
    >>> lp_pool3d(np.full((1, 1, 2, 2, 2), 3.0), 1, 2).item()
    24.0
    """
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)
