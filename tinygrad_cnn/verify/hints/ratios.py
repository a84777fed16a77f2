"""Hints from what the wrong gradient is of the right one, element by element."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.hints.evidence import Evidence
from tinygrad_cnn.verify.numeric.slopes import norm
from tinygrad_cnn.verify.report import Hint

_MOST_VALUES = 4


def straight_through(evidence: Evidence) -> list[Hint]:
    """Say so if the function is flat, and the incoming gradient passes all the same."""
    right = evidence.right
    if right is None or any(
        r.any() and norm(r) > 1e-6 * norm(g) for r, g in zip(right, evidence.g, strict=True)
    ):
        return []
    if not evidence.is_given(evidence.g):
        return []
    text = (
        "the function is flat, and the incoming gradient is passed straight through: a "
        "straight-through estimator is no derivative; if it is meant, do not check it"
    )
    return [Hint("straight through", text)]


def term_hints(evidence: Evidence) -> list[Hint]:
    """Say so if what lacks is the incoming gradient, or it times an array that is given."""
    right = evidence.right
    if right is None:
        return []
    missing = [r - a for r, a in zip(right, evidence.a, strict=True)]
    for name, array in _named(evidence):
        terms = []
        for g in evidence.g:
            if g.shape == evidence.x.shape:
                terms.append(g * array)
            elif g.size == 1:
                terms.append(g.reshape(()) * array)
        if len(terms) < len(missing) or not all(t.any() for t in terms):
            continue
        k = float(np.vdot(missing[0], terms[0]) / np.vdot(terms[0], terms[0]))
        if abs(k) > 1e-9 and all(
            norm(m - k * t) <= 1e-5 * norm(m) for m, t in zip(missing, terms, strict=True)
        ):
            factor = "" if abs(k - 1) < 1e-5 else "−" if abs(k + 1) < 1e-5 else f"{k:.4g}·"
            term = f"{factor}g" if name == "1" else f"{factor}g·{name}"
            shortcut = name == "1" and abs(abs(k) - 1) < 1e-5
            lost = " (the share of a shortcut, or of another use of the input)" * shortcut
            return [Hint("term missing", f"the term {term} is missing{lost}")]
    return []


def constant_term_hints(evidence: Evidence) -> list[Hint]:
    """Say so if what lacks is the incoming gradient times what this input has no share in."""
    if evidence.right is None or len(evidence.g) < 2:
        return []
    elsewhere = evidence.right_elsewhere(0.02)
    if elsewhere is None or not _differ(evidence.right, elsewhere[1]):
        return []  # of a linear function nothing depends on it
    factors = []
    for wrong, right in ((evidence.a, evidence.right), elsewhere):
        for g, a, r in zip(evidence.g, wrong, right, strict=True):
            if g.size != 1 and g.shape != a.shape:
                return []
            missing = r - a
            if norm(missing) <= 1e-6 * norm(r):
                return []
            factors.append(missing / (g.reshape(()) if g.size == 1 else g))
    one = factors[0]
    if any(norm(f - one) > 1e-5 * norm(one) for f in factors):
        return []
    values, counts = np.unique(np.round(one, 6) + 0.0, return_counts=True)
    parts = [f"{v:.4g} at {c}" for v, c in zip(values, counts, strict=True)]
    what = f" ({', '.join(parts)} of {one.size} elements)" if len(values) <= _MOST_VALUES else ""
    text = f"a term is missing that does not depend on this input{what}: a target, a constant?"
    return [Hint("term missing", text)]


def _differ(here: list[Array], there: list[Array]) -> bool:
    return all(norm(a - b) > 1e-4 * norm(a) for a, b in zip(here, there, strict=True))


def ratio_hints(evidence: Evidence) -> list[Hint]:
    """Say so if each element is off by one of a few factors, or by a power of an array's."""
    found = _ratios(evidence)
    if found is None:
        return []
    known, one = found
    for name, array in _named(evidence):
        for text, factor in _powers(name, array):
            with np.errstate(all="ignore"):
                k = one / factor[known]
            same = np.isfinite(k).all() and k[0] != 0 and np.allclose(k, k[0], rtol=1e-5)
            if same and np.ptp(one) > 0:
                times = "" if abs(k[0] - 1) < 1e-5 else f"{k[0]:.4g}·"
                return [Hint("slope", f"it has the factor {times}{text} too much")]
    values = np.unique(np.round(one, 6) + 0.0)  # no −0
    if len(values) <= _MOST_VALUES:
        parts = [
            f"{v:.4g} times what it should be at {np.count_nonzero(np.isclose(one, v, atol=1e-5))}"
            for v in values
        ]
        return [Hint("ratios", f"it is {', '.join(parts)} of {len(one)} elements")]
    return []


