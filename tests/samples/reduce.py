"""Samples of the reductions, with empty, constant and infinite rows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.samples.base import Array, ErrorSample, Sample
from tests.samples.elementwise import positive, signed
from tinygrad_cnn.ops import reduce as ops
from tinygrad_cnn.ops.reduce import LogSumExp, Mean, Prod, Std, Sum, Var


def row_by_row(
    f: Callable[[list[float]], float], axes: tuple[int, ...] | None = None, keep: bool = False
) -> Callable[[Array], Array]:
    """Apply a function of a list of Python numbers to each group of elements reduced together."""

    def oracle(x: Array) -> Array:
        reduced = tuple(range(x.ndim)) if axes is None else tuple(a % x.ndim for a in axes)
        shape = [1 if a in reduced else n for a, n in enumerate(x.shape)]
        out = np.empty(shape)
        for where in np.ndindex(*shape):
            group = tuple(slice(None) if a in reduced else i for a, i in enumerate(where))
            out[where] = f(x[group].ravel().tolist())
        return out if keep else out.reshape([n for a, n in enumerate(shape) if a not in reduced])

    return oracle


def everywhere(
    op: Any, function: Callable[..., Any], f: Callable[[list[float]], float], make: Any
) -> list[Sample]:
    """Samples over every kind of dim argument."""
    x = make(2, 3, 4)
    return [
        Sample(op, function, (make(2, 3),), row_by_row(f), "all"),
        Sample(op, lambda x: function(x, 1), (x,), row_by_row(f, (1,)), "middle"),
        Sample(op, lambda x: function(x, -1), (x,), row_by_row(f, (2,)), "last"),
        Sample(op, lambda x: function(x, (0, 2)), (x,), row_by_row(f, (0, 2)), "two dims"),
        Sample(op, lambda x: function(x, (-1, 0)), (x,), row_by_row(f, (0, 2)), "unsorted dims"),
        Sample(
            op,
            lambda x: function(x, (0, 2), keepdim=True),
            (x,),
            row_by_row(f, (0, 2), True),
            "keepdim",
        ),
        Sample(
            op,
            lambda x: function(x, axis=0, keepdims=True),
            (x,),
            row_by_row(f, (0,), True),
            "names of NumPy",
        ),
        Sample(
            op, lambda x: function(x, keepdim=True), (x,), row_by_row(f, None, True), "all kept"
        ),
        Sample(op, lambda x: function(x, 1), (make(0, 3),), row_by_row(f, (1,)), "no rows"),
        Sample(
            op,
            lambda x: function(x, (0, 2, 3)),
            (make(2, 3, 2, 2),),
            row_by_row(f, (0, 2, 3)),
            "channels",
        ),
    ]


def _single(op: Any, function: Callable[..., Any], f: Callable[[list[float]], float]) -> Sample:
    return Sample(op, function, (positive(),), row_by_row(f), "0-d")


def _empty(op: Any, function: Callable[..., Any], value: float) -> list[Sample]:
    return [
        Sample(
            op,
            lambda x: function(x, 1),
            (np.empty((2, 0)),),
            lambda _: np.full(2, value),
            "over nothing",
            smooth=not math.isnan(value) and not math.isinf(value),
            gradients=(np.empty((2, 0)),),
        ),
        Sample(
            op,
            function,
            (np.empty(0),),
            lambda _: np.full((), value),
            "nothing at all",
            smooth=not math.isnan(value) and not math.isinf(value),
            gradients=(np.empty(0),),
        ),
    ]


def _nan(op: Any, function: Callable[..., Any]) -> Sample:
    return Sample(
        op,
        lambda x: function(x, 1),
        (np.array([[1.0, np.nan], [2.0, 2.5]]),),
        lambda x: np.array([np.nan, function(x[1])]),
        "nan in nan out",
        smooth=False,
        gradients=(None,),
    )


def lse(values: list[float]) -> float:
    return math.log(math.fsum(math.exp(v) for v in values))


def variance(values: list[float], correction: float = 1) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((v - mean) ** 2 for v in values) / (len(values) - correction)


def deviation(values: list[float]) -> float:
    return statistics.stdev(values)


_big = np.random.default_rng(3).standard_normal((40, 16, 4, 8))


SAMPLES = [
    *everywhere(Sum, ops.sum, math.fsum, signed),
    _single(Sum, ops.sum, math.fsum),
    *_empty(Sum, ops.sum, 0.0),
    _nan(Sum, ops.sum),
    Sample(
        Sum,
        lambda x: ops.sum(x, (0, 2, 3)),
        (_big,),
        row_by_row(math.fsum, (0, 2, 3)),
        "large enough for blocks",
    ),
    Sample(Sum, lambda x: ops.sum(x, ()), (signed(2, 3),), np.array, "over no dimension"),
    *everywhere(Mean, ops.mean, statistics.fmean, signed),
    _single(Mean, ops.mean, statistics.fmean),
    *_empty(Mean, ops.mean, math.nan),
    _nan(Mean, ops.mean),
    *everywhere(Prod, ops.prod, math.prod, positive),
    _single(Prod, ops.prod, math.prod),
    *_empty(Prod, ops.prod, 1.0),
    _nan(Prod, ops.prod),
    Sample(
        Prod,
        lambda x: ops.prod(x, 1),
        (np.array([[2.0, 0.0, 3.0], [2.0, -1.0, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]]),),
        row_by_row(math.prod, (1,)),
        "one two and three zeros",
    ),
    Sample(
        Prod,
        lambda x: ops.prod(x, (0, 2)),
        (np.array([[[2.0, 0.0], [1.0, 0.5]], [[3.0, -2.0], [0.0, 0.0]]]),),
        row_by_row(math.prod, (0, 2)),
        "zeros over two dims",
    ),
    Sample(Prod, ops.prod, (signed(7),), row_by_row(math.prod), "odd number"),
    *everywhere(Var, ops.var, variance, signed),
    *_empty(Var, ops.var, math.nan),
    _nan(Var, ops.var),
    Sample(
        Var,
        lambda x: ops.var(x, 1, 0),
        (signed(2, 5),),
        row_by_row(statistics.pvariance, (1,)),
        "no correction",
    ),
    Sample(
        Var,
        lambda x: ops.var(x, 1, correction=0.5),
        (signed(2, 5),),
        row_by_row(lambda v: variance(v, 0.5), (1,)),
        "half a correction",
    ),
    Sample(
        Var,
        lambda x: ops.var(x, correction=0),
        (signed(1),),
        row_by_row(lambda _: 0.0),
        "single element",
    ),
    Sample(
        Var,
        lambda x: ops.var(x, 1),
        (np.array([[3.0], [4.0]]),),
        lambda _: np.full(2, np.nan),
        "correction too large",
        smooth=False,
        gradients=(np.full((2, 1), np.nan),),
    ),
    Sample(
        Var,
        lambda x: ops.var(x, correction=3),
        (np.array([1.0, 2.0]),),
        lambda _: np.full((), np.inf),
        "divisor below zero",
        smooth=False,
        gradients=(np.full(2, np.nan),),
    ),
    Sample(
        Var,
        ops.var,
        (np.array([1e6 + 1, 1e6 + 2, 1e6 + 4]),),
        row_by_row(lambda _: 7 / 3),
        "far from zero",
        smooth=False,  # differences of 1e12 in float64 say nothing
        gradients=(np.array([-4 / 3, -1 / 3, 5 / 3]),),
    ),
    *everywhere(Std, ops.std, deviation, signed),
    *_empty(Std, ops.std, math.nan),
    _nan(Std, ops.std),
    Sample(
        Std,
        lambda x: ops.std(x, 1, 0),
        (signed(2, 5),),
        row_by_row(statistics.pstdev, (1,)),
        "no correction",
    ),
    Sample(
        Std,
        lambda x: ops.std(x, 1),
        (np.array([[2.0, 2.0, 2.0], [1.0, 2.0, 3.0]]),),
        row_by_row(deviation, (1,)),
        "constant row",
        smooth=False,
        gradients=(np.array([[0.0, 0.0, 0.0], [-0.5, 0.0, 0.5]]),),
    ),
    Sample(
        Std,
        ops.std,
        (np.array([3.0]),),
        lambda _: np.full((), np.nan),
        "single element",
        smooth=False,
        gradients=(np.full(1, np.nan),),
    ),
    *everywhere(LogSumExp, ops.logsumexp, lse, signed),
    _single(LogSumExp, ops.logsumexp, lse),
    *_empty(LogSumExp, ops.logsumexp, -math.inf),
    _nan(LogSumExp, ops.logsumexp),
    Sample(
        LogSumExp,
        lambda x: ops.logsumexp(x, 1),
        (np.array([[1e4, 1e4 + 1.0, -1e4], [-1e4, -1e4 - 2.0, -1e4]]),),
        lambda _: np.array([1e4 + math.log(1 + math.e), -1e4 + math.log(2 + math.exp(-2))]),
        "large",
        smooth=False,  # differences of 1e4 in float64 are too coarse
        gradients=(
            np.array(
                [
                    [1 / (1 + math.e), math.e / (1 + math.e), 0.0],
                    np.array([1.0, math.exp(-2), 1.0]) / (2 + math.exp(-2)),
                ]
            ),
        ),
    ),
    Sample(
        LogSumExp,
        lambda x: ops.logsumexp(x, 1),
        (np.array([[-np.inf, -np.inf], [-np.inf, 1.0]]),),
        lambda _: np.array([-np.inf, 1.0]),
        "rows of minus infinity",
        smooth=False,
        gradients=(np.array([[0.0, 0.0], [0.0, 1.0]]),),
    ),
]

_FUNCTIONS = [ops.sum, ops.mean, ops.prod, ops.var, ops.std, ops.logsumexp]

ERRORS = [
    *[
        ErrorSample(
            lambda f=f: f(np.ones((2, 3)), 2), IndexError, f"^{f.__name__}: dim 2 does not exist"
        )
        for f in _FUNCTIONS
    ],
    *[
        ErrorSample(
            lambda f=f: f(np.ones((2, 3)), (1, -1)),
            ValueError,
            f"^{f.__name__}: a dimension appears twice",
        )
        for f in _FUNCTIONS
    ],
    *[
        ErrorSample(
            lambda f=f: f(np.ones((2, 3)), 0, axis=1),
            ValueError,
            f"^{f.__name__}: dim and axis are two names",
        )
        for f in _FUNCTIONS
    ],
    ErrorSample(lambda: ops.sum(np.ones(2), -2), IndexError, "^sum: dim -2 .* of 1 dimensions"),
    ErrorSample(lambda: ops.sum(np.float64(1.0), 1), IndexError, "^sum: dim 1 .* of 0 dimensions"),
    ErrorSample(lambda: ops.mean(np.ones(2), (0.5,)), TypeError, "^mean: dim expects an int"),
    ErrorSample(lambda: ops.mean(np.ones(2), 0.5), TypeError, "^mean: dim expects an int"),
]
