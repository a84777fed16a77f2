"""What a rule must do apart from giving the right numbers.

It is linear in the cotangent, gives the same answer twice and after other calls, changes nothing
that it is given, keeps to float64, and its numbers are finite.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.numeric.point import Point
from tinygrad_cnn.verify.numeric.probe import Prober
from tinygrad_cnn.verify.numeric.slopes import EPS, dot, norm
from tinygrad_cnn.verify.report import Hint, InputReport, Verdict
from tinygrad_cnn.verify.subjects.subject import RuleError, Subject

_EXACT = 1e-11  # relative; float64 rules reach 1e-14, one with float32 inside 1e-7
_LOST = 1e-14  # of the largest gradient: what cancels to less is rounding alone
_FLOAT32 = 1e-5  # relative deviations up to this are what float32 would give


def forward_is_sound(subject: Subject, results: list[InputReport]) -> bool:
    """Check the forward pass alone; False if nothing can be said about gradients."""
    held = [np.array(a) if isinstance(a, np.ndarray) else a for a in subject.inputs]
    first = _call(subject, held)
    for name, held_one, given in zip(subject.names, held, subject.inputs, strict=True):
        if isinstance(given, np.ndarray) and not same(held_one, given):
            _say_all(results, Verdict.FAIL, "mutation", f"forward changes its input {name}")
    second = _call(subject, [np.array(a) if isinstance(a, np.ndarray) else a for a in held])
    if first.shape != second.shape or not same(first, second):
        _say_all(
            results,
            Verdict.FAIL,
            "random",
            "forward gives different results for the same inputs: it draws random numbers or "
            "keeps something between calls; fix the seed inside of it, or what it keeps",
        )
        return False
    if first.dtype.kind != "f":
        _say_all(
            results,
            Verdict.SKIPPED,
            "note",
            f"forward returns nothing differentiable: its result is {_kind(first)}",
        )
        return False
    if first.size == 0:
        _say_all(results, Verdict.SKIPPED, "note", "the result has no elements")
        return False
    if not np.isfinite(first).any() and _is_masked(subject, first):
        _say_all(results, Verdict.UNSEEN, "note", "every result is masked by an infinity")
        return False
    if not np.isfinite(first).any():
        _say_all(results, Verdict.INCONCLUSIVE, "finite", _not_finite(subject, first))
        return False
    if not np.isfinite(first).all() and not _is_masked(subject, first):
        _say_all(results, Verdict.INCONCLUSIVE, "finite", _not_finite(subject, first))
    return True


def _is_masked(subject: Subject, out: Array) -> bool:
    """Whether infinities come from infinities that were given, as in a mask of −∞."""
    given = subject.infinite or any(
        np.isinf(a).any()
        for a in subject.inputs
        if isinstance(a, float) or (isinstance(a, np.ndarray) and a.dtype.kind == "f")
    )
    return given and not np.isnan(out).any()


def _kind(out: Array) -> str:
    return (
        f"a {type(out.item()).__name__}" if out.dtype == object and not out.ndim else str(out.dtype)
    )


def _not_finite(subject: Subject, out: Array) -> str:
    bad = int(np.count_nonzero(~np.isfinite(out)))
    given = [
        name
        for name, a in zip(subject.names, subject.inputs, strict=True)
        if isinstance(a, np.ndarray) and a.dtype.kind == "f" and not np.isfinite(a).all()
    ]
    source = f"; so are inputs: {', '.join(given)}" if given else ", though the inputs are finite"
    return f"forward gives NaN or infinity in {bad} of {out.size} results{source}"


def _call(subject: Subject, inputs: Sequence[Any]) -> Array:
    try:
        return np.array(subject.forward(inputs))
    except RuleError:
        raise
    except Exception as error:
        raise RuleError(f"forward raised {type(error).__name__}: {error}") from error


def same(a: Any, b: Any) -> bool:
    """Whether two arrays hold the same numbers, NaN included."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def _say_all(results: list[InputReport], verdict: Verdict, kind: str, text: str) -> None:
    for result in results:
        result.say(verdict, kind, text)


