"""A sparse matrix along an axis as a few products of small dense ones.

Targets at equal distances whose sources are too, and whose weights are the same, are one stroke:
``out[a + b·i + c·p] = Σ_t weight[p, t] · x[d + e·i + f·t]`` for all i. Doubling an image takes one
stroke, whose pairs of pixels lie between the same two, and one for each edge.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from itertools import pairwise
from typing import NamedTuple

from tinygrad_cnn.kernels.resample.taps import Along, Row
from tinygrad_cnn.kernels.runtime import tuning

__all__ = ["Places", "Stroke", "strokes_of"]


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


class Stroke:
    """Write to each of the targets the sum of all sources, weighted by its row of weights.

    The i-th places of all of them belong together. `weight` is what all weights are if they are the
    same, 0 without sources. A stroke `is_product` where one view shows all sources in order, as
    one does the targets, and the weights differ.
    """

    def __init__(
        self,
        targets: tuple[Places, ...],
        sources: tuple[Places, ...],
        weights: tuple[tuple[float, ...], ...],
    ) -> None:
        self.targets = targets
        self.sources = sources
        self.weights = weights
        values = {weight for row in weights for weight in row} or {0.0}
        self.weight = values.pop() if len(values) == 1 else None
        self.is_product = self.weight is None and _are_even(sources)

    @cached_property
    def pairs(self) -> tuple[Stroke, ...]:
        """The same product, by two steps at once where these read some of the same sources.

        The weights of what only the other step reads are 0, which makes NaN of what is infinite.

        >>> strokes_of(Along("linear", 6, 12), transposed=True)[1].pairs[0].weights
        ((0.25, 0.75, 0.75, 0.25, 0.0, 0.0), (0.0, 0.0, 0.25, 0.75, 0.75, 0.25))
        """
        length, taps = self.targets[0].length, len(self.sources)
        if not self.is_product or taps < 3 or length < 4:
            return (self,)
        apart = self.sources[1].first - self.sources[0].first
        shift, rest = divmod(self.sources[0].step, apart)  # by how many the next step's are on
        targets = _every_second(self.targets, 0) + _every_second(self.targets, 1)
        if rest or not 0 < shift < taps or not _are_even(targets):
            return (self,)
        sources = _every_second(self.sources, 0) + _every_second(self.sources[-shift:], 1)
        none = (0.0,) * shift
        first = tuple((*row, *none) for row in self.weights)
        second = tuple((*none, *row) for row in self.weights)
        pairs = Stroke(targets, sources, first + second)
        if length % 2 == 0:
            return (pairs,)
        return pairs, Stroke(_last(self.targets), _last(self.sources), self.weights)


def _every_second(places: tuple[Places, ...], start: int) -> tuple[Places, ...]:
    return tuple(Places(at + start * step, 2 * step, length // 2) for at, step, length in places)


def _last(places: tuple[Places, ...]) -> tuple[Places, ...]:
    return tuple(Places(at + (length - 1) * step, step, 1) for at, step, length in places)


@lru_cache(maxsize=256)
def strokes_of(along: Along, transposed: bool = False) -> tuple[Stroke, ...]:
    """Return the strokes of an axis, or of the transposed matrix: those of a gradient.

    Each target is in one of them.

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
    return tuple(_joined([_stroke(run, rows) for run in sorted(runs)]))


def _runs(rows: tuple[Row, ...], period: int) -> list[list[int]]:
    """Cut the targets into runs of this distance, as long as their sources allow."""
    runs: list[list[int]] = []
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


def _continues(run: list[int], target: int, rows: tuple[Row, ...]) -> bool:
    """Whether a target has the run's weights, and sources as far from the last one's as those."""
    last, row = rows[run[-1]], rows[target]
    if [weight for _, weight in last] != [weight for _, weight in row]:
        return False
    if len(run) == 1:
        return True
    before = rows[run[-2]]
    return all(c - b == b - a for (a, _), (b, _), (c, _) in zip(before, last, row, strict=True))


def _stroke(run: list[int], rows: tuple[Row, ...]) -> Stroke:
    row = rows[run[0]]
    sources = tuple(_places([rows[target][k][0] for target in run]) for k in range(len(row)))
    return Stroke((_places(run),), sources, (tuple(weight for _, weight in row),))


def _places(numbers: list[int]) -> Places:
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    return Places(numbers[0], step, len(numbers))


def _joined(strokes: list[Stroke]) -> list[Stroke]:
    """Join strokes of the same sources, where one view shows their targets."""
    joined: list[Stroke] = []
    for stroke in strokes:
        if joined and joined[-1].sources == stroke.sources:
            last = joined[-1]
            targets = last.targets + stroke.targets
            if _are_even(targets):
                joined[-1] = Stroke(targets, last.sources, last.weights + stroke.weights)
                continue
        joined.append(stroke)
    return joined


def _are_even(places: tuple[Places, ...]) -> bool:
    """Whether places have one step, and begin at equal distances, each after the one before."""
    if len(places) < 2:
        return True
    apart = places[1].first - places[0].first
    return apart > 0 and all(
        after == (before.first + apart, before.step, before.length)
        for before, after in pairwise(places)
    )
