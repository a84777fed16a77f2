"""Samples of the activations that are flat in places, at their kinks too."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.samples.activation import kinds
from tests.samples.base import ErrorSample, Sample
from tests.samples.elementwise import by_hand, signed
from tinygrad_cnn.ops.pointwise import hard as ops
from tinygrad_cnn.ops.pointwise.hard import Hardshrink, Hardswish, Hardtanh, Softshrink, Threshold

_signs = np.array([0.0, 0.0, 1.0, 1.0])
_ends = np.zeros(4)
_both = np.ones(4)


def _at(op: Any, function: Any, x: list[float], f: Any, slopes: list[float]) -> Sample:
    """The values and slopes at kinks."""
    return Sample(
        op,
        function,
        (np.array(x),),
        by_hand(f),
        f"kinks of {function.__name__}",
        smooth=False,
        gradients=(np.array(slopes),),
    )


def _hardswish(v: float) -> float:
    return v * min(max(v + 3, 0.0), 6.0) / 6


def _hard_shrink(v: float) -> float:
    return v if v < -0.5 or v > 0.5 else 0.0


def _soft_shrink(v: float) -> float:
    return v - 0.5 if v > 0.5 else v + 0.5 if v < -0.5 else 0.0


def _threshold(x: Any) -> Any:
    return ops.threshold(x, 0.25, -7.0)


SAMPLES = [
    *kinds(Hardtanh, ops.hardtanh, lambda v: min(max(v, -1.0), 1.0), _ends),
    *kinds(Hardtanh, ops.relu6, lambda v: min(max(v, 0.0), 6.0), _ends),
    *kinds(Hardtanh, ops.hardsigmoid, lambda v: min(max(v + 3, 0.0), 6.0) / 6, _ends),
    *kinds(Hardswish, ops.hardswish, _hardswish, _signs),
    *kinds(Hardshrink, ops.hardshrink, _hard_shrink, _both),
    *kinds(Softshrink, ops.softshrink, _soft_shrink, _both),
    *kinds(Threshold, _threshold, lambda v: v if v > 0.25 else -7.0, _signs),
    Sample(
        Hardtanh,
        lambda x: ops.hardtanh(x, -0.75, 1.5),
        (signed(3, 4),),
        lambda x: np.minimum(np.maximum(x, -0.75), 1.5),
        "limits",
    ),
    Sample(
        Hardswish,
        ops.hardswish,
        (np.array([-5.0, -2.0, -1.5, 0.0, 2.5, 4.0]),),
        by_hand(_hardswish),
        "all pieces",
    ),
    _at(Hardtanh, ops.hardtanh, [-1.0, 1.0], lambda v: v, [0.0, 0.0]),
    _at(Hardtanh, ops.relu6, [0.0, -0.0, 6.0], lambda v: v, [0.0, 0.0, 0.0]),
    _at(
        Hardtanh,
        ops.hardsigmoid,
        [-3.0, 0.0, 3.0],
        lambda v: (v + 3) / 6,
        [0.0, 1 / 6, 0.0],  # to the last digits, where PyTorch's slope is that of float32
    ),
    _at(Hardswish, ops.hardswish, [-3.0, 3.0], _hardswish, [0.0, 1.0]),
    _at(Hardshrink, ops.hardshrink, [-0.5, 0.5], _hard_shrink, [0.0, 0.0]),
    _at(Softshrink, ops.softshrink, [-0.5, 0.5], _soft_shrink, [0.0, 0.0]),
    _at(Threshold, _threshold, [0.25], lambda v: -7.0, [0.0]),
]

ERRORS = [
    ErrorSample(
        lambda: ops.hardtanh(np.ones(2), 1.0, 0.0),
        ValueError,
        "^hardtanh: expects min_val <= max_val, got 1.0 and 0.0",
    ),
    ErrorSample(
        lambda: ops.softshrink(np.ones(2), -1.0),
        ValueError,
        "^softshrink: lambd expects a number >= 0, got -1.0",
    ),
]
