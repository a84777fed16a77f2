"""Arithmetic element by element, comparisons, logic and bits."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.operators.base import Call, Run, array, is_float, named, operator, simple
from tinygrad_cnn.types import Array

__all__: list[str] = []

for _name, _function in {
    "Abs": F.abs,
    "Neg": F.neg,
    "Exp": F.exp,
    "Log": F.log,
    "Sqrt": F.sqrt,
    "Erf": F.erf,
    "Ceil": F.ceil,
    "Floor": F.floor,
    "Sign": F.sign,
    "Reciprocal": F.reciprocal,
    "Sin": F.sin,
    "Cos": F.cos,
    "Tan": F.tan,
    "Asin": F.asin,
    "Acos": F.acos,
    "Atan": F.atan,
    "Sinh": F.sinh,
    "Cosh": F.cosh,
    "Asinh": F.asinh,
    "Acosh": F.acosh,
    "Atanh": F.atanh,
    "Det": F.det,
}.items():
    simple(_name, _function)

simple("Round", lambda x: F.round(x))  # halves to the even number, as NumPy's
simple("IsNaN", lambda x: np.isnan(array(x)))
simple("Not", lambda x: np.logical_not(array(x)))
simple("BitwiseNot", lambda x: np.invert(array(x)))


# ------------------------------------------------------------------ two operands


def _arithmetic(
    floats: Callable[[Any, Any], Any], whole: Callable[[Array, Array], Array]
) -> Callable[[Call], Run]:
    """Return an operator: one function where there are floats, another for integers."""

    def run(a: Any, b: Any) -> Any:
        if a.dtype.kind == "f" or b.dtype.kind == "f":
            return floats(a, b)
        return whole(array(a), array(b))

    return lambda _: run


def _divide(a: Array, b: Array) -> Array:
    """Divide integers towards zero, as C does; what is divided by 0 is 0."""
    with np.errstate(divide="ignore"):
        quotient = np.floor_divide(a, b)
        remainder = np.remainder(a, b)
    below = (remainder != 0) & ((a < 0) != (b < 0))
    return np.asarray(quotient + below, np.result_type(a, b))


def _unlimited(function: Any) -> Callable[[Array, Array], Array]:
    """Return a function on integers that goes round at the ends of their range."""

    def run(a: Array, b: Array) -> Array:
        with np.errstate(over="ignore"):
            found: Array = np.asarray(function(a, b))
        return found

    return run


operator("Add", operands=True)(_arithmetic(F.add, _unlimited(np.add)))
operator("Sub", operands=True)(_arithmetic(F.sub, _unlimited(np.subtract)))
operator("Mul", operands=True)(_arithmetic(F.mul, _unlimited(np.multiply)))
operator("Div", operands=True)(_arithmetic(F.div, _divide))


@operator("Pow")
def power(call: Call) -> Run:
    """Raise to a power: the result has the base's type."""

    def run(base: Any, exponent: Any) -> Any:
        if not is_float(base):
            return np.power(array(base), array(exponent)).astype(base.dtype)
        if is_float(exponent) and exponent.dtype != base.dtype:
            exponent = F.cast(exponent, base.dtype)
        exponent = array(exponent).astype(base.dtype) if not is_float(exponent) else exponent
        return F.pow(base, exponent)

    return run


@operator("Mod")
def modulo(call: Call) -> Run:
    """Take the remainder: with Python's sign, or with fmod=1 with C's."""
    like_c = bool(call.integer("fmod"))

    def run(a: Any, b: Any) -> Any:
        if is_float(a):
            return (F.fmod if like_c else F.remainder)(a, b)
        with np.errstate(divide="ignore"):
            return (np.fmod if like_c else np.remainder)(array(a), array(b))

    return run


def _folded(function: Callable[[Any, Any], Any]) -> Callable[[Call], Run]:
    """Return an operator of any number of operands."""
    return lambda _: lambda *values: reduce(function, values)


def _extreme(floats: Any, whole: Any) -> Callable[[Any, Any], Any]:
    def choose(a: Any, b: Any) -> Any:
        return floats(a, b) if is_float(a) else whole(array(a), array(b))

    return choose


operator("Sum", operands=True)(_folded(F.add))
operator("Max")(_folded(_extreme(F.maximum, np.maximum)))
operator("Min")(_folded(_extreme(F.minimum, np.minimum)))
simple("Mean", lambda *values: F.div(reduce(F.add, values), float(len(values))), operands=True)


# ------------------------------------------------------------------ questions, logic, bits

for _name, _ufunc in {
    "Equal": np.equal,
    "Less": np.less,
    "Greater": np.greater,
    "LessOrEqual": np.less_equal,
    "GreaterOrEqual": np.greater_equal,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
    "BitwiseAnd": np.bitwise_and,
    "BitwiseOr": np.bitwise_or,
    "BitwiseXor": np.bitwise_xor,
}.items():
    simple(_name, lambda a, b, _ufunc=_ufunc: np.asarray(_ufunc(array(a), array(b))))


@operator("IsInf")
def is_infinite(call: Call) -> Run:
    """Find the infinities, of both signs or of one."""
    negative, positive = call.integer("detect_negative", 1), call.integer("detect_positive", 1)

    def run(x: Any) -> Any:
        found = array(x)
        return (np.isneginf(found) & bool(negative)) | (np.isposinf(found) & bool(positive))

    return run


@operator("BitShift")
def bit_shift(call: Call) -> Run:
    """Move bits to the left or to the right."""
    ways = {"LEFT": np.left_shift, "RIGHT": np.right_shift}
    shift = ways[named("BitShift: direction", call.text("direction"), ways)]
    return lambda a, b: shift(array(a), array(b))


@operator("Where")
def where(call: Call) -> Run:
    """Choose between two values."""

    def run(condition: Any, a: Any, b: Any) -> Any:
        if is_float(a):
            return F.where(array(condition), a, b)
        return np.where(array(condition), array(a), array(b))

    return run


@operator("Clip")
def clip(call: Call) -> Run:
    """Keep within limits; they were attributes before opset 11."""
    if call.opset < 11:
        least, most = call.real("min", None), call.real("max", None)
        return lambda x: F.clamp(x, least, most)

    def run(x: Any, least: Any = None, most: Any = None) -> Any:
        if least is None and most is None:
            return x
        if not is_float(x):
            found = array(x)
            found = found if least is None else np.maximum(found, array(least))
            return found if most is None else np.minimum(found, array(most))
        low, high = (None if m is None else array(m).item() for m in (least, most))
        if low is not None and high is not None and low > high:
            return F.minimum(F.maximum(x, low), high)  # the upper limit counts
        return F.clamp(x, low, high)

    return run


@operator("Einsum", weights=tuple(range(16)))
def einsum(call: Call) -> Run:
    """Multiply and add up as an equation says."""
    equation = call.text("equation")
    if not equation:
        raise OnnxError("Einsum expects an equation")
    return lambda *values: F.einsum(equation.replace(" ", ""), *values)
