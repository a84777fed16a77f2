"""What `max_pool` remembers: take values by it, put gradients back by it.

Both are linear maps, each the other's transpose.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.pool.windows import covering, sweep_images
from tinygrad_cnn.kernels.runtime.copies import channels_first, channels_last
from tinygrad_cnn.kernels.runtime.window import Sizes, Window

__all__ = ["flat_indices", "put_argmax", "take_argmax"]

Array = npt.NDArray[Any]

_WIDEST = 8  # bytes of the widest integers


def take_argmax(x: Array, argmax: Array, window: Window) -> Array:
    """Pick from each window the element that its number names.

    ``out[n, c, i] = x[n, c, i · stride + k · dilation − before]`` with k the element of number
    ``argmax[n, c, i]``. Linear in `x`, and the transpose of `put_argmax`.

    Parameters
    ----------
    x
        Shape (N, C, *sizes).
    argmax
        Shape (N, C, *out sizes), as `max_pool` returns it.
    window
        As for `max_pool`.

    Returns
    -------
    array
        Shape (N, C, *out sizes), channels-last memory.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[[1.0, 5.0], [5.0, 2.0]]]])
    >>> window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    >>> take_argmax(x, np.array([[[[3]]]], np.uint8), window).item()
    2.0
    """
    taps = covering(window, x.shape[2:], argmax.shape[2:]).taps
    chosen = channels_last(argmax)
    out = np.zeros(chosen.shape, x.dtype)

    def step(source: Array, chosen: Array, out: Array) -> None:
        for tap in taps:
            is_this = chosen[tap.outputs] == tap.number
            np.copyto(out[tap.outputs], source[tap.inputs], where=is_this)

    sweep_images(step, x.size, channels_last(x), chosen, out)
    return channels_first(out)


def put_argmax(g: Array, argmax: Array, input_shape: tuple[int, ...], window: Window) -> Array:
    """Put each window's value back where its maximum stands; where windows overlap, add.

    The gradient of max-pooling, and the transpose of `take_argmax`, which has the formula.

    Parameters
    ----------
    g, argmax
        Shape (N, C, *out sizes).
    input_shape
        (N, C, *sizes).
    window
        As for `max_pool`.

    Returns
    -------
    array
        Shape `input_shape`, channels-last memory.

    Examples
    --------
    >>> import numpy as np
    >>> window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    >>> argmax = np.array([[[[2]]]], np.uint8)
    >>> put_argmax(np.array([[[[7.0]]]]), argmax, (1, 1, 2, 2), window)[0, 0]
    array([[0., 0.],
           [7., 0.]])
    """
    N, C, *sizes = input_shape
    out = np.empty((N, *sizes, C), g.dtype)
    cover = covering(window, tuple(sizes), argmax.shape[2:])
    fill = not (cover.disjoint and cover.reach_all)

    def step(g: Array, chosen: Array, out: Array) -> None:
        # Behind a fully connected layer it is channels-first: read once, not once a tap. Two
        # threads: (64, 64, 24, 24) 1.15 ms -> 0.85.
        g = np.ascontiguousarray(g)
        if fill:
            out.fill(0)
        bits, out_bits = _bits(g), _bits(out)
        for tap in cover.taps:
            mask = chosen[tap.outputs] == tap.number
            if cover.disjoint:
                _picked(bits[tap.outputs], mask, out_bits[tap.inputs])
            else:
                part = _picked(bits[tap.outputs], mask).view(out.dtype)
                np.add(out[tap.inputs], part, out=out[tap.inputs])

    sweep_images(step, out.size, channels_last(g), channels_last(argmax), out)
    return channels_first(out)


def _bits(x: Array) -> Array:
    """View numbers as integers of their size; long doubles, for which there are none, stay."""
    return x if x.itemsize > _WIDEST else x.view(np.dtype(f"i{x.itemsize}"))


def _picked(bits: Array, mask: Array, out: Array | None = None) -> Array:
    """Return the numbers where the mask holds, and 0 elsewhere, whatever stands there.

    As integers times 0 or 1: an infinite gradient leaves zeros elsewhere, not NaNs.
    """
    if bits.itemsize <= _WIDEST:
        return np.multiply(bits, mask, out=out)
    picked = np.where(mask, bits, 0)
    if out is not None:
        out[...] = picked
    return picked


def flat_indices(argmax: Array, input_sizes: Sizes, window: Window) -> Array:
    """Turn numbers in windows into positions in the input's last axes: PyTorch's indices.

    Parameters
    ----------
    argmax
        Shape (N, C, *out sizes).
    input_sizes
        Of the input: positions count its elements, the last axis fastest.
    window
        As for `max_pool`.

    Returns
    -------
    array
        Shape (N, C, *out sizes), int64.

    Examples
    --------
    >>> import numpy as np
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
