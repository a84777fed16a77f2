"""Hints at masks: one that is missing, or taken from the wrong array."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.hints.evidence import Evidence
from tinygrad_cnn.verify.report import Hint

_MISSING = Hint("mask missing", "a mask is missing: the gradient passes where it must not")

_ELSEWHERE = Hint(
    "wrong mask", "it is masked at other places than it should be: a mask drawn anew?"
)


def mask_hints(evidence: Evidence) -> list[Hint]:
    """Say so if right and wrong gradient are one array under two masks."""
    flat, right = evidence.sample()
    if _lets_everything_through(evidence) and _is_right_in_places(evidence, flat, right):
        return [_MISSING]
    missing, differs, masked = True, False, False
    sources: set[str] | None = None
    places: list[Array] = []
    for g, a, n in zip(evidence.g, evidence.a, right, strict=True):
        wrong = a.reshape(-1)[flat]
        size = float(np.max(np.abs(n), initial=0.0) + np.max(np.abs(wrong), initial=0.0))
        if not np.any(np.abs(n) > 1e-7 * size):
            return []  # nothing rightly passes
        passes, passed = np.abs(n) > 1e-7 * size, np.abs(wrong) > 1e-7 * size
        both = passes & passed
        if np.any(np.abs(wrong - n)[both] > 1e-6 * np.abs(n)[both] + 1e-9 * size):
            return []  # where both pass they must be one array
        differs = differs or bool(np.any(passes != passed))
        masked = masked or not passes.all()
        missing = missing and not np.any(passes & ~passed)
        places.append(np.stack([passes, passed]))
        found = _made_from(evidence, g, flat, passes | passed, passed)
        sources = found if sources is None else sources & found
    if not differs:
        return []
    if sources and masked:
        names = " or ".join(sorted(sources))
        return [Hint("wrong mask", f"the mask is taken from {names}, not from where it should be")]
    everywhere = all(np.all(a.reshape(-1)[flat]) for a in evidence.a)
    if missing and everywhere:
        return [_MISSING]
    return [_ELSEWHERE] if _is_elsewhere(evidence, flat, right, places) else []


def _is_elsewhere(evidence: Evidence, flat: Array, right: Array, places: list[Array]) -> bool:
    """Whether right and wrong gradient are one multiple of the incoming one under two masks."""
    if evidence.x.shape != evidence.out.shape or not np.array_equal(places[0], places[1]):
        return False
    passes, passed = places[0]
    if not ((passes & passed).any() and (passes & ~passed).any() and (passed & ~passes).any()):
        return False
    factors = []
    for g, a, n in zip(evidence.g, evidence.a, right, strict=True):
        given, wrong = g.reshape(-1)[flat], a.reshape(-1)[flat]
        factors += [n[passes] / given[passes], wrong[passed] / given[passed]]
    return bool(np.allclose(np.concatenate(factors), factors[0][0], rtol=1e-5))


def _lets_everything_through(evidence: Evidence) -> bool:
    """Whether the wrong gradient is the incoming one, or a multiple of it."""
    for g, a in zip(evidence.g, evidence.a, strict=True):
        if g.shape != a.shape or not g.any():
            return False
        factor = float(np.vdot(g, a) / np.vdot(g, g))
        if not np.allclose(a, factor * g, rtol=1e-9, atol=0.0):
            return False
    return True


def _is_right_in_places(evidence: Evidence, flat: Array, right: Array) -> bool:
    """Whether the wrong gradient is right at some elements, the others lacking a factor each."""
    ratios = []
    for g, a, n in zip(evidence.g, evidence.a, right, strict=True):
        wrong = a.reshape(-1)[flat]
        agree = np.abs(wrong - n) <= 1e-6 * (np.abs(n) + np.abs(wrong))
        if agree.all() or np.count_nonzero(agree) < 2:
            return False
        ratios.append(n / g.reshape(-1)[flat])
    if not np.allclose(ratios[0], ratios[1], rtol=1e-5, atol=1e-5):
        return False
    return len(np.unique(np.round(ratios[0], 4))) <= 3  # what is masked has two slopes or three


def _made_from(evidence: Evidence, g: Array, flat: Array, known: Array, passed: Array) -> set[str]:
    """Return which arrays have the sign that the wrong mask follows where it is known."""
    if passed[known].all():
        return set()
    candidates: list[tuple[str, Array]] = [("the sign of the incoming gradient", g)]
    candidates += [
        (f"the sign of {name}", np.asarray(array))
        for name, array in zip(evidence.point.subject.names, evidence.point.inputs, strict=True)
        if isinstance(array, np.ndarray) and array.dtype.kind in "fiu"
    ]
    candidates.append(("the sign of the result", evidence.out))
    found: set[str] = set()
    for name, array in candidates:
        if array.shape == evidence.x.shape:
            values = array.reshape(-1)[flat]
            for mask in (values > 0, values < 0):
                if np.array_equal(mask[known], passed[known]):
                    found.add(name)
    return found
