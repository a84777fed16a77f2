"""Products of matrices and vectors. `Matmul` closes under differentiation; `Linear` leads to it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.runtime import threads
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import shape_of
from tinygrad_cnn.ops.shape import reshape, squeeze, transpose, unsqueeze
from tinygrad_cnn.types import Array, Operand

__all__ = ["dot", "linear", "matmul", "outer"]


def _product(a: Array, b: Array) -> Array:
    """Multiply arrays, matrices over the threads; the last two dimensions are the matrices."""
    if b.ndim != 2 or a.ndim == 1:
        return np.asarray(np.matmul(a, b))
    if a.ndim == 2:
        if a.shape[1] == 1:
            return np.multiply(a, b)  # four times faster than BLAS's outer product
        return threads.matmul(_for_blas(a), _for_blas(b))
    rows = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])  # (N·M, K): one product for the batch
    return threads.matmul(rows, _for_blas(b)).reshape(*a.shape[:-1], b.shape[1])


def _for_blas(a: Array) -> Array:
    """Copy a matrix whose strides BLAS does not take: NumPy may multiply it in plain loops."""
    if a.flags.forc:
        return a
    strides = a.strides
    return a if a.itemsize in strides and min(strides) > 0 else np.ascontiguousarray(a)


def _transposed(x: Any) -> Any:
    """Exchange the last two dimensions, of a tensor or an array."""
    return x.T if x.ndim == 2 else transpose(x, -2, -1)


class Matmul(Op):
    """a · b over the last two dimensions, those before them broadcast."""

    __slots__ = ()
    saves = {"a": ("b",), "b": ("a",)}

    def forward(self, a: Any, b: Any) -> Any:
        return _product(a, b)

    def backward(self, g: Any, out: Any, a: Any, b: Any, *, needs: Any) -> tuple[Any, ...]:
        row, column = a.ndim == 1, b.ndim == 1
        if row:
            g = unsqueeze(g, -1 if column else -2)  # (…, 1, N)
        if column:
            g = unsqueeze(g, -1)  # (…, M, 1)
        ga = gb = None
        if needs[0]:
            ga = _matmul(g, unsqueeze(b, 0) if column else _transposed(b))  # (…, M, K)
            if row:
                ga = squeeze(ga, -2)  # (…, K)
        if needs[1]:
            if a.ndim > 2 and b.ndim <= 2:  # one product sums over the batch
                a, g = _rows(a), _rows(g)  # (N·M, K), (N·M, N)
            gb = _matmul(unsqueeze(a, 1) if row else _transposed(a), g)  # (…, K, N)
            if column:
                gb = squeeze(gb, -1)  # (…, K)
        return ga, gb


_matmul = Matmul()


def _rows(x: Any) -> Any:
    """Join all dimensions but the last."""
    return x if x.ndim == 2 else reshape(x, math.prod(x.shape[:-1]), x.shape[-1])


def matmul(input: Operand, other: Operand) -> Any:
    """Multiply matrices: ``y[…, m, n] = Σ_k a[…, m, k] · b[…, k, n]``.

    Parameters
    ----------
    input
        Shape (…, M, K), or (K,) for a vector: then the result has no dimension M.
    other
        Shape (…, K, N), or (K,) for a vector: then the result has no dimension N. Leading
        dimensions are broadcast against each other.

    Returns
    -------
    Shape (…, M, N).

    Raises
    ------
    ValueError
        If the shapes do not match, or one is a single number.

    >>> matmul(np.eye(2), np.array([3.0, 4.0]))
    array([3., 4.])
    """
    a, b = shape_of("matmul", input), shape_of("matmul", other)
    if not a or not b:
        raise ValueError(f"matmul: expects vectors or matrices, got shapes {a} and {b}")
    if a[-1] != b[-2 if len(b) > 1 else 0]:
        raise ValueError(
            f"matmul: shapes {a} and {b} do not match: "
            f"{a[-1]} columns against {b[-2 if len(b) > 1 else 0]} rows"
        )
    if len(a) > 2 and len(b) > 2 and a[:-2] != b[:-2]:
        try:
            np.broadcast_shapes(a[:-2], b[:-2])
        except ValueError:
            raise ValueError(
                f"matmul: shapes {a} and {b} do not match: batches {a[:-2]} and {b[:-2]} do not "
                "broadcast"
            ) from None
    return _matmul(input, other)


class Linear(Op):
    """x · weightᵀ + bias over the last dimension of x."""

    __slots__ = ()
    saves = {"x": ("weight",), "weight": ("x",)}
    optional = True

    def forward(self, x: Any, weight: Any, bias: Any) -> Any:
        rows = x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])  # (N, C)
        out = threads.matmul(_for_blas(rows), _for_blas(weight.T))  # (N, O)
        if bias is not None:
            out = np.add(out, bias, out=out if bias.dtype == out.dtype else None)
        return out if x.ndim == 2 else out.reshape(*x.shape[:-1], weight.shape[0])

    def backward(
        self, g: Any, out: Any, x: Any, weight: Any, bias: Any, *, needs: Any
    ) -> tuple[Any, ...]:
        rows = g if g.ndim == 2 else _rows(unsqueeze(g, 0) if g.ndim == 1 else g)
        return (
            _matmul(g, weight) if needs[0] else None,
            _matmul(rows.T, _rows(unsqueeze(x, 0) if x.ndim == 1 else x)) if needs[1] else None,
            rows.sum(0) if needs[2] else None,
        )


_linear = Linear()


def linear(input: Operand, weight: Operand, bias: Operand | None = None) -> Any:
    """Apply a linear layer: ``y[…, o] = Σ_c x[…, c] · weight[o, c] + bias[o]``.

    Parameters
    ----------
    input
        Shape (…, C): any leading dimensions.
    weight
        Shape (O, C), as in PyTorch.
    bias
        Shape (O,), or None.

    Returns
    -------
    Shape (…, O).

    Raises
    ------
    ValueError
        If the shapes do not match.

    >>> linear(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.array([5.0]))
    array([[16.]])
    """
    x, w = shape_of("linear", input), shape_of("linear", weight)
    if len(w) != 2:
        raise ValueError(f"linear: expects a weight of shape (out, in), got {w}")
    if not x or x[-1] != w[1]:
        raise ValueError(
            f"linear: weight of shape {w} expects {w[1]} input features, got input of shape {x}"
        )
    if bias is not None and shape_of("linear", bias) != w[:1]:
        raise ValueError(
            f"linear: weight of shape {w} expects a bias of shape {w[:1]}, "
            f"got {shape_of('linear', bias)}"
        )
    return _linear(input, weight, bias)


def dot(input: Operand, other: Operand) -> Any:
    """Multiply two vectors: ``Σ_k a[k] · b[k]``; both have shape (K,), the result ().

    Raises
    ------
    ValueError
        If the inputs are not vectors of one size.

    >>> dot(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array(11.)
    """
    a, b = shape_of("dot", input), shape_of("dot", other)
    if len(a) != 1 or a != b:
        raise ValueError(f"dot: expects two vectors of one size, got shapes {a} and {b}")
    return _matmul(input, other)


def outer(input: Operand, other: Operand) -> Any:
    """Multiply each with each: ``y[m, n] = a[m] · b[n]``, from shapes (M,) and (N,) to (M, N).

    Raises
    ------
    ValueError
        If the inputs are not vectors.

    >>> outer(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([[3., 4.],
           [6., 8.]])
    """
    a, b = shape_of("outer", input), shape_of("outer", other)
    if len(a) != 1 or len(b) != 1:
        raise ValueError(f"outer: expects two vectors, got shapes {a} and {b}")
    return _matmul(unsqueeze(input, 1), unsqueeze(other, 0))  # (M, 1) · (1, N)