def moves(point: Point, result: InputReport) -> bool:
    """Check that the input is one that can be moved."""
    unmoved = int(np.count_nonzero(np.isnan(point.inputs[result.position])))
    if unmoved:
        text = f"the input is NaN or infinite in {unmoved} elements: they cannot be moved"
        result.say(Verdict.INCONCLUSIVE, "finite", text)
    return not unmoved


def not_finite(point: Point, result: InputReport) -> str:
    """Say of which elements the gradient is not finite; nothing if of none."""
    gradient = point.analytic[0][result.position]
    bad = ~np.isfinite(gradient)
    if not bad.any():
        return ""
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    return (
        f"the gradient is NaN or infinite in {np.count_nonzero(bad)} of {bad.size} elements, "
        f"first at {list(where)}"
    )


def check_rule(point: Point, results: list[InputReport], rng: np.random.Generator) -> None:
    """Check everything that calling the rule alone can tell."""
    _check_mutation(point, results)
    _check_repeat(point, results)
    _check_after_other_inputs(point, results, rng)
    _check_linear(point, results)


def _check_mutation(point: Point, results: list[InputReport]) -> None:
    """Check that inputs, cotangent and saved arrays stay as they are."""
    held = point.copies()
    out, pull = point.record(held)
    kept = np.array(out)
    g = np.array(point.cotangents[0])
    point.checked(lambda c: pull(_lend(g, c)), g)
    for name, now, before in zip(point.subject.names, held, point.inputs, strict=True):
        if isinstance(before, np.ndarray) and not same(now, before):
            point.mutates = True
            _say_all(results, Verdict.FAIL, "mutation", f"the rule changes its input {name}")
    if not same(out, kept):
        point.mutates = True
        _say_all(results, Verdict.FAIL, "mutation", "the rule changes the result of forward")
    if not same(g, point.cotangents[0]):
        point.mutates = True
        _say_all(results, Verdict.FAIL, "mutation", "the rule changes the gradient it is given")


def _lend(g: Array, _: Array) -> Array:
    """Hand out this very array instead of a copy."""
    return g


def _check_repeat(point: Point, results: list[InputReport]) -> None:
    """Check that the same call gives the same answer."""
    again = [point.gradient(point.cotangents[0]) for _ in range(1 if point.heavy else 2)]
    for result in results:
        first = point.analytic[0][result.position]
        worst = max(_gap(first, other[result.position]) for other in again)
        if worst > 1e-13:  # threads may add up in another order
            result.say(
                Verdict.FAIL,
                "repeat",
                f"the rule gives different answers to the same call (relative {worst:.1g}): it "
                "draws random numbers, or keeps something between calls",
            )


def _gap(a: Array, b: Array) -> float:
    """Return the size of the difference relative to the size."""
    if same(a, b):
        return 0.0
    size = max(norm(a), norm(b))
    return norm(a - b) / size if size and np.isfinite(size) else float("inf")


def _check_after_other_inputs(
    point: Point, results: list[InputReport], rng: np.random.Generator
) -> None:
    """Record here, run elsewhere, then call the rule: what is kept between calls shows."""
    _, pull = point.record(point.copies())
    elsewhere = point.copies()
    for index in point.subject.wanted:
        x = elsewhere[index]
        elsewhere[index] = rng.permutation(x.reshape(-1)).reshape(x.shape)
    try:
        _, other = point.record(elsewhere)
        point.checked(other, point.cotangents[-1])
    except RuleError:
        return  # outside of the domain
    late = point.checked(pull, point.cotangents[0])
    fresh = point.checked(point.record(point.copies())[1], point.cotangents[0])
    for result in results:
        if any(finding.kind == "repeat" for finding in result.findings):
            continue  # noise; nothing can be told from it
        first = point.analytic[0][result.position]
        if _gap(first, late[result.position]) > 1e-13:
            text = "after the operation has run on other inputs, the rule of this call differs"
        elif _gap(first, fresh[result.position]) > 1e-13:
            text = "after the operation has run on other inputs, the same call gives another answer"
        else:
            continue
        result.say(Verdict.FAIL, "stale", f"{text}: something is kept between calls")
        if all(hint.code != "earlier call" for hint in result.hints):
            result.hints.append(Hint("earlier call", "it uses values of another call"))


