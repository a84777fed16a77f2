"""Resample the axes of images one after the other, forward or back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod

import numpy as np

from tinygrad_cnn.kernels.pool.windows import sweep_images
from tinygrad_cnn.kernels.resample.strokes import Places, Stroke, strokes_of
from tinygrad_cnn.kernels.resample.taps import Along
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.copies import channels_first, channels_last, contiguous, copy_into
from tinygrad_cnn.kernels.runtime.sweep import axis_by_axis
from tinygrad_cnn.types import Array

__all__ = ["resample", "resample_gradient"]


def resample(x: Array, axes: Sequence[Along]) -> Array:
    """Resample each axis: ``out[n, c, i] = Σ_k weight[i, k] · x[n, c, input[i, k]]`` along each.

    From (N, C, *sizes), fastest in channels-last memory, to (N, C, *out sizes), which lie so where
    channels are many.

    >>> resample(np.array([[[0.0, 4.0]]]), [Along("linear", 2, 4)])
    array([[[0., 1., 3., 4.]]])
    """
    return _sweep(x, axes, transposed=False)


def resample_gradient(g: Array, axes: Sequence[Along]) -> Array:
    """Return the gradient of the input: the transpose of `resample`."""
    return _sweep(g, axes, transposed=True)


def _sweep(x: Array, alongs: Sequence[Along], transposed: bool) -> Array:
    last = x.shape[1] >= tuning.MANY_CHANNELS or (x.ndim > 2 and x.strides[1] == x.itemsize)
    images = channels_last(x) if last else x
    shape = list(images.shape)
    strokes: dict[int, tuple[Stroke, ...]] = {}  # of each axis that changes
    for axis, along in enumerate(alongs, 1 if last else 2):
        if not along.is_same:
            strokes[axis] = strokes_of(along, transposed)
            shape[axis] = along.size if transposed else along.out_size
    if not strokes:
        return np.array(x)

    def turn(axis: int) -> tuple[float, int]:
        # What shrinks goes first, so that less is left to do. Of equals the first axis, whose rows
        # are long, meets the larger array: before the others where they shrink, else after them.
        growth = shape[axis] / images.shape[axis]
        return growth, axis if growth < 1 else -axis

    in_turn = {axis: strokes[axis] for axis in sorted(strokes, key=turn)}
    out = np.empty(shape, x.dtype)
    repeats = last and all(_repeats(images.shape[axis], strokes[axis]) for axis in strokes)
    step = _repeat if repeats else partial(_resample, in_turn)
    # One image at a time: (8, 64, 64, 64) doubled, forward and back, 31 ms -> 23 of one thread.
    sweep_images(step, images, out, block_size=1)
    return channels_first(out) if last else out


def _repeats(size: int, strokes: tuple[Stroke, ...]) -> bool:
    """Whether each element is written as often as any other, side by side, as it is."""
    stroke, *others = strokes
    return not others and stroke.sources == (Places(0, 1, size),) and stroke.weight == 1


def _repeat(images: Array, out: Array) -> None:
    """Write each pixel of (N, *sizes, C) to a block of them, in one pass over the result.

    (8, 64, 64, 64) to twice the size, axis by axis 3.7 ms, so 1.6.
    """
    shape: list[int] = []  # each size, and how often it is repeated
    for size, out_size in zip(images.shape[:-1], out.shape[:-1], strict=True):
        shape += size, out_size // size
    pixels = np.expand_dims(contiguous(images), tuple(range(1, len(shape), 2)))
    target = out.reshape(*shape, images.shape[-1])
    copy_into(target, np.broadcast_to(pixels, target.shape))


def _resample(strokes: dict[int, tuple[Stroke, ...]], images: Array, out: Array) -> None:
    """Resample images axis by axis, in the order of the strokes."""

    def along(in_pairs: bool, axis: int, source: Array, target: Array) -> None:
        before, after = prod(source.shape[:axis]), prod(source.shape[axis + 1 :])
        x = source.reshape(before, source.shape[axis], after)
        _weigh(x, target.reshape(before, target.shape[axis], after), strokes[axis], in_pairs)

    source = contiguous(images)  # read several times: from channels-first memory 73 ms -> 30
    with np.errstate(invalid="ignore", over="ignore"):  # infinite pixels
        axis_by_axis(partial(along, True), source, out, strokes)
        if any(stroke.pairs != (stroke,) for some in strokes.values() for stroke in some):
            few = min(source, out, key=np.size).reshape(-1)
            if not np.isfinite(np.vdot(few, few)):  # what is infinite has spread to neighbours
                axis_by_axis(partial(along, False), source, out, strokes)


# A product for each position reads and writes once what takes several sweeps term by term: doubled,
# (8, 64, 64, 64), forward and back, 13.7 ms -> 7.4 of one thread, in pairs 6.5; bicubic 31 -> 9.
def _weigh(x: Array, out: Array, strokes: tuple[Stroke, ...], in_pairs: bool) -> None:
    """Write the strokes' weighted sums of `x` (A, size, B) to `out` (A, out size, B)."""
    multiples: dict[float, Array] = {}
    for stroke in strokes:
        if stroke.is_product and x.shape[2] >= tuning.LONG_WEIGHED:
            for part in stroke.pairs if in_pairs else (stroke,):
                weights = np.array(part.weights, x.dtype)
                np.matmul(weights, _windows(x, part.sources), out=_windows(out, part.targets))
        else:
            _add_terms(x, out, stroke, multiples)


def _windows(x: Array, places: Sequence[Places]) -> Array:
    """View an array (A, size, B) at even places as (A, steps, places, B)."""
    first, step, length = places[0]
    apart = places[1].first - first if len(places) > 1 else 1
    outer, along, inner = x.strides
    strides = outer, step * along, apart * along, inner
    return np.ndarray((len(x), length, len(places), x.shape[2]), x.dtype, x, first * along, strides)


def _add_terms(x: Array, out: Array, stroke: Stroke, multiples: dict[float, Array]) -> None:
    """Apply a stroke term by term; `multiples` of the whole array serve several strokes."""
    for target, weights in zip(stroke.targets, stroke.weights, strict=True):
        place = out[:, target.slice]
        total = None
        for source, weight in zip(stroke.sources, weights, strict=True):
            term = x[:, source.slice]
            if stroke.weight is None:
                if weight not in multiples and 2 * source.length > x.shape[1]:
                    multiples[weight] = x * x.dtype.type(weight)
                many = multiples.get(weight)
                term = term * x.dtype.type(weight) if many is None else many[:, source.slice]
            total = term if total is None else np.add(total, term, out=place)
        if total is None:
            place[...] = 0
        elif stroke.weight not in (None, 1):
            np.multiply(total, x.dtype.type(stroke.weight), out=place)
        elif total is not place:
            place[...] = total
