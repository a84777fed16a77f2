"""Samples of the steps and of what a division leaves over, with those at their jumps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.samples.base import ErrorSample, Sample
from tests.samples.elementwise import by_hand
from tinygrad_cnn.ops import rounding as ops
from tinygrad_cnn.ops.elementwise import Sub
from tinygrad_cnn.ops.piecewise import Where
from tinygrad_cnn.ops.rounding import (
    Ceil,
    Copysign,
    Floor,
    FloorDivide,
    Fmod,
    Nextafter,
    Remainder,
    Round,
    Trunc,
)

_BETWEEN = np.array([[1.2, -1.2, 0.3], [-0.3, 2.7, -2.7]])
_A, _B = np.array([7.5, -7.5, 5.3, -5.3]), np.array([2.0, 2.0, -1.5, -1.5])


def _steps(op: Any, function: Callable[[Any], Any], f: Callable[[float], float]) -> list[Sample]:
    return [
        Sample(op, function, (_BETWEEN,), by_hand(f)),
        Sample(op, function, (np.array(0.7),), by_hand(f), "0-d"),
        Sample(op, function, (np.zeros((2, 0)),), by_hand(f), "empty"),
        Sample(
            op,
            function,
            (np.array([1.0, -2.0, 0.0]),),
            np.array,
            "jump",
            smooth=False,
            gradients=(np.zeros(3),),
        ),
    ]


def _divisions(op: Any, function: Callable[[Any, Any], Any], f: Any) -> list[Sample]:
    return [
        Sample(op, function, (_A, _B), by_hand(f)),
        Sample(op, function, (_A.reshape(4, 1), _B[:2]), by_hand(f), "broadcast"),
        Sample(op, lambda x: function(x, 2.0), (_A,), by_hand(lambda v: f(v, 2.0)), "number right"),
        Sample(op, lambda x: function(9.1, x), (_B,), by_hand(lambda v: f(9.1, v)), "number left"),
        Sample(op, function, (_A, np.array([2, 3, 2, 3])), by_hand(f), "integer array"),
    ]


SAMPLES = [
    *_steps(Floor, ops.floor, math.floor),
    *_steps(Ceil, ops.ceil, math.ceil),
    *_steps(Trunc, ops.trunc, math.trunc),
    *_steps(Round, ops.round, round),
    Sample(
        Round,
        lambda x: ops.round(x, decimals=1),
        (np.array([0.12, 0.37]),),
        by_hand(lambda v: round(v, 1)),
        "decimals",
    ),
    Sample(
        Round,
        lambda x: ops.round(x, decimals=-1),
        (np.array([12.0, 37.0]),),
        by_hand(lambda v: round(v, -1)),
        "tens",
    ),
    Sample(
        Round,
        ops.round,
        (np.array([0.5, 1.5, 2.5]),),
        by_hand(round),
        "halves to even",
        smooth=False,
        gradients=(np.zeros(3),),
    ),
    *_divisions(FloorDivide, ops.floor_divide, lambda a, b: a // b),
    *_divisions(Remainder, ops.remainder, lambda a, b: a % b),
    *_divisions(Fmod, ops.fmod, math.fmod),
    Sample(
        Remainder,
        ops.remainder,
        (np.array([4.0, -4.0]), np.array([2.0, 2.0])),
        by_hand(lambda a, b: a % b),
        "jump",
        smooth=False,
        gradients=(np.ones(2), np.array([-2.0, 2.0])),
    ),
    Sample(Sub, ops.frac, (_BETWEEN,), by_hand(lambda x: x - math.trunc(x)), "frac"),
    Sample(
        Sub,
        ops.frac,
        (np.array([-1.0, 0.0, 2.0]),),
        np.zeros_like,
        "frac at jumps",
        smooth=False,
        gradients=(np.ones(3),),
    ),
    Sample(Copysign, ops.copysign, (_BETWEEN, _A[:3]), by_hand(math.copysign)),
    Sample(
        Copysign,
        ops.copysign,
        (np.array([0.0, 2.0, -2.0]), np.array([-1.0, -0.0, 0.0])),
        by_hand(math.copysign),
        "zeros",
        smooth=False,
        gradients=(np.array([0.0, -1.0, -1.0]), np.zeros(3)),
    ),
    Sample(
        Nextafter,
        ops.nextafter,
        (np.array([1.0, -2.0]), np.array([2.0, -3.0])),
        by_hand(math.nextafter),
        rtol=0.0,
        atol=0.0,
    ),
    Sample(
        Where,
        ops.heaviside,
        (_BETWEEN, np.full((2, 3), 0.5)),
        by_hand(lambda x, v: float(x > 0)),
        "heaviside",
    ),
    Sample(
        Where,
        ops.heaviside,
        (np.array([0.0, 1.0]), np.array([0.25, 0.5])),
        lambda x, v: np.array([0.25, 1.0]),
        "heaviside at 0",
        smooth=False,
        gradients=(np.zeros(2), np.array([1.0, 0.0])),
    ),
]

ERRORS = [
    ErrorSample(lambda: ops.floor(_A * 1j), TypeError, "^floor: expects real numbers", "complex"),
    ErrorSample(lambda: ops.heaviside("x", 1.0), TypeError, "heaviside: expects tensors"),
    ErrorSample(lambda: ops.floor("a"), TypeError, "^floor: expects .* got str"),
    ErrorSample(lambda: ops.remainder(np.ones(2), "a"), TypeError, "^remainder: .* got str"),
]
