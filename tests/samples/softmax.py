"""Samples of softmax and its logarithm, with large and infinite logits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.samples.base import Array, ErrorSample, Sample
from tests.samples.elementwise import signed
from tinygrad_cnn.ops import softmax as ops
from tinygrad_cnn.ops.softmax import LogSoftmax, Softmax


def by_rows(axis: int, log: bool) -> Callable[[Array], Array]:
    """Softmax of one row of Python numbers after another."""

    def oracle(x: Array) -> Array:
        out = np.empty(x.shape)
        for where in np.ndindex(*np.delete(x.shape, axis)):
            index: list[Any] = list(where)
            index.insert(axis % x.ndim, slice(None))
            row = x[tuple(index)].tolist()
            total = math.fsum(math.exp(v) for v in row)
            out[tuple(index)] = [v - math.log(total) if log else math.exp(v) / total for v in row]
        return out

    return oracle


def _both(op: Any, function: Callable[..., Any], log: bool) -> list[Sample]:
    change = math.log if log else float
    third = 1 / (1 + math.e)
    return [
        Sample(op, lambda x: function(x, 1), (signed(3, 4),), by_rows(1, log), "rows"),
        Sample(op, lambda x: function(x, 0), (signed(3, 4),), by_rows(0, log), "columns"),
        Sample(op, lambda x: function(x, 0), (signed(5),), by_rows(0, log), "vector"),
        Sample(op, lambda x: function(x, 1), (signed(2, 3, 2, 2),), by_rows(1, log), "channels"),
        Sample(op, lambda x: function(x, -2), (signed(2, 3, 2),), by_rows(1, log), "negative"),
        Sample(op, lambda x: function(x, 1), (signed(3, 1),), by_rows(1, log), "one class"),
        Sample(op, lambda x: function(x, 1), (np.empty((0, 3)),), np.array, "no rows"),
        Sample(op, lambda x: function(x, 1), (np.empty((2, 0)),), np.array, "no classes"),
        Sample(
            op,
            lambda x: function(x, 1)[:, :2],
            (np.array([[1e4, 1e4 + 1.0, -1e4], [-1e4 - 1.0, -1e4, -3e4]]),),
            lambda _: np.array([[change(third), change(1 - third)]] * 2),
            "large",
            smooth=False,  # differences of 1e4 in float64 are too coarse
            gradients=(
                np.array([[1 - 2 * third, 1 - 2 * (1 - third), 0.0]] * 2)
                if log
                else np.zeros((2, 3)),
            ),
        ),
        Sample(
            op,
            lambda x: function(x, 1),
            (np.array([[np.nan, 0.0], [0.0, 0.0]]),),
            lambda _: np.array([[np.nan] * 2, [change(0.5)] * 2]),
            "nan in nan out",
            smooth=False,
            gradients=(None,),
        ),
        Sample(
            op,
            lambda x: function(x, 1),
            (np.array([[-np.inf, 2.0], [-np.inf, -np.inf], [np.inf, 0.0]]),),
            lambda _: np.array(
                [[-np.inf if log else 0.0, change(1.0)], [np.nan] * 2, [np.nan] * 2]
            ),
            "infinite logits",
            smooth=False,
            gradients=(None,),
        ),
    ]


SAMPLES = [
    *_both(Softmax, ops.softmax, log=False),
    *_both(LogSoftmax, ops.log_softmax, log=True),
    Sample(
        LogSoftmax,
        lambda x: ops.log_softmax(x, 0),
        (np.array([0.0, -1e4]),),
        lambda _: np.array([0.0, -1e4]),
        "where softmax rounds to zero",
        smooth=False,
        gradients=(np.array([-1.0, 1.0]),),
    ),
]

ERRORS = [
    ErrorSample(
        lambda: ops.softmax(np.ones((2, 3)), 2), IndexError, "^softmax: dim 2 .* of 2 dimensions"
    ),
    ErrorSample(lambda: ops.log_softmax(np.ones(3), 1), IndexError, "^log_softmax: dim 1 does not"),
    ErrorSample(
        lambda: ops.softmax(np.ones((2, 3)), (0, 1)),  # type: ignore[arg-type]  # the mistake
        TypeError,
        r"^softmax: dim expects an integer, got \(0, 1\)",
    ),
    ErrorSample(
        lambda: ops.log_softmax(np.ones(3), None),  # type: ignore[arg-type]  # the mistake
        TypeError,
        "^log_softmax: dim expects an integer, got None",
    ),
]
