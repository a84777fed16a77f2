"""Powers, roots, exponentials and logarithms to other bases, of each element.

Integers give float32. exp, log, log1p, sqrt and pow are in `ops.elementwise`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_cnn.op import Op, TensorBase
from tinygrad_cnn.ops.arguments import as_float, names_operands, values_of, without_graph
from tinygrad_cnn.ops.elementwise import log, mul, pow
from tinygrad_cnn.ops.piecewise import clip
from tinygrad_cnn.ops.pointwise.ufunc import FloatUnary, unary
from tinygrad_cnn.types import Operand

__all__ = [
    "cbrt",
    "exp2",
    "expm1",
    "frexp",
    "ldexp",
    "log2",
    "log10",
    "logit",
    "reciprocal",
    "rsqrt",
    "square",
]


class Exp2(FloatUnary):
    """Power of two: ``2 ** input``.

    >>> exp2(np.array([3.0]))
    array([8.])
    """

    __slots__ = ()
    ufunc = np.exp2
    saves = ("out",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * out * math.log(2.0),)


exp2 = unary(Exp2)


class Expm1(FloatUnary):
    """Exponential less one, ``exp(input) - 1``, accurate for small inputs.

    >>> expm1(np.array([0.0]))
    array([0.])
    """

    __slots__ = ()
    ufunc = np.expm1
    saves = ("out",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * (out + 1.0),)


expm1 = unary(Expm1)


class Log2(FloatUnary):
    """Logarithm to base 2.

    >>> log2(np.array([8.0]))
    array([3.])
    """

    __slots__ = ()
    ufunc = np.log2
    saves = ("x",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g / (x * math.log(2.0)),)


log2 = unary(Log2)


class Log10(FloatUnary):
    """Logarithm to base 10.

    >>> log10(np.array([100.0]))
    array([2.])
    """

    __slots__ = ()
    ufunc = np.log10
    saves = ("x",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g / (x * math.log(10.0)),)


log10 = unary(Log10)


class Cbrt(FloatUnary):
    """Cube root, of negative numbers too.

    >>> cbrt(np.array([-8.0]))
    array([-2.])
    """

    __slots__ = ()
    ufunc = np.cbrt
    saves = ("out",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g / (out * out * 3.0),)


cbrt = unary(Cbrt)


class Reciprocal(FloatUnary):
    """Divide one by each: ``1 / input``.

    >>> reciprocal(np.array([4.0]))
    array([0.25])
    """

    __slots__ = ()
    ufunc = np.reciprocal
    saves = ("out",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (-g * out * out,)


reciprocal = unary(Reciprocal)


class Rsqrt(Op):
    """Divide one by the square root of each: ``1 / √input``.

    >>> rsqrt(np.array([4.0]))
    array([0.5])
    """

    __slots__ = ()
    saves = ("out",)

    def forward(self, x: Any) -> Any:
        return 1.0 / np.sqrt(as_float(x))

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * (out * out * out) * -0.5,)


rsqrt = unary(Rsqrt)


def square(input: Operand | float) -> Any:
    """Square each: ``input ** 2``.

    >>> square(np.array([3.0]))
    array([9.])
    """
    return pow(input, 2)


@names_operands
def logit(input: Operand | float, eps: float | None = None) -> Any:
    """Inverse of `sigmoid`: ``ln(p / (1 − p))``; with ``eps``, p is limited to [eps, 1 − eps].

    >>> logit(np.array([0.5]))
    array([0.])
    """
    p: Any = input if eps is None else clip(input, eps, 1.0 - eps)
    return log(p / (1.0 - p))


def ldexp(input: Operand | float, other: Any) -> Any:
    """Multiply by a power of two: ``input · 2^other`` for whole numbers.

    >>> ldexp(np.array([5.0]), np.array([1]))
    array([10.])
    """
    powers = np.ldexp(1.0, other._data if isinstance(other, TensorBase) else other)
    return mul(input, powers if np.ndim(powers) else float(powers))


@names_operands
def frexp(input: Operand) -> tuple[Any, Any]:
    """Take numbers apart: ``input = fraction · 2^exponent``, fractions from 0.5 to 1.

    The exponents are whole numbers without a gradient.

    >>> frexp(np.array([10.0]))
    (array([0.625]), array([4], dtype=int32))
    """
    exponent = np.frexp(values_of(input))[1]
    return ldexp(input, -exponent), without_graph(input, exponent)
