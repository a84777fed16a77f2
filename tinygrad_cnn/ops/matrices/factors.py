"""Matrices as products: cholesky, qr, eigh, svd, and what follows from them, pinv.

A factorisation of several parts is one operation: its parts lie one under the other in its result
and are cut out of it. Where a gradient divides by differences of singular or eigenvalues, equal
ones give inf or NaN, as in PyTorch; the values alone have no such limit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.graph import mode
from tinygrad_cnn.op import Op, TensorBase
from tinygrad_cnn.ops.arguments import shape_of, values_of, without_graph
from tinygrad_cnn.ops.elementwise import mul
from tinygrad_cnn.ops.index import Key, Slice
from tinygrad_cnn.ops.linalg import matmul
from tinygrad_cnn.ops.matrices.inverse import Solve, lapack, square, turned
from tinygrad_cnn.ops.piecewise import where
from tinygrad_cnn.ops.rearranging.diagonal import tril, triu
from tinygrad_cnn.ops.shape import squeeze, unsqueeze
from tinygrad_cnn.types import Array, Operand

__all__ = ["cholesky", "pinverse", "qr"]


def _rows(x: Any, start: int, stop: int | None) -> Any:
    """Cut rows out of packed matrices."""
    return Slice(Key((..., slice(start, stop), slice(None))))(x)


# What is far from symmetric is a mistake; differentiation by steps leaves symmetry by little.
_ASYMMETRY = 0.1


def _symmetric(A: Any) -> Any:
    across = np.swapaxes(A, -1, -2)
    if A.size and (np.abs(A - across).max() > _ASYMMETRY * np.abs(A).max()):
        raise np.linalg.LinAlgError("expects symmetric matrices: write (A + A.mT) / 2")
    return (A + across) * A.dtype.type(0.5)


def _eye(x: Any, size: int) -> Array:
    return np.eye(size, dtype=x.dtype)


class Cholesky(Op):
    """L of A = L · Lᵀ, of A's symmetric part."""

    __slots__ = ()
    saves = ("out",)

    def forward(self, A: Any) -> Any:
        return lapack("cholesky", lambda a: np.linalg.cholesky(_symmetric(a)), A)

    def backward(self, g: Any, out: Any, A: Any) -> tuple[Any, ...]:
        # Murray, "Differentiation of the Cholesky decomposition" (2016), equation 10.
        inner = tril(matmul(turned(out), g))
        inner = inner - _halved_diagonal(inner)
        left = Solve()(turned(out), turned(Solve()(turned(out), turned(inner))))
        return ((left + turned(left)) * 0.5,)


def _halved_diagonal(x: Any) -> Any:
    """Return half of the diagonal, as matrices."""
    return mul(x, 0.5 * _eye(x, x.shape[-1]))


def cholesky(A: Operand, *, upper: bool = False) -> Any:
    """Factor symmetric positive definite matrices: the lower L of ``A = L @ L.T``.

    With ``upper`` its transpose. Only the symmetric part of A counts, so that the gradient is
    symmetric.

    Raises
    ------
    ValueError
        If they are not square, or one is not symmetric and positive definite.

    >>> cholesky(np.array([[4.0, 2.0], [2.0, 2.0]]))
    array([[2., 0.],
           [1., 1.]])
    """
    square("cholesky", A)
    found = Cholesky()(A)
    return turned(found) if upper else found


class Factors(NamedTuple):
    """What `qr` returns."""

    Q: Any
    R: Any


class Qr(Op):
    """Q (M, K) over R (K, N), joined: of A (M, N) with M ≥ N, so that K is N."""

    __slots__ = ()
    saves = ("out",)

    def forward(self, A: Any) -> Any:
        return np.concatenate(lapack("qr", np.linalg.qr, A), -2)

    def backward(self, g: Any, out: Any, A: Any) -> tuple[Any, ...]:
        # Walter and Lehmann, "Algorithmic differentiation of linear algebra functions" (2018).
        size = A.shape[-2]
        Q, R = _rows(out, 0, size), _rows(out, size, None)
        gQ, gR = _rows(g, 0, size), _rows(g, size, None)
        inner = matmul(R, turned(gR)) - matmul(turned(gQ), Q)  # (N, N)
        lower = tril(inner, -1)
        inner = lower + turned(lower) + mul(inner, _eye(inner, inner.shape[-1]))
        return (turned(Solve()(R, turned(gQ + matmul(Q, inner)))),)


def qr(A: Operand, mode: str = "reduced") -> Factors:
    """Factor matrices into ``A = Q @ R``, Q with orthonormal columns, R upper triangular.

    Parameters
    ----------
    A
        Shape (…, M, N).
    mode
        "reduced": Q (…, M, K), R (…, K, N) with K the lesser of M and N.

    Raises
    ------
    ValueError
        If the mode is another; or if A is no matrix.

    >>> abs(qr(np.array([[3.0], [4.0]])).R)
    array([[5.]])
    """
    shape = shape_of("qr", A)
    if len(shape) < 2:
        raise ValueError(f"qr: expects matrices (…, M, N), got shape {shape}")
    if mode != "reduced":
        raise ValueError(f"qr: mode expects 'reduced', got {mode!r}")
    rows, columns = shape[-2:]
    if rows >= columns:
        both = Qr()(A)
        return Factors(_rows(both, 0, rows), _rows(both, rows, None))
    # A wide matrix: its first columns give Q, and R is Qᵀ A.
    Q = _rows(Qr()(Slice(Key((..., slice(rows))))(A)), 0, rows)
    return Factors(Q, triu(matmul(turned(Q), A)))


