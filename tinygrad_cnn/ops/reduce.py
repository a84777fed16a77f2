"""Reductions over any dimensions: sum, mean, product, variance, logsumexp.

The greatest and smallest elements are in `extreme`.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from tinygrad_cnn.kernels.reduce.sums import sum_over
from tinygrad_cnn.op import Op, adapters
from tinygrad_cnn.ops.arguments import as_float, axes_of, numpy_words
from tinygrad_cnn.ops.elementwise import cast, div, exp, mul
from tinygrad_cnn.ops.piecewise import where
from tinygrad_cnn.ops.shape import broadcast_to, reshape
from tinygrad_cnn.types import Array, Dim, Operand

__all__ = ["logsumexp", "mean", "prod", "std", "sum", "var"]


def spread(g: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """Repeat a reduced array along the axes it was reduced over: the adjoint of a sum."""
    kept = tuple([1 if axis in axes else size for axis, size in enumerate(shape)])
    if type(g) is np.ndarray:  # nothing is recorded
        return np.broadcast_to(g.reshape(kept), shape)
    return broadcast_to(reshape(g, kept), shape)


class Reduce(Op):
    """A function of the elements along some axes, which it takes away (or leaves with size 1)."""

    __slots__ = ("axes", "keepdims")

    def __init__(self, axes: tuple[int, ...], keepdims: bool) -> None:
        self.axes = axes
        self.keepdims = keepdims

    def count(self, x: Any) -> int:
        """Return how many elements each result is made of."""
        return math.prod([x.shape[axis] for axis in self.axes])

    def spread(self, g: Any, x: Any) -> Any:
        """Repeat a result over the elements that it was made of."""
        return spread(g, x.shape, self.axes)


class Sum(Reduce):
    """Σ x."""

    __slots__ = ()
    widens = True

    def forward(self, x: Any) -> Any:
        return sum_over(np.asarray(x), self.axes, self.keepdims)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (self.spread(g, x),)


@numpy_words
def sum(input: Operand, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Sum over dimensions: ``Σ input``; over no elements it is 0.

    Parameters
    ----------
    input
        Any shape; integers and booleans give integers.
    dim
        A dimension, several, or None for all of them.
    keepdim
        Leave the reduced dimensions in the result with size 1.
    dtype
        That of the result, to which the input is converted first.

    Raises
    ------
    IndexError
        If a dimension does not exist.
    ValueError
        If a dimension is named twice.

    >>> sum(np.ones((2, 3)), dim=1)
    array([3., 3.])
    """
    if dtype is not None:
        input = cast(input, dtype)
    return Sum(axes_of("sum", input.ndim, dim), keepdim)(input)


adapters["sum"] = sum


class Mean(Reduce):
    """Σ x / n."""

    __slots__ = ()
    widens = True

    def forward(self, x: Any) -> Any:
        x = np.asarray(x)
        total = sum_over(x, self.axes, self.keepdims)
        count = self.count(x)
        return total / count if count else total * np.nan  # 0 / 0 would warn

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (self.spread(div(g, self.count(x) or 1), x),)


