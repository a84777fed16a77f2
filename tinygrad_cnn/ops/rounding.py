"""Steps and what they leave over: floor, ceil, trunc, round, floor division and its remainders.

A step is constant wherever it has a derivative, so its gradient is 0; the rest of a division is
not, and has one.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import shape_of
from tinygrad_cnn.ops.piecewise import sign, where
from tinygrad_cnn.types import Operand

__all__ = [
    "ceil",
    "copysign",
    "fix",
    "floor",
    "floor_divide",
    "fmod",
    "frac",
    "heaviside",
    "nextafter",
    "remainder",
    "round",
    "sgn",
    "trunc",
]


class _Step(Op):
    """A function of whole numbers: constant between its jumps."""

    __slots__ = ()
    ufunc: ClassVar[np.ufunc]

    def forward(self, x: Any) -> Any:
        return self.ufunc(x)

    def choice(self, x: Any) -> Any:
        return self.forward(x)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * 0.0,)


class Floor(_Step):
    """⌊x⌋."""

    __slots__ = ()
    ufunc = np.floor


_floor = Floor()


def floor(input: Operand | float) -> Any:
    """Round down to whole numbers; the gradient is 0.

    >>> floor(np.array([1.7, -1.7]))
    array([ 1., -2.])
    """
    return _floor(input)


class Ceil(_Step):
    """⌈x⌉."""

    __slots__ = ()
    ufunc = np.ceil


_ceil = Ceil()


def ceil(input: Operand | float) -> Any:
    """Round up to whole numbers; the gradient is 0.

    >>> ceil(np.array([1.7, -1.7]))
    array([ 2., -1.])
    """
    return _ceil(input)


class Trunc(_Step):
    """x without the digits behind the point."""

    __slots__ = ()
    ufunc = np.trunc


_trunc = Trunc()


def trunc(input: Operand | float) -> Any:
    """Round towards 0 to whole numbers; the gradient is 0. `fix` is the same function.

    >>> trunc(np.array([1.7, -1.7]))
    array([ 1., -1.])
    """
    return _trunc(input)


fix = trunc
sgn = sign


class Round(_Step):
    """x rounded to a number of decimals, halves to the even neighbour."""

    __slots__ = ("decimals",)

    def __init__(self, decimals: int) -> None:
        self.decimals = decimals

    def forward(self, x: Any) -> Any:
        return np.round(x, self.decimals)


def round(input: Operand | float, decimals: int = 0) -> Any:
    """Round to a number of decimals, halves to the even neighbour; the gradient is 0.

    ``decimals`` may be negative: -1 rounds to tens.

    >>> round(np.array([0.5, 1.5, 2.25]), decimals=1)
    array([0.5, 1.5, 2.2])
    """
    return Round(decimals)(input)


class FloorDivide(Op):
    """⌊a / b⌋."""

    __slots__ = ()

    def forward(self, a: Any, b: Any) -> Any:
        return np.floor_divide(a, b)

    def choice(self, a: Any, b: Any) -> Any:
        return np.floor_divide(a, b)

    def backward(self, g: Any, out: Any, a: Any, b: Any) -> tuple[Any, ...]:
        nothing = g * 0.0
        return nothing, nothing


_floor_divide = FloorDivide()


def floor_divide(input: Operand | float, other: Operand | float) -> Any:
    """Divide and round down: ``input // other``, broadcast against each other; the gradient is 0.

    >>> floor_divide(np.array([7.0, -7.0]), 2.0)
    array([ 3., -4.])
    """
    return _floor_divide(input, other)


class Remainder(Op):
    """a - b · ⌊a / b⌋: it has the sign of b."""

    __slots__ = ()
    saves = {"a": (), "b": ("a", "b")}
    ufunc: ClassVar[np.ufunc] = np.remainder

    def forward(self, a: Any, b: Any) -> Any:
        return self.ufunc(a, b)

    def choice(self, a: Any, b: Any) -> Any:
        return self.quotient(a, b)

    def quotient(self, a: Any, b: Any) -> Any:
        """Return the whole number of times that b goes into a."""
        return floor_divide(a, b)

    def backward(self, g: Any, out: Any, a: Any, b: Any, *, needs: Any) -> tuple[Any, ...]:
        return g, -g * self.quotient(a, b) if needs[1] else None


_remainder = Remainder()


def remainder(input: Operand | float, other: Operand | float) -> Any:
    """Take what a division rounded down leaves: ``input % other``, with the sign of ``other``.

    The derivative by ``input`` is 1, by ``other`` -⌊input / other⌋.

    >>> remainder(np.array([7.0, -7.0]), 4.0)
    array([3., 1.])
    """
    return _remainder(input, other)


class Fmod(Remainder):
    """a - b · trunc(a / b): it has the sign of a."""

    __slots__ = ()
    ufunc = np.fmod

    def quotient(self, a: Any, b: Any) -> Any:
        return trunc(a / b)


_fmod = Fmod()


def fmod(input: Operand | float, other: Operand | float) -> Any:
    """Take what a division rounded towards 0 leaves; it has the sign of ``input``, as C's fmod.

    The derivative by ``input`` is 1, by ``other`` -trunc(input / other).

    >>> fmod(np.array([7.0, -7.0]), 4.0)
    array([ 3., -3.])
    """
    return _fmod(input, other)


def frac(input: Operand | float) -> Any:
    """Return what follows the point, with the input's sign: ``input - trunc(input)``.

    Its derivative is 1, at the jumps too.

    >>> frac(np.array([1.5, -1.25]))
    array([ 0.5 , -0.25])
    """
    return input - trunc(input)


class Copysign(Op):
    """|a| with the sign of b."""

    __slots__ = ()
    saves = {"a": ("a", "b")}

    def forward(self, a: Any, b: Any) -> Any:
        return np.copysign(a, b)

    def choice(self, a: Any, b: Any) -> Any:
        return np.sign(a) * np.copysign(1.0, b)

    def backward(self, g: Any, out: Any, a: Any, b: Any, *, needs: Any) -> tuple[Any, ...]:
        return (
            g * (sign(a) * copysign(1.0, b)) if needs[0] else None,
            g * 0.0 if needs[1] else None,
        )


def copysign(input: Operand | float, other: Operand | float) -> Any:
    """Magnitude of the input with the sign of the other, of which −0.0 has one too.

    The derivative by the input is 1 or −1, at 0 it is 0; by the other it is 0.

    >>> copysign(np.array([1.0, 2.0]), -1.0)
    array([-1., -2.])
    """
    return Copysign()(input, other)


class Nextafter(Op):
    """The next floating-point number after a in the direction of b."""

    __slots__ = ()

    def forward(self, a: Any, b: Any) -> Any:
        return np.nextafter(a, b)

    def backward(self, g: Any, out: Any, a: Any, b: Any, *, needs: Any) -> tuple[Any, ...]:
        return g, g * 0.0 if needs[1] else None


def nextafter(input: Operand | float, other: Operand | float) -> Any:
    """Next floating-point number after the input in the direction of the other.

    Its derivative is that of the number itself: 1, and 0 by the other.

    >>> nextafter(np.array([1.0]), 2.0) > 1.0
    array([ True])
    """
    return Nextafter()(input, other)


def heaviside(input: Operand | float, values: Operand | float) -> Any:
    """Step function: 0 below 0, 1 above, and ``values`` at 0, which get the gradient there.

    The gradient by the input is 0.

    >>> heaviside(np.array([-1.0, 0.0, 1.0]), 0.5)
    array([0. , 0.5, 1. ])
    """
    shape_of("heaviside", input)
    return where(input == 0, values, (sign(input) + 1.0) * 0.5)
