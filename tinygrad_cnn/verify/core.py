"""The one check behind all others: a subject, every input, every test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.verify import behaviour
from tinygrad_cnn.verify.hints.place import explain, worst_of
from tinygrad_cnn.verify.numeric.elements import (
    generator,
    random_direction,
    sample_elements,
    structured_directions,
    tied_direction,
)
from tinygrad_cnn.verify.numeric.point import Point
from tinygrad_cnn.verify.numeric.probe import Prober, Tolerance
from tinygrad_cnn.verify.numeric.single import move_elements
from tinygrad_cnn.verify.numeric.slopes import weigh
from tinygrad_cnn.verify.report import Counts, InputReport, Verdict
from tinygrad_cnn.verify.subjects.subject import RuleError, Subject

Array = npt.NDArray[Any]


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
    """

    tolerance: Tolerance = field(default_factory=Tolerance)
    max_elements: int = 512
    seed: int = 0
    explained: bool = True


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
    with np.errstate(all="ignore"):
        try:
            _check(subject, live, options, rng)
        except RuleError as error:
            for result in live:
                result.say(Verdict.FAIL, error.kind, str(error))
    return results


def _check(
    subject: Subject, results: list[InputReport], options: Options, rng: np.random.Generator
) -> None:
    if not behaviour.forward_is_sound(subject, results):
        return
    point = Point(subject, subject.inputs, rng)
    behaviour.check_rule(point, results, rng)
    elsewhere = _other_point(point, rng)
    for result in results:
        _check_input(point, result, options, rng)
        if elsewhere is not None and result.verdict is not Verdict.SKIPPED:
            _check_elsewhere(point, elsewhere, result, options, rng)


def _check_input(
    point: Point, result: InputReport, options: Options, rng: np.random.Generator
) -> None:
    """Compare one gradient with numeric derivatives."""
    index = result.position
    x = point.inputs[index]
    if not behaviour.is_finite(point, result):
        return
    prober = Prober(point, index, options.tolerance, result.counts)
    for direction in _directions(point, index, options, rng):
        prober.probe(direction)
    move_elements(prober, sample_elements(rng, x, options.max_elements))
    if prober.misses:
        result.say(Verdict.FAIL, "value", "the gradient differs from the numeric one")
        if options.explained:
            explain(prober, result, rng)
        else:
            result.wrong = worst_of(prober)
    elif prober.unsure or not prober.decided:
        _say_unsure(prober, result)
    elif result.counts.kinks:
        result.say(Verdict.KINK, "note", "the point is one without a derivative; between slopes")


def _say_unsure(prober: Prober, result: InputReport) -> None:
    if result.counts.kinks and not prober.unsure:
        result.say(
            Verdict.KINK, "note", "every probe met a jump or a kink: no numeric derivative exists"
        )
        return
    worst = max(prober.unsure, key=lambda e: e.bar, default=None)
    text = "no numeric derivative could be had"
    if worst is not None:
        text = (
            f"the numeric derivative is too uncertain: {worst.value:.3g} ± {worst.bar:.1g} "
            f"(truncation {worst.truncation:.1g}, rounding {worst.rounding:.1g}) in "
            f"{len(prober.unsure)} of {len(prober.unsure) + prober.decided} comparisons"
        )
    result.say(Verdict.INCONCLUSIVE, "note", text)


def _directions(
    point: Point, index: int, options: Options, rng: np.random.Generator
) -> list[Array]:
    """Return the directions to probe an input along."""
    x = point.inputs[index]
    directions = [random_direction(rng, x.shape) for _ in range(3)]
    # Where the gradient is 0 it has no sign; with it, kinks are met at their sharpest.
    signs = np.sign(point.analytic[0][index])
    directions.append(np.where(signs == 0, directions[0], signs))
    for _ in range(2):
        tied = tied_direction(rng, x)
        if tied is not None:
            directions.append(tied)
    if x.size > options.max_elements:
        directions += structured_directions(rng, x.shape)
    return directions


def _other_point(point: Point, rng: np.random.Generator) -> Point | None:
    """Return the subject at another point of the same range of values; None if it has none."""
    for attempt in range(2):
        inputs = point.copies()
        for index in point.subject.wanted:
            x = inputs[index]
            if attempt == 0 and x.size > 1:
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
    for direction in (random_direction(rng, x.shape), random_direction(rng, x.shape)):
        prober.probe(direction)
    if not prober.misses:
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
    order = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.KINK, Verdict.PASS, Verdict.SKIPPED)
    found = {result.verdict for result in results}
    return next((verdict for verdict in order if verdict in found), Verdict.SKIPPED)
