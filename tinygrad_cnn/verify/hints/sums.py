"""Hints at sums: over the wrong axis, or a term of a normalisation that is missing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.hints.evidence import Evidence
from tinygrad_cnn.verify.numeric.slopes import norm
from tinygrad_cnn.verify.report import Hint

_MODEST = 30.0  # beyond exp of that, everything else is lost in rounding

Axes = tuple[int, ...]

_EPS = (1e-5, 0.0, 1e-3, 1e-6, 1e-8, 1e-12)  # what is added to variances


def sum_hints(evidence: Evidence) -> list[Hint]:
    """Return the explanations by sums that hold."""
    for family in (_broadcast_sum, _sum_too_many, _normalisation, _projection, _inner_sum):
        found = family(evidence)
        if found:
            return found
    return []


def _subsets(n: int) -> Iterator[Axes]:
    for size in range(1, n + 1):
        yield from itertools.combinations(range(n), size)


def _broadcast_sum(evidence: Evidence) -> list[Hint]:
    """Try sums of g·∂y over other axes, for a parameter that is broadcast over the result."""
    x, out = evidence.x, evidence.out
    if x.shape == out.shape:
        return []
    ones = evidence.along(np.ones(x.shape))  # of each result by its own element, if there is one
    if ones is None:
        return []
    for axes in _subsets(out.ndim):
        left = [n for axis, n in enumerate(out.shape) if axis not in axes]
        if math.prod(left) == x.size and _is_sum(evidence, ones, axes):
            return [Hint("wrong axis", f"summed over the wrong axes: {list(axes)} of the result")]
    return []


def _sum_too_many(evidence: Evidence) -> list[Hint]:
    """Try the right gradient, summed or averaged over axes of the input and spread again."""
    right = evidence.right
    if right is None or evidence.x.size < 2:
        return []
    for axes in _subsets(evidence.x.ndim):
        if math.prod(evidence.x.shape[axis] for axis in axes) < 2:
            continue
        for word, scale in (("summed", 1.0), ("averaged", 1 / _count(evidence.x.shape, axes))):
            found = [
                np.broadcast_to(scale * r.sum(axis=axes, keepdims=True), r.shape) for r in right
            ]
            if evidence.is_given(found):
                text = f"{word} over axes {list(axes)} of the input too, which are kept"
                return [Hint("wrong axis", text)]
    return []


def _count(shape: Axes, axes: Axes) -> int:
    return math.prod(shape[axis] for axis in axes)


def _projection(evidence: Evidence) -> list[Hint]:
    """Look for a multiple of x too much in each group, where the right gradient has none.

    So has that of x / |x|: along x itself nothing changes.
    """
    x, right = evidence.x, evidence.right
    if right is None or x.shape != evidence.out.shape:
        return []
    off = [a - r for a, r in zip(evidence.a, right, strict=True)]
    for axes in _subsets(x.ndim):
        squares = np.square(x).sum(axis=axes, keepdims=True)
        if _count(x.shape, axes) < 3 or not squares.all():
            continue
        along = [(r * x).sum(axis=axes) for r in right]
        if any(norm(p) > 1e-3 * norm(r) * norm(x) for p, r in zip(along, right, strict=True)):
            continue
        parts = [x * (o * x).sum(axis=axes, keepdims=True) / squares for o in off]
        if all(norm(o - p) <= 1e-5 * norm(o) for o, p in zip(off, parts, strict=True)):
            text = f"the term x·Σ(…) over axes {list(axes)}: x / |x| does not change along x"
            return [Hint("sum missing", f"{text}; it is missing or wrongly scaled")]
    return []


def _is_sum(evidence: Evidence, ones: Array, axes: Axes) -> bool:
    for g, a in zip(evidence.g, evidence.a, strict=True):
        total = (g * ones).sum(axis=axes).reshape(-1)
        size = np.max(np.abs(a), initial=0.0)
        if not np.allclose(total, a.reshape(-1), rtol=1e-6, atol=1e-7 * size):
            return False
    return True


def _normalisation(evidence: Evidence) -> list[Hint]:
    """Try the gradient of a normalisation without the terms of mean and variance.

    A constant added to a group, or a multiple of it, changes nothing in its normalised values: the
    right gradient has no part along either. Taking out the part that the wrong gradient has gives
    the right one if just that was forgotten. With c = x − mean, n values in a group::

        right = wrong − mean(wrong)        right = wrong − c · Σ(wrong · c) / (n · (var + eps))
    """
    x = evidence.x
    found = _terms_of_normalisation(evidence)
    if found:
        return found
    for axes in _subsets(x.ndim):
        count = math.prod(x.shape[axis] for axis in axes)
        if count < 3:
            continue
        c = x - x.mean(axis=axes, keepdims=True)
        variance = np.square(c).mean(axis=axes, keepdims=True)
        level = [a - a.mean(axis=axes, keepdims=True) for a in evidence.a]
        names = {"mean term": "the mean term", "variance term": "the variance term"}
        hints = [
            Hint(
                code,
                f"{name} of a normalisation over axes {list(axes)} is missing or wrongly scaled",
            )
            for code, name in names.items()
        ]
        if evidence.is_right(level):
            return hints[:1]
        if x.shape != evidence.out.shape:
            continue  # a variance loses its mean only
        for eps in _EPS:
            scale = count * (variance + eps)
            for start, found in ((evidence.a, hints[1:]), (level, hints)):
                parts = [(a * c).sum(axis=axes, keepdims=True) / scale for a in start]
                if evidence.is_right([a - c * p for a, p in zip(start, parts, strict=True)]):
                    return found
    return []


def _terms_of_normalisation(evidence: Evidence) -> list[Hint]:
    """Look at what is too much: in each group a constant, a multiple of x − mean, or both."""
    right = evidence.right
    if right is None or evidence.x.shape != evidence.out.shape:
        return []
    off = [a - r for a, r in zip(evidence.a, right, strict=True)]
    for axes in _subsets(evidence.x.ndim):
        parts = _parts_along(evidence.x, right, off, axes)
        if parts is not None:
            return _terms_hints(off, *parts, f"axes {list(axes)}")
    shape = evidence.x.shape
    for count in range(2, shape[1] if len(shape) > 2 else 0):
        if shape[1] % count == 0:
            x, *rest = (a.reshape(shape[0], count, -1) for a in (evidence.x, *right, *off))
            parts = _parts_along(x, rest[: len(right)], rest[len(right) :], (2,))
            if parts is not None:
                return _terms_hints(rest[len(right) :], *parts, f"{count} groups of channels")
    return []


def _parts_along(
    x: Array, right: list[Array], off: list[Array], axes: Axes
) -> tuple[list[Array], list[Array]] | None:
    """Split what is too much into constants and multiples of x − mean; None if there is more."""
    if math.prod(x.shape[axis] for axis in axes) < 4:
        return None
    c = x - x.mean(axis=axes, keepdims=True)
    squares = np.square(c).sum(axis=axes, keepdims=True)
    if not squares.all():
        return None
    # The right gradient of a normalisation has no part along either.
    if any(
        norm(r.mean(axis=axes, keepdims=True)) * math.sqrt(r.size) > 1e-4 * norm(r) * r.size
        or norm((r * c).sum(axis=axes)) > 1e-2 * norm(r) * norm(c)
        for r in right
    ):
        return None
    level = [o.mean(axis=axes, keepdims=True) for o in off]
    slope = [c * (o * c).sum(axis=axes, keepdims=True) / squares for o in off]
    rest = [norm(o - m - q) <= 1e-5 * norm(o) for o, m, q in zip(off, level, slope, strict=True)]
    return (level, slope) if all(rest) else None


def _terms_hints(
    off: list[Array], level: list[Array], slope: list[Array], where: str
) -> list[Hint]:
    hints = []
    for code, name, parts in (
        ("mean term", "mean", level),
        ("variance term", "variance", slope),
    ):
        if any(norm(p + 0 * o) > 1e-4 * norm(o) for p, o in zip(parts, off, strict=True)):
            text = f"the {name} term of a normalisation over {where} is missing"
            hints.append(Hint(code, f"{text} or wrongly scaled"))
    return hints


def _inner_sum(evidence: Evidence) -> list[Hint]:
    """Try rules of the form u − v·Σ(g·w), as softmax's, with the sum over another axis."""
    x, out = evidence.x, evidence.out
    if x.shape != out.shape:
        return []
    factors = {"1": np.ones(x.shape), "y": out, "x": x}
    if out.max(initial=0.0) < _MODEST:
        factors["exp y"] = np.exp(out)
    subsets = [*_subsets(x.ndim), ()]
    for (v_name, v), (w_name, w) in itertools.product(factors.items(), repeat=2):
        totals = {axes: [_total(g * w, axes) for g in evidence.g] for axes in subsets}
        for good, bad in itertools.permutations(subsets, 2):
            # wrong = right + v·(Σ over the good axes − Σ over the bad ones)
            corrected = [
                a - v * (p - q)
                for a, p, q in zip(evidence.a, totals[good], totals[bad], strict=True)
            ]
            if evidence.is_right(corrected):
                return [_inner_hint(v_name, w_name, good, bad)]
    return []


def _inner_hint(v_name: str, w_name: str, good: Axes, bad: Axes) -> Hint:
    terms = "g" if w_name == "1" else f"g·{w_name}"
    if good and bad:
        text = f"{terms} is summed over axes {list(bad)} instead of {list(good)}"
        return Hint("wrong axis", f"summed over the wrong axis: {text}")
    term = f"{'' if v_name == '1' else f'{v_name}·'}Σ({terms}) over {list(good or bad)}"
    return Hint("sum missing", f"the term {term} {'is missing' if good else 'is too much'}")


def _total(terms: Array, axes: Axes) -> Any:
    """Sum over axes; no axes stand for no such term."""
    return terms.sum(axis=axes, keepdims=True) if axes else 0.0
