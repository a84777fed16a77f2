"""Softmax and its logarithm along one dimension."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import as_float, axis_of, numpy_words
from tinygrad_cnn.ops.elementwise import cast, exp
from tinygrad_cnn.ops.reduce import sum
from tinygrad_cnn.ops.shape import reshape
from tinygrad_cnn.types import Operand

__all__ = ["log_softmax", "softmax"]


class Softmax(Op):
    """eˣ / Σ eˣ along an axis."""

    __slots__ = ("axis",)
    widens = True
    saves = ("out",)

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, x: Any) -> Any:
        out = _below_greatest(x, self.axis)
        np.exp(out, out=out)
        out /= np.sum(out, axis=self.axis, keepdims=True)
        return out

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (out * (g - sum(g * out, self.axis, keepdim=True)),)


class LogSoftmax(Op):
    """x - ln Σ eˣ along an axis."""

    __slots__ = ("axis",)
    widens = True
    saves = ("out",)

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, x: Any) -> Any:
        out = _below_greatest(x, self.axis)
        if out.size:  # ln 0, of no elements, would warn
            out -= np.log(np.sum(np.exp(out), axis=self.axis, keepdims=True))
        return out

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g - exp(out) * sum(g, self.axis, keepdim=True),)


def _below_greatest(x: Any, axis: int) -> Any:
    """Return x minus its greatest element along the axis, so that no exponential overflows."""
    x = as_float(x)
    if not x.size:
        return x.copy()
    with np.errstate(invalid="ignore"):  # inf - inf: an infinite greatest element gives NaN
        return x - np.max(x, axis=axis, keepdims=True)


@numpy_words
def softmax(input: Operand, dim: int, dtype: Any = None) -> Any:
    """Exponentials over their sum: ``exp(input) / Σ exp(input)`` along a dimension.

    Parameters
    ----------
    input
        Any shape and any finite values: the greatest element is subtracted before the
        exponential. Integers give float32.
    dim
        The dimension along which the result adds up to 1.
    dtype
        What the input is converted to before; by default it is not.

    Raises
    ------
    IndexError
        If the dimension does not exist.
    TypeError
        If it is not an integer.

    >>> softmax(np.array([1e4, 1e4]), 0)
    array([0.5, 0.5])
    """
    return _along("softmax", Softmax, input if dtype is None else cast(input, dtype), dim)


@numpy_words
def log_softmax(input: Operand, dim: int, dtype: Any = None) -> Any:
    """Logarithm of `softmax`: ``input - ln Σ exp(input)`` along a dimension.

    Exact where `softmax` itself would round to 0. Arguments and errors as for `softmax`.

    >>> log_softmax(np.array([0.0, -1e4]), 0)
    array([     0., -10000.])
    """
    return _along("log_softmax", LogSoftmax, input if dtype is None else cast(input, dtype), dim)


def _along(function: str, op: Callable[[int], Op], input: Operand, dim: int) -> Any:
    axis = axis_of(function, input.ndim or 1, dim)
    if not input.ndim:  # a single number is a vector of one
        return reshape(op(axis)(reshape(input, 1)), ())
    return op(axis)(input)
