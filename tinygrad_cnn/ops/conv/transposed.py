"""Transposed convolutions: they enlarge what a strided convolution shrinks."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.ops.batching import takes_one_example
from tinygrad_cnn.ops.conv.arguments import Sizes, check_bias, checked_transpose, per_axis
from tinygrad_cnn.ops.elementwise import add
from tinygrad_cnn.ops.shape import reshape
from tinygrad_cnn.types import Operand

__all__ = ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def _conv_transpose(
    dims: int,
    input: Operand,
    weight: Operand,
    bias: Operand | None,
    stride: Sizes,
    padding: Sizes,
    output_padding: Sizes,
    groups: int,
    dilation: Sizes,
) -> Any:
    function = f"conv_transpose{dims}d"
    op = checked_transpose(
        dims,
        tuple(input.shape),
        tuple(weight.shape),
        per_axis(function, "stride", stride, dims),
        per_axis(function, "padding", padding, dims, smallest=0),
        per_axis(function, "output_padding", output_padding, dims, smallest=0),
        per_axis(function, "dilation", dilation, dims),
        groups,
    )
    channels = op.image_shape[0]
    if bias is not None:
        check_bias(function, channels, bias)
    y = op(input, weight)
    return y if bias is None else add(y, reshape(bias, 1, channels, *(1,) * dims))


@takes_one_example(ndim=4)
def conv_transpose2d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Any:
    """Spread images through filters: the adjoint of `conv2d`, also called deconvolution.

    Parameters
    ----------
    input
        (N, C, H, W), or one image (C, H, W).
    weight
        (C, O/groups, KH, KW).
    bias
        (O,), or None.
    stride, padding, dilation, groups
        Those of the convolution that this one turns round.
    output_padding
        Rows and columns added at the bottom and right of the output, less than stride or
        dilation: a strided convolution maps several sizes to one, and this chooses among them.

    Returns
    -------
    (N, O, OH, OW) with
    ``OH = (H − 1)·stride − 2·padding + dilation·(KH − 1) + output_padding + 1``.

    Raises
    ------
    ValueError
        If shapes or settings do not fit each other.

    >>> import numpy as np
    >>> conv_transpose2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)), stride=2).shape
    (1, 1, 4, 4)
    """
    settings = stride, padding, output_padding, groups, dilation
    return _conv_transpose(2, input, weight, bias, *settings)


@takes_one_example(ndim=3)
def conv_transpose1d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Any:
    """Spread signals through filters: the adjoint of `conv1d`.

    Parameters
    ----------
    input
        (N, C, L), or one signal (C, L).
    weight
        (C, O/groups, K).
    bias, stride, padding, output_padding, groups, dilation
        As for `conv_transpose2d`.

    Returns
    -------
    (N, O, OL), without N for one signal.

    Raises
    ------
    ValueError
        If shapes or settings do not fit each other.

    >>> import numpy as np
    >>> conv_transpose1d(np.array([[[1.0, 2.0]]]), np.ones((1, 1, 2)))
    array([[[1., 3., 2.]]])
    """
    settings = stride, padding, output_padding, groups, dilation
    return _conv_transpose(1, input, weight, bias, *settings)


@takes_one_example(ndim=5)
def conv_transpose3d(
    input: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Any:
    """Spread volumes through filters: the adjoint of `conv3d`.

    Parameters
    ----------
    input
        (N, C, D, H, W), or one volume (C, D, H, W).
    weight
        (C, O/groups, KD, KH, KW).
    bias, stride, padding, output_padding, groups, dilation
        As for `conv_transpose2d`.

    Returns
    -------
    (N, O, OD, OH, OW), without N for one volume.

    Raises
    ------
    ValueError
        If shapes or settings do not fit each other.

    >>> import numpy as np
    >>> conv_transpose3d(np.ones((1, 1, 2, 2, 2)), np.ones((1, 1, 2, 2, 2)), stride=2).shape
    (1, 1, 4, 4, 4)
    """
    settings = stride, padding, output_padding, groups, dilation
    return _conv_transpose(3, input, weight, bias, *settings)
