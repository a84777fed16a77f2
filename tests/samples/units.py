"""Samples of exponential, learned and gated activations, against formulas of Python floats."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.samples.activation import kinds, logistic, smooth_kinds, smooth_positive
from tests.samples.base import Array, ErrorSample, Sample
from tests.samples.elementwise import by_hand, signed
from tinygrad_cnn.ops.activation import LeakyRelu, Sigmoid, Softplus, Tanh
from tinygrad_cnn.ops.pointwise import units as ops
from tinygrad_cnn.ops.pointwise.units import Elu, PRelu
from tinygrad_cnn.ops.softmax import Softmax

_far = np.array([-1e4, -500.0, 500.0, 1e4])
_signs = (_far > 0).astype(float)
_SCALE, _ALPHA = 1.0507009873554805, 1.6732632423543772


def _exponential(alpha: float, scale: float = 1.0, width: float = 1.0) -> Any:
    return lambda v: scale * (v if v > 0 else alpha * math.expm1(v / width))


def _celu(x: Any) -> Any:
    return ops.celu(x, 1.5)


def _elu(x: Any) -> Any:
    return ops.elu(x, 0.5)


def _slopes(x: Array, w: Array) -> Array:
    """Channel by channel."""
    out = np.array(x)
    for index in np.ndindex(x.shape):
        slope = w.reshape(-1)[index[1] if w.size > 1 else 0]
        out[index] = x[index] if x[index] > 0 else slope * x[index]
    return out


def _random(x: Any) -> Any:
    return ops.rrelu(x, 0.1, 0.4, training=True, generator=np.random.default_rng(5))


def _drawn(x: Array) -> Array:
    return np.where(x > 0, x, x * np.random.default_rng(5).uniform(0.1, 0.4, x.shape))


def _kink(op: Any, function: Any, slope: float) -> Sample:
    return Sample(
        op,
        function,
        (np.array([0.0, -0.0]),),
        lambda x: np.zeros(2),
        f"kink of {function.__name__}",
        smooth=False,
        gradients=(np.array([slope, slope]),),
    )


SAMPLES = [
    *kinds(Elu, ops.elu, _exponential(1.0), _signs),
    *kinds(Elu, _elu, _exponential(0.5), _signs),
    *kinds(Elu, ops.selu, _exponential(_ALPHA, _SCALE), _SCALE * _signs),
    *kinds(Elu, _celu, _exponential(1.5, width=1.5), _signs),
    _kink(Elu, _elu, 0.5),
    _kink(Elu, ops.selu, _ALPHA * _SCALE),
    _kink(Elu, _celu, 1.0),
    *[
        Sample(PRelu, ops.prelu, (x, w), _slopes, note)
        for note, x, w in [
            ("one slope", signed(2, 3, 2), signed(1)),
            ("a number", signed(2, 3), signed()),
            ("channels", signed(2, 3, 2, 2), signed(3)),
            ("features", signed(4, 3), signed(3)),
            ("no images", np.empty((0, 3, 2)), signed(3)),
        ]
    ],
    Sample(
        PRelu,
        ops.prelu,
        (signed(4), signed(1)),
        lambda x, w: np.where(x > 0, x, x * w),
        "one vector",
    ),
    Sample(
        PRelu,
        ops.prelu,
        (np.array([[0.0, -0.0]]), np.array([0.25])),
        lambda x, w: np.zeros((1, 2)),
        "kink",
        smooth=False,
        gradients=(np.array([[0.25, 0.25]]), np.array([0.0])),
    ),
    Sample(PRelu, _random, (signed(3, 4),), _drawn, "slopes drawn"),
    Sample(
        LeakyRelu,
        lambda x: ops.rrelu(x, 0.1, 0.4),
        (signed(3, 4),),
        lambda x: np.where(x > 0, x, x * 0.25),
        "mean of the slopes",
    ),
    *smooth_kinds(Softplus, ops.logsigmoid, lambda v: -smooth_positive(-v), 1.0 - _signs),
    *smooth_kinds((Tanh, Softplus), ops.mish, lambda v: v * math.tanh(smooth_positive(v)), _signs),
    *smooth_kinds(Tanh, ops.tanhshrink, lambda v: v - math.tanh(v), np.ones(4)),
    *[
        Sample(
            Sigmoid,
            lambda x, dim=dim: ops.glu(x, dim),
            (signed(4, 2, 6),),
            lambda x, dim=dim: (
                np.take(x, range(x.shape[dim] // 2), dim)
                * by_hand(logistic)(np.take(x, range(x.shape[dim] // 2, x.shape[dim]), dim))
            ),
            f"glu of dim {dim}",
        )
        for dim in (-1, 0, 1)
    ],
    Sample(
        Softmax,
        lambda x: ops.softmin(x, 1),
        (signed(2, 3),),
        lambda x: np.array(
            [[math.exp(-v) / sum(math.exp(-u) for u in row) for v in row] for row in x]
        ),
        "softmin",
    ),
]

ERRORS = [
    ErrorSample(lambda: ops.celu(np.ones(2), 0.0), ValueError, "^celu: expects an alpha"),
    ErrorSample(
        lambda: ops.prelu(np.ones((2, 3)), np.ones(2)),
        ValueError,
        r"^prelu: weight expects one number or shape \(3,\), .* got \(2,\)",
    ),
    ErrorSample(
        lambda: ops.rrelu(np.ones(2), 0.5, 0.1), ValueError, "^rrelu: expects lower <= upper"
    ),
    ErrorSample(
        lambda: ops.glu(np.ones((2, 3))),
        ValueError,
        "^glu: expects an even size of .* got 3",
    ),
    ErrorSample(lambda: ops.glu(np.array(1.0)), ValueError, "^glu: expects at least one dimension"),
    ErrorSample(lambda: ops.glu(np.ones(2), 1), IndexError, "^glu: dim 1 does not exist"),
]
