"""Convolution: the result, and its gradients by the input and by the weights, in any dimensions.

All three are matrix products over tiles that fit in the cache, the tiles split over threads. They
are each other's adjoints, for any sizes:

    ⟨convolve(x, w), g⟩ = ⟨x, input_gradient(g, w)⟩ = ⟨w, weight_gradient(x, g)⟩

Arguments may have any strides. Results of shape (N, C, *sizes) lie in memory as (N, *sizes, C).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.conv.correlation import PositionSum
from tinygrad_cnn.kernels.conv.epilogue import Epilogue
from tinygrad_cnn.kernels.conv.jobs import Job, run_jobs
from tinygrad_cnn.kernels.conv.methods import correlations, group_gradients
from tinygrad_cnn.kernels.conv.phases import phases_of, transposed
from tinygrad_cnn.kernels.conv.single import Single, single_plan
from tinygrad_cnn.kernels.conv.tiles import ONE, Geometry, Shape
from tinygrad_cnn.kernels.pool.max_pool import pool_and_activate
from tinygrad_cnn.kernels.reduce.sums import sum_over
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.copies import channels_first, channels_last
from tinygrad_cnn.kernels.runtime.memory import aligned_empty
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.rows import Activation
from tinygrad_cnn.kernels.runtime.window import Pair, Window
from tinygrad_cnn.types import Array

__all__ = ["convolve", "convolve_and_pool", "gradients", "input_gradient", "weight_gradient"]


@planned
def _plan(
    shape: Shape,
    contiguous: bool,
    dtype: np.dtype[Any],
    weight_shape: Shape,
    window: Window,
    groups: int,
    block: Pair,
) -> tuple[Shape, Single | None]:
    """Return the result's shape, and how it is computed at once if it is.

    For (N, *sizes, C) with weights (O, C // groups, *kernel); each block becomes one number.
    """
    size = covered = window.out_size(shape[1:-1])
    if block != ONE:
        size = tuple(length // part for length, part in zip(size, block, strict=True))
        covered = tuple(length * part for length, part in zip(size, block, strict=True))
    geometry = Geometry(shape, contiguous, dtype, (shape[0], *covered, weight_shape[0]), window)
    single = single_plan(geometry, False, block) if groups == 1 else None
    return (shape[0], *size, weight_shape[0]), single


_TO_KERNELS = [(*range(2, ndim), 1, 0) for ndim in range(6)]


def _kernels(w: Array) -> Array:
    """View weights (O, C // groups, *kernel) as (*kernel, C // groups, O)."""
    return w.transpose(_TO_KERNELS[w.ndim])


def convolve(
    x: Array,
    w: Array,
    bias: Array | None,
    window: Window,
    groups: int = 1,
    activation: Activation | None = None,
    addend: Array | None = None,
) -> Array:
    """Correlate inputs with kernels.

    ``out[n, o, i] = bias[o] + Σ_c Σ_k w[o, c, k] · x[n, c, i · stride + k · dilation − before]``,
    i and k along each spatial axis.

    Parameters
    ----------
    x
        Shape (N, C, *sizes).
    w
        Shape (O, C // groups, *kernel), of x's dtype.
    bias
        Shape (O,), or None.
    window
        How windows lie over the input.
    groups
        Output channels of group i see input channels of group i only.
    activation
        Applied to the result, after all else; or None.
    addend
        Added before the activation: the result's shape and dtype, any strides; or None.

    Returns
    -------
    array
        Shape (N, O, *window.out_size(sizes)).

    Examples
    --------
    >>> import numpy as np
    >>> x, w = np.ones((1, 2, 4, 4)), np.ones((3, 2, 3, 3))
    >>> convolve(x, w, None, Window((3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1)))[0, 0]
    array([[18., 18.],
           [18., 18.]])
    """
    if x.ndim == 3:
        other = None if addend is None else addend[:, :, None]
        wide = x[:, :, None], w[:, :, None], bias, window.with_leading_axis()
        return convolve(*wide, groups, activation, other)[:, :, 0]
    return _convolve(x, w, bias, window, groups, activation, addend, ONE)


def _convolve(
    x: Array,
    w: Array,
    bias: Array | None,
    window: Window,
    groups: int,
    activation: Activation | None,
    addend: Array | None,
    block: Pair,
) -> Array:
    """Do `convolve`, or `convolve_and_pool`, of two axes or more."""
    images, kernels = channels_last(x), _kernels(w)
    memory = images.flags.c_contiguous, x.dtype
    out_shape, single = _plan(images.shape, *memory, w.shape, window, groups, block)
    if single is not None and block != ONE and len(w) < tuning.FEW_CHANNELS:
        y = convolve(x, w, bias, window)
        return pool_and_activate(y, block, activation, False)[0]
    other = None if addend is None else channels_last(addend)
    if single is not None:
        return channels_first(single.product(images, kernels, bias, activation, other))
    out = aligned_empty(out_shape, x.dtype)
    if out.size:
        epilogue = Epilogue(out, bias, activation, other, block)
        run_jobs(correlations(images, kernels, window, groups, epilogue), len(x))
    return channels_first(out)


def convolve_and_pool(
    x: Array,
    w: Array,
    bias: Array | None,
    window: Window,
    groups: int,
    block: Pair,
    activation: Activation | None = None,
) -> Array:
    """Convolve images, take the maximum of each block of outputs, and activate them if wanted.

    The result has the bits of ``max_pool(activation(convolve(…)))`` with windows of this size side
    by side; the convolution's own result never leaves the cache. Which output a maximum is, is not
    told: this is for inference.

    Parameters
    ----------
    x, w, bias, window, groups
        As for `convolve`, with two spatial axes and at least one block of outputs.
    block
        Height and width of the pool's windows, also its stride.
    activation
        Applied to the maxima, which it must keep in order; or None.

    Returns
    -------
    array
        Shape (N, O, OH // height, OW // width).

    Examples
    --------
    >>> import numpy as np
    >>> x, w = np.arange(16.0).reshape(1, 1, 4, 4), np.ones((1, 1, 1, 1))
    >>> window = Window((1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))
    >>> convolve_and_pool(x, w, None, window, 1, (2, 2))[0]
    array([[[ 5.,  7.],
            [13., 15.]]])
    """
    if groups != 1 or not 2 <= block[0] * block[1] <= 256:
        y = convolve(x, w, bias, window, groups)
        return pool_and_activate(y, block, activation, False)[0]
    return _convolve(x, w, bias, window, groups, activation, None, block)


def input_gradient(
    g: Array, w: Array, input_shape: Shape, window: Window, groups: int = 1
) -> Array:
    """Return the gradient of `convolve` by its input: the transposed convolution.

    ``dx[n, c, j] = Σ w[o, c, k] · g[n, o, i]`` over all with
    ``j = i · stride + k · dilation − before`` along each spatial axis.

    Parameters
    ----------
    g
        Shape (N, O, *out sizes): the gradient by convolve's result.
    w
        Shape (O, C // groups, *kernel), of g's dtype.
    input_shape
        (N, C, *sizes). Elements that no window reaches get zeros.
    window, groups
        As convolve had them.

    Returns
    -------
    array
        Shape `input_shape`.

    Examples
    --------
    >>> import numpy as np
    >>> g, w = np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2))
    >>> window = Window((2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))
    >>> input_gradient(g, w, (1, 1, 3, 3), window)[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    if g.ndim == 3:
        N, C, size = input_shape
        wide = g[:, :, None], w[:, :, None], (N, C, 1, size), window.with_leading_axis()
        return input_gradient(*wide, groups)[:, :, 0]
    N, C, *sizes = input_shape
    shape = N, *sizes, C
    if 0 in input_shape or g.size == 0:
        return channels_first(np.zeros(shape, g.dtype))
    dx, jobs = _input_gradient(shape, channels_last(g), w, window, groups)
    if jobs:
        run_jobs(jobs, N)
    return channels_first(dx)


def _input_gradient(
    shape: Shape, g: Array, w: Array, window: Window, groups: int
) -> tuple[Array, list[Job]]:
    """Return an array (N, *sizes, C) and the jobs that write the gradient: none if it is done.

    It is done at once where neither tiles nor threads are due. `g` is (N, *out sizes, O).
    """
    kernels = _swapped(w, groups)
    backwards = (slice(None, None, -1),) * len(window.kernel)
    sizes, out_sizes = shape[1:-1], g.shape[1:-1]
    if groups == 1 and math.prod(window.stride) == 1:
        over_g = transposed(window, sizes, out_sizes)
        geometry = Geometry(g.shape, g.flags.c_contiguous, g.dtype, shape, over_g)
        single = single_plan(geometry, False)
        if single is not None:
            return single.product(g, kernels[backwards]), []
    phases = phases_of(window, sizes)
    # With fewer taps than steps of a stride there are elements that no tap meets.
    make = aligned_empty if len(phases) == math.prod(window.stride) else np.zeros
    dx = make(shape, g.dtype)
    jobs: list[Job] = []
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
    """Return the gradient of `convolve` by its weights.

    ``dw[o, c, k] = Σ_n Σ_i g[n, o, i] · x[n, c, i · stride + k · dilation − before]``

    Parameters
    ----------
    x
        Shape (N, C, *sizes).
    g
        Shape (N, O, *out sizes), of x's dtype: the gradient by convolve's result.
    weight_shape
        (O, C // groups, *kernel).
    window, groups
        As convolve had them.

    Returns
    -------
    array
        Shape `weight_shape`, C-contiguous.

    Examples
    --------
    >>> import numpy as np
    >>> x, g = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> window = Window((2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))
    >>> weight_gradient(x, g, (1, 1, 2, 2), window)[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
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

    They are those of the functions above and the sum of g over all but the channels, up to
    rounding, but threads start and wait once instead of three times.

    Parameters
    ----------
    g
        Shape (N, O, *out sizes): the gradient by convolve's result.
    x
        Shape (N, C, *sizes), of g's dtype.
    w
        Shape `weight_shape`, of g's dtype; None where the input's gradient is not wanted.
    weight_shape
        (O, C // groups, *kernel).
    window, groups
        As convolve had them.
    bias
        Whether the bias's gradient is wanted.

    Returns
    -------
    tuple of arrays
        Shapes of `x`, of the weights and (O,); None for what is not wanted.

    Examples
    --------
    >>> import numpy as np
    >>> g, x, w = np.ones((1, 1, 2, 2)), np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))
    >>> window = Window((2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))
    >>> [a.shape for a in gradients(g, x, w, w.shape, window, 1, bias=True)]
    [(1, 1, 3, 3), (1, 1, 2, 2), (1,)]
    """
    if x.size == 0 or g.size == 0:
        return (
            None if w is None else input_gradient(g, w, x.shape, window, groups),
            np.zeros(weight_shape, g.dtype),
            sum_over(g, (0, *range(2, g.ndim))) if bias else None,
        )
    if x.ndim == 3:
        filters = None if w is None else w[:, :, None]
        shape = *weight_shape[:2], 1, weight_shape[2]
        settings = window.with_leading_axis(), groups, bias
        dx, dw, db = gradients(g[:, :, None], x[:, :, None], filters, shape, *settings)
        return None if dx is None else dx[:, :, 0], dw[:, :, 0], db
    images, by_output = channels_last(x), channels_last(g)
    jobs: list[Job] = []
    dx = None
    if w is not None:
        dx, jobs = _input_gradient(images.shape, by_output, w, window, groups)
    single = None
    if groups == 1:
        memory = images.flags.c_contiguous, x.dtype
        single = single_plan(Geometry(images.shape, *memory, by_output.shape, window), True)
    by_weight = [] if single else group_gradients(images, by_output, window, groups)
    by_bias = [PositionSum(by_output)] if bias else []
    jobs += [job for group in by_weight for _, job in group.jobs]
    jobs += by_bias
    if jobs:
        run_jobs(jobs, len(x))
    results = [group.result() for group in by_weight]
    if single is not None:
        results = [single.weight_gradient(images, by_output)]
    return (
        None if dx is None else channels_first(dx),
        _as_weights(results, weight_shape),
        by_bias[0].result() if bias else None,
    )


def _as_weights(results: list[Array], weight_shape: Shape) -> Array:
    """Lay the results (*kernel, C // G, O // G) of one group after another out as weights."""
    dw = np.empty(weight_shape, results[0].dtype)
    size = weight_shape[0] // len(results)
    for index, result in enumerate(results):
        axes = result.ndim - 1, result.ndim - 2, *range(result.ndim - 2)
        dw[index * size : (index + 1) * size] = result.transpose(axes)
    return dw
