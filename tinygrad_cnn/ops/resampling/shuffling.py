"""Pixels for channels and back, and channels in another order."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.ops.arguments import names_operands, single
from tinygrad_cnn.ops.shape import permute, reshape
from tinygrad_cnn.types import Operand

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]


@names_operands
def pixel_shuffle(input: Operand, upscale_factor: int) -> Any:
    """Make each group of r² channels a square of r × r pixels.

    ``y[c, h·r + i, w·r + j] = input[c·r² + i·r + j, h, w]``. Shi et al., "Real-time single image
    and video super-resolution using an efficient sub-pixel convolutional neural network" (2016).

    Parameters
    ----------
    input
        (…, C·r², H, W).
    upscale_factor
        r.

    Returns
    -------
    (…, C, H·r, W·r).

    Raises
    ------
    ValueError
        If the factor is less than 1, or its square does not divide the channels.

    >>> import numpy as np
    >>> pixel_shuffle(np.arange(4.0).reshape(4, 1, 1), 2)
    array([[[0., 1.],
            [2., 3.]]])
    """
    r = single("pixel_shuffle", "upscale_factor", upscale_factor)
    *leading, channels, H, W = _image_shape("pixel_shuffle", input)
    if channels % r**2:
        raise ValueError(
            f"pixel_shuffle: expects channels in groups of {r}², got shape {tuple(input.shape)}"
        )
    n = len(leading)
    x = reshape(input, *leading, channels // r**2, r, r, H, W)
    x = permute(x, *range(n + 1), n + 3, n + 1, n + 4, n + 2)  # …, C, H, r, W, r
    return reshape(x, *leading, channels // r**2, H * r, W * r)


@names_operands
def pixel_unshuffle(input: Operand, downscale_factor: int) -> Any:
    """Make each square of r × r pixels r² channels: the inverse of `pixel_shuffle`.

    Parameters
    ----------
    input
        (…, C, H·r, W·r).
    downscale_factor
        r.

    Returns
    -------
    (…, C·r², H, W).

    Raises
    ------
    ValueError
        If the factor is less than 1, or does not divide height and width.

    >>> import numpy as np
    >>> pixel_unshuffle(np.arange(4.0).reshape(1, 2, 2), 2).reshape(-1)
    array([0., 1., 2., 3.])
    """
    r = single("pixel_unshuffle", "downscale_factor", downscale_factor)
    *leading, channels, H, W = _image_shape("pixel_unshuffle", input)
    if H % r or W % r:
        raise ValueError(
            f"pixel_unshuffle: expects a height and width that {r} divides, got shape "
            f"{tuple(input.shape)}"
        )
    n = len(leading)
    x = reshape(input, *leading, channels, H // r, r, W // r, r)
    x = permute(x, *range(n + 1), n + 2, n + 4, n + 1, n + 3)  # …, C, r, r, H, W
    return reshape(x, *leading, channels * r**2, H // r, W // r)


@names_operands
def channel_shuffle(input: Operand, groups: int) -> Any:
    """Deal the channels out: of C channels in G groups, the first of each group comes first.

    Zhang et al., "ShuffleNet" (2018).

    Parameters
    ----------
    input
        (N, C, …), of at least three dimensions.
    groups
        G, which divides C.

    Raises
    ------
    ValueError
        If the groups are less than 1 or do not divide the channels.

    >>> import numpy as np
    >>> channel_shuffle(np.arange(4.0).reshape(1, 4, 1), 2).reshape(-1)
    array([0., 2., 1., 3.])
    """
    groups = single("channel_shuffle", "groups", groups)
    shape = tuple(input.shape)
    if len(shape) < 3:
        raise ValueError(f"channel_shuffle: expects (N, C, …), got shape {shape}")
    N, C, *sizes = shape
    if C % groups:
        raise ValueError(f"channel_shuffle: groups {groups} do not divide the {C} channels")
    x = reshape(input, N, groups, C // groups, *sizes)
    return reshape(permute(x, 0, 2, 1, *range(3, x.ndim)), shape)


def _image_shape(function: str, input: Operand) -> tuple[int, ...]:
    shape = tuple(input.shape)
    if len(shape) < 3:
        raise ValueError(f"{function}: expects (…, C, H, W), got shape {shape}")
    return shape
