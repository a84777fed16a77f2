"""The rule called in the other ways in which it is called outside of a check.

In the dtype of the user's arrays, as it was recorded (with whatever that call has kept), and for
other subsets of inputs that want a gradient. What a check calls in float64 may be right, and what
trains be wrong.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.behaviour import same
from tinygrad_cnn.verify.numeric.point import Point
from tinygrad_cnn.verify.numeric.slopes import EPS, norm
from tinygrad_cnn.verify.report import InputReport, Verdict
from tinygrad_cnn.verify.subjects.subject import Pull, RuleError, Subject

_MOST_SUBSETS = 6
_SURE = 1e-2  # of an element: rounding does less unless inputs rounded otherwise do it too
_GROSS = 1e-3  # of the largest element
_STALE = (
    "the rule gives another gradient for the call that was recorded than for the same call made "
    "anew: what it reads has changed since, or is kept from another call"
)


def check_calls(
    point: Point, results: list[InputReport], recorded: Pull | None, rng: np.random.Generator
) -> None:
    """Call the rule as recorded, in its own dtype, and for other subsets of wanted inputs."""
    dtype = point.subject.dtype
    if recorded is not None or dtype is not None:
        _check_own(point, results, recorded, rng)
    if point.subject.subsets:
        _check_needs(point, results)


def _check_own(
    point: Point, results: list[InputReport], recorded: Pull | None, rng: np.random.Generator
) -> None:
    dtype = point.subject.dtype or np.dtype(np.float64)
    size = float(np.max(np.abs(point.out), initial=0.0, where=np.isfinite(point.out)))
    if size > np.finfo(dtype).max:
        for result in results:
            text = f"in {dtype} the result overflows: {size:.1g} is beyond its largest number"
            result.say(Verdict.INCONCLUSIVE, "finite", text)
        return
    g = point.cotangents[0].astype(dtype)
    rounded = _rounded(point.subject)
    kept = None if recorded is None else called(recorded, g)
    anew = _called_at(point, dtype, g) if dtype != np.float64 else None
    if kept is None and anew is None:
        return
    try:
        right = point.checked(point.record(rounded)[1], g.astype(np.float64))
        spread = _spread(point, right, rounded, g, max(float(np.finfo(dtype).eps), 1e-13), rng)
    except RuleError:
        return
    # What no rule kept was computed again in float64, and near ties may choose otherwise.
    exact = is_exact(point.subject)
    if not exact and point.subject.choice(point.inputs) is not None:
        kept = None
    texts = (
        (anew, "dtype", f"right in float64, but called in {dtype} the rule gives another", _GROSS),
        (kept, "stale", _STALE, _GROSS if exact else 0.5),
    )
    for result in results:
        index = result.position
        for found, kind, text, most in texts:
            if found is None or found[index] is None:
                continue
            own = np.asarray(found[index], np.float64)
            wide = 100 * spread[index] + 64 * float(np.finfo(dtype).eps * np.max(np.abs(g)))
            share = _share_off(own, right[index], wide, by_norm=most != _GROSS)
            if share > most:
                result.say(Verdict.FAIL, kind, f"{text} (off by {share:.1g} of its size)")
                break


def _rounded(subject: Subject) -> list[Any]:
    """Return the inputs as they are in the user's dtype."""
    dtype = subject.dtype or np.dtype(np.float64)
    return [
        a.astype(dtype).astype(np.float64)
        if isinstance(a, np.ndarray) and a.dtype.kind == "f"
        else a
        for a in subject.inputs
    ]


def is_exact(subject: Subject) -> bool:
    """Whether the inputs are numbers of the user's dtype, as they were recorded."""
    return all(same(a, b) for a, b in zip(_rounded(subject), subject.inputs, strict=True))


def _share_off(found: Array, right: Array, wide: Array, by_norm: bool) -> float:
    """Return by how much of its size a gradient is off, beyond all rounding.

    Measured at the largest element, or by the whole array.
    """
    if found.shape != right.shape:
        return float("inf")
    known = np.isfinite(right)
    size = float(np.max(np.abs(right), initial=0.0, where=known))
    gap = np.abs(found - right)
    off = known & ~(gap <= _SURE * np.abs(right) + wide + 1e-5 * size)
    if not off.any():
        return 0.0
    worst = norm(gap[off]) if by_norm else float(np.max(gap[off]))
    size = norm(right[known]) if by_norm else size
    return worst / size if size and np.isfinite(worst) else float("inf")


def _spread(
    point: Point,
    right: list[Any],
    inputs: list[Any],
    g: Array,
    eps: float,
    rng: np.random.Generator,
) -> list[Any]:
    """Return how much gradients change when inputs and cotangent are rounded otherwise."""
    spread: list[Any] = [None if a is None else np.zeros(a.shape) for a in right]
    for _ in range(1 if point.heavy else 2):
        moved = [
            a * (1 + eps * rng.choice([-1.0, 1.0], a.shape))
            if isinstance(a, np.ndarray) and a.dtype.kind == "f"
            else a
            for a in inputs
        ]
        other = g * (1 + eps * rng.choice([-1.0, 1.0], g.shape))
        found = point.checked(point.record(moved)[1], other.astype(np.float64))
        for index in point.subject.wanted:
            spread[index] = np.maximum(spread[index], np.abs(found[index] - right[index]))
    return spread


def called(pull: Pull, g: Array) -> Sequence[Any] | None:
    """Call a rule; None where it raises."""
    try:
        with np.errstate(all="ignore"):
            return pull(g)
    except Exception:  # it is called anew right after this, and what it raises is said there
        return None


def _called_at(point: Point, dtype: np.dtype[Any], g: Array) -> Sequence[Any] | None:
    """Call the rule in another dtype; None where it cannot be."""
    inputs = [
        a.astype(dtype) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a
        for a in point.copies()
    ]
    try:
        with np.errstate(all="ignore"):
            out, pull = point.subject.record(inputs)
            return pull(g.astype(out.dtype if out.dtype.kind == "f" else dtype))
    except Exception:  # a forward pass that takes float64 alone
        return None


def _check_needs(point: Point, results: list[InputReport]) -> None:
    """Ask for the gradients of fewer inputs: those must be the same."""
    wanted = point.subject.wanted
    subsets = [
        subset for size in range(1, len(wanted)) for subset in itertools.combinations(wanted, size)
    ]
    by_position = {result.position: result for result in results}
    for subset in subsets[: 2 if point.heavy else _MOST_SUBSETS]:
        try:
            pull = point.record_for(point.copies(), subset)[1]
        except RuleError:
            continue  # a function that itself asks for the gradients of all
        try:
            found = point.checked(pull, point.cotangents[0], subset)
        except RuleError as error:
            for index in subset:
                by_position[index].say(
                    Verdict.FAIL, "needs", f"asked for {_named(point, subset)} alone, {error}"
                )
            continue
        for index in subset:
            right = point.analytic[0][index]
            gap = norm(found[index] - right)
            if index in by_position and gap > 1e4 * EPS * (norm(right) + norm(found[index])):
                by_position[index].say(
                    Verdict.FAIL,
                    "needs",
                    f"asked for {_named(point, subset)} alone, the rule gives another gradient",
                )


def _named(point: Point, subset: Sequence[int]) -> str:
    return "the gradient of " + " and ".join(point.subject.names[i] for i in subset)
