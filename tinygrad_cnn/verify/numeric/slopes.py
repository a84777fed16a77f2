"""Numeric derivatives along a direction, with error bars, result by result.

For a function f at x and a direction d, moved by ±h and ±h/2::

    D(h) = (f(x + h·d) − f(x − h·d)) / 2h        value = (4·D(h/2) − D(h)) / 3

|D(h) − D(h/2)| bounds the truncation (it is the error of D, the value's own is far smaller), and
the fourth difference of the five results measures the rounding of f. Where the slopes to the left
and to the right do not approach each other as h shrinks, f has a kink.
Source: Richardson, "The approximate arithmetical solution by finite differences" (1911).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tinygrad_cnn.types import Array

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
    rough
        Where the derivative cannot be had at this step: a kink, or too large a step.
    one_sided
        The slopes from the result to those at h, −h, h/2 and −h/2.
    grain
        What a result's own rounding does to a slope, by its size: ``grain · |result|``.
    steep
        What is a slope at all, beside the largest of the others.
    at_zero, h
        The results where nothing is moved, and the step.
    """

    value: Array
    error: Array
    noise: Array
    rough: Array
    one_sided: tuple[Array, Array, Array, Array]
    grain: float
    steep: float
    at_zero: Array
    h: float

    @property
    def moved(self) -> Array:
        """Where the result changed at all."""
        far_right, far_left, right, _ = self.one_sided
        return np.asarray((far_right != 0) | (far_left != 0) | (right != 0))

    @property
    def rounding(self) -> Array:
        """The least rounding there can be, from the size of the results."""
        return _rounding(self.at_zero, *self.one_sided[:2], self.h, self.grain)

    @property
    def left(self) -> Array:
        """The slope to the left."""
        return self._sides[0]

    @property
    def right(self) -> Array:
        """The slope to the right."""
        return self._sides[1]

    @cached_property
    def drift(self) -> Array:
        """How much the two one-sided slopes together still changed when the step was halved."""
        far_right, far_left, right, left = self.one_sided
        with np.errstate(all="ignore"):
            right = np.nan_to_num(np.abs(right - far_right), posinf=0.0)
            left = np.nan_to_num(np.abs(left - far_left), posinf=0.0)
            return np.asarray(right + left)

    @cached_property
    def jump(self) -> Array:
        """Where slopes grow as the step shrinks: not continuous, or vertical."""
        far_right, far_left, right, left = self.one_sided
        with np.errstate(all="ignore"):
            finite = np.isfinite(self.value) & np.isfinite(self.error)
            steeper = np.maximum(np.abs(right), np.abs(left))
            shallower = np.maximum(np.abs(far_right), np.abs(far_left))
            grown = (steeper > 1.4 * shallower) & (steeper > self.steep)
        return np.asarray((self.rough & finite & grown) | self._sides[2])

    @cached_property
    def _sides(self) -> tuple[Array, Array, Array]:
        """The one-sided slopes, and where there is one alone that grows."""
        with np.errstate(all="ignore"):
            return _at_an_edge(*self.one_sided)


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
    # Of large results no more arrays are held at a time than it takes.
    with np.errstate(all="ignore"):
        far_right, far_left, right, left = (
            _slope(line, at_zero, t) for t in (h, -h, h / 2, -h / 2)
        )
        wide, value, error, half_bend, noise = (np.empty_like(at_zero) for _ in range(5))
        np.add(far_right, far_left, out=wide)
        np.add(right, left, out=value)
        wide /= 2
        value /= 2
        np.abs(np.subtract(wide, value, out=error), out=error)
        value *= 4
        value -= wide
        value /= 3
        bend = np.subtract(far_right, far_left, out=wide)
        np.subtract(right, left, out=half_bend)
        np.multiply(half_bend, -2, out=noise)  # the fourth difference
        noise += bend
        np.abs(noise, out=noise)
        np.abs(bend, out=bend)
        np.abs(half_bend, out=half_bend)
        bend *= _PARABOLA
        np.maximum(error, half_bend, out=error, where=half_bend > bend)
        rounding = _rounding(at_zero, far_right, far_left, h, 8 * eps / h)
        noise += rounding
        finite = np.isfinite(value) & np.isfinite(error)
        level = float(np.max(np.abs(value), where=finite, initial=0.0))
        steep = (_ROUGH if eps == EPS else _ROUGH_32) * level
        rounding *= 8
        rounding += steep
        rough = error > rounding
        rough |= ~finite
    one_sided = far_right, far_left, right, left
    return Slopes(value, error, noise, rough, one_sided, 8 * eps / h, steep, at_zero, h)


def _slope(line: Line, at_zero: Array, t: float) -> Array:
    found = np.subtract(line(t), at_zero, out=np.empty_like(at_zero))
    found /= t
    return found


def _rounding(at_zero: Array, far_right: Array, far_left: Array, h: float, grain: float) -> Array:
    size = np.abs(far_right, out=np.empty_like(at_zero))
    np.fmax(size, np.abs(far_left), out=size)
    size *= h
    size += np.abs(at_zero)
    size *= grain
    return size


def _at_an_edge(
    far_right: Array, far_left: Array, right: Array, left: Array
) -> tuple[Array, Array, Array]:
    """Where the function is defined on one side only, take that side's slope, extrapolated."""
    at_left, at_right = np.isfinite(left), np.isfinite(right)
    if at_left.all() and at_right.all():
        return left, right, np.zeros(left.shape, bool)
    only_right = ~at_left & at_right & np.isfinite(far_right)
    only_left = ~at_right & at_left & np.isfinite(far_left)
    one_sided = np.where(only_right, 2 * right - far_right, 2 * left - far_left)
    growing = np.where(
        only_right,
        np.abs(right) > 1.4 * np.abs(far_right),
        np.abs(left) > 1.4 * np.abs(far_left),
    )
    edge = only_right | only_left
    return np.where(edge, one_sided, left), np.where(edge, one_sided, right), edge & growing


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
    return math.sqrt(np.dot(flat, flat))


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
