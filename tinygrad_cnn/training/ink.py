"""Find the ink on a picture: which way round it is, where the paper ends, and what is one digit.

All of it is worked out on a copy of at most 256 pixels a side, which is more than a digit needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from tinygrad_cnn.types import Array

__all__ = ["Ink", "find_ink", "scale", "shrink"]


_SIDE = 256
_BLOCKS = 8  # the paper's shade is measured in so many places along each side
_FAINTEST = 28.0  # levels of 255 between paper and ink; the grain of a photograph stays below
_SPECK = 0.05  # of the largest piece of ink; what is smaller is dirt
_MARGIN = 0.02  # of the picture, where shadows and the table's edge are rather than ink


@dataclass(frozen=True)
class Ink:
    """What is drawn on a picture.

    Attributes
    ----------
    strength
        (H, W) of floats from 0, the paper, to 255, of the picture or of a smaller copy of it.
    box
        The part of it that holds the ink; None if there is none.
    inverted
        Whether the ink was darker than the paper.
    doubt
        Why it may not be a single digit, or None.
    """

    strength: Array
    box: tuple[slice, slice] | None
    inverted: bool
    doubt: str | None


def find_ink(grey: Array) -> Ink:
    """Find the ink on a picture (H, W) of uint8."""
    values = shrink(grey).astype(np.float64)
    inverted = _is_dark_on_light(values)
    light = 255 - values if inverted else values
    strength = np.clip(light - _paper(light), 0, None)
    peak = float(np.percentile(strength, 99.8)) if strength.size > 500 else float(strength.max())
    peak = max(peak, float(strength.max()) / 2)
    if peak < _FAINTEST:
        return Ink(strength, None, inverted, "blank")
    mask = strength > max(0.35 * peak, 0.7 * _FAINTEST)
    pieces = _pieces(mask)
    kept = _drawn(pieces, mask.shape)
    near = _grown(kept)  # the soft edge belongs to the ink
    strength = np.where(near, np.minimum(strength * (255 / peak), 255), 0)
    seen = strength > 25
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    return Ink(strength, box, inverted, _doubt(kept, box))


def _is_dark_on_light(values: Array) -> bool:
    """Whether the ink is darker than the paper, the paper being what the edges show.

    Its shade may slope: it is taken to be the plane nearest to the edges.
    """
    H, W = values.shape
    y, x = np.mgrid[:H, :W]
    plane = np.stack([np.ones_like(values), y / H, x / W], axis=-1)  # (H, W, 3)
    edge = np.ones((H, W), bool)
    edge[1:-1, 1:-1] = False
    slopes = np.linalg.lstsq(plane[edge], values[edge], rcond=None)[0]  # (3,)
    above = values - plane @ slopes
    return bool(above[np.abs(above) > _FAINTEST].sum() < 0)


def _paper(light: Array) -> Array:
    """Return the paper's shade at each pixel, where ink is lighter than the paper.

    It is what most of a block's pixels have, a low percentile, so that ink in it does not count;
    blocks are parts of a coarse grid, and between their middles it changes evenly.
    """
    H, W = light.shape
    rows, columns = (
        np.linspace(0, size, min(_BLOCKS, size) + 1).round().astype(int) for size in (H, W)
    )
    shades = np.array(
        [
            [np.percentile(light[a:b, c:d], 25) for c, d in pairwise(columns)]
            for a, b in pairwise(rows)
        ]
    )
    # A block that is full of ink has the paper of its neighbours.
    shades = np.minimum(shades, np.median(shades) + _FAINTEST)
    middles = ((rows[:-1] + rows[1:]) / 2, (columns[:-1] + columns[1:]) / 2)
    down = np.array([np.interp(np.arange(H), middles[0], column) for column in shades.T])  # (C, H)
    return np.array([np.interp(np.arange(W), middles[1], row) for row in down.T])  # (H, W)


def _pieces(mask: Array) -> Array:
    """Give each piece of a mask that hangs together, corners included, a number; 0 is outside.

    Each pixel takes the largest number among its neighbours until none changes.
    """
    numbers = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        spread = np.where(mask, _largest_near(numbers), 0)
        # Along rows and columns numbers run to the end in one pass.
        for axis in (0, 1):
            for direction in (slice(None), slice(None, None, -1)):
                spread = _run(spread, mask, axis, direction)
        if np.array_equal(spread, numbers):
            return numbers
        numbers = spread


def _run(numbers: Array, mask: Array, axis: int, direction: slice) -> Array:
    """Carry the largest number along each unbroken stretch of a mask, in one direction."""
    line, inside = np.moveaxis(numbers, axis, 0)[direction], np.moveaxis(mask, axis, 0)[direction]
    out = np.zeros_like(line)
    carried = np.zeros(line.shape[1:], line.dtype)
    for index in range(len(line)):
        carried = np.where(inside[index], np.maximum(carried, line[index]), 0)
        out[index] = carried
    return np.moveaxis(out[direction], 0, axis)


def _largest_near(values: Array) -> Array:
    """Return the largest of each pixel and its eight neighbours."""
    padded = np.pad(values, 1)
    H, W = values.shape
    near = [padded[i : i + H, j : j + W] for i in range(3) for j in range(3)]
    return np.asarray(np.max(near, axis=0))


def _grown(mask: Array) -> Array:
    return np.asarray(_largest_near(mask.astype(np.uint8)) > 0)


def _drawn(pieces: Array, shape: tuple[int, int]) -> Array:
    """Return the mask of the pieces that were drawn: no specks, and no shadows along the edges."""
    names, sizes = np.unique(pieces[pieces > 0], return_counts=True)
    H, W = shape
    margin = max(1, round(_MARGIN * max(H, W)))
    edge = np.ones(shape, bool)
    edge[margin : H - margin, margin : W - margin] = False
    at_edge = np.isin(names, pieces[edge])
    inner = ~at_edge
    # What was cut off by the edge is ink where nothing of its size lies within.
    if not inner.any() or sizes[inner].max() < 0.1 * sizes.max():
        inner = np.ones_like(at_edge)
    large = sizes >= _SPECK * sizes[inner].max()
    return np.isin(pieces, names[inner & large])


def _doubt(kept: Array, box: tuple[slice, slice]) -> str | None:
    """Say what a single digit does not look like."""
    share = float(kept[box].mean())
    if share > 0.85 and min(kept[box].shape) > 0.5 * max(kept[box].shape):
        return "an area rather than a line"
    if np.unique(_pieces(kept)[kept]).size > 3:
        return "more than a digit"
    return None


def shrink(grey: Array) -> Array:
    """Return a picture (H, W) with at most 256 pixels a side, each the mean of those it covers."""
    H, W = grey.shape
    longer = max(H, W)
    if longer <= _SIDE:
        return grey
    return scale(grey, max(1, H * _SIDE // longer), max(1, W * _SIDE // longer))


def scale(grey: Array, height: int, width: int) -> Array:
    """Scale a picture (H, W): each new pixel is the mean over the area that it covers.

    The result has the picture's type; integers are rounded.
    """
    rows, columns = _overlaps(grey.shape[0], height), _overlaps(grey.shape[1], width)
    scaled = np.zeros((height, width))
    for start in range(0, grey.shape[0], _SIDE):  # by bands, so that few floats are needed at once
        band = grey[start : start + _SIDE].astype(np.float64) @ columns.T  # (256, width)
        scaled += rows[:, start : start + _SIDE] @ band
    return np.rint(scaled).astype(grey.dtype) if grey.dtype.kind in "iu" else scaled


@lru_cache(maxsize=8)
def _overlaps(size: int, parts: int) -> Array:
    """Return how much of each of `parts` equal parts of a line each of `size` parts covers."""
    edges = np.arange(parts + 1) * size / parts
    starts, stops = edges[:-1, np.newaxis], edges[1:, np.newaxis]
    pixels = np.arange(size)
    covered: Array = np.minimum(stops, pixels + 1) - np.maximum(starts, pixels)  # (parts, size)
    return covered.clip(0) * parts / size
