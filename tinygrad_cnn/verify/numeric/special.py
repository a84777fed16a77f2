"""Points of the check's own: zeros, ties, one sign, large numbers, whatever the data are.

A rule may be wrong only where an element is 0, or two are equal, or large: random numbers never
meet that. All differentiated inputs are moved at once there, and a difference counts only where the
function is smooth.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.numeric.along import along_one
from tinygrad_cnn.verify.numeric.elements import random_direction, tied_direction
from tinygrad_cnn.verify.numeric.point import Point
from tinygrad_cnn.verify.numeric.probe import Prober, Tolerance
from tinygrad_cnn.verify.numeric.smooth import misses_where_smooth
from tinygrad_cnn.verify.report import Counts
from tinygrad_cnn.verify.subjects.joint import JointSubject
from tinygrad_cnn.verify.subjects.subject import RuleError

_LARGE = 30.0


def _coarse(x: Array, size: float) -> Array:
    return np.asarray(np.round(x / size) * size)


def _tied(x: Array, size: float) -> Array:
    return np.abs(_coarse(x, size)) + size


def _positive(x: Array, size: float) -> Array:
    return np.abs(x) + 0.1 * size


def _negative(x: Array, size: float) -> Array:
    return -_positive(x, size)


def _large(x: Array, _size: float) -> Array:
    return _LARGE * x


def _blank(x: Array, _size: float) -> Array:
    return np.zeros(x.shape)


def _constant(x: Array, size: float) -> Array:
    return np.full(x.shape, size)


_POINTS: dict[str, Callable[[Array, float], Array]] = {
    "where elements are 0 or equal": _coarse,
    "where elements are equal": _tied,
    "where all elements are positive": _positive,
    "where all elements are negative": _negative,
    "where elements are large": _large,
    "where all elements are 0": _blank,
    "where all elements are equal": _constant,
}


_MANY = 20_000  # elements; fewer points there
_OF_MANY = ("where elements are 0 or equal",)


def _part_zeros(inputs: list[Any], index: int, wanted: Sequence[int], size: float) -> None:
    """Move an input off 0 where an earlier one is 0 at the same place.

    There a function may be smooth along each direction and have no derivative, as copysign(0, 0).
    """
    x = inputs[index]
    for earlier in wanted[: wanted.index(index)]:
        if inputs[earlier].shape == x.shape and x.ndim:
            x[(x == 0) & (inputs[earlier] == 0)] = size


def special_points(
    point: Point, rng: np.random.Generator
) -> Iterator[tuple[str, list[Any], list[Any]]]:
    """Iterate over points with their names, in words that follow "wrong", two of each kind.

    Among round numbers kinks may cancel by chance, and then not at the second.
    """
    elements = sum(point.inputs[index].size for index in point.subject.wanted)
    for name, change in _POINTS.items():
        if elements > _MANY and name not in _OF_MANY:
            continue
        inputs, again = point.copies(), point.copies()
        for index in point.subject.wanted:
            x = point.inputs[index]
            finite = np.isfinite(x)
            size = float(np.sqrt(np.mean(np.square(x[finite])))) if finite.any() else 1.0
            inputs[index] = np.asarray(np.where(finite, change(x, size or 1.0), x))
            other = x + 0.5 * (size or 1.0) * random_direction(rng, x.shape)
            again[index] = np.asarray(np.where(finite, change(other, size or 1.0), x))
            for made in (inputs, again):
                _part_zeros(made, index, point.subject.wanted, size or 1.0)
        yield name, inputs, again
        inputs.clear()
        again.clear()


def wrong_at(
    point: Point, inputs: list[Any], tolerance: Tolerance, rng: np.random.Generator
) -> dict[int, str]:
    """Return which gradients are wrong at other inputs, and in which way."""
    if point.heavy and _agrees(point, inputs, tolerance, rng):
        return {}
    subject = JointSubject(point.subject, inputs)
    one = [random_direction(rng, point.out.shape)] if point.heavy else None
    try:
        joint = Point(subject, subject.inputs, rng, one)
    except RuleError:
        return {}
    if joint.out.shape != point.out.shape or not np.isfinite(joint.out).all():
        return {}  # outside of the domain, or at its edge
    prober = Prober(joint, 0, tolerance, Counts())
    if point.heavy:
        prober.levels = _LEVELS
    x = prober.base
    directions = [random_direction(rng, x.shape)]
    tied = tied_direction(rng, x)
    if tied is not None:
        directions.append(tied)
    if not np.isfinite(joint.analytic[0][0]).all():
        return _not_finite(prober, subject, directions[0])
    for direction in directions:
        prober.probe(direction)
    if not prober.misses or not misses_where_smooth(prober, rng):
        return {}
    found = {}
    for index in subject.shapes:
        parts = [subject.part(d, index) for d in directions]
        if any(prober.is_wrong_along(part) for part in parts):
            found[index] = "value"
    return found


_LEVELS = 2  # what is rough there still is not judged


def _agrees(
    point: Point, inputs: list[Any], tolerance: Tolerance, rng: np.random.Generator
) -> bool:
    """Whether the rule agrees along two directions: any, and one in which equals move together."""
    subject = copy.copy(point.subject)
    subject.inputs = list(inputs)
    tied = {i: tied_direction(rng, inputs[i]) for i in subject.wanted}
    for directions in (None, {i: d for i, d in tied.items() if d is not None}):
        if directions is not None and not directions:
            continue
        line = along_one(subject, tolerance, rng, directions, _LEVELS)
        if line is None or any(not miss.at_kink for miss in line.prober.misses):
            return False
        if not line.prober.finite.all():
            return False
    return True


def _not_finite(prober: Prober, subject: JointSubject, direction: Array) -> dict[int, str]:
    """Say so of gradients that are not finite where the function is smooth."""
    slopes = prober.measure(direction, prober.h / prober.shrink)
    if slopes.rough.any():
        return {}
    gradient = prober.point.analytic[0][0]
    bad = np.where(np.isfinite(gradient), 0.0, 1.0)
    return {index: "finite" for index in subject.shapes if subject.part(bad, index).any()}
