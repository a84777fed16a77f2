"""Samples of powers, roots and logarithms, against Python's."""

from __future__ import annotations

import math

import numpy as np

from tests.samples.base import ErrorSample, Sample
from tests.samples.elementwise import by_hand, positive, signed
from tests.samples.trigonometry import not_finite, unary
from tinygrad_cnn.ops.elementwise import Log, Pow
from tinygrad_cnn.ops.pointwise import powers as ops

_any = np.array([-3.0, -0.5, -1e-3, 0.2, 1.0, 2.5])
_above = np.array([0.05, 0.3, 1.0, 2.0, 40.0])

SAMPLES = [
    *unary(ops.Exp2, ops.exp2, math.exp2, _any),
    *unary(ops.Expm1, ops.expm1, math.expm1, _any),
    *unary(ops.Log2, ops.log2, math.log2, _above),
    *unary(ops.Log10, ops.log10, math.log10, _above),
    *unary(ops.Cbrt, ops.cbrt, math.cbrt, _any[[0, 1, 3, 4]]),
    *unary(ops.Reciprocal, ops.reciprocal, lambda x: 1 / x, _any[[0, 1, 3, 4]]),
    *unary(ops.Rsqrt, ops.rsqrt, lambda x: 1 / math.sqrt(x), _above[1:]),
    not_finite(ops.Exp2, ops.exp2, math.exp2),
    not_finite(ops.Expm1, ops.expm1, math.expm1),
    Sample(
        ops.Expm1,
        ops.expm1,
        (np.array([1e-300, -1e-17]),),
        np.array,
        "tiny",
        rtol=1e-15,
        atol=0.0,
        smooth=False,
        gradients=(np.ones(2),),
    ),
    Sample(Pow, ops.square, (signed(2, 3),), by_hand(lambda x: x * x), "square"),
    Sample(
        Log,
        ops.logit,
        (np.array([0.1, 0.5, 0.8]),),
        by_hand(lambda p: math.log(p / (1 - p))),
        "logit",
    ),
    Sample(
        Log,
        lambda p: ops.logit(p, 0.2),
        (np.array([0.1, 0.5, 0.95]),),
        by_hand(lambda p: math.log(min(max(p, 0.2), 0.8) / (1 - min(max(p, 0.2), 0.8)))),
        "logit limited",
    ),
]

ERRORS = [
    ErrorSample(lambda: ops.exp2(None), TypeError, "exp2: expects tensors, arrays or numbers"),
    ErrorSample(lambda: ops.cbrt(positive(2) * 1j), TypeError, "^cbrt: expects real numbers"),
]
