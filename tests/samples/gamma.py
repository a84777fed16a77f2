"""Samples of the gamma function's relatives and of erf's, against SciPy."""

from __future__ import annotations

import math

import numpy as np
import scipy.special

from tests.samples.base import ErrorSample, Sample
from tests.samples.elementwise import by_hand
from tests.samples.trigonometry import unary
from tinygrad_cnn.ops.pointwise import gamma as ops

_points = np.array([-2.6, -1.4, -0.5, 0.3, 1.0, 2.0, 7.5, 40.0])
_above = np.array([0.3, 1.0, 2.5, 9.0, 30.0])
_ends = np.array([-1.0, -1.0 + 2**-23, 1.0 - 2**-23, 1.0, 2.0])

SAMPLES = [
    *unary(ops.Lgamma, ops.lgamma, math.lgamma, _points),
    *unary(ops.Polygamma, ops.digamma, lambda x: float(scipy.special.digamma(x)), _points),
    *[
        Sample(
            ops.Polygamma,
            lambda x, n=n: ops.polygamma(n, x),
            (_above,),
            lambda x, n=n: scipy.special.polygamma(n, x),
            f"order {n}",
        )
        for n in (1, 2, 5)
    ],
    Sample(
        ops.Polygamma,
        lambda x: ops.polygamma(1, x),
        (np.array([-0.5, -2.25]),),
        # ψ₁(1 − x) + ψ₁(x) = π² / sin²(πx)
        by_hand(
            lambda x: (math.pi / math.sin(math.pi * x)) ** 2 - scipy.special.polygamma(1, 1 - x)
        ),
        "order 1 below 0",
    ),
    Sample(
        ops.Lgamma,
        ops.lgamma,
        (np.array([0.0, -1.0, np.inf, np.nan]),),
        scipy.special.gammaln,
        "poles and infinity",
        smooth=False,
        gradients=(None,),
    ),
    Sample(
        ops.Polygamma,
        ops.digamma,
        (np.array([0.0, -0.0, -1.0, np.inf, np.nan]),),
        lambda x: np.array([-np.inf, np.inf, np.nan, np.inf, np.nan]),
        "poles and infinity",
        smooth=False,
        gradients=(None,),
    ),
    Sample(
        ops.Polygamma,
        ops.digamma,
        (np.array([-999.7, 1.4616321449683623, 1e12]),),
        scipy.special.digamma,
        "far below 0, at its root, and large",
        atol=1e-11,
        smooth=False,
        gradients=(None,),
    ),
    *unary(ops.Erfc, ops.erfc, math.erfc, _points[1:6]),
    Sample(
        ops.Erfc,
        ops.erfc,
        (np.array([5.0, 10.0, 26.0]),),
        scipy.special.erfc,
        "where it is small",
        rtol=1e-12,
        atol=0.0,
        smooth=False,
        gradients=(None,),
    ),
    *unary(
        ops.Erfinv,
        ops.erfinv,
        lambda x: float(scipy.special.erfinv(x)),
        np.array([-0.9, -0.4, 0.0, 1e-9, 0.3, 0.86]),
    ),
    Sample(
        ops.Erfinv,
        ops.erfinv,
        (_ends,),
        scipy.special.erfinv,
        "at the ends",
        smooth=False,
        gradients=(None,),
    ),
]

ERRORS = [
    ErrorSample(lambda: ops.polygamma(-1, _above), ValueError, "polygamma: n expects an int >= 0"),
    ErrorSample(
        lambda: ops.polygamma(1, np.array([-1e6])), ValueError, "polygamma: expects inputs above"
    ),
]
