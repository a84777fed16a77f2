"""A light check: all inputs of a subject moved at once, along one direction.

For what repeats something that was checked closely, and for the whole from end to end. A wrong
element shows in the sum unless it is lost in the error bar, some 1e-9 of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np

from tinygrad_cnn.verify.core import BETWEEN, UNSEEN, Options
from tinygrad_cnn.verify.numeric.along import Line, along_one
from tinygrad_cnn.verify.numeric.elements import generator
from tinygrad_cnn.verify.report import InputReport, Verdict
from tinygrad_cnn.verify.subjects.subject import Subject

Checked = TypeVar("Checked", bound=Subject)


def check_lightly(
    subject: Checked,
    options: Options,
    note: str,
    agrees: Callable[[Checked, Line], bool] | None = None,
) -> list[InputReport] | None:
    """Return the verdicts along one direction of all inputs at once; None where it settles nothing.

    ``note`` says of each that passes why it was checked no closer; ``agrees`` may ask for more of
    the gradients that the rule gave.
    """
    if any(np.size(subject.inputs[i]) == 0 for i in subject.wanted):
        return None
    line = along_one(subject, options.tolerance, generator(options.seed))
    if line is None or not line.settled or (agrees is not None and not agrees(subject, line)):
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
