"""Hints from what the rule makes of each result alone, beside what it should make of it."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.hints.evidence import Evidence
from tinygrad_cnn.verify.numeric.slopes import norm
from tinygrad_cnn.verify.report import Hint

_SAME = 1e-5  # relative: numeric derivatives are good to 1e-8
_MOST = 0.5  # of all results: of so many the numbers must all be there


def row_hints(evidence: Evidence) -> list[Hint]:
    """Say so if shares are taken of other results, or are put at other elements."""
    if evidence.jacobian is None or evidence.rows is None:
        return []
    J, A = evidence.jacobian, evidence.rows
    wrong = np.flatnonzero(_sizes(A - J) > _SAME * (_sizes(A) + _sizes(J)))
    if len(wrong) < 2:
        return []
    return _of_other_results(evidence, J, A, wrong) or _at_other_places(J, A, wrong)


def _of_other_results(evidence: Evidence, J: Array, A: Array, wrong: Array) -> list[Hint]:
    """Find for each wrong row of the rule's the result whose row it should be."""
    taken: list[tuple[int, int]] = []
    for row in wrong:
        if not A[row].any():
            continue  # lost, or covered by another
        gaps = _sizes(J - A[row])
        fits = np.flatnonzero(gaps <= _SAME * norm(A[row]))
        if not len(fits):
            return []
        taken.append((int(row), int(fits[0])))
    if len(taken) < 2 or len({other for _, other in taken}) < 2:
        return []
    shape = evidence.out.shape
    one, other = (list(map(int, np.unravel_index(i, shape))) for i in taken[0])
    text = (
        f"the incoming gradient is read in another order: at {len(taken)} of {len(A)} results that "
        f"of another one is taken, as that of {one} where {other} is right"
    )
    return [Hint("permuted", text)]


def _at_other_places(J: Array, A: Array, wrong: Array) -> list[Hint]:
    """Find the right numbers of each result at other elements; at borders some may be lost."""
    whole = 0
    for row in wrong:
        one, two = (np.sort(values[values != 0]) for values in (J[row], A[row]))
        fewer, more = sorted((one, two), key=len)
        if len(one) == len(two) and norm(one - two) <= _SAME * norm(one):
            whole += 1
        elif not _is_among(fewer, more):
            return []
    if whole < _MOST * len(wrong):
        return []
    text = (
        "each result's share has the right numbers, but not at the elements that it reads: index "
        "arithmetic, as a stride or a padding left out, or axes in another order"
    )
    return [Hint("misplaced", text)]


def _is_among(fewer: Array, more: Array) -> bool:
    """Whether numbers, sorted, are all among others."""
    if not len(more):
        return True
    near = np.clip(np.searchsorted(more, fewer), 1, len(more) - 1) if len(more) > 1 else 0
    gaps = np.minimum(np.abs(more[near] - fewer), np.abs(more[near - 1] - fewer))
    return bool(np.all(gaps <= _SAME * np.max(np.abs(more))))


def _sizes(rows: Array) -> Array:
    return np.asarray(np.sqrt(np.square(rows).sum(axis=1)))
