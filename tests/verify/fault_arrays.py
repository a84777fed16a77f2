"""Operations and the faults put into them: functions of elements, order, and places."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tests.verify.fault_kinds import (
    double,
    element,
    first_answer,
    first_inputs,
    flipped,
    half,
    last_image,
    mutates_cotangent,
    mutates_input,
    noise,
    nonlinear,
    permille,
    shifted,
    sign,
    single,
    written,
    zero,
)
from tests.verify.faults import Array, Call, Fault, Site, normal, positive, weight
from tinygrad_cnn.ops import rounding
from tinygrad_cnn.ops.ordering import scan, sorting
from tinygrad_cnn.ops.pointwise import combining, gamma, powers, trigonometry
from tinygrad_cnn.ops.rearranging import diagonal, repeat


def _site(family: str, name: str, op: Any, function: Any, inputs: Any, *faults: Fault) -> Site:
    return Site(family, name, op, function, inputs, faults)


A, B = normal(4, 5), weight(4, 5)

# ------------------------------------------------------------------------------- pointwise


def _inside(function: Any) -> Any:
    """A function of arguments in (-1, 1)."""
    return lambda x: function(F.tanh(x) * 0.5)


def _trig(name: str, op: Any, *faults: Fault) -> Site:
    return _site("pointwise", name, op, getattr(F, name), (weight(4, 5),), *faults)


POINTWISE = [
    _trig(
        "sin",
        trigonometry.Sin,
        written("sine for cosine", lambda r, c: c.g * np.sin(c.inputs[0])),
        *(sign(), permille(), mutates_input()),
    ),
    _trig(
        "cos",
        trigonometry.Cos,
        written("sign forgotten", lambda r, c: c.g * np.sin(c.inputs[0]), "sign"),
        *(element(), single()),
    ),
    _trig("tan", trigonometry.Tan, half(), nonlinear(), permille()),
    _trig("atan", trigonometry.Atan, double(), noise(), first_inputs()),
    _trig(
        "sinh",
        trigonometry.Sinh,
        written("sinh for cosh", lambda r, c: c.g * np.sinh(c.inputs[0])),
        *(zero(), element()),
    ),
    _trig("cosh", trigonometry.Cosh, sign(), single()),
    _trig(
        "asinh",
        trigonometry.Asinh,
        written("of arcosh", lambda r, c: c.g / np.sqrt(np.abs(c.inputs[0] ** 2 - 1) + 1e-3)),
        *(permille(), half()),
    ),
    _site(
        *("pointwise", "asin", trigonometry.Asin, _inside(F.asin), (weight(4, 5),)),
        written("not the root", lambda r, c: c.g / (1 - c.inputs[0] ** 2)),
        *(sign(), element()),
    ),
    _site(
        *("pointwise", "acos", trigonometry.Acos, _inside(F.acos), (weight(4, 5),)),
        *(sign(), permille(), noise()),
    ),
    _site(
        *("pointwise", "atanh", trigonometry.Atanh, _inside(F.atanh), (weight(4, 5),)),
        *(double(), single(), nonlinear()),
    ),
    _site(
        *("pointwise", "acosh", trigonometry.Acosh, lambda x: F.acosh(x + 1.5)),
        (positive(4, 5),),
        *(half(), element()),
    ),
    _site(
        *("pointwise", "atan2", trigonometry.Atan2, F.atan2, (weight(4, 5), positive(4, 5))),
        written("inputs exchanged", lambda r, c: c.g * c.inputs[0] / (c.inputs[0] ** 2 + 9)),
        *(sign(1), permille(1), zero()),
    ),
    _site(
        *("pointwise", "hypot", trigonometry.Hypot, F.hypot, (weight(4, 5), positive(4, 5))),
        written("not divided", lambda r, c: c.g * c.inputs[0]),
        *(sign(1), element()),
    ),
    _trig("sinc", trigonometry.Sinc, sign(), permille(), noise()),
    _trig(
        "exp2",
        powers.Exp2,
        written("of the exponential", lambda r, c: c.g * c.out),
        *(sign(), first_answer()),
    ),
    _trig(
        "expm1",
        powers.Expm1,
        written("result for exponential", lambda r, c: c.g * c.out, "term missing"),
        *(double(), single()),
    ),
    *[
        _site(
            *("pointwise", name, op, getattr(F, name), (positive(4, 5),)),
            written("of the natural logarithm", lambda r, c: c.g / c.inputs[0]),
            *(permille(), mutates_input()),
        )
        for name, op in (("log2", powers.Log2), ("log10", powers.Log10))
    ],
    *[
        _site(
            *("pointwise", name, op, getattr(F, name), (positive(4, 5),)),
            *(sign(), double(), element(), nonlinear()),
        )
        for name, op in (
            ("cbrt", powers.Cbrt),
            ("reciprocal", powers.Reciprocal),
            ("rsqrt", powers.Rsqrt),
            ("lgamma", gamma.Lgamma),
            ("digamma", gamma.Polygamma),
        )
    ],
    _trig("erfc", gamma.Erfc, sign(), half(), permille()),
    _site(
        *("pointwise", "erfinv", gamma.Erfinv, _inside(F.erfinv), (weight(4, 5),)),
        *(double(), element(), noise()),
    ),
    _site(
        *("pointwise", "logaddexp", combining.Logaddexp, F.logaddexp, (A, B)),
        written("shared evenly", lambda r, c: c.g * 0.5, "operand", i=0),
        *(sign(1), permille(), zero(1), first_inputs()),
    ),
    _site(
        *("pointwise", "logaddexp2", combining.Logaddexp2, F.logaddexp2, (A, B)),
        *(element(), double(1)),
    ),
    _site(
        *("pointwise", "xlogy", combining.Xlogy, F.xlogy, (weight(4, 5), positive(4, 5))),
        written("factor forgotten", lambda r, c: c.g / c.inputs[1], "operand", i=1),
        *(sign(), permille(1)),
    ),
    _site(
        *("pointwise", "lerp", combining.Lerp, F.lerp, (A, weight(4, 5), weight(4, 5))),
        written("ends exchanged", lambda r, c: c.g * c.inputs[2], "operand"),
        *(sign(2), half(1), element(2)),
    ),
    _site(
        *("pointwise", "remainder", rounding.Remainder),
        lambda a, b: F.remainder(a, b + 3.0),
        (weight(4, 5), positive(4, 5)),
        *(sign(), element()),
    ),
    _site(
        *("pointwise", "fmod", rounding.Fmod, lambda a: F.fmod(a, 0.7), (weight(4, 5),)),
        *(double(), permille()),
    ),
    _site(
        *("pointwise", "copysign", rounding.Copysign, F.copysign, (weight(4, 5), weight(4, 5))),
        *(sign(), element()),
    ),
]

# ------------------------------------------------------------------------------- in order


def _forward_again(_r: Array, call: Call) -> Array:
    return np.cumsum(call.g, -1)


def _divided(_r: Array, call: Call) -> Array:
    """The product's rule by division, as if the running sum were forgotten."""
    return np.asarray(call.g * call.out / call.inputs[0])


