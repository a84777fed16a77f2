"""Convolutions and batch normalisation with what follows them, computed while it is in the cache.

A ReLU of its own reads and writes the whole result again, and so do batch normalisation and
pooling. What is recorded is the operations one by one, each with its own rule. Two threads:
inference of the MNIST example, batch 64, 11.4 ms -> 9.9, with the pool 7.9; of ResNet-20, batch
128, 96 -> 83; a step of `batchnorm`, batch 1000, 125 -> 111.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.kernels.conv import convolution as kernels
from tinygrad_cnn.kernels.fused.pooled_norm import normalize_max_pool2d
from tinygrad_cnn.kernels.norm import batch_norm as norm_kernels
from tinygrad_cnn.kernels.pool.max_pool import pool_and_rectify
from tinygrad_cnn.kernels.reduce.moments import Moments as Moments  # for the layers, too
from tinygrad_cnn.kernels.reduce.moments import batch_statistics
from tinygrad_cnn.op import Op, TensorBase
from tinygrad_cnn.ops.activation import Relu
from tinygrad_cnn.ops.conv.arguments import Padding, check_bias, checked_conv, settings_of
from tinygrad_cnn.ops.conv.trilinear import Conv2d, same_dtype
from tinygrad_cnn.ops.elementwise import Add
from tinygrad_cnn.ops.norm import BatchNorm, check_batch_norm, move_statistics
from tinygrad_cnn.ops.pool.maximum import MaxPool2d, checked_max_pool
from tinygrad_cnn.ops.together import Step, apply_together
from tinygrad_cnn.types import Array, Operand, Pair

Sizes = int | Sequence[int]

_relu, _add = Relu(), Add()


class After(NamedTuple):
    """What follows: a ReLU, a max-pool or both, or a sum and a ReLU.

    Scopes are the paths of the modules.
    """

    relu: str | None = None
    """Scope of a ReLU, if there is one."""
    pool: str | None = None
    """Scope of a max-pool behind that, if there is one."""
    block: Pair = (1, 1)
    """The size of its windows, which is its stride too; it has no padding."""
    add: str | None = None
    """Scope of a sum with another tensor before the ReLU, if there is one; then without a pool."""


class _Plan(NamedTuple):
    """What is computed at once, checked."""

    steps: tuple[Step, ...]
    pool: MaxPool2d | None
    relu: bool

    def aux(self, first: Any, taps: Array | None) -> list[Any]:
        """Return the aux of each step, given that of the first and the pool's."""
        own = [first, taps] if self.pool is not None else [first]
        return own + [None] * (len(self.steps) - len(own))


def _plan(
    first: Op, scope: str, shape: tuple[int, ...], dtype: np.dtype[Any], after: After
) -> _Plan:
    """Plan an operation, whose result has this shape and dtype, with what follows it.

    The pool comes before the ReLU: that gives the same bits and the same gradients, and the ReLU's
    rule has to look at fewer numbers.
    """
    steps, pool = [Step(first, scope, shape)], None
    if after.pool is not None:
        try:
            pool = checked_max_pool(2, shape, dtype, after.block, None, 0, 1, False)
        except ValueError as error:
            error.add_note(f"in {after.pool or 'the model'}: MaxPool2d.forward")
            raise
        (height, width), (N, C, H, W) = pool.window.kernel, shape
        shape = N, C, H // height, W // width
        steps.append(Step(pool, after.pool, shape))
    if after.add is not None:
        steps.append(Step(_add, after.add, shape))
    if after.relu is not None:
        steps.append(Step(_relu, after.relu, shape))
    return _Plan(tuple(steps), pool, after.relu is not None)


def _conv2d_plan(
    input: Operand,
    weight: Operand,
    bias: Operand | None,
    settings: tuple[Sizes, Padding, Sizes, int],
    scope: str,
    after: After,
) -> _Plan:
    """Plan a convolution with what follows it."""
    stride, padding, dilation, groups = settings
    image = tuple(input.shape), tuple(weight.shape), weight.dtype
    plan = _planned(
        *image, *settings_of("conv2d", 2, stride, padding, dilation), groups, scope, after
    )
    if bias is not None:
        check_bias("conv2d", weight.shape[0], bias)
    return plan


# Checked once for each geometry: 5 of the 50 µs of a small network's inference. Typed, so that
# groups=1.0 is refused though it equals 1.
@lru_cache(maxsize=1024, typed=True)
def _planned(
    image: tuple[int, ...],
    weight: tuple[int, ...],
    dtype: np.dtype[Any],
    steps: Pair,
    pads: Pair | str,
    taps: Pair,
    groups: int,
    scope: str,
    after: After,
) -> _Plan:
    op = checked_conv(2, image, weight, steps, pads, taps, groups)
    shape = image[0], weight[0], *op.window.out_size(image[2:])
    return _plan(op, scope, shape, dtype, after)


