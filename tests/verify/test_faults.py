"""Faults put into every family of operations: found, named and explained; right ones left alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Set
from itertools import cycle
from typing import Any

import numpy as np
import pytest

from tests.verify.fault_families import SITES
from tests.verify.faults import Outcome, Pair, Setting, Site, false_alarms, try_pair

PAIRS = [Pair(site, fault) for site in SITES for fault in site.faults]

RANDOM, DIGITS = Setting(False, np.float64, 1), Setting(True, np.float32, 3)
RANDOM32, DIGITS64 = Setting(False, np.float32, 2), Setting(True, np.float64, 4)
# Every pair meets random numbers and digits, one of the two in float32; the second are slow tests.
ORDERS = ((RANDOM, DIGITS), (DIGITS64, RANDOM32), (DIGITS, RANDOM), (RANDOM32, DIGITS64))


def kind_of(pair: Pair) -> str:
    """The fault's name without the place that it is put in."""
    return re.sub(r" (of input|along axis) .*", "", pair.fault.name)


def one_of_each(key: Callable[[Pair], Any]) -> dict[Any, Pair]:
    """The first, which is of the smaller operations."""
    return {key(pair): pair for pair in PAIRS[::-1]}


# One of each kind that is put into several operations, of each hint and of each family. A wrong
# rule in each of the operations is what `test_every_op` tries.
KINDS = Counter(map(kind_of, PAIRS))
QUICK = {
    *(pair for kind, pair in one_of_each(kind_of).items() if KINDS[kind] > 1),
    *one_of_each(lambda pair: pair.fault.hints).values(),
    *one_of_each(lambda pair: pair.site.family).values(),
}
# Each kind, and each hint in each family. `examples/fault_table.py` tries all.
CHOSEN = {
    *QUICK,
    *one_of_each(kind_of).values(),
    *one_of_each(lambda pair: (pair.site.family, pair.fault.hints)).values(),
}

FAMILIES = {
    *("elementwise", "piecewise", "activation", "reduce", "extreme", "softmax", "shape", "join"),
    *("index", "linalg", "conv", "pool", "norm", "loss", "pointwise", "ordering", "rearranging"),
    *("indexing", "matrices", "resampling"),
}
HINTS = {
    *("sign", "times 2", "times 1/2", "times N", "times 1/N", "transposed", "flipped", "shifted"),
    *("last window", "last image", "mask missing", "wrong mask", "wrong axis", "mean term"),
    *("variance term", "ties", "earlier call", "precision"),
    *("operand", "permuted", "overlap", "term missing", "slope"),
}
# A number that is off is off by a factor, and twice is N times where N is 2; a table of factors by
# element, and a factor that each element has of its own, are what was measured.
ALSO_TRUE = {"factor", "times N", "times 1/N", "times 2", "times 1/2", "ratios", "slope"}


def test_there_are_enough_pairs_of_every_family_and_kind() -> None:
    assert len(PAIRS) >= 400
    assert len({pair.id for pair in PAIRS}) == len(PAIRS)
    assert {site.family for site in SITES} == FAMILIES
    assert {code for pair in PAIRS for code in pair.fault.hints} >= HINTS
    assert sum(bool(pair.fault.hints) for pair in PAIRS) >= 200


def assert_found(pair: Pair, outcome: Outcome) -> None:
    assert outcome.detected, outcome.report.text(all=True)
    assert outcome.named, outcome.report.text()
    assert outcome.hinted or not pair.fault.hints, outcome.report.text()
    # A hint that leads away from the fault is worse than none.
    assert set(outcome.codes) <= {*pair.fault.hints, *ALSO_TRUE}, outcome.report.text()


def per_pair(pairs: Set[Pair], slow: Set[Pair]) -> Any:
    return pytest.mark.parametrize(
        ("pair", "settings"),
        [
            pytest.param(pair, settings, id=pair.id, marks=[pytest.mark.slow] * (pair in slow))
            for settings, pair in zip(cycle(ORDERS), PAIRS, strict=False)
            if pair in pairs
        ],
    )


@per_pair(CHOSEN, slow=CHOSEN - QUICK)
def test_a_fault_is_found_in_its_operation_and_explained(
    pair: Pair, settings: tuple[Setting, ...]
) -> None:
    outcomes = (try_pair(pair, setting) for setting in settings)
    wrong = next((outcome for outcome in outcomes if outcome.differs), None)
    assert wrong is not None, "it changes nothing: no fault"  # a tie may never occur in one of two
    assert_found(pair, wrong)


@per_pair(QUICK, slow=QUICK)
def test_and_in_its_other_setting(pair: Pair, settings: tuple[Setting, ...]) -> None:
    outcome = try_pair(pair, settings[1])
    if outcome.differs:
        assert_found(pair, outcome)


def name_of(site: Site) -> str:
    return f"{site.family}-{site.name}"


@pytest.mark.parametrize("site", {site.family: site for site in SITES}.values(), ids=name_of)
def test_the_right_operation_raises_no_alarm(site: Site) -> None:
    assert false_alarms(site, DIGITS) == []


# Random numbers are what `test_samples` has; `examples/fault_table.py` tries all in both settings.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("site", "setting"),
    [
        pytest.param(site, setting, id=name_of(site))
        for site, setting in zip(SITES[::3], cycle((DIGITS64, DIGITS)), strict=False)
    ],
)
def test_nor_does_any_other_on_digits(site: Site, setting: Setting) -> None:
    assert false_alarms(site, setting) == []
