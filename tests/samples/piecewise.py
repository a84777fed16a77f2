"""Samples of the element-by-element choices, with those on their ties and kinks."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.samples.base import Array, ErrorSample, Sample
from tests.samples.elementwise import by_hand, signed
from tinygrad_cnn import Tensor
from tinygrad_cnn.ops import piecewise as ops
from tinygrad_cnn.ops.piecewise import Abs, Clip, ClipBetween, Maximum, Minimum, Sign, Where

_rng = np.random.default_rng(2)


def apart(*shapes: tuple[int, ...]) -> tuple[Array, ...]:
    """Arrays whose numbers all differ by at least 0.1: no ties however they are broadcast."""
    total = builtins.sum(int(np.prod(s)) for s in shapes)
    numbers = _rng.permutation(total) * 0.1 - 0.05 * total
    cuts = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]
    return tuple(part.reshape(s) for part, s in zip(np.split(numbers, cuts), shapes, strict=True))


_SHAPES = [
    ("same shape", (2, 3), (2, 3)),
    ("row", (2, 3), (3,)),
    ("both stretched", (2, 1), (1, 3)),
    ("0-d", (2, 3), ()),
    ("both 0-d", (), ()),
    ("empty", (0, 3), (1, 3)),
]


def _pair(op: Any, function: Callable[..., Any], f: Callable[..., float]) -> list[Sample]:
    a = np.array([1.0, 2.0, 3.0, 0.0])
    b = np.array([1.0, 3.0, 2.0, 0.0])
    won = (a > b) if f(0.0, 1.0) == 1.0 else (a < b)
    ga = np.where(a == b, 0.5, won.astype(float))
    return [
        *[Sample(op, function, apart(s, t), by_hand(f), note) for note, s, t in _SHAPES],
        Sample(
            op, lambda x: function(x, 0.0), (signed(2, 3),), by_hand(lambda v: f(v, 0.0)), "number"
        ),
        Sample(
            op, function, (a, b), by_hand(f), "ties share", smooth=False, gradients=(ga, 1.0 - ga)
        ),
        Sample(
            op,
            lambda x: function(x, 1.0),
            (np.array([1.0, 2.0]),),
            by_hand(lambda v: f(v, 1.0)),
            "tie with a number",
            smooth=False,
            gradients=(np.array([0.5, float(f(2.0, 1.0) == 2.0)]),),
        ),
        Sample(
            op,
            lambda x: function(x, x),
            (np.array([1.0, 2.0]),),
            np.array,
            "twice the same",
            smooth=False,
            gradients=(np.ones(2),),
        ),
        Sample(
            op,
            function,
            (np.array([np.nan, 1.0]), np.array([0.0, np.nan])),
            np.add,
            "nan in nan out",
            smooth=False,
            gradients=(None, None),
        ),
    ]


_CHOICE = np.array([[True, False, True], [False, False, True]])

SAMPLES = [
    Sample(Abs, ops.abs, (signed(2, 3),), by_hand(lambda v: v if v > 0 else -v)),
    Sample(Abs, ops.abs, (signed(),), by_hand(lambda v: v if v > 0 else -v), "0-d"),
    Sample(
        Abs,
        ops.abs,
        (np.array([0.0, -0.0, 2.0, -2.0]),),
        np.fabs,
        "kink",
        smooth=False,
        gradients=(np.array([0.0, 0.0, 1.0, -1.0]),),
    ),
    Sample(Sign, ops.sign, (signed(2, 3),), by_hand(lambda v: 1.0 if v > 0 else -1.0)),
    Sample(
        Sign,
        ops.sign,
        (np.array([0.0, 3.0]),),
        by_hand(lambda v: 1.0 if v > 0 else 0.0),
        "jump",
        smooth=False,
        gradients=(np.zeros(2),),
    ),
    Sample(
        Where,
        ops.where,
        (_CHOICE, signed(2, 3), signed(2, 3)),
        by_hand(lambda c, a, b: a if c else b),
    ),
    Sample(
        Where,
        ops.where,
        (_CHOICE, signed(3), signed(2, 1)),
        by_hand(lambda c, a, b: a if c else b),
        "broadcast",
    ),
    Sample(
        Where,
        ops.where,
        (_CHOICE[0], signed(2, 3), signed()),
        by_hand(lambda c, a, b: a if c else b),
        "broadcast condition",
    ),
    Sample(
        Where,
        ops.where,
        (np.array([2, 0, -1]), signed(3), signed(3)),
        by_hand(lambda c, a, b: a if c else b),
        "integer condition",
    ),
    Sample(
        Where,
        lambda a: ops.where(_CHOICE, a, 0.0),
        (signed(2, 3),),
        lambda a: a * _CHOICE,
        "number",
    ),
    Sample(
        Where,
        lambda a, b: ops.where(a > 0, a, b),
        (signed(2, 3), signed(2, 3)),
        by_hand(lambda a, b: a if a > 0 else b),
        "condition computed from the input",
    ),
    *_pair(Maximum, ops.maximum, builtins.max),
    *_pair(Minimum, ops.minimum, builtins.min),
    Sample(
        Clip,
        lambda x: ops.clip(x, -1.0, 1.0),
        (np.array([-2.0, -0.5, 0.5, 2.0]),),
        by_hand(lambda v: min(max(v, -1.0), 1.0)),
    ),
    Sample(
        Clip,
        lambda x: ops.clip(x, min=0.0),
        (signed(2, 3),),
        by_hand(lambda v: max(v, 0.0)),
        "lower limit",
    ),
    Sample(
        Clip,
        lambda x: ops.clip(x, max=0.0),
        (signed(2, 3),),
        by_hand(lambda v: min(v, 0.0)),
        "upper limit",
    ),
    Sample(
        Clip,
        lambda x: ops.clip(x, -1.0, 1.0),
        (np.array([-1.0, 1.0, 0.0, -1.5, 1.5]),),
        by_hand(lambda v: min(max(v, -1.0), 1.0)),
        "at the limits",
        smooth=False,
        gradients=(np.array([1.0, 1.0, 1.0, 0.0, 0.0]),),
    ),
    Sample(
        Clip,
        lambda x: ops.clip(x, -1.0, 1.0),
        (np.array([np.nan, 0.0]),),
        np.array,
        "nan in nan out",
        smooth=False,
        gradients=(None,),
    ),
    Sample(
        ClipBetween,
        lambda x, low: ops.clip(x, low),
        (np.array([-2.0, 0.2, 3.0]), np.array([[-1.0], [1.0]])),
        by_hand(builtins.max),
        "a lower limit, broadcast",
    ),
    Sample(
        ClipBetween,
        lambda x, high: ops.clip(x, max=high),
        (np.array([-2.0, 0.2, 3.0]), np.array([1.0])),
        by_hand(builtins.min),
        "an upper limit",
    ),
    Sample(
        ClipBetween,
        ops.clip,
        (
            np.array([1.0, 1.0, 0.0, 3.0, 1.0]),
            np.array([1.0, 0.0, 1.0, 1.0, 2.0]),
            np.array([2.0, 1.0, 2.0, 2.0, 0.0]),
        ),
        by_hand(lambda v, low, high: min(max(v, low), high)),
        "at ties as PyTorch's",
        smooth=False,
        gradients=(
            np.array([1.0, 1.0, 0.0, 0.0, 0.0]),
            np.array([0.0, 0.0, 1.0, 0.0, 0.0]),
            np.array([0.0, 0.0, 0.0, 1.0, 1.0]),
        ),
    ),
    Sample(
        ClipBetween,
        ops.clip,
        (np.array([-2.0, 0.2, 3.0]), np.array([-1.0, -0.5, 0.0]), np.array([1.0])),
        by_hand(lambda v, low, high: min(max(v, low), high)),
        "clip by arrays",
    ),
]

ERRORS = [
    ErrorSample(lambda: ops.clip(np.ones(2)), ValueError, "^clip: expects min, max or both"),
    ErrorSample(lambda: ops.maximum(np.ones(2), "a"), TypeError, "^maximum: expects .* got str"),
    ErrorSample(
        lambda: ops.where([True], object(), Tensor([1.0])),
        TypeError,
        "^where: expects .* got object",
    ),
]
