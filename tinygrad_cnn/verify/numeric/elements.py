"""Which elements are moved: every one, or a sample; and directions that move many at once.

A random direction sees every element: an error in one of them shows in the sum unless it is lost
in the error bar. Structured directions move few elements and so see smaller errors there: borders,
corners, one element a channel. Elements of equal value are
also moved together: where they tie for a maximum, the function is smooth that way only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tinygrad_cnn.types import Array

# Any number will do; it tells this package's seeds from everybody's.
_OWN = 0x9E3779B9

_MULTIPLIER = np.int64(0x1E3779B97F4A7C15)  # odd, its bits without a pattern
_SIGNS = np.array([-1.0, 1.0])
_SAMPLED = 4096
LARGE = 40  # times the elements that are moved


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
    if math.prod(shape) <= _SAMPLED:
        size, sign = rng.uniform(0.5, 1.5, shape), rng.integers(2, size=shape)
        return np.asarray(size * _SIGNS[sign])  # `rng.choice` draws the same, in twice the time
    one = np.asarray(rng.random(shape))  # sign and size from one draw: a third of the time
    one *= 2.0
    one -= 1.0
    return np.add(one, np.copysign(0.5, one), out=one)


def _codes(x: Array) -> Array:
    """Return a whole number for each element, the same for equals.

    Equal in float32 may be apart by rounding when computed again in float64.
    """
    scale = float(np.max(np.abs(x), initial=0.0, where=np.isfinite(x))) or 1.0
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(np.round(x * (1e11 / scale))).astype(np.int64)


def ties_of(x: Array) -> Array | None:
    """Return for each element (flat) the number of its group of equals; None without equals."""
    values, group = np.unique(_codes(x), return_inverse=True)
    return None if values.size == x.size else np.asarray(group).reshape(-1)


def tied_direction(rng: np.random.Generator, x: Array) -> Array | None:
    """Return a direction in which elements of equal value move together; None without equals.

    Each element's share is a function of its value that looks random (Knuth's multiplicative
    hashing), so that nothing need be sorted; of a large array, a sample tells of equals.

    >>> tied_direction(np.random.default_rng(0), np.array([1.0, 2.0, 3.0])) is None
    True
    """
    flat = x.ravel("K")
    if flat.size > _SAMPLED:
        flat = flat[np.unique(rng.integers(flat.size, size=_SAMPLED))]
    codes = _codes(flat)
    if np.unique(codes).size == codes.size:
        return None
    codes = _codes(x)
    salt = rng.integers(1 << 62, dtype=np.int64)
    with np.errstate(over="ignore"):
        mixed = (codes + salt) * _MULTIPLIER
        mixed = (mixed ^ (mixed >> 29)) * _MULTIPLIER
    share = (mixed >> 33) / 2.0**30  # −1 to 1
    return np.where(share < 0, share - 0.5, share + 0.5)


def relative_direction(
    rng: np.random.Generator, x: Array, tiny_below: float = 1e-3
) -> Array | None:
    """Return a direction that moves tiny elements, or else huge ones, in their own measure.

    >>> relative_direction(np.random.default_rng(0), np.array([1e-30, 0.0, 1.0])).round(1)[2]
    np.float64(0.0)
    """
    size = np.abs(x)
    tiny = (size > 0) & (size < tiny_below)
    if not tiny.any():
        tiny = np.isfinite(size) & (size > 1e6)
    if not tiny.any():
        return None
    return np.asarray(np.where(tiny, size * random_direction(rng, x.shape), 0.0))


def structured_directions(
    rng: np.random.Generator, shape: tuple[int, ...], few: bool = False
) -> Iterator[Array]:
    """Iterate over directions that move the border, the corners, one element a channel."""
    signs = random_direction(rng, shape)
    masks: list[Array] = []
    if len(shape) >= 2:
        border, corner = border_and_corner(shape)
        masks += [border] if few else [border, corner]
    else:
        masks.append(np.isin(np.arange(shape[0]), (0, shape[0] - 1)))
    if len(shape) >= 2:
        masks.append(one_per_channel(rng, shape))
    if few:
        masks = [np.logical_or.reduce(masks)]
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


def sample_elements(rng: np.random.Generator, x: Array, most: int, heavy: bool = False) -> Array:
    """Return flat indices: all where there are at most `most`, else corners and a random sample.

    Zeros and other elements often differ in what can go wrong: half of the sample is taken from
    the elements that are not 0, if there are any.
    """
    if x.size <= (4 if heavy else most):
        return np.arange(x.size)
    if heavy:
        most = 4
    elif x.size > LARGE * most:
        most = max(4, most // 3)  # directions see nearly all there
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
