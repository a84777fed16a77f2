"""Questions about elements: NaN, infinite, close, any, all. The answers have no gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.ops.arguments import (
    axes_of,
    names_operands,
    numpy_words,
    values_of,
    without_graph,
)
from tinygrad_cnn.types import Dim, Operand

__all__ = [
    "all",
    "allclose",
    "any",
    "count_nonzero",
    "equal",
    "isclose",
    "isfinite",
    "isin",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "signbit",
]


# ---------------------------------------------------------------------------------------------
# questions to each element


@names_operands
def isnan(input: Operand) -> Any:
    """Whether each element is NaN.

    >>> isnan(np.array([1.0, np.nan]))
    array([False,  True])
    """
    return without_graph(input, np.isnan(values_of(input)))


@names_operands
def isinf(input: Operand) -> Any:
    """Whether each element is inf or -inf.

    >>> isinf(np.array([1.0, -np.inf]))
    array([False,  True])
    """
    return without_graph(input, np.isinf(values_of(input)))


@names_operands
def isfinite(input: Operand) -> Any:
    """Whether each element is neither NaN nor infinite.

    >>> isfinite(np.array([1.0, np.nan]))
    array([ True, False])
    """
    return without_graph(input, np.isfinite(values_of(input)))


@names_operands
def isposinf(input: Operand) -> Any:
    """Whether each element is inf.

    >>> isposinf(np.array([1.0, np.inf]))
    array([False,  True])
    """
    return without_graph(input, values_of(input) == np.inf)


@names_operands
def isneginf(input: Operand) -> Any:
    """Whether each element is -inf.

    >>> isneginf(np.array([1.0, -np.inf]))
    array([False,  True])
    """
    return without_graph(input, values_of(input) == -np.inf)


@names_operands
def signbit(input: Operand) -> Any:
    """Whether each element has a minus sign, of which -0.0 has one too.

    >>> signbit(np.array([0.0, -0.0]))
    array([False,  True])
    """
    return without_graph(input, np.signbit(values_of(input)))


def _logical(ufunc: np.ufunc, input: Any, *others: Any) -> Any:
    template = next((x for x in (input, *others) if hasattr(x, "_data")), input)
    return without_graph(template, ufunc(*map(values_of, (input, *others))))


@names_operands
def logical_not(input: Operand) -> Any:
    """Whether each element is 0.

    >>> logical_not(np.array([0.0, 2.0]))
    array([ True, False])
    """
    return _logical(np.logical_not, input)


@names_operands
def logical_and(input: Operand, other: Operand) -> Any:
    """Whether both are not 0.

    >>> logical_and(np.array([0.0, 2.0]), np.array([1.0, 1.0]))
    array([False,  True])
    """
    return _logical(np.logical_and, input, other)


@names_operands
def logical_or(input: Operand, other: Operand) -> Any:
    """Whether one or both are not 0.

    >>> logical_or(np.array([0.0, 2.0]), np.array([0.0, 1.0]))
    array([False,  True])
    """
    return _logical(np.logical_or, input, other)


@names_operands
def logical_xor(input: Operand, other: Operand) -> Any:
    """Whether exactly one is not 0.

    >>> logical_xor(np.array([0.0, 2.0]), np.array([1.0, 1.0]))
    array([ True, False])
    """
    return _logical(np.logical_xor, input, other)


@names_operands
def isclose(
    input: Operand, other: Operand, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """Whether elements are close: ``|input - other| <= atol + rtol · |other|``.

    >>> isclose(np.array([1.0, 2.0]), np.array([1.0, 2.1]))
    array([ True, False])
    """
    a, b = values_of(input), values_of(other)
    template = input if hasattr(input, "_data") else other
    return without_graph(template, np.isclose(a, b, rtol, atol, equal_nan))


@names_operands
def allclose(
    input: Operand, other: Operand, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether all elements are close, as `isclose`.

    >>> allclose(np.array([1.0]), np.array([1.0 + 1e-9]))
    True
    """
    return bool(np.allclose(values_of(input), values_of(other), rtol, atol, equal_nan))


@names_operands
def equal(input: Operand, other: Operand) -> bool:
    """Whether two have the same shape and elements.

    >>> equal(np.array([1.0]), np.array([1.0, 1.0]))
    False
    """
    return bool(np.array_equal(values_of(input), values_of(other)))


@names_operands
def isin(
    elements: Operand, test_elements: Operand, *, assume_unique: bool = False, invert: bool = False
) -> Any:
    """Whether each element is among others.

    >>> isin(np.array([1, 2]), np.array([2, 3]))
    array([False,  True])
    """
    a, b = values_of(elements), values_of(test_elements)
    template = elements if hasattr(elements, "_data") else test_elements
    return without_graph(template, np.isin(a, b, assume_unique=assume_unique, invert=invert))


# ---------------------------------------------------------------------------------------------
# over dimensions


@numpy_words
def any(input: Operand, dim: Dim = None, keepdim: bool = False) -> Any:
    """Whether an element over dimensions is not 0; over none it is False.

    >>> any(np.array([[0.0, 1.0], [0.0, 0.0]]), dim=1)
    array([ True, False])
    """
    axes = axes_of("any", input.ndim, dim)
    return without_graph(input, np.any(values_of(input), axis=axes, keepdims=keepdim))


@numpy_words
def all(input: Operand, dim: Dim = None, keepdim: bool = False) -> Any:
    """Whether no element over dimensions is 0; over none it is True.

    >>> all(np.array([[1.0, 1.0], [0.0, 1.0]]), dim=1)
    array([ True, False])
    """
    axes = axes_of("all", input.ndim, dim)
    return without_graph(input, np.all(values_of(input), axis=axes, keepdims=keepdim))


@numpy_words
def count_nonzero(input: Operand, dim: Dim = None) -> Any:
    """Count the elements over dimensions that are not 0.

    >>> count_nonzero(np.array([[0.0, 1.0], [2.0, 3.0]]))
    array(3)
    """
    axes = axes_of("count_nonzero", input.ndim, dim)
    return without_graph(input, np.count_nonzero(values_of(input), axis=axes))
