"""The gamma function's logarithm and its derivatives, and the relatives of erf.

`erf` itself is among the activations, since GELU uses it. Integers give float32.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np  # noqa: F401  # for the examples

from tinygrad_cnn.kernels.pointwise import special
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import as_float
from tinygrad_cnn.ops.elementwise import exp
from tinygrad_cnn.ops.pointwise.ufunc import unary
from tinygrad_cnn.types import Operand

__all__ = ["digamma", "erfc", "erfinv", "lgamma", "polygamma"]


class Lgamma(Op):
    """Logarithm of the magnitude of the gamma function; inf at 0 and the negative integers.

    >>> lgamma(np.array([4.0])).round(4)  # ln 3!
    array([1.7918])
    """

    __slots__ = ()
    saves = ("x",)

    def forward(self, x: Any) -> Any:
        return special.lgamma(as_float(x))

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * digamma(x),)


lgamma = unary(Lgamma)


class Polygamma(Op):
    """The derivative of order n + 1 of ln Γ(x)."""

    __slots__ = ("n",)
    saves = ("x",)

    def __init__(self, n: int) -> None:
        self.n = n

    def forward(self, x: Any) -> Any:
        x = as_float(x)
        return special.digamma(x) if self.n == 0 else special.polygamma(self.n, x)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * polygamma(self.n + 1, x),)


def digamma(input: Operand | float) -> Any:
    """Take the derivative of `lgamma`: ``Γ′(x) / Γ(x)``; NaN at the negative integers.

    >>> digamma(np.array([1.0])).round(4)
    array([-0.5772])
    """
    return Polygamma(0)(input)


def polygamma(n: int, input: Operand | float) -> Any:
    """Take the derivative of `digamma` of order n.

    Raises
    ------
    ValueError
        If n is negative; or if an input lies below -10000 and n is not 0.

    >>> polygamma(1, np.array([1.0])).round(4)  # π² / 6
    array([1.6449])
    """
    if operator.index(n) < 0:
        raise ValueError(f"polygamma: n expects an int >= 0, got {n}")
    return Polygamma(operator.index(n))(input)


class Erfc(Op):
    """Complement of the error function, ``1 - erf(input)``, accurate where it is small.

    >>> erfc(np.array([0.0]))
    array([1.])
    """

    __slots__ = ()
    saves = ("x",)

    def forward(self, x: Any) -> Any:
        return special.erfc(as_float(x))

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * exp(-(x * x)) * (-2.0 / math.sqrt(math.pi)),)


erfc = unary(Erfc)


class Erfinv(Op):
    """Inverse of `erf` on [−1, 1]: infinite at the ends, NaN outside.

    Winitzki, "A handy approximation for the error function and its inverse" (2008), refined by
    Halley's method.

    >>> erfinv(np.array([0.5])).round(4)
    array([0.4769])
    """

    __slots__ = ()
    saves = ("out",)

    def forward(self, x: Any) -> Any:
        return special.erfinv(as_float(x))

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * exp(out * out) * (math.sqrt(math.pi) / 2.0),)


erfinv = unary(Erfinv)
