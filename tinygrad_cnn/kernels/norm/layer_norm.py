"""Layer normalisation on plain arrays, in blocks along the first axis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinygrad_cnn.kernels.reduce.sums import sum_over
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.sweep import sweep
from tinygrad_cnn.types import Array

__all__ = ["layer_norm", "layer_norm_gradient"]


def layer_norm(
    x: Array,
    ndim_normalized: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> tuple[Array, Array, Array]:
    """Normalise over the trailing axes: Ba, Kiros and Hinton, "Layer Normalization" (2016).

    ``out = (x − mean) · inverse_std · weight + bias`` with ``inverse_std = 1 / √(var + eps)``, the
    variance biased, over the last `ndim_normalized` axes together. `weight` and `bias` have the
    shape of these axes, or are None; returns the result, and mean and inverse_std with these axes
    of length 1.

    >>> layer_norm(np.array([[1.0, 3.0]]), 1, eps=0.0)[0]
    array([[-1.,  1.]])
    """
    axes = tuple(range(-ndim_normalized, 0))
    out = np.empty_like(x)
    mean = np.empty(x.shape[: x.ndim - ndim_normalized] + (1,) * ndim_normalized, x.dtype)
    inverse_std = np.empty_like(mean)

    def step(source: Array, target: Array, mean_out: Array, inverse_out: Array) -> None:
        np.mean(source, axis=axes, keepdims=True, out=mean_out)
        np.subtract(source, mean_out, out=target)
        var = np.mean(np.square(target), axis=axes, keepdims=True)
        np.divide(1, np.sqrt(var + x.dtype.type(eps)), out=inverse_out)
        np.multiply(target, inverse_out, out=target)
        if weight is not None:
            np.multiply(target, weight, out=target)
        if bias is not None:
            np.add(target, bias, out=target)

    _sweep_leading(step, ndim_normalized, x, out, mean, inverse_std)
    return out, mean, inverse_std


def _sweep_leading(step: Callable[..., None], ndim_normalized: int, *arrays: Array) -> None:
    """Call `step` on blocks along the first axis; on one block if that axis is normalised."""
    if arrays[0].ndim == ndim_normalized:
        arrays = tuple([array[None] for array in arrays])
    each = max(1, arrays[0][:1].size)
    sweep(step, *arrays, most=tuning.BLOCK / each, grain=-(-tuning.BLOCK // 8 // each))


def layer_norm_gradient(
    g: Array,
    x: Array,
    ndim_normalized: int,
    mean: Array,
    inverse_std: Array,
    weight: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Differentiate `layer_norm`, by what it returned: gradients of `x`, weight and bias.

    The formula is that of `group_norm_gradient`, with means over the normalised axes and the sums
    over the leading ones.
    """
    axes = tuple(range(-ndim_normalized, 0))
    leading = tuple(range(x.ndim - ndim_normalized))
    gx, weighted = np.empty_like(x), np.empty_like(x)

    def step(
        block_g: Array, source: Array, target: Array, product: Array, centre: Array, inverse: Array
    ) -> None:
        normal = (source - centre) * inverse
        np.multiply(block_g, normal, out=product)
        h = block_g if weight is None else block_g * weight
        slope = np.mean(product if weight is None else h * normal, axis=axes, keepdims=True)
        np.multiply(normal, slope, out=target)
        np.subtract(h, target, out=target)
        np.subtract(target, np.mean(h, axis=axes, keepdims=True), out=target)
        np.multiply(target, inverse, out=target)

    _sweep_leading(step, ndim_normalized, g, x, gx, weighted, mean, inverse_std)
    return gx, sum_over(weighted, leading), sum_over(g, leading)
