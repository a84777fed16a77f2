"""Max-pooling on plain arrays, in any dimensions.

Which element of a window is the maximum is kept as a small integer, one byte where PyTorch keeps
eight. Putting gradients back by it and taking values by it are each the other's transpose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.pointwise.activation import masked
from tinygrad_cnn.kernels.pool.windows import (
    Covering,
    Index,
    covering,
    covering_outputs,
    map_images,
    reduce_windows,
    sweep_images,
)
from tinygrad_cnn.kernels.runtime.copies import channels_first, channels_last, copy_into
from tinygrad_cnn.kernels.runtime.rows import Activation
from tinygrad_cnn.kernels.runtime.window import Sizes, Window
from tinygrad_cnn.types import Array, Shape

__all__ = ["flat_indices", "max_pool", "max_pool_values", "put_argmax", "take_argmax"]


def max_pool(
    x: Array,
    window: Window,
    ceil_mode: bool = False,
    prepare: Activation | None = None,
    activation: Activation | None = None,
) -> tuple[Array, Array]:
    """Take each window's maximum, and which of its elements that is.

    ``out[n, c, i] = max_k x[n, c, i · stride + k · dilation − before]``, i and k along each axis.

    The first maximum wins, the last axis running fastest; a NaN counts as larger than any number.
    Padding is never chosen: a dilated window with no element of the input gives −∞ and 0. Both
    results are (N, C, *out sizes), the numbers in the smallest unsigned integer that holds them.
    `prepare` is applied to the input before, where windows lie side by side, and `activation` to
    the maxima: a few images at a time.

    >>> window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    >>> out, argmax = max_pool(np.array([[[[1.0, 5.0], [5.0, 2.0]]]]), window)
    >>> print(out.item(), argmax.item())
    5.0 1
    """
    cover = covering(window, x.shape[2:], ceil_mode)
    shape = x.shape[0], *cover.out_sizes, x.shape[1]
    out, argmax = np.empty(shape, x.dtype), np.empty(shape, cover.numbers.dtype)

    def step(source: Array, out: Array, argmax: Array) -> None:
        parts: list[_Part]
        if cover.side_by_side:
            parts = _side_by_side(source, cover, prepare)
            _pick_largest(parts, out, argmax)
        else:
            parts = [(number, outputs, source[inputs]) for number, outputs, inputs in cover.taps]
            _pick_axis_by_axis(source, out, argmax, cover)
        if out.size and math.isnan(np.minimum.reduce(out, axis=None)):
            for number, outputs, value in reversed(parts):  # the first NaN wins
                argmax[outputs][np.isnan(value)] = number
        if activation is not None:
            activation(out, out)

    sweep_images(step, channels_last(x), out, argmax)
    return channels_first(out), channels_first(argmax)


_Part = tuple[Any, Index | EllipsisType, Array]
"""One element of all windows: its number, the outputs that have it, and its values for these."""


def _side_by_side(source: Array, cover: Covering, prepare: Activation | None) -> list[_Part]:
    """Return the elements of windows that lie side by side, in a copy that is read as it lies."""
    places = cover.by_place(source)
    values = np.empty(places.shape, source.dtype)
    copy_into(values, places)
    if prepare is not None:
        prepare(values, values)
    flat = values.reshape(len(cover.taps), *values.shape[source.ndim - 2 :])
    return [(number, ..., value) for (number, *_), value in zip(cover.taps, flat, strict=True)]


def _pick_axis_by_axis(source: Array, out: Array, argmax: Array, cover: Covering) -> None:
    """Write maxima and their numbers, along the last axis first, so that the first of equals wins.

    Along the other axes numbers are arrays: where along the axes before the maximum was.
    """
    values, unit = source, 1
    numbers: Array | None = None
    for axis in range(source.ndim - 2, 0, -1):
        parts: list[_Part] = []
        for k, (outputs, inputs) in enumerate(cover.along[axis - 1]):
            number: Any = argmax.dtype.type(k * unit)
            if numbers is not None:
                number = numbers[inputs] + number
            parts.append((number, outputs, values[inputs]))
        shape = *values.shape[:axis], *out.shape[axis:]
        values, numbers = (
            (out, argmax) if axis == 1 else (np.empty(shape, a.dtype) for a in (out, argmax))
        )
        _pick_largest(parts, values, numbers)
        unit *= len(parts)


def _pick_largest(parts: Sequence[_Part], out: Array, argmax: Array) -> None:
    """Write the largest of each window's elements to `out`, and its number to `argmax`.

    Later elements have larger numbers, so integer arithmetic sets the winner: np.where and masked
    copies take ten times as long on random masks.
    """
    rest = parts
    if len(parts) > 1 and parts[0][2].shape == parts[1][2].shape == out.shape:
        (number, _, value), (later, _, other), *rest = parts
        np.maximum(value, other, out=out)
        greater = np.greater(other, value).view(np.uint8)
        np.multiply(greater, later, out=argmax)
        if isinstance(number, np.ndarray):
            np.maximum(argmax, number, out=argmax)
    else:
        # A window of nothing but −∞ must name an element of the input: the first, so written last.
        out.fill(-np.inf)
        argmax.fill(0)
        for number, outputs, _ in reversed(parts):
            argmax[outputs] = number
    for number, outputs, value in rest:
        best, winner = out[outputs], argmax[outputs]
        greater = np.greater(value, best).view(np.uint8)
        np.maximum(best, value, out=best)
        np.maximum(winner, np.multiply(greater, number), out=winner)


def max_pool_values(x: Array, window: Window, ceil_mode: bool = False) -> Array:
    """Take each window's maximum alone: half the time of `max_pool`, which has the formula."""
    cover = covering(window, x.shape[2:], ceil_mode)

    def step(source: Array, out: Array) -> None:
        reduce_windows(np.maximum, -np.inf, source, out, cover)

    return map_images(step, x, cover.out_sizes)


