"""A sparse matrix along an axis as a few products of small dense ones.

Targets at equal distances whose sources are too, and whose weights are the same, are one stroke:
``out[a + b·i + c·p] = Σ_t weight[p, t] · x[d + e·i + f·t]`` for all i. Doubling an image takes one
stroke, whose pairs of pixels lie between the same two, and one for each edge.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from tinygrad_cnn.kernels.resample.taps import Along, Row
from tinygrad_cnn.kernels.runtime import tuning

__all__ = ["Places", "Stroke", "pairs_of", "strokes_of"]

Run: TypeAlias = list[int]
"""Targets of one stroke, at equal distances."""


class Places(NamedTuple):
    """Places on an axis at equal distances; a step of 0 repeats the first."""

    first: int
    step: int
    length: int

    @property
    def slice(self) -> slice:
        """The slice that reads them; one that repeats once."""
        if self.step == 0:
            return slice(self.first, self.first + 1)
        stop = self.first + self.step * self.length
        return slice(self.first, stop if stop >= 0 else None, self.step)


class Stroke(NamedTuple):
    """Write to each of the targets the sum of all sources, weighted by its row of weights.

    Attributes
    ----------
    targets, sources
        Which places: the i-th of each belong together.
    weights
        For each of the targets a row, of a weight for each of the sources.
    weight
        What all weights are, if they are the same; 0 if there are no sources.
    is_even
        Whether one view shows all targets and one all sources, the latter in order.
    """

    targets: tuple[Places, ...]
    sources: tuple[Places, ...]
    weights: tuple[tuple[float, ...], ...]
    weight: float | None
    is_even: bool


@lru_cache(maxsize=256)
def strokes_of(along: Along, transposed: bool = False) -> tuple[Stroke, ...]:
    """Return the strokes of an axis, or of the transposed matrix: those of a gradient.

    Each target is in one of them.

    Examples
    --------
    >>> for stroke in strokes_of(Along("linear", 3, 6)):
    ...     print(*map(tuple, stroke.targets), "of", *map(tuple, stroke.sources), stroke.weights)
    (0, 1, 1) of (0, 1, 1) ((1.0,),)
    (1, 2, 2) (2, 2, 2) of (0, 1, 2) (1, 1, 2) ((0.75, 0.25), (0.25, 0.75))
    (5, 1, 1) of (2, 1, 1) ((1.0,),)
    """
    rows = along.rows()
    if transposed:
        columns: list[list[tuple[int, float]]] = [[] for _ in range(along.size)]
        for output, row in enumerate(rows):
            for i, weight in row:
                columns[i].append((output, weight))
        rows = tuple(map(tuple, columns))
    rows = tuple(tuple(sorted(row)) for row in rows)
    runs = min((_runs(rows, period) for period in range(1, tuning.STROKE_PERIODS + 1)), key=len)
    return tuple(_joined(_stroke(run, rows) for run in runs))


def _runs(rows: tuple[Row, ...], period: int) -> list[Run]:
    """Cut the targets into runs of this distance, as long as their sources allow."""
    runs: list[Run] = []
    for phase in range(min(period, len(rows))):
        run = [phase]
        for target in range(phase + period, len(rows), period):
            if _continues(run, target, rows):
                run.append(target)
            else:
                runs.append(run)
                run = [target]
        runs.append(run)
    return runs


def _continues(run: Run, target: int, rows: tuple[Row, ...]) -> bool:
    """Whether a target has the run's weights, and sources as far from the last one's as those."""
    last, row = rows[run[-1]], rows[target]
    if [weight for _, weight in last] != [weight for _, weight in row]:
        return False
    if len(run) == 1:
        return True
    before = rows[run[-2]]
    return all(c - b == b - a for (a, _), (b, _), (c, _) in zip(before, last, row, strict=True))


def _stroke(run: Run, rows: tuple[Row, ...]) -> Stroke:
    taps = range(len(rows[run[0]]))
    sources = tuple(_places([rows[target][k][0] for target in run]) for k in taps)
    return _made((_places(run),), sources, (tuple(weight for _, weight in rows[run[0]]),))


def _made(
    targets: tuple[Places, ...], sources: tuple[Places, ...], weights: tuple[tuple[float, ...], ...]
) -> Stroke:
    values = {weight for row in weights for weight in row} or {0.0}
    weight = values.pop() if len(values) == 1 else None
    return Stroke(targets, sources, weights, weight, _even(targets) and _even(sources))


def _places(numbers: list[int]) -> Places:
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    return Places(numbers[0], step, len(numbers))


def _joined(strokes: Iterable[Stroke]) -> list[Stroke]:
    """Join strokes of the same sources, where one view shows their targets."""
    joined: list[Stroke] = []
    for stroke in sorted(strokes, key=lambda each: each.targets[0].first):
        last = joined[-1] if joined else None
        if last is not None and last.sources == stroke.sources:
            targets = last.targets + stroke.targets
            if _even(targets):
                joined[-1] = _made(targets, last.sources, last.weights + stroke.weights)
                continue
        joined.append(stroke)
    return joined


def _even(places: tuple[Places, ...]) -> bool:
    """Whether places have one step, and begin at equal distances, each after the one before."""
    apart = {(b.first - a.first, b.step - a.step, b.length - a.length) for a, b in pairwise(places)}
    return not apart or (len(apart) == 1 and max(apart)[0] > 0 and max(apart)[1:] == (0, 0))


@lru_cache(maxsize=256)
def pairs_of(along: Along, transposed: bool = False) -> tuple[Stroke, ...]:
    """Return the strokes, neighbouring steps joined whose sources overlap: both read them at once.

    With weights of 0 for the other's sources, which make NaN of what is infinite.

    Examples
    --------
    >>> pairs_of(Along("linear", 6, 12), transposed=True)[1].weights
    ((0.25, 0.75, 0.75, 0.25, 0.0, 0.0), (0.0, 0.0, 0.25, 0.75, 0.75, 0.25))
    """
    return tuple(part for stroke in strokes_of(along, transposed) for part in _paired(stroke))


def _paired(stroke: Stroke) -> list[Stroke]:
    targets, sources, weights, weight, is_even = stroke
    length, taps = targets[0].length, len(sources)
    if weight is not None or not is_even or taps < 3 or length < 4:
        return [stroke]
    first, step, _ = sources[0]
    apart = sources[1].first - first
    shift, rest = divmod(step, apart)  # by how many sources the next step is on
    starts = [*(at for at, _, _ in targets), *(at + far for at, far, _ in targets)]
    both = tuple(Places(at, 2 * targets[0].step, length // 2) for at in starts)
    if rest or not 0 < shift < taps or not _even(both):
        return [stroke]
    places = range(first, first + (taps + shift) * apart, apart)
    none = (0.0,) * shift
    rows = (*((*row, *none) for row in weights), *((*none, *row) for row in weights))
    pairs = tuple(Places(at, 2 * step, length // 2) for at in places)
    found = [Stroke(both, pairs, rows, None, True)]
    if length % 2:
        ends = [
            [Places(at + (length - 1) * far, far, 1) for at, far, _ in some] for some in stroke[:2]
        ]
        found.append(Stroke(tuple(ends[0]), tuple(ends[1]), weights, None, True))
    return found
