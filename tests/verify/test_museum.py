"""The museum's exhibits: found, not misleadingly explained, and the right rules not accused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))
try:
    import museum
    from exhibits import EXHIBITS, Exhibit
finally:
    sys.path.remove(str(EXAMPLES))

# A few: all are what the example shows, which `test_examples` compares with the guide's page.
A_FEW = ("output layer", "dropout: a mask drawn anew", "subtraction")


def test_there_are_many_each_with_its_source() -> None:
    assert len(EXHIBITS) >= 40
    assert len({exhibit.name for exhibit in EXHIBITS}) == len(EXHIBITS)
    assert all(exhibit.source.startswith("https://github.com/") for exhibit in EXHIBITS)


@pytest.mark.parametrize(
    "exhibit", [e for e in EXHIBITS if e.name.startswith(A_FEW)], ids=lambda e: e.name
)
def test_it_is_found_and_nothing_false_is_said(exhibit: Exhibit) -> None:
    outcome = museum.outcome_of(exhibit, [], seed=5)
    assert outcome.found
    assert not outcome.alarm
    assert not outcome.misleading, outcome.said
    assert outcome.explained, outcome.said


def test_the_peers_judge_a_right_and_a_wrong_rule() -> None:
    if not museum.PEERS:
        pytest.skip("none of torch, jax, autograd is installed")

    def rule(g: Any, a: Any, b: Any, sign: float = 1.0) -> Any:
        return sign * g * b, g * a

    inputs = [np.arange(1.0, 4.0), np.arange(2.0, 5.0)]
    for peer in museum.PEERS:
        assert museum.accepts(peer, np.multiply, rule, inputs), peer
        wrong = lambda g, a, b: rule(g, a, b, -1.0)  # noqa: E731
        assert not museum.accepts(peer, np.multiply, wrong, inputs), peer