def _ratios(evidence: Evidence) -> tuple[Array, Array] | None:
    """Return where a factor is known, and the factors there; None where g changes them."""
    right = evidence.right
    if right is None or len(right) < 2 or evidence.x.size < 2:  # one cotangent tells too little
        return None
    with np.errstate(all="ignore"):
        ratios = [a / r for a, r in zip(evidence.a, right, strict=True)]
    size = max(float(np.max(np.abs(r), initial=0.0)) for r in right)
    known = np.all([np.abs(r) > 1e-5 * size for r in right], axis=0)
    idle = np.all([(r == 0) | (np.abs(r) <= 1e-9 * size) for r in right], axis=0)
    wrong_idle = np.any([np.abs(a) > 1e-6 * size for a in evidence.a], axis=0) & idle
    if np.count_nonzero(known) < 2 or wrong_idle.any():
        return None
    one, two = (ratio[known] for ratio in ratios)
    return (known, one) if np.allclose(one, two, rtol=1e-5, atol=1e-7) else None


def slope_hints(evidence: Evidence) -> list[Hint]:
    """Say so if each element, of a function of its own, is off by a factor of its own."""
    found = _ratios(evidence)
    if found is None or not _is_elementwise(evidence):
        return []
    low, high = float(found[1].min()), float(found[1].max())
    text = (
        f"the slope is wrong: each element is off by a factor of its own ({low:.3g} to "
        f"{high:.3g}), whatever the incoming gradient"
    )
    return [Hint("slope", text)]


def _is_elementwise(evidence: Evidence) -> bool:
    """Whether each element has a function of its own: a result, or a term of the one result."""
    if evidence.out.size == 1:
        return _is_sum_of_terms(evidence)
    J = evidence.jacobian
    same = evidence.x.shape == evidence.out.shape
    return same and J is not None and np.array_equal(J, np.diag(np.diag(J)))


def _is_sum_of_terms(evidence: Evidence) -> bool:
    """Whether moving some elements leaves the derivatives by the others as they are."""
    right = evidence.right
    kept = (np.arange(evidence.x.size) % 2 == 0).reshape(evidence.x.shape)
    elsewhere = None if right is None else evidence.right_elsewhere(0.3, kept)
    if right is None or elsewhere is None:
        return False
    return all(
        norm((one - two)[kept]) <= 1e-6 * norm(one)
        for one, two in zip(right, elsewhere[1], strict=True)
    )


def _named(evidence: Evidence) -> Iterator[tuple[str, Array]]:
    """Iterate over arrays that can be written as one of the input's shape, by name."""
    shape = evidence.x.shape
    yield "1", np.ones(shape)
    subject = evidence.point.subject
    given = [
        (name, np.asarray(a, np.float64))
        for name, a in zip(subject.names, evidence.point.inputs, strict=True)
        if isinstance(a, np.ndarray) and a.dtype.kind in "fiu"
    ]
    for name, array in [*given, ("y", evidence.out)]:
        for laid in (array, array[..., None]) if array.ndim else ():
            try:
                yield name, np.broadcast_to(laid, shape)
            except ValueError:
                continue
            break


def _powers(name: str, array: Array) -> Iterator[tuple[str, Array]]:
    if name == "1":
        return
    with np.errstate(all="ignore"):
        yield name, array
        yield f"1/{name}", 1 / array
        yield f"{name}²", array**2
        yield f"1/{name}²", 1 / array**2
        yield f"(1 − {name})", 1 - array
        yield f"1/(1 − {name})", 1 / (1 - array)
