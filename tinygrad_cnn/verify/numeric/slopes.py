"""Numeric derivatives along a direction, with error bars, result by result.

For a function f at x and a direction d, moved by ±h and ±h/2::

    D(h) = (f(x + h·d) − f(x − h·d)) / 2h        value = (4·D(h/2) − D(h)) / 3

|D(h) − D(h/2)| bounds the truncation (it is the error of D, the value's own is far smaller), and
the fourth difference of the five results measures the rounding of f. Where the slopes to the left
and to the right do not approach each other as h shrinks, f has a kink.
Source: Richardson, "The approximate arithmetical solution by finite differences" (1911).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

EPS = float(np.finfo(np.float64).eps)
SHRINK = 32.0  # a step to the next finer one
LEVELS = 4  # the smallest step is FIRST_STEP / 32³, about 3e-9
FLOOR = 1e-9  # what float64 rules themselves may lose, of the size of the terms
FIRST_STEP = 1e-4  # truncation of about 1e-9 and rounding of about 1e-12, relative
FIRST_STEP_32 = 1 / 64  # the same for results that are rounded to float32
EPS16 = float(np.finfo(np.float16).eps)
EPS32 = float(np.finfo(np.float32).eps)
_ROUGH = 1e-6  # differences of slopes above this share of the largest slope are looked at closer
_ROUGH_32 = 1e-3  # the same where results are rounded to float32: steps are large there
_PARABOLA = 0.7  # the ratio of bends is 1/2 on a parabola and 1 at a kink


@dataclass
class Slopes:
    """Derivatives of every result along one direction.

    Attributes
    ----------
    value
        The extrapolated derivative of each result.
    error
        What it may be off by through truncation.
    noise
        What it may be off by through rounding, as measured.
    rounding
        The least rounding there can be, from the size of the results.
    rough
        Where the derivative cannot be had at this step: a kink, or too large a step.
    moved
        Where the result changed at all.
    around
        The results at h, −h, h/2, −h/2 and 0; and h.
    steep
        What is a slope at all, beside the largest of the others.
    """

    value: Array
    error: Array
    noise: Array
    rounding: Array
    rough: Array
    around: tuple[Array, Array, Array, Array, Array, float]
    steep: float

    @cached_property
    def moved(self) -> Array:
        """Where the result changed at all."""
        far, back, near, _, at_zero, _ = self.around
        return np.asarray((far != at_zero) | (back != at_zero) | (near != at_zero))

    @property
    def left(self) -> Array:
        """The slope to the left."""
        return self.sides.left

    @property
    def right(self) -> Array:
        """The slope to the right."""
        return self.sides.right

    @property
    def drift(self) -> Array:
        """How much the two one-sided slopes together still changed when the step was halved."""
        return self.sides.drift

    @property
    def jump(self) -> Array:
        """Where slopes grow as the step shrinks: not continuous, or vertical."""
        return self.sides.jump

    @cached_property
    def sides(self) -> Sides:
        """The one-sided slopes: worked out only where somebody asks, at kinks."""
        with np.errstate(all="ignore"):
            return _sides(self)


@dataclass(frozen=True)
class Sides:
    """One-sided slopes of every result; `Slopes` says what each is."""

    left: Array
    right: Array
    drift: Array
    jump: Array


Line = Callable[[float], Array]
"""The results at x + t·d, as a function of t; not finite where they cannot be computed."""


def slopes_along(line: Line, at_zero: Array, h: float, eps: float = EPS) -> Slopes:
    """Differentiate along a line by its results at ±h and ±h/2; they are rounded to ``eps``.

    >>> found = slopes_along(lambda t: np.array([t**3 + t, abs(t)]), np.zeros(2), 1e-3)
    >>> found.value[0].round(9), found.rough.tolist()
    (np.float64(1.0), [False, True])
    >>> found.left[1], found.right[1]
    (np.float64(-1.0), np.float64(1.0))
    """
    far, back, near, near_back = line(h), line(-h), line(h / 2), line(-h / 2)
    with np.errstate(all="ignore"):
        wide, narrow, error, both, near_both = (np.empty_like(at_zero) for _ in range(5))
        np.subtract(far, back, out=wide)
        wide /= 2 * h
        np.subtract(near, near_back, out=narrow)
        narrow /= h
        np.abs(np.subtract(wide, narrow, out=error), out=error)
        value = np.multiply(narrow, 4, out=narrow)
        value -= wide
        value /= 3
        np.add(far, back, out=both)
        np.add(near, near_back, out=near_both)
        noise = np.multiply(near_both, -4, out=wide)  # the fourth difference
        noise += both
        noise += 6 * at_zero
        np.abs(noise, out=noise)
        noise /= h
        rounding = np.fmax(np.fmax(np.abs(far), np.abs(back)), np.abs(at_zero)) * (8 * eps / h)
        noise += rounding
        twice = 2 * at_zero
        both -= twice
        near_both -= twice
        bend, half_bend = np.abs(both, out=both), np.abs(near_both, out=near_both)
        bend *= _PARABOLA / h
        half_bend /= h / 2
        np.maximum(error, half_bend, out=error, where=half_bend > bend)
        finite = np.isfinite(value) & np.isfinite(error)
        level = float(np.max(np.abs(value), where=finite, initial=0.0))
        steep = (_ROUGH if eps == EPS else _ROUGH_32) * level
        rough = error > steep + 8 * rounding
        rough |= ~finite
    around = (far, back, near, near_back, at_zero, h)
    return Slopes(value, error, noise, rounding, rough, around, steep)


def _sides(slopes: Slopes) -> Sides:
    far, back, near, near_back, at_zero, h = slopes.around
    right, left = (near - at_zero) / (h / 2), (at_zero - near_back) / (h / 2)
    far_right, far_left = (far - at_zero) / h, (at_zero - back) / h
    finite = np.isfinite(slopes.value) & np.isfinite(slopes.error)
    steeper = np.maximum(np.abs(right), np.abs(left))
    shallower = np.maximum(np.abs(far_right), np.abs(far_left))
    jump = slopes.rough & finite & (steeper > 1.4 * shallower) & (steeper > slopes.steep)
    drift = np.nan_to_num(np.abs(right - far_right), posinf=0.0)
    drift += np.nan_to_num(np.abs(left - far_left), posinf=0.0)
    left, right, jump = _at_an_edge(left, right, far_left, far_right, jump)
    return Sides(left, right, drift, jump)


def _at_an_edge(
    left: Array, right: Array, far_left: Array, far_right: Array, jump: Array
) -> tuple[Array, Array, Array]:
    """Where the function is defined on one side only, take that side's slope, extrapolated."""
    only_right = ~np.isfinite(left) & np.isfinite(right) & np.isfinite(far_right)
    only_left = ~np.isfinite(right) & np.isfinite(left) & np.isfinite(far_left)
    one_sided = np.where(only_right, 2 * right - far_right, 2 * left - far_left)
    growing = np.where(
        only_right,
        np.abs(right) > 1.4 * np.abs(far_right),
        np.abs(left) > 1.4 * np.abs(far_left),
    )
    edge = only_right | only_left
    jump = jump | (edge & growing)
    return np.where(edge, one_sided, left), np.where(edge, one_sided, right), jump


