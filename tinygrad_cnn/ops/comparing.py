"""Comparisons, and operations on bits. Their results have no gradient."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops.arguments import names_operands, values_of, without_graph
from tinygrad_cnn.types import Operand

__all__ = [
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "eq",
    "ge",
    "greater",
    "greater_equal",
    "gt",
    "le",
    "less",
    "less_equal",
    "lt",
    "ne",
    "not_equal",
]


def compare(ask: Callable[[Any, Any], Any], input: Any, other: Any) -> Any:
    """Ask Python's operator of arrays; a tensor comes back if either is one."""
    one, two = values_of(input), other._data if isinstance(other, TensorBase) else other
    return without_graph(input if isinstance(input, TensorBase) else other, ask(one, two))


def combine_bits(name: str, combine: Callable[[Any, Any], Any], input: Any, other: Any) -> Any:
    """Apply an operator of bits, for whole numbers and truth values alone."""
    typed = (TensorBase, np.ndarray, np.generic)
    dtypes = [v.dtype for v in (input, other) if isinstance(v, typed)]
    if any(dtype.kind not in "iub" for dtype in dtypes) or isinstance(other, float):
        kinds = " and ".join(dtype.name for dtype in dtypes)
        raise TypeError(f"{name}: expects integers or booleans, got {kinds or type(other)}")
    return compare(combine, input, other)


def _ask(ask: Callable[[Any, Any], Any], input: Any, other: Any) -> Any:
    values_of(other)  # Python's operators compare with anything, functions with operands
    return compare(ask, input, other)


def _combine(name: str, combine: Callable[[Any, Any], Any], input: Any, other: Any) -> Any:
    values_of(input), values_of(other)
    return combine_bits(name, combine, input, other)


@names_operands
def eq(input: Operand | float, other: Operand | float) -> Any:
    """Whether elements are equal; NaN equals nothing.

    >>> eq(np.array([1, 2]), 2)
    array([False,  True])
    """
    return _ask(operator.eq, input, other)


@names_operands
def ne(input: Operand | float, other: Operand | float) -> Any:
    """Whether elements differ.

    >>> ne(np.array([1, 2]), 2)
    array([ True, False])
    """
    return _ask(operator.ne, input, other)


@names_operands
def lt(input: Operand | float, other: Operand | float) -> Any:
    """Whether elements are less.

    >>> lt(np.array([1, 2]), 2)
    array([ True, False])
    """
    return _ask(operator.lt, input, other)


@names_operands
def le(input: Operand | float, other: Operand | float) -> Any:
    """Whether elements are less or equal.

    >>> le(np.array([1, 3]), 2)
    array([ True, False])
    """
    return _ask(operator.le, input, other)


@names_operands
def gt(input: Operand | float, other: Operand | float) -> Any:
    """Whether elements are greater.

    >>> gt(np.array([1, 3]), 2)
    array([False,  True])
    """
    return _ask(operator.gt, input, other)


@names_operands
def ge(input: Operand | float, other: Operand | float) -> Any:
    """Whether elements are greater or equal.

    >>> ge(np.array([1, 3]), 2)
    array([False,  True])
    """
    return _ask(operator.ge, input, other)


not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge


@names_operands
def bitwise_and(input: Operand | int, other: Operand | int) -> Any:
    """Combine bits: 1 where both are; of booleans, whether both hold.

    >>> bitwise_and(np.array([6]), 3)
    array([2])
    """
    return _combine("bitwise_and", operator.and_, input, other)


@names_operands
def bitwise_or(input: Operand | int, other: Operand | int) -> Any:
    """Combine bits: 1 where either is.

    >>> bitwise_or(np.array([6]), 3)
    array([7])
    """
    return _combine("bitwise_or", operator.or_, input, other)


@names_operands
def bitwise_xor(input: Operand | int, other: Operand | int) -> Any:
    """Combine bits: 1 where they differ.

    >>> bitwise_xor(np.array([6]), 3)
    array([5])
    """
    return _combine("bitwise_xor", operator.xor, input, other)


@names_operands
def bitwise_left_shift(input: Operand | int, other: Operand | int) -> Any:
    """Move bits up: times a power of 2.

    >>> bitwise_left_shift(np.array([3]), 1)
    array([6])
    """
    return _combine("bitwise_left_shift", operator.lshift, input, other)


@names_operands
def bitwise_right_shift(input: Operand | int, other: Operand | int) -> Any:
    """Move bits down: divided by a power of 2, rounded down.

    >>> bitwise_right_shift(np.array([7]), 1)
    array([3])
    """
    return _combine("bitwise_right_shift", operator.rshift, input, other)


@names_operands
def bitwise_not(input: Operand | int) -> Any:
    """Turn bits: 1 where there is 0; of booleans, the opposite.

    >>> bitwise_not(np.array([True, False]))
    array([False,  True])
    """
    return _combine("bitwise_not", lambda x, _: ~x, input, 0)
