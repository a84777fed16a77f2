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
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.verify.numeric import (
    EPS,
    FIRST_STEP,
    ElementTable,
    Estimate,
    Miss,
    Slopes,
    dot,
    norm,
    slopes_along,
    weigh,
)
from tinygrad_cnn.verify.point import Point
from tinygrad_cnn.verify.report import Counts
from tinygrad_cnn.verify.subject import RuleError

Array = npt.NDArray[Any]

_SHRINK = 32.0
_LEVELS = 4  # the smallest step is FIRST_STEP / 32³, about 3e-9
_FLOOR = 1e-9  # what float64 rules themselves may lose, of the size of the terms
_SLIGHT = 1e-7  # of the gradient: what nobody would call wrong
_INEXACT = 1e-5  # of the largest result: smaller jumps are the rounding of float32
_MOST_KINKED_ELEMENTS = 48  # single elements looked at with all means


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
        size = np.abs(self.base[np.isfinite(self.base) & (self.base != 0)])
        scale = float(np.sqrt(np.mean(np.square(size)))) if size.size else 1.0
        # A power of 2: x ± h·d is then exact for directions that `_exact` makes.
        self.h = tolerance.eps or 2.0 ** round(math.log2(FIRST_STEP * min(max(scale, 0.1), 10.0)))
        self.adapted = tolerance.eps is not None
        self.misses: list[Miss] = []
        self.unsure: list[Estimate] = []
        self.decided = 0

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
        return slopes_along(self.line(direction), self.point.out, h)

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
        self._probe(direction, range(len(self.point.cotangents)) if which is None else which)

    def _exact(self, direction: Array) -> Array:
        """Round a direction so that moving along it is exact, by steps down to h / 64.

        The rounding of x ± h·d itself, divided by h, would be an error that no result shows.
        """
        size = np.maximum(2 * np.abs(self.base), self.h)  # zeros too are moved to where digits end
        grain = np.spacing(size) / (self.h / 64)
        with np.errstate(invalid="ignore"):
            rounded = np.round(direction / grain) * grain
        return np.where(grain < 0.1, rounded, direction)

    def _probe(self, direction: Array, which: Sequence[int]) -> None:
        direction = self._exact(direction)
        todo = self.finite
        h = self.h
        slopes = self.measure(direction, h)
        if not self.adapted:
            slopes, h = self._adapt(direction, slopes), self.h
        for level in range(_LEVELS):
            if level:
                wider, slopes = slopes, self.measure(direction, h)
                todo = todo & ~self._inexact(direction, h, wider, slopes, todo, which[0])
            smooth = todo & ~slopes.rough
            if smooth.any():
                self._compare(direction, slopes, smooth, h, which)
            todo = todo & slopes.rough
            if not todo.any():
                return
            h /= _SHRINK
        self.counts.kinks += 1
        self._between(direction, slopes, todo, which[0])

    def _inexact(
        self, direction: Array, h: float, wider: Slopes, slopes: Slopes, todo: Array, k: int
    ) -> Array:
        """Return which results are rough by rounding: their errors grow as the step shrinks."""
        level = float(
            np.max(np.abs(wider.value), initial=0.0, where=todo & np.isfinite(wider.value))
        )
        with np.errstate(invalid="ignore"):
            noisy = (slopes.error > 4 * wider.error) & (wider.error < 0.2 * level) & slopes.rough
        noisy = noisy & todo
        if noisy.any():
            # So do those of one kink with another about h away, but once.
            finer = self.measure(direction, h / _SHRINK)
            noisy = noisy & ~((finer.error > 0) & (finer.error < 8 * slopes.error))
        if noisy.any():
            g = np.where(noisy, self.point.cotangents[k], 0.0)
            estimate = weigh(wider, g, noisy)
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
                self.unsure.append(estimate)
                continue
            if miss is not None and not self._confirmed(miss, slopes, smooth, h):
                self.decided += 1
                continue
            self.counts.note_error(error)
            if miss is not None:
                self.misses.append(miss)
                return
            self.decided += 1

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
        allowed = 2 * estimate.bar + _FLOOR * terms
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
        return not self._at_choice(miss, smooth)

    def _steps(self, miss: Miss, slopes: Slopes, smooth: Array) -> bool:
        """Whether the results move in steps, as those of float32 do: a tiny move shows it."""
        t = self.h / _SHRINK**3
        tiny = (self.line(miss.direction)(t) - self.line(miss.direction)(-t)) / (2 * t)
        g = np.where(smooth & np.isfinite(tiny), miss.g, 0.0)
        size = norm(g * np.where(smooth, slopes.value, 0.0))
        rounding = 64 * EPS * norm(g * np.where(smooth, self.point.out, 0.0)) / t
        change = norm(g * np.where(g != 0, tiny - slopes.value, 0.0))
        return change > 0.1 * size + rounding

    def _at_choice(self, miss: Miss, smooth: Array) -> bool:
        """Whether a choice changes however small the step, and the value lies between slopes."""
        choice = self.point.subject.choice
        if choice is None:
            return False
        h = self.h / _SHRINK**_LEVELS
        sides = []
        for t in (-h, h):
            inputs = list(self.point.inputs)
            inputs[self.index] = np.asarray(self.base + t * miss.direction)
            sides.append(np.asarray(choice(inputs)))
        if np.array_equal(sides[0], sides[1], equal_nan=sides[0].dtype.kind == "f"):
            return False
        slopes = self.measure(miss.direction, self.h / _SHRINK**2)
        self.counts.kinks += 1
        return self._is_between(miss.direction, slopes, np.where(smooth, miss.g, 0.0)) is None

    def _between(self, direction: Array, slopes: Slopes, mask: Array, k: int) -> None:
        """Accept at a kink what lies between the slopes to the left and to the right."""
        defined = np.isfinite(slopes.left) & np.isfinite(slopes.right)
        self._note_noise(direction, slopes, mask & defined & slopes.jump)
        mask = mask & ~slopes.jump & defined
        if not mask.any():
            return
        g = np.where(mask, self.point.cotangents[k], 0.0)
        miss = self._is_between(direction, slopes, g)
        if miss is None:
            self.decided += 1
        else:
            self.misses.append(miss)

    def _note_noise(self, direction: Array, slopes: Slopes, jump: Array) -> None:
        """Tell results that jump from results that are inexact: those jump a little everywhere."""
        size = float(np.max(np.abs(self.point.out), initial=0.0, where=self.finite))
        h = self.h / _SHRINK ** (_LEVELS - 1)
        steepest = np.maximum(np.abs(slopes.left), np.abs(slopes.right))
        if jump.any() and float(np.max(steepest * h, initial=0.0, where=jump)) < _INEXACT * size:
            wide = self.measure(direction, self.h)
            g = np.where(jump, self.point.cotangents[0], 0.0)
            self.unsure.append(weigh(wide, g, jump & np.isfinite(wide.value)))

    def _is_between(self, direction: Array, slopes: Slopes, g: Array) -> Miss | None:
        there = g != 0
        left = g * np.where(there, slopes.left, 0.0)
        right = g * np.where(there, slopes.right, 0.0)
        noise = norm(g * np.where(there, slopes.rounding, 0.0))
        low, high = float(np.minimum(left, right).sum()), float(np.maximum(left, right).sum())
        gradient = self.point.gradient(g)[self.index]
        analytic = dot(gradient, direction)
        # Where f is flat and curved, as x³ at 0, one-sided slopes are all truncation.
        curved = float(np.abs(g * np.where(there, slopes.drift, 0.0)).sum())
        allowed = 1e-5 * (norm(left) + norm(right)) + 8 * noise + curved
        allowed += _FLOOR * norm(gradient * direction)
        if low - allowed <= analytic <= high + allowed:
            return None
        nearest = low if analytic < low else high
        return Miss(direction, g, analytic, nearest, allowed, at_kink=True)

    # ------------------------------------------------------------------ single elements

    def elements(self, flat_indices: Array) -> None:
        """Move elements one at a time: two evaluations each, more only where these disagree."""
        self.counts.elements += len(flat_indices)
        suspects = self.screen(flat_indices)
        if len(suspects) > _MOST_KINKED_ELEMENTS:
            chosen = np.linspace(0, len(suspects) - 1, _MOST_KINKED_ELEMENTS).astype(int)
            suspects = suspects[chosen]
        for flat in suspects:
            direction = np.zeros(self.base.shape)
            direction.reshape(-1)[flat] = 1.0
            self._probe(direction, range(len(self.point.cotangents)))

    def is_wrong_along(self, direction: Array) -> bool:
        """Whether the rule is wrong along a direction; nothing is noted."""
        kept = self.misses, self.unsure, self.decided, self.counts
        self.misses, self.unsure, self.counts = [], [], Counts()
        try:
            self._probe(direction, range(len(self.point.cotangents)))
            return bool(self.misses)
        finally:
            self.misses, self.unsure, self.decided, self.counts = kept

    def element_table(self, flat_indices: Array) -> ElementTable:
        """Differentiate by single elements with error bars and one-sided slopes."""
        G = np.stack([g.reshape(-1) for g in self.point.cotangents])
        G = np.where(self.finite.reshape(-1), G, 0.0)
        shape = (len(G), len(flat_indices))
        table = ElementTable(*(np.empty(shape) for _ in range(4)))
        direction = np.zeros(self.base.shape)
        for column, place in enumerate(flat_indices):
            direction.reshape(-1)[place] = 1.0
            slopes = self.measure(direction, self.h)
            direction.reshape(-1)[place] = 0.0
            with np.errstate(invalid="ignore"):
                value, error = slopes.value.reshape(-1), slopes.error.reshape(-1)
                noise = slopes.noise.reshape(-1)
                left, right = G * slopes.left.reshape(-1), G * slopes.right.reshape(-1)
                table.numeric[:, column] = G @ value
                table.bar[:, column] = np.sqrt(np.square(G) @ np.square(error + noise))
                table.low[:, column] = np.minimum(left, right).sum(axis=1)
                table.high[:, column] = np.maximum(left, right).sum(axis=1)
        return table

    def screen(self, flat_indices: Array) -> Array:
        """Return those elements whose plain central difference does not agree with the rule."""
        numeric, noise = self.central(flat_indices)
        analytic = np.stack([a[self.index].reshape(-1)[flat_indices] for a in self.point.analytic])
        size = np.abs(numeric) + np.abs(analytic)
        agree = np.abs(numeric - analytic) <= 1e-6 * size + noise[:, None]
        suspects: Array = flat_indices[~agree.all(axis=0)]
        return suspects

    def central(self, flat_indices: Array) -> tuple[Array, Array]:
        """Return ⟨g, D(h)⟩ for each cotangent (row) and element, and the rounding of a row."""
        G = np.stack([g.reshape(-1) for g in self.point.cotangents])
        moved = np.array(self.base, order="C")
        flat = moved.reshape(-1)
        numeric = np.empty((len(G), len(flat_indices)))
        h = self.h
        for column, place in enumerate(flat_indices):
            x = flat[place]
            flat[place] = x + h
            above = self.at(moved)
            if np.may_share_memory(above, moved):
                above = above.copy()
            flat[place] = x - h
            difference = (above - self.at(moved)).reshape(-1)
            flat[place] = x
            numeric[:, column] = G @ difference
        with np.errstate(invalid="ignore"):
            numeric /= 2 * h
            noise = 16 * EPS * np.sqrt(np.square(G) @ np.square(self.point.out.reshape(-1))) / h
        return numeric, noise
