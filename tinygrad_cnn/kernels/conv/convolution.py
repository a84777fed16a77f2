"""Convolution: the result, and its gradients by the input and by the weights, in any dimensions.

The three are each other's adjoints, for any sizes:

    ⟨convolve(x, w), g⟩ = ⟨x, input_gradient(g, w)⟩ = ⟨w, weight_gradient(x, g)⟩

Shapes: `x` (N, C, *sizes), `w` (O, C // groups, *kernel), `bias` (O,) or None, `g` and results
(N, O, *window.out_size(sizes)), all of one dtype. Output channels of group i see input channels of
group i only.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.conv.epilogue import Epilogue
from tinygrad_cnn.kernels.conv.jobs import Correlation, run_jobs
from tinygrad_cnn.kernels.conv.methods import correlations, weight_gradients
from tinygrad_cnn.kernels.conv.phases import phases_of, transposed
from tinygrad_cnn.kernels.conv.tiles import ONE, Geometry, geometry_of
from tinygrad_cnn.kernels.conv.windows import WindowMatrix, small_matrix
from tinygrad_cnn.kernels.pool.max_pool import max_pool_values
from tinygrad_cnn.kernels.reduce.sums import sum_over
from tinygrad_cnn.kernels.runtime.copies import channels_first, channels_last
from tinygrad_cnn.kernels.runtime.memory import aligned_empty
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.rows import Activation
from tinygrad_cnn.kernels.runtime.window import Pair, Window
from tinygrad_cnn.types import Array, Shape

__all__ = ["convolve", "gradients", "input_gradient", "weight_gradient"]


def convolve(
    x: Array,
    w: Array,
    bias: Array | None,
    window: Window,
    groups: int = 1,
    activation: Activation | None = None,
    addend: Array | None = None,
    block: Pair = ONE,
) -> Array:
    """Correlate inputs with kernels; add an addend of the result's shape, then activate.

    ``out[n, o, i] = bias[o] + Σ_c Σ_k w[o, c, k] · x[n, c, i · stride + k · dilation − before]``,
    i and k along each spatial axis.

    Of each `block` (height, width) of an image's outputs only the maximum is returned, with the
    bits of a max-pool after the activation, which must keep numbers in order: the outputs
    themselves never leave the cache. Which one the maximum is, is not told: this is for inference.

    >>> x, w = np.ones((1, 2, 4, 4)), np.ones((3, 2, 3, 3))
    >>> convolve(x, w, None, Window((3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1)))[0, 0]
    array([[18., 18.],
           [18., 18.]])
    """
    if x.ndim == 3:
        other = None if addend is None else addend[:, :, None]
        wide = x[:, :, None], w[:, :, None], bias, window.with_leading_axis()
        return convolve(*wide, groups, activation, other)[:, :, 0]
    if groups > 1 and block != ONE:
        y = convolve(x, w, bias, window, groups, activation)
        return max_pool_values(y, Window(block, block, ((0, 0), (0, 0)), ONE))
    images, kernels = channels_last(x), _kernels(w)
    memory = images.shape, images.flags.c_contiguous, x.dtype
    other = None if addend is None else channels_last(addend)
    out_shape, small = _plan(memory, w.shape, window, block)
    if small is not None and groups == 1:
        return channels_first(small.correlate_small(images, kernels, bias, activation, other))
    out = aligned_empty(out_shape, x.dtype)
    if out.size:
        epilogue = Epilogue(out, bias, activation, other, block)
        run_jobs(correlations(images, kernels, window, groups, epilogue), len(x))
    return channels_first(out)


@planned
def _plan(
    memory: tuple[Shape, bool, np.dtype[Any]], weight_shape: Shape, window: Window, block: Pair
) -> tuple[Shape, WindowMatrix | None]:
    """Return the shape of the result, and how it is computed at once if it is small."""
    shape, contiguous, dtype = memory
    size = covered = window.out_size(shape[1:-1])
    if block != ONE:
        size = tuple(length // part for length, part in zip(size, block, strict=True))
        covered = tuple(length * part for length, part in zip(size, block, strict=True))
    made = shape[0], *covered, weight_shape[0]
    small = small_matrix(Geometry(shape, contiguous, dtype, made, window, block), False)
    return (shape[0], *size, weight_shape[0]), small


_TO_KERNELS = [(*range(2, ndim), 1, 0) for ndim in range(6)]


def _kernels(w: Array) -> Array:
    """View weights (O, C // groups, *kernel) as (*kernel, C // groups, O)."""
    return w.transpose(_TO_KERNELS[w.ndim])


def input_gradient(
    g: Array, w: Array, input_shape: Shape, window: Window, groups: int = 1
) -> Array:
    """Return the gradient of `convolve` by its input, of `input_shape`: the transposed convolution.

    ``dx[n, c, j] = Σ w[o, c, k] · g[n, o, i]`` over all with
    ``j = i · stride + k · dilation − before`` along each spatial axis.

    >>> g, w = np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2))
    >>> window = Window((2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))
    >>> input_gradient(g, w, (1, 1, 3, 3), window)[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    N, C, *sizes = input_shape
    if g.ndim == 3:
        wide = g[:, :, None], w[:, :, None], (N, C, 1, *sizes), window.with_leading_axis()
        return input_gradient(*wide, groups)[:, :, 0]
    shape = N, *sizes, C
    if 0 in input_shape or g.size == 0:
        return channels_first(np.zeros(shape, g.dtype))
    dx, jobs = _input_gradient(shape, channels_last(g), w, window, groups)
    run_jobs(jobs, N)
    return channels_first(dx)


def _input_gradient(
    shape: Shape, g: Array, w: Array, window: Window, groups: int
) -> tuple[Array, list[Correlation]]:
    """Return an array (N, *sizes, C) and the jobs that write the gradient: none if it is done.

    `g` is (N, *out sizes, O).
    """
    kernels = _swapped(w, groups)
    backwards = (slice(None, None, -1),) * len(window.kernel)
    sizes, out_sizes = shape[1:-1], g.shape[1:-1]
    if groups == 1 and math.prod(window.stride) == 1:
        over_g = transposed(window, sizes, out_sizes)
        small = small_matrix(geometry_of(g, shape, over_g), False)
        if small is not None:
            return small.correlate_small(g, kernels[backwards]), []
    phases = phases_of(window, sizes)
    # With fewer taps than steps of a stride there are elements that no tap meets.
    make = aligned_empty if len(phases) == math.prod(window.stride) else np.zeros
    dx = make(shape, g.dtype)
    jobs: list[Correlation] = []
    for phase in phases:
        target = dx[:, *phase.inputs]
        if target.size:
            over_g = transposed(phase.window, target.shape[1:-1], out_sizes)
            taps = kernels[phase.taps][backwards]
            jobs += correlations(g, taps, over_g, groups, Epilogue(target))
    return dx, jobs


def _swapped(w: Array, groups: int) -> Array:
    """Return (*kernel, O // G, C) of (O, C // G, *kernel): inputs and outputs of groups swap."""
    out_channels, Cg, *kernel = w.shape
    parts = w.reshape(groups, out_channels // groups, Cg, *kernel)
    kernels = parts.transpose(*range(3, parts.ndim), 1, 0, 2)
    return kernels.reshape(*kernel, out_channels // groups, groups * Cg)


def weight_gradient(
    x: Array, g: Array, weight_shape: Shape, window: Window, groups: int = 1
) -> Array:
    """Return the gradient of `convolve` by its weights, of `weight_shape`, C-contiguous.

    ``dw[o, c, k] = Σ_n Σ_i g[n, o, i] · x[n, c, i · stride + k · dilation − before]``
    """
    return gradients(g, x, None, weight_shape, window, groups, bias=False)[1]


def gradients(
    g: Array,
    x: Array,
    w: Array | None,
    weight_shape: Shape,
    window: Window,
    groups: int,
    bias: bool,
) -> tuple[Array | None, Array, Array | None]:
    """Return the gradients of `convolve` by its input, its weights and its bias, together.

    They are those of the functions above, up to rounding, but threads start and wait once for both;
    and the sum of g over all but the channels. That by the input is None without `w`, that by the
    bias without `bias`.
    """
    db = sum_over(g, (0, *range(2, g.ndim))) if bias else None
    dx: Array | None
    if x.size == 0 or g.size == 0:
        dx = None if w is None else input_gradient(g, w, x.shape, window, groups)
        return dx, np.zeros(weight_shape, g.dtype), db
    if x.ndim == 3:
        filters = None if w is None else w[:, :, None]
        shape = *weight_shape[:2], 1, weight_shape[2]
        wide = g[:, :, None], x[:, :, None], filters, shape, window.with_leading_axis()
        dx, dw, _ = gradients(*wide, groups, bias=False)
        return None if dx is None else dx[:, :, 0], dw[:, :, 0], db
    images, by_output = channels_last(x), channels_last(g)
    dx = None
    jobs: list[Correlation] = []
    if w is not None:
        by_input, jobs = _input_gradient(images.shape, by_output, w, window, groups)
        dx = channels_first(by_input)
    dw = np.zeros(weight_shape, g.dtype)
    geometry = geometry_of(images, by_output.shape, window)
    small = small_matrix(geometry, True) if groups == 1 else None
    if small is not None:
        _kernels(dw)[...] = small.sum_small(images, by_output)
        run_jobs(jobs, len(x))
        return dx, dw, db
    sums = weight_gradients(images, by_output, _kernels(dw), window, groups)
    run_jobs([*jobs, *sums], len(x))
    for job in sums:
        job.add()
    return dx, dw, db
