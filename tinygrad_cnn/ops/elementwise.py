"""Arithmetic, element by element, with broadcasting.

Rules return gradients of the result's shape; the engine sums them over broadcast dimensions.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tinygrad_cnn.kernels.pointwise.elementwise import PARALLEL_SIZE, apply, constant
from tinygrad_cnn.op import Op, TensorBase
from tinygrad_cnn.ops.piecewise import where
from tinygrad_cnn.types import Operand

__all__ = [
    "add",
    "cast",
    "clone",
    "div",
    "exp",
    "log",
    "log1p",
    "mul",
    "neg",
    "pow",
    "sqrt",
    "sub",
]

# `apply` shares large arrays out over the threads. The test before it costs 0.06 µs of 0.5, asking
# `apply` 0.3: what is small must not pay for what is large.


class _Arithmetic(Op):
    """A ufunc of two operands."""

    __slots__ = ()
    ufunc: ClassVar[np.ufunc]

    def forward(self, a: Any, b: Any) -> Any:
        if a.__class__ is np.ndarray and a.size < PARALLEL_SIZE:
            return self.ufunc(a, constant(b, a.dtype) if b.__class__ is float and b else b)
        return apply(self.ufunc, a, b)


class Add(_Arithmetic):
    """a + b."""

    __slots__ = ()
    ufunc = np.add
    takes_pending = True

    def backward(self, g: Any, out: Any, a: Any, b: Any) -> tuple[Any, ...]:
        return g, g


_add = Add()


def add(input: Operand | float, other: Operand | float) -> Any:
    """Add: ``input + other``, broadcast against each other.

    >>> add(np.array([1.0, 2.0]), 3.0)
    array([4., 5.])
    """
    return _add(input, other)


class Sub(_Arithmetic):
    """a - b."""

    __slots__ = ()
    ufunc = np.subtract

    def backward(self, g: Any, out: Any, a: Any, b: Any, *, needs: Any) -> tuple[Any, ...]:
        return g, -g if needs[1] else None


_sub = Sub()


def sub(input: Operand | float, other: Operand | float) -> Any:
    """Subtract: ``input - other``, broadcast against each other.

    >>> sub(np.array([1.0, 2.0]), 3.0)
    array([-2., -1.])
    """
    return _sub(input, other)


class Mul(_Arithmetic):
    """a · b."""

    __slots__ = ()
    ufunc = np.multiply
    saves = {"a": ("b",), "b": ("a",)}

    def backward(self, g: Any, out: Any, a: Any, b: Any, *, needs: Any) -> tuple[Any, ...]:
        if b.__class__ is float and b and g.__class__ is np.ndarray:
            b = constant(b, g.dtype)
        return g * b if needs[0] else None, g * a if needs[1] else None


_mul = Mul()


def mul(input: Operand | float, other: Operand | float) -> Any:
    """Multiply: ``input · other``, broadcast against each other.

    >>> mul(np.array([1.0, 2.0]), 3.0)
    array([3., 6.])
    """
    return _mul(input, other)


class Div(_Arithmetic):
    """a / b."""

    __slots__ = ()
    ufunc = np.true_divide
    saves = {"a": ("b",), "b": ("b", "out")}

    def backward(self, g: Any, out: Any, a: Any, b: Any, *, needs: Any) -> tuple[Any, ...]:
        ga = g / b
        return ga, -ga * out if needs[1] else None


_div = Div()


def div(input: Operand | float, other: Operand | float) -> Any:
    """Divide: ``input / other``, broadcast against each other; integers give floats.

    >>> div(np.array([1.0, 2.0]), 4.0)
    array([0.25, 0.5 ])
    """
    return _div(input, other)


class Neg(Op):
    """-x."""

    __slots__ = ()

    def forward(self, x: Any) -> Any:
        return np.negative(x)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (-g,)


_neg = Neg()


def neg(input: Operand | float) -> Any:
    """Negate: ``-input``.

    >>> neg(np.array([1.0, -2.0]))
    array([-1.,  2.])
    """
    return _neg(input)


class Pow(Op):
    """x^p for a number p."""

    __slots__ = ("exponent",)
    saves = ("x",)

    def __init__(self, exponent: float) -> None:
        self.exponent = exponent

    def forward(self, x: Any) -> Any:
        if self.exponent == 2:  # np.power is ten times slower than a product
            return np.multiply(x, x)
        return np.power(x, self.exponent)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        p = self.exponent
        if p == 0:
            return (g * 0.0,)  # not 0 · x⁻¹, which is NaN at 0
        return (g * p if p == 1 else g * (x if p == 2 else x ** (p - 1)) * p,)


class PowTensor(Op):
    """a^b for an exponent that is an array."""

    __slots__ = ()
    name = "pow"
    saves = {"a": ("a", "b"), "b": ("a", "b", "out")}

    def forward(self, a: Any, b: Any) -> Any:
        return np.power(a, b)

    def backward(self, g: Any, out: Any, a: Any, b: Any, *, needs: Any) -> tuple[Any, ...]:
        if isinstance(a, (int, float)):
            a = np.asarray(a, g.dtype)  # alone among numbers, its logarithm would be float32
        # 0⁰ is constant in its base, and 0ᵇ in its exponent: without the masks both give NaN.
        ga = where(b == 0, 0.0, g * b * a ** where(b == 0, 1.0, b - 1)) if needs[0] else None
        gb = where(a == 0, 0.0, g * out * log(where(a == 0, 1.0, a))) if needs[1] else None
        return ga, gb


_pow_tensor = PowTensor()


def pow(input: Operand | float, exponent: Operand | float) -> Any:
    """Raise to a power: ``input ** exponent``, broadcast against each other.

    The derivative by the base at ``0 ** 0`` and by the exponent at base 0 is 0.

    >>> pow(np.array([1.0, 3.0]), 2)
    array([1., 9.])
    """
    if isinstance(exponent, (int, float)):
        if (
            exponent < 0
            and isinstance(input, (np.ndarray, TensorBase))
            and input.dtype.kind in "iu"
        ):
            return Pow(exponent)(mul(input, 1.0))  # NumPy refuses integers to negative powers
        return Pow(exponent)(input)
    return _pow_tensor(input, exponent)


class Exp(Op):
    """eˣ."""

    __slots__ = ()
    saves = ("out",)

    def forward(self, x: Any) -> Any:
        return apply(np.exp, x)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * out,)


_exp = Exp()


def exp(input: Operand | float) -> Any:
    """Exponential: ``e ** input``.

    >>> exp(np.array([0.0]))
    array([1.])
    """
    return _exp(input)


class Log(Op):
    """ln x."""

    __slots__ = ()
    saves = ("x",)

    def forward(self, x: Any) -> Any:
        return apply(np.log, x)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g / x,)


_log = Log()


def log(input: Operand | float) -> Any:
    """Natural logarithm.

    >>> log(np.array([1.0]))
    array([0.])
    """
    return _log(input)


class Log1p(Op):
    """ln(1 + x), accurate for small x."""

    __slots__ = ()
    saves = ("x",)

    def forward(self, x: Any) -> Any:
        return np.log1p(x)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g / (x + 1.0),)


_log1p = Log1p()


def log1p(input: Operand | float) -> Any:
    """Natural logarithm of ``1 + input``, accurate for small inputs.

    >>> log1p(np.array([0.0]))
    array([0.])
    """
    return _log1p(input)


class Sqrt(Op):
    """√x."""

    __slots__ = ()
    saves = ("out",)

    def forward(self, x: Any) -> Any:
        return np.sqrt(x)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g / (out * 2.0),)


_sqrt = Sqrt()


def sqrt(input: Operand | float) -> Any:
    """Square root.

    >>> sqrt(np.array([4.0]))
    array([2.])
    """
    return _sqrt(input)


class Cast(Op):
    """The same values in another dtype."""

    __slots__ = ("dtype",)
    sets_dtype = True

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype

    def forward(self, x: Any) -> Any:
        return np.asarray(x).astype(self.dtype)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (cast(g, x.dtype),)


def cast(input: Operand | float, dtype: Any) -> Any:
    """Convert to another dtype; the gradient is converted back.

    >>> cast(np.array([1.5]), "float32").dtype
    dtype('float32')
    """
    return Cast(np.dtype(dtype))(input)


class Clone(Op):
    """A copy."""

    __slots__ = ()

    def forward(self, x: Any) -> Any:
        return np.array(x, order="K")

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g,)


_clone = Clone()


def clone(input: Operand | float) -> Any:
    """Copy; the gradient passes unchanged.

    >>> clone(np.array([1.0]))
    array([1.])
    """
    return _clone(input)
