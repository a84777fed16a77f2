"""Reductions where there is no gradient: integers, places, and what max returns beside values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinygrad_cnn import Tensor, grad, no_grad, tensor
from tinygrad_cnn.ops import extreme, reduce, softmax


@pytest.mark.parametrize(
    ("function", "expected", "dtype"),
    [
        (reduce.sum, [4, 6], np.int64),
        (reduce.prod, [3, 8], np.int64),
        (extreme.amax, [3, 4], np.int64),
        (extreme.amin, [1, 2], np.int64),
        (reduce.mean, [2.0, 3.0], np.float32),
        (reduce.var, [2.0, 2.0], np.float32),
        (reduce.std, [math.sqrt(2), math.sqrt(2)], np.float32),
        (
            reduce.logsumexp,
            [3 + math.log1p(math.exp(-2)), 4 + math.log1p(math.exp(-2))],
            np.float32,
        ),
    ],
)
def test_integers(function, expected, dtype):
    for x in (np.array([[1, 2], [3, 4]]), tensor([[1, 2], [3, 4]])):
        result = function(x, 0)
        assert type(result) is type(x)
        assert result.dtype == dtype
        np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-6)


def test_a_sum_of_booleans_counts():
    assert reduce.sum(np.array([True, False, True])) == 2


@pytest.mark.parametrize("function", [softmax.softmax, softmax.log_softmax])
def test_softmax_of_integers_gives_float32(function):
    result = function(np.array([1, 2]), 0)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, function(np.array([1.0, 2.0]), 0), rtol=1e-6)


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [None, 0, 1, -1])
def test_argmax_and_argmin_agree_with_numpy(dim, keepdim):
    x = np.random.default_rng(0).integers(0, 4, (5, 6)).astype(float)  # with ties
    for function, oracle in ((extreme.argmax, np.argmax), (extreme.argmin, np.argmin)):
        expected = np.asarray(oracle(x, axis=dim, keepdims=keepdim))
        np.testing.assert_array_equal(function(x, dim, keepdim), expected, strict=True)
        found = function(Tensor(x, requires_grad=True), dim, keepdim)
        assert not found.requires_grad
        np.testing.assert_array_equal(found.numpy(), expected, strict=True)


def test_argmax_takes_the_first_nan():
    assert extreme.argmax(np.array([1.0, math.nan, 3.0, math.nan])) == 1
    assert extreme.argmin(np.array([1.0, math.nan, 0.0])) == 1


@pytest.mark.parametrize("keepdim", [False, True])
def test_max_over_a_dim_returns_values_and_indices(keepdim):
    x = Tensor([[1.0, 5.0, 5.0], [7.0, 3.0, 0.0]], requires_grad=True)
    values, indices = found = extreme.max(x, 1, keepdim)
    shape = (2, 1) if keepdim else (2,)
    assert found.values is values
    assert found.indices is indices
    np.testing.assert_array_equal(values.detach().numpy(), np.reshape([5.0, 7.0], shape))
    np.testing.assert_array_equal(indices.numpy(), np.reshape([1, 0], shape))
    assert values.requires_grad
    assert not indices.requires_grad


def test_indices_can_be_written_to_without_changing_the_gradient():
    x = Tensor([[1.0, 5.0], [7.0, 3.0]], requires_grad=True)
    values, indices = extreme.min(x, 1, keepdim=True)
    indices.numpy()[...] = 0
    values.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[1.0, 0.0], [0.0, 1.0]])


def test_max_without_a_graph_has_indices_too():
    x = Tensor([[1.0, 5.0]], requires_grad=True)
    with no_grad():
        values, indices = extreme.max(x, 1)
    assert not values.requires_grad
    assert indices.tolist() == [1]
    assert extreme.max(np.array([[1.0, 5.0]]), 1).indices.tolist() == [1]


def test_a_sum_of_twenty_million_ones_in_float32_is_exact():
    ones = np.broadcast_to(np.float32(1.0), (20_000_000,))
    assert reduce.sum(ones) == 20_000_000
    column = np.ones((17_000_000, 1), np.float32)
    assert reduce.sum(column, 0) == 17_000_000
    assert reduce.mean(column, 0) == 1.0


def test_the_variance_far_from_zero_keeps_its_digits_in_float32():
    x = (1e6 + np.random.default_rng(0).integers(-4, 5, 10_001)).astype(np.float32)
    np.testing.assert_allclose(reduce.var(x), np.var(x.astype(float), ddof=1), rtol=1e-5)
    np.testing.assert_allclose(reduce.std(x), np.std(x.astype(float), ddof=1), rtol=1e-5)


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
def test_third_derivative_of_a_product_with_zeros(zeros):
    start = np.array([2.0, 3.0, 5.0, 7.0])
    start[:zeros] = 0.0
    x = Tensor(start, requires_grad=True)
    (first,) = grad(reduce.prod(x), x, create_graph=True)
    (second,) = grad(first[0], x, create_graph=True)
    (third,) = grad(second[1], x)
    # d/dx₀ d/dx₁ leaves x₂ · x₃
    expected = np.array([0.0, 0.0, start[3], start[2]])
    np.testing.assert_array_equal(third.numpy(), expected)
