"""Inverses, solutions of linear equations, determinants.

Each rule is a solution or an inverse again, so that derivatives of any order are. Matrices are
computed in float32 at least; batches are the leading dimensions.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.op import Op, TensorBase
from tinygrad_cnn.ops.arguments import as_float, shape_of
from tinygrad_cnn.ops.elementwise import add, mul
from tinygrad_cnn.ops.linalg import matmul
from tinygrad_cnn.ops.piecewise import sign
from tinygrad_cnn.ops.rearranging.diagonal import tril, triu
from tinygrad_cnn.ops.reduce import sum
from tinygrad_cnn.ops.shape import reshape, squeeze, transpose, unsqueeze
from tinygrad_cnn.types import Array, Operand

__all__ = ["det", "inverse", "logdet", "matrix_power", "slogdet", "solve", "solve_triangular"]


def turned(x: Any) -> Any:
    """Exchange the last two dimensions."""
    return transpose(x, -2, -1)


def square(function: str, A: Any) -> None:
    """Raise unless the last two dimensions are equal."""
    shape = shape_of(function, A)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(f"{function}: expects square matrices (…, N, N), got shape {shape}")


def lapack(function: str, call: Callable[..., Any], *arrays: Any) -> Any:
    """Call NumPy's linear algebra, which takes no half floats; its errors in our words."""
    held = [as_float(x) for x in arrays]
    if any(x.dtype == np.longdouble != np.float64 for x in held):
        raise TypeError(f"{function}: takes no long doubles, for LAPACK does not: astype(float64)")
    half = all(x.dtype == np.float16 for x in held)
    try:
        found = call(*[x.astype(np.float32) if x.dtype == np.float16 else x for x in held])
    except np.linalg.LinAlgError as error:
        text = str(error)
        raise ValueError(f"{function}: {text[:1].lower()}{text[1:]}") from None
    if half:
        many = isinstance(found, tuple)
        return tuple(a.astype(np.float16) for a in found) if many else found.astype(np.float16)
    return found


class Inverse(Op):
    """A⁻¹."""

    __slots__ = ()
    saves = ("out",)

    def forward(self, A: Any) -> Any:
        return lapack("inverse", np.linalg.inv, A)

    def backward(self, g: Any, out: Any, A: Any) -> tuple[Any, ...]:
        back = turned(out)
        return (-matmul(matmul(back, g), back),)


