"""Element-by-element choices: abs, sign, maximum, minimum, clip, where.

Each has points where its gradient jumps; each docstring states what is returned there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.kernels.pointwise import activation as kernels
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import names_operands, values_of, without_graph
from tinygrad_cnn.ops.pointwise.ufunc import Binary, Unary, binary, unary
from tinygrad_cnn.types import Operand

__all__ = ["abs", "clamp", "clip", "maximum", "minimum", "sign", "where"]


class Abs(Unary):
    """Absolute value; its derivative at 0 is 0.

    >>> abs(np.array([1.0, -2.0]))
    array([1., 2.])
    """

    __slots__ = ()
    ufunc = np.absolute
    saves = ("x",)

    def choice(self, x: Any) -> Any:
        return np.sign(x)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * sign(x),)


abs = unary(Abs)


class Sign(Unary):
    """Sign: -1, 0 or 1; its gradient is 0.

    >>> sign(np.array([5.0, 0.0, -2.0]))
    array([ 1.,  0., -1.])
    """

    __slots__ = ()
    ufunc = np.sign

    def choice(self, x: Any) -> Any:
        return np.sign(x)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * 0.0,)


sign = unary(Sign)


class Where(Op):
    """A where the condition holds, b elsewhere."""

    __slots__ = ()
    saves = {"a": ("condition",), "b": ("condition",)}

    def forward(self, condition: Any, a: Any, b: Any) -> Any:
        # The gradient of what a condition keeps: ten times as fast as np.where.
        if a.__class__ is float and a == 0 and kernels.may_be_masked(b, condition):
            return kernels.keep_where(b, np.logical_not(condition))
        if b.__class__ is float and b == 0 and kernels.may_be_masked(a, condition):
            return kernels.keep_where(a, condition)
        return np.where(condition, a, b)

    def backward(
        self, g: Any, out: Any, condition: Any, a: Any, b: Any, *, needs: Any
    ) -> tuple[Any, ...]:
        return (
            None,
            where(condition, g, 0.0) if needs[1] else None,
            where(condition, 0.0, g) if needs[2] else None,
        )


_where = Where()


@names_operands
def where(
    condition: Operand | float,
    input: Operand | float | None = None,
    other: Operand | float | None = None,
) -> Any:
    """Choose: ``input`` where the condition holds, ``other`` elsewhere, all broadcast.

    With the condition alone: where it holds, an array of indices for each dimension.

    Raises
    ------
    TypeError
        If one of the two is missing.

    >>> where(np.array([True, False]), np.array([1.0, 2.0]), 0.0)
    array([1., 0.])
    """
    if input is not None is not other:
        return _where(condition, input, other)
    if input is not None or other is not None:
        raise TypeError("where: expects a condition alone, or both input and other")
    found = np.nonzero(values_of(condition))
    return tuple(without_graph(condition, places) for places in found)  # type: ignore[arg-type]


class Maximum(Binary):
    """Greater of two, element by element; at a tie each gets half of the gradient.

    >>> maximum(np.array([1.0, 5.0]), 3.0)
    array([3., 5.])
    """

    __slots__ = ()
    ufunc = np.maximum
    saves = ("a", "b")

    def choice(self, a: Any, b: Any) -> Any:
        return np.sign(np.subtract(a, b))

    def backward(self, g: Any, out: Any, a: Any, b: Any) -> tuple[Any, ...]:
        half = where(a == b, g * 0.5, 0.0)
        return where(a > b, g, half), where(b > a, g, half)


maximum = binary(Maximum)


class Minimum(Binary):
    """Smaller of two, element by element; at a tie each gets half of the gradient.

    >>> minimum(np.array([1.0, 5.0]), 3.0)
    array([1., 3.])
    """

    __slots__ = ()
    ufunc = np.minimum
    saves = ("a", "b")

    def choice(self, a: Any, b: Any) -> Any:
        return np.sign(np.subtract(a, b))

    def backward(self, g: Any, out: Any, a: Any, b: Any) -> tuple[Any, ...]:
        half = where(a == b, g * 0.5, 0.0)
        return where(a < b, g, half), where(b < a, g, half)


minimum = binary(Minimum)


class Clip(Op):
    """min(max(x, low), high) for two numbers, either of which may be None."""

    __slots__ = ("high", "low")
    saves = ("x",)

    def __init__(self, low: float | None, high: float | None) -> None:
        self.low = low
        self.high = high

    def forward(self, x: Any) -> Any:
        return np.clip(x, self.low, self.high)

    def choice(self, x: Any) -> Any:
        low = np.zeros(x.shape, np.int8) if self.low is None else np.sign(x - self.low)
        high = np.zeros(x.shape, np.int8) if self.high is None else np.sign(x - self.high)
        return np.stack([low, high])

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        if self.low is not None:
            g = where(x < self.low, 0.0, g)
        if self.high is not None:
            g = where(x > self.high, 0.0, g)
        return (g,)


class ClipBetween(Op):
    """min(max(x, low), high) for arrays, either of which may be None."""

    __slots__ = ()
    name = "clip"
    saves = {"x": ("x", "low", "high"), "low": ("x", "low", "high"), "high": ("x", "low", "high")}
    optional = True

    def forward(self, x: Any, low: Any, high: Any) -> Any:
        return np.clip(x, low, high)

    def choice(self, x: Any, low: Any, high: Any) -> Any:
        none = np.zeros(np.shape(x), np.int8)
        sides = [none if limit is None else np.sign(x - limit) for limit in (low, high)]
        return np.stack(np.broadcast_arrays(*sides))

    def backward(
        self, g: Any, out: Any, x: Any, low: Any, high: Any, *, needs: Any
    ) -> tuple[Any, ...]:
        gx = glow = ghigh = None
        if needs[0]:
            gx = g if low is None else where(x < low, 0.0, g)
            gx = gx if high is None else where(x > high, 0.0, gx)
        if needs[1]:  # where it binds, and the upper limit does not lie below it
            glow = where(x < low, g, 0.0)
            glow = glow if high is None else where(low < high, glow, 0.0)
        if needs[2]:
            ghigh = where(x > high, g, 0.0)
            ghigh = ghigh if low is None else where(high < low, g, ghigh)
        return gx, glow, ghigh


_clip_between = ClipBetween()


def clip(input: Operand | float, min: Any = None, max: Any = None) -> Any:
    """Limit to the range ``[min, max]``; the gradient passes inside and at the limits.

    ``min`` and ``max`` are numbers, or arrays broadcast against the input; a limit that is a tensor
    gets the gradient where it binds: ``input < min``, ``input > max``.

    >>> clip(np.array([-2.0, 0.5, 2.0]), 0.0, 1.0)
    array([0. , 0.5, 1. ])
    """
    if min is None and max is None:
        raise ValueError("clip: expects min, max or both")
    numbers = (int, float, type(None))
    if isinstance(min, numbers) and isinstance(max, numbers):
        return Clip(min, max)(input)
    return _clip_between(input, min, max)


clamp = clip
