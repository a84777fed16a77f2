"""Norms of vectors and matrices.

At 0, where a norm has no derivative, the gradient is 0; equals share that of a maximum evenly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.reduce.sums import sum_over
from tinygrad_cnn.ops.arguments import as_float, axes_of, axis_of, numpy_words, sizes_of
from tinygrad_cnn.ops.elementwise import cast, pow
from tinygrad_cnn.ops.extreme import amax, amin
from tinygrad_cnn.ops.matrices.factors import svdvals
from tinygrad_cnn.ops.piecewise import abs, sign, where
from tinygrad_cnn.ops.rearranging.cutting import movedim
from tinygrad_cnn.ops.reduce import Reduce, sum
from tinygrad_cnn.ops.shape import unsqueeze
from tinygrad_cnn.types import Dim, Operand

__all__ = ["matrix_norm", "norm", "vector_norm"]


class VectorNorm(Reduce):
    """(Σ |x|ᵖ)^(1/p) for a finite p other than 0."""

    __slots__ = ("p",)
    saves = ("x", "out")

    def __init__(self, axes: tuple[int, ...], keepdims: bool, p: float) -> None:
        super().__init__(axes, keepdims)
        self.p = p

    def forward(self, x: Any) -> Any:
        x = as_float(x)
        size = np.abs(x)
        # Divided by the greatest, so that no power over- or underflows.
        top = np.max(size, axis=self.axes, keepdims=True, initial=0.0)
        scale = np.where((top > 0) & np.isfinite(top), top, 1.0).astype(x.dtype)
        with np.errstate(divide="ignore"):  # 0 to a negative power
            total = sum_over((size / scale) ** self.p, self.axes, keepdims=True)
            out = total ** (1.0 / self.p) * scale
        return out if self.keepdims else np.squeeze(out, self.axes)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        still = where(out == 0, 1.0, where(out == math.inf, 1.0, 0.0))
        safe = self.spread(where(still == 1, 1.0, out), x)
        g = self.spread(where(still == 1, 0.0, g), x)
        if self.p == 2:
            return (g * (x / safe),)
        nothing = x == 0
        ratio = where(nothing, 1.0, abs(x) / safe)
        return (where(nothing, 0.0, g * sign(x) * pow(ratio, self.p - 1.0)),)


def _number(function: str, order: Any) -> float:
    if isinstance(order, bool) or not isinstance(order, (int, float, np.number)):
        raise ValueError(f"{function}: ord expects a number, got {order!r}")
    return float(order)


@numpy_words
def vector_norm(
    x: Operand, ord: float = 2, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    """Norm of vectors: ``(Σ |x|ᵖ)^(1/p)`` with p = ``ord``, over dimensions.

    For ``inf`` it is the greatest magnitude, for ``-inf`` the smallest, for 0 the number of
    elements that are not 0 (which has gradient 0). Powers do not overflow.

    Parameters
    ----------
    x
        Any shape.
    ord
        A number.
    dim
        A dimension, several, or None for all of them.
    keepdim
        Leave the reduced dimensions in the result with size 1.
    dtype
        That of the result, to which the input is converted first.

    Raises
    ------
    ValueError
        If the order is not a number, or ±inf is wanted of no elements.
    IndexError
        If a dimension does not exist.

    >>> vector_norm(np.array([3.0, 4.0]))
    array(5.)
    """
    if dtype is not None:
        x = cast(x, dtype)
    p, axes = _number("vector_norm", ord), axes_of("vector_norm", x.ndim, dim)
    if math.isinf(p):
        return (amax if p > 0 else amin)(abs(x), axes, keepdim)
    if p == 1:
        return sum(abs(x), axes, keepdim)
    if p == 0:
        return sum(abs(sign(x)), axes, keepdim)
    return VectorNorm(axes, keepdim, p)(x)


@numpy_words
def matrix_norm(
    A: Operand,
    ord: float | str = "fro",
    dim: Sequence[int] = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Any:
    """Norm of matrices.

    Parameters
    ----------
    A
        At least 2 dimensions.
    ord
        "fro", the root of the sum of squares; "nuc", the sum of singular values; 2 or -2, the
        greatest or smallest of them; 1 or -1, the greatest or smallest sum of magnitudes of a
        column; inf or -inf, of a row.
    dim
        The dimensions of rows and of columns.
    keepdim
        Leave the two dimensions in the result with size 1.
    dtype
        That of the result, to which the input is converted first.

    Raises
    ------
    ValueError
        If the order is another, or the dimensions are not two different ones.
    IndexError
        If a dimension does not exist.

    >>> matrix_norm(np.array([[1.0, -2.0], [3.0, 4.0]]), 1)
    array(6.)
    """
    if A.ndim < 2:
        raise ValueError(f"matrix_norm: expects at least 2 dimensions, got {tuple(A.shape)}")
    if dtype is not None:
        A = cast(A, dtype)
    named = sizes_of("matrix_norm", (tuple(dim),))
    axes = [axis_of("matrix_norm", A.ndim, d) for d in named]
    if len(axes) != 2 or axes[0] == axes[1]:
        raise ValueError(f"matrix_norm: dim expects two different dimensions, got {dim}")
    if ord == "fro":
        return vector_norm(A, 2, axes, keepdim)
    x = movedim(A, axes, (-2, -1))  # (…, M, N)
    if ord in ("nuc", 2, -2):
        values = svdvals(x)
        found = sum(values, -1) if ord == "nuc" else (amax if ord == 2 else amin)(values, -1)
    elif ord in (1, -1, math.inf, -math.inf):
        lines = sum(abs(x), -2 if ord in (1, -1) else -1)
        found = (amax if ord > 0 else amin)(lines, -1)
    else:
        raise ValueError(
            f"matrix_norm: ord expects 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got {ord!r}"
        )
    for axis in sorted(axes) if keepdim else ():
        found = unsqueeze(found, axis)
    return found


@numpy_words
def norm(
    input: Operand,
    p: float | str | None = "fro",
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Any:
    """Norm over dimensions, as ``torch.norm``: of vectors, whatever the number of dimensions.

    `linalg.norm` takes a number for matrices as well, as NumPy does.

    Parameters
    ----------
    input
        Any shape.
    p
        A number as for `vector_norm`; "fro" is 2, "nuc" the sum of singular values of matrices.
    dim
        A dimension, several, or None for all of them.
    keepdim
        Leave the reduced dimensions in the result with size 1.
    dtype
        That of the result, to which the input is converted first.

    Raises
    ------
    ValueError
        If p is something else, or "nuc" is wanted of other than two dimensions.
    IndexError
        If a dimension does not exist.

    >>> norm(np.array([[3.0, 0.0], [0.0, 4.0]]))
    array(5.)
    """
    if p == "nuc":
        axes = axes_of("norm", input.ndim, dim) if dim is None else sizes_of("norm", (dim,))
        return matrix_norm(input, "nuc", axes, keepdim, dtype=dtype)
    order: Any = 2 if p in (None, "fro") else p
    return vector_norm(input, order, dim, keepdim, dtype=dtype)