@dataclass(frozen=True)
class Estimate:
    """A numeric derivative of ⟨g, f⟩ with its error bar."""

    value: float
    bar: float
    truncation: float
    rounding: float


@dataclass(frozen=True)
class Miss:
    """A probe in which the rule is wrong: ⟨rule(g), direction⟩ is not ⟨g, derivative⟩."""

    direction: Array
    g: Array
    analytic: float
    numeric: float
    bar: float
    at_kink: bool = False


def weigh(slopes: Slopes, g: Array, mask: Array | None = None) -> Estimate:
    """Sum derivatives of results weighted by a cotangent.

    The errors of many results partly cancel: the bar is the larger of their sum and their root
    sum of squares.
    """
    value, error, noise = slopes.value, slopes.error, slopes.noise
    if mask is not None and not mask.all():
        g, value = np.where(mask, g, 0.0), np.where(mask, value, 0.0)
        error, noise = np.where(mask, error, 0.0), np.where(mask, noise, 0.0)
    terms = g * error
    truncation = max(abs(float(terms.sum())), norm(terms))
    rounding = norm(g * noise)
    return Estimate(dot(g, value), truncation + rounding, truncation, rounding)


def dot(a: Array, b: Array) -> float:
    """Return Σ a·b over all elements of two arrays of one shape."""
    if a.strides == b.strides:
        return float(np.dot(a.ravel("K"), b.ravel("K")))
    return float(np.multiply(a, b).sum())


def norm(a: Array) -> float:
    """Return the root of the sum of squares."""
    flat = a.ravel("K")
    return float(np.sqrt(np.dot(flat, flat)))


def laid_out(a: Array, like: Array) -> Array:
    """Return an array with its elements in memory in the order of another's.

    Arithmetic with two orders takes several times as long.

    >>> image = np.zeros((8, 16, 16, 3)).transpose(0, 3, 1, 2)
    >>> laid_out(np.ones(image.shape), image).strides == image.strides
    True
    """
    if a.size < 1024 or a.strides == like.strides or a.dtype.kind != "f":
        return a
    out = np.empty_like(like, a.dtype)
    out[...] = a
    return out
