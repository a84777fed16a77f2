"""Average pooling on plain arrays: sums along one axis after the other, one division a window.

Windows have one size, or are the regions of adaptive pooling, which cover an input as evenly as
they can: region i of n along an axis runs from ⌊i · size / n⌋ to ⌈(i + 1) · size / n⌉.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from tinygrad_cnn.kernels.pool.windows import (
    AlongAxis,
    Meeting,
    along_axis,
    covering,
    covering_outputs,
    map_images,
    reducing,
)
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.sweep import axis_by_axis
from tinygrad_cnn.kernels.runtime.window import Sizes, Window
from tinygrad_cnn.types import Array, Shape

__all__ = [
    "adaptive_avg_pool",
    "adaptive_avg_pool_gradient",
    "avg_pool",
    "avg_pool_gradient",
    "regions",
]


def avg_pool(
    x: Array,
    window: Window,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> Array:
    """Average each window of `x`, (N, C, *sizes): (N, C, *out sizes).

    ``out[n, c, i] = Σ_k x[n, c, i · stride + k − before] / divisor[i]``, i and k along each axis.

    The divisor counts the window's elements inside the padded input, and without
    `count_include_pad` those inside the input alone, as in PyTorch: a window of `ceil_mode` that
    hangs over even the padding is divided by what it covers.

    >>> window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    >>> avg_pool(np.arange(4.0).reshape(1, 1, 2, 2), window).item()
    1.5
    """
    cover = covering(window, x.shape[2:], ceil_mode)
    divisors = _divisors(window, x.shape[2:], cover.out_sizes, count_include_pad, divisor)
    return _averages(x, cover.out_sizes, reducing(np.add, 0.0, cover), divisors)


def avg_pool_gradient(
    g: Array,
    input_shape: Shape,
    window: Window,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> Array:
    """Spread each window's gradient evenly over it: the transpose of `avg_pool`."""
    sizes, out_sizes = input_shape[2:], g.shape[2:]
    cover = covering_outputs(window, sizes, out_sizes)
    divisors = _divisors(window, sizes, out_sizes, count_include_pad, divisor)
    fills, adds = not cover.reach_all, not cover.disjoint
    return _shares(g, sizes, cover.along, divisors, fills, adds)


@planned
def _divisors(
    window: Window, sizes: Sizes, out_sizes: Sizes, count_include_pad: bool, divisor: int | None
) -> Array:
    """Count the elements of each window, see `_areas`."""
    if divisor is not None:
        return np.array(divisor)
    counts = []
    for axis, (size, outputs) in enumerate(zip(sizes, out_sizes, strict=True)):
        before, after = window.padding[axis]
        start = np.arange(outputs) * window.stride[axis] - before
        stop = np.minimum(start + window.kernel[axis], size + after)
        if not count_include_pad:
            start, stop = np.maximum(start, 0), np.minimum(stop, size)
        counts.append(stop - start)
    return _areas(counts)


def _areas(lengths: Sequence[Array]) -> Array:
    """Multiply lengths along each axis: (*sizes, 1), or () if all areas are one."""
    areas = np.asarray(reduce(np.multiply.outer, lengths))[..., None]
    return areas if np.ptp(areas) else areas.reshape(-1)[0]


def _averages(x: Array, out_sizes: Sizes, add: AlongAxis, divisors: Array) -> Array:
    """Sum with `add` along one axis after the other, and divide."""
    divisors = divisors.astype(x.dtype)

    def step(source: Array, out: Array) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            axis_by_axis(add, source, out, range(1, out.ndim - 1))
            np.divide(out, divisors, out=out)

    return map_images(step, x, out_sizes)


def _shares(
    g: Array,
    input_sizes: Sizes,
    along: Sequence[Sequence[Meeting]],
    divisors: Array,
    fills: bool = True,
    adds: bool = True,
) -> Array:
    """Divide gradients, and spread them over the inputs that they meet along each axis.

    Inputs may meet none of them if it `fills` with zeros before, and several if it `adds`.
    """
    divisors = divisors.astype(g.dtype)

    def spread(axis: int, g: Array, out: Array) -> None:
        if fills:
            out.fill(0)
        for outputs, inputs in along[axis - 1]:
            if adds:
                np.add(out[inputs], g[outputs], out=out[inputs])
            else:
                out[inputs] = g[outputs]

    def step(g: Array, out: Array) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            axis_by_axis(spread, g / divisors, out, range(out.ndim - 2, 0, -1))

    return map_images(step, g, input_sizes)


def regions(size: int, outputs: int) -> list[slice]:
    """Return the regions of an axis."""
    return [slice(i * size // outputs, -(-(i + 1) * size // outputs)) for i in range(outputs)]


@planned
def _regions_along(sizes: Sizes, out_sizes: Sizes) -> tuple[list[list[Meeting]], Array]:
    """Return where outputs and regions meet along each axis, and the regions' `_areas`."""
    axes = [regions(*axis) for axis in zip(sizes, out_sizes, strict=True)]
    along = [
        along_axis(axis, [(slice(i, i + 1), region) for i, region in enumerate(cuts)])
        for axis, cuts in enumerate(axes, 1)
    ]
    return along, _areas([np.array([s.stop - s.start for s in cuts]) for cuts in axes])


def adaptive_avg_pool(x: Array, output_size: Sizes) -> Array:
    """Average regions of `x`, (N, C, *sizes): (N, C, *output_size).

    >>> adaptive_avg_pool(np.arange(3.0).reshape(1, 1, 1, 3), (1, 2))
    array([[[[0.5, 1.5]]]])
    """
    along, areas = _regions_along(x.shape[2:], output_size)

    def add(axis: int, source: Array, out: Array) -> None:
        for outputs, inputs in along[axis - 1]:
            np.add.reduce(source[inputs], axis=axis, out=out[outputs], keepdims=True)

    return _averages(x, output_size, add, areas)


def adaptive_avg_pool_gradient(g: Array, input_shape: Shape) -> Array:
    """Spread each output's gradient over what it averaged: `adaptive_avg_pool` transposed."""
    along, areas = _regions_along(input_shape[2:], g.shape[2:])
    return _shares(g, input_shape[2:], along, areas)
