"""Every fault is found, at the right input, with the right hint; right rules raise no alarm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.verify import injection as inject
from tests.verify.injection import EVERYWHERE, SPATIAL, Fault, faulty
from tinygrad_cnn.data import digits
from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.activation import Relu
from tinygrad_cnn.ops.conv.trilinear import Conv2d
from tinygrad_cnn.ops.elementwise import Exp, Mul
from tinygrad_cnn.ops.extreme import Max
from tinygrad_cnn.ops.linalg import Matmul
from tinygrad_cnn.ops.norm import BatchNorm
from tinygrad_cnn.ops.pool.maximum import MaxPool2d
from tinygrad_cnn.ops.softmax import LogSoftmax, Softmax
from tinygrad_cnn.verify import Verdict, gradcheck

_rng = np.random.default_rng(0)
_normal = _rng.standard_normal

DIGITS = digits()[0].images[:4].reshape(4, 1, 28, 28) / 255.0
FEATURES = np.maximum(F.conv2d(DIGITS, _normal((3, 1, 3, 3)), None, 1, 1), 0)  # zeros tie
CONV = Conv2d(Window((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)), 1)
POOL = MaxPool2d((2, 2), (2, 2), (0, 0), (1, 1), False)
TRANSPOSED: dict[Fault, str | None] = {inject.transposed: "transposed"}

CASES: dict[str, tuple[Op, tuple[Any, ...], int, dict[Fault, str | None]]] = {
    "conv-input": (
        CONV,
        (_normal((2, 3, 6, 6)), _normal((4, 3, 3, 3)), _normal(4)),
        0,
        {**EVERYWHERE, **SPATIAL, **TRANSPOSED},
    ),
    "conv-weight": (
        CONV,
        (_normal((2, 3, 6, 6)), _normal((4, 3, 3, 3)), _normal(4)),
        1,
        {**EVERYWHERE, **SPATIAL, **TRANSPOSED},
    ),
    "conv-bias": (
        CONV,
        (_normal((2, 3, 6, 6)), _normal((4, 3, 3, 3)), _normal(4)),
        2,
        {**EVERYWHERE, inject.last_window: "last window"},
    ),
    "conv-weight-digits": (
        CONV,
        (DIGITS, _normal((3, 1, 3, 3)), _normal(3)),
        1,
        {inject.flipped: "flipped", inject.one_element: None, inject.stale: "earlier call"},
    ),
    "relu-kinks": (
        Relu(),
        (np.where(_normal((4, 2, 5, 5)) > 0, 0.0, _normal((4, 2, 5, 5))),),
        0,
        {
            **{k: v for k, v in EVERYWHERE.items() if k is not inject.channel},
            inject.no_mask: "mask missing",
            inject.mask_of_gradient: "wrong mask",
            inject.stale_factor: "earlier call",
        },
    ),
    "relu-digits": (
        Relu(),
        (DIGITS - 0.3,),
        0,
        {inject.no_mask: "mask missing", inject.mask_of_gradient: "wrong mask"},
    ),
    "pool-digits": (POOL, (FEATURES,), 0, {**EVERYWHERE, **SPATIAL}),
    "max-ties": (Max(1, False), (np.round(_normal((6, 5))),), 0, EVERYWHERE),
    "batch-norm": (
        BatchNorm(1e-5),
        (_normal((4, 3, 5, 5)), _normal(3), _normal(3)),
        0,
        {
            **EVERYWHERE,
            **SPATIAL,
            inject.normalisation_without("mean"): "mean term",
            inject.normalisation_without("variance"): "variance term",
        },
    ),
    "batch-norm-weight": (
        BatchNorm(1e-5),
        (_normal((4, 3, 5, 5)), _normal(3), _normal(3)),
        1,
        EVERYWHERE,
    ),
    "batch-norm-digits": (
        BatchNorm(1e-5),
        (F.conv2d(DIGITS, _normal((3, 1, 3, 3)), None, 1, 1), _normal(3), _normal(3)),
        0,
        {
            inject.normalisation_without("mean"): "mean term",
            inject.normalisation_without("variance"): "variance term",
            inject.one_element: None,
        },
    ),
    "softmax": (
        Softmax(1),
        (_normal((64, 10)),),
        0,
        {**EVERYWHERE, inject.softmax_over_rows: "wrong axis"},
    ),
    "log-softmax": (
        LogSoftmax(1),
        (_normal((8, 10)),),
        0,
        {**EVERYWHERE, inject.log_softmax_over_rows: "wrong axis"},
    ),
    "mul-broadcast": (
        Mul(),
        (_normal((10, 10)), _normal(10)),
        1,
        {**EVERYWHERE, inject.product_over_columns: "wrong axis"},
    ),
    "exp": (Exp(), (_normal((6, 6)),), 0, {**EVERYWHERE, **TRANSPOSED}),
    "matmul": (Matmul(), (_normal((5, 5)), _normal((5, 5))), 0, {**EVERYWHERE, **TRANSPOSED}),
}

PAIRS = [(name, fault, hint) for name, case in CASES.items() for fault, hint in case[3].items()]


@pytest.mark.parametrize("name", CASES)
def test_a_right_rule_raises_no_alarm(name: str) -> None:
    op, inputs, _, _ = CASES[name]
    for seed in range(2):
        report = gradcheck(op, inputs, seed=seed, raise_exception=False)
        assert report, report.text()


@pytest.mark.parametrize(
    ("name", "fault", "hint"), PAIRS, ids=[f"{n}-{f.__name__}" for n, f, _ in PAIRS]
)
def test_a_fault_is_found_named_and_explained(name: str, fault: Fault, hint: str | None) -> None:
    op, inputs, index, _ = CASES[name]
    report = gradcheck(faulty(op, fault, index), inputs, raise_exception=False)
    assert report.verdict is Verdict.FAIL, report.text(all=True)
    nodes = [r for r in report.failures if r.seq is not None]
    assert {r.op for r in nodes} == {op.describe()}
    if fault is not inject.changes_gradient:  # that spoils every gradient
        assert {r.position for r in nodes} == {index}, report.text()
    if hint is not None:
        found = {h.code for r in report.failures for h in r.hints}
        assert hint in found, report.text()
