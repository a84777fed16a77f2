"""Indexing and shapes beyond the samples: random keys, private keys, layouts, keys in text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from tinygrad_cnn import Tensor, tensor
from tinygrad_cnn.ops.index import getitem, plain_key
from tinygrad_cnn.ops.join import concatenate
from tinygrad_cnn.ops.linalg import linear, matmul
from tinygrad_cnn.ops.shape import flatten, pad, split

SHAPE = (3, 4, 2)


@st.composite
def keys(draw: Any) -> Any:
    """Basic keys, integer arrays with repeats, masks, and tuples of ints, slices and arrays."""
    basic = nps.basic_indices(SHAPE, allow_newaxis=True)
    integers = nps.integer_array_indices(SHAPE, result_shape=nps.array_shapes(max_dims=2))
    mask = nps.arrays(np.bool_, SHAPE[: draw(st.integers(1, 3))])
    part = st.one_of(
        st.integers(-2, 1),
        st.just(slice(None, None, -1)),
        st.none(),
        st.lists(st.integers(-2, 1), min_size=2, max_size=2),
        st.just(np.array([[1], [0]])),
    )
    mixed = st.lists(part, max_size=3).map(tuple)
    return draw(st.one_of(basic, integers, mask, mixed))


@given(key=keys())
def test_random_keys_pick_as_numpy_does_and_add_up_going_back(key: Any) -> None:
    rng = np.random.default_rng(0)
    x = Tensor(rng.standard_normal(SHAPE), requires_grad=True)
    picked = getitem(x, key)
    expected = x.detach().numpy()[key]
    np.testing.assert_array_equal(picked.detach().numpy(), expected)
    g = rng.standard_normal(expected.shape)
    picked.backward(g)
    sums = np.zeros(x.size)
    places = np.arange(x.size).reshape(SHAPE)[key]
    for at in np.ndindex(*np.shape(places)):
        sums[places[at]] += g[at]
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), sums.reshape(SHAPE), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "key",
    [np.array([0, 1, 1]), np.array([True, False, True]), [0, 1, 1], tensor([0, 1, 1])],
    ids=["integers", "mask", "list", "tensor"],
)
def test_a_key_that_is_changed_afterwards_does_not_reach_the_gradient(key: Any) -> None:
    x = Tensor(np.arange(3.0), requires_grad=True)
    y = getitem(x, key)
    expected = np.zeros(3)
    np.add.at(expected, np.arange(3)[np.array(key)], 1.0)
    key[0] = 0 if key[0] else 1
    y.sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), expected)


def test_a_bound_that_is_changed_afterwards_does_not_reach_the_gradient() -> None:
    x = Tensor(np.arange(4.0), requires_grad=True)
    start = tensor(1)
    y = getitem(x, slice(start, None))
    start.copy_(3)
    y.sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), [0, 1, 1, 1])


def test_a_key_in_text() -> None:
    x = Tensor(np.zeros((3, 4, 5)), requires_grad=True)
    assert x[1, 2:, None].grad_fn.op.describe() == "slice(key=[1, 2:, None])"
    assert x[[0, 2], ..., ::2].grad_fn.op.describe() == "gather(key=[int64[2], ..., ::2])"


def test_assignment_takes_the_same_keys() -> None:
    x = tensor([1.0, 2.0, 3.0])
    x[tensor([0, 2])] = tensor([7.0, 9.0])
    x[plain_key(x > 8)] = 0.0
    assert x.tolist() == [7.0, 2.0, 0.0]


def channels_last(array: Any) -> bool:
    strides = array.strides
    return bool(strides[1] == min(strides))


def test_channels_last_images_stay_so() -> None:
    images = np.ascontiguousarray(np.random.default_rng(1).random((2, 5, 5, 3)))
    x = Tensor._wrap(images.transpose(0, 3, 1, 2), None)
    x.requires_grad = True
    for y in (pad(x, (1, 1, 1, 1)), concatenate([x, x], dim=1), getitem(x, (..., slice(1, 4)))):
        assert channels_last(y.detach().numpy())
        x.zero_grad()
        g = np.ascontiguousarray(np.ones(y.shape).transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        y.backward(g)
        assert x.grad is not None
        assert channels_last(x.grad.numpy())


def test_flatten_of_channels_last_images_is_in_logical_order() -> None:
    images = np.arange(24.0).reshape(1, 2, 3, 4)
    stored = np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(flatten(stored, 1), np.arange(24.0)[None])


def test_pieces_joined_again_are_the_whole() -> None:
    x = np.random.default_rng(2).random((7, 3))
    for sizes in (2, 7, 100, [3, 0, 4]):
        np.testing.assert_array_equal(concatenate(split(x, sizes)), x)
    assert [p.shape for p in split(np.zeros((0, 3)), 2)] == [(0, 3)]


def test_products_of_two_dtypes() -> None:
    """As everywhere: float64 where an input has it, and integers do not widen float32."""
    single, double = np.ones((2, 2), np.float32), np.ones((2, 2))
    whole = np.ones((2, 2), np.int64)
    assert matmul(single, double).dtype == np.float64
    assert matmul(single, whole).dtype == np.float32
    assert linear(single, single, double[0]).dtype == np.float64
    assert linear(single, single, whole[0]).dtype == np.float32
    assert linear(single, single, single[0]).dtype == np.float32


def test_linear_keeps_its_input_only_for_the_gradient_that_reads_it() -> None:
    x, w = tensor([[1.0, 2.0]], requires_grad=True), tensor([[3.0, 4.0]], requires_grad=True)
    only_input = linear(x, w.detach()).grad_fn
    assert only_input.saved[0] is None
    np.testing.assert_array_equal(only_input.saved[1], [[3.0, 4.0]])
