"""Batch normalisation and max-pooling in one: what is normalised never leaves the cache.

Nor does what their gradients pass each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.norm.batch_norm import (
    Affine,
    batch_norm_gradient,
    gradient_sums,
    normalize,
    scale_of,
)
from tinygrad_cnn.kernels.norm.pending import Pending
from tinygrad_cnn.kernels.pool.argmax import write_blocks
from tinygrad_cnn.kernels.pool.max_pool import copy_by_place, pool_and_activate, write_maxima
from tinygrad_cnn.kernels.reduce.moments import FEW_ROWS
from tinygrad_cnn.kernels.reduce.sums import positions
from tinygrad_cnn.kernels.runtime.copies import channels_first, channels_last
from tinygrad_cnn.kernels.runtime.rows import ROW, Activation, apply_row, repeated
from tinygrad_cnn.kernels.runtime.threads import parallel, part_size

__all__ = ["normalize_max_pool2d", "normalize_max_pool2d_gradient"]

Array = npt.NDArray[Any]
Pair = tuple[int, int]

# Values a block. Two threads, (1000, 16, 28, 28), ms: 41 at 16 K, 14 at 64 K, 11 at 256 K, for
# threads wait for the interpreter's lock between short calls; a step of `batchnorm`, batch 1000,
# takes 75 at 256 K, 73 at 512 K, 74 at 1 M.
_BLOCK = 1 << 19
# Values worth a thread, about 50 µs.
_GRAIN = 1 << 15
# What is normalised can be told from the result if the bias is at most so many times the weight,
# which costs as many digits, and no weight so small or large that its products leave float32.
_MOST_BIAS = 8.0
_MODERATE = 1e-12, 1e12


# Two threads, (1000, 16, 28, 28), one after the other and at once: 19.5 ms -> 11.
def normalize_max_pool2d(
    x: Array,
    mean: Array,
    inverse_std: Array,
    weight: Array | None,
    bias: Array | None,
    block: Pair,
    activation: Activation | None = None,
    argmax: bool = False,
) -> tuple[Array, Array | None]:
    """Normalise, take the maximum of each block of pixels, and activate it if wanted.

    The result has the bits of ``max_pool2d(activation(normalize(…)), block, block)``.

    Parameters
    ----------
    x
        Shape (N, C, H, W), with at least one block.
    mean, inverse_std, weight, bias
        As for `normalize`.
    block
        Height and width of the pool's windows, also its stride.
    activation
        Applied to the maxima, which it must keep in order; or None.
    argmax
        Whether to return which pixel of its block each maximum is.

    Returns
    -------
    tuple of array and array or None
        Maxima and their places i·KW + j, both (N, C, H // KH, W // KW), channels last in memory,
        the places in the smallest unsigned integer that holds them.

    Examples
    --------
    >>> import numpy as np
    >>> x, one = np.arange(4.0).reshape(1, 1, 2, 2), np.ones(1)
    >>> normalize_max_pool2d(x, one, one, -2 * one, None, (2, 2), argmax=True)
    (array([[[[2.]]]]), array([[[[0]]]], dtype=uint8))
    """
    N, C, H, W = x.shape
    KH, KW = block
    if not 2 <= KH * KW <= 256 or N * H * W <= FEW_ROWS:
        return pool_and_activate(
            normalize(x, mean, inverse_std, weight, bias), block, activation, argmax
        )
    out = np.empty((N, H // KH, W // KW, C), x.dtype)
    chosen = np.empty(out.shape, np.uint8) if argmax else None
    images = channels_last(x)
    per_image = KH * KW * out[:1].size
    affine = Affine(mean, inverse_std, weight, bias, per_image // max(1, C), x.dtype)
    most = _BLOCK / max(1, per_image)

    def work(start: int, stop: int) -> None:
        some = part_size(stop - start, most)
        with np.errstate(invalid="ignore", over="ignore"):
            for i in range(start, stop, some):
                part = slice(i, min(i + some, stop))
                values = copy_by_place(images[part], block, out[part].shape)
                rows = values.reshape(len(out[part]), per_image)
                affine(rows, rows)
                write_maxima(values, out[part], None if chosen is None else chosen[part])
                if activation is not None:
                    activation(out[part], out[part])

    parallel(work, N, grain=-(-_GRAIN // max(1, per_image)))
    return channels_first(out), None if chosen is None else channels_first(chosen)


# Two threads, (1000, 16, 28, 28): masked, scattered and then differentiated 16.2 ms, at once 10.8;
# (128, 16, 28, 28) 2.1 and 1.6.
def normalize_max_pool2d_gradient(
    g: Pending,
    x: Array,
    mean: Array,
    inverse_std: Array,
    weight: Array | None = None,
    bias: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Differentiate `normalize_max_pool2d` with a ReLU, by the batch's own statistics.

    As `batch_norm_gradient`, which has the formulas, of what the pool passes on. That is 0 but at
    one pixel of each block, where the normalisation's result is known: the maximum that came out,
    where it is positive, and elsewhere the gradient is 0. So ``Σ g · x̂`` is
    ``(Σ g · out − bias · Σ g) / weight`` over the blocks.

    Parameters
    ----------
    g
        Gradient of `x` normalised, pending: `Pending.gate` is what `normalize_max_pool2d` returned,
        `Pending.pooling` has its argmax.
    x
        Shape (N, C, H, W).
    mean, inverse_std, weight, bias
        What `x` was normalised by: shape (C,), or None for 1 and 0.

    Returns
    -------
    tuple of arrays
        Gradients of `x` (channels-last memory), of the weight and of the bias, (C,) each.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_cnn.kernels.norm.pending import Pooling
    >>> from tinygrad_cnn.kernels.runtime.rows import rectify
    >>> from tinygrad_cnn.kernels.runtime.window import Window
    >>> x, zero, one = np.arange(4.0).reshape(1, 1, 2, 2), np.zeros(1), np.ones(1)
    >>> out, argmax = normalize_max_pool2d(x, zero, one, None, None, (2, 2), rectify, argmax=True)
    >>> window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    >>> pooling = Pooling(argmax, x.shape, window)
    >>> g = Pending(np.ones((1, 1, 1, 1)), gate=out, pooling=pooling)
    >>> normalize_max_pool2d_gradient(g, x, zero, one)[1:]
    (array([3.]), array([1.]))
    """
    out, pooling = g.gate, g.pooling
    assert out is not None
    assert pooling is not None
    N, C, H, W = x.shape
    OH, OW = out.shape[2:]
    KH, KW = pooling.window.kernel
    tiled = (OH * KH, OW * KW) == (H, W) and 2 <= KH * KW <= 256
    precise = x.itemsize >= 4 and _is_recoverable(weight, bias)
    if not tiled or N * H * W <= FEW_ROWS or not precise:
        return batch_norm_gradient(g, x, mean, inverse_std, weight)
    gated = Pending(*g.terms, gate=out)
    pooled, total, gweight = gradient_sums(gated, positions(out), np.zeros_like(mean), fold=True)
    if bias is not None:
        gweight -= total * bias
    if weight is not None:
        gweight /= weight
    scale = scale_of(inverse_std, weight)
    per_image, count = H * W * C, N * H * W
    # What is taken off: scale · (mean(g) + x̂ · mean(g · x̂)).
    slope, offset = scale * gweight / count, scale * total / count
    affine = Affine(mean, inverse_std, slope, offset, H * W, x.dtype)
    scale_row = repeated(scale, -(-ROW // C), x.dtype)
    images, argmax = positions(x).reshape(N, per_image), channels_last(pooling.argmax)
    gradients = pooled.reshape(N, OH, OW, C)
    gx = np.empty((N, OH, KH, OW, KW, C), x.dtype)
    most = _BLOCK / per_image

    def work(start: int, stop: int) -> None:
        some = part_size(stop - start, most)
        with np.errstate(invalid="ignore", over="ignore"):
            for i in range(start, stop, some):
                part = slice(i, min(i + some, stop))
                apply_row(np.multiply, gradients[part], scale_row, out=gradients[part])
                write_blocks(gradients[part], argmax[part], gx[part])
                source, target = images[part], gx[part].reshape(-1, per_image)
                taken = np.empty_like(source)
                affine(source, taken)
                np.subtract(target, taken, out=target)

    parallel(work, N, grain=-(-_GRAIN // per_image))
    return (
        channels_first(gx.reshape(N, H, W, C)),
        gweight.astype(x.dtype),
        total.astype(x.dtype),
    )


def _is_recoverable(weight: Array | None, bias: Array | None) -> bool:
    """Whether ``(out − bias) / weight`` still has the digits of ``x̂``, in every channel."""
    sizes = np.ones(1) if weight is None else np.abs(weight)
    most = 0.0 if bias is None else np.abs(bias)
    smallest, largest = _MODERATE
    moderate = np.all(sizes > smallest) and np.all(sizes < largest)
    return bool(moderate and np.all(most <= _MOST_BIAS * sizes))
