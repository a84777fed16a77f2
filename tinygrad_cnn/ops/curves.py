"""Sampled curves: their slope, area, products and values between the samples; covariances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.ops.arguments import (
    axes_of,
    axis_of,
    names_operands,
    numpy_words,
    shape_of,
    values_of,
)
from tinygrad_cnn.ops.conv.convolution import conv1d
from tinygrad_cnn.ops.elementwise import div, mul
from tinygrad_cnn.ops.index import getitem
from tinygrad_cnn.ops.join import concatenate
from tinygrad_cnn.ops.linalg import matmul
from tinygrad_cnn.ops.piecewise import where
from tinygrad_cnn.ops.reduce import mean, sum
from tinygrad_cnn.ops.shape import reshape
from tinygrad_cnn.types import Dim, Operand

__all__ = [
    "convolve",
    "corrcoef",
    "correlate",
    "cov",
    "gradient",
    "interp",
    "polyval",
    "trapezoid",
]


def _part(x: Any, axis: int, start: int | None, stop: int | None = None) -> Any:
    """Cut along an axis."""
    return getitem(x, (*(slice(None),) * axis, slice(start, stop)))


def _along(values: Any, axis: int, ndim: int) -> Any:
    """Lay a vector along an axis."""
    return reshape(values, *[-1 if i == axis else 1 for i in range(ndim)])


@numpy_words
def trapezoid(y: Operand, x: Operand | None = None, *, dx: float = 1.0, dim: int = -1) -> Any:
    """Integrate by trapezoids: ``Σ (y[i] + y[i+1]) · (x[i+1] - x[i]) / 2`` along a dimension.

    ``x`` are the places of the samples, a vector or of y's shape; without it they are ``dx`` apart.

    >>> trapezoid(np.array([1.0, 2.0, 3.0]))
    array(4.)
    """
    ndim = len(shape_of("trapezoid", y))
    axis = axis_of("trapezoid", ndim, dim)
    pairs = _part(y, axis, 1) + _part(y, axis, None, -1)
    if x is None:
        return mul(sum(pairs, axis), dx / 2)
    if len(shape_of("trapezoid", x)) == 1:
        x = _along(x, axis, ndim)
        steps = _part(x, axis, 1) - _part(x, axis, None, -1)
    else:
        steps = _part(x, axis, 1) - _part(x, axis, None, -1)
    return sum(mul(pairs * steps, 0.5), axis)


@numpy_words
def gradient(
    input: Operand, *, spacing: Any = 1.0, dim: Dim = None, edge_order: int = 1
) -> tuple[Any, ...]:
    """Estimate the slope along dimensions by central differences, one result a dimension.

    Parameters
    ----------
    input
        Samples of a function, at least ``edge_order + 1`` along each dimension.
    spacing
        The distance of samples, one number for all or one a dimension; or the places along each
        dimension, as vectors.
    dim
        A dimension, several, or None for all of them.
    edge_order
        1 or 2: the order of the one-sided differences at the ends.

    >>> gradient(np.array([1.0, 2.0, 4.0, 7.0]))
    (array([1. , 1.5, 2.5, 3. ]),)
    """
    ndim = len(shape_of("gradient", input))
    axes = axes_of("gradient", ndim, dim)
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order expects 1 or 2, got {edge_order}")
    spacings = spacing if isinstance(spacing, (list, tuple)) else [spacing] * len(axes)
    if len(spacings) != len(axes):
        raise ValueError(f"gradient: {len(spacings)} spacings for {len(axes)} dimensions")
    return tuple(
        _slope(input, axis, step, edge_order) for axis, step in zip(axes, spacings, strict=True)
    )


def _slope(input: Operand, axis: int, spacing: Any, edge_order: int) -> Any:
    size = shape_of("gradient", input)[axis]
    if size < edge_order + 1:
        raise ValueError(f"gradient: {size} samples along dim {axis}, needs {edge_order + 1}")
    ndim, places = len(shape_of("gradient", input)), values_of(spacing)
    h = np.diff(places) if places.ndim else np.full(size - 1, places)
    if len(h) != size - 1:
        raise ValueError(f"gradient: {len(h) + 1} places for {size} samples along dim {axis}")
    h = np.asarray(h, values_of(input).dtype if values_of(input).dtype.kind == "f" else float)

    def weighted(start: int, weights: Sequence[Any]) -> Any:
        """Sum neighbours from a start on, each times its weight."""
        count = len(weights[0])
        total: Any = 0.0
        for shift, weight in enumerate(weights):
            part = _part(input, axis, start + shift, start + shift + count)
            total = total + part * _along(np.asarray(weight, h.dtype), axis, ndim)
        return total

    left, right = h[:-1], h[1:]
    inner = weighted(
        0,
        (
            -right / (left * (left + right)),
            (right - left) / (left * right),
            left / (right * (left + right)),
        ),
    )
    if edge_order == 1:
        first = weighted(0, (-1 / h[:1], 1 / h[:1]))
        last = weighted(size - 2, (-1 / h[-1:], 1 / h[-1:]))
    else:
        a, b = h[:1], h[1:2]
        first = weighted(0, (-(2 * a + b) / (a * (a + b)), (a + b) / (a * b), -a / (b * (a + b))))
        a, b = h[-2:-1], h[-1:]
        last = weighted(
            size - 3, (b / (a * (a + b)), -(a + b) / (a * b), (2 * b + a) / (b * (a + b)))
        )
    return concatenate([first, inner, last] if size > 2 else [first, last], axis)


def convolve(input: Operand, other: Operand, mode: str = "full") -> Any:
    """Convolve two vectors: ``y[k] = Σ_n a[n] · v[k - n]``.

    ``mode`` says what of it is returned: "full", "same" (the size of the longer one, its middle) or
    "valid" (where the two overlap completely).

    >>> convolve(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.5]))
    array([0. , 1. , 2.5, 4. , 1.5])
    """
    a, v = shape_of("convolve", input), shape_of("convolve", other)
    if len(a) != 1 or len(v) != 1 or not a[0] or not v[0]:
        raise ValueError(f"convolve: expects two vectors with elements, got shapes {a} and {v}")
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"convolve: mode expects 'full', 'same' or 'valid', got {mode!r}")
    if v[0] > a[0]:
        input, other, a, v = other, input, v, a
    kernel = reshape(getitem(other, slice(None, None, -1)), 1, 1, -1)
    padding = 0 if mode == "valid" else v[0] - 1
    result = reshape(conv1d(reshape(input, 1, 1, -1), kernel, padding=padding), -1)
    if mode != "same":
        return result
    start = (v[0] - 1) // 2
    return getitem(result, slice(start, start + a[0]))


def correlate(input: Operand, other: Operand, mode: str = "valid") -> Any:
    """Correlate two vectors: ``y[k] = Σ_n a[n + k] · v[n]``; modes as for `convolve`.

    >>> correlate(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.5]))
    array([3.5])
    """
    back = slice(None, None, -1)
    if shape_of("correlate", other) > shape_of("correlate", input):  # the longer one comes first
        return getitem(convolve(other, getitem(input, back), mode), back)
    return convolve(input, getitem(other, back), mode)


@names_operands
def interp(input: Operand, xp: Operand, fp: Operand, left: Any = None, right: Any = None) -> Any:
    """Read a piecewise linear curve through the points ``(xp, fp)`` at places x.

    Parameters
    ----------
    input
        Where to read it, any shape.
    xp, fp
        Shape (K,): the points, ``xp`` increasing.
    left, right
        What it is outside of them: by default the first and the last of ``fp``.

    >>> interp(np.array([0.5, 1.5]), np.array([0.0, 1.0, 2.0]), np.array([0.0, 10.0, 30.0]))
    array([ 5., 20.])
    """
    x, known = values_of(input), values_of(xp)
    if known.ndim != 1 or shape_of("interp", fp) != known.shape or len(known) < 2:
        raise ValueError(
            f"interp: expects at least 2 points, got shapes {known.shape} and "
            f"{shape_of('interp', fp)}"
        )
    place = np.clip(np.searchsorted(known, x, "right") - 1, 0, len(known) - 2)
    x0, x1 = getitem(xp, place), getitem(xp, place + 1)
    y0, y1 = getitem(fp, place), getitem(fp, place + 1)
    result = y0 + div((input - x0) * (y1 - y0), x1 - x0)
    result = where(x < known[0], getitem(fp, 0) if left is None else left, result)
    return where(x > known[-1], getitem(fp, -1) if right is None else right, result)


def polyval(p: Operand, input: Operand) -> Any:
    """Evaluate a polynomial, the highest power's coefficient first, by Horner's rule.

    >>> polyval(np.array([3.0, 0.0, 1.0]), np.array([5.0]))
    array([76.])
    """
    result: Any = mul(input, 0.0)
    for k in range(shape_of("polyval", p)[0]):
        result = result * input + getitem(p, k)
    return result


def cov(input: Operand, *, correction: float = 1) -> Any:
    """Covariances of variables: ``Σ (x - x̄)(x - x̄)ᵀ / (n - correction)``.

    ``input`` has shape (variables, observations), or (observations,) for one variable; the result
    (variables, variables), or ().

    >>> cov(np.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    size = shape_of("cov", input)
    if len(size) > 2:
        raise ValueError(f"cov: expects at most two dimensions, got shape {size}")
    rows = reshape(input, -1, size[-1])
    away = rows - mean(rows, 1, True)
    result = div(matmul(away, away.T), size[-1] - correction)
    return result if len(size) == 2 else reshape(result, ())


def corrcoef(input: Operand) -> Any:
    """Correlation coefficients of variables: covariances over the roots of the variances.

    Shapes as for `cov`.

    >>> corrcoef(np.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    size = shape_of("corrcoef", input)
    if len(size) == 1:
        return corrcoef(reshape(input, 1, -1)).reshape(())
    together = cov(input)
    places = np.arange(size[0])
    spread = getitem(together, (places, places)) ** 0.5
    return together / (reshape(spread, -1, 1) * reshape(spread, 1, -1))
