"""Samples of the products of matrices and vectors, against einsum and sums written out."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.samples.base import ErrorSample, Sample
from tinygrad_cnn.ops.linalg import Linear, Matmul, dot, linear, matmul, outer

_rng = np.random.default_rng(6)


def _r(*shape: int) -> Any:
    return _rng.standard_normal(shape)


def _matmul(a: Any, b: Any) -> Any:
    """Multiply by three loops over one pair of matrices."""
    y = np.zeros((a.shape[0], b.shape[1]))
    for m in range(a.shape[0]):
        for n in range(b.shape[1]):
            for k in range(a.shape[1]):
                y[m, n] += a[m, k] * b[k, n]
    return y


def _sample(a: Any, b: Any, subscripts: str, note: str) -> Sample:
    return Sample(Matmul, matmul, (a, b), lambda a, b: np.einsum(subscripts, a, b), note)


def _affine(x: Any, w: Any, b: Any = 0.0) -> Any:
    return np.einsum("...c,oc->...o", x, w) + b


SAMPLES = [
    Sample(Matmul, matmul, (_r(2, 3), _r(3, 4)), _matmul, "matrices"),
    Sample(Matmul, matmul, (_r(70, 65), _r(65, 72)), lambda a, b: np.dot(a, b), "over threads"),
    Sample(Matmul, lambda a: matmul(a, a), (_r(3, 3),), lambda a: _matmul(a, a), "a square"),
    _sample(_r(3), _r(3), "k,k->", "vectors"),
    _sample(_r(2, 3), _r(3), "mk,k->m", "matrix and vector"),
    _sample(_r(3), _r(3, 4), "k,kn->n", "vector and matrix"),
    _sample(_r(2, 2, 3), _r(3), "bmk,k->bm", "batch and vector"),
    _sample(_r(3), _r(2, 3, 2), "k,bkn->bn", "vector and batch"),
    _sample(_r(2, 2, 3), _r(2, 3, 4), "bmk,bkn->bmn", "batches"),
    _sample(_r(2, 2, 3), _r(3, 4), "bmk,kn->bmn", "batch and matrix"),
    _sample(_r(2, 3), _r(4, 3, 2), "mk,bkn->bmn", "matrix and batch"),
    Sample(
        Matmul,
        matmul,
        (_r(2, 1, 2, 3), _r(4, 3, 1)),
        lambda a, b: np.einsum("amk,bkn->abmn", a[:, 0], b),
        "batches broadcast",
    ),
    Sample(
        Matmul,
        matmul,
        (_r(1, 2, 2), _r(3, 2, 2)),
        lambda a, b: np.stack([_matmul(a[0], each) for each in b]),
        "a batch of one broadcast",
    ),
    Sample(Matmul, matmul, (_r(0, 3), _r(3, 2)), lambda *_: np.zeros((0, 2)), "no rows"),
    Sample(Matmul, matmul, (_r(2, 0), _r(0, 3)), lambda *_: np.zeros((2, 3)), "nothing to add"),
    Sample(Matmul, matmul, (_r(0, 2, 3), _r(3, 2)), lambda *_: np.zeros((0, 2, 2)), "no batch"),
    Sample(
        Matmul,
        matmul,
        (_r(2, 3), np.array([[1, 0], [2, 1], [0, 3]])),
        _matmul,
        "integers on the right",
    ),
    Sample(Matmul, dot, (_r(4), _r(4)), lambda a, b: np.sum(a * b), "dot"),
    Sample(Matmul, outer, (_r(2), _r(3)), lambda a, b: a[:, None] * b, "outer"),
    Sample(Linear, linear, (_r(2, 3), _r(4, 3), _r(4)), _affine, "with bias"),
    Sample(Linear, linear, (_r(2, 3), _r(4, 3)), _affine, "without bias"),
    Sample(Linear, linear, (_r(66, 70), _r(65, 70), _r(65)), _affine, "over threads"),
    Sample(Linear, linear, (_r(3), _r(4, 3), _r(4)), _affine, "one vector"),
    Sample(Linear, linear, (_r(3), _r(4, 3)), _affine, "one vector without bias"),
    Sample(Linear, linear, (_r(2, 2, 3), _r(4, 3), _r(4)), _affine, "more dimensions"),
    Sample(Linear, linear, (_r(0, 3), _r(4, 3), _r(4)), _affine, "no rows"),
    Sample(Linear, linear, (_r(2, 0), _r(4, 0), _r(4)), _affine, "no features"),
    Sample(Linear, linear, (_r(2, 1), _r(1, 1), _r(1)), _affine, "one feature"),
    Sample(
        Linear, linear, (np.array([[1, 0, 2]]), _r(4, 3), _r(4)), _affine, "integers for an input"
    ),
    Sample(
        Linear,
        lambda x, w: linear(x, w, [1.0, 2.0]),
        (_r(2, 3), _r(2, 3)),
        lambda x, w: _affine(x, w, [1.0, 2.0]),
        "a list for a bias",
    ),
]

ERRORS = [
    ErrorSample(
        lambda: matmul(_r(2, 3), _r(2, 3)),
        ValueError,
        r"matmul: shapes \(2, 3\) and \(2, 3\) do not match: 3 columns against 2 rows",
    ),
    ErrorSample(lambda: matmul(_r(2, 3), _r(2)), ValueError, "matmul: .* 3 columns against 2 rows"),
    ErrorSample(
        lambda: matmul(_r(2, 2, 2), _r(3, 2, 2)),
        ValueError,
        r"matmul: shapes .* batches \(2,\) and \(3,\) do not broadcast",
    ),
    ErrorSample(
        lambda: matmul(_r(2, 3), 2.0),
        ValueError,
        r"matmul: expects vectors or matrices, got shapes \(2, 3\) and \(\)",
    ),
    ErrorSample(lambda: matmul(_r(2, 3), "ab"), TypeError, "matmul: expects tensors.*got str"),
    ErrorSample(
        lambda: linear(_r(32, 1000), _r(10, 1024)),
        ValueError,
        r"linear: weight of shape \(10, 1024\) expects 1024 input features, "
        r"got input of shape \(32, 1000\)",
    ),
    ErrorSample(lambda: linear(np.array(1.0), _r(2, 3)), ValueError, r"got input of shape \(\)"),
    ErrorSample(
        lambda: linear(_r(2, 3), _r(3)), ValueError, r"linear: expects a weight .* got \(3,\)"
    ),
    ErrorSample(
        lambda: linear(_r(2, 3), _r(4, 3), _r(3)),
        ValueError,
        r"linear: weight of shape \(4, 3\) expects a bias of shape \(4,\), got \(3,\)",
    ),
    ErrorSample(
        lambda: dot(_r(2), _r(3)),
        ValueError,
        r"dot: expects two vectors of one size, got shapes \(2,\) and \(3,\)",
    ),
    ErrorSample(
        lambda: outer(_r(2), _r(2, 3)),
        ValueError,
        r"outer: expects two vectors, got shapes \(2,\) and \(2, 3\)",
    ),
]
