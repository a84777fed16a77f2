"""Normalisation: fused rules on arrays, and a reference in plain operations for higher orders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.deferring import NOTHING, After, Computation, is_large, private
from tinygrad_cnn.graph import mode
from tinygrad_cnn.inplace import before_writing, changed
from tinygrad_cnn.joining import First
from tinygrad_cnn.kernels.norm import batch_norm as kernels
from tinygrad_cnn.kernels.norm import layer_norm as layer_kernels
from tinygrad_cnn.kernels.pool.max_pool import max_pool
from tinygrad_cnn.kernels.reduce.moments import batch_statistics
from tinygrad_cnn.op import Op, TensorBase
from tinygrad_cnn.ops.arguments import as_real, channels_last_hint, names_operands, shape_of
from tinygrad_cnn.ops.elementwise import sqrt
from tinygrad_cnn.ops.reduce import mean as mean_over
from tinygrad_cnn.ops.shape import reshape
from tinygrad_cnn.types import Array, Operand

__all__ = ["batch_norm", "layer_norm"]


class BatchNorm(First, Op):
    """Normalise each channel by the batch's own mean and biased variance; aux: these two."""

    __slots__ = ("eps",)
    widens = True
    saves = ("x", "weight", "bias")
    has_aux = True
    optional = True
    takes_lazy = True

    def __init__(self, eps: float) -> None:
        self.eps = eps

    def forward(self, x: Any, weight: Any, bias: Any) -> Any:
        aux = batch_statistics(x)
        return kernels.normalize(x, self._factors(aux, weight, bias)), aux

    def postpone(self, arrays: list[Any], recording: bool, foreign: bool) -> tuple[Any, Any]:
        x, weight, bias = arrays
        alike = all(a is None or a.dtype is x.dtype for a in (weight, bias))
        if not alike or x.ndim < 3 or x.dtype.char not in "fd" or not is_large(x.shape):
            return None, None
        aux = batch_statistics(x)
        held = private((x, weight, bias), foreign)
        return Computation(self, held, x.shape, x.dtype, aux), aux

    def compute_with(
        self,
        arrays: tuple[Any, ...],
        aux: Any,
        after: After,
        addend: Any,
        recorded: bool,
    ) -> tuple[Any, Any]:
        x, weight, bias = arrays
        factors = self._factors(aux, weight, bias)
        if after.pool is None:
            return kernels.normalize(x, factors, after.write, addend), None
        prepare = factors.step(x.size // x.shape[1], x.dtype)  # of the pool's copy of a few images
        return max_pool(x, after.pool.window, prepare=prepare, activation=after.write)

    def _factors(self, aux: Any, weight: Any, bias: Any) -> kernels.Factors:
        """Return what the batch is normalised by, of its mean and variance."""
        mean, var = aux
        inverse_std = (1.0 / np.sqrt(var + self.eps)).astype(var.dtype, copy=False)
        return kernels.Factors(mean, inverse_std, weight, bias)

    def backward(
        self, g: Any, out: Any, x: Any, weight: Any, bias: Any, *, aux: Any
    ) -> tuple[Any, ...]:
        return kernels.batch_norm_gradient(g, x, self._factors(aux, weight, bias))

    def reference(self, x: Any, weight: Any, bias: Any) -> Any:
        """Compute the same in plain operations."""
        axes = (0, *range(2, x.ndim))
        mean = mean_over(x, axes, keepdim=True)
        centred = x - mean
        var = mean_over(centred * centred, axes, keepdim=True)
        return scale_shift(centred / sqrt(var + self.eps), weight, bias)


class BatchNormEval(Op):
    """Normalise each channel by a given mean and variance."""

    __slots__ = ("eps",)
    widens = True
    saves = ("x", "mean", "var", "weight", "bias")
    optional = True

    def __init__(self, eps: float) -> None:
        self.eps = eps

    def _inverse_std(self, var: Any, dtype: Any) -> Any:
        return (1.0 / np.sqrt(var + self.eps)).astype(dtype, copy=False)

    def forward(self, x: Any, mean: Any, var: Any, weight: Any, bias: Any) -> Any:
        mean = mean.astype(x.dtype, copy=False)
        inverse = self._inverse_std(var, x.dtype)
        return kernels.normalize(x, kernels.Factors(mean, inverse, weight, bias))

    def backward(
        self, g: Any, out: Any, x: Any, mean: Any, var: Any, weight: Any, bias: Any, *, needs: Any
    ) -> tuple[Any, ...]:
        inverse = self._inverse_std(var, x.dtype)
        mean = mean.astype(x.dtype, copy=False)
        factors = kernels.Factors(mean, inverse, weight)
        gx, gweight, gbias = kernels.batch_norm_eval_gradient(g, x, factors)
        gmean = gvar = None
        if needs[1] or needs[2]:
            scale = inverse if weight is None else inverse * weight
            gmean = -scale * gbias
            gvar = -0.5 * scale * inverse * gweight  # d(var + eps)^(-1/2)
        return gx, gmean, gvar, gweight, gbias

    def reference(self, x: Any, mean: Any, var: Any, weight: Any, bias: Any) -> Any:
        """Compute the same in plain operations."""
        channels = _channel_shape(x)
        centred = x - reshape(mean, channels)
        normal = centred / sqrt(reshape(var, channels) + self.eps)
        return scale_shift(normal, weight, bias)

    def folded(self, x: Any, awaited: Computation, constants: tuple[Any, ...]) -> Any:
        """Return the result folded into what is to be computed before it, or None.

        It differs by rounding only. Nothing is recorded.
        """
        if awaited.continued or awaited.node is not None or awaited.after is not NOTHING:
            return None
        recording, dtype = mode.recording, awaited.dtype
        for t in constants:
            if recording and getattr(t, "_requires_grad", False):
                return None
        held: Any = tuple([t._data if isinstance(t, TensorBase) else t for t in constants])
        for a in held:
            if a is not None and a.dtype is not dtype:
                return None
        others = private(held, foreign=np.ndarray in map(type, constants))
        mean, var, weight, bias = held
        root = np.sqrt(np.add(var, self.eps, dtype=np.float64))
        scale = np.divide(1.0 if weight is None else weight, root)
        shift = -mean * scale if bias is None else bias - mean * scale
        arrays = awaited.first.rescaled(awaited.arrays, scale, shift)
        if arrays is None:
            return None
        longer = awaited.followed_by(self, NOTHING, awaited.shape, others, arrays=arrays)
        return x._defer(longer, None)


def _channel_shape(x: Any) -> Any:
    return (x.shape[1],) + (1,) * (x.ndim - 2)


def scale_shift(x: Any, weight: Any, bias: Any) -> Any:
    """Multiply each channel by a weight and add a bias, where there are any."""
    if weight is not None:
        x = x * reshape(weight, _channel_shape(x))
    return x if bias is None else x + reshape(bias, _channel_shape(x))


@names_operands
def batch_norm(
    input: Operand,
    running_mean: Operand | None,
    running_var: Operand | None,
    weight: Operand | None = None,
    bias: Operand | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Normalise each channel: ``(x − mean) / √(var + eps) · weight + bias``.

    In training, mean and biased variance are the batch's own, and the running statistics move
    towards them in place: ``running ← (1 − momentum) · running + momentum · batch``, with the
    unbiased variance. In evaluation the running statistics are used.

    Parameters
    ----------
    input
        (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W).
    running_mean, running_var
        (C,), tensors or arrays; None in training where none are kept.
    weight, bias
        (C,), or None for 1 and 0.
    training
        Whether to use the batch's statistics.
    momentum
        The share of the new batch in the running statistics.
    eps
        Added to the variance.

    Returns
    -------
    The shape of input.

    Raises
    ------
    ValueError
        If a shape does not fit, a training batch has one value a channel (an empty one is returned
        as it is), or evaluation has no statistics.

    Source: Ioffe and Szegedy, "Batch Normalization" (2015), algorithm 1.

    >>> batch_norm(np.array([[1.0], [3.0]]), None, None, training=True, eps=0.0)
    array([[-1.],
           [ 1.]])
    """
    check_batch_norm(input, running_mean, running_var, weight, bias, training)
    input = as_real(input)
    awaited = input._computation if isinstance(input, TensorBase) and input.deferred else None
    if not training:
        op = BatchNormEval(eps)
        constants = running_mean, running_var, weight, bias
        y = None if awaited is None else op.folded(input, awaited, constants)
        return op(input, *constants) if y is None else y
    if not math.prod(input.shape):  # nothing to take statistics of, nothing to normalise
        ones = np.ones(input.shape[1], input.dtype)
        return BatchNormEval(eps)(input, ones, ones, weight, bias)
    y, (mean, var) = BatchNorm(eps)(input, weight, bias, with_aux=True)
    update_running_stats(running_mean, running_var, mean, var, momentum, input.shape)
    return y


_CONSTANTS = "running_mean", "running_var", "weight", "bias"


def check_batch_norm(
    input: Operand,
    running_mean: Operand | None,
    running_var: Operand | None,
    weight: Operand | None,
    bias: Operand | None,
    training: bool,
) -> None:
    """Raise unless the arguments of `batch_norm` fit each other."""
    shape = shape_of("batch_norm", input)
    if len(shape) not in (2, 3, 4, 5):
        raise ValueError(
            f"batch_norm: expects (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W), got {shape}"
        )
    C = shape[1]
    expected = (C,)
    for name, array in zip(_CONSTANTS, (running_mean, running_var, weight, bias), strict=True):
        if array is not None and (size := shape_of("batch_norm", array)) != expected:
            raise ValueError(
                f"batch_norm: {name} expects shape ({C},) for input of shape {shape}, got {size}"
                + channels_last_hint(shape, math.prod(size))
            )
    if training:
        if math.prod(shape) == C:
            raise ValueError(
                "batch_norm: expects more than one value a channel in training, "
                f"got input of shape {shape}"
            )
    elif running_mean is None or running_var is None:
        raise ValueError("batch_norm: evaluation expects running_mean and running_var")


def update_running_stats(
    running_mean: Any,
    running_var: Any,
    mean: Array,
    var: Array,
    momentum: float,
    shape: tuple[int, ...],
) -> None:
    """Move running statistics towards those of a batch of this shape, in place."""
    count = math.prod(shape) // shape[1]
    move_towards(running_mean, mean, momentum)
    move_towards(running_var, var * (count / (count - 1)), momentum)


def move_towards(running: Any, batch: Array, momentum: float) -> None:
    """Move a running statistic, if there is one, towards a batch's, in place."""
    if running is None:
        return
    array = running._data if isinstance(running, TensorBase) else running
    before_writing(array)
    array += momentum * (batch - array)
    changed(array)


class LayerNorm(Op):
    """Normalise over the trailing dimensions of each example; aux: mean, inverse deviation."""

    __slots__ = ("eps", "ndim_normalized")
    widens = True
    saves = ("x", "weight", "bias")
    has_aux = True
    optional = True

    def __init__(self, ndim_normalized: int, eps: float) -> None:
        self.ndim_normalized = ndim_normalized
        self.eps = eps

    def forward(self, x: Any, weight: Any, bias: Any) -> Any:
        out, mean, inverse = layer_kernels.layer_norm(
            x, self.ndim_normalized, weight, bias, self.eps
        )
        return out, (mean, inverse)

    def backward(
        self, g: Any, out: Any, x: Any, weight: Any, bias: Any, *, aux: Any
    ) -> tuple[Any, ...]:
        mean, inverse = aux
        return layer_kernels.layer_norm_gradient(g, x, self.ndim_normalized, mean, inverse, weight)

    def reference(self, x: Any, weight: Any, bias: Any) -> Any:
        """Compute the same in plain operations."""
        axes = tuple(range(-self.ndim_normalized, 0))
        centred = x - mean_over(x, axes, keepdim=True)
        var = mean_over(centred * centred, axes, keepdim=True)
        y = centred / sqrt(var + self.eps)
        if weight is not None:
            y = y * weight
        return y if bias is None else y + bias


@names_operands
def layer_norm(
    input: Operand,
    normalized_shape: int | Sequence[int],
    weight: Operand | None = None,
    bias: Operand | None = None,
    eps: float = 1e-5,
) -> Any:
    """Normalise each example over its last dimensions.

    ``(x − mean) / √(var + eps) · weight + bias``

    Parameters
    ----------
    input
        (…, normalized_shape).
    normalized_shape
        The sizes of the dimensions that are normalised together.
    weight, bias
        Of normalized_shape, or None for 1 and 0.
    eps
        Added to the biased variance.

    Returns
    -------
    The shape of input.

    Raises
    ------
    ValueError
        If a shape does not fit.

    Source: Ba, Kiros and Hinton, "Layer Normalization" (2016), equation 4.

    >>> layer_norm(np.array([[1.0, 3.0]]), 2, eps=0.0)
    array([[-1.,  1.]])
    """
    one = isinstance(normalized_shape, (int, np.integer))
    shape = (int(normalized_shape),) if one else tuple(normalized_shape)  # type: ignore[arg-type]
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise ValueError(
            f"layer_norm: expects input whose last dimensions are {shape}, got {tuple(input.shape)}"
        )
    for name, array in {"weight": weight, "bias": bias}.items():
        if array is not None and tuple(array.shape) != shape:
            raise ValueError(f"layer_norm: {name} expects shape {shape}, got {tuple(array.shape)}")
    return LayerNorm(len(shape), eps)(as_real(input), weight, bias)
