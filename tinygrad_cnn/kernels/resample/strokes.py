"""A sparse matrix along an axis as a few vector operations.

Targets at equal distances whose sources are too, and whose weights are the same, are one stroke:
``out[a:b:c] = Σ weight · x[d:e:f]``. Doubling an image takes one stroke for every second pixel, and
one for each edge.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeAlias

from tinygrad_cnn.kernels.resample.taps import Along, Row

__all__ = ["Stroke", "strokes_of"]

Run: TypeAlias = list[int]
"""Targets of one stroke, at equal distances."""

_PERIODS = range(
    1, 9
)  # distances of targets that are tried: an image is seldom made 9 times larger


class Stroke(NamedTuple):
    """Write the sum of all ``weight · source`` to the target: zeros if there are none."""

    target: slice
    terms: tuple[tuple[slice, float], ...]


@lru_cache(maxsize=256)
def strokes_of(along: Along, transposed: bool = False) -> tuple[Stroke, ...]:
    """Return the strokes of an axis, or of the transposed matrix: those of a gradient.

    Each target is in one of them.

    Examples
    --------
    >>> for stroke in strokes_of(Along("nearest", 3, 6)):
    ...     print(*stroke)
    slice(0, 5, 2) ((slice(0, 3, 1), 1.0),)
    slice(1, 6, 2) ((slice(0, 3, 1), 1.0),)
    """
    rows = along.rows()
    if transposed:
        columns: list[list[tuple[int, float]]] = [[] for _ in range(along.size)]
        for output, row in enumerate(rows):
            for i, weight in row:
                columns[i].append((output, weight))
        rows = tuple(map(tuple, columns))
    runs = min((_runs(rows, period) for period in _PERIODS), key=len)
    return tuple(_stroke(run, rows) for run in runs)


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
    terms = tuple(
        (_slice([rows[target][k][0] for target in run]), weight)
        for k, (_, weight) in enumerate(rows[run[0]])
    )
    return Stroke(_slice(run), terms)


def _slice(places: list[int]) -> slice:
    """Return a slice of places at equal distances; of one that repeats, of that alone."""
    step = places[1] - places[0] if len(places) > 1 else 1
    if step == 0:
        return slice(places[0], places[0] + 1)
    stop = places[-1] + (1 if step > 0 else -1)
    return slice(places[0], stop if stop >= 0 else None, step)
