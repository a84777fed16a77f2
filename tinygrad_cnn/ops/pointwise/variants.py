"""Arithmetic under its other names, and with one side fixed: PyTorch's and NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.ops.arguments import names_operands, values_of, without_graph
from tinygrad_cnn.ops.elementwise import cast, div, mul, neg, pow, sub
from tinygrad_cnn.ops.piecewise import abs, clip
from tinygrad_cnn.types import Operand

__all__ = [
    "absolute",
    "clamp_max",
    "clamp_min",
    "divide",
    "float_power",
    "gcd",
    "isreal",
    "lcm",
    "multiply",
    "negative",
    "positive",
    "rsub",
    "subtract",
    "true_divide",
]

absolute, negative, multiply, subtract = abs, neg, mul, sub


def divide(
    input: Operand | float, other: Operand | float, *, rounding_mode: str | None = None
) -> Any:
    """Divide, and perhaps round: as `div`.

    >>> divide(np.array([-7.0]), 2.0, rounding_mode="floor")
    array([-4.])
    """
    return div(input, other, rounding_mode=rounding_mode)


true_divide = divide


@names_operands
def positive(input: Operand) -> Any:
    """Return the input as it is, of numbers: +x.

    Raises
    ------
    TypeError
        If the elements are truth values.

    >>> positive(np.array([-1.0]))
    array([-1.])
    """
    if values_of(input).dtype.kind == "b":
        raise TypeError("positive: expects numbers, got bool")
    return input


def rsub(input: Operand | float, other: Operand | float, *, alpha: float = 1) -> Any:
    """Subtract the other way round: ``other - alpha · input``.

    >>> rsub(np.array([1.0]), 3.0)
    array([2.])
    """
    return sub(other, input, alpha=alpha)


@names_operands
def clamp_min(input: Operand | float, min: Operand | float) -> Any:
    """Limit from below: as `clamp` with ``min`` alone.

    >>> clamp_min(np.array([-1.0, 2.0]), 0.0)
    array([0., 2.])
    """
    return clip(input, min=min)


@names_operands
def clamp_max(input: Operand | float, max: Operand | float) -> Any:
    """Limit from above: as `clamp` with ``max`` alone.

    >>> clamp_max(np.array([-1.0, 2.0]), 0.0)
    array([-1.,  0.])
    """
    return clip(input, max=max)


@names_operands
def float_power(input: Operand | float, exponent: Operand | float) -> Any:
    """Raise to a power in float64.

    >>> float_power(np.array([2], np.int32), 3)
    array([8.])
    """
    values_of(input), values_of(exponent)
    return pow(cast(input, np.float64), cast(exponent, np.float64))


def _whole(function: np.ufunc, input: Any, other: Any) -> Any:
    one, two = values_of(input), values_of(other)
    if one.dtype.kind not in "iu" or two.dtype.kind not in "iu":
        raise TypeError(f"{function.__name__}: expects integers, got {one.dtype} and {two.dtype}")
    return without_graph(input if hasattr(input, "_data") else other, function(one, two))


@names_operands
def gcd(input: Operand | int, other: Operand | int) -> Any:
    """Greatest common divisor of whole numbers; no gradient.

    >>> gcd(np.array([12, 7]), 8)
    array([4, 1])
    """
    return _whole(np.gcd, input, other)


@names_operands
def lcm(input: Operand | int, other: Operand | int) -> Any:
    """Least common multiple of whole numbers; no gradient.

    >>> lcm(np.array([4, 7]), 6)
    array([12, 42])
    """
    return _whole(np.lcm, input, other)


@names_operands
def isreal(input: Operand) -> Any:
    """Whether each element is a real number: all are.

    >>> isreal(np.array([1.0]))
    array([ True])
    """
    return without_graph(input, np.ones(values_of(input).shape, bool))
