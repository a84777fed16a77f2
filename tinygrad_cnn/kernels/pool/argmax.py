"""What `max_pool` remembers: take values by it, put gradients back by it.

Both are linear maps, each the other's transpose. `argmax` is (N, C, *out sizes), as `max_pool`
returns it.
"""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.kernels.pointwise.activation import masked
from tinygrad_cnn.kernels.pool.windows import covering_outputs, sweep_images
from tinygrad_cnn.kernels.runtime.copies import channels_first, channels_last, copy_into
from tinygrad_cnn.kernels.runtime.window import Sizes, Window
from tinygrad_cnn.types import Array, Shape

__all__ = ["flat_indices", "put_argmax", "take_argmax"]


def take_argmax(x: Array, argmax: Array, window: Window) -> Array:
    """Pick from each window of `x`, (N, C, *sizes), the element that its number names.

    ``out[n, c, i] = x[n, c, i · stride + k · dilation − before]`` with k the element of number
    ``argmax[n, c, i]``.
    """
    taps = covering_outputs(window, x.shape[2:], argmax.shape[2:]).taps
    chosen = channels_last(argmax)
    out = np.zeros(chosen.shape, x.dtype)

    def step(source: Array, chosen: Array, out: Array) -> None:
        for number, outputs, inputs in taps:
            np.copyto(out[outputs], source[inputs], where=chosen[outputs] == number)

    sweep_images(step, channels_last(x), chosen, out)
    return channels_first(out)


def put_argmax(g: Array, argmax: Array, input_shape: Shape, window: Window) -> Array:
    """Put each window's value where its maximum was, 0 elsewhere; where windows overlap, add.

    The gradient of max-pooling, and the transpose of `take_argmax`, which has the formula.

    >>> window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    >>> argmax = np.array([[[[2]]]], np.uint8)
    >>> put_argmax(np.array([[[[7.0]]]]), argmax, (1, 1, 2, 2), window)[0, 0]
    array([[0., 0.],
           [7., 0.]])
    """
    N, C, *sizes = input_shape
    out = np.empty((N, *sizes, C), g.dtype)
    cover = covering_outputs(window, tuple(sizes), argmax.shape[2:])

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

    sweep_images(step, channels_last(g), channels_last(argmax), out)
    return channels_first(out)


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
