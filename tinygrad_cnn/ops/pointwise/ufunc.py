"""What plain operations, element by element, have in common: a ufunc, a rule, a function.

An operation of one operand is a class of four lines and its function::

    class Log1p(FloatUnary):
        '''Natural logarithm of ``1 + input``, accurate for small inputs.'''

        ufunc = np.log1p
        saves = ("x",)

        def backward(self, g, out, x):
            return (g / (x + 1.0),)

    log1p = unary(Log1p)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import numpy as np

from tinygrad_cnn.joining import joining
from tinygrad_cnn.kernels.pointwise.elementwise import PARALLEL_SIZE, apply, constant
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import as_float
from tinygrad_cnn.types import Operand

F = TypeVar("F", bound=Callable[..., Any])

# `apply` shares large arrays out over the threads. The size is tested before it is called: for a
# small array the call alone would cost half as much as the addition.


class Unary(Op):
    """A ufunc of one operand."""

    __slots__ = ()
    ufunc: ClassVar[np.ufunc]

    def forward(self, x: Any) -> Any:
        if x.__class__ is np.ndarray and x.size < PARALLEL_SIZE:
            return self.ufunc(x)
        return apply(self.ufunc, x)


class FloatUnary(Unary):
    """A ufunc of one operand whose result is a float; of bytes, NumPy would make half floats."""

    __slots__ = ()

    def forward(self, x: Any) -> Any:
        if x.__class__ is np.ndarray and x.size < PARALLEL_SIZE and x.dtype.kind == "f":
            return self.ufunc(x)
        return apply(self.ufunc, as_float(x))


class Binary(Op):
    """A ufunc of two operands, broadcast against each other."""

    __slots__ = ()
    ufunc: ClassVar[np.ufunc]

    def forward(self, a: Any, b: Any) -> Any:
        if a.__class__ is np.ndarray and a.size < PARALLEL_SIZE:
            return self.ufunc(a, constant(b, a.dtype) if b.__class__ is float and b else b)
        return apply(self.ufunc, a, b)


def unary(op: type[Op], inplace: bool = False) -> Callable[..., Any]:
    """Return the function of an operation of one operand that has no settings, with its text.

    One that has ``inplace`` in PyTorch takes the word here: the result is the same, and the input
    is not written to.
    """
    apply_op = joining(op())

    def in_place(input: Operand | float, inplace: bool = False) -> Any:
        return apply_op(input)

    def function(input: Operand | float) -> Any:
        return apply_op(input)

    return _named_like(op, in_place if inplace else function)


def binary(op: type[Op]) -> Callable[[Operand | float, Operand | float], Any]:
    """Return the function of an operation of two operands that has no settings, with its text."""
    apply_op = op()

    def function(input: Operand | float, other: Operand | float) -> Any:
        return apply_op(input, other)

    return _named_like(op, function)


def _named_like(op: type[Op], function: F) -> F:
    function.__name__ = function.__qualname__ = op.name
    function.__module__ = op.__module__
    function.__doc__ = op.__doc__
    return function
