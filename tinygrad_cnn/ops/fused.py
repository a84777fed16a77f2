"""Convolutions together with what follows them: computed while a tile is in the cache.

A ReLU of its own reads and writes the whole result again, and so does batch normalisation. What is
recorded is the operations one by one, each with its own rule. Two threads, inference: the MNIST
example, batch 64, 11.4 ms -> 9.9; ResNet-20, batch 128, 96 -> 83.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.graph import Array
from tinygrad_cnn.kernels import conv as kernels
from tinygrad_cnn.op import TensorBase, apply_together
from tinygrad_cnn.ops.activation import Relu
from tinygrad_cnn.ops.conv import checked_conv2d, same_dtype

Operand = TensorBase | Array
Sizes = int | Sequence[int]

_relu = Relu()


def conv2d_relu(
    input: Operand,
    weight: Operand,
    bias: Operand | None,
    stride: Sizes,
    padding: Sizes | str,
    dilation: Sizes,
    groups: int,
    scopes: tuple[str, str],
) -> Any:
    """Compute ``relu(conv2d(input, weight, bias))`` at once; recorded as both.

    Arguments and errors are those of `conv2d` for (N, C, H, W); `scopes` are the paths of the
    modules that the two operations belong to.

    >>> x, w = np.ones((1, 1, 3, 3)), -np.ones((1, 1, 2, 2))
    >>> conv2d_relu(x, w, np.array([5.0]), 1, 0, 1, 1, ("", ""))[0, 0]
    array([[1., 1.],
           [1., 1.]])
    """
    op = checked_conv2d(input, weight, bias, stride, padding, dilation, groups)

    def compute(x: Array, w: Array, b: Array | None) -> Array:
        x, w, b = same_dtype(x, w, b)
        return kernels.conv2d(x, w, b, *op.windows, relu=True)

    return apply_together(compute, op, _relu, (input, weight, bias), scopes)


def conv2d_batch_norm(
    input: TensorBase,
    weight: TensorBase,
    bias: TensorBase | None,
    stride: Sizes,
    padding: Sizes | str,
    dilation: Sizes,
    groups: int,
    norm: tuple[Any, Any, Any, Any, float],
    relu: bool,
) -> Any:
    """Compute a convolution, batch normalisation by given statistics, and a ReLU if wanted.

    The normalisation is folded into the weights: ``w · s`` and ``(b − mean) · s + shift`` with
    ``s = scale / √(var + eps)`` for each output channel. It differs from `batch_norm` by rounding
    only. Nothing is recorded: for inference.

    Parameters
    ----------
    input, weight, bias, stride, padding, dilation, groups
        As for `conv2d`, tensors of one dtype.
    norm
        Mean, var, scale, shift and eps: tensors (O,) or None for scale and shift, and a number.
    relu
        Whether to return the positive part.

    >>> from tinygrad_cnn import tensor
    >>> one = tensor([1.0])
    >>> x, w = tensor(np.ones((1, 1, 2, 2))), tensor(np.ones((1, 1, 2, 2)))
    >>> conv2d_batch_norm(x, w, None, 1, 0, 1, 1, (one, one, one, one, 0.0), False).item()
    4.0
    """
    op = checked_conv2d(input, weight, bias, stride, padding, dilation, groups)
    mean, var, scale, shift, eps = norm
    factor = 1.0 / np.sqrt(var._data.astype(np.float64) + eps)
    if scale is not None:
        factor *= scale._data
    offset = (0.0 if bias is None else bias._data) - mean._data
    x, w = input._data, weight._data
    b = (offset * factor + (0.0 if shift is None else shift._data)).astype(x.dtype)
    w = w * factor[:, None, None, None].astype(x.dtype)
    return input._wrap(kernels.conv2d(x, w, b, *op.windows, relu=relu), None)
