"""A sample of the attempts at a silent wrong gradient; all: ``python -m tests.attempts``."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from tests.attempts import HOW, WHEN, Attempt, attempts, outcome
from tests.op_samples import SAMPLES
from tinygrad_cnn import engine

PARTS = 8
EVERY = 197  # a prime: all of what, how and when come up


@pytest.mark.parametrize(
    "part", [0, 1, 2, *(pytest.param(n, marks=pytest.mark.slow) for n in range(3, PARTS))]
)
def test_no_gradient_is_wrong_without_a_word(part: int) -> None:
    chosen = list(itertools.islice(attempts(SAMPLES), part, None, EVERY * PARTS))
    found = Counter(outcome(attempt) for attempt in chosen)
    wrong = [text for text in found if text.startswith("WRONG")]
    assert not wrong, "\n".join(wrong)
    assert found["right"] > 20
    assert found["refused"] > 20


def test_the_attempts_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the engine's look at what was changed, gradients are wrong."""
    monkeypatch.setattr(engine, "check_unchanged", lambda _: None)
    sample = next(s for s in SAMPLES if s.id.startswith("Mul-"))
    found = [outcome(Attempt(sample, 0, "leaf", how, WHEN[0])) for how in HOW]
    assert sum(text.startswith("WRONG") for text in found) > 5
