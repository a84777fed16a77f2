"""Functions of two or three operands, element by element: logaddexp, xlogy, lerp and others."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.activation import sigmoid
from tinygrad_cnn.ops.arguments import as_real, names_operands
from tinygrad_cnn.ops.elementwise import add, div, log, log1p, mul
from tinygrad_cnn.ops.piecewise import abs, where
from tinygrad_cnn.types import Operand

__all__ = [
    "addcdiv",
    "addcmul",
    "fmax",
    "fmin",
    "lerp",
    "logaddexp",
    "logaddexp2",
    "xlog1py",
    "xlogy",
]


class Logaddexp(Op):
    """ln(eᵃ + eᵇ)."""

    __slots__ = ()
    saves = ("a", "b")
    ufunc: ClassVar[np.ufunc] = np.logaddexp
    _scale: ClassVar[float] = 1.0

    def forward(self, a: Any, b: Any) -> Any:
        return self.ufunc(a, b)

    def backward(self, g: Any, out: Any, a: Any, b: Any, *, needs: Any) -> tuple[Any, ...]:
        # Of two equal infinities, whose difference is NaN, each takes half; −inf takes nothing.
        unequal = where(abs(a) == math.inf, where(a == b, 0.0, 1.0), 1.0)
        apart = where(unequal == 0, 0.0, a) - where(unequal == 0, 0.0, b)
        apart = apart * self._scale
        return (
            g * where(a == -math.inf, 0.0, sigmoid(apart)) if needs[0] else None,
            g * where(b == -math.inf, 0.0, sigmoid(-apart)) if needs[1] else None,
        )


def logaddexp(input: Operand | float, other: Operand | float) -> Any:
    """Logarithm of the sum of exponentials of two, ``ln(exp(a) + exp(b))``, without overflow.

    Two that are inf share the gradient; −inf takes none.

    >>> logaddexp(np.array([0.0]), np.array([0.0])).round(4)
    array([0.6931])
    """
    return Logaddexp()(input, other)


class Logaddexp2(Logaddexp):
    """log₂(2ᵃ + 2ᵇ)."""

    __slots__ = ()
    name = "logaddexp2"
    ufunc = np.logaddexp2
    _scale = math.log(2.0)


def logaddexp2(input: Operand | float, other: Operand | float) -> Any:
    """Logarithm to base 2 of the sum of powers of two, ``log₂(2ᵃ + 2ᵇ)``, without overflow.

    >>> logaddexp2(np.array([0.0]), np.array([0.0]))
    array([1.])
    """
    return Logaddexp2()(input, other)


class Xlogy(Op):
    """x · ln y, 0 where x is 0."""

    __slots__ = ()
    saves = {"x": ("x", "y"), "y": ("x", "y")}

    def forward(self, x: Any, y: Any) -> Any:
        zero = (x == 0) & ~np.isnan(y)
        return np.where(zero, 0.0, x * np.log(np.where(zero, 1.0, y)))

    def backward(self, g: Any, out: Any, x: Any, y: Any, *, needs: Any) -> tuple[Any, ...]:
        none = where(x == 0, where(y <= 0, 1.0, 0.0), 0.0)
        gx = where(none == 1, 0.0, g * log(where(none == 1, 1.0, y))) if needs[0] else None
        return gx, g * x / where(none == 1, 1.0, y) if needs[1] else None


def xlogy(input: Operand | float, other: Operand | float) -> Any:
    """Multiply by a logarithm, ``input · ln(other)``: 0 where the input is 0 and other no NaN.

    Where the input is 0 and other ≤ 0, the gradients are 0.

    >>> xlogy(np.array([0.0, 2.0]), np.array([0.0, 1.0]))
    array([0., 0.])
    """
    return Xlogy()(input, other)


def xlog1py(input: Operand | float, other: Operand | float) -> Any:
    """Multiply by a logarithm, ``input · ln(1 + other)``: 0 where the input is 0.

    >>> xlog1py(np.array([0.0, 2.0]), np.array([-1.0, 0.0]))
    array([0., 0.])
    """
    zero = where(input == 0, where(other == other, 1.0, 0.0), 0.0) == 1  # no NaN
    return where(zero, mul(input, 0.0), mul(input, log1p(where(zero, 0.0, other))))


class Lerp(Op):
    """start + weight · (end − start)."""

    __slots__ = ()
    saves = {"start": ("weight",), "end": ("weight",), "weight": ("start", "end")}

    def forward(self, start: Any, end: Any, weight: Any) -> Any:
        difference = end - start
        near = np.abs(weight) < 0.5  # from the nearer end: at weight 1 exactly the end
        return np.where(near, start + weight * difference, end - difference * (1.0 - weight))

    def backward(
        self, g: Any, out: Any, start: Any, end: Any, weight: Any, *, needs: Any
    ) -> tuple[Any, ...]:
        return (
            g * (1.0 - weight) if needs[0] else None,
            g * weight if needs[1] else None,
            g * (end - start) if needs[2] else None,
        )


@names_operands
def lerp(input: Operand, end: Operand, weight: Operand | float) -> Any:
    """Go from one to another: ``input + weight · (end - input)``, all broadcast.

    >>> lerp(np.array([0.0]), np.array([10.0]), 0.25)
    array([2.5])
    """
    return Lerp()(as_real(input), as_real(end), weight)


def addcmul(input: Operand, tensor1: Operand, tensor2: Operand, *, value: float = 1) -> Any:
    """Add a product: ``input + value · tensor1 · tensor2``.

    >>> addcmul(np.array([1.0]), np.array([2.0]), np.array([3.0]), value=0.5)
    array([4.])
    """
    product = mul(tensor1, tensor2)
    return add(input, product if value == 1 else mul(product, value))


def addcdiv(input: Operand, tensor1: Operand, tensor2: Operand, *, value: float = 1) -> Any:
    """Add a quotient: ``input + value · tensor1 / tensor2``.

    >>> addcdiv(np.array([1.0]), np.array([6.0]), np.array([3.0]), value=0.5)
    array([2.])
    """
    quotient = div(tensor1, tensor2)
    return add(input, quotient if value == 1 else mul(quotient, value))


def fmax(input: Any, other: Any) -> Any:
    """Greater of two, a NaN giving way to a number; at a tie the input takes the gradient.

    >>> fmax(np.array([1.0, np.nan]), 0.5)
    array([1. , 0.5])
    """
    absent = other != other  # NaN is not itself
    return where(absent, input, where(input >= other, input, other))


def fmin(input: Any, other: Any) -> Any:
    """Smaller of two, a NaN giving way to a number; at a tie the input takes the gradient.

    >>> fmin(np.array([1.0, np.nan]), 0.5)
    array([0.5, 0.5])
    """
    absent = other != other
    return where(absent, input, where(input <= other, input, other))
