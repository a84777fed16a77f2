"""Faults put into every family of operations: found, named and explained; right ones left alone."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import pytest

from tests.verify import fault_arrays, fault_layers, fault_matrices, fault_sites, fault_units
from tests.verify.faults import Pair, Setting, Site, false_alarms, try_pair

SITES = [
    *(*fault_sites.SITES, *fault_layers.SITES, *fault_arrays.SITES, *fault_matrices.SITES),
    *fault_units.SITES,
]
PAIRS = [Pair(site, fault) for site in SITES for fault in site.faults]

# Every pair meets random numbers and digits, one of the two in float32.
RANDOM = (Setting(False, np.float64, 1), Setting(False, np.float32, 2))
DIGITS = (Setting(True, np.float32, 3), Setting(True, np.float64, 4))
TRIED = list(zip(PAIRS, cycle(zip(RANDOM, DIGITS, strict=True)), strict=False))

FAMILIES = {
    *("elementwise", "piecewise", "activation", "reduce", "extreme", "softmax", "shape", "join"),
    *("index", "linalg", "conv", "pool", "norm", "loss", "pointwise", "ordering", "rearranging"),
    *("indexing", "matrices"),
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


@pytest.mark.parametrize(("pair", "settings"), TRIED, ids=[pair.id for pair in PAIRS])
def test_a_fault_is_found_in_its_operation_and_explained(
    pair: Pair, settings: tuple[Setting, ...]
) -> None:
    outcomes = [try_pair(pair, setting) for setting in settings]
    wrong = [outcome for outcome in outcomes if outcome.differs]  # a tie may never occur
    assert wrong, "it changes nothing: no fault"
    for outcome in wrong:
        assert outcome.detected, outcome.report.text(all=True)
        assert outcome.named, outcome.report.text()
        assert outcome.hinted or not pair.fault.hints, outcome.report.text()
        # A hint that leads away from the fault is worse than none.
        assert set(outcome.codes) <= {*pair.fault.hints, *ALSO_TRUE}, outcome.report.text()


@pytest.mark.parametrize("site", SITES, ids=lambda site: f"{site.family}-{site.name}")
def test_the_right_operation_raises_no_alarm(site: Site) -> None:
    for setting in (*RANDOM, *DIGITS):
        assert false_alarms(site, setting) == [], setting.name
