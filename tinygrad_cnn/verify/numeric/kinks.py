"""Points without a derivative: what lies between the slopes to both sides is right there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.numeric.slopes import FLOOR, Miss, Slopes, dot, norm, weigh

if TYPE_CHECKING:
    from tinygrad_cnn.verify.numeric.probe import Prober

_INEXACT = 1e-5  # of the largest result: smaller jumps are the rounding of float32
_SETTLED = 1e-2  # of the change at the first step: with x^1.5 it is the root of the steps' ratio
_MEET = 4.0  # times the change of the last halving: of |x|^1.5 it is 2.4


def at_choice(prober: Prober, miss: Miss, smooth: Array) -> bool:
    """Whether a choice changes however small the step, and the value lies between slopes."""
    h = prober.h / prober.shrink**prober.levels
    sides = []
    for t in (-h, h):
        inputs = list(prober.point.inputs)
        inputs[prober.index] = np.asarray(prober.base + t * miss.direction)
        found = prober.point.subject.choice(inputs)
        if found is None:
            return False
        sides.append(np.asarray(found))
    if np.array_equal(sides[0], sides[1], equal_nan=sides[0].dtype.kind == "f"):
        return False
    prober.counts.kinks += 1
    if prober.point.subject.permutes():
        return True
    slopes = prober.measure(miss.direction, prober.h / prober.shrink**2)
    return is_between(prober, miss.direction, slopes, np.where(smooth, miss.g, 0.0)) is None


def between(prober: Prober, direction: Array, slopes: Slopes, mask: Array, k: int) -> None:
    """Accept at a kink what lies between the slopes to the left and to the right."""
    defined = np.isfinite(slopes.left) & np.isfinite(slopes.right)
    note_noise(prober, direction, slopes, mask & defined & slopes.jump)
    mask = mask & ~slopes.jump & defined
    if not mask.any():
        return
    g = np.where(mask, prober.point.cotangents[k], 0.0)
    miss = is_between(prober, direction, slopes, g)
    if miss is None:
        prober.decided += 1
        prober.seen = prober.seen or is_between(prober, direction, slopes, g, 2.0) is not None
    else:
        prober.misses.append(miss)


def settled(first_drift: Array, last: Slopes) -> Array:
    """Return where the slopes to both sides go to one limit as the step shrinks: no kink.

    So those of x³ and of x·|x| at 0, both 0, which no step sees, and at the edge of its domain
    those of x^1.5.
    """
    with np.errstate(invalid="ignore"):
        meet = np.abs(last.right - last.left) <= _MEET * last.drift
        return np.asarray(meet & (last.drift < _SETTLED * first_drift) & ~last.jump)


def note_noise(prober: Prober, direction: Array, slopes: Slopes, jump: Array) -> None:
    """Tell results that jump from results that are inexact: those jump a little everywhere."""
    size = float(np.max(np.abs(prober.point.out), initial=0.0, where=prober.finite))
    h = prober.h / prober.shrink ** (prober.levels - 1)
    steepest = np.maximum(np.abs(slopes.left), np.abs(slopes.right))
    if jump.any() and float(np.max(steepest * h, initial=0.0, where=jump)) < _INEXACT * size:
        wide = prober.measure(direction, prober.h)
        g = np.where(jump, prober.point.cotangents[0], 0.0)
        prober.unsure.append(weigh(wide, g, jump & np.isfinite(wide.value)))


def is_between(
    prober: Prober, direction: Array, slopes: Slopes, g: Array, times: float = 1.0
) -> Miss | None:
    """Return a miss where the rule, times a number, gives what lies outside of both slopes."""
    there = g != 0
    left = g * np.where(there, slopes.left, 0.0)
    right = g * np.where(there, slopes.right, 0.0)
    noise = norm(g * np.where(there, slopes.rounding, 0.0))
    low, high = float(np.minimum(left, right).sum()), float(np.maximum(left, right).sum())
    gradient = prober.point.gradient(g)[prober.index]
    analytic = times * dot(gradient, direction)
    # Where f is flat and curved, as x³ at 0, one-sided slopes are all truncation.
    curved = 2 * float(np.abs(g * np.where(there, slopes.drift, 0.0)).sum())
    allowed = 1e-5 * (norm(left) + norm(right)) + 8 * noise + curved
    allowed += FLOOR * norm(gradient * direction)
    if low - allowed <= analytic <= high + allowed:
        return None
    nearest = low if analytic < low else high
    return Miss(direction, g, analytic, nearest, allowed, at_kink=True)
