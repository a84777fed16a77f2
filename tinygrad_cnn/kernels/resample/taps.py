"""Which elements of an axis make each element of another, and with which weights.

Positions are exact fractions, so that outputs that lie alike between inputs have the same weights
to the last bit: `blocks` does those at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple, TypeAlias

import numpy as np

__all__ = ["Along", "Row"]

Row: TypeAlias = tuple[tuple[int, float], ...]
"""The inputs of one output with their weights."""

Settings: TypeAlias = tuple[float | None, bool, bool]


class Along(NamedTuple):
    """How an axis of `size` elements is resampled to `out_size`.

    The kind is "nearest", "nearest-exact", "linear" or "cubic", with settings ``(scale,
    align_corners, antialias)``: how many outputs there are to an input, if None ``out_size /
    size``; whether the first and the last elements lie on each other (otherwise pixels are squares,
    and the outermost edges do); whether a reduction widens the filter by its factor, so that every
    input counts.

    Or it is a border, "reflect", "replicate" or "circular", with the number of elements before the
    first, negative if some are cut.
    """

    kind: str
    size: int
    out_size: int
    settings: Settings | int = (None, False, False)

    @property
    def is_same(self) -> bool:
        """Whether the axis stays as it is.

        PyTorch takes the scale's word for an axis whose size stays only in some of the modes.
        """
        if self.size != self.out_size:
            return False
        if isinstance(self.settings, int):
            return self.settings == 0
        scale, align_corners, antialias = self.settings
        return align_corners or antialias or self.kind == "linear" or scale in (None, 1.0)

    def rows(self) -> tuple[Row, ...]:
        """Return the inputs and weights of each output, as PyTorch places them.

        >>> Along("linear", 2, 4).rows()
        (((0, 1.0),), ((0, 0.75), (1, 0.25)), ((0, 0.25), (1, 0.75)), ((1, 1.0),))
        >>> [i for ((i, _),) in Along("reflect", 3, 6, 2).rows()]
        [2, 1, 0, 1, 2, 1]
        """
        if isinstance(self.settings, int):
            chosen = _bordered(self.kind, self.size, self.out_size, self.settings)
        elif self.kind.startswith("nearest"):
            chosen = _nearest(self.kind, self.size, self.out_size, self.settings[0])
        else:
            return _weighted(self.kind, self.size, self.out_size, self.settings)
        return tuple(((i, 1.0),) for i in chosen)


def _bordered(kind: str, size: int, out_size: int, before: int) -> list[int]:
    """Return the input of each output of an axis with so many elements before the first."""
    places = range(-before, out_size - before)
    if kind == "replicate":
        return [min(max(i, 0), size - 1) for i in places]
    if kind == "circular":
        start, stop = max(0, -before), min(size, out_size - before)  # what is not cut
        return [start + (i - start) % (stop - start) for i in places]
    there_and_back = max(1, 2 * size - 2)
    return [min(i % there_and_back, -i % there_and_back) for i in places]


def _nearest(kind: str, size: int, out_size: int, scale: float | None) -> list[int]:
    """Return one input an output; in single precision, as PyTorch rounds."""
    step = np.float32(size / out_size if scale is None else 1 / scale)
    shift = np.float32(0.5 if kind == "nearest-exact" else 0.0)
    found = np.floor((np.arange(out_size, dtype=np.float32) + shift) * step)
    return [int(i) for i in np.minimum(found, size - 1)]


def _weighted(kind: str, size: int, out_size: int, settings: Settings) -> tuple[Row, ...]:
    """Return the inputs and weights of each output where these are several."""
    scale, align_corners, antialias = settings
    if align_corners:
        step = Fraction(size - 1, out_size - 1) if out_size > 1 else Fraction(0)
    else:
        step = Fraction(size, out_size) if scale is None else 1 / Fraction(scale)
    wide = max(step, Fraction(1)) if antialias else Fraction(1)
    reach = (1 if kind == "linear" else 2) * wide
    below, above = 1 - reach, 1 + reach
    rows = []
    for out in range(out_size):
        place = (out + Fraction(1, 2)) * step - Fraction(1, 2)
        if align_corners and not antialias:
            place = out * step
        if kind == "linear" and not antialias:
            place = max(place, Fraction(0))
        taps = range(math.floor(place + below), math.floor(place + above))
        if antialias:  # what lies outside does not count, as for Pillow
            taps = range(max(taps.start, 0), min(taps.stop, size))
        # (i − place) / wide, of integers: rounded once, as exact fractions are, in half their time.
        p, q = place.as_integer_ratio()
        distances = [(i * q - p) * wide.denominator / (q * wide.numerator) for i in taps]
        if kind == "linear":
            values = [max(0.0, 1 - abs(x)) for x in distances]
        else:
            values = [_cubic(x, -0.5 if antialias else -0.75) for x in distances]
        total = sum(values) if antialias else 1.0
        inside = (min(max(i, 0), size - 1) for i in taps)
        rows.append(_merged(zip(inside, (value / total for value in values), strict=True)))
    return tuple(rows)


def _cubic(x: float, a: float) -> float:
    """Keys, "Cubic convolution interpolation" (1981); a = -0.75 is PyTorch's, -0.5 Pillow's."""
    x = abs(x)
    if x <= 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a if x < 2 else 0.0


def _merged(taps: Iterable[tuple[int, float]]) -> Row:
    """Add the weights of taps on one input, and drop those of no weight."""
    weights: dict[int, float] = {}
    for i, weight in taps:
        weights[i] = weights.get(i, 0.0) + weight
    return tuple((i, weight) for i, weight in weights.items() if weight)
