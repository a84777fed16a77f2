"""Convolutions and batch normalisation with what follows them, computed while it is in the cache.

A ReLU of its own reads and writes the whole result again, and so do batch normalisation and
pooling. What is recorded is the operations one by one, each with its own rule. Two threads: inference
of the MNIST example, batch 64, 11.4 ms -> 9.9, with the pool 7.9; of ResNet-20, batch 128, 96 -> 83; a
step of `batchnorm`, batch 1000, 125 -> 111.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.graph import Array
from tinygrad_cnn.kernels import conv as kernels
from tinygrad_cnn.kernels import norm as norm_kernels
from tinygrad_cnn.kernels.pooled_conv import conv2d_max_pool2d
from tinygrad_cnn.kernels.pooled_norm import normalize_max_pool2d
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops.activation import Relu
from tinygrad_cnn.ops.conv import Conv2d, checked_conv2d, same_dtype
from tinygrad_cnn.ops.norm import BatchNorm, check_batch_norm, move_statistics
from tinygrad_cnn.ops.pool import MaxPool2d, checked_max_pool2d
from tinygrad_cnn.ops.together import Made, Step, apply_together

Operand = TensorBase | Array
Sizes = int | Sequence[int]

_relu = Relu()


class After(NamedTuple):
    """What follows: a ReLU, a max-pool or both, recorded with the pool first.

    That order gives the same bits and the same gradients, and the ReLU's rule has to look at fewer
    numbers. Scopes are the paths of the modules.
    """

    relu: str | None = None
    """Scope of a ReLU, if there is one."""
    pool: str | None = None
    """Scope of a max-pool behind that, if there is one."""
    block: Sizes = 1
    """The size of its windows, which is its stride too; it has no padding."""

    def steps(self, first: Step, pool: MaxPool2d | None) -> list[Step]:
        """Return the first operation and those that follow, in the order of the record."""
        steps = [first]
        if pool is not None and self.pool is not None:
            steps.append(Step(pool, self.pool))
        if self.relu is not None:
            steps.append(Step(_relu, self.relu))
        return steps

    def max_pool(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> MaxPool2d | None:
        """Return the max-pool, checked against what it gets, or None if none follows."""
        if self.pool is None:
            return None
        try:
            return checked_max_pool2d(shape, dtype, self.block, None, 0, 1, False)
        except ValueError as error:
            error.add_note(f"in {self.pool or 'the model'}: MaxPool2d.forward")
            raise


def conv2d_then(
    input: Operand,
    weight: Operand,
    bias: Operand | None,
    stride: Sizes,
    padding: Sizes | str,
    dilation: Sizes,
    groups: int,
    scope: str,
    after: After,
) -> Any:
    """Compute ``max_pool2d(relu(conv2d(input, weight, bias)), block)``, or without one of the two.

    Parameters
    ----------
    input, weight, bias, stride, padding, dilation, groups
        As for `conv2d`; the input is (N, C, H, W).
    scope
        The path of the convolution's module.
    after
        What follows.

    Raises
    ------
    ValueError, TypeError
        As `conv2d` and `max_pool2d` do.

    >>> x, w = np.ones((1, 1, 3, 3)), -np.ones((1, 1, 2, 2))
    >>> conv2d_then(x, w, np.array([5.0]), 1, 0, 1, 1, "", After(relu=""))[0, 0]
    array([[1., 1.],
           [1., 1.]])
    """
    op = checked_conv2d(input, weight, bias, stride, padding, dilation, groups)
    shape = _out_shape(op, input, weight)
    pool = after.max_pool(shape, weight.dtype)
    steps = after.steps(Step(op, scope), pool)

    def compute(arrays: list[Any], recording: bool) -> Made:
        x, w, b = same_dtype(*arrays)
        out, taps = _convolve(op, x, w, b, pool, after.relu is not None, recording)
        return _made(steps, out, shape, None, taps)

    return apply_together(compute, steps, (input, weight, bias))


def batch_norm_then(
    input: Operand,
    running_mean: TensorBase | None,
    running_var: TensorBase | None,
    weight: TensorBase | None,
    bias: TensorBase | None,
    momentum: float,
    eps: float,
    scope: str,
    after: After,
) -> Any:
    """Compute ``max_pool2d(relu(batch_norm(…, training=True)), block)``, or without one of the two.

    Parameters
    ----------
    input, running_mean, running_var, weight, bias, momentum, eps
        As for `batch_norm`; the input is (N, C, H, W).
    scope
        The path of the normalisation's module.
    after
        What follows.

    Raises
    ------
    ValueError, TypeError
        As `batch_norm` and `max_pool2d` do.

    >>> x = np.array([1.0, 3.0]).reshape(1, 1, 1, 2)
    >>> batch_norm_then(x, None, None, None, None, 0.1, 0.0, "", After(relu=""))
    array([[[[0., 1.]]]])
    """
    check_batch_norm(input, running_mean, running_var, weight, bias, training=True)
    op, shape = BatchNorm(eps), tuple(input.shape)
    pool = after.max_pool(shape, input.dtype)
    steps = after.steps(Step(op, scope), pool)
    statistics: list[Array] = []

    def compute(arrays: list[Any], recording: bool) -> Made:
        x, w, b = arrays
        mean, var = statistics[:] = norm_kernels.batch_statistics(x)
        constants = mean, op.inverse_std(var), w, b
        relu, taps = after.relu is not None, None
        if pool is None:
            out = norm_kernels.normalize(x, *constants, relu=relu)
        else:
            out, taps = normalize_max_pool2d(x, *constants, pool.kernel_size, relu, recording)
        return _made(steps, out, shape, (mean, var), taps)

    y = apply_together(compute, steps, (input, weight, bias))
    mean, var = statistics
    move_statistics(running_mean, running_var, mean, var, momentum, shape)
    return y


def _made(
    steps: list[Step], out: Array, shape: tuple[int, ...], aux: Any, taps: Array | None
) -> Made:
    """Say what each step made: the first a result of this shape with this aux."""
    shapes = [shape] + [out.shape] * (len(steps) - 1)
    own = [taps if isinstance(step.op, MaxPool2d) else None for step in steps]
    return Made(out, shapes, [aux, *own[1:]])


def conv2d_batch_norm(
    input: TensorBase,
    weight: TensorBase,
    bias: TensorBase | None,
    stride: Sizes,
    padding: Sizes | str,
    dilation: Sizes,
    groups: int,
    norm: tuple[Any, Any, Any, Any, float],
    after: After,
) -> Any:
    """Compute a convolution, batch normalisation by given statistics, and what follows.

    The normalisation is folded into the weights: ``w · s`` and ``(b − mean) · s + shift`` with
    ``s = scale / √(var + eps)`` for each output channel. It differs from `batch_norm` by rounding
    only. Nothing is recorded: for inference.

    Parameters
    ----------
    input, weight, bias, stride, padding, dilation, groups
        As for `conv2d`, tensors of one dtype.
    norm
        Mean, var, scale, shift and eps: tensors (O,) or None for scale and shift, and a number.
    after
        What follows the normalisation.

    >>> from tinygrad_cnn import tensor
    >>> one = tensor([1.0])
    >>> x, w = tensor(np.ones((1, 1, 2, 2))), tensor(np.ones((1, 1, 2, 2)))
    >>> conv2d_batch_norm(x, w, None, 1, 0, 1, 1, (one, one, one, one, 0.0), After()).item()
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
    pool = after.max_pool(_out_shape(op, input, weight), x.dtype)
    return input._wrap(_convolve(op, x, w, b, pool, after.relu is not None, False)[0], None)


def _out_shape(op: Conv2d, input: Operand, weight: Operand) -> tuple[int, int, int, int]:
    (N, OH, OW, out_channels), _ = kernels.conv2d_geometry(
        input.shape, weight.shape, *op.windows[:3]
    )
    return N, out_channels, OH, OW


def _convolve(
    op: Conv2d, x: Array, w: Array, b: Array | None, pool: MaxPool2d | None, relu: bool, taps: bool
) -> tuple[Array, Array | None]:
    if pool is None:
        return kernels.conv2d(x, w, b, *op.windows, relu=relu), None
    return conv2d_max_pool2d(x, w, b, *op.windows, pool.kernel_size, relu, taps)