def take_argmax(x: Array, argmax: Array, window: Window) -> Array:
    """Pick from each window of `x`, (N, C, *sizes), the element that its number names.

    ``out[n, c, i] = x[n, c, i · stride + k · dilation − before]`` with k the element of number
    ``argmax[n, c, i]``.
    """
    taps = covering_outputs(window, x.shape[2:], argmax.shape[2:]).taps

    def step(source: Array, chosen: Array, out: Array) -> None:
        out.fill(0)
        for number, outputs, inputs in taps:
            np.copyto(out[outputs], source[inputs], where=chosen[outputs] == number)

    return map_images(step, x, argmax.shape[2:], argmax)


def put_argmax(g: Array, argmax: Array, input_shape: Shape, window: Window) -> Array:
    """Put each window's value where its maximum was, 0 elsewhere; where windows overlap, add.

    The gradient of max-pooling, and the transpose of `take_argmax`, which has the formula.

    >>> window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    >>> argmax = np.array([[[[2]]]], np.uint8)
    >>> put_argmax(np.array([[[[7.0]]]]), argmax, (1, 1, 2, 2), window)[0, 0]
    array([[0., 0.],
           [7., 0.]])
    """
    sizes = input_shape[2:]
    cover = covering_outputs(window, sizes, argmax.shape[2:])

    def step(g: Array, chosen: Array, out: Array) -> None:
        g = np.ascontiguousarray(g)  # read once: behind a linear layer its channels are first
        if not cover.reach_all:
            out.fill(0)
        if cover.side_by_side:  # all of a window's elements in one call
            copy_into(cover.by_place(out), masked(g, chosen == cover.numbers))
            return
        for number, outputs, inputs in cover.taps:
            part = masked(g[outputs], chosen[outputs] == number)
            if cover.disjoint:
                out[inputs] = part
            else:
                np.add(out[inputs], part, out=out[inputs])

    return map_images(step, g, sizes, argmax)


def flat_indices(argmax: Array, input_sizes: Sizes, window: Window) -> Array:
    """Turn numbers in windows into positions in the input's last axes, int64: PyTorch's indices.

    >>> window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    >>> flat_indices(np.array([[[[0, 3]]]], np.uint8), (2, 4), window)[0, 0]
    array([[0, 7]])
    """
    rest, flat, unit = argmax.astype(np.int64), np.zeros(argmax.shape, np.int64), 1
    for axis in reversed(range(len(input_sizes))):
        rest, k = np.divmod(rest, window.kernel[axis])
        starts = np.arange(argmax.shape[2 + axis]) * window.stride[axis] - window.padding[axis][0]
        starts = starts.reshape(-1, *(1,) * (len(input_sizes) - 1 - axis))
        flat += (k * window.dilation[axis] + starts) * unit
        unit *= input_sizes[axis]
    return flat
