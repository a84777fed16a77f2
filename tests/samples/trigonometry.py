"""Samples of trigonometric and hyperbolic functions, against Python's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.samples.base import Array, ErrorSample, Sample
from tests.samples.elementwise import by_hand, positive, signed
from tinygrad_cnn.ops.elementwise import Mul
from tinygrad_cnn.ops.pointwise import trigonometry as ops


def unary(
    op: Any, function: Callable[..., Any], f: Callable[[float], float], points: Array
) -> list[Sample]:
    """Samples of a function of one operand at points of several shapes and memory orders."""
    grid = points[: len(points) // 2 * 2].reshape(2, -1)
    return [
        Sample(op, function, (points,), by_hand(f)),
        Sample(op, function, (np.array(points[0]),), by_hand(f), "0-d"),
        Sample(op, function, (np.empty((0, 2)),), by_hand(f), "empty"),
        Sample(op, function, (np.asfortranarray(grid),), by_hand(f), "column by column"),
    ]


def not_finite(op: Any, function: Callable[..., Any], f: Callable[[float], float]) -> Sample:
    """NaN in, NaN out, and what the infinities give."""
    points = np.array([math.nan, math.inf, -math.inf])
    return Sample(
        op, function, (points,), by_hand(f), "not finite", smooth=False, gradients=(None,)
    )


_angles = np.array([-2.8, -1.2, -0.3, 0.0, 0.4, 1.1, 2.0, 9.0])
_inside = np.array([-0.95, -0.5, -0.1, 0.0, 0.3, 0.9])
_near = np.array([-2.5, -1.0, -0.2, 0.0, 0.01, 0.02, 0.5, 1.0, 3.3])


def _sinc(x: float) -> float:
    return math.sin(math.pi * x) / (math.pi * x) if x else 1.0


_axis = np.array([0.0, 0.0, 1.0, -1.0, 0.0])
_other = np.array([0.0, 1.0, 0.0, 0.0, -1.0])

SAMPLES = [
    *unary(ops.Sin, ops.sin, math.sin, _angles),
    *unary(ops.Cos, ops.cos, math.cos, _angles),
    *unary(ops.Tan, ops.tan, math.tan, _angles[1:6]),
    *unary(ops.Asin, ops.asin, math.asin, _inside),
    *unary(ops.Acos, ops.acos, math.acos, _inside),
    *unary(ops.Atan, ops.atan, math.atan, _angles),
    *unary(ops.Sinh, ops.sinh, math.sinh, _angles),
    *unary(ops.Cosh, ops.cosh, math.cosh, _angles),
    *unary(ops.Asinh, ops.asinh, math.asinh, _angles),
    *unary(ops.Acosh, ops.acosh, math.acosh, 1.5 + _inside[1:] ** 2),
    *unary(ops.Atanh, ops.atanh, math.atanh, _inside),
    *unary(ops.Sinc, ops.sinc, _sinc, _near),
    not_finite(ops.Atan, ops.atan, math.atan),
    not_finite(ops.Asinh, ops.asinh, math.asinh),
    Sample(
        ops.Asin,
        ops.asin,
        (np.array([-1.0 + 2**-20, 1.0 - 2**-20]),),
        by_hand(math.asin),
        "near the ends",
        smooth=False,  # the numeric derivative's step leaves the domain
        gradients=(np.full(2, 1 / math.sqrt(2**-20 * (2 - 2**-20))),),
    ),
    Sample(
        ops.Asinh,
        ops.asinh,
        (np.array([1e30, -1e30]),),
        by_hand(math.asinh),
        "large",
        smooth=False,
        gradients=(np.full(2, 1e-30),),
    ),
    Sample(ops.Atan2, ops.atan2, (signed(2, 3), signed(3)), by_hand(math.atan2), "row"),
    Sample(ops.Atan2, ops.atan2, (signed(), signed()), by_hand(math.atan2), "0-d"),
    Sample(
        ops.Atan2,
        ops.atan2,
        (_axis, _other),
        by_hand(math.atan2),
        "on the axes",
        smooth=False,
        gradients=(np.array([0.0, 1.0, 0.0, 0.0, -1.0]), np.array([0.0, 0.0, -1.0, 1.0, 0.0])),
    ),
    Sample(
        ops.Atan2, lambda x: ops.atan2(x, 2.0), (signed(2),), by_hand(lambda v: math.atan2(v, 2))
    ),
    Sample(ops.Hypot, ops.hypot, (signed(2, 1), signed(1, 3)), by_hand(math.hypot), "stretched"),
    Sample(ops.Hypot, ops.hypot, (signed(), positive()), by_hand(math.hypot), "0-d"),
    Sample(
        ops.Hypot,
        ops.hypot,
        (np.array([0.0, 0.0, 3.0]), np.array([0.0, 2.0, 4.0])),
        by_hand(math.hypot),
        "at 0",
        smooth=False,
        gradients=(np.array([0.0, 0.0, 0.6]), np.array([0.0, 1.0, 0.8])),
    ),
    Sample(Mul, ops.deg2rad, (signed(3),), by_hand(math.radians), "degrees"),
    Sample(Mul, ops.rad2deg, (signed(3),), by_hand(math.degrees), "radians"),
]

ERRORS = [
    ErrorSample(lambda: ops.sin("x"), TypeError, "sin: expects tensors, arrays or numbers"),
    ErrorSample(
        lambda: ops.cos(np.array([1j])),
        TypeError,
        "^cos: expects real numbers, got an array of complex128",
        "complex",
    ),
]
