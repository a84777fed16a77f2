"""A line search for the strong Wolfe conditions: enough descent, and a flat enough slope.

Along φ(t) = f(x + t · d) it looks for a t with φ(t) ≤ φ(0) + c₁ t φ′(0) and |φ′(t)| ≤ c₂ |φ′(0)|:
first outwards until two points enclose one, then inwards by cubics. Source: Nocedal and Wright,
Numerical Optimization (2006), algorithms 3.5 and 3.6 and equation 3.59; how far a trial may go
from its neighbours is as in Schmidt's minFunc, which PyTorch follows too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from tinygrad_cnn.graph import Array

__all__ = ["Trial", "strong_wolfe"]

_DESCENT = 1e-4  # c₁
_FLATNESS = 0.9  # c₂
_MOST_TRIALS = 25


class Trial(NamedTuple):
    """A point on the line: how far it is, the loss there, its gradient and its slope φ′."""

    t: float
    loss: float
    gradient: Array
    slope: float


def strong_wolfe(
    evaluate: Callable[[float], Trial], start: Trial, t: float, reach: float, least: float
) -> tuple[Trial, int]:
    """Return a point that fulfils the conditions, or the best one found, and how many were tried.

    Parameters
    ----------
    evaluate
        Gives the point at a distance t.
    start
        The point at 0; its slope is negative.
    t
        The first distance to try.
    reach
        The largest element of the direction: t · reach is how far parameters move.
    least
        Movements below this are not worth a trial.
    """
    search = _Search(evaluate, start)
    bracket = search.enclose(t)
    return search.narrow(bracket, reach, least), search.trials


class _Search:
    """The trials of one line search."""

    def __init__(self, evaluate: Callable[[float], Trial], start: Trial) -> None:
        self.evaluate = evaluate
        self.start = start
        self.trials = 0

    def trial(self, t: float) -> Trial:
        self.trials += 1
        return self.evaluate(t)

    def too_high(self, point: Trial) -> bool:
        """Whether the loss has not fallen enough for so long a way."""
        return point.loss > self.start.loss + _DESCENT * point.t * self.start.slope

    def flat(self, point: Trial) -> bool:
        """Whether the slope is small enough to stop."""
        return abs(point.slope) <= -_FLATNESS * self.start.slope

    def enclose(self, t: float) -> list[Trial]:
        """Go outwards: one point that fulfils the conditions, or two that enclose one."""
        before, point = self.start, self.trial(t)
        for step in range(_MOST_TRIALS):
            if self.too_high(point) or (step > 1 and point.loss >= before.loss):
                return [before, point]
            if self.flat(point):
                return [point]
            if point.slope >= 0:
                return [before, point]
            nearest = point.t + 0.01 * (point.t - before.t)
            further = _cubic_minimum(before, point, nearest, point.t * 10)
            before, point = point, self.trial(further)
        return [self.start, point]

    def narrow(self, bracket: list[Trial], reach: float, least: float) -> Trial:
        """Go inwards until a point fulfils the conditions; return the best end of the bracket."""
        if len(bracket) == 1:
            return bracket[0]
        low, high = sorted(bracket, key=lambda point: point.loss)
        crept = False  # the trial before lay close to an end
        while self.trials <= _MOST_TRIALS and abs(high.t - low.t) * reach >= least:
            first, last = sorted((low.t, high.t))
            left, right = (low, high) if bracket[0] is low else (high, low)
            t, crept = self._inside(_cubic_minimum(left, right, first, last), first, last, crept)
            point = self.trial(t)
            if self.too_high(point) or point.loss >= low.loss:
                bracket = [low, point] if bracket[0] is low else [point, low]
                low, high = (low, point) if low.loss <= point.loss else (point, low)
                continue
            if self.flat(point):
                return point
            turned = point.slope * (high.t - low.t) >= 0
            other = low if turned else high
            at_first = bracket[0] is low
            bracket = [point, other] if at_first else [other, point]
            low, high = point, other
        return low

    def _inside(self, t: float, first: float, last: float, crept: bool) -> tuple[float, bool]:
        """Keep a trial off the ends by a tenth of the bracket, if it came close a second time."""
        margin = 0.1 * (last - first)
        if min(last - t, t - first) >= margin:
            return t, False
        if crept or t >= last or t <= first:
            return (last - margin if abs(t - last) < abs(t - first) else first + margin), False
        return t, True


def _cubic_minimum(a: Trial, b: Trial, lowest: float, highest: float) -> float:
    """Return where the cubic through two points and slopes is least, within bounds."""
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:  # NaN included
        return (lowest + highest) / 2
    d2 = math.sqrt(square)
    if a.t > b.t:
        a, b = b, a
    t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    return min(max(t, lowest), highest)
