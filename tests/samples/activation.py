"""Samples of the activations, with kinks and large inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.samples.base import Array, ErrorSample, Sample
from tests.samples.elementwise import by_hand, signed
from tinygrad_cnn.ops import activation as ops
from tinygrad_cnn.ops.activation import (
    Erf,
    Gate,
    Gelu,
    GeluTanh,
    LeakyRelu,
    Relu,
    Sigmoid,
    Silu,
    Softplus,
    Softsign,
    Tanh,
)

_far = np.array([-1e4, -500.0, 500.0, 1e4])
_signs = (_far > 0).astype(float)


def logistic(v: float) -> float:
    return 1 / (1 + math.exp(-v)) if v > -700 else 0.0


def smooth_positive(v: float) -> float:
    return math.log1p(math.exp(v)) if v < 700 else v


def _normal(v: float) -> float:
    return 0.5 * math.erfc(-v / math.sqrt(2))


def _normal_by_tanh(v: float) -> float:
    return 0.5 * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))


def kinds(
    op: Any, function: Callable[..., Any], f: Callable[[float], float], far_slopes: Array
) -> list[Sample]:
    return [
        Sample(op, function, (signed(2, 3),), by_hand(f)),
        Sample(op, function, (signed(),), by_hand(f), "0-d"),
        Sample(op, function, (np.empty((0, 3)),), by_hand(f), "empty"),
        Sample(op, function, (signed(2, 3, 2, 2),), by_hand(f), "images"),
        Sample(op, function, (signed(70, 60),), by_hand(f), "beyond the small path"),
        Sample(
            op,
            function,
            (_far,),
            by_hand(f),
            "large",
            smooth=False,
            gradients=(far_slopes,),
        ),
        Sample(
            op,
            function,
            (np.array([np.nan, 1.0]),),
            lambda x: np.array([np.nan, f(x[1])]),
            "nan in nan out",
            smooth=False,
            gradients=(None,),
        ),
    ]


def smooth_kinds(
    op: Any, function: Callable[..., Any], f: Callable[[float], float], far_slopes: Array
) -> list[Sample]:
    return [
        *kinds(op, function, f, far_slopes),
        Sample(op, function, (np.array([0.0, 1e-3, 3.0, -3.0, 6.0, -6.0]),), by_hand(f), "tails"),
    ]


def _kink(op: Any, function: Callable[..., Any], slope: float) -> Sample:
    return Sample(
        op,
        function,
        (np.array([0.0, -0.0, 2.0, -2.0]),),
        by_hand(lambda v: v if v > 0 else slope * v),
        "kink",
        smooth=False,
        gradients=(np.array([slope, slope, 1.0, slope]),),
    )


def _leaky(slope: float) -> Callable[[Any], Any]:
    return lambda x: ops.leaky_relu(x, slope)


SAMPLES = [
    *kinds(Relu, ops.relu, lambda v: max(v, 0.0), _signs),
    _kink(Relu, ops.relu, 0.0),
    Sample(
        Relu,
        lambda x, w: ops.relu(x * w),
        (signed(2, 3), signed(3)),
        by_hand(lambda v, w: max(v * w, 0.0)),
        "second derivative through its input",
    ),
    Sample(
        Gate,
        Gate(0.0),
        (signed(2, 3), signed(2, 3)),
        by_hand(lambda v, c: v if c > 0 else 0.0),
    ),
    Sample(
        Gate,
        Gate(0.25),
        (signed(2, 3), signed(2, 3)),
        by_hand(lambda v, c: v if c > 0 else 0.25 * v),
        "slope",
    ),
    *kinds(
        LeakyRelu, ops.leaky_relu, lambda v: v if v > 0 else 0.01 * v, np.where(_far > 0, 1.0, 0.01)
    ),
    _kink(LeakyRelu, ops.leaky_relu, 0.01),
    *[_kink(LeakyRelu, _leaky(slope), slope) for slope in (0.0, -0.5, 2.0)],
    Sample(
        LeakyRelu,
        _leaky(-0.5),
        (signed(2, 3),),
        by_hand(lambda v: v if v > 0 else -0.5 * v),
        "negative slope",
    ),
    *smooth_kinds(Sigmoid, ops.sigmoid, logistic, np.zeros(4)),
    Sample(
        Sigmoid,
        ops.sigmoid,
        (np.array([-40.0, -600.0]),),
        lambda x: np.exp(x),
        "lower tail",
        smooth=False,
        gradients=(np.exp(np.array([-40.0, -600.0])),),
        rtol=1e-12,
        atol=0.0,
    ),
    *smooth_kinds(Tanh, ops.tanh, math.tanh, np.zeros(4)),
    *smooth_kinds(Softplus, ops.softplus, smooth_positive, _signs),
    Sample(
        Softplus,
        lambda x: ops.softplus(x, beta=2.5),
        (signed(2, 3),),
        by_hand(lambda v: smooth_positive(2.5 * v) / 2.5),
        "beta",
    ),
    Sample(
        Softplus,
        lambda x: ops.softplus(x, 2.0, 1.0),
        (np.array([-2.0, 0.3, 0.7, 3.0]),),
        by_hand(lambda v: v if 2 * v > 1 else smooth_positive(2 * v) / 2),
        "threshold",
    ),
    Sample(
        Softplus,
        ops.softplus,
        (np.array([-30.0, -600.0]),),
        lambda x: np.exp(x),
        "lower tail",
        smooth=False,
        gradients=(np.exp(np.array([-30.0, -600.0])),),
        rtol=1e-12,
        atol=0.0,
    ),
    *smooth_kinds(Erf, ops.erf, math.erf, np.zeros(4)),
    *smooth_kinds(Gelu, ops.gelu, lambda v: v * _normal(v), _signs),
    *smooth_kinds(
        GeluTanh,
        lambda x: ops.gelu(x, approximate="tanh"),
        lambda v: v * _normal_by_tanh(v),
        _signs,
    ),
    *kinds(Softsign, ops.softsign, lambda v: v / (1 + abs(v)), 1 / (1 + abs(_far)) ** 2),
    *smooth_kinds(Silu, ops.silu, lambda v: v * logistic(v), _signs),
]

ERRORS = [
    ErrorSample(
        lambda: ops.gelu(np.ones(2), "tan"),
        ValueError,
        '^gelu: approximate expects "none" or "tanh", got \'tan\'',
    ),
    ErrorSample(
        lambda: ops.softplus(np.ones(2), beta=0), ValueError, "^softplus: expects a beta other than"
    ),
    ErrorSample(lambda: ops.relu("x"), TypeError, "^relu: expects tensors, arrays or numbers"),
]
