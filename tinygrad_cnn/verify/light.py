"""A light check: all inputs of a subject moved at once, along one direction.

For what repeats something that was checked closely, and for the whole from end to end. A wrong
element shows in the sum unless it is lost in the error bar, some 1e-9 of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.verify.core import BETWEEN, UNSEEN, Options
from tinygrad_cnn.verify.numeric.elements import generator, random_direction
from tinygrad_cnn.verify.numeric.point import Point
from tinygrad_cnn.verify.numeric.probe import Prober
from tinygrad_cnn.verify.numeric.slopes import norm
from tinygrad_cnn.verify.report import Counts, InputReport, Verdict
from tinygrad_cnn.verify.subjects.joint import JointSubject
from tinygrad_cnn.verify.subjects.subject import RuleError, Subject

Array = npt.NDArray[Any]

_UNEVEN = 1e-2  # shares are made equal up to this ratio: beyond, rounding would hide the others


@dataclass(frozen=True)
class Line:
    """What was found along one direction.

    Attributes
    ----------
    prober
        With what it missed.
    shares
        The size of each input's terms in the sum that was compared.
    """

    prober: Prober
    shares: dict[int, float]

    @property
    def settled(self) -> bool:
        """Whether the rule agrees, and a wrong one would not have."""
        prober = self.prober
        sure = not (prober.misses or prober.unsure) and prober.seen
        return sure and bool(prober.finite.all())


def along_one(subject: Subject, options: Options) -> Line | None:
    """Compare along one direction of all inputs; None if forward or rule raises.

    Each input is moved as far as makes its share of the change as large as that of the others, if
    that is not further than the others.
    """
    rng = generator(options.seed)
    joint = JointSubject(subject, subject.inputs)
    with np.errstate(all="ignore"):
        try:
            point = Point(joint, joint.inputs, rng)
            prober = Prober(point, 0, options.tolerance, Counts())
            direction = random_direction(rng, prober.base.shape)
            shares = _balance(joint, direction, point.analytic[0][0])
            prober.probe(direction)
        except RuleError:
            return None
    return Line(prober, shares)


def _balance(joint: JointSubject, direction: Array, gradient: Array) -> dict[int, float]:
    """Make the shares of all inputs about equal, in place; return them."""
    shares = {i: norm(direction[part] * gradient[part]) for i, part in joint.parts.items()}
    largest = max(shares.values())
    if len(shares) == 1 or not largest or not np.isfinite(largest):
        return shares
    least = max(min(shares.values()), _UNEVEN * largest)
    for index, part in joint.parts.items():
        factor = least / max(shares[index], least)
        direction[part] *= factor
        shares[index] *= factor
    return shares


def check_lightly(subject: Subject, options: Options, note: str) -> list[InputReport] | None:
    """Return the verdicts along one direction of all inputs at once; None where it settles nothing.

    ``note`` says of each that passes why it was checked no closer.
    """
    if any(np.size(subject.inputs[i]) == 0 for i in subject.wanted):
        return None
    line = along_one(subject, options)
    if line is None or not line.settled:
        return None
    results = []
    for index in subject.wanted:
        shape = np.shape(subject.inputs[index])
        result = InputReport(subject.name, subject.names[index], index, shape)
        result.counts = replace(line.prober.counts)
        if line.shares[index] <= line.prober.bar:
            result.say(Verdict.UNSEEN, "note", UNSEEN)
        else:
            result.say(Verdict.PASS, "note", note)
            if line.prober.counts.kinks:
                result.say(Verdict.KINK, "note", BETWEEN)
        results.append(result)
    return results
