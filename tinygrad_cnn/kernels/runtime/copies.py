"""Copies from one memory order to another."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.threads import parallel
from tinygrad_cnn.types import Array, Shape

__all__ = ["blocks_within", "channels_first", "channels_last", "contiguous", "copy_into"]


# The axes of (N, C, *sizes) in the order (N, *sizes, C), and back.
_TO_LAST = [(0, *range(2, ndim), 1) for ndim in range(8)]
_TO_FIRST = [(0, ndim - 1, *range(1, ndim - 1)) for ndim in range(8)]


def channels_last(x: Array) -> Array:
    """View (N, C, *sizes) as (N, *sizes, C)."""
    return x.transpose(_TO_LAST[x.ndim])


def channels_first(x: Array) -> Array:
    """View (N, *sizes, C) as (N, C, *sizes)."""
    return x.transpose(_TO_FIRST[x.ndim])


def contiguous(x: Array) -> Array:
    """Return an array in C order, copied where it has another, by threads if it is large."""
    if x.flags.c_contiguous:
        return x
    copy = np.empty(x.shape, x.dtype)

    def work(start: int, stop: int) -> None:
        copy_into(copy[start:stop], x[start:stop])

    parallel(work, len(x), grain=-(-tuning.GRAIN * len(x) // x.size))
    return copy


def copy_into(target: Array, source: Array) -> None:
    """Copy `source` to `target`, both of shape (…, C) and one dtype, in the quickest order.

    NumPy's innermost loop is along the target's last axis, which may have 3 or 4 values.
    """
    channels = target.shape[-1]
    if channels > 1 and target.size >= tuning.MANY_COPIED * channels:
        if source.strides[-1] == source.itemsize:
            target, source = _as_blocks(target, source)
        elif channels <= tuning.FEW_COPIED:
            for channel in range(channels):
                target[..., channel] = source[..., channel]
            return
        elif source.strides[-1] % tuning.CONFLICT == 0:
            images = zip(target, source, strict=True) if source.ndim == 4 else [(target, source)]
            for pixels, planes in images:
                _planes_to_pixels(pixels, planes)
            return
    target[...] = source


def _as_blocks(target: Array, source: Array) -> tuple[Array, Array]:
    """View as blocks what lies together in both arrays; the arrays themselves if those are few.

    NumPy starts a loop for each run of values that lie together in both memories; a block is one
    value, moved by memmove.
    """
    axes, size = blocks_within(source.shape, source.itemsize, source.strides, target.strides)
    if axes == source.ndim or source.nbytes < tuning.MANY_COPIED * size or source.dtype.hasobject:
        return target, source
    outer, block = source.shape[:axes], f"V{size}"
    blocks = target.reshape(*outer, -1).view(block), source.reshape(*outer, -1).view(block)
    return blocks[0][..., 0], blocks[1][..., 0]


def blocks_within(shape: Shape, itemsize: int, strides: Shape, others: Shape) -> tuple[int, int]:
    """Return how many axes are left, and of how many bytes, if what lies together is one block.

    Together in the memory of both arrays of this shape whose strides are given.
    """
    axes, size = len(shape), itemsize
    while axes and strides[axes - 1] == others[axes - 1] == size:
        axes -= 1
        size *= shape[axes]
    return axes, size


def _planes_to_pixels(pixels: Array, planes: Array) -> None:
    """Copy an image (…, C), a few pixels at a time if it lies channels first and has no gaps.

    Channels that lie a multiple of a page apart fall into the same few lines of the first cache:
    each pixel would throw out what the next one needs.
    """
    channels = planes.shape[-1]
    by_channel = planes.transpose(-1, *range(planes.ndim - 1))
    if not (pixels.flags.c_contiguous and by_channel.flags.c_contiguous):
        pixels[...] = planes
        return
    flat, values = pixels.reshape(-1, channels), by_channel.reshape(channels, -1)
    buffer = np.empty((channels, tuning.BUFFER_PIXELS + tuning.BUFFER_GAP), planes.dtype)
    for start in range(0, len(flat), tuning.BUFFER_PIXELS):
        some = values[:, start : start + tuning.BUFFER_PIXELS]
        part = buffer[:, : some.shape[1]]
        part[...] = some
        flat[start : start + tuning.BUFFER_PIXELS] = part.T
