"""Functions without a gradient that have no samples, beside NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import Tensor

X = np.array([[0.5, -np.inf, 2.0, 2.0], [np.inf, 0.0, -1.0, 2.0]])
Y = np.array([[0.5, 0.0, 2.0, 1.0], [np.inf, 0.0, 1.0, 0.0]])


def test_questions_about_elements_are_numpys() -> None:
    for ours, numpys in (
        (F.isposinf, np.isposinf),
        (F.isneginf, np.isneginf),
    ):
        assert np.array_equal(ours(X), numpys(X))
        assert np.array_equal(ours(Tensor(X)).numpy(), numpys(X))
    for ours, numpys in ((F.logical_or, np.logical_or), (F.logical_xor, np.logical_xor)):
        assert np.array_equal(ours(X, Y), numpys(X, Y))
        assert np.array_equal(ours(Tensor(X), Y).numpy(), numpys(X, Y))


def test_equal_compares_shapes_and_elements() -> None:
    assert F.equal(X, X.copy())
    assert F.equal(Tensor(X), Tensor(X))
    assert not F.equal(X, Y)
    assert not F.equal(X, X[:1])


def test_bucketize_counts_limits_below() -> None:
    limits = np.array([-1.0, 0.0, 2.0])
    for right in (False, True):
        expected = np.searchsorted(limits, X, side="right" if right else "left")
        assert np.array_equal(F.bucketize(X, limits, right=right), expected)


def test_histc_counts_what_lies_between_the_limits() -> None:
    x = np.random.default_rng(0).normal(size=200)
    assert np.array_equal(F.histc(x, 7, -1, 2), np.histogram(x, 7, (-1, 2))[0])
    assert np.array_equal(F.histc(x, 7), np.histogram(x, 7)[0])


def test_unique_consecutive_drops_repeats() -> None:
    x = np.array([1.0, 1.0, 2.0, 2.0, 1.0])
    values, inverse, counts = F.unique_consecutive(x, return_inverse=True, return_counts=True)
    assert np.array_equal(values, [1.0, 2.0, 1.0])
    assert np.array_equal(values[inverse], x)
    assert np.array_equal(counts, [2, 2, 1])
    rows = np.array([[1, 2], [1, 2], [3, 4]])
    assert np.array_equal(F.unique_consecutive(rows, axis=0), [[1, 2], [3, 4]])
    assert np.array_equal(F.unique(rows, axis=0), F.unique(rows, dim=0))


def test_chain_matmul_is_the_product_and_passes_its_gradient() -> None:
    rng = np.random.default_rng(0)
    a, b, c = (rng.normal(size=s) for s in ((2, 5), (5, 3), (3, 4)))
    np.testing.assert_allclose(F.chain_matmul(a, b, c), a @ b @ c)
    x = Tensor(b, requires_grad=True)
    F.chain_matmul(a, x, c).sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), a.T @ np.ones((2, 4)) @ c.T)
    with pytest.raises(ValueError, match="chain_matmul"):
        F.chain_matmul()
