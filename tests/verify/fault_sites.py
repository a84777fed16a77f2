"""Operations and the faults put into them: from arithmetic to indexing."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tests.verify.fault_kinds import (
    channel,
    double,
    element,
    factor,
    first_answer,
    first_inputs,
    flipped,
    half,
    last_image,
    mask_missing,
    mask_of_gradient,
    moved,
    mutates_cotangent,
    mutates_input,
    noise,
    nonlinear,
    over,
    permille,
    shifted,
    sign,
    single,
    times,
    transposed,
    written,
    zero,
)
from tests.verify.faults import Array, Call, Fault, Site, fixed, image, normal, positive, weight
from tinygrad_cnn.ops import activation as act
from tinygrad_cnn.ops import elementwise as ew
from tinygrad_cnn.ops import extreme, index, join, piecewise, reduce, shape, softmax


def _site(family: str, name: str, op: Any, function: Any, inputs: Any, *faults: Fault) -> Site:
    return Site(family, name, op, function, inputs, faults)


# ------------------------------------------------------------------------------- elementwise

A, B = normal(4, 5), normal(4, 5)

ELEMENTWISE = [
    _site(
        *("elementwise", "add", ew.Add, F.add, (A, B)),
        *(sign(1), double(), element(), zero(1), nonlinear(), mutates_cotangent(), single()),
    ),
    _site(
        *("elementwise", "add a row", ew.Add, F.add, (normal(5, 5), weight(5))),
        written("summed over columns", lambda r, c: c.g.sum(1), "wrong axis", i=1),
        *(last_image(1), over(5, "batch", 1), element(1)),
    ),
    _site(
        *("elementwise", "sub", ew.Sub, F.sub, (A, B)),
        *(sign(1), half(1), permille(), noise(1), flipped(0, -1)),
    ),
    _site(
        *("elementwise", "mul", ew.Mul, F.mul, (weight(4, 5), weight(4, 5))),
        written("factor of its own", lambda r, c: c.g * c.inputs[0], "operand"),
        *(sign(), element(1), first_inputs(), mutates_input(1), single(), permille(1)),
    ),
    _site(
        *("elementwise", "div", ew.Div, F.div, (A, positive(4, 5))),
        written("not divided", lambda r, c: c.g, "operand"),
        written("denominator not squared", lambda r, c: r * c.inputs[1], "slope", i=1),
        *(sign(1), double(1), first_inputs(1), nonlinear(1)),
    ),
    _site("elementwise", "neg", ew.Neg, F.neg, (A,), sign(), permille(), first_answer()),
    _site(
        *("elementwise", "square", ew.Pow, lambda x: F.pow(x, 2), (A,)),
        *(half(), permille(), mutates_input(), first_inputs()),
    ),
    _site(
        *("elementwise", "pow", ew.PowTensor, F.pow, (positive(3, 4), weight(3, 4))),
        written("exponent not lowered", lambda r, c: c.g * c.inputs[1] * c.out),
        *(sign(1), element(), permille(1)),
    ),
    _site(
        *("elementwise", "exp", ew.Exp, F.exp, (A,)),
        written("input for result", lambda r, c: c.g * c.inputs[0]),
        *(sign(), nonlinear(), single(), first_answer()),
    ),
    _site(
        *("elementwise", "log", ew.Log, F.log, (positive(4, 5),)),
        written("not divided", lambda r, c: c.g),
        *(double(), permille(), mutates_input()),
    ),
    _site(
        *("elementwise", "log1p", ew.Log1p, F.log1p, (positive(4, 5),)),
        written("divided by x", lambda r, c: c.g / c.inputs[0]),
        *(element(), noise()),
    ),
    _site("elementwise", "sqrt", ew.Sqrt, F.sqrt, (positive(4, 5),), double(), zero(), single()),
    _site("elementwise", "clone", ew.Clone, F.clone, (A,), double(), mutates_cotangent()),
    _site(
        *("elementwise", "cast", ew.Cast, lambda x: F.cast(x, np.float64), (A,)),
        *(zero(), single(), permille()),
    ),
]

# ------------------------------------------------------------------------------- piecewise


def _winner(_r: Array, call: Call) -> Array:
    a, b = call.inputs
    return np.where(a < b, call.g, 0.0)


PIECEWISE = [
    _site(
        *("piecewise", "abs", piecewise.Abs, F.abs, (A,)),
        mask_missing(),
        written("sign of the gradient", lambda r, c: c.g * np.sign(c.g)),
        *(sign(), element(), permille()),
    ),
    _site(
        *("piecewise", "maximum", piecewise.Maximum, F.maximum, (A, B)),
        *(mask_missing(), mask_missing(1), zero(1), nonlinear()),
        written("the smaller one gets it", _winner, "operand"),
        Fault("both get it", lambda call: [call.g, call.g], ("mask missing", "ties")),
    ),
    _site(
        *("piecewise", "minimum", piecewise.Minimum, F.minimum, (A, B)),
        *(mask_missing(), mask_of_gradient(1), sign(), first_inputs()),
    ),
    _site(
        *("piecewise", "clip", piecewise.Clip, lambda x: F.clip(x, -0.5, 0.5), (A,)),
        *(mask_missing(), mask_of_gradient(), half(), element()),
    ),
    _site(
        "piecewise",
        "where",
        piecewise.Where,
        F.where,
        (fixed(np.arange(20).reshape(4, 5) % 3 > 0), A, B),
        mask_missing(1),
        written("mask not inverted", lambda r, c: np.where(c.inputs[0], c.g, 0.0), "operand", i=2),
        *(double(2), noise(1)),
    ),
]

# ------------------------------------------------------------------------------- activations


def _smooth(name: str, op: Any, function: Any, *faults: Fault) -> Site:
    return _site("activation", name, op, function, (normal(3, 6),), *faults)


ACTIVATION = [
    _smooth(
        *("relu", act.Relu, F.relu),
        *(mask_missing(), mask_of_gradient(), sign(), element(), zero(), first_inputs()),
        *(nonlinear(), single(), permille(), noise(), mutates_cotangent()),
    ),
    _site(
        *("activation", "relu of images", act.Relu, F.relu, (normal(2, 3, 5, 5),)),
        *(mask_missing(), mask_of_gradient(), channel(), last_image(), shifted(), flipped()),
    ),
    _smooth(
        *("leaky relu", act.LeakyRelu, lambda x: F.leaky_relu(x, 0.1)),
        written("slope missing", lambda r, c: np.where(c.inputs[0] > 0, c.g, 0.0)),
        *(mask_missing(), double(), first_inputs()),
    ),
    _smooth(
        *("sigmoid", act.Sigmoid, F.sigmoid),
        written("y for y(1 - y)", lambda r, c: c.g * c.out),
        *(sign(), element(), single(), first_answer()),
    ),
    _smooth(
        *("tanh", act.Tanh, F.tanh),
        written("not squared", lambda r, c: c.g * (1 - c.out)),
        *(permille(), nonlinear(), mutates_input()),
    ),
    _smooth("softplus", act.Softplus, F.softplus, double(), element(), single()),
    _smooth(
        *("erf", act.Erf, F.erf),
        factor("2 over the root of pi missing", np.sqrt(np.pi) / 2, ()),
        *(half(), noise()),
    ),
    _smooth("gelu", act.Gelu, F.gelu, permille(), zero(), first_inputs()),
    _smooth(
        *("gelu tanh", act.GeluTanh, lambda x: F.gelu(x, "tanh"), sign()),
        *(element(), single()),
    ),
    _smooth(
        *("silu", act.Silu, F.silu),
        written("without x", lambda r, c: c.g * act.sigmoid(c.inputs[0])),
        *(double(), mutates_input()),
    ),
]

# ------------------------------------------------------------------------------- reductions

SQUARE = normal(4, 4)


def _along_other_axis(r: Array, call: Call) -> Array:
    return np.broadcast_to(call.g[None, :], r.shape)


def _uncentred(_r: Array, call: Call) -> Array:
    x = call.inputs[0]
    return np.broadcast_to(call.g[:, None], x.shape) * x * 2 / (x.shape[1] - 1)


REDUCE = [
    _site(
        *("reduce", "sum", reduce.Sum, lambda x: F.sum(x, 1), (SQUARE,)),
        written("spread along the wrong axis", _along_other_axis, "wrong axis", "transposed"),
        *(over(4, "elements"), zero(), element(), last_image(), nonlinear(), single()),
    ),
    _site(
        *("reduce", "mean", reduce.Mean, lambda x: F.mean(x, 1), (SQUARE,)),
        written(
            "spread wrongly", lambda r, c: _along_other_axis(r, c) / 4, "wrong axis", "transposed"
        ),
        *(times(4, "elements"), sign(), permille(), first_answer()),
    ),
    _site(
        *("reduce", "mean of all", reduce.Mean, F.mean, (normal(3, 5),)),
        *(times(15, "elements"), times(5, "one axis"), double(), noise(), mutates_cotangent()),
    ),
    _site(
        *("reduce", "prod", reduce.Prod, lambda x: F.prod(x, 1), (positive(3, 4),)),
        written("not divided", lambda r, c: np.broadcast_to((c.g * c.out)[:, None], r.shape)),
        *(sign(), element(), mutates_input()),
    ),
    _site(
        *("reduce", "var", reduce.Var, lambda x: F.var(x, 1), (normal(3, 6),)),
        written("mean term missing", _uncentred, "mean term"),
        *(half(), times(5, "elements"), first_inputs(), single()),
    ),
    _site(
        *("reduce", "std", reduce.Std, lambda x: F.std(x, 1), (weight(3, 6),)),
        written("not divided", lambda r, c: r * c.out[:, None]),
        *(double(), permille(), zero()),
    ),
    _site(
        *("reduce", "logsumexp", reduce.LogSumExp, lambda x: F.logsumexp(x, 1), (SQUARE,)),
        written("not normalised", lambda r, c: c.g[:, None] * np.exp(c.inputs[0])),
        *(transposed(), sign(), nonlinear(), permille()),
    ),
]

# ------------------------------------------------------------------------------- extremes


def _to_every_maximum(_r: Array, call: Call) -> Array:
    x = call.inputs[0]
    return np.where(x == x.max(1, keepdims=True), call.g.reshape(-1, 1), 0.0)


def _to_every_minimum(_r: Array, call: Call) -> Array:
    x = call.inputs[0]
    return np.where(x == x.min(1, keepdims=True), call.g.reshape(-1, 1), 0.0)


def _to_all(r: Array, call: Call) -> Array:
    return np.broadcast_to(call.g.reshape(-1, 1), r.shape)


TIED = fixed(np.array([[0.0, 2.0, 2.0, 1.0], [3.0, 3.0, 3.0, 0.0], [1.0, 5.0, 4.0, 0.0]]))
LOW_TIED = fixed(np.array([[0.0, 2.0, 0.0, 1.0], [3.0, 1.0, 1.0, 1.0], [1.0, 5.0, 4.0, 0.0]]))
_PLACES = fixed(np.array([[0, 2], [1, 1], [4, 0]]))

EXTREME = [
    _site(
        *("extreme", "max", extreme.Max, lambda x: F.max(x, 1)[0], (normal(4, 5),)),
        written("to every element", _to_all, "mask missing"),
        *(sign(), shifted(), element(), first_inputs(), zero(), over(5, "elements")),
    ),
    _site(
        *("extreme", "max of ties", extreme.Max, lambda x: F.max(x, 1)[0], (TIED,)),
        written("ties counted more than once", _to_every_maximum, "ties"),
        *(double(), single()),
    ),
    _site(
        *("extreme", "min of ties", extreme.Min, lambda x: F.min(x, 1)[0], (LOW_TIED,)),
        written("ties counted more than once", _to_every_minimum, "ties"),
        *(half(), permille(), shifted()),
    ),
    _site(
        *("extreme", "amax of ties", extreme.Amax, lambda x: F.amax(x, 1), (TIED,)),
        written("ties counted more than once", _to_every_maximum, "ties"),
        *(sign(), noise(), first_inputs()),
    ),
    _site(
        *("extreme", "amin of ties", extreme.Amin, lambda x: F.amin(x, 1), (LOW_TIED,)),
        written("ties counted more than once", _to_every_minimum, "ties"),
        *(double(), nonlinear()),
    ),
    _site(
        *(
            "extreme",
            "take along",
            extreme.TakeAlong,
            extreme.TakeAlong(1),
            (normal(3, 5), _PLACES),
        ),
        *(shifted(), permille(), mutates_cotangent()),
    ),
    _site(
        *(
            "extreme",
            "put along",
            extreme.PutAlong,
            extreme.PutAlong(1, 5),
            (normal(3, 2), _PLACES),
        ),
        *(flipped(0, -1), element(), sign()),
    ),
]

# ------------------------------------------------------------------------------- softmax


def _softmax(axis: int, missing: bool = False) -> Any:
    def change(_r: Array, call: Call) -> Array:
        inner = 0.0 if missing else (call.g * call.out).sum(axis, keepdims=True)
        return np.asarray(call.out * (call.g - inner))

    return change


def _log_softmax(axis: int) -> Any:
    def change(_r: Array, call: Call) -> Array:
        return np.asarray(call.g - np.exp(call.out) * call.g.sum(axis, keepdims=True))

    return change


SOFTMAX = [
    _site(
        *("softmax", "softmax", softmax.Softmax, lambda x: F.softmax(x, 1), (normal(5, 5),)),
        written("summed over the wrong axis", _softmax(0), "wrong axis"),
        written("diagonal only", _softmax(1, missing=True), "mean term", "sum missing"),
        *(sign(), element(), single(), permille(), first_answer(), transposed()),
    ),
    _site(
        *("softmax", "softmax of a batch", softmax.Softmax, lambda x: F.softmax(x, 1)),
        *((normal(64, 10),), zero(), element(), nonlinear()),
    ),
    _site(
        *("softmax", "log softmax", softmax.LogSoftmax, lambda x: F.log_softmax(x, 1)),
        (normal(5, 5),),
        written("summed over the wrong axis", _log_softmax(0), "wrong axis"),
        written("sum missing", lambda r, c: c.g, "mean term", "sum missing"),
        *(double(), noise(), mutates_cotangent(), channel()),
    ),
]

# ------------------------------------------------------------------------------- shapes, joins


def _column_major(r: Array, call: Call) -> Array:
    return call.g.reshape(r.shape, order="F")


SHAPE = [
    _site(
        *("shape", "reshape", shape.Reshape, lambda x: F.reshape(x, 6, 4), (normal(4, 6),)),
        written("column by column", _column_major, "permuted"),
        *(sign(), zero(), single()),
    ),
    _site(
        *("shape", "permute", shape.Permute, lambda x: F.permute(x, 1, 2, 0), (normal(3, 3, 3),)),
        written("not inverted", lambda r, c: c.g.transpose(1, 2, 0), "permuted"),
        written("not at all", lambda r, c: c.g, "permuted"),
        *(double(), mutates_cotangent()),
    ),
    _site(
        *("shape", "transpose", shape.Permute, lambda x: F.transpose(x, 0, 1), (normal(4, 4),)),
        written("not transposed", lambda r, c: c.g, "transposed"),
        *(element(), permille()),
    ),
    _site(
        "shape",
        "broadcast",
        shape.BroadcastTo,
        lambda x: F.broadcast_to(x, (4, 5)),
        (normal(1, 5),),
        *(over(4, "batch"), last_image(), nonlinear(), channel()),
    ),
    _site(
        *("shape", "pad", shape.Pad, lambda x: F.pad(x, (1, 1, 1, 1)), (image(2, 1, 5, 5),)),
        written("cropped at the wrong end", lambda r, c: c.g[:, :, 2:, 2:], "shifted"),
        *(flipped(), element(), noise(), last_image()),
    ),
    _site(
        *("shape", "crop", shape.Pad, lambda x: F.pad(x, (-1, -1, -1, -1)), (image(1, 2, 6, 6),)),
        *(shifted(), sign(), element()),
    ),
]


def _exchanged(call: Call) -> list[Any]:
    return call.right()[::-1]


JOIN = [
    _site(
        *("join", "concatenate", join.Concatenate, lambda a, b: F.cat([a, b], 1), (A, B)),
        Fault("parts exchanged", _exchanged, ("operand",)),
        *(zero(1), sign(), shifted(1), mutates_cotangent(), single(1)),
    ),
    _site(
        *("join", "stack", join.Stack, lambda a, b: F.stack([a, b], 1), (A, B)),
        Fault("parts exchanged", _exchanged, ("shifted", "flipped")),
        *(double(1), element(), nonlinear(), noise(1)),
    ),
]

# ------------------------------------------------------------------------------- indexing

_REPEATED = [0, 2, 2, 4, 2]


def _overwritten(r: Array, call: Call) -> Array:
    found = np.zeros(r.shape)
    found[np.array(_REPEATED)] = call.g
    return found


INDEX = [
    _site(
        *("index", "slice", index.Slice, lambda x: x[:, 1:4], (normal(4, 6),)),
        written("one to the left", lambda r, c: moved(r, -1, -1), "shifted"),
        *(sign(), element(), zero(), first_answer()),
    ),
    _site(
        "index",
        "unslice",
        index.Unslice,
        index.Unslice(index.Key((slice(None), slice(1, 4))), (4, 6)),
        (normal(4, 3),),
        *(permille(), flipped(0, -1), mutates_cotangent()),
    ),
    _site(
        *("index", "gather", index.Gather, lambda x: x[_REPEATED], (normal(6, 3),)),
        written("repeats overwritten", _overwritten, "overlap"),
        *(half(), noise(), single()),
    ),
    _site(
        "index",
        "scatter add",
        index.ScatterAdd,
        index.ScatterAdd(index.Key((np.array(_REPEATED),)), (6, 3)),
        (normal(5, 3),),
        *(double(), element(), nonlinear(), shifted(0, 0)),
    ),
]

SITES = [
    *ELEMENTWISE,
    *PIECEWISE,
    *ACTIVATION,
    *REDUCE,
    *EXTREME,
    *SOFTMAX,
    *SHAPE,
    *JOIN,
    *INDEX,
]
