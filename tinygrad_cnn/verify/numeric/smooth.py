"""Whether a function is smooth where a rule was found wrong, and a point beside its kinks.

Derivatives along directions add up where a function is smooth: D(d + r) = D(d) + D(r). At a kink
they need not, even where none shows along d alone: kinks of opposite sign that meet in one result
hide each other, and the median of equal elements moves as evenly to the left as to the right. What
a rule must give at such a point nobody can say of a black box; a tiny random shift of all inputs
leads away from it, and there it can be said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.numeric.elements import random_direction, ties_of
from tinygrad_cnn.verify.numeric.point import Point, shifted
from tinygrad_cnn.verify.numeric.probe import Prober
from tinygrad_cnn.verify.numeric.slopes import EPS, Miss, Slopes, dot, weigh
from tinygrad_cnn.verify.subjects.subject import RuleError

_MOST_MISSES = 6
_TINY = 1e-3
_FEW = 64  # elements that are moved one by one
# Of directions to add: at a kink a few add up by chance, at a median of equals every second.
_TRIES, _MORE = 4, 8
# Of the size of each input, and whether all go up: the first step is a tenth of the smaller one.
_SHIFTS = ((1e-3, False), (1e-3, True), (1e-2, False))


def misses_where_smooth(prober: Prober, rng: np.random.Generator) -> list[Miss]:
    """Return the misses of a prober if they count: one of them lies where all is smooth."""
    found = [m for m in prober.misses if not m.at_kink]
    found.sort(key=lambda m: -abs(m.analytic - m.numeric) / (m.bar or 1e-300))
    if any(_is_smooth(prober, miss, rng) for miss in found[:_MOST_MISSES]):
        return found
    return []


def _is_smooth(prober: Prober, miss: Miss, rng: np.random.Generator) -> bool:
    """Whether derivatives add up at the point, as far as the miss could be explained by it."""
    steps = [prober.h / prober.shrink**k for k in range(prober.levels - 1)]
    return any(
        _all_add_up(prober, miss, make, h, rng)
        for make in _others(prober, miss, rng)
        for h in steps
    )


def _all_add_up(
    prober: Prober, miss: Miss, make: Callable[[], Array], h: float, rng: np.random.Generator
) -> bool:
    """Whether the derivative along any direction adds up with that of the miss."""
    along = prober.measure(miss.direction, h)
    if not all(_adds_up(prober, miss, along, make(), h) for _ in range(_TRIES)):
        return False
    if ties_of(prober.base) is None:
        return True
    state = rng.bit_generator.state
    try:
        return all(_adds_up(prober, miss, along, make(), h) for _ in range(_MORE))
    finally:
        rng.bit_generator.state = state  # what is drawn later does not depend on ties


def _others(prober: Prober, miss: Miss, rng: np.random.Generator) -> Iterator[Callable[[], Array]]:
    """Iterate over ways to draw directions to add: any, and where equals move together, such."""
    size, shape = np.abs(miss.direction), prober.base.shape
    if np.max(size) < _TINY or np.max(size) > 1 / _TINY:  # one in the elements' own measure
        yield lambda: size * random_direction(rng, shape)
        return
    if _is_sum_of_elements(prober, miss):
        yield lambda: random_direction(rng, shape)
    groups = ties_of(prober.base)
    if groups is not None:
        d = miss.direction.reshape(-1)
        mean = np.bincount(groups, d) / np.bincount(groups)
        count = len(mean)  # of one alone, all multiples add up
        if count > 1 and np.allclose(mean[groups], d, rtol=1e-6, atol=1e-9):
            yield lambda: random_direction(rng, (count,))[groups].reshape(shape)


def _is_sum_of_elements(prober: Prober, miss: Miss) -> bool:
    """Whether the derivative along a direction is that by its elements, as of few as can be."""
    moved = np.flatnonzero(miss.direction)
    if not 1 < moved.size <= _FEW:
        return True
    h = prober.h / prober.shrink
    one = np.zeros(prober.base.shape)
    total = 0.0
    for flat in moved:
        one.reshape(-1)[flat] = miss.direction.reshape(-1)[flat]
        slopes = prober.measure(one, h)
        one.reshape(-1)[flat] = 0.0
        total += weigh(slopes, miss.g, (miss.g != 0) & ~slopes.rough).value
    return abs(total - miss.numeric) < 0.1 * abs(miss.analytic - miss.numeric)


def _adds_up(prober: Prober, miss: Miss, along: Slopes, other: Array, h: float) -> bool:
    """Whether the derivative along the miss, known, adds up with that of another direction."""
    d = miss.direction
    rough, values = along.rough.copy(), [along.value]
    for v in (other, d + other, d - other):
        slopes = prober.measure(v, h)
        rough |= slopes.rough
        values.append(slopes.value)
        del slopes
    g = np.where(rough, 0.0, miss.g)
    if not g.any():
        return False
    D, E, plus, minus = (dot(g, np.where(g != 0, value, 0.0)) for value in values)
    gap = abs(dot(prober.point.gradient(g)[prober.index], d) - D)
    if gap < 0.25 * abs(miss.analytic - miss.numeric):
        return False
    return abs(plus - D - E) < 0.1 * gap and abs(minus - D + E) < 0.1 * gap


def beside(point: Point, rng: np.random.Generator) -> Iterator[Point]:
    """Iterate over points near by, away from kinks of the first; none where it is not defined."""
    for size, upward in _SHIFTS:
        size = size if point.eps == EPS else 10 * size
        try:
            inputs = shifted(point, size, rng, upward)
            other = Point(point.subject, inputs, rng, point.cotangents)
        except RuleError:
            continue
        if (
            other.out.shape == point.out.shape
            and not (np.isfinite(point.out) & ~np.isfinite(other.out)).any()
        ):
            yield other