class Eigen(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: Any
    eigenvectors: Any


class Eigh(Op):
    """Eigenvalues as a row over the matrix of eigenvectors, of A's symmetric part."""

    __slots__ = ()
    saves = ("out",)

    def forward(self, A: Any) -> Any:
        values, vectors = lapack("eigh", lambda a: tuple(np.linalg.eigh(_symmetric(a))), A)
        return np.concatenate([values[..., None, :], vectors], -2)

    def backward(self, g: Any, out: Any, A: Any) -> tuple[Any, ...]:
        # Giles, "Collected matrix derivative results" (2008), section 3.1.
        values, V = _rows(out, 0, 1), _rows(out, 1, None)
        gvalues, gV = _rows(g, 0, 1), _rows(g, 1, None)
        inner = mul(matmul(turned(V), gV), _gaps(values - turned(values)))
        inner = inner + mul(gvalues, _eye(A, A.shape[-1]))
        found = matmul(matmul(V, inner), turned(V))
        return ((found + turned(found)) * 0.5,)


def _gaps(differences: Any) -> Any:
    """Return one over the differences, 0 on the diagonal."""
    eye = np.eye(differences.shape[-1], dtype=bool)
    return where(eye, 0.0, 1.0 / where(eye, 1.0, differences))


def eigh(A: Operand, UPLO: str = "L") -> Eigen:
    """Eigenvalues, rising, and eigenvectors, as columns, of symmetric matrices.

    Only the symmetric part of A counts, so that the gradient is symmetric; ``UPLO`` then says
    nothing. The sign of an eigenvector is not defined, nor is the gradient of vectors whose
    eigenvalues are equal.

    Raises
    ------
    ValueError
        If they are not square and symmetric.

    >>> eigh(np.array([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    array([1., 2.])
    """
    square("eigh", A)
    if UPLO not in ("L", "U"):
        raise ValueError(f"eigh: UPLO expects 'L' or 'U', got {UPLO!r}")
    both = Eigh()(A)
    return Eigen(squeeze(_rows(both, 0, 1), -2), _rows(both, 1, None))


class Eigvalsh(Op):
    """Eigenvalues of A's symmetric part; equal ones do no harm."""

    __slots__ = ()
    saves = ("A",)

    def forward(self, A: Any) -> Any:
        return lapack("eigvalsh", lambda a: np.linalg.eigvalsh(_symmetric(a)), A)

    def backward(self, g: Any, out: Any, A: Any) -> tuple[Any, ...]:
        V = eigh(A).eigenvectors
        return (matmul(mul(V, unsqueeze(g, -2)), turned(V)),)


def eigvalsh(A: Operand, UPLO: str = "L") -> Any:
    """Eigenvalues, rising, of symmetric matrices; arguments and errors as for `eigh`.

    >>> eigvalsh(np.array([[2.0, 0.0], [0.0, 1.0]]))
    array([1., 2.])
    """
    square("eigvalsh", A)
    if UPLO not in ("L", "U"):
        raise ValueError(f"eigvalsh: UPLO expects 'L' or 'U', got {UPLO!r}")
    return Eigvalsh()(A)


class Singular(NamedTuple):
    """What `svd` returns."""

    U: Any
    S: Any
    Vh: Any


class Svd(Op):
    """U (M, K) over the singular values (1, K) over V (N, K)."""

    __slots__ = ()
    saves = ("out",)

    def forward(self, A: Any) -> Any:
        U, s, Vh = lapack("svd", lambda a: tuple(np.linalg.svd(a, full_matrices=False)), A)
        return np.concatenate([U, s[..., None, :], np.swapaxes(Vh, -1, -2)], -2)

    def backward(self, g: Any, out: Any, A: Any) -> tuple[Any, ...]:
        # Giles, "Collected matrix derivative results" (2008), section 3.2, and what lies outside
        # of the spaces that U and V span.
        rows = A.shape[-2]
        U, s, V = _rows(out, 0, rows), _rows(out, rows, rows + 1), _rows(out, rows + 1, None)
        gU, gs, gV = _rows(g, 0, rows), _rows(g, rows, rows + 1), _rows(g, rows + 1, None)
        gaps = _gaps(s * s - turned(s) * turned(s))  # 1 / (s_j² − s_i²)
        left, right = matmul(turned(U), gU), matmul(turned(V), gV)  # (K, K)
        inner = mul(mul(left - turned(left), gaps), s) + mul(
            turned(s), mul(right - turned(right), gaps)
        )
        inner = inner + mul(gs, _eye(A, s.shape[-1]))
        found = matmul(matmul(U, inner), turned(V))
        beyond_u = (gU - matmul(U, left)) / s
        beyond_v = (gV - matmul(V, right)) / s
        return (found + matmul(beyond_u, turned(V)) + matmul(U, turned(beyond_v)),)


def svd(A: Operand, full_matrices: bool = True) -> Singular:
    """Factor matrices into ``A = U @ diag(S) @ Vh``, S falling, U and V with orthonormal columns.

    The signs of the columns are not defined, nor is the gradient of columns whose singular values
    are equal.

    Parameters
    ----------
    A
        Shape (…, M, N).
    full_matrices
        False gives U (…, M, K), S (…, K), Vh (…, K, N), K the lesser of M and N. True gives U
        (…, M, M) and Vh (…, N, N), which A does not determine and which have no gradient unless
        A is square.

    Raises
    ------
    ValueError
        If A is no matrix, or a gradient is wanted of full matrices that are not square.

    >>> svd(np.array([[3.0, 0.0], [0.0, 4.0]])).S
    array([4., 3.])
    """
    shape = _matrices("svd", A)
    if full_matrices and shape[-1] != shape[-2]:
        if isinstance(A, TensorBase) and A._requires_grad and mode.recording:
            raise ValueError(
                f"svd: full matrices of shape {shape} have no gradient: write full_matrices=False"
            )
        parts = lapack("svd", lambda a: tuple(np.linalg.svd(a)), values_of(A))
        return Singular(*[without_graph(A, part) for part in parts])
    both = Svd()(A)
    rows = shape[-2]
    return Singular(
        _rows(both, 0, rows),
        squeeze(_rows(both, rows, rows + 1), -2),
        turned(_rows(both, rows + 1, None)),
    )


def _matrices(function: str, A: Any) -> tuple[int, ...]:
    shape = shape_of(function, A)
    if len(shape) < 2:
        raise ValueError(f"{function}: expects matrices (…, M, N), got shape {shape}")
    return shape


class Svdvals(Op):
    """Singular values; equal ones do no harm."""

    __slots__ = ()
    saves = ("A",)

    def forward(self, A: Any) -> Any:
        return lapack("svdvals", lambda a: np.linalg.svd(a, compute_uv=False), A)

    def backward(self, g: Any, out: Any, A: Any) -> tuple[Any, ...]:
        found = svd(A, full_matrices=False)
        return (matmul(mul(found.U, unsqueeze(g, -2)), found.Vh),)


def svdvals(A: Operand) -> Any:
    """Singular values of matrices, falling.

    Raises
    ------
    ValueError
        If A is no matrix.

    >>> svdvals(np.array([[3.0, 0.0], [0.0, 4.0]]))
    array([4., 3.])
    """
    _matrices("svdvals", A)
    return Svdvals()(A)


class Pinverse(Op):
    """The pseudoinverse A⁺, of constant rank."""

    __slots__ = ("atol", "rtol")
    saves = ("A", "out")

    def __init__(self, rtol: float, atol: float) -> None:
        self.rtol = rtol
        self.atol = atol

    def forward(self, A: Any) -> Any:
        return lapack("pinverse", self._inverted, A)

    def _inverted(self, A: Array) -> Array:
        if not A.size:
            return np.zeros((*A.shape[:-2], A.shape[-1], A.shape[-2]), A.dtype)
        U, s, Vh = np.linalg.svd(A, full_matrices=False)
        kept = s > np.maximum(self.atol, self.rtol * s[..., :1])
        inverse = np.where(kept, 1.0 / np.where(kept, s, 1.0), 0.0).astype(A.dtype)
        V = np.swapaxes(Vh, -1, -2) * inverse[..., None, :]
        return np.asarray(np.matmul(V, np.swapaxes(U, -1, -2)))

    def backward(self, g: Any, out: Any, A: Any) -> tuple[Any, ...]:
        # Golub and Pereyra, "The differentiation of pseudo-inverses" (1973).
        back, across = turned(out), turned(g)
        near = _eye(A, A.shape[-2]) - matmul(A, out)  # (M, M)
        far = _eye(A, A.shape[-1]) - matmul(out, A)  # (N, N)
        return (
            matmul(matmul(matmul(near, across), out), back)
            + matmul(matmul(back, out), matmul(across, far))
            - matmul(matmul(back, g), back),
        )


def pinverse(A: Operand, rcond: float = 1e-15, *, atol: float = 0.0) -> Any:
    """Pseudoinverse of matrices (Moore and Penrose).

    Singular values up to ``rcond`` times the greatest, or up to ``atol``, count as 0; the gradient
    takes the rank to be constant.

    Raises
    ------
    ValueError
        If A is no matrix.

    >>> pinverse(np.array([[2.0], [0.0]]))
    array([[0.5, 0. ]])
    """
    _matrices("pinverse", A)
    return Pinverse(float(rcond), float(atol))(A)
