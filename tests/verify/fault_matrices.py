"""Operations and the faults put into them: places, tables, norms, inverses and factors."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tests.verify.fault_kinds import (
    double,
    element,
    first_answer,
    first_inputs,
    half,
    last_image,
    mutates_cotangent,
    noise,
    nonlinear,
    permille,
    sign,
    single,
    transposed,
    written,
    zero,
)
from tests.verify.faults import Array, Call, Fault, Site, normal, weight
from tinygrad_cnn import linalg
from tinygrad_cnn.ops.indexing.embedding import Embedding, EmbeddingGradient
from tinygrad_cnn.ops.indexing.scattering import ScatterAddAlong, ScatterExtreme
from tinygrad_cnn.ops.matrices import factors, inverse, norms


def _site(family: str, name: str, op: Any, function: Any, inputs: Any, *faults: Fault) -> Site:
    return Site(family, name, op, function, inputs, faults)


# ------------------------------------------------------------------------------- places

_AT = np.array([[0, 2, 2, 1], [2, 2, 0, 0]])
_WORDS = np.array([[1, 3, 1], [0, 1, 2]])


def _overwritten(r: Array, call: Call) -> Array:
    found = np.zeros(r.shape)
    found[_WORDS] = call.g
    return found


INDEXING = [
    _site(
        *("indexing", "scatter add", ScatterAddAlong, lambda x, s: F.scatter_add(x, 0, _AT, s)),
        (normal(3, 4), weight(2, 4)),
        written("not picked", lambda r, c: c.g[:2], i=1),
        *(sign(), zero(1), element(1), permille(), mutates_cotangent()),
    ),
    _site(
        *("indexing", "scatter amax", ScatterExtreme),
        lambda x, s: F.scatter_reduce(x, 0, _AT, s, "amax"),
        (weight(3, 4), weight(2, 4)),
        *(double(), element(), nonlinear()),
    ),
    _site(
        *("indexing", "embedding", Embedding, lambda w: F.embedding(_WORDS, w), (weight(4, 3),)),
        written("repeats overwritten", _overwritten, "overlap"),
        *(half(), noise(), single(), last_image()),
    ),
    _site(
        *("indexing", "embedding gradient", EmbeddingGradient),
        lambda y: EmbeddingGradient(4)(y, _WORDS),
        (weight(2, 3, 3),),
        *(sign(), permille(), first_answer()),
    ),
]

# ------------------------------------------------------------------------------- matrices


def _regular(function: Any) -> Any:
    """A function of matrices that are far from singular."""
    return lambda x: function(x * 0.3 + np.diag(np.arange(1.0, 5.0)).astype(x.dtype))


def _definite(function: Any) -> Any:
    """A function of symmetric positive definite matrices."""

    def of(x: Any) -> Any:
        A = x * 0.3 + np.diag(np.arange(1.0, 5.0)).astype(x.dtype)
        return function(A @ A.T + np.eye(4, dtype=x.dtype))

    return of


_A = (weight(4, 4),)


def _not_transposed(_r: Array, call: Call) -> Array:
    return np.asarray(-call.out @ call.g @ call.out)


def _without_vectors(_r: Array, call: Call) -> Array:
    """The eigenvectors' part forgotten."""
    values, V = call.g[0], call.out[1:]
    return np.asarray((V * values) @ V.T)


MATRICES = [
    _site(
        *("matrices", "vector norm", norms.VectorNorm, lambda x: F.norm(x, 2, 1), (weight(4, 5),)),
        written("not divided", lambda r, c: c.g[:, None] * c.inputs[0]),
        *(sign(), permille(), last_image(), first_inputs()),
    ),
    _site(
        *("matrices", "norm of order 3", norms.VectorNorm, lambda x: F.norm(x, 3, 1)),
        (weight(4, 5),),
        *(double(), element(), single()),
    ),
    _site(
        *("matrices", "inverse", inverse.Inverse, _regular(linalg.inv), _A),
        written("not transposed", _not_transposed, "operand"),
        *(sign(), permille(), nonlinear(), transposed()),
    ),
    _site(
        *("matrices", "solve", inverse.Solve),
        lambda A, B: _regular(lambda C: linalg.solve(C, B))(A),
        (weight(4, 4), weight(4, 2)),
        *(sign(), element(1), zero(), first_inputs(1)),
    ),
    _site(
        *("matrices", "det", inverse.Det, _regular(linalg.det), _A),
        *(double(), element(), sign(), transposed()),
    ),
    _site(
        *("matrices", "cofactors", inverse.Cofactors, _regular(inverse.Cofactors()), _A),
        *(half(), permille()),
    ),
    _site(
        *("matrices", "logdet", inverse.LogAbsDet, _regular(F.logdet), _A),
        *(sign(), transposed(), noise()),
    ),
    _site(
        *("matrices", "cholesky", factors.Cholesky, _definite(linalg.cholesky), _A),
        written("not halved", lambda r, c: r + np.diag(np.diag(r))),
        *(double(), element(), mutates_cotangent()),
    ),
    _site(
        *("matrices", "qr", factors.Qr, _regular(lambda A: linalg.qr(A).R), _A),
        *(sign(), permille(), element()),
    ),
    _site(
        *("matrices", "eigh", factors.Eigh),
        _definite(lambda A: linalg.eigh(A).eigenvectors ** 2),
        _A,
        written("values only", _without_vectors, "first image"),
        *(double(), noise()),
    ),
    _site(
        *("matrices", "eigenvalues", factors.Eigvalsh, _definite(linalg.eigvalsh), _A),
        *(half(), element(), sign()),
    ),
    _site(
        *("matrices", "svd", factors.Svd),
        _regular(lambda A: linalg.svd(A).U ** 2),
        _A,
        *(sign(), permille(), element()),
    ),
    _site(
        *("matrices", "singular values", factors.Svdvals, _regular(linalg.svdvals), _A),
        *(double(), transposed(), element()),
    ),
    _site(
        *("matrices", "pseudoinverse", factors.Pinverse),
        lambda x: _regular(lambda A: linalg.pinv(A[:, :2]))(x),
        _A,
        *(sign(), element(), permille()),
    ),
]

SITES = [*INDEXING, *MATRICES]