def _check_linear(point: Point, results: list[InputReport]) -> None:
    """Check rule(c·g) = c·rule(g) over six decades and both signs, and rule(g + k)."""
    g, k = point.cotangents[0], point.cotangents[1]
    factors = (-30.0,) if point.heavy else (1e3, 1e-3, -30.0)
    scaled = [(f, point.gradient(f * g)) for f in factors]
    both = point.gradient(g + k)
    largest = max(norm(a) for a in (g, *(point.analytic[0][r.position] for r in results)))
    for result in results:
        index = result.position
        first, second = point.analytic[0][index], point.analytic[1][index]
        size = norm(first) or norm(second)
        if size < _LOST * largest:
            continue  # all of it is rounding, as of a bias before a normalisation
        worst, what = 0.0, ""
        for factor, found in scaled:
            off = norm(found[index] / factor - first) / (size or 1.0)
            worst, what = max((worst, what), (off, f"{factor:g} · g"))
        terms = norm(first) + norm(second)
        off = norm(both[index] - first - second) / (terms or 1.0)
        worst, what = max((worst, what), (off, "g + k"))
        if worst > _EXACT:
            _say_not_linear(point, result, worst, what)


def _say_not_linear(point: Point, result: InputReport, worst: float, what: str) -> None:
    if worst < _FLOAT32 and point.eps != EPS:
        return  # so does forward
    if worst < _FLOAT32:
        result.say(
            Verdict.FAIL,
            "precision",
            f"the rule is accurate to {worst:.1g} only: it computes in float32 or less what is "
            "float64",
        )
        result.hints.append(Hint("precision", "float32 is used inside of the rule"))
        return
    result.say(
        Verdict.FAIL,
        "linearity",
        f"the rule is not linear in the gradient it is given: for {what} it is off by "
        f"{worst:.1g} of its size",
    )
    first, second = (a[result.position] for a in point.analytic[:2])
    if first.any() and same(first, second):
        result.hints.append(
            Hint("earlier call", "the answer does not depend on the gradient it is given")
        )


def hint_at_earlier_call(point: Point, prober: Prober, result: InputReport) -> None:
    """Say so if the rule gives elsewhere what it gave at the recorded point.

    `result` must be right at the recorded point, or have no better explanation.
    """
    if result.hints or any(finding.kind == "repeat" for finding in result.findings):
        return
    here = point.analytic[0][result.position]
    there = prober.point.analytic[0][result.position]
    # It explains the numbers only if the right gradient is another one.
    other = all(abs(dot(here, m.direction) - m.numeric) > m.bar for m in prober.misses)
    if here.any() and _gap(here, there) < 1e-12 and other and not _ignores_inputs(point, result):
        result.hints.append(
            Hint("earlier call", "the gradient is that of an earlier call, at other inputs")
        )


def _ignores_inputs(point: Point, result: InputReport) -> bool:
    """Whether the rule looks like one in which a factor is missing: made of the cotangent alone."""
    if any(finding.kind == "linearity" for finding in result.findings):
        return True
    g, a = point.cotangents[0], point.analytic[0][result.position]
    if g.shape != a.shape:
        return False
    factor = float(np.vdot(g, a) / np.vdot(g, g))
    return norm(a - factor * g) <= 1e-9 * norm(a)
