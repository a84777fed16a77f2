"""Samples of the arithmetic operations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.samples.base import Array, ErrorSample, Sample
from tinygrad_cnn.ops import elementwise as ops
from tinygrad_cnn.ops.elementwise import (
    Add,
    Cast,
    Clone,
    Div,
    Exp,
    Log,
    Log1p,
    Mul,
    Neg,
    Pow,
    PowTensor,
    Sqrt,
    Sub,
)

_rng = np.random.default_rng(1)


def signed(*shape: int) -> Array:
    """Numbers of both signs, away from 0."""
    size = _rng.uniform(0.4, 2.0, shape)
    return np.asarray(size * _rng.choice([-1.0, 1.0], shape))


def positive(*shape: int) -> Array:
    return np.asarray(_rng.uniform(0.4, 2.0, shape))


def by_hand(f: Callable[..., float]) -> Callable[..., Array]:
    """Apply a function of Python floats element by element."""

    def oracle(*arrays: Any) -> Array:
        spread = np.broadcast_arrays(*arrays)
        out = np.empty(spread[0].shape)
        for where in np.ndindex(out.shape):
            out[where] = f(*[a[where].item() for a in spread])
        return out

    return oracle


# Every way of broadcasting that the engine must sum over.
_SHAPES = [
    ("same shape", (2, 3), (2, 3)),
    ("row", (2, 3), (3,)),
    ("column", (2, 1), (2, 3)),
    ("both stretched", (2, 1), (1, 3)),
    ("0-d", (2, 3), ()),
    ("both 0-d", (), ()),
    ("many dimensions", (2, 1, 2, 1), (3, 1, 2)),
    ("channels", (2, 3, 2, 2), (3, 1, 1)),
    ("size one", (1,), (1, 1)),
    ("empty", (0, 3), (1, 3)),
]


def _binary(
    op: Any, function: Callable[..., Any], f: Callable[..., float], left: Any, right: Any
) -> list[Sample]:
    found = [
        Sample(op, function, (left(*a), right(*b)), by_hand(f), note) for note, a, b in _SHAPES
    ]
    x = left(2, 3)
    found += [
        Sample(op, lambda x: function(x, 3.0), (x,), by_hand(lambda v: f(v, 3.0)), "number right"),
        Sample(
            op,
            lambda x: function(3.0, x),
            (right(2, 3),),
            by_hand(lambda v: f(3.0, v)),
            "number left",
        ),
        Sample(
            op, lambda x: function(x, 3), (x,), by_hand(lambda v: f(v, 3)), "whole number right"
        ),
        Sample(op, function, (x, np.arange(1, 4)), by_hand(f), "integer array"),
        Sample(
            op,
            lambda x: function(x, x),
            (positive(2, 3),),
            by_hand(lambda v: f(v, v)),
            "twice the same",
        ),
    ]
    return found


def _unary(
    op: Any, function: Callable[..., Any], f: Callable[[float], float], draw: Any
) -> list[Sample]:
    shapes = [
        ("", (2, 3)),
        ("0-d", ()),
        ("images", (2, 3, 2, 2)),
        ("empty", (2, 0)),
        ("size one", (1,)),
    ]
    return [Sample(op, function, (draw(*shape),), by_hand(f), note) for note, shape in shapes]


def _pow(exponent: float, draw: Any, note: str) -> Sample:
    return Sample(
        Pow, lambda x: ops.pow(x, exponent), (draw(2, 3),), by_hand(lambda v: v**exponent), note
    )


_ZERO = np.zeros(2)

SAMPLES = [
    *_binary(Add, ops.add, lambda a, b: a + b, signed, signed),
    *_binary(Sub, ops.sub, lambda a, b: a - b, signed, signed),
    *_binary(Mul, ops.mul, lambda a, b: a * b, signed, signed),
    *_binary(Div, ops.div, lambda a, b: a / b, signed, signed),
    *[
        Sample(PowTensor, ops.pow, (positive(*a), signed(*b)), by_hand(math.pow), note)
        for note, a, b in _SHAPES
    ],
    Sample(
        PowTensor,
        lambda x: ops.pow(2.0, x),
        (signed(2, 3),),
        by_hand(lambda v: 2.0**v),
        "number base",
    ),
    Sample(
        PowTensor,
        ops.pow,
        (signed(3), np.array([2, 3, 4])),
        by_hand(math.pow),
        "negative base integer exponent",
    ),
    Sample(
        PowTensor,
        ops.pow,
        (np.zeros(4), np.array([0.0, 1.0, 2.0, 3.0])),
        by_hand(math.pow),
        "base zero",
        smooth=False,
        gradients=(np.array([0.0, 1.0, 0.0, 0.0]), np.zeros(4)),
    ),
    _pow(2, signed, "square"),
    _pow(3, signed, "cube"),
    _pow(1, signed, "first power"),
    _pow(0, signed, "zeroth power"),
    _pow(-1, signed, "reciprocal"),
    _pow(-2, signed, "inverse square"),
    _pow(0.5, positive, "root"),
    _pow(-1.5, positive, "fraction"),
    _pow(2.0, signed, "float square"),
    Sample(
        Pow,
        lambda x: ops.pow(x, 0),
        (_ZERO,),
        np.ones_like,
        "zero to the zeroth",
        smooth=False,
        gradients=(_ZERO,),
    ),
    Sample(
        Pow,
        lambda x: ops.pow(x, 2),
        (_ZERO,),
        np.zeros_like,
        "zero squared",
    ),
    Sample(
        Pow,
        lambda x: ops.pow(x, 1),
        (_ZERO,),
        np.zeros_like,
        "zero to the first",
    ),
    *_unary(Neg, ops.neg, lambda v: -v, signed),
    *_unary(Exp, ops.exp, math.exp, signed),
    *_unary(Log, ops.log, math.log, positive),
    *_unary(Log1p, ops.log1p, math.log1p, positive),
    *_unary(Sqrt, ops.sqrt, math.sqrt, positive),
    *_unary(Clone, ops.clone, lambda v: v, signed),
    Sample(
        Log1p,
        ops.log1p,
        (np.array([1e-12, -1e-12, 1e-3]),),
        by_hand(math.log1p),
        "tiny",
        rtol=1e-14,
        atol=0,
    ),
    Sample(Log1p, ops.log1p, (np.array([-0.5, 0.0]),), by_hand(math.log1p), "negative"),
    Sample(
        Cast,
        lambda x: ops.cast(x, np.float32),
        (signed(2, 3),),
        lambda x: x.astype(np.float32),
        "to float32",
        smooth=False,  # rounding makes steps
        gradients=(np.ones((2, 3)),),
    ),
    Sample(Cast, lambda x: ops.cast(x, np.float64), (signed(2, 3),), np.array, "to float64"),
    *[
        Sample(
            op,
            function,
            (np.array([np.nan, 1.0]),),
            oracle,
            "nan in nan out",
            smooth=False,
            gradients=(np.array(slopes),),
        )
        for op, function, oracle, slopes in [
            (Exp, ops.exp, np.exp, [np.nan, math.e]),
            (Log, ops.log, np.log, [np.nan, 1.0]),
            (Sqrt, ops.sqrt, np.sqrt, [np.nan, 0.5]),
            (Pow, lambda x: ops.pow(x, 3), lambda x: x**3, [np.nan, 3.0]),
            (Mul, lambda x: ops.mul(x, 2.0), lambda x: x * 2.0, [2.0, 2.0]),
        ]
    ],
]

ERRORS = [
    ErrorSample(
        lambda: ops.add("a", np.ones(2)),
        TypeError,
        "^add: expects tensors, arrays or numbers, got str",
    ),
    ErrorSample(
        lambda: ops.exp(None), TypeError, "^exp: expects tensors, arrays or numbers, got NoneType"
    ),
    ErrorSample(
        lambda: ops.mul(np.ones(2), [1.0, "x"]),
        TypeError,
        "^mul: expects tensors, arrays or numbers",
    ),
    ErrorSample(
        lambda: ops.add(np.ones(2), np.ones(3)),
        ValueError,
        r"\(2,\).*\(3,\)",
        "add of unequal shapes",
    ),
    ErrorSample(
        lambda: ops.div(np.ones((2, 3)), np.ones((2, 2))),
        ValueError,
        r"\(2, ?3\).*\(2, ?2\)",
        "div of unequal shapes",
    ),
]