ORDERING = [
    _site(
        *("ordering", "cumsum", scan.Cumsum, lambda x: F.cumsum(x, 1), (A,)),
        written("not reversed", _forward_again, "reversed"),
        written("not summed", lambda r, c: c.g, "diagonal"),
        *(sign(), single(), last_image()),
    ),
    _site(
        *("ordering", "cumprod", scan.Cumprod, lambda x: F.cumprod(x, 1), (positive(4, 5),)),
        written("not summed", _divided, "diagonal"),
        *(permille(), element(), first_inputs()),
    ),
    _site(
        *("ordering", "logcumsumexp", scan.LogCumSumExp, lambda x: F.logcumsumexp(x, 1), (A,)),
        written("not summed", lambda r, c: c.g),
        *(sign(), noise(), double()),
    ),
    _site(
        *("ordering", "cummax", scan.Cummax, lambda x: F.cummax(x, 1).values, (weight(4, 5),)),
        written("left where it is", lambda r, c: c.g, "misplaced"),
        *(half(), element()),
    ),
    _site(
        *("ordering", "cummin", scan.Cummin, lambda x: F.cummin(x, 1).values, (weight(4, 5),)),
        *(double(), nonlinear()),
    ),
    _site(
        *("ordering", "sort", sorting.Sort, lambda x: F.sort(x, 1).values, (weight(4, 5),)),
        written("left in order", lambda r, c: c.g, "operand"),
        *(permille(), sign(), first_answer(), mutates_cotangent()),
    ),
    _site(
        *("ordering", "topk", sorting.Topk, lambda x: F.topk(x, 3).values, (weight(4, 5),)),
        *(element(), double(), nonlinear()),
    ),
    _site(
        *("ordering", "kthvalue", sorting.Kthvalue, lambda x: F.kthvalue(x, 2).values),
        (weight(4, 5),),
        *(sign(), element()),
    ),
    _site(
        *("ordering", "median", sorting.Median, lambda x: F.median(x, 1).values, (weight(4, 5),)),
        *(half(), permille()),
    ),
    _site(
        *("ordering", "nanmedian", sorting.Nanmedian, lambda x: F.nanmedian(x, 1).values),
        (weight(4, 5),),
        *(double(), element()),
    ),
    _site(
        *("ordering", "median of all", sorting.MedianOfAll, F.median, (weight(3, 5),)),
        *(sign(), permille()),
    ),
]

# ------------------------------------------------------------------------------- other places

REARRANGING = [
    _site(
        *("rearranging", "roll", repeat.Roll, lambda x: F.roll(x, 1, 1), (A,)),
        written("the same way", lambda r, c: np.roll(c.g, 1, 1), "shifted"),
        *(sign(), element(), mutates_cotangent()),
    ),
    _site(
        *("rearranging", "tril", diagonal.Triangle, F.tril, (weight(5, 5),)),
        written("mask missing", lambda r, c: c.g, "mask missing"),
        written("other triangle", lambda r, c: np.triu(c.g), "wrong mask"),
        *(permille(), single()),
    ),
    _site(
        *("rearranging", "diagonal", diagonal.Diagonal, F.diagonal, (weight(5, 5),)),
        *(half(), element(), shifted()),
    ),
    _site(
        *("rearranging", "diag embed", diagonal.DiagonalEmbed, lambda x: F.diag_embed(x, 1)),
        (weight(3, 4),),
        *(flipped(0, -1), double(), noise()),
    ),
]

SITES = [*POINTWISE, *ORDERING, *REARRANGING]
