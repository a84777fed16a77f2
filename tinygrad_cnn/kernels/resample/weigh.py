"""Apply the strokes of an axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygrad_cnn.kernels.resample.strokes import Places, Stroke
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.copies import copy_into
from tinygrad_cnn.types import Array

__all__ = ["weigh"]


# A product for each position reads and writes once what takes several sweeps term by term: doubled,
# (8, 64, 64, 64), forward and back, 13.7 ms -> 7.4 of one thread, in pairs 6.5; bicubic 31 -> 9.
def weigh(x: Array, out: Array, strokes: Sequence[Stroke]) -> None:
    """Write the strokes' weighted sums to `out`.

    Parameters
    ----------
    x, out
        Shapes (A, size, B) and (A, out size, B), C-contiguous.
    strokes
        Of the axis in the middle.

    Examples
    --------
    >>> out = np.empty((1, 1, 2))
    >>> both = Places(0, 1, 1), Places(1, 1, 1)
    >>> strokes = [Stroke((Places(0, 1, 1),), both, ((1.0, 1.0),), 1.0, True)]
    >>> weigh(np.array([[[1.0, 2.0], [3.0, 4.0]]]), out, strokes)
    >>> out
    array([[[4., 6.]]])
    """
    multiples: dict[float, Array] = {}
    for stroke in strokes:
        if stroke.weight is not None:
            _alike(x, out, stroke)
        elif stroke.is_even and x.shape[2] >= tuning.LONG_WEIGHED:
            weights = np.array(stroke.weights, x.dtype)
            np.matmul(weights, _windows(x, stroke.sources), out=_windows(out, stroke.targets))
        else:
            _apart(x, out, stroke, multiples)


def _windows(x: Array, places: Sequence[Places]) -> Array:
    """View an array (A, size, B) at even places as (A, steps, places, B)."""
    first, step, length = places[0]
    apart = places[1].first - first if len(places) > 1 else 1
    outer, along, inner = x.strides
    strides = outer, step * along, apart * along, inner
    return np.ndarray((len(x), length, len(places), x.shape[2]), x.dtype, x, first * along, strides)


def _alike(x: Array, out: Array, stroke: Stroke) -> None:
    """Apply a stroke with one weight for all."""
    first, *others = (out[:, target.slice] for target in stroke.targets)
    parts = [x[:, source.slice] for source in stroke.sources]
    if not parts:
        first[...] = 0
    elif len(parts) == 1 and stroke.weight == 1:
        (part,) = parts
        copy_into(first, part if part.shape == first.shape else np.broadcast_to(part, first.shape))
    else:
        total, *parts = parts
        for part in parts:
            total = np.add(total, part, out=first)
        if stroke.weight != 1:
            np.multiply(total, x.dtype.type(stroke.weight), out=first)
    for other in others:
        copy_into(other, first)


def _apart(x: Array, out: Array, stroke: Stroke, multiples: dict[float, Array]) -> None:
    """Apply a stroke term by term; `multiples` of the whole array serve several strokes."""
    for target, weights in zip(stroke.targets, stroke.weights, strict=True):
        terms = []
        for source, weight in zip(stroke.sources, weights, strict=True):
            if weight not in multiples and 2 * source.length > x.shape[1]:
                multiples[weight] = x * x.dtype.type(weight)
            if weight in multiples:
                terms.append(multiples[weight][:, source.slice])
            else:
                terms.append(x[:, source.slice] * x.dtype.type(weight))
        place, (total, *terms) = out[:, target.slice], terms
        if not terms:
            place[...] = total
        for term in terms:
            total = np.add(total, term, out=place)