def conv2d_then(
    input: Operand,
    weight: Operand,
    bias: Operand | None,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int,
    scope: str,
    after: After,
    moments: Moments | None = None,
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
    moments
        Collects those of the convolution's result, if nothing follows.

    Raises
    ------
    ValueError, TypeError
        As `conv2d` and `max_pool2d` do.

    >>> x, w = np.ones((1, 1, 3, 3)), -np.ones((1, 1, 2, 2))
    >>> conv2d_then(x, w, np.array([5.0]), 1, 0, 1, 1, "", After(relu=""))[0, 0]
    array([[1., 1.],
           [1., 1.]])
    """
    settings = stride, padding, dilation, groups
    plan = _conv2d_plan(input, weight, bias, settings, scope, after)

    def compute(arrays: list[Any], recording: bool) -> tuple[Array, Sequence[Any]]:
        x, w, b = same_dtype(*arrays)
        out, taps = _convolve(plan, x, w, b, recording, moments)
        return out, plan.aux(None, taps) if recording else ()

    return apply_together(compute, plan.steps, (input, weight, bias))


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
    moments: Moments | None = None,
    addend: TensorBase | None = None,
) -> Any:
    """Compute ``max_pool2d(relu(batch_norm(…, training=True)), block)``, or without one of the two.

    Or ``relu(batch_norm(…, training=True) + addend)``.

    Parameters
    ----------
    input, running_mean, running_var, weight, bias, momentum, eps
        As for `batch_norm`; the input is (N, C, H, W).
    scope
        The path of the normalisation's module.
    after
        What follows.
    moments
        Of the input, collected by the convolution that made it.
    addend
        What the sum that follows adds: of the input's shape and dtype.

    Raises
    ------
    ValueError, TypeError
        As `batch_norm` and `max_pool2d` do.

    >>> x = np.array([1.0, 3.0]).reshape(1, 1, 1, 2)
    >>> batch_norm_then(x, None, None, None, None, 0.1, 0.0, "", After(relu=""))
    array([[[[0., 1.]]]])
    """
    check_batch_norm(input, running_mean, running_var, weight, bias, training=True)
    op = BatchNorm(eps)
    plan = _plan(op, scope, tuple(input.shape), input.dtype, after)
    array = input._data if isinstance(input, TensorBase) else input
    mean, var = batch_statistics(array) if moments is None else moments.statistics(array)
    inverse_std = op.inverse_std(var)

    def compute(arrays: list[Any], recording: bool) -> tuple[Array, Sequence[Any]]:
        x, w, b = arrays
        constants = mean, inverse_std, w, b
        if plan.pool is None:
            other = None if addend is None else addend._data
            out, taps = norm_kernels.normalize(x, *constants, plan.relu, other), None
        else:
            block = _block(plan.pool)
            out, taps = normalize_max_pool2d(x, *constants, block, plan.relu, recording)
        pooled = plan.relu and taps is not None
        return out, plan.aux((mean, var, pooled), taps) if recording else ()

    y = apply_together(compute, plan.steps, (input, weight, bias), addend)
    move_statistics(running_mean, running_var, mean, var, momentum, input.shape)
    return y


def conv2d_batch_norm(
    input: TensorBase,
    weight: TensorBase,
    bias: TensorBase | None,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int,
    norm: tuple[Any, Any, Any, Any, float],
    after: After,
    addend: TensorBase | None = None,
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
    addend
        What the sum that follows adds; of any shape that fits.

    >>> from tinygrad_cnn import tensor
    >>> one = tensor([1.0])
    >>> x, w = tensor(np.ones((1, 1, 2, 2))), tensor(np.ones((1, 1, 2, 2)))
    >>> conv2d_batch_norm(x, w, None, 1, 0, 1, 1, (one, one, one, one, 0.0), After()).item()
    4.0
    """
    settings = stride, padding, dilation, groups
    plan = _conv2d_plan(input, weight, bias, settings, "", after)
    shape = plan.steps[-1].shape
    if addend is not None and (addend.shape != shape or addend.dtype != input.dtype):
        y = conv2d_batch_norm(input, weight, bias, *settings, norm, After())
        return _relu(_add(y, addend))
    mean, var, scale, shift, eps = norm
    factor = 1.0 / np.sqrt(var._data.astype(np.float64) + eps)
    if scale is not None:
        factor *= scale._data
    offset = (0.0 if bias is None else bias._data) - mean._data
    x, w = input._data, weight._data
    b = (offset * factor + (0.0 if shift is None else shift._data)).astype(x.dtype)
    w = w * factor[:, None, None, None].astype(x.dtype)
    other = None if addend is None else addend._data
    return input._wrap(_convolve(plan, x, w, b, False, addend=other)[0], None)


def _block(pool: MaxPool2d) -> Pair:
    height, width = pool.window.kernel
    return height, width


def _convolve(
    plan: _Plan,
    x: Array,
    w: Array,
    b: Array | None,
    taps: bool,
    moments: Moments | None = None,
    addend: Array | None = None,
) -> tuple[Array, Array | None]:
    """Return the result of all steps, and the pool's taps if they are wanted."""
    op = plan.steps[0].op
    assert isinstance(op, Conv2d)
    settings = op.window, op.groups
    if plan.pool is None:
        return kernels.convolve(x, w, b, *settings, plan.relu, moments, addend), None
    block = _block(plan.pool)
    if not taps:
        return kernels.convolve_and_pool(x, w, b, *settings, block, plan.relu), None
    return pool_and_rectify(kernels.convolve(x, w, b, *settings), block, plan.relu, taps)