def inverse(A: Operand) -> Any:
    """Invert square matrices; ``linalg.inv`` is the same function.

    Raises
    ------
    ValueError
        If they are not square, or one is singular.

    >>> inverse(np.array([[2.0, 0.0], [0.0, 4.0]]))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    square("inverse", A)
    return Inverse()(A)


class Solve(Op):
    """X of A · X = B."""

    __slots__ = ()
    saves = {"A": ("A", "out"), "B": ("A",)}

    def forward(self, A: Any, B: Any) -> Any:
        return lapack("solve", np.linalg.solve, A, B)

    def backward(self, g: Any, out: Any, A: Any, B: Any, *, needs: Any) -> tuple[Any, ...]:
        gB = Solve()(turned(A), g)
        return -matmul(gB, turned(out)) if needs[0] else None, gB


def solve(A: Operand, B: Operand, *, left: bool = True) -> Any:
    """Solve linear equations: X of ``A @ X = B``, or of ``X @ A = B`` if not ``left``.

    Parameters
    ----------
    A
        Shape (…, N, N).
    B
        Shape (…, N, K), or vectors: (N,), or of A's shape without the last dimension.
    left
        On which side of the unknown A is.

    Returns
    -------
    The shape of B, its leading dimensions broadcast with A's.

    Raises
    ------
    ValueError
        If the shapes do not match, or a matrix is singular.

    >>> solve(np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([2.0, 2.0]))
    array([1. , 0.5])
    """
    square("solve", A)
    return _solved("solve", Solve(), A, B, left)


def _solved(function: str, op: Op, A: Any, B: Any, left: bool) -> Any:
    a, b = shape_of(function, A), shape_of(function, B)
    vector = len(b) == 1 or (len(b) == len(a) - 1 and b == a[:-1])
    if vector and not left:
        raise ValueError(f"{function}: left=False expects matrices B, got shape {b}")
    x = unsqueeze(B, -1) if vector else B
    if not left:
        x = turned(x)
    shape = shape_of(function, x)
    try:
        np.broadcast_shapes(a[:-2], shape[:-2])
        fits = len(shape) >= 2 and shape[-2] == a[-1]
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{function}: shapes {a} and {b} do not match")
    found = op(A if left else turned(A), x)
    if not left:
        found = turned(found)
    return squeeze(found, -1) if vector else found


def solve_triangular(
    A: Operand, B: Operand, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Any:
    """Solve ``A @ X = B`` with one triangle of A; the other one is not looked at.

    ``unitriangular`` takes ones for the diagonal. Other arguments and errors as for `solve`.

    >>> solve_triangular(np.array([[2.0, 9.0], [1.0, 1.0]]), np.array([[2.0], [3.0]]), upper=False)
    array([[1.],
           [2.]])
    """
    square("solve_triangular", A)
    if len(shape_of("solve_triangular", B)) < 2:
        raise ValueError(
            f"solve_triangular: B expects (…, N, K), got shape {shape_of('solve_triangular', B)}"
        )
    beyond = int(unitriangular)
    part = triu(A, beyond) if upper else tril(A, -beyond)
    if unitriangular:
        part = part + np.eye(A.shape[-1], dtype=A.dtype)
    return _solved("solve_triangular", Solve(), part, B, left)


# ---------------------------------------------------------------------------------------------
# determinants


class Det(Op):
    """The determinant; its derivative is the matrix of cofactors, of singular matrices too."""

    __slots__ = ()
    saves = ("A",)

    def forward(self, A: Any) -> Any:
        return lapack("det", np.linalg.det, A)

    def backward(self, g: Any, out: Any, A: Any) -> tuple[Any, ...]:
        return (mul(reshape(g, (*g.shape, 1, 1)), Cofactors()(A)),)


class Cofactors(Op):
    """det(A) · A⁻ᵀ, and its limit where A is singular."""

    __slots__ = ()
    saves = ("A",)

    def forward(self, A: Any) -> Any:
        # A = U S Vᵀ: the cofactors are det(U) det(V) · U · (products of the other s) · Vᵀ.
        U, s, Vh = lapack("det", np.linalg.svd, A)
        others = _products_of_others(s)
        sign = np.linalg.det(U.astype(np.float64)) * np.linalg.det(Vh.astype(np.float64))
        scaled = U * others[..., None, :] * np.round(sign)[..., None, None].astype(U.dtype)
        return np.matmul(scaled, Vh)

    def backward(self, g: Any, out: Any, A: Any) -> tuple[Any, ...]:
        array = A._data if isinstance(A, TensorBase) else A
        if (np.linalg.det(array.astype(np.float64)) == 0).any():
            raise GraphError("det: the second derivative at a singular matrix has no rule here")
        W = turned(Inverse()(A))
        whole = sum(mul(g, W), (-2, -1), True)
        inner = mul(W, whole) - matmul(matmul(W, turned(g)), W)
        return (mul(reshape(Det()(A), (*g.shape[:-2], 1, 1)), inner),)


def _products_of_others(s: Array) -> Array:
    """Return, for each element of a row, the product of all others."""
    before, behind = np.ones_like(s), np.ones_like(s)
    before[..., 1:] = np.cumprod(s[..., :-1], -1)
    behind[..., :-1] = np.cumprod(s[..., :0:-1], -1)[..., ::-1]
    return np.asarray(before * behind)


def det(A: Operand) -> Any:
    """Take the determinant of square matrices; its gradient exists at singular ones too.

    The second derivative at a singular matrix is an error.

    Raises
    ------
    ValueError
        If they are not square.

    >>> det(np.array([[2.0, 0.0], [0.0, 4.0]]))
    array(8.)
    """
    square("det", A)
    return Det()(A)


class LogAbsDet(Op):
    """ln |det A|."""

    __slots__ = ()
    saves = ("A",)

    def forward(self, A: Any) -> Any:
        return lapack("slogdet", lambda a: np.linalg.slogdet(a)[1], A)

    def backward(self, g: Any, out: Any, A: Any) -> tuple[Any, ...]:
        return (mul(reshape(g, (*g.shape, 1, 1)), turned(Inverse()(A))),)


class SignAndLog(NamedTuple):
    """What `slogdet` returns."""

    sign: Any
    logabsdet: Any


def slogdet(A: Operand) -> SignAndLog:
    """Sign of determinants and the logarithm of their magnitude, which does not overflow.

    The sign has gradient 0. A singular matrix gives (0, -inf), and an error in the backward pass.

    Raises
    ------
    ValueError
        If they are not square.

    >>> slogdet(np.array([[2.0, 0.0], [0.0, -4.0]])).sign
    array(-1.)
    """
    square("slogdet", A)
    return SignAndLog(sign(Det()(A)), LogAbsDet()(A))


def logdet(A: Operand) -> Any:
    """Logarithm of determinants: NaN where one is negative, -inf where a matrix is singular.

    >>> logdet(np.eye(2))
    array(0.)
    """
    square("logdet", A)
    found = slogdet(A)
    array = found.sign._data if isinstance(found.sign, TensorBase) else found.sign
    return add(found.logabsdet, np.where(array < 0, np.nan, 0.0).astype(array.dtype))


def matrix_power(A: Operand, n: int) -> Any:
    """Multiply square matrices n times by themselves; negative powers are those of the inverse.

    Raises
    ------
    ValueError
        If they are not square, or one is singular and n negative.

    >>> matrix_power(np.array([[1.0, 1.0], [0.0, 1.0]]), 3)
    array([[1., 3.],
           [0., 1.]])
    """
    square("matrix_power", A)
    n = operator.index(n)
    base: Any = Inverse()(A) if n < 0 else A
    if n == 0:
        return mul(A, 0.0) + np.eye(A.shape[-1], dtype=A.dtype)
    found = None
    for bit in reversed(f"{n if n > 0 else -n:b}"):
        if bit == "1":
            found = base if found is None else matmul(found, base)
        base = matmul(base, base)
    return found
