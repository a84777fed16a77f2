"""Mistakes that public projects had: found, explained, and nothing said against the right rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.verify.faults import edges
from tests.verify.real_bugs import BUGS, Bug
from tinygrad_cnn.verify import Report, check_backward

# What is measured, and true of any mistake that has it.
MEASURED = {"factor", "times N", "times 1/N", "times 2", "times 1/2", "ratios"}


def normal(rng: Any, shape: tuple[int, ...]) -> Any:
    return rng.standard_normal(shape)


def check(bug: Bug, wrong: bool, draw: Any) -> Report:
    arrays = bug.draw(np.random.default_rng(11), draw)
    return check_backward(
        bug.forward, lambda g, *a: bug.rule(g, *a, wrong=wrong), arrays, raise_exception=False
    )


DRAWS = {"random": normal, "digits": edges}


@pytest.mark.parametrize(
    ("bug", "draw"),
    [  # half of them, on the two in turns; the others, and on both, among the slow tests
        pytest.param(
            bug,
            draw,
            id=f"{bug.name.replace(' ', '_')}-{name}",
            marks=[pytest.mark.slow] if (place + turn) % 2 or place % 4 > 1 else [],
        )
        for place, bug in enumerate(BUGS)
        for turn, (name, draw) in enumerate(DRAWS.items())
    ],
)
def test_it_is_found_and_explained(bug: Bug, draw: Any) -> None:
    right = check(bug, False, draw)
    assert all(r.ok for r in right.results), right.text()
    report = check(bug, True, draw)
    assert report.failures, report.text(all=True)
    codes = {h.code for r in report.failures for h in r.hints}
    kinds = {f.kind for r in report.failures for f in r.findings}
    assert bug.true & (codes | kinds), report.text()
    assert codes <= bug.true | MEASURED, report.text()
