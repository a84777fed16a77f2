"""Samples of greatest and smallest elements, with ties, NaN and places."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.samples.base import ErrorSample, Sample
from tests.samples.elementwise import signed
from tests.samples.piecewise import apart
from tests.samples.reduce import everywhere, row_by_row
from tinygrad_cnn import Tensor
from tinygrad_cnn.ops import extreme as ops
from tinygrad_cnn.ops.extreme import Amax, Amin, Max, Min, PutAlong, TakeAlong


def distinct(*shape: int) -> Any:
    (numbers,) = apart(shape)
    return numbers


def _selection(
    op: Any, whole: Any, function: Callable[..., Any], f: Callable[[Any], float]
) -> list[Sample]:
    x = distinct(2, 3, 4)
    sign = 1.0 if op is Max else -1.0
    tied = sign * np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    shares = np.array([[0.0, 0.5, 0.5], [0.0, 0.0, 0.0]])
    hole = sign * np.array([[1.0, np.nan, 3.0], [0.0, 5.0, np.nan]])
    return [
        Sample(whole, function, (distinct(2, 3),), row_by_row(f), "all"),
        Sample(whole, lambda x: function(x, keepdim=True), (x,), row_by_row(f, None, True), "kept"),
        Sample(whole, function, (signed(),), row_by_row(f), "0-d"),
        Sample(op, lambda x: function(x, -1).values, (signed(),), row_by_row(f), "0-d along -1"),
        Sample(op, lambda x: function(x, 1).values, (x,), row_by_row(f, (1,)), "middle"),
        Sample(op, lambda x: function(x, axis=-1).values, (x,), row_by_row(f, (2,)), "last"),
        Sample(
            op,
            lambda x: function(x, 0, keepdim=True)[0],
            (x,),
            row_by_row(f, (0,), True),
            "keepdim",
        ),
        Sample(op, lambda x: function(x, 1)[0], (np.empty((0, 2)),), lambda x: x[:, 0], "no rows"),
        Sample(
            op,
            lambda x: function(x, 1)[0],
            (tied,),
            row_by_row(f, (1,)),
            "the first of equals takes the gradient",
            smooth=False,
            gradients=(np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),),
        ),
        Sample(
            whole,
            function,
            (tied.T,),
            row_by_row(f),
            "all equals share the gradient",
            smooth=False,
            gradients=(shares.T,),
        ),
        Sample(
            op,
            lambda x: function(x, 1)[0],
            (hole,),
            lambda _: np.full(2, np.nan),
            "nan in nan out",
            smooth=False,
            gradients=(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),),
        ),
    ]


def _shared(op: Any, function: Callable[..., Any], f: Callable[[Any], float]) -> list[Sample]:
    sign = 1.0 if op is Amax else -1.0
    tied = sign * np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    return [
        *everywhere(op, function, f, distinct),
        Sample(op, function, (signed(),), row_by_row(f), "0-d"),
        Sample(
            op,
            lambda x: function(x, 1),
            (tied,),
            row_by_row(f, (1,)),
            "equals share the gradient",
            smooth=False,
            gradients=(np.array([[0.0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]]),),
        ),
        Sample(
            op,
            lambda x: function(x, (0, 1)),
            (sign * np.array([[1.0, 3.0], [3.0, 3.0]]),),
            row_by_row(f),
            "equals over two dims",
            smooth=False,
            gradients=(np.array([[0.0, 1 / 3], [1 / 3, 1 / 3]]),),
        ),
        Sample(
            op,
            lambda x: function(x, 1),
            (np.array([[1.0, np.nan], [2.0, 2.5]]),),
            lambda _: np.array([np.nan, f([2.0, 2.5])]),
            "nan in nan out",
            smooth=False,
            gradients=(None,),
        ),
    ]


_places = np.array([[0, 2], [1, 1]])


def _take_by_hand(x: Any, places: Any) -> Any:
    return np.array([[x[i, j] for j in row] for i, row in enumerate(places)])


def _put_by_hand(x: Any, places: Any) -> Any:
    out = np.zeros((2, 3))
    for i, row in enumerate(places):
        for k, j in enumerate(row):
            out[i, j] += x[i, k]
    return out


SAMPLES = [
    *_selection(Max, Amax, ops.max, builtins.max),
    *_selection(Min, Amin, ops.min, builtins.min),
    *_shared(Amax, ops.amax, builtins.max),
    *_shared(Amin, ops.amin, builtins.min),
    Sample(TakeAlong, TakeAlong(1), (signed(2, 3), _places), _take_by_hand),
    Sample(PutAlong, PutAlong(1, 3), (signed(2, 2), _places), _put_by_hand),
    Sample(
        PutAlong, PutAlong(1, 3), (signed(2, 1), _places[:, 1:]), _put_by_hand, "one place a row"
    ),
]

ERRORS = [
    *[
        ErrorSample(lambda f=f: f(np.ones((2, 3)), 2), IndexError, f"^{f.__name__}: dim 2 does not")
        for f in (ops.max, ops.min, ops.amax, ops.amin, ops.argmax, ops.argmin)
    ],
    *[
        ErrorSample(
            lambda f=f: f(np.empty((2, 0)), 1),
            ValueError,
            rf"^{f.__name__}: expects at least one element .* got shape \(2, 0\)",
        )
        for f in (ops.max, ops.min, ops.amax, ops.amin, ops.argmax, ops.argmin)
    ],
    *[
        ErrorSample(
            lambda f=f: f(np.empty(0)), ValueError, f"^{f.__name__}: expects at least one element"
        )
        for f in (ops.max, ops.min, ops.amax, ops.amin, ops.argmax, ops.argmin)
    ],
    ErrorSample(
        lambda: ops.max(Tensor([[1.0]]), (0, 1)),
        ValueError,
        r"^max: expects one dim, an int, or None, got \(0, 1\); amax reduces over several",
    ),
    ErrorSample(lambda: ops.min(np.ones(2), (0,)), ValueError, "^min: expects one dim.*amin"),
    ErrorSample(lambda: ops.amax(np.ones(2), (0, 0)), ValueError, "^amax: a dimension .* twice"),
    ErrorSample(lambda: ops.argmax(np.ones(2), (0,)), TypeError, "^argmax: dim expects an int"),
]
