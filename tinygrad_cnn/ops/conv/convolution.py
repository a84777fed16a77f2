"""Convolve signals, images and volumes."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.ops.arguments import are_plain, values_of
from tinygrad_cnn.ops.batching import takes_one_example
from tinygrad_cnn.ops.conv.arguments import (
    Padding,
    Sizes,
    check_bias,
    checked_conv,
    settings_of,
)
from tinygrad_cnn.types import Operand

__all__ = ["conv1d", "conv2d", "conv3d"]

_NAMES = {1: "conv1d", 2: "conv2d", 3: "conv3d"}


def _conv(
    dims: int,
    input: Operand,
    weight: Operand,
    bias: Operand | None,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int,
) -> Any:
    name = _NAMES[dims]
    x, w = values_of(input), values_of(weight)  # shapes of arrays: a tensor's take longer
    settings: tuple[Any, ...] = stride, padding, dilation
    if not are_plain(settings):
        settings = settings_of(name, dims, *settings)
    op = checked_conv(dims, x.shape, w.shape, *settings, groups)
    if bias is not None:
        check_bias(name, w.shape[0], bias)
    return op(input, weight, bias)


@takes_one_example(ndim=4)
def conv2d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    """Convolve images with filters (cross-correlation, as everywhere in this field).

    Parameters
    ----------
    input
        (N, C, H, W), or one image (C, H, W).
    weight
        (O, C/groups, KH, KW).
    bias
        (O,), added to each channel; or None.
    stride, dilation
        Steps between windows and between the elements of a window, in pixels; int or (vertical,
        horizontal).
    padding
        Zeros around the image, in pixels: int, (vertical, horizontal), 'valid' (none), or 'same'
        (the output has the input's size; stride 1 only; an odd total puts the extra row or column
        at the bottom or right).
    groups
        Channels are cut into this many groups that do not see each other; ``groups == C`` is
        depthwise.

    Returns
    -------
    (N, O, OH, OW) with ``OH = (H + 2·padding − dilation·(KH − 1) − 1) // stride + 1``; without N
    for one image.

    Raises
    ------
    ValueError
        If shapes or settings do not fit each other.

    Notes
    -----
    Large convolutions of stride 1 use Winograd's minimal filtering, see `kernels.conv.winograd`.
    Its rounding errors are about 2.4 times those of direct sums; outputs that would be equal may
    differ by that. A NaN or an infinity makes NaNs of a few rows of outputs beside those whose
    window it is in, in its own image.

    >>> import numpy as np
    >>> conv2d(np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3))).shape
    (1, 1, 2, 2)
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


@takes_one_example(ndim=3)
def conv1d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    """Convolve signals with filters; the arguments are those of `conv2d` with one dimension.

    Parameters
    ----------
    input
        (N, C, L), or one signal (C, L).
    weight
        (O, C/groups, K).
    bias, stride, padding, dilation, groups
        As for `conv2d`.

    Returns
    -------
    (N, O, OL), without N for one signal.

    Raises
    ------
    ValueError
        If shapes or settings do not fit each other.

    >>> import numpy as np
    >>> conv1d(np.ones((1, 1, 5)), np.ones((1, 1, 3)))
    array([[[3., 3., 3.]]])
    """
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


@takes_one_example(ndim=5)
def conv3d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    """Convolve volumes with filters; the arguments are those of `conv2d` with three dimensions.

    Parameters
    ----------
    input
        (N, C, D, H, W), or one volume (C, D, H, W).
    weight
        (O, C/groups, KD, KH, KW).
    bias, stride, padding, dilation, groups
        As for `conv2d`.

    Returns
    -------
    (N, O, OD, OH, OW), without N for one volume.

    Raises
    ------
    ValueError
        If shapes or settings do not fit each other.

    >>> import numpy as np
    >>> conv3d(np.ones((1, 1, 3, 3, 3)), np.ones((1, 1, 3, 3, 3))).item()
    27.0
    """
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)
