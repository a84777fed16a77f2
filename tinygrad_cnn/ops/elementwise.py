"""Arithmetic, element by element, with broadcasting.

Rules return gradients of the result's shape; the engine sums them over broadcast dimensions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.deferring import NOTHING, After, Computation
from tinygrad_cnn.kernels.pointwise.elementwise import PARALLEL_SIZE, apply, constant
from tinygrad_cnn.op import Op, TensorBase, adapters
from tinygrad_cnn.ops.arguments import names_operands
from tinygrad_cnn.ops.piecewise import where
from tinygrad_cnn.ops.pointwise.ufunc import Binary, FloatUnary, Unary, binary, unary
from tinygrad_cnn.ops.rounding import floor_divide, fmod, trunc
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


class Add(Binary):
    """a + b."""

    __slots__ = ()
    ufunc = np.add

    def join(self, computation: Computation) -> Any:
        return (After(adds=True), computation.shape) if computation.after == NOTHING else None

    def backward(self, g: Any, out: Any, a: Any, b: Any) -> tuple[Any, ...]:
        return g, g


_add = Add()


def add(input: Operand | float, other: Operand | float, *, alpha: float = 1) -> Any:
    """Add: ``input + alpha · other``, broadcast against each other.

    >>> add(np.array([1.0, 2.0]), 3.0)
    array([4., 5.])
    """
    return _add(input, other if alpha == 1 else mul(other, alpha))


class Sub(Binary):
    """a − b."""

    __slots__ = ()
    ufunc = np.subtract

    def backward(self, g: Any, out: Any, a: Any, b: Any, *, needs: Any) -> tuple[Any, ...]:
        return g, -g if needs[1] else None


_sub = Sub()


def sub(input: Operand | float, other: Operand | float, *, alpha: float = 1) -> Any:
    """Subtract: ``input - alpha · other``, broadcast against each other.

    >>> sub(np.array([1.0, 2.0]), 3.0)
    array([-2., -1.])
    """
    return _sub(input, other if alpha == 1 else mul(other, alpha))


class Mul(Binary):
    """Multiply: ``input · other``, broadcast against each other.

    >>> mul(np.array([1.0, 2.0]), 3.0)
    array([3., 6.])
    """

    __slots__ = ()
    ufunc = np.multiply
    saves = {"a": ("b",), "b": ("a",)}

    def backward(self, g: Any, out: Any, a: Any, b: Any, *, needs: Any) -> tuple[Any, ...]:
        if b.__class__ is float and b and g.__class__ is np.ndarray:
            b = constant(b, g.dtype)
        return g * b if needs[0] else None, g * a if needs[1] else None


mul = binary(Mul)


class Div(Binary):
    """a / b."""

    __slots__ = ()
    ufunc = np.true_divide
    saves = {"a": ("b",), "b": ("b", "out")}

    def backward(self, g: Any, out: Any, a: Any, b: Any, *, needs: Any) -> tuple[Any, ...]:
        ga = g / b
        return ga, -ga * out if needs[1] else None


_div = Div()


def div(input: Operand | float, other: Operand | float, *, rounding_mode: str | None = None) -> Any:
    """Divide: ``input / other``, broadcast against each other; integers give floats.

    With ``rounding_mode`` the result is rounded, ``"trunc"`` towards 0 or ``"floor"`` down;
    integers then stay integers, and the gradient is 0.

    Raises
    ------
    ValueError
        If the rounding mode is another.

    >>> div(np.array([1.0, 2.0]), 4.0)
    array([0.25, 0.5 ])
    >>> div(np.array([-7, 7]), 2, rounding_mode="trunc")
    array([-3,  3])
    """
    if rounding_mode is None:
        return _div(input, other)
    if rounding_mode not in ("trunc", "floor"):
        raise ValueError(
            f"div: rounding_mode expects 'trunc', 'floor' or None, got {rounding_mode!r}"
        )
    if rounding_mode == "floor":
        return floor_divide(input, other)
    values = [np.asarray(getattr(x, "_data", x)) for x in (input, other)]
    if any(v.dtype.kind == "f" for v in values):
        return trunc(_div(input, other))
    return floor_divide(_sub(input, fmod(input, other)), other)  # exact: no remainder is left


class Neg(Unary):
    """Negate: ``-input``.

    >>> neg(np.array([1.0, -2.0]))
    array([-1.,  2.])
    """

    __slots__ = ()
    ufunc = np.negative

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (-g,)


neg = unary(Neg)


class Pow(Op):
    """x^p for a number p."""

    __slots__ = ("exponent",)
    saves = ("x",)

    def __init__(self, exponent: float) -> None:
        self.exponent = exponent

    def forward(self, x: Any) -> Any:
        if self.exponent != 2:
            return apply(np.power, x, self.exponent)
        # np.power takes ten times as long as a product.
        large = x.__class__ is np.ndarray and x.size >= PARALLEL_SIZE
        return apply(np.multiply, x, x) if large else np.multiply(x, x)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        p = self.exponent
        if p == 0:
            return (g * 0.0,)  # not 0 · x⁻¹, which is NaN at 0
        return (g * p if p == 1 else g * (x if p == 2 else x ** (p - 1)) * p,)


class PowTensor(Binary):
    """a^b for an exponent that is an array."""

    __slots__ = ()
    ufunc = np.power
    name = "pow"
    saves = {"a": ("a", "b"), "b": ("a", "b", "out")}

    def backward(self, g: Any, out: Any, a: Any, b: Any, *, needs: Any) -> tuple[Any, ...]:
        if isinstance(a, (int, float)):
            a = np.asarray(a, g.dtype)  # alone among numbers, its logarithm would be float32
        ga = gb = None
        # 0⁰ is constant in its base, and 0ᵇ in its exponent for b ≥ 0: without the masks both give
        # NaN. For b < 0 it is infinite, and falls without bound.
        with np.errstate(divide="ignore", invalid="ignore"):
            if needs[0]:
                ga = where(b == 0, 0.0, g * b * a ** where(b == 0, 1.0, b - 1))
            if needs[1]:
                constant = (a == 0) * (b >= 0)
                gb = where(constant, 0.0, g * out * log(where(constant, 1.0, a)))
        return ga, gb


_pow_tensor = PowTensor()


def pow(input: Operand | float, exponent: Operand | float) -> Any:
    """Raise to a power: ``input ** exponent``, broadcast against each other.

    Integers stay integers under a whole number, such as 2, and give float32 under 2.0 or -1. The
    derivative by the base at ``0 ** 0`` is 0, and so is that by the exponent at base 0, for
    exponents of 0 or more; below it is -inf.

    >>> pow(np.array([1.0, 3.0]), 2)
    array([1., 9.])
    """
    if isinstance(exponent, (int, float)):
        real = exponent < 0 or isinstance(exponent, float)
        if real and isinstance(input, (np.ndarray, TensorBase)) and input.dtype.kind != "f":
            return Pow(exponent)(mul(input, 1.0))
        return Pow(exponent)(input)
    return _pow_tensor(input, exponent)


class Exp(FloatUnary):
    """Exponential: ``e ** input``.

    >>> exp(np.array([0.0]))
    array([1.])
    """

    __slots__ = ()
    ufunc = np.exp
    saves = ("out",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * out,)


exp = unary(Exp)


class Log(FloatUnary):
    """Natural logarithm.

    >>> log(np.array([1.0]))
    array([0.])
    """

    __slots__ = ()
    ufunc = np.log
    saves = ("x",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g / x,)


log = unary(Log)


class Log1p(FloatUnary):
    """Natural logarithm of ``1 + input``, accurate for small inputs.

    >>> log1p(np.array([0.0]))
    array([0.])
    """

    __slots__ = ()
    ufunc = np.log1p
    saves = ("x",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g / (x + 1.0),)


log1p = unary(Log1p)


class Sqrt(FloatUnary):
    """Square root.

    >>> sqrt(np.array([4.0]))
    array([2.])
    """

    __slots__ = ()
    ufunc = np.sqrt
    saves = ("out",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g / (out * 2.0),)


sqrt = unary(Sqrt)


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


@names_operands
def cast(input: Operand | float, dtype: Any) -> Any:
    """Convert to another dtype; the gradient is converted back.

    >>> cast(np.array([1.5]), "float32").dtype
    dtype('float32')
    """
    wanted = np.dtype(dtype)
    if wanted.kind not in "fiub":
        raise TypeError(
            f"cast: expects a type of real numbers, got {wanted}; detach().numpy().astype(…) "
            "leaves the graph"
        )
    return Cast(wanted)(input)


adapters["cast"] = cast


class Clone(Op):
    """Copy; the gradient passes unchanged.

    >>> clone(np.array([1.0]))
    array([1.])
    """

    __slots__ = ()

    def forward(self, x: Any) -> Any:
        return np.array(x, order="K")

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g,)


clone = unary(Clone)
adapters["clone"] = clone


def copied(result: Any, input: Any) -> Any:
    """Copy the result of views of an input, unless NumPy copied already: they share no memory.

    For functions that are no views by their meaning: what is written to one must not show in the
    other.
    """
    array, source = getattr(result, "_data", result), getattr(input, "_data", input)
    shared = isinstance(source, np.ndarray) and np.may_share_memory(array, source)
    return clone(result) if shared else result
