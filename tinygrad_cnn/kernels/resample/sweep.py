"""Resample the axes of images one after the other, forward or back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.pool.windows import sweep_images
from tinygrad_cnn.kernels.resample.strokes import Stroke, strokes_of
from tinygrad_cnn.kernels.resample.taps import Along
from tinygrad_cnn.kernels.runtime.copies import c_ordered, channels_first, channels_last

__all__ = ["resample", "resample_gradient"]

Array = npt.NDArray[Any]

# Channels from which pixels lie together: NumPy's innermost loop is as long as these are many.
_MANY = 8


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


def _sweep(x: Array, axes: Sequence[Along], transposed: bool) -> Array:
    last = x.shape[1] >= _MANY or (x.ndim > 2 and x.strides[1] == x.itemsize)
    first_axis = 1 if last else 2
    changed = [(first_axis + i, along) for i, along in enumerate(axes) if not along.is_same]
    # What shrinks goes first, so that less is left to do, and of equals the last axis, since the
    # first one's rows are long: the larger array is made of them. Back, the other way round.
    changed.sort(key=lambda each: (each[1].out_size / each[1].size, -each[0]), reverse=transposed)
    if not changed:
        return np.array(x)
    sizes = [along.size if transposed else along.out_size for along in axes]
    shape = (len(x), *sizes, x.shape[1]) if last else (*x.shape[:2], *sizes)
    out = np.empty(shape, x.dtype)

    def step(source: Array, out: Array) -> None:
        source = c_ordered(source)  # read several times: from channels-first memory 73 ms -> 30
        for number, (axis, along) in enumerate(changed, 1):
            if number == len(changed):
                target = out
            else:
                wide = *source.shape[:axis], sizes[axis - first_axis], *source.shape[axis + 1 :]
                target = np.empty(wide, source.dtype)
            along_first = source.swapaxes(0, axis), target.swapaxes(0, axis)
            with np.errstate(invalid="ignore", over="ignore"):  # infinite pixels
                _apply(*along_first, strokes_of(along, transposed))
            source = target

    # One image at a time: (8, 64, 64, 64) doubled, forward and back, 31 ms -> 23 of one thread.
    sweep_images(step, max(x.size, out.size), channels_last(x) if last else x, out, block_size=1)
    return channels_first(out) if last else out


def _apply(x: Array, out: Array, strokes: Sequence[Stroke]) -> None:
    """Apply strokes along the first axis."""
    scaled = _often(x, strokes)
    room = np.empty(out.shape, x.dtype) if any(len(terms) > 1 for _, terms in strokes) else out
    for target, terms in strokes:
        place, scratch = out[target], room[target]
        if not terms:
            place[...] = 0
            continue
        parts: dict[float, list[Array]] = {}  # by what is still to be multiplied with
        for source, weight in terms:
            array, left = (scaled[weight], 1.0) if weight in scaled else (x, weight)
            parts.setdefault(left, []).append(array[source])
        first, *others = parts.items()
        _weighted(*first, place)
        for other in others:
            np.add(place, _weighted(*other, scratch), out=place)


def _weighted(weight: float, parts: list[Array], out: Array) -> Array:
    """Write ``weight · Σ parts`` to `out`, and return it."""
    factor = out.dtype.type(weight)
    if len(parts) == 1:
        if weight == 1:
            out[...] = parts[0]
        else:
            np.multiply(parts[0], factor, out=out)
        return out
    np.add(parts[0], parts[1], out=out)
    for part in parts[2:]:
        np.add(out, part, out=out)
    if weight != 1:
        np.multiply(out, factor, out=out)
    return out


def _often(x: Array, strokes: Sequence[Stroke]) -> dict[float, Array]:
    """Return the array's multiples by weights with which it is read more than once."""
    rows: dict[float, int] = {}
    for _, terms in strokes:
        for source, weight in terms:
            rows[weight] = rows.get(weight, 0) + len(range(*source.indices(len(x))))
    often = [weight for weight, count in rows.items() if weight != 1 and count > len(x)]
    return {weight: x * x.dtype.type(weight) for weight in often}
