"""A sparse matrix along an axis as a few vector operations.

Taps of one weight at equal distances are one stroke: ``out[a:b:c] += weight · x[d:e:f]``. Doubling
an image takes two strokes an edge and four for all the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from tinygrad_cnn.kernels.resample.taps import Along

__all__ = ["Stroke", "strokes_of"]

Pairs: TypeAlias = list[tuple[int, int]]
"""Targets and sources that meet with one weight."""


class Stroke(NamedTuple):
    """Write the sum of all ``weight · source`` to the target if it is the `first` there, or add it.

    Without a source the target gets zeros.
    """

    target: slice
    terms: tuple[tuple[slice, float], ...]
    first: bool


@lru_cache(maxsize=256)
def strokes_of(along: Along, transposed: bool = False) -> tuple[Stroke, ...]:
    """Return the strokes of an axis, or of the transposed matrix: those of a gradient.

    Examples
    --------
    >>> for stroke in strokes_of(Along("nearest", 3, 6)):
    ...     print(*stroke)
    slice(0, 5, 2) ((slice(0, 3, 1), 1.0),) True
    slice(1, 6, 2) ((slice(0, 3, 1), 1.0),) True
    """
    rows = along.rows()
    plain: dict[tuple[int, float], Pairs] = {}
    # Outputs of the same input one after the other are of different groups here.
    apart: dict[tuple[int, float, int], Pairs] = {}
    times: dict[tuple[int, float, int], int] = {}
    for output, row in enumerate(rows):
        for k, (i, weight) in enumerate(row):
            pair = (i, output) if transposed else (output, i)
            plain.setdefault((k, weight), []).append(pair)
            time = times[k, weight, i] = times.get((k, weight, i), -1) + 1
            apart.setdefault((k, weight, time), []).append(pair)
    by_tap = [(key[1], run) for key, pairs in plain.items() for run in _progressions(pairs)]
    by_time = [(key[1], run) for key, pairs in apart.items() for run in _progressions(pairs)]
    fewer = min(by_tap, by_time, key=len)
    fewer.sort(key=lambda each: -len(each[1]))  # long ones find their targets still untouched
    return _ordered(fewer, along.size if transposed else len(rows))


def _progressions(pairs: Pairs) -> Iterable[Pairs]:
    """Cut into runs whose targets and sources are each at equal distances, targets rising."""
    start = 0
    while start < len(pairs):
        stop = start + 1
        if stop < len(pairs):
            step = _step(pairs, stop)
            if step[0] > 0:
                while stop < len(pairs) and _step(pairs, stop) == step:
                    stop += 1
        yield pairs[start:stop]
        start = stop


def _step(pairs: Pairs, at: int) -> tuple[int, int]:
    return pairs[at][0] - pairs[at - 1][0], pairs[at][1] - pairs[at - 1][1]


def _ordered(runs: list[tuple[float, Pairs]], targets: int) -> tuple[Stroke, ...]:
    """Tell for each run whether it is the first at its targets, cut where that changes."""
    strokes: list[Stroke] = []
    seen = [False] * targets
    for weight, run in runs:
        start = 0
        for stop in range(1, len(run) + 1):
            if stop == len(run) or seen[run[stop][0]] != seen[run[start][0]]:
                part = run[start:stop]
                term = _slice([source for _, source in part]), weight
                target = _slice([target for target, _ in part])
                _add(strokes, Stroke(target, (term,), not seen[part[0][0]]))
                start = stop
        for target_, _ in run:
            seen[target_] = True
    unreached = [place for place, reached in enumerate(seen) if not reached]
    return (*strokes, *(Stroke(slice(i, i + 1), (), True) for i in unreached))


def _add(strokes: list[Stroke], new: Stroke) -> None:
    """Append a stroke, or put its terms to an earlier one of the same targets.

    That may be done at any distance: sums do not depend on their order, and the first at some
    targets comes before all others there.
    """
    for number, old in enumerate(strokes):
        if old.target == new.target:
            strokes[number] = old._replace(terms=old.terms + new.terms)
            return
    strokes.append(new)


def _slice(places: list[int]) -> slice:
    """Return a slice of places at equal distances; of one that repeats, of that alone."""
    step = places[1] - places[0] if len(places) > 1 else 1
    if step == 0:
        return slice(places[0], places[0] + 1)
    stop = places[-1] + (1 if step > 0 else -1)
    return slice(places[0], stop if stop >= 0 else None, step)
