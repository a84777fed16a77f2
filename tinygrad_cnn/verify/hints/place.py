"""Where a wrong gradient is wrong: the worst element, how many, and where they lie."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.hints.changes import find_hints
from tinygrad_cnn.verify.hints.evidence import Evidence
from tinygrad_cnn.verify.hints.ties import tie_hint
from tinygrad_cnn.verify.hints.where import describe
from tinygrad_cnn.verify.numeric.elements import (
    random_direction,
    sample_elements,
)
from tinygrad_cnn.verify.numeric.probe import Prober
from tinygrad_cnn.verify.numeric.single import element_table
from tinygrad_cnn.verify.numeric.slopes import norm
from tinygrad_cnn.verify.report import Hint, InputReport, Verdict, Wrong

_EVERY = 600  # inputs up to this size are looked at element by element
_SAMPLE = 96
_MOST_TESTS = 240  # of groups of elements
_MOST_FOUND = 24
_FLOAT32 = 1e-6  # relative errors up to this are what float32 would give


def explain(prober: Prober, result: InputReport, rng: np.random.Generator) -> None:
    """Add to a failed result where the gradient is wrong, and hints at what it looks like."""
    found = _look(prober, rng)
    result.wrong = _summary(prober, found)
    gradient = prober.point.analytic[0][prober.index]
    if not any(a[prober.index].any() for a in prober.point.analytic):
        result.say(
            Verdict.FAIL,
            "zero",
            "the whole gradient is 0, while the numeric one is not: it is lost",
        )
    known = {hint.code for hint in result.hints}
    hints = _precision(prober, gradient)
    # A rule that gives something else each time, or writes to what it reads, looks like anything.
    unsteady = any(finding.kind in ("repeat", "mutation") for finding in result.findings)
    if not hints and not unsteady:
        hints = tie_hint(prober) or find_hints(Evidence(prober, rng))
    result.hints += [hint for hint in hints if hint.code not in known]


def _precision(prober: Prober, gradient: Array) -> list[Hint]:
    """Say so if all errors are of the size of float32's rounding."""
    worst = 0.0
    for miss in prober.misses:
        terms = norm(gradient * miss.direction) or abs(miss.numeric)
        worst = max(worst, abs(miss.analytic - miss.numeric) / terms if terms else math.inf)
    if worst > _FLOAT32:
        return []
    return [
        Hint("precision", f"right to {worst:.0e} only: float32 or less is used inside of the rule")
    ]


@dataclass(frozen=True)
class _Found:
    """Elements that were looked at, and which of them are wrong."""

    looked: Array
    wrong: Array
    telling: Array  # where right and wrong gradient are not both 0
    worst: int | None
    analytic: float
    numeric: float
    bar: float


def _look(prober: Prober, rng: np.random.Generator) -> _Found:
    size = prober.base.size
    flat = np.arange(size)
    if size > _EVERY:
        flat = sample_elements(rng, prober.base, _SAMPLE)
    found = look_at(prober, flat)
    few = np.count_nonzero(found.wrong) <= 2
    if size > _EVERY and few:
        groups = _bisect(prober, rng)
        if groups:
            flat = np.union1d(flat, groups)
            found = look_at(prober, flat)
    return found


def look_at(prober: Prober, flat: Array) -> _Found:
    """Compare single elements; at kinks, with the slopes to both sides."""
    table = element_table(prober, flat)
    analytic = np.stack([a[prober.index].reshape(-1)[flat] for a in prober.point.analytic])
    size = np.abs(analytic) + np.abs(table.numeric)
    allowed = 2 * table.bar + 1e-8 * size
    smooth_gap = np.abs(analytic - table.numeric)
    outside = np.maximum(table.low - analytic, analytic - table.high)
    kinked = table.high - table.low > 1e-3 * size + allowed
    gap = np.where(kinked, np.maximum(outside - 1e-3 * size, 0.0), smooth_gap)
    gap = np.where(np.isfinite(gap), gap, 0.0)
    excess = np.where(gap > allowed, gap, 0.0)
    wrong = np.asarray(excess.any(axis=0))
    telling: Array = wrong | (size > 1e-9 * np.max(size, initial=0.0, where=np.isfinite(size))).any(
        axis=0
    )
    worst = None
    numbers = (math.nan, math.nan, math.nan)
    if wrong.any():
        k, e = np.unravel_index(int(np.argmax(excess)), excess.shape)
        worst = int(flat[e])
        numbers = (float(analytic[k, e]), float(table.numeric[k, e]), float(table.bar[k, e]))
    return _Found(flat, wrong, telling, worst, *numbers)


def _bisect(prober: Prober, rng: np.random.Generator) -> list[int]:
    """Find single wrong elements in a large input by halving groups that are wrong together."""
    size = prober.base.size
    signs = random_direction(rng, (size,))
    found: list[int] = []
    stack = [(0, size)]
    for _ in range(_MOST_TESTS):
        if not stack or len(found) >= _MOST_FOUND:
            break
        low, high = stack.pop()
        direction = np.zeros(size)
        direction[low:high] = signs[low:high]
        if not prober.is_wrong_along(direction.reshape(prober.base.shape)):
            continue
        if high - low == 1:
            found.append(low)
        else:
            middle = (low + high) // 2
            stack += [(middle, high), (low, middle)]
    return found


def worst_of(prober: Prober) -> Wrong:
    """Return the worst of the probes."""
    worst = max(prober.misses, key=lambda m: (not m.at_kink, abs(m.analytic - m.numeric)))
    where = "kink" if worst.at_kink else ""
    size = prober.base.size
    return Wrong(None, worst.analytic, worst.numeric, worst.bar, 0, 0, size, where)


def _summary(prober: Prober, found: _Found) -> Wrong:
    shape = prober.base.shape
    if found.worst is None:
        where = "only where several elements move together"
        return replace(worst_of(prober), looked=len(found.looked), where=where)
    index = tuple(int(i) for i in np.unravel_index(found.worst, shape))
    return Wrong(
        index,
        found.analytic,
        found.numeric,
        found.bar,
        int(np.count_nonzero(found.wrong)),
        len(found.looked),
        prober.base.size,
        _where(prober, found),
    )


def _where(prober: Prober, found: _Found) -> str:
    telling = found.telling
    shape, looked, wrong = prober.base.shape, found.looked, found.wrong
    where = describe(shape, prober.base, looked, wrong)
    if where == "scattered" or where.startswith(("only at", "only where")) or " to " in where:
        among = describe(shape, prober.base, looked[telling], wrong[telling])
        if among == "every element":
            return "every element whose gradient is not 0"
        if among != "scattered":
            return among
    return where
