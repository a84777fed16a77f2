"""ONNX's own tests of nodes: every one over the operators that are there is equal."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tests.onnx_files.node_cases import (
    NO_SLOPE,
    Case,
    collect,
    compare,
    gradients,
    reason_to_leave_out,
)
from tinygrad_cnn.verify import Verdict

pytest.importorskip("onnx", reason="its tests of nodes come with the package onnx")


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case for case in collect() if not reason_to_leave_out(case)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # logarithms of 0, remainders by 0
def test_outputs_are_equal(cases: list[Case]) -> None:
    wrong = {}
    for case in cases:
        try:
            compare(case)
        except Exception as error:  # all are said at once
            wrong[case.name] = str(error)[:200]
    assert not wrong
    assert len(cases) >= 1400


# One test of each operator; all of them: python -m tests.onnx_files.node_cases --gradients
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_gradients_are_verified(cases: list[Case]) -> None:
    seen: Counter[str] = Counter()
    wrong = {}
    for case in cases:
        sizes = [np.size(v) for v in case.sets[0][0]]
        of_one = len(case.operators) == 1 and not seen[case.operators[0]]
        if not of_one or max(sizes, default=0) > 200 or case.name in NO_SLOPE:
            continue
        seen[case.operators[0]] += 1
        report = gradients(case)
        if report is not None and report.verdict is Verdict.FAIL:
            wrong[case.name] = report.text()[:400]
    assert not wrong
    assert len(seen) > 100
