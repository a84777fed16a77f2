"""Resample the axes of images one after the other, forward or back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import NamedTuple

import numpy as np

from tinygrad_cnn.kernels.pool.windows import sweep_images
from tinygrad_cnn.kernels.resample.strokes import Places, Stroke, pairs_of, strokes_of
from tinygrad_cnn.kernels.resample.taps import Along
from tinygrad_cnn.kernels.resample.weigh import weigh
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.copies import (
    channels_first,
    channels_last,
    contiguous,
    copy_into,
)
from tinygrad_cnn.types import Array

__all__ = ["resample", "resample_gradient"]


def resample(x: Array, axes: Sequence[Along]) -> Array:
    """Resample each axis: ``out[n, c, i] = Σ_k weight[i, k] · x[n, c, input[i, k]]`` along each.

    Parameters
    ----------
    x
        Shape (N, C, *sizes), fastest in channels-last memory.
    axes
        For each size how it is resampled.

    Returns
    -------
    array
        Shape (N, C, *out sizes), dtype of `x`; channels-last memory where channels are many.

    Examples
    --------
    >>> resample(np.array([[[0.0, 4.0]]]), [Along("linear", 2, 4)])
    array([[[0., 1., 3., 4.]]])
    """
    return _sweep(x, axes, transposed=False)


def resample_gradient(g: Array, axes: Sequence[Along]) -> Array:
    """Return the gradient of the input: the transpose of `resample`.

    Parameters
    ----------
    g
        Shape (N, C, *out sizes).
    axes
        As for `resample`.

    Returns
    -------
    array
        Shape (N, C, *sizes), dtype of `g`.

    Examples
    --------
    >>> resample_gradient(np.ones((1, 1, 4)), [Along("linear", 2, 4)])
    array([[[2., 2.]]])
    """
    return _sweep(g, axes, transposed=True)


class _Axis(NamedTuple):
    """An axis that changes: which, its sizes and its strokes, alone and in pairs."""

    number: int
    size: int
    out_size: int
    strokes: tuple[Stroke, ...]
    pairs: tuple[Stroke, ...]

    @property
    def turn(self) -> tuple[float, int]:
        """When it is done.

        What shrinks goes first, so that less is left to do. Of equals the first axis, whose rows
        are long, meets the larger array: before the others where they shrink, else after them.
        """
        growth = self.out_size / self.size
        return growth, self.number if growth < 1 else -self.number

    @property
    def repeats(self) -> bool:
        """Whether each element is written as often as any other, side by side, as it is."""
        stroke = self.strokes[-1]
        whole = stroke.sources == (Places(0, 1, self.size),) and len(self.strokes) == 1
        return whole and stroke.weight == 1


def _sweep(x: Array, alongs: Sequence[Along], transposed: bool) -> Array:
    last = x.shape[1] >= tuning.MANY_CHANNELS or (x.ndim > 2 and x.strides[1] == x.itemsize)
    images = channels_last(x) if last else x
    shape, axes = list(images.shape), []
    for number, along in enumerate(alongs, 1 if last else 2):
        if not along.is_same:
            size, out_size = along.size, along.out_size
            sizes = (out_size, size) if transposed else (size, out_size)
            strokes = strokes_of(along, transposed), pairs_of(along, transposed)
            axes.append(_Axis(number, *sizes, *strokes))
            shape[number] = axes[-1].out_size
    if not axes:
        return np.array(x)
    axes.sort(key=lambda axis: axis.turn)
    out = np.empty(shape, x.dtype)
    repeats = last and all(axis.repeats for axis in axes)
    step = _repeat if repeats else partial(_resample, axes)
    # One image at a time: (8, 64, 64, 64) doubled, forward and back, 31 ms -> 23 of one thread.
    sweep_images(step, images, out, block_size=1)
    return channels_first(out) if last else out


def _resample(axes: Sequence[_Axis], images: Array, out: Array) -> None:
    """Resample images axis by axis."""
    source = contiguous(images)  # read several times: from channels-first memory 73 ms -> 30
    _one_after_the_other(axes, source, out, in_pairs=True)
    if any(axis.pairs != axis.strokes for axis in axes):
        few = min(source, out, key=np.size).reshape(-1)
        if not np.isfinite(np.vdot(few, few)):  # what is infinite has spread to neighbours
            _one_after_the_other(axes, source, out, in_pairs=False)


def _one_after_the_other(axes: Sequence[_Axis], source: Array, out: Array, in_pairs: bool) -> None:
    for number, size, out_size, strokes, pairs in axes:
        outer, inner = source.shape[:number], source.shape[number + 1 :]
        is_last = number == axes[-1].number
        target = out if is_last else np.empty((*outer, out_size, *inner), out.dtype)
        before, after = prod(outer), prod(inner)
        flat = source.reshape(before, size, after), target.reshape(before, out_size, after)
        with np.errstate(invalid="ignore", over="ignore"):  # infinite pixels
            weigh(*flat, pairs if in_pairs and after >= tuning.LONG_WEIGHED else strokes)
        source = target


def _repeat(images: Array, out: Array) -> None:
    """Write each pixel of (N, *sizes, C) to a block of them, in one pass over the result.

    (8, 64, 64, 64) to twice the size, axis by axis 3.7 ms, so 1.6.
    """
    shape: list[int] = []  # each size, and how often it is repeated
    for size, out_size in zip(images.shape[:-1], out.shape[:-1], strict=True):
        shape += size, out_size // size
    apart = tuple(range(1, len(shape), 2))
    pixels = np.expand_dims(contiguous(images), apart)
    pixels = np.broadcast_to(pixels, (*shape, images.shape[-1]))
    copy_into(out.reshape(pixels.shape), pixels)
