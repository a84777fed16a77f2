"""Convolution: the kernel, and its gradients by its input and by its weight.

All three are matrix products over tiles that fit in the cache (see `windows`), the tiles split
over threads. They are each other's adjoints, for any sizes:

    ⟨conv2d(x, w), g⟩ = ⟨x, conv2d_input_gradient(g, w)⟩ = ⟨w, conv2d_weight_gradient(x, g)⟩

Arguments may have any strides. Results of shape (N, C, H, W) lie in memory as (N, H, W, C), but as
(C, N, H, W) where a small convolution makes a few channels of one (see `single`).
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.conv.conv_jobs import correlations, weight_gradients
from tinygrad_cnn.kernels.conv.correlation import PositionSum
from tinygrad_cnn.kernels.conv.jobs import Job, run_jobs
from tinygrad_cnn.kernels.conv.layouts import Window
from tinygrad_cnn.kernels.conv.single import SingleProduct, single_product, single_sum
from tinygrad_cnn.kernels.conv.windows import plan_for, plan_of
from tinygrad_cnn.kernels.pool.windows import channels_first, channels_last
from tinygrad_cnn.kernels.reduce.moments import Moments
from tinygrad_cnn.kernels.reduce.sums import sum_over
from tinygrad_cnn.kernels.runtime.memory import aligned_empty

__all__ = [
    "conv2d",
    "conv2d_geometry",
    "conv2d_gradients",
    "conv2d_input_gradient",
    "conv2d_weight_gradient",
]

Array = npt.NDArray[Any]
Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
Shape = tuple[int, ...]


def conv2d(
    x: Array,
    w: Array,
    bias: Array | None,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    relu: bool = False,
    moments: Moments | None = None,
    addend: Array | None = None,
) -> Array:
    """Correlate images with kernels.

    out[n, o, y, x] = bias[o] + Σ_c Σ_kh Σ_kw w[o, c, kh, kw] · x[n, c, y·s + kh·d − p, x·s + …]

    Parameters
    ----------
    x
        Shape (N, C, H, W).
    w
        Shape (O, C // groups, KH, KW), of x's dtype.
    bias
        Shape (O,), or None.
    stride, dilation
        Of height and width, at least 1.
    padding
        ((top, bottom), (left, right)): zeros around the image, not negative.
    groups
        Output channels of group i see input channels of group i only.
    relu
        Whether to return max(out, 0).
    moments
        Collects those of the result, where that saves reading it again.
    addend
        Added before the ReLU: the result's shape and dtype, any strides; or None.

    Returns
    -------
    array
        Shape (N, O, OH, OW), in the memory order of this module's results,
        OH = (H + top + bottom − dilation · (KH − 1) − 1) // stride + 1.

    Examples
    --------
    >>> import numpy as np
    >>> x, w = np.ones((1, 2, 4, 4)), np.ones((3, 2, 3, 3))
    >>> conv2d(x, w, None, (1, 1), ((0, 0), (0, 0)), (1, 1), 1)[0, 0]
    array([[18., 18.],
           [18., 18.]])
    """
    images, kernels = channels_last(x), w.transpose(2, 3, 1, 0)  # (KH, KW, C // G, O)
    other = None if addend is None else channels_last(addend)
    if groups == 1:
        memory = images.flags.c_contiguous, x.itemsize
        single = _single(x.shape, w.shape, stride, padding, dilation, *memory)
        if single is not None:
            return channels_first(single(images, kernels, bias, relu, other)[0])
    out_shape, window = conv2d_geometry(x.shape, w.shape, stride, padding, dilation)
    out = aligned_empty(out_shape, x.dtype)
    if out.size == 0:
        return channels_first(out)
    jobs = correlations(images, kernels, out, window, groups, bias, relu, moments, other)
    run_jobs(jobs, out_shape[0])
    return channels_first(out)


@lru_cache(maxsize=1024)
def _single(
    shape: Shape,
    weight_shape: Shape,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    contiguous: bool,
    itemsize: int,
) -> SingleProduct | None:
    """Return how to do a convolution at once, or None where tiles or threads are due."""
    out_shape, window = conv2d_geometry(shape, weight_shape, stride, padding, dilation)
    if 0 in out_shape:
        return None
    N, C, H, W = shape
    return single_product(plan_for((N, H, W, C), contiguous, itemsize, out_shape, window, True))


@lru_cache(maxsize=1024)
def conv2d_geometry(
    shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
) -> tuple[tuple[int, int, int, int], Window]:
    """Return the shape (N, OH, OW, O) of the result, and how windows lie over the input."""
    N, _, H, W = shape
    out_channels, _, KH, KW = weight_shape
    (top, bottom), (left, right) = padding
    OH = (H + top + bottom - dilation[0] * (KH - 1) - 1) // stride[0] + 1
    OW = (W + left + right - dilation[1] * (KW - 1) - 1) // stride[1] + 1
    return (N, OH, OW, out_channels), Window((KH, KW), stride, dilation, (top, left))


def conv2d_input_gradient(
    g: Array,
    w: Array,
    input_shape: tuple[int, ...],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> Array:
    """Return the gradient of `conv2d` by its input: the transposed convolution.

    dx[n, c, i, j] = Σ w[o, c, kh, kw] · g[n, o, y, x] over all with i = y·s + kh·d − p, j alike

    Parameters
    ----------
    g
        Shape (N, O, OH, OW): the gradient by conv2d's result.
    w
        Shape (O, C // groups, KH, KW), of g's dtype.
    input_shape
        (N, C, H, W). Elements that no window reaches get zeros.
    stride, padding, dilation, groups
        As conv2d had them.

    Returns
    -------
    array
        Shape `input_shape`, in the memory order of this module's results.

    Examples
    --------
    >>> import numpy as np
    >>> g, w = np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2))
    >>> conv2d_input_gradient(g, w, (1, 1, 3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1)[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    N, C, H, W = input_shape
    if 0 in input_shape or g.size == 0:
        return channels_first(np.zeros((N, H, W, C), g.dtype))
    settings = stride, padding, dilation, groups
    dx, jobs = _input_gradient((N, H, W, C), channels_last(g), w, *settings)
    if jobs:
        run_jobs(jobs, N)
    return channels_first(dx)


def _input_gradient(
    shape: Shape, g: Array, w: Array, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> tuple[Array, list[Job]]:
    """Return an array (N, H, W, C) and the jobs that write the gradient to it: none if it is done.

    It is done at once where neither tiles nor threads are due. `g` is (N, OH, OW, O).
    """
    phases = _phases(shape, w, stride, padding, dilation, groups)
    if groups == 1 and stride == (1, 1):
        _, kernels, window = phases[0]
        single = single_product(plan_of(g, shape, window, sums=True))
        if single is not None:
            return single(g, kernels, None, relu=False)[0], []
    dx = aligned_empty(shape, g.dtype)
    jobs: list[Job] = []
    for place, kernels, window in phases:
        if kernels.size == 0:
            dx[place] = 0
        else:
            jobs += correlations(g, kernels, dx[place], window, groups)
    return dx, jobs


def _phases(
    shape: Shape, w: Array, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> list[tuple[tuple[slice, ...], Array, Window]]:
    """Return which pixels of an input (N, H, W, C) get their gradient by which correlation."""
    _, H, W, C = shape
    out_channels, Cg, KH, KW = w.shape
    # (KH, KW, O, C // G) -> (KH, KW, O // G, C): the inputs and outputs of each group swap.
    kernels = w.reshape(groups, out_channels // groups, Cg, KH, KW).transpose(3, 4, 1, 0, 2)
    kernels = kernels.reshape(KH, KW, out_channels // groups, C)
    (top, _), (left, _) = padding
    phases: list[tuple[tuple[slice, ...], Array, Window]] = []
    for y in range(min(stride[0], H)):
        taps_h, dilation_h, origin_h = _phase(y + top, KH, stride[0], dilation[0])
        for x in range(min(stride[1], W)):
            taps_w, dilation_w, origin_w = _phase(x + left, KW, stride[1], dilation[1])
            place = slice(None), slice(y, None, stride[0]), slice(x, None, stride[1])
            taps = kernels[taps_h, taps_w]
            size = taps.shape[0], taps.shape[1]
            window = Window(size, (1, 1), (dilation_h, dilation_w), (origin_h, origin_w))
            phases.append((place, taps, window))
    return phases


def _phase(position: int, taps: int, stride: int, dilation: int) -> tuple[slice, int, int]:
    """Say how one in `stride` of the input's rows gets its gradient: by a convolution of g.

    Rows at padded positions ``position + stride * q`` are reached by those taps k alone for
    which stride divides ``position - k * dilation``, from output row (position − k·dilation) /
    stride + q. So they are a convolution of stride 1 with these taps, last one first.

    Returns the slice of taps, their dilation over g, and the origin over g.
    """
    common = gcd(stride, dilation)
    period = stride // common
    reached = [k for k in range(min(taps, period)) if (position - k * dilation) % stride == 0]
    if not reached:
        return slice(0, 0), 1, 0
    first = reached[0]
    last = first + (taps - 1 - first) // period * period
    backwards = slice(last, first - 1 if first > 0 else None, -period)
    return backwards, dilation // common, (last * dilation - position) // stride


def conv2d_weight_gradient(
    x: Array,
    g: Array,
    weight_shape: tuple[int, ...],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> Array:
    """Return the gradient of `conv2d` by its weight.

    dw[o, c, kh, kw] = Σ_n Σ_y Σ_x g[n, o, y, x] · x[n, c, y·s + kh·d − p, x·s + kw·d − p]

    Parameters
    ----------
    x
        Shape (N, C, H, W).
    g
        Shape (N, O, OH, OW), of x's dtype: the gradient by conv2d's result.
    weight_shape
        (O, C // groups, KH, KW).
    stride, padding, dilation, groups
        As conv2d had them.

    Returns
    -------
    array
        Shape `weight_shape`, C-contiguous.

    Examples
    --------
    >>> import numpy as np
    >>> x, g = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> conv2d_weight_gradient(x, g, (1, 1, 2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1), 1)[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    settings = stride, padding, dilation, groups
    return conv2d_gradients(g, x, None, weight_shape, *settings, bias=False)[1]


def _as_weights(results: list[Array], weight_shape: Shape) -> Array:
    """Lay the results (KH, KW, C // G, O // G) of one group after another out as weights."""
    dw = np.empty(weight_shape, results[0].dtype)
    size = weight_shape[0] // len(results)
    for index, result in enumerate(results):
        dw[index * size : (index + 1) * size] = result.transpose(3, 2, 0, 1)
    return dw


def conv2d_gradients(
    g: Array,
    x: Array,
    w: Array | None,
    weight_shape: Shape,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    bias: bool,
) -> tuple[Array | None, Array, Array | None]:
    """Return the gradients of `conv2d` by its input, its weight and its bias, computed together.

    They are those of the functions above and ``g.sum((0, 2, 3))``, up to rounding, but threads
    start and wait once instead of three times.

    Parameters
    ----------
    g
        Shape (N, O, OH, OW): the gradient by conv2d's result.
    x
        Shape (N, C, H, W), of g's dtype.
    w
        Shape `weight_shape`, of g's dtype; None where the input's gradient is not wanted.
    weight_shape
        (O, C // groups, KH, KW).
    stride, padding, dilation, groups
        As conv2d had them.
    bias
        Whether the bias's gradient is wanted.

    Returns
    -------
    tuple of arrays
        Shapes of `x`, of the weight and (O,); None for what is not wanted.

    Examples
    --------
    >>> import numpy as np
    >>> g, x, w = np.ones((1, 1, 2, 2)), np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))
    >>> settings = (1, 1), ((0, 0), (0, 0)), (1, 1), 1
    >>> [a.shape for a in conv2d_gradients(g, x, w, w.shape, *settings, bias=True)]
    [(1, 1, 3, 3), (1, 1, 2, 2), (1,)]
    """
    settings = stride, padding, dilation, groups
    if x.size == 0 or g.size == 0:
        return (
            None if w is None else conv2d_input_gradient(g, w, x.shape, *settings),
            np.zeros(weight_shape, g.dtype),
            sum_over(g, (0, 2, 3)) if bias else None,
        )
    _, window = conv2d_geometry(x.shape, weight_shape, stride, padding, dilation)
    images, gradients = channels_last(x), channels_last(g)
    jobs: list[Job] = []
    dx = None
    if w is not None:
        dx, jobs = _input_gradient(images.shape, gradients, w, *settings)
    single = None
    if groups == 1:
        single = single_sum(plan_of(images, gradients.shape, window, sums=False))
    by_weight = [] if single else weight_gradients(images, gradients, window, groups)
    by_bias = [PositionSum(gradients)] if bias else []
    jobs += [*by_weight, *by_bias]
    if jobs:
        run_jobs(jobs, len(x))
    results = [single(images, gradients)] if single else [job.result() for job in by_weight]
    return (
        None if dx is None else channels_first(dx),
        _as_weights(results, weight_shape),
        by_bias[0].result() if bias else None,
    )
