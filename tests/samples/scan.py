"""Samples of running sums, products, maxima and of differences, against loops and NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.samples.base import Array, ErrorSample, Sample
from tests.samples.elementwise import positive, signed
from tests.samples.extreme import distinct
from tests.samples.reduce import lse
from tinygrad_cnn.ops.elementwise import Sub
from tinygrad_cnn.ops.ordering import scan as ops


def running(f: Callable[[list[float]], float], axis: int) -> Callable[[Array], Array]:
    """Apply a function of a list to what stands up to each element."""

    def oracle(x: Array) -> Array:
        rows = np.moveaxis(np.atleast_1d(x), axis, -1)
        out = np.empty(rows.shape)
        for at in np.ndindex(*rows.shape):
            out[at] = f(rows[at[:-1]][: at[-1] + 1].tolist())
        return np.moveaxis(out, -1, axis).reshape(x.shape)

    return oracle


def _scans(
    op: Any, function: Callable[..., Any], f: Callable[[list[float]], float], make: Any
) -> list[Sample]:
    return [
        Sample(op, lambda x: function(x, 0), (make(5),), running(f, 0), "vector"),
        Sample(op, lambda x: function(x, 1), (make(2, 3, 2),), running(f, 1), "middle"),
        Sample(op, lambda x: function(x, axis=-1), (make(2, 4),), running(f, 1), "last"),
        Sample(op, lambda x: function(x, -1), (make(),), running(f, 0), "0-d"),
        Sample(op, lambda x: function(x, 0), (np.empty((0, 2)),), lambda x: x, "nothing"),
        Sample(op, lambda x: function(x, 0), (make(1, 2),), lambda x: x, "one"),
    ]


def _values(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: function(*args, **kwargs).values


_tied = np.array([1.0, 3.0, 3.0, 2.0, 3.0])
_zeros = np.array([[2.0, 0.0, 3.0, -1.0], [2.0, 1.5, 3.0, 0.5], [0.0, 0.0, 3.0, 0.0]])


SAMPLES = [
    *_scans(ops.Cumsum, ops.cumsum, math.fsum, signed),
    Sample(ops.Cumsum, ops.Cumsum(0, True), (signed(4),), lambda x: x[::-1].cumsum()[::-1], "back"),
    *_scans(ops.Cumprod, ops.cumprod, math.prod, positive),
    Sample(
        ops.Cumprod, lambda x: ops.cumprod(x, 1), (_zeros,), lambda x: x.cumprod(1), "with zeros"
    ),
    *_scans(ops.LogCumSumExp, ops.logcumsumexp, lse, signed),
    Sample(
        ops.LogCumSumExp,
        lambda x: ops.logcumsumexp(x, 0),
        (np.array([-np.inf, -np.inf, 1e4, -1e4, 1e4]),),
        lambda x: np.array([-np.inf, -np.inf, 1e4, 1e4, 1e4 + math.log(2.0)]),
        "large and minus infinity",
        smooth=False,
        gradients=(np.array([0.0, 0.0, 2.5, 0.0, 0.5]),),
    ),
    *_scans(ops.Cummax, _values(ops.cummax), max, distinct),
    *_scans(ops.Cummin, _values(ops.cummin), min, distinct),
    *[
        Sample(
            op,
            lambda x, f=f: f(x, 0).values,
            (sign * _tied,),
            lambda x, sign=sign: sign * np.maximum.accumulate(sign * x),
            "the last of equals takes the gradient",
            smooth=False,
            gradients=(np.array([1.0, 1.0, 2.0, 0.0, 1.0]),),
        )
        for op, f, sign in ((ops.Cummax, ops.cummax, 1.0), (ops.Cummin, ops.cummin, -1.0))
    ],
    Sample(
        ops.Cummax,
        lambda x: ops.cummax(x, 0).values,
        (np.array([1.0, np.nan, 3.0, np.nan]),),
        lambda x: np.array([1.0, np.nan, np.nan, np.nan]),
        "nan in nan out",
        smooth=False,
        gradients=(np.array([1.0, 2.0, 0.0, 1.0]),),
    ),
    Sample(Sub, ops.diff, (signed(2, 4),), np.diff, "diff"),
    Sample(Sub, lambda x: ops.diff(x, 2, 0), (signed(4, 2),), lambda x: np.diff(x, 2, 0), "twice"),
    Sample(
        Sub,
        lambda x, a, b: ops.diff(x, dim=1, prepend=a, append=b),
        (signed(2, 3), signed(2, 1), signed(2, 2)),
        lambda x, a, b: np.diff(x, axis=1, prepend=a, append=b),
        "with ends",
    ),
    Sample(Sub, lambda x: ops.diff(x, 9), (signed(3),), lambda x: np.empty(0), "too often"),
]

ERRORS = [
    *[
        ErrorSample(
            lambda f=f: f(np.ones((2, 3)), 2), IndexError, f"^{f.__name__}: dim 2 does not exist"
        )
        for f in (ops.cumsum, ops.cumprod, ops.logcumsumexp, ops.cummax, ops.cummin)
    ],
    ErrorSample(lambda: ops.cumsum(np.float64(1.0), 1), IndexError, "^cumsum: dim 1 does not"),
    ErrorSample(lambda: ops.diff(np.float64(1.0)), ValueError, "^diff: expects at least one dim"),
    ErrorSample(lambda: ops.diff(np.ones(3), -1), ValueError, "^diff: n expects an int >= 0"),
]
