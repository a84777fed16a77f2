"""The one check behind all others: a subject, every input, every test."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tinygrad_cnn.kernels.runtime.blas import single_threaded_blas
from tinygrad_cnn.types import Array
from tinygrad_cnn.verify import behaviour
from tinygrad_cnn.verify.calls import check_calls
from tinygrad_cnn.verify.hints.place import explain, worst_of
from tinygrad_cnn.verify.numeric.edges import why_infinite
from tinygrad_cnn.verify.numeric.elements import (
    LARGE,
    generator,
    random_direction,
    relative_direction,
    sample_elements,
    structured_directions,
    tied_direction,
)
from tinygrad_cnn.verify.numeric.point import Point
from tinygrad_cnn.verify.numeric.probe import Prober, Tolerance
from tinygrad_cnn.verify.numeric.single import move_elements
from tinygrad_cnn.verify.numeric.slopes import weigh
from tinygrad_cnn.verify.numeric.smooth import beside, misses_where_smooth
from tinygrad_cnn.verify.numeric.special import special_points, wrong_at
from tinygrad_cnn.verify.report import Counts, InputReport, Report, Verdict
from tinygrad_cnn.verify.subjects.subject import RuleError, Subject


@dataclass(frozen=True)
class Options:
    """How much is measured, and how it is judged.

    Attributes
    ----------
    tolerance
        Steps and error bars.
    max_elements
        Inputs up to this size are moved element by element; of larger ones so many at most.
    seed
        Of every random choice.
    explained
        Whether it is said of failures where they lie and what they look like.
    special
        Whether points of the check's own are tried: zeros, ties, one sign, large numbers.
    """

    tolerance: Tolerance = field(default_factory=Tolerance)
    max_elements: int = 512
    seed: int = 0
    explained: bool = True
    special: bool = True


def check_subject(subject: Subject, options: Options) -> list[InputReport]:
    """Return the verdict on the gradient of each wanted input of a subject."""
    results = [
        InputReport(subject.name, subject.names[i], i, np.shape(subject.inputs[i]))
        for i in subject.wanted
    ]
    rng = generator(options.seed)
    live = []
    for result in results:
        if np.size(subject.inputs[result.position]):
            live.append(result)
        else:
            result.say(Verdict.SKIPPED, "note", "the input has no elements")
    if not live:
        return results
    # Products here are small and many: BLAS's threads would wait for each other between them.
    with np.errstate(all="ignore"), single_threaded_blas():
        while live:
            try:
                _check(subject, live, options, rng)
                break
            except RuleError as error:
                guilty = [r for r in live if error.position in (r.position, None)] or live
                for result in guilty:
                    result.say(Verdict.FAIL, error.kind, str(error))
            live = [result for result in live if result not in guilty]
            subject = copy.copy(subject)
            subject.wanted = tuple(result.position for result in live)
    return results


def _check(
    subject: Subject, results: list[InputReport], options: Options, rng: np.random.Generator
) -> None:
    recorded = subject.as_recorded()  # before anything else runs
    if not behaviour.forward_is_sound(subject, results):
        return
    point = Point(subject, subject.inputs, rng)
    check_calls(point, results, recorded, rng)
    behaviour.check_rule(point, results, rng)
    elsewhere = None if point.heavy else _other_point(point, rng)
    for result in results:
        _check_input(point, result, options, rng)
        if elsewhere is not None and result.verdict is not Verdict.SKIPPED:
            _check_elsewhere(point, elsewhere, result, options, rng)
    if point.heavy:  # where each array is large, not more of them at a time than it takes
        elsewhere = _other_point(point, rng)
        for result in results:
            if elsewhere is not None and result.verdict is not Verdict.SKIPPED:
                _check_elsewhere(point, elsewhere, result, options, rng)
    elsewhere = None
    if options.special and subject.special and all(result.ok for result in results):
        _check_special_points(point, results, options, rng)


def _check_input(
    point: Point, result: InputReport, options: Options, rng: np.random.Generator
) -> None:
    """Compare one gradient with numeric derivatives."""
    if not behaviour.moves(point, result):
        return
    text = behaviour.not_finite(point, result)
    if text:
        _judge_infinite(point, result, options, rng, text)
        return
    prober = _probed(point, result, options, rng)
    if prober.misses and misses_where_smooth(prober, rng):
        _say_wrong(prober, result, options, rng, "the gradient differs from the numeric one")
    elif prober.misses or (result.counts.kinks and not prober.seen):
        _judge_beside(prober, result, options, rng)
    elif prober.unsure or not prober.decided:
        _say_unsure(prober, result)
    elif result.counts.kinks:
        result.say(Verdict.KINK, "note", BETWEEN)
    elif not prober.seen:
        result.say(Verdict.UNSEEN, "note", UNSEEN)


BETWEEN = "the point is one without a derivative; between slopes"
_WRONG_BESIDE = "the gradient differs from the numeric one, a tiny shift away from kinks too"
UNSEEN = (
    "nothing to compare: the numeric gradient is 0, or lost in rounding; a gradient twice as large "
    "would not have been noticed"
)


def _probed(
    point: Point, result: InputReport, options: Options, rng: np.random.Generator
) -> Prober:
    """Move an input along directions and element by element."""
    index = result.position
    prober = Prober(point, index, options.tolerance, result.counts)
    still = ~np.isfinite(prober.base)  # a mask of −∞ stays where it is
    for direction in _directions(prober, options, rng):
        prober.probe(np.where(still, 0.0, direction) if still.any() else direction)
    most = options.max_elements
    move_elements(prober, sample_elements(rng, point.inputs[index], most, point.heavy))
    return prober


def _say_wrong(
    prober: Prober, result: InputReport, options: Options, rng: np.random.Generator, text: str
) -> None:
    result.say(Verdict.FAIL, "value", text)
    if options.explained and not result.hints:
        explain(prober, result, rng)
    else:
        result.wrong = worst_of(prober)


def _judge_infinite(
    point: Point, result: InputReport, options: Options, rng: np.random.Generator, text: str
) -> None:
    """Judge a gradient that is not finite: where the function is vertical it may be so."""
    if not np.isfinite(point.out).all():
        result.say(Verdict.INCONCLUSIVE, "finite", text)
        return
    prober = Prober(point, result.position, options.tolerance, result.counts)
    why = why_infinite(prober)
    if why is None:
        result.say(Verdict.FAIL, "finite", text)
        return
    _judge_beside(prober, result, options, rng)
    if why == "edge":
        text += ", where the function is defined to one side only"
        result.say(Verdict.INCONCLUSIVE, "finite", text)
    else:
        result.say(Verdict.KINK, "finite", f"{text}, where the function is vertical")


def _judge_beside(
    prober: Prober, result: InputReport, options: Options, rng: np.random.Generator
) -> None:
    """Judge a tiny random shift away from kinks: at them nobody can say what is right."""
    wrong: Prober | None = None
    for point in beside(prober.point, rng):
        if not np.isfinite(point.analytic[0][result.position]).all():
            continue
        other = _probed(point, result, options, rng)
        if other.misses and misses_where_smooth(other, rng):
            if prober.misses:
                _say_wrong(other, result, options, rng, _WRONG_BESIDE)
                return
            wrong = wrong or other  # between the slopes at the kink: perhaps of the other side
            continue
        if other.decided and not other.misses:
            if other.seen:
                text = "the point is one without a derivative; a tiny shift away it is right"
                result.say(Verdict.KINK, "note", text)
            else:
                result.say(Verdict.UNSEEN, "note", UNSEEN)
            return
    if wrong is not None:
        _say_wrong(wrong, result, options, rng, _WRONG_BESIDE)
        return
    if not prober.misses:
        result.say(Verdict.UNSEEN, "note", UNSEEN)
        return
    text = "kinks are everywhere: no point near by has a numeric derivative that agrees"
    result.say(Verdict.INCONCLUSIVE, "note", text)
    result.wrong = worst_of(prober)


def _check_special_points(
    point: Point, results: list[InputReport], options: Options, rng: np.random.Generator
) -> None:
    """Check the rule where elements are 0, equal, of one sign, or large."""
    by_position = {result.position: result for result in results}
    for name, inputs, again in special_points(point, rng):
        found = wrong_at(point, inputs, options.tolerance, rng)
        if found:
            sure = wrong_at(point, again, options.tolerance, rng)
            found = {index: kind for index, kind in found.items() if index in sure}
        for index, kind in found.items():
            result = by_position.get(index)
            if result is None:
                continue
            if kind == "finite":
                text = f"right where it was recorded, but the gradient is NaN or infinite {name}"
                result.say(Verdict.FAIL, "finite", text)
                continue
            other = Point(point.subject, inputs, rng)
            prober = _probed(other, result, options, rng)
            text = f"right where it was recorded, but wrong {name}"
            if prober.misses:
                _say_wrong(prober, result, options, rng, text)
            else:
                result.say(Verdict.FAIL, "value", text)
        if found:
            return


def _say_unsure(prober: Prober, result: InputReport) -> None:
    worst = max(prober.unsure, key=lambda e: e.bar, default=None)
    text = "no numeric derivative could be had"
    if worst is not None:
        text = (
            f"the numeric derivative is too uncertain: {worst.value:.3g} ± {worst.bar:.1g} "
            f"(truncation {worst.truncation:.1g}, rounding {worst.rounding:.1g}) in "
            f"{len(prober.unsure)} of {len(prober.unsure) + prober.decided} comparisons"
        )
    result.say(Verdict.INCONCLUSIVE, "note", text)


def _directions(prober: Prober, options: Options, rng: np.random.Generator) -> Iterator[Array]:
    """Iterate over the directions to probe an input along: fewer where each moves very many."""
    x = prober.base
    heavy = prober.point.heavy
    large = heavy or x.size > LARGE * options.max_elements
    first = random_direction(rng, x.shape)
    yield first
    if not large:
        yield random_direction(rng, x.shape)
    if not large or prober.counts.kinks:
        # Where the gradient is 0 it has no sign; with it, kinks are met at their sharpest.
        signs = np.sign(prober.point.analytic[0][prober.index])
        yield np.where(signs == 0, first, signs)
    relative = relative_direction(rng, x, 1e-6 if heavy else 1e-3)
    for direction in (tied_direction(rng, x), relative):
        if direction is not None:
            yield direction
    if x.size > options.max_elements:
        yield from structured_directions(rng, x.shape, heavy)


def _other_point(point: Point, rng: np.random.Generator) -> Point | None:
    """Return the subject at another point of the same range of values; None if it has none."""
    for attempt in range(2):
        inputs = point.copies()
        for index, x in enumerate(inputs):
            if index not in point.subject.wanted:
                # Rows of a constant trade places: a one-hot row or a distribution stays one.
                if isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.ndim and attempt == 0:
                    inputs[index] = rng.permutation(x, axis=0)
            elif attempt == 0 and x.size > 1:
                inputs[index] = rng.permutation(x.reshape(-1)).reshape(x.shape)
            else:
                inputs[index] = np.asarray(x * rng.uniform(0.9, 1.0, x.shape))
        try:
            if not np.isfinite(point.forward(inputs)).all():
                continue
            other = Point(point.subject, inputs, rng, point.cotangents[:1])
        except RuleError:
            continue
        if other.out.shape == point.out.shape:
            return other
    return None


def _check_elsewhere(
    point: Point,
    other: Point,
    result: InputReport,
    options: Options,
    rng: np.random.Generator,
) -> None:
    """Check the rule at another point: what an earlier call left behind shows only there."""
    index = result.position
    x = other.inputs[index]
    if not np.isfinite(other.analytic[0][index]).all():
        return
    prober = Prober(other, index, options.tolerance, result.counts)
    few = point.heavy or x.size > LARGE * options.max_elements
    for _ in range(1 if few else 2):
        direction = random_direction(rng, x.shape)
        prober.probe(direction)
    if not prober.misses or not misses_where_smooth(prober, rng):
        return
    if not any(finding.kind == "value" for finding in result.findings):
        result.say(
            Verdict.FAIL,
            "value",
            "right where it was recorded, but at other inputs the gradient differs from the "
            "numeric one",
        )
        behaviour.hint_at_earlier_call(point, prober, result)
        if options.explained and not result.hints:
            explain(prober, result, rng)
        else:
            result.wrong = worst_of(prober)
    elif _depends_on_point(point, prober, result.position):
        behaviour.hint_at_earlier_call(point, prober, result)


def _depends_on_point(point: Point, prober: Prober, index: int) -> bool:
    """Whether the right gradient is another one at the other point."""
    d, g = prober.misses[0].direction, prober.point.cotangents[0]
    here = Prober(point, index, prober.tolerance, Counts())
    one, other = (weigh(p.measure(d, p.h), g, p.finite) for p in (here, prober))
    return abs(one.value - other.value) > 1e-3 * (abs(one.value) + abs(other.value))


def gravest(results: Sequence[InputReport]) -> Verdict:
    """Return the gravest of several verdicts."""
    return Report("", list(results)).verdict
