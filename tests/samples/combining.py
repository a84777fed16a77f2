"""Samples of functions of two or three operands, with infinities and zeros of their own."""

from __future__ import annotations

import math

import numpy as np
import scipy.special

from tests.samples.base import ErrorSample, Sample
from tests.samples.elementwise import by_hand, positive, signed
from tests.samples.piecewise import apart
from tinygrad_cnn.ops.elementwise import Add
from tinygrad_cnn.ops.piecewise import Where
from tinygrad_cnn.ops.pointwise import combining as ops

_inf = math.inf


def _logaddexp(a: float, b: float) -> float:
    return math.log(math.exp(a) + math.exp(b))


SAMPLES = [
    Sample(ops.Logaddexp, ops.logaddexp, (signed(2, 1), signed(1, 3)), by_hand(_logaddexp)),
    Sample(ops.Logaddexp, ops.logaddexp, (signed(), signed()), by_hand(_logaddexp), "0-d"),
    Sample(
        ops.Logaddexp,
        ops.logaddexp,
        (np.array([1.0, -2.0]), np.array([1.0, -2.0])),
        by_hand(_logaddexp),
        "equals",
    ),
    Sample(
        ops.Logaddexp,
        ops.logaddexp,
        (np.array([_inf, -_inf, -_inf, 1e4]), np.array([_inf, -_inf, 2.0, -1e4])),
        lambda a, b: np.array([_inf, -_inf, 2.0, 1e4]),
        "infinite and large",
        smooth=False,
        gradients=(np.array([0.5, 0.0, 0.0, 1.0]), np.array([0.5, 0.0, 1.0, 0.0])),
    ),
    Sample(
        ops.Logaddexp2,
        ops.logaddexp2,
        (signed(2, 3), signed(3)),
        by_hand(lambda a, b: math.log2(2**a + 2**b)),
    ),
    Sample(
        ops.Xlogy, ops.xlogy, (signed(2, 3), positive(3)), by_hand(lambda x, y: x * math.log(y))
    ),
    Sample(ops.Xlogy, ops.xlogy, (signed(), positive()), scipy.special.xlogy, "0-d"),
    Sample(
        ops.Xlogy,
        ops.xlogy,
        (np.array([0.0, 0.0, 0.0]), np.array([0.0, 2.0, np.nan])),
        lambda x, y: np.array([0.0, 0.0, np.nan]),
        "at 0",
        smooth=False,
        gradients=(np.array([0.0, math.log(2.0), np.nan]), np.array([0.0, 0.0, np.nan])),
    ),
    Sample(
        Where,
        ops.xlog1py,
        (signed(2, 3), positive(3)),
        scipy.special.xlog1py,
        "xlog1py",
    ),
    Sample(
        Where,
        ops.xlog1py,
        (np.array([0.0, 2.0]), np.array([-1.0, 0.0])),
        lambda x, y: np.zeros(2),
        "xlog1py at 0",
        smooth=False,
        gradients=(np.zeros(2), np.array([0.0, 2.0])),
    ),
    Sample(
        ops.Lerp,
        ops.lerp,
        (signed(2, 3), signed(3), positive(2, 1)),
        by_hand(lambda a, b, w: a + w * (b - a)),
    ),
    Sample(
        ops.Lerp,
        lambda a, b: ops.lerp(a, b, 0.25),
        (signed(2), signed(2)),
        by_hand(lambda a, b: 0.75 * a + 0.25 * b),
        "number",
    ),
    Sample(
        Add,
        lambda a, b, c: ops.addcmul(a, b, c, value=0.5),
        (signed(2, 3), signed(3), signed(2, 1)),
        by_hand(lambda a, b, c: a + 0.5 * b * c),
        "addcmul",
    ),
    Sample(
        Add,
        ops.addcdiv,
        (signed(2, 3), signed(3), positive(2, 1)),
        by_hand(lambda a, b, c: a + b / c),
        "addcdiv",
    ),
    Sample(Where, ops.fmax, apart((2, 3), (3,)), by_hand(max), "fmax"),
    Sample(Where, ops.fmin, apart((2, 3), (3,)), by_hand(min), "fmin"),
    *[
        Sample(
            Where,
            f,
            (np.array([1.0, np.nan, 2.0, np.nan]), np.array([1.0, 3.0, np.nan, np.nan])),
            lambda a, b: np.array([1.0, 3.0, 2.0, np.nan]),
            f"{f.__name__} at ties and NaN",
            smooth=False,
            gradients=(np.array([1.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.0, 0.0])),
        )
        for f in (ops.fmax, ops.fmin)
    ],
]

ERRORS: list[ErrorSample] = []
