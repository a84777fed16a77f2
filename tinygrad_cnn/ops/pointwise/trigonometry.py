"""Trigonometric and hyperbolic functions of each element, and their inverses.

Integers give float32. `tanh` is among the activations.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.elementwise import mul, sqrt
from tinygrad_cnn.ops.piecewise import abs, where
from tinygrad_cnn.ops.pointwise.ufunc import FloatUnary, unary
from tinygrad_cnn.types import Operand

__all__ = [
    "acos",
    "acosh",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cos",
    "cosh",
    "deg2rad",
    "hypot",
    "rad2deg",
    "sin",
    "sinc",
    "sinh",
    "tan",
]


class Sin(FloatUnary):
    """Sine of an angle in radians.

    >>> sin(np.array([0.0]))
    array([0.])
    """

    __slots__ = ()
    ufunc = np.sin
    saves = ("x",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * cos(x),)


sin = unary(Sin)


class Cos(FloatUnary):
    """Cosine of an angle in radians.

    >>> cos(np.array([0.0]))
    array([1.])
    """

    __slots__ = ()
    ufunc = np.cos
    saves = ("x",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (-g * sin(x),)


cos = unary(Cos)


class Tan(FloatUnary):
    """Tangent of an angle in radians.

    >>> tan(np.array([0.0]))
    array([0.])
    """

    __slots__ = ()
    ufunc = np.tan
    saves = ("out",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * (out * out + 1.0),)


tan = unary(Tan)


class Asin(FloatUnary):
    """Angle in [−π/2, π/2] whose sine is the input, which lies in [−1, 1]; `arcsin` is the same.

    >>> asin(np.array([0.0]))
    array([0.])
    """

    __slots__ = ()
    ufunc = np.arcsin
    saves = ("x",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g / sqrt((1.0 - x) * (1.0 + x)),)  # not 1 − x², which is rounded near 1


asin = unary(Asin)


class Acos(FloatUnary):
    """Angle in [0, π] whose cosine is the input, which lies in [−1, 1]; `arccos` is the same.

    >>> acos(np.array([1.0]))
    array([0.])
    """

    __slots__ = ()
    ufunc = np.arccos
    saves = ("x",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (-g / sqrt((1.0 - x) * (1.0 + x)),)


acos = unary(Acos)


class Atan(FloatUnary):
    """Angle in [−π/2, π/2] whose tangent is the input; `arctan` is the same.

    >>> atan(np.array([0.0]))
    array([0.])
    """

    __slots__ = ()
    ufunc = np.arctan
    saves = ("x",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g / (x * x + 1.0),)


atan = unary(Atan)


class Sinh(FloatUnary):
    """Hyperbolic sine: ``(exp(x) - exp(-x)) / 2``.

    >>> sinh(np.array([0.0]))
    array([0.])
    """

    __slots__ = ()
    ufunc = np.sinh
    saves = ("x",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * cosh(x),)


sinh = unary(Sinh)


class Cosh(FloatUnary):
    """Hyperbolic cosine: ``(exp(x) + exp(-x)) / 2``.

    >>> cosh(np.array([0.0]))
    array([1.])
    """

    __slots__ = ()
    ufunc = np.cosh
    saves = ("x",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * sinh(x),)


cosh = unary(Cosh)


class Asinh(FloatUnary):
    """Inverse of `sinh`: ``ln(x + √(x² + 1))``; `arcsinh` is the same.

    >>> asinh(np.array([0.0]))
    array([0.])
    """

    __slots__ = ()
    ufunc = np.arcsinh
    saves = ("x",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g / hypot(x, 1.0),)  # √(x² + 1), where x² may overflow


asinh = unary(Asinh)


class Acosh(FloatUnary):
    """Inverse of `cosh` for inputs ≥ 1: ``ln(x + √(x² − 1))``; `arccosh` is the same.

    >>> acosh(np.array([1.0]))
    array([0.])
    """

    __slots__ = ()
    ufunc = np.arccosh
    saves = ("x",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g / (sqrt(x - 1.0) * sqrt(x + 1.0)),)


acosh = unary(Acosh)


class Atanh(FloatUnary):
    """Inverse of `tanh` for inputs in (−1, 1): ``ln((1 + x) / (1 − x)) / 2``; also `arctanh`.

    >>> atanh(np.array([0.0]))
    array([0.])
    """

    __slots__ = ()
    ufunc = np.arctanh
    saves = ("x",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g / ((1.0 - x) * (1.0 + x)),)


atanh = unary(Atanh)


class Atan2(Op):
    """The angle of the point (x, y)."""

    __slots__ = ()
    saves = ("y", "x")

    def forward(self, y: Any, x: Any) -> Any:
        return np.arctan2(y, x)

    def backward(self, g: Any, out: Any, y: Any, x: Any, *, needs: Any) -> tuple[Any, ...]:
        length = hypot(y, x)
        length = where(length == 0, 1.0, length)
        g = g / length  # twice divided: the square may overflow
        return (
            g * (x / length) if needs[0] else None,
            -g * (y / length) if needs[1] else None,
        )


def atan2(input: Operand | float, other: Operand | float) -> Any:
    """Angle in [−π, π] of the point with y ``input`` and x ``other``; `arctan2` is the same.

    At the origin, where the derivative does not exist, the gradient is 0.

    >>> atan2(np.array([1.0]), np.array([0.0])).round(4)
    array([1.5708])
    """
    return Atan2()(input, other)


class Hypot(Op):
    """√(a² + b²)."""

    __slots__ = ()
    saves = {"a": ("a", "out"), "b": ("b", "out")}

    def forward(self, a: Any, b: Any) -> Any:
        return np.hypot(a, b)

    def backward(self, g: Any, out: Any, a: Any, b: Any, *, needs: Any) -> tuple[Any, ...]:
        out = where(out == 0, 1.0, out)
        return g * (a / out) if needs[0] else None, g * (b / out) if needs[1] else None


def hypot(input: Operand | float, other: Operand | float) -> Any:
    """Length of the hypotenuse, ``√(input² + other²)``, without overflow.

    At the origin, where the derivative does not exist, the gradient is 0, as that of a norm.

    >>> hypot(np.array([3.0]), np.array([4.0]))
    array([5.])
    """
    return Hypot()(input, other)


class Sinc(Op):
    """sin(πx) / (πx)."""

    __slots__ = ()
    saves = ("x", "out")

    def forward(self, x: Any) -> Any:
        return np.sinc(x)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        # (cos u − sinc u) / u with u = πx; near 0, where the difference is rounded, its series.
        u = x * math.pi
        near = abs(u) < 0.1
        far = where(near, 1.0, u)
        square = u * u
        series = ((square / 54.0 - 1.0) / 28.0 * square + 1.0) / 10.0 * square - 1.0
        slope = where(near, series / 3.0 * u, (cos(far) - sin(far) / far) / far)
        return (g * slope * math.pi,)


def sinc(input: Operand | float) -> Any:
    """Return ``sin(πx) / (πx)``, 1 at 0.

    >>> sinc(np.array([0.0, 0.5])).round(4)
    array([1.    , 0.6366])
    """
    return Sinc()(input)


def deg2rad(input: Operand | float) -> Any:
    """Radians of an angle in degrees: ``input · π / 180``.

    >>> deg2rad(np.array([180.0])).round(4)
    array([3.1416])
    """
    return mul(input, math.pi / 180.0)


def rad2deg(input: Operand | float) -> Any:
    """Degrees of an angle in radians: ``input · 180 / π``.

    >>> rad2deg(np.array([math.pi]))
    array([180.])
    """
    return mul(input, 180.0 / math.pi)


arccos, arccosh, arcsin, arcsinh = acos, acosh, asin, asinh
arctan, arctan2, arctanh = atan, atan2, atanh
