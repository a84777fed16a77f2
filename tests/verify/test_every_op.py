"""Every operation of the package gets a wrong rule, and the verification finds it.

The operation is recorded by the smallest of its samples, so that a new one needs no line here. The
faults that only some kinds of operations can have, and the hints that explain them, are in
`fault_sites` and `fault_layers`.
"""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.op_samples import SAMPLES
from tests.samples.base import Sample
from tests.verify.faults import Call, broken
from tinygrad_cnn import tensor
from tinygrad_cnn.graph import nodes_below
from tinygrad_cnn.op import Op
from tinygrad_cnn.verify import Verdict, walk
from tinygrad_cnn.verify.core import Options
from tinygrad_cnn.verify.recorded import check_recorded
from tinygrad_cnn.verify.walk import Selection


def smallest_samples() -> dict[type[Op], Sample]:
    """For each op, its smallest sample that can be differentiated."""
    found: dict[type[Op], Sample] = {}
    for sample in sorted(SAMPLES, key=lambda s: sum(a.size for a in s.inputs)):
        floats = [array for array in sample.inputs if array.dtype.kind == "f"]
        if sample.smooth and floats and all(array.size for array in floats):
            for op in sample.ops:
                found.setdefault(op, sample)
    return found


NEVER_SMOOTH = {"Mode": "the most frequent of equal elements: any step makes others of them"}

SMALLEST = smallest_samples()


def test_every_op_has_a_smooth_sample() -> None:
    sampled = {op for sample in SAMPLES for op in sample.ops}
    missing = sorted(
        f"{op.__module__}.{op.__name__}"
        for op in sampled - SMALLEST.keys()
        if op.__name__ not in NEVER_SMOOTH
    )
    assert not missing, (
        f"{missing}: no sample is smooth and has elements, so no fault can be tried: add one in "
        "tests/samples"
    )


def off(call: Call) -> list[Any]:
    """The right gradients scaled, and some of what came in: wrong for any rule, zero or not."""
    return [None if r is None else 2.5 * r + 0.7 * np.sum(call.g) for r in call.right()]


@pytest.mark.parametrize("op", SMALLEST, ids=lambda op: op.__name__)
def test_a_wrong_rule_is_found(op: type[Op]) -> None:
    sample = SMALLEST[op]
    leaves = [tensor(a, requires_grad=True) if a.dtype.kind == "f" else a for a in sample.inputs]
    y = sample.function(*leaves)
    weights = np.random.default_rng(6).uniform(0.5, 1.5, y.shape)
    loss = F.sum(y * tensor(weights))
    node = [node for node in nodes_below(y) if type(node.op) is op][-1]
    node.op = broken(node.op, off)
    # All elements are wrong, so few are enough; what is said of it, and of the operations around
    # it, is for `test_faults`.
    few, it = Options(max_elements=2, explained=False), Selection(only=node.op.name)
    with mock.patch.object(walk, "_blames_engine", return_value=False):  # a check of its own
        results = check_recorded("every op", loss, few, selection=it)
    failed = {r.seq for r in results if r.verdict is Verdict.FAIL and r.seq is not None}
    assert failed == {node.seq}
