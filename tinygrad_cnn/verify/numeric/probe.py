"""Probes: the rule's gradient of one input against numeric derivatives, at kinks too.

A probe moves the input along a direction and compares ⟨g, df⟩ with ⟨rule(g), direction⟩. Where
some results are rough at this step (a kink is near), the cotangent is set to 0 there, the rule is
called with it again, and the rough ones are looked at with a smaller step. What is still rough at
the smallest step has a kink at the very point: there any value between the slopes to the left and
to the right is right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.numeric.kinks import at_choice, between, settled
from tinygrad_cnn.verify.numeric.point import Point
from tinygrad_cnn.verify.numeric.slopes import (
    EPS,
    FIRST_STEP,
    FIRST_STEP_32,
    FLOOR,
    LEVELS,
    SHRINK,
    Estimate,
    Miss,
    Slopes,
    dot,
    laid_out,
    norm,
    slopes_along,
    weigh,
)
from tinygrad_cnn.verify.report import Counts
from tinygrad_cnn.verify.subjects.subject import RuleError

_SLIGHT = 1e-7  # of the gradient: what nobody would call wrong


@dataclass(frozen=True)
class Tolerance:
    """How a verdict is reached.

    Attributes
    ----------
    eps
        The first step, None to choose it by the input.
    atol, rtol
        The largest error bar that a verdict may rest on: ``atol + rtol · |numeric|``.
    """

    eps: float | None = None
    atol: float = 1e-5
    rtol: float = 1e-3


class Prober:
    """All probes of one input at one point."""

    def __init__(self, point: Point, index: int, tolerance: Tolerance, counts: Counts) -> None:
        self.point = point
        self.index = index
        self.tolerance = tolerance
        self.counts = counts
        self.base: Array = point.inputs[index]
        self.finite = np.isfinite(point.out)
        self.eps, self.shrink, self.levels = EPS, SHRINK, LEVELS
        size = np.abs(self.base[np.isfinite(self.base) & (self.base != 0)])
        scale = float(np.sqrt(np.mean(np.square(size)))) if size.size else 1.0
        self.scale = min(max(scale, 0.1), 10.0)
        # A power of 2: x ± h·d is then exact for directions that `_exact` makes.
        self.h = tolerance.eps or 2.0 ** round(math.log2(FIRST_STEP * self.scale))
        self.adapted = tolerance.eps is not None
        self.misses: list[Miss] = []
        self.unsure: list[Estimate] = []
        self.decided = 0
        self.seen = False
        self.bar = 0.0  # the largest error bar of a comparison
        self._grain: tuple[float, Array] | None = None  # the step it is for, and the grain

    # ------------------------------------------------------------------ moving the input

    def line(self, direction: Array) -> Callable[[float], Array]:
        """Return the results along a line, as a function of the distance."""

        def at(t: float) -> Array:
            return self.at(np.asarray(self.base + t * direction))

        return at

    def at(self, moved: Array) -> Array:
        """Return the result with the input moved; NaN where it cannot be computed."""
        inputs = list(self.point.inputs)
        inputs[self.index] = moved
        try:
            out = self.point.forward(inputs)
        except RuleError:
            return np.full(self.finite.shape, np.nan)
        return out if out.shape == self.finite.shape else np.full(self.finite.shape, np.nan)

    def measure(self, direction: Array, h: float) -> Slopes:
        """Differentiate along a direction with a given step."""
        return slopes_along(self.line(direction), self.point.out, h, self.eps)

    @property
    def _floor(self) -> float:
        return FLOOR if self.eps == EPS else 100 * self.eps

    def _take_large_steps(self) -> None:
        """Take the steps that results rounded to float32 need, few and not much smaller ones."""
        self.eps, self.shrink, self.levels = self.point.eps, 4.0, 3
        self.adapted = True
        if self.tolerance.eps is None:
            self.h = 2.0 ** round(math.log2(FIRST_STEP_32 * self.scale))

    def _adapt(self, direction: Array, slopes: Slopes) -> Slopes:
        """Choose the step once: where truncation and rounding are both small."""
        self.adapted = True
        for _ in range(4):
            calm = self.finite & ~slopes.rough
            size = norm(np.where(calm, slopes.value, 0.0))
            truncation = norm(np.where(calm, slopes.error, 0.0))
            rounding = norm(np.where(calm, slopes.noise, 0.0))
            if size == 0 or max(truncation, rounding) < 1e-8 * size:
                break
            if truncation > 64 * rounding:
                factor = 1 / 8
            elif rounding > 64 * truncation:
                factor = 8.0
            else:
                break
            other = self.measure(direction, self.h * factor)
            if np.count_nonzero(self.finite & other.rough) > np.count_nonzero(
                self.finite & slopes.rough
            ):
                break  # a larger step meets more kinks
            self.h, slopes = self.h * factor, other
        return slopes

    # ------------------------------------------------------------------ directions

    def probe(self, direction: Array, which: Sequence[int] | None = None) -> None:
        """Compare along a direction, for the cotangents `which` (all if None)."""
        self.counts.directions += 1
        self.compare_along(direction, range(len(self.point.cotangents)) if which is None else which)

    def _exact(self, direction: Array) -> Array:
        """Round a direction so that moving along it is exact, by steps down to h / 64.

        The rounding of x ± h·d itself, divided by h, would be an error that no result shows.
        """
        if self.point.heavy:
            return direction  # of so many elements the rounding of each is nothing
        if self._grain is None or self._grain[0] != self.h:
            size = np.maximum(2 * np.abs(self.base), self.h)  # zeros too, to where digits end
            grain = np.spacing(np.where(np.isfinite(size), size, 1.0)) / (self.h / 64)
            self._grain = self.h, np.where(grain < 0.1, grain, 2.0**-60)
        grain = self._grain[1]
        rounded = np.asarray(np.rint(direction / grain) * grain)
        if not rounded.any():  # elements far smaller than the others, in their own measure
            return direction
        return rounded

    def compare_along(self, direction: Array, which: Sequence[int]) -> None:
        """Compare along a direction, at smaller and smaller steps where results are rough."""
        direction = self._exact(laid_out(direction, self.base))
        todo = self.finite
        h = self.h
        slopes = self.measure(direction, h)
        if self.eps == EPS and (slopes.rough & todo).any() and self.point.eps != EPS:
            self._take_large_steps()
            h = self.h
            slopes = self.measure(direction, h)
        if not self.adapted:
            slopes, h = self._adapt(direction, slopes), self.h
        first_drift: Array | None = None
        for level in range(self.levels):
            if level:
                first_drift = slopes.drift if first_drift is None else first_drift
                wider = slopes.value, slopes.error
                del slopes  # many arrays of the results' size
                slopes = self.measure(direction, h)
                todo = todo & ~self._inexact(direction, h, *wider, slopes, todo, which[0])
                del wider
            smooth = todo & ~slopes.rough
            if smooth.any():
                self._compare(direction, slopes, smooth, h, which)
            todo = todo & slopes.rough
            if not todo.any():
                return
            h /= self.shrink
        first_drift = slopes.drift if first_drift is None else first_drift
        self.counts.kinks += bool((todo & ~settled(first_drift, slopes)).any())
        between(self, direction, slopes, todo, which[0])

    def _inexact(
        self,
        direction: Array,
        h: float,
        value: Array,
        error: Array,
        slopes: Slopes,
        todo: Array,
        k: int,
    ) -> Array:
        """Return which results are rough by rounding: their errors grow as the step shrinks.

        ``value`` and ``error`` are those at the step before.
        """
        level = float(np.max(np.abs(value), initial=0.0, where=todo & np.isfinite(value)))
        with np.errstate(invalid="ignore"):
            noisy = (slopes.error > 4 * error) & (error < 0.2 * level) & slopes.rough
        noisy = noisy & todo
        if noisy.any():
            # So do those of one kink with another about h away, but once.
            finer = self.measure(direction, h / self.shrink)
            noisy = noisy & ~((finer.error > 0) & (finer.error < 8 * slopes.error))
        if noisy.any():
            g = np.where(noisy, self.point.cotangents[k], 0.0)
            estimate = weigh(self.measure(direction, h * self.shrink), g, noisy)
            gap = dot(self.point.gradient(g)[self.index], direction) - estimate.value
            if self._is_slight(estimate.bar, estimate.value) and abs(gap) <= 4 * estimate.bar:
                self.decided += 1
            else:
                self.unsure.append(estimate)
        return noisy

    def _is_slight(self, size: float, value: float) -> bool:
        """Whether so much more or less is nothing beside a derivative or the whole gradient."""
        whole = norm(self.point.analytic[0][self.index])
        return abs(size) <= max(self.tolerance.rtol * abs(value), _SLIGHT * whole)

    def _compare(
        self, direction: Array, slopes: Slopes, smooth: Array, h: float, which: Sequence[int]
    ) -> None:
        """Compare where the results are smooth."""
        whole = bool(smooth.all())
        for k in which if whole else which[:1]:
            g = self.point.cotangents[k]
            if whole:
                gradient = self.point.analytic[k][self.index]
            else:
                g = np.where(smooth, g, 0.0)
                gradient = self.point.gradient(g)[self.index]
            miss, estimate, error = self._judge(direction, slopes, g, gradient)
            if not self._is_sure(slopes, g, estimate):
                clear = smooth & self._is_clear(slopes)
                if clear.any() and not clear[smooth].all():  # results of very different size
                    self._compare(direction, slopes, clear, h, which)
                    return
                if estimate.value or (slopes.moved & (g != 0)).any():
                    self.unsure.append(estimate)  # where nothing moves, there is nothing to tell
                continue
            if miss is not None and not self._confirmed(miss, slopes, smooth, h):
                self.decided += 1
                continue
            self.counts.note_error(error)
            self.bar = max(self.bar, 2 * estimate.bar)
            if miss is not None:
                self.misses.append(miss)
                return
            self.decided += 1
            self._note_seen(direction, slopes, g, estimate)

    def _note_seen(self, direction: Array, slopes: Slopes, g: Array, estimate: Estimate) -> None:
        """Note whether a gradient twice too large would have been noticed.

        Where some results did not move at all, their rounding may hide those that did: these are
        then compared alone.
        """
        if self.seen:
            return
        there = g != 0
        self.seen = abs(estimate.value) > 2 * estimate.bar
        moved = slopes.moved & there
        if not self.seen and moved.any() and not moved[there].all():
            part = np.where(moved, g, 0.0)
            gradient = self.point.gradient(part)[self.index]
            miss, alone, _ = self._judge(direction, slopes, part, gradient)
            if self._is_sure(slopes, part, alone):
                self.seen = abs(alone.value) > 2 * alone.bar
                if miss is not None:
                    self.misses.append(miss)

    def _is_clear(self, slopes: Slopes) -> Array:
        """Return of which results the derivative is known well enough by itself."""
        tolerance = self.tolerance
        with np.errstate(invalid="ignore"):
            bar = slopes.error + slopes.noise
            return np.asarray(bar <= tolerance.atol + tolerance.rtol * np.abs(slopes.value))

    def _is_sure(self, slopes: Slopes, g: Array, estimate: Estimate) -> bool:
        """Whether a verdict may rest on the error bar; the terms of a sum may nearly cancel."""
        tolerance = self.tolerance
        if estimate.bar <= tolerance.atol + tolerance.rtol * abs(estimate.value):
            return True
        terms = norm(g * np.where(np.isfinite(slopes.value), slopes.value, 0.0))
        return estimate.bar <= tolerance.rtol * terms

    def _judge(
        self, direction: Array, slopes: Slopes, g: Array, gradient: Array
    ) -> tuple[Miss | None, Estimate, float]:
        estimate = weigh(slopes, g, g != 0)
        analytic = dot(gradient, direction)
        terms = norm(gradient * direction) + norm(np.where(g != 0, g * slopes.value, 0.0))
        allowed = 2 * estimate.bar + self._floor * terms
        if estimate.value == 0.0:  # nothing moved: what the rule gives may be lost in rounding
            allowed += 64 * self.eps * norm(g) * norm(direction)
        gap = abs(analytic - estimate.value)
        miss = Miss(direction, g, analytic, estimate.value, allowed)
        return None if gap <= allowed else miss, estimate, gap / terms if terms else 0.0

    def _confirmed(self, miss: Miss, slopes: Slopes, smooth: Array, h: float) -> bool:
        """Whether the same difference shows with other steps, and no choice changes between."""
        agreeing = 0
        for factor in (1 / 8, 4.0, 1 / 64):
            other = self.measure(miss.direction, h * factor)
            mask = smooth & ~other.rough
            g = np.where(mask, miss.g, 0.0)
            if not g.any():
                continue
            gradient = self.point.gradient(g)[self.index]
            analytic = dot(gradient, miss.direction)
            one, two = weigh(slopes, g, mask), weigh(other, g, mask)
            gap = analytic - one.value
            if abs(two.value - one.value) > 0.2 * abs(gap):
                if two.bar < 0.2 * abs(gap):
                    # Two steps, two answers, both sure of themselves: the results are inexact.
                    self.unsure.append(replace(one, bar=abs(two.value - one.value)))
                    return False
                continue  # this step is too coarse or too fine for the difference
            agreeing += 1
            if agreeing == 2:
                break
        if not agreeing and self._is_slight(miss.analytic - miss.numeric, miss.numeric):
            return False  # shown by no other step: results are rounded more than their size says
        if not agreeing or self._steps(miss, slopes, smooth):
            self.unsure.append(weigh(slopes, miss.g, smooth))
            return False
        return not at_choice(self, miss, smooth)

    def _steps(self, miss: Miss, slopes: Slopes, smooth: Array) -> bool:
        """Whether the results move in steps, as those of float32 do: a tiny move shows it."""
        if self.eps != EPS:
            return False
        t = self.h / SHRINK**3
        tiny = (self.line(miss.direction)(t) - self.line(miss.direction)(-t)) / (2 * t)
        g = np.where(smooth & np.isfinite(tiny), miss.g, 0.0)
        size = norm(g * np.where(smooth, slopes.value, 0.0))
        rounding = 64 * EPS * norm(g * np.where(smooth, self.point.out, 0.0)) / t
        change = norm(g * np.where(g != 0, tiny - slopes.value, 0.0))
        return change > 0.1 * size + rounding

    def is_wrong_along(self, direction: Array) -> bool:
        """Whether the rule is wrong along a direction; nothing is noted."""
        kept = self.misses, self.unsure, self.decided, self.counts
        self.misses, self.unsure, self.counts = [], [], Counts()
        try:
            self.compare_along(direction, range(len(self.point.cotangents)))
            return bool(self.misses)
        finally:
            self.misses, self.unsure, self.decided, self.counts = kept
