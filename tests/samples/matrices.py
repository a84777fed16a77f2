"""Samples of products, einsum, norms, inverses and factors of matrices, against NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.samples.base import Array, ErrorSample, Sample
from tests.samples.elementwise import signed
from tests.samples.extreme import distinct
from tinygrad_cnn import linalg
from tinygrad_cnn.ops.elementwise import Add, Sub
from tinygrad_cnn.ops.extreme import Amax, Amin
from tinygrad_cnn.ops.linalg import Matmul
from tinygrad_cnn.ops.matrices import einsum, factors, inverse, norms, products
from tinygrad_cnn.ops.matrices.factors import (
    Cholesky,
    Eigh,
    Eigvalsh,
    Pinverse,
    Qr,
    Svd,
    Svdvals,
)
from tinygrad_cnn.ops.matrices.inverse import Cofactors, Det, Inverse, LogAbsDet, Solve
from tinygrad_cnn.ops.matrices.norms import VectorNorm
from tinygrad_cnn.ops.reduce import Sum
from tinygrad_cnn.ops.shape import Reshape

_rng = np.random.default_rng(12)


def regular(*shape: int) -> Array:
    """Square matrices far from singular, whose singular values differ."""
    return _rng.standard_normal(shape) * 0.3 + np.diag(np.arange(1.0, shape[-1] + 1.0))


def positive_definite(*shape: int) -> Array:
    A = regular(*shape)
    return A @ np.swapaxes(A, -1, -2) + np.eye(shape[-1])


_PRODUCTS = [
    Sample(Matmul, products.mm, (signed(2, 3), signed(3, 2)), np.matmul, "mm"),
    Sample(Matmul, products.bmm, (signed(2, 2, 3), signed(2, 3, 1)), np.matmul, "bmm"),
    Sample(Matmul, products.mv, (signed(2, 3), signed(3)), np.matmul, "mv"),
    Sample(Matmul, products.vdot, (signed(3), signed(3)), np.vdot, "vdot"),
    Sample(
        Add,
        lambda c, a, b: products.addmm(c, a, b, beta=0.5, alpha=2.0),
        (signed(2), signed(3, 2), signed(2, 2)),
        lambda c, a, b: 0.5 * c + 2.0 * a @ b,
        "addmm",
    ),
    Sample(
        Matmul,
        lambda a, b: products.addmm(np.full((1, 1), np.nan), a, b, beta=0),
        (signed(2, 3), signed(3, 2)),
        np.matmul,
        "addmm of nothing",
    ),
    Sample(
        Add,
        products.addmv,
        (signed(2), signed(2, 3), signed(3)),
        lambda c, a, b: c + a @ b,
        "addmv",
    ),
    Sample(
        Add,
        products.addr,
        (signed(2, 3), signed(2), signed(3)),
        lambda c, a, b: c + np.outer(a, b),
        "addr",
    ),
    Sample(
        Add,
        products.baddbmm,
        (signed(2, 1, 2), signed(2, 3, 2), signed(2, 2, 2)),
        lambda c, a, b: c + a @ b,
        "baddbmm",
    ),
    Sample(
        Add,
        products.addbmm,
        (signed(3, 2), signed(2, 3, 2), signed(2, 2, 2)),
        lambda c, a, b: c + (a @ b).sum(0),
        "addbmm",
    ),
    Sample(
        Matmul,
        lambda a, b: products.tensordot(a, b, ([0, 2], [1, 0])),
        (signed(2, 3, 4), signed(4, 2, 3)),
        lambda a, b: np.tensordot(a, b, ([0, 2], [1, 0])),
        "tensordot",
    ),
    *[
        Sample(
            Matmul,
            lambda a, b, n=n: products.tensordot(a, b, n),
            (signed(2, 3), signed(3, 2) if n == 1 else signed(2, 3)),
            lambda a, b, n=n: np.tensordot(a, b, n),
            f"tensordot {n}",
        )
        for n in (0, 1, 2)
    ],
    Sample(Matmul, products.inner, (signed(2, 3), signed(2, 2, 3)), np.inner, "inner"),
    Sample(
        Sum,
        lambda a, b: products.vecdot(a, b, 0),
        (signed(3, 2), signed(3, 1)),
        lambda a, b: (a * b).sum(0),
        "vecdot",
    ),
    *[
        Sample(Reshape, products.kron, (signed(*s), signed(*t)), np.kron, f"kron {s} {t}")
        for s, t in (((2, 3), (2, 2)), ((2,), (1, 3)), ((), (2,)))
    ],
    Sample(Sub, products.cross, (signed(2, 3), signed(2, 3)), np.cross, "cross"),
    Sample(
        Sub,
        lambda a, b: linalg.cross(a, b, 0),
        (signed(3, 2), signed(3, 1)),
        lambda a, b: np.cross(a, np.broadcast_to(b, (3, 2)), axis=0),
        "cross broadcast",
    ),
    Sample(
        Matmul,
        lambda *xs: linalg.multi_dot(xs),
        (signed(3), signed(3, 2), signed(2, 4), signed(4)),
        lambda *xs: np.linalg.multi_dot(xs),
        "multi_dot",
    ),
]

_EQUATIONS: list[tuple[str, list[tuple[int, ...]]]] = [
    ("ij,jk->ik", [(2, 3), (3, 2)]),
    ("ij,kj,lk->il", [(2, 3), (2, 3), (2, 2)]),
    ("bij,bjk->bki", [(2, 2, 3), (2, 3, 2)]),
    ("...ij,jk", [(2, 2, 3), (3, 2)]),
    ("ij,ij->", [(2, 3), (2, 3)]),
    ("i,j->ji", [(2,), (3,)]),
    ("ijk->kj", [(2, 3, 2)]),
    ("ba", [(2, 3)]),
    ("...a,...a->...", [(2, 3), (2, 3)]),
    (",ij->ij", [(), (2, 3)]),
]

_EINSUM = [
    Sample(
        (),
        lambda *xs, text=text: einsum.einsum(text, *xs),
        tuple(signed(*shape) for shape in shapes),
        lambda *xs, text=text: np.einsum(text, *xs),
        f"einsum {text}",
    )
    for text, shapes in [*_EQUATIONS, ("ii->i", [(3, 3)]), ("iij,j->", [(2, 2, 3), (3,)])]
]

_x = distinct(2, 3, 4) + 0.03


def _vectors(p: float, axis: Any = None) -> Callable[[Array], Array]:
    def oracle(x: Array) -> Array:
        size = np.abs(x)
        if math.isinf(p):
            return np.asarray((size.max if p > 0 else size.min)(axis=axis))
        if p == 0:
            return np.asarray((size > 0).sum(axis=axis), float)
        return np.asarray((size**p).sum(axis=axis) ** (1 / p))

    return oracle


_NORMS = [
    *[
        Sample(
            {0: Sum, 1: Sum, math.inf: Amax, -math.inf: Amin}.get(p, VectorNorm),
            lambda x, p=p: norms.vector_norm(x, p, (0, 2)),
            (_x,),
            _vectors(p, (0, 2)),
            f"norm {p}",
        )
        for p in (2, 1, 0, 3, 2.5, 0.5, -1, math.inf, -math.inf)
    ],
    Sample(VectorNorm, norms.norm, (_x,), _vectors(2), "all"),
    Sample(VectorNorm, norms.norm, (signed(),), np.abs, "0-d"),
    Sample(
        VectorNorm,
        lambda x: norms.vector_norm(x, 2, 1),
        (np.array([[0.0, 0.0], [3.0, 4.0]]),),
        lambda x: np.array([0.0, 5.0]),
        "at 0",
        smooth=False,
        gradients=(np.array([[0.0, 0.0], [0.6, 0.8]]),),
    ),
    Sample(
        VectorNorm,
        lambda x: norms.vector_norm(x, 3),
        (np.array([0.0, 2.0]),),
        _vectors(3),
        "an element at 0",
        smooth=False,
        gradients=(np.array([0.0, 1.0]),),
    ),
    *[
        Sample(
            {"fro": VectorNorm, 1: Amax, -1: Amin, math.inf: Amax, -math.inf: Amin}.get(p, Svdvals),
            lambda x, p=p: norms.matrix_norm(x, p),
            (regular(3, 3),),
            lambda x, p=p: np.asarray(np.linalg.norm(x, p)),
            f"matrix norm {p}",
        )
        for p in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)
    ],
    Sample(
        Svdvals,
        lambda x: linalg.norm(x, 2, (2, 0), keepdim=True),
        (regular(2, 3, 3),),
        lambda x: np.linalg.norm(x, 2, (2, 0), keepdims=True),
        "matrices across",
    ),
    Sample(
        Svdvals, linalg.cond, (regular(3, 3),), lambda x: np.asarray(np.linalg.cond(x)), "condition"
    ),
]

_b = regular(2, 3, 3)
_singular = np.array([[1.0, 2.0], [2.0, 4.0]])
_INVERSES = [
    Sample(Inverse, inverse.inverse, (_b,), np.linalg.inv),
    Sample(Solve, inverse.solve, (_b, signed(2, 3, 2)), np.linalg.solve),
    Sample(Solve, inverse.solve, (_b[0], signed(3)), np.linalg.solve, "vector"),
    Sample(
        Solve,
        inverse.solve,
        (_b, signed(2, 3)),
        lambda A, b: np.linalg.solve(A, b[..., None])[..., 0],
        "vectors",
    ),
    Sample(
        Solve,
        lambda A, B: inverse.solve(A, B, left=False),
        (_b, signed(2, 2, 3)),
        lambda A, B: B @ np.linalg.inv(A),
        "from the right",
    ),
    Sample(
        Solve,
        lambda A, B: inverse.solve_triangular(A, B, upper=True),
        (_b, signed(3, 2)),
        lambda A, B: np.linalg.solve(np.triu(A), np.broadcast_to(B, (2, 3, 2))),
        "triangular",
    ),
    Sample(
        Solve,
        lambda A, B: inverse.solve_triangular(A, B, upper=False, unitriangular=True),
        (_b[0], signed(3, 2)),
        lambda A, B: np.linalg.solve(np.tril(A, -1) + np.eye(3), B),
        "unitriangular",
    ),
    Sample(Det, inverse.det, (_b,), np.linalg.det),
    Sample(
        Det,
        inverse.det,
        (np.stack([_singular, np.zeros((2, 2))]),),
        lambda A: np.zeros(2),
        "singular",
        smooth=False,
        gradients=(np.array([[[4.0, -2.0], [-2.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]),),
    ),
    Sample(
        Cofactors,
        Cofactors(),
        (_b,),
        lambda A: np.linalg.det(A)[:, None, None] * np.swapaxes(np.linalg.inv(A), -1, -2),
    ),
    Sample(
        LogAbsDet,
        lambda A: inverse.slogdet(A).logabsdet,
        (_b,),
        lambda A: np.linalg.slogdet(A)[1],
    ),
    Sample(LogAbsDet, inverse.logdet, (_b,), lambda A: np.log(np.linalg.det(A)), "logdet"),
    *[
        Sample(
            Matmul if n != -1 else Inverse,
            lambda A, n=n: inverse.matrix_power(A, n),
            (regular(3, 3),),
            lambda A, n=n: np.linalg.matrix_power(A, n),
            f"power {n}",
        )
        for n in (-2, -1, 2, 5)
    ],
]


_FACTORS = [
    Sample(Cholesky, factors.cholesky, (positive_definite(2, 3, 3),), np.linalg.cholesky),
    Sample(
        Cholesky,
        lambda A: factors.cholesky(A, upper=True),
        (positive_definite(3, 3),),
        lambda A: np.linalg.cholesky(A).T,
        "upper",
    ),
    Sample(Qr, lambda A: factors.qr(A).Q, (regular(3, 3)[:, :2],), lambda A: np.linalg.qr(A)[0]),
    Sample(Qr, lambda A: factors.qr(A).R, (_b,), lambda A: np.linalg.qr(A)[1], "R"),
    Sample(Qr, lambda A: factors.qr(A).R, (_b[:, :2],), lambda A: np.linalg.qr(A)[1], "wide"),
    Sample(
        Eigh,
        lambda A: factors.eigh(A).eigenvalues,
        (positive_definite(2, 3, 3),),
        lambda A: np.linalg.eigh(A)[0],
        "values",
    ),
    Sample(
        Eigh,
        lambda A: factors.eigh(A).eigenvectors ** 2,
        (positive_definite(3, 3),),
        lambda A: np.linalg.eigh(A)[1] ** 2,
        "vectors",
    ),
    Sample(Eigvalsh, factors.eigvalsh, (positive_definite(3, 3),), np.linalg.eigvalsh),
    *[
        Sample(
            Svd,
            lambda A, part=part: factors.svd(A, full_matrices=False)[part] ** 2,
            (_b[0, : shape[0], : shape[1]],),
            lambda A, part=part: np.linalg.svd(A, full_matrices=False)[part] ** 2,
            f"part {part} of {shape}",
        )
        for part in (0, 1, 2)
        for shape in ((3, 3), (3, 2), (2, 3))
    ],
    Sample(Svdvals, factors.svdvals, (_b,), lambda A: np.linalg.svd(A, compute_uv=False)),
    *[
        Sample(Pinverse, linalg.pinv, (_b[0][part],), np.linalg.pinv, note)
        for part, note in ((np.s_[:], "square"), (np.s_[:, :2], "tall"), (np.s_[:2], "wide"))
    ],
    Sample(Pinverse, factors.pinverse, (_b,), np.linalg.pinv, "batch"),
]

_form = _rng.standard_normal((5, 3, 4)), _rng.standard_normal(5)

SAMPLES = [
    Sample(
        Matmul,
        einsum.bilinear,
        (_rng.standard_normal((2, 3)), _rng.standard_normal((2, 4)), *_form),
        lambda a, b, w, bias: np.einsum("ni,oij,nj->no", a, w, b) + bias,
        "bilinear",
    ),
    *_PRODUCTS,
    *_EINSUM,
    *_NORMS,
    *_INVERSES,
    *_FACTORS,
]


def _error(f: Any, args: tuple[Any, ...], message: str) -> ErrorSample:
    return ErrorSample(lambda: f(*args), ValueError, f"^{f.__name__}: {message}")


_s = signed(2, 3)
ERRORS = [
    ErrorSample(
        lambda: einsum.bilinear(np.ones((2, 3)), np.ones((2, 4)), np.ones((5, 4, 3))),
        ValueError,
        r"bilinear: expects .* got \(2, 3\), \(2, 4\), \(5, 4, 3\) and None",
    ),
    _error(products.mm, (_s, _s), "shapes .* do not match"),
    _error(products.bmm, (_s, _s), "input expects a batch of matrices"),
    _error(products.mv, (_s, _s), "vec expects a vector"),
    _error(products.addmm, (signed(4), _s, _s.T), "input of shape .* does not broadcast"),
    _error(products.tensordot, (_s, _s, 1), "dims .* do not match"),
    _error(products.tensordot, (_s, _s, 3), "dims expects an int from 0 to 2"),
    _error(products.inner, (_s, _s.T), "the last sizes"),
    _error(products.cross, (_s[:, :2], _s[:, :2]), "expects a dimension of size 3"),
    _error(einsum.einsum, ("ij,jk", _s), "'ij,jk' names 2 operands, got 1"),
    _error(einsum.einsum, ("ij,jk", _s, _s), "dimension 'j' has sizes 3 and 2"),
    _error(einsum.einsum, ("i->i", _s), "'i' in 'i->i' names 1 dimensions, got 2"),
    _error(einsum.einsum, ("ij->k", _s), "the result of 'ij->k' names what no operand has"),
    _error(einsum.einsum, ("ij->ii", _s), "the result of 'ij->ii' names a dimension twice"),
    _error(einsum.einsum, ("i1->i", _s), "'i1' in 'i1->i' expects letters"),
    _error(norms.vector_norm, (_s, "fro"), "ord expects a number"),
    _error(norms.matrix_norm, (_s, 3), "ord expects 'fro'"),
    _error(norms.matrix_norm, (_s[0],), "expects at least 2 dimensions"),
    _error(linalg.norm, (signed(2, 2, 2), 1), "ord=1 of 3 dimensions expects dim"),
    _error(inverse.inverse, (_s,), "expects square matrices"),
    _error(inverse.inverse, (np.zeros((2, 2)),), "singular matrix"),
    _error(inverse.solve, (_b, signed(4, 2)), "shapes .* do not match"),
    _error(inverse.det, (_s,), "expects square matrices"),
    _error(factors.cholesky, (-np.eye(2),), "matrix is not positive definite"),
    _error(factors.cholesky, (np.array([[1.0, 0.0], [0.9, 1.0]]),), "expects symmetric matrices"),
    _error(factors.qr, (_s, "complete"), "mode expects 'reduced'"),
    _error(factors.qr, (_s[0],), "expects matrices"),
    _error(factors.eigh, (np.eye(2), "X"), "UPLO expects 'L' or 'U'"),
    _error(factors.svdvals, (_s[0],), "expects matrices"),
]
