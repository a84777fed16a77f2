"""Which elements are moved: every one, or a sample; and directions that move many at once.

A random direction sees every element: an error in one of them shows in the sum unless it is lost
in the error bar. Structured directions move few elements and so see smaller errors there: borders,
corners, the first and the last of each axis, one element a channel. Elements of equal value are
also moved together: where they tie for a maximum, the function is smooth that way only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Any number will do; it tells this package's seeds from everybody's.
_OWN = 0x9E3779B9


def generator(seed: int) -> np.random.Generator:
    """Return a generator that gives other numbers than ``np.random.default_rng(seed)``.

    With that one a user may have drawn his data, and a gradient equal to the data is no random one:
    batch normalisation takes all of it away but rounding.

    >>> generator(0).normal() == np.random.default_rng(0).normal()
    False
    """
    return np.random.default_rng([seed, _OWN])


def random_direction(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return signed numbers of about one size: none is small enough to hide an element."""
    return np.asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape))


def tied_direction(rng: np.random.Generator, x: Array) -> Array | None:
    """Return a direction in which elements of equal value move together; None without equals.

    >>> tied_direction(np.random.default_rng(0), np.array([1.0, 2.0, 3.0])) is None
    True
    """
    scale = float(np.max(np.abs(x), initial=0.0)) or 1.0
    # Equal in float32 may be apart by rounding when computed again in float64.
    values, group = np.unique(np.round(x / scale, 11), return_inverse=True)
    if values.size == x.size:
        return None
    return random_direction(rng, values.shape)[group].reshape(x.shape)


def structured_directions(rng: np.random.Generator, shape: tuple[int, ...]) -> Iterator[Array]:
    """Iterate over directions that move the border, the corners, the ends of each axis."""
    signs = random_direction(rng, shape)
    masks = []
    if len(shape) >= 2:
        border, corner = border_and_corner(shape)
        masks += [border, corner]
    for axis, size in enumerate(shape):
        if size > 2:
            for end in (0, -1):
                mask = np.zeros(shape, bool)
                mask[(slice(None),) * axis + (end,)] = True
                masks.append(mask)
    if len(shape) >= 2:
        masks.append(one_per_channel(rng, shape))
    seen: set[bytes] = set()
    for mask in masks:
        key = np.packbits(mask).tobytes()
        if key not in seen and 0 < np.count_nonzero(mask) < mask.size:
            seen.add(key)
            yield np.where(mask, signs, 0.0)


def border_and_corner(shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Return masks of the border and of the corners over the last two axes.

    >>> border, corner = border_and_corner((3, 4))
    >>> border.sum(), corner.sum()
    (np.int64(10), np.int64(4))
    """
    rows, columns = (np.isin(np.arange(n), (0, n - 1)) for n in shape[-2:])
    border = rows[:, None] | columns
    corner = rows[:, None] & columns
    return np.broadcast_to(border, shape), np.broadcast_to(corner, shape)


def one_per_channel(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return a mask of one random element for each index of the second axis."""
    mask = np.zeros(shape, bool)
    C = shape[1]
    places = [rng.integers(size, size=C) for size in shape]
    places[1] = np.arange(C)
    mask[tuple(places)] = True
    return mask


def sample_elements(rng: np.random.Generator, x: Array, most: int) -> Array:
    """Return flat indices: all where there are at most `most`, else corners and a random sample.

    Zeros and other elements often differ in what can go wrong: half of the sample is taken from
    the elements that are not 0, if there are any.
    """
    if x.size <= most:
        return np.arange(x.size)
    ends = [np.array([0, x.size - 1])]
    if x.ndim >= 2:
        corners = np.flatnonzero(border_and_corner(x.shape)[1])
        ends.append(rng.permutation(corners)[: max(1, most // 4)])
    zeros = x.reshape(-1) == 0
    half = max(1, most // 2)
    if zeros.any() and not zeros.all():
        ends.append(rng.permutation(np.flatnonzero(~zeros))[:half])
    ends.append(rng.integers(x.size, size=half))
    return np.unique(np.concatenate(ends))