@numpy_words
def mean(input: Operand, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Mean over dimensions: ``Σ input / n``; arguments and errors as for `sum`.

    Integers give float32. Over no elements it is NaN.

    >>> mean(np.array([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    array([2., 3.])
    """
    if dtype is not None:
        input = cast(input, dtype)
    return Mean(axes_of("mean", input.ndim, dim), keepdim)(input)


class Prod(Reduce):
    """∏ x."""

    __slots__ = ()
    widens = True
    saves = ("x",)

    def forward(self, x: Any) -> Any:
        return np.prod(x, axis=self.axes, keepdims=self.keepdims)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (self.spread(g, x) * _products_of_others(x, self.axes),)

    def reference(self, x: Any) -> Any:
        shape = x.shape
        for axis in self.axes:
            before = (slice(None),) * axis
            odd = None
            while (size := x.shape[axis]) > 1:
                half = size // 2
                if size % 2:
                    last = x[*before, size - 1 :]
                    odd = last if odd is None else odd * last
                x = x[*before, :half] * x[*before, half : 2 * half]
            if not size:
                x = sum(x, axis, keepdim=True) + 1.0
            x = x if odd is None else x * odd
        kept = [size for axis, size in enumerate(shape) if axis not in self.axes]
        return x if self.keepdims else reshape(x, kept)


def _products_of_others(x: Array, axes: tuple[int, ...]) -> Array:
    """Return, for each element, the product of all others that are reduced with it.

    It is the product of the elements before times the product of those after: dividing the
    whole product by the element would fail at zeros.
    """
    last = tuple(range(-len(axes), 0))
    moved = np.moveaxis(x, axes, last)
    kept = moved.shape[: x.ndim - len(axes)]
    rows = moved.reshape(*kept, math.prod(moved.shape[len(kept) :]))  # (kept…, n)
    others = np.ones_like(rows)
    np.cumprod(rows[..., :-1], axis=-1, out=others[..., 1:])
    others[..., :-1] *= np.cumprod(rows[..., :0:-1], axis=-1)[..., ::-1]
    return np.moveaxis(others.reshape(moved.shape), last, axes)  # x.shape


@numpy_words
def prod(input: Operand, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Product over dimensions: ``∏ input``; arguments and errors as for `sum`.

    Its gradient, the product of the other elements, is right with zeros among them too. Over no
    elements it is 1.

    >>> prod(np.array([[1.0, 2.0], [3.0, 4.0]]), dim=1)
    array([ 2., 12.])
    """
    if dtype is not None:
        input = cast(input, dtype)
    return Prod(axes_of("prod", input.ndim, dim), keepdim)(input)


class Var(Reduce):
    """Σ (x - mean)² / (n - correction)."""

    __slots__ = ("correction",)
    widens = True
    saves: ClassVar[tuple[str, ...]] = ("x",)

    def __init__(self, axes: tuple[int, ...], keepdims: bool, correction: float) -> None:
        super().__init__(axes, keepdims)
        self.correction = correction

    def forward(self, x: Any) -> Any:
        x = as_float(x)
        count = self.count(x)
        if not count:
            return sum_over(x, self.axes, self.keepdims) * np.nan
        centred = x - sum_over(x, self.axes, keepdims=True) / count
        centred -= sum_over(centred, self.axes, keepdims=True) / count  # see backward
        centred *= centred
        with np.errstate(divide="ignore", invalid="ignore"):  # a single element: 0 / 0 is NaN
            return sum_over(centred, self.axes, self.keepdims) / self._divisor(count)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        divisor = self._divisor(self.count(x))
        scale = 2.0 / divisor if divisor else math.nan
        centred = x - mean(x, self.axes, True)
        centred = centred - mean(centred, self.axes, True)  # far from 0 the first mean is rounded
        return (self.spread(mul(g, scale), x) * centred,)

    def _divisor(self, count: int) -> float:
        return max(count - self.correction, 0)


@numpy_words
def var(
    input: Operand,
    dim: Dim = None,
    correction: float | None = 1,
    keepdim: bool = False,
    *,
    unbiased: bool | None = None,
) -> Any:
    """Variance over dimensions: ``Σ (input - mean)² / (n - correction)``.

    ``correction=1`` makes it unbiased, 0 gives the mean square; ``unbiased``, which may also stand
    in the place of ``correction``, or as the only argument, says the same as a truth value. Where
    ``n ≤ correction`` the divisor is 0: the result is NaN or inf, and the gradient NaN. Integers
    give float32. Other arguments and errors as for `sum`.

    >>> var(np.array([1.0, 2.0, 3.0]))
    array(1.)
    """
    dim, correction = _divided_by(dim, correction, unbiased)
    return Var(axes_of("var", input.ndim, dim), keepdim, correction)(input)


def _divided_by(dim: Any, correction: float | None, unbiased: bool | None) -> tuple[Any, float]:
    """Return the dimensions and the correction; a truth value says whether it is 1."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None:
        correction = unbiased
    return dim, 1 if correction is None else float(correction)


class Std(Var):
    """√(Σ (x - mean)² / (n - correction))."""

    __slots__ = ()
    saves = ("x", "out")

    def forward(self, x: Any) -> Any:
        return np.sqrt(super().forward(x))

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        constant = out == 0
        twice = where(constant, 1.0, mul(out, 2.0))
        return super().backward(where(constant, 0.0, div(g, twice)), out, x)


@numpy_words
def std(
    input: Operand,
    dim: Dim = None,
    correction: float | None = 1,
    keepdim: bool = False,
    *,
    unbiased: bool | None = None,
) -> Any:
    """Take the standard deviation over dimensions: the root of `var`, with its arguments.

    Where all elements are equal, and the derivative does not exist, the gradient is 0.

    >>> std(np.array([1.0, 2.0, 3.0]))
    array(1.)
    """
    dim, correction = _divided_by(dim, correction, unbiased)
    return Std(axes_of("std", input.ndim, dim), keepdim, correction)(input)


class LogSumExp(Reduce):
    """ln Σ eˣ."""

    __slots__ = ()
    widens = True
    saves = ("x", "out")

    def forward(self, x: Any) -> Any:
        x = as_float(x)
        top = np.max(x, axis=self.axes, keepdims=True, initial=-np.inf)
        top = np.where(np.isfinite(top), top, 0.0)  # inf - inf is NaN
        with np.errstate(divide="ignore", over="ignore"):  # ln 0 is -inf, e^inf is inf
            result = np.log(np.sum(np.exp(x - top), axis=self.axes, keepdims=True)) + top
        return result if self.keepdims else np.squeeze(result, self.axes)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        finite = where(out == -np.inf, 0.0, out)  # e^(-inf - 0) is 0, e^(-inf + inf) NaN
        return (self.spread(g, x) * exp(x - self.spread(finite, x)),)


@numpy_words
def logsumexp(input: Operand, dim: Dim = None, keepdim: bool = False) -> Any:
    """Logarithm of the sum of exponentials: ``ln Σ exp(input)``, without overflow.

    Over no elements, and where all are -inf, it is -inf, and the gradient 0. Integers give
    float32. Arguments and errors as for `sum`.

    >>> logsumexp(np.array([[1e4, 1e4]]), dim=1)
    array([10000.69314718])
    """
    return LogSumExp(axes_of("logsumexp", input.ndim, dim), keepdim)(input)
