"""Reductions that leave out NaNs, and NaNs replaced: what is left out gets no gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.ops.arguments import axes_of, names_operands, numpy_words, values_of
from tinygrad_cnn.ops.elementwise import div
from tinygrad_cnn.ops.extreme import amax, amin
from tinygrad_cnn.ops.piecewise import where
from tinygrad_cnn.ops.reduce import prod, sum
from tinygrad_cnn.types import Dim, Operand

__all__ = ["nan_to_num", "nanmax", "nanmean", "nanmin", "nanprod", "nanstd", "nansum", "nanvar"]


@names_operands
def nan_to_num(
    input: Operand, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Any:
    """Replace NaNs by a number, and infinities by the greatest and smallest number of the dtype.

    What is replaced gets no gradient.

    >>> nan_to_num(np.array([1.0, np.nan, np.inf]), posinf=9.0)
    array([1., 0., 9.])
    """
    x = values_of(input)
    if x.dtype.kind != "f":
        return input
    limits = np.finfo(x.dtype)
    result = where(np.isnan(x), nan, input)
    result = where(np.isposinf(x), float(limits.max) if posinf is None else posinf, result)
    return where(np.isneginf(x), float(limits.min) if neginf is None else neginf, result)


def filled(input: Operand, other: float) -> Any:
    """Replace NaNs by a number."""
    return where(np.isnan(values_of(input)), other, input)


@numpy_words
def nansum(input: Operand, dim: Dim = None, keepdim: bool = False) -> Any:
    """Sum over dimensions without NaNs.

    >>> nansum(np.array([1.0, np.nan, 2.0]))
    array(3.)
    """
    return sum(filled(input, 0.0), dim, keepdim)


@numpy_words
def nanprod(input: Operand, dim: Dim = None, keepdim: bool = False) -> Any:
    """Product over dimensions without NaNs.

    >>> nanprod(np.array([2.0, np.nan, 3.0]))
    array(6.)
    """
    return prod(filled(input, 1.0), dim, keepdim)


def _count(input: Operand, dim: Dim, keepdim: bool) -> Any:
    """Return how many elements are not NaN, as floats."""
    x = values_of(input)
    axes = axes_of("nanmean", x.ndim, dim)
    return np.sum(~np.isnan(x), axis=axes, keepdims=keepdim).astype(x.dtype)


@numpy_words
def nanmean(input: Operand, dim: Dim = None, keepdim: bool = False) -> Any:
    """Mean over dimensions of what is not NaN; NaN where nothing is.

    >>> nanmean(np.array([1.0, np.nan, 2.0]))
    array(1.5)
    """
    count = _count(input, dim, keepdim)
    return div(nansum(input, dim, keepdim), np.where(count, count, np.nan).astype(count.dtype))


@numpy_words
def nanvar(input: Operand, dim: Dim = None, correction: float = 1, keepdim: bool = False) -> Any:
    """Variance over dimensions of what is not NaN; arguments as for `var`.

    >>> nanvar(np.array([1.0, np.nan, 3.0]))
    array(2.)
    """
    away = filled(input - nanmean(input, dim, True), 0.0)
    divisor = _count(input, dim, keepdim) - correction
    divisor = np.where(divisor > 0, divisor, np.nan).astype(divisor.dtype)
    return div(sum(away * away, dim, keepdim), divisor)


@numpy_words
def nanstd(input: Operand, dim: Dim = None, correction: float = 1, keepdim: bool = False) -> Any:
    """Take the standard deviation over dimensions of what is not NaN.

    Where all elements are equal, and the derivative does not exist, the gradient is 0.

    >>> nanstd(np.array([1.0, np.nan, 3.0]), correction=0)
    array(1.)
    """
    spread = nanvar(input, dim, correction, keepdim)
    constant = values_of(spread) == 0
    return where(constant, 0.0, where(constant, 1.0, spread) ** 0.5)


@numpy_words
def nanmax(input: Operand, dim: Dim = None, keepdim: bool = False) -> Any:
    """Greatest element over dimensions that is not NaN; equals share the gradient.

    >>> nanmax(np.array([1.0, np.nan, 3.0]))
    array(3.)
    """
    return _or_nan(input, amax(filled(input, -np.inf), dim, keepdim), dim, keepdim)


@numpy_words
def nanmin(input: Operand, dim: Dim = None, keepdim: bool = False) -> Any:
    """Smallest element over dimensions that is not NaN; equals share the gradient.

    >>> nanmin(np.array([1.0, np.nan, 3.0]))
    array(1.)
    """
    return _or_nan(input, amin(filled(input, np.inf), dim, keepdim), dim, keepdim)


def _or_nan(input: Operand, result: Any, dim: Dim, keepdim: bool) -> Any:
    """Give NaN where there is nothing but NaN."""
    return where(_count(input, dim, keepdim) == 0, np.nan, result)
