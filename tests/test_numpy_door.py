"""`import tinygrad_cnn.numpy as np`: NumPy code as it stands, with gradients."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import tinygrad_cnn.numpy as np
from tests.processes import printed
from tinygrad_cnn import Tensor, tensor
from tinygrad_cnn.nn import Parameter


def same(found: Any, expected: Any) -> None:
    """A tensor with NumPy's values and dtype."""
    assert isinstance(found, Tensor)
    assert found.dtype == expected.dtype
    numpy.testing.assert_array_equal(found.detach().numpy(), expected)


CREATED = [
    lambda m: m.zeros((2, 3)),
    lambda m: m.zeros(3, dtype=int),
    lambda m: m.ones((2, 2), dtype=m.float32),
    lambda m: m.full((2,), 7.0),
    lambda m: m.eye(3),
    lambda m: m.identity(2),
    lambda m: m.tri(3),
    lambda m: m.array([[1, 2], [3, 4]]),
    lambda m: m.array([1.0, 2.0]),
    lambda m: m.array(3.5),
    lambda m: m.array([1, 2], dtype=float, ndmin=2),
    lambda m: m.array([True, False]),
    lambda m: m.asarray([0.5, 1]),
    lambda m: m.ascontiguousarray([1.0]),
    lambda m: m.arange(5),
    lambda m: m.arange(0, 1, 0.25),
    lambda m: m.linspace(0, 1, 4),
    lambda m: m.logspace(0, 2, 3),
    lambda m: m.geomspace(1, 8, 4),
    lambda m: m.zeros_like([1.0, 2.0]),
    lambda m: m.ones_like(m.arange(3)),
    lambda m: m.full_like(m.zeros(2), 3.0),
    lambda m: m.indices((2, 2)),
    lambda m: m.hanning(5),
    lambda m: m.fromfunction(lambda i, j: i + 2 * j, (2, 3)),
    lambda m: m.fromiter((x * x for x in range(4)), float),
    lambda m: m.mgrid[0:2, 0:3],
    lambda m: m.ogrid[0:2, 0:3][1],
    lambda m: m.r_[0:3, 5, m.zeros(2)],
    lambda m: m.c_[m.arange(2.0), m.ones(2)],
    lambda m: m.diag(numpy.ones(2)) + m.zeros((2, 2)),
]


@pytest.mark.parametrize("make", CREATED)
def test_what_makes_arrays_makes_tensors(make: Any) -> None:
    same(make(np), make(numpy))


METHODS = [
    lambda x: x.max(1),
    lambda x: x.min(axis=0),
    lambda x: x.max(axis=1, keepdims=True),
    lambda x: x.std(),
    lambda x: x.var(axis=1),
    lambda x: x.std(0, ddof=1),
    lambda x: x.sum(axis=(0, 1)),
    lambda x: x.mean(1),
    lambda x: x.argmax(axis=1),
    lambda x: x.argmin(),
    lambda x: x.argsort(axis=0),
    lambda x: (x > 1).any(axis=0),
    lambda x: (x > 1).all(),
    lambda x: x.transpose(),
    lambda x: x.transpose(1, 0),
    lambda x: x.T,
    lambda x: x.reshape(3, 2),
    lambda x: x.reshape((3, -1), order="F"),
    lambda x: x.ravel(),
    lambda x: x.flatten("F"),
    lambda x: x.clip(0, 1),
    lambda x: x.round(1),
    lambda x: x.copy(),
    lambda x: x.astype(int),
    lambda x: x.astype("float32", copy=False),
    lambda x: x.take([0, 3]),
    lambda x: x.dot(x.T),
    lambda x: x.swapaxes(0, 1),
    lambda x: x.compress([True, False, True], axis=1),
    lambda x: x.nonzero()[1],
    lambda x: x.conj(),
    lambda x: x.real + x.imag,
    lambda x: x[x > 1],
    lambda x: x[None, ..., 0],
    lambda x: x[:, [0, 2]] @ x[:, :2].T,
]


@pytest.mark.parametrize("call", METHODS)
def test_methods_are_numpys(call: Any) -> None:
    plain = numpy.array([[0.31, 2.5, -1.2], [1.7, -0.46, 0.9]])
    same(call(np.array(plain)), call(plain))
    x = np.array(plain)
    x.requires_grad = True
    out = call(x)
    assert out.requires_grad == (out.dtype.kind == "f" or out.grad_fn is not None)


def test_whole_numbers_become_float64() -> None:
    for call in (
        lambda m: m.arange(3) / 2,
        lambda m: (
            m.sin(m.arange(3)) if m is numpy else m.exp(m.arange(3)) * 0 + numpy.sin([0, 1, 2])
        ),
        lambda m: m.mean(m.array([1, 2])),
        lambda m: m.sqrt(m.array([2, 3])),
        lambda m: m.ones(2, dtype="float32") * m.array([1, 2]),
        lambda m: m.array([1, 2]) * 0.5,
    ):
        same(call(np), numpy.asarray(call(numpy)))


def test_elements_without_gradients_are_numpys_numbers() -> None:
    labels = np.array([2, 0, 1])
    assert isinstance(labels[0], numpy.integer)
    assert {i: int(i) for i in labels} == {2: 2, 0: 0, 1: 1}
    names = ["a", "b", "c"]
    assert [names[i] for i in labels] == ["c", "a", "b"]
    assert isinstance(np.array([1.0])[0], Tensor)


def test_everything_counts_as_an_array() -> None:
    for array in (np.zeros(1), numpy.zeros(1), tensor([1.0]), np.zeros(2)[0]):
        assert isinstance(array, np.ndarray)
    assert not isinstance([1.0], np.ndarray)
    assert np.ndarray((2, 3)).shape == (2, 3)


def test_results_stay_numpys_through_operations() -> None:
    x = np.ones((2, 3))
    x.requires_grad = True
    w = Parameter(numpy.ones((3, 2)))
    for out in (
        x + 1,
        1 - x,
        x @ numpy.ones((3, 2)),
        np.exp(x),
        np.concatenate([x, x]),
        x[0],
        w * x.T,
    ):
        assert np.ndarray in type(out).__mro__
        assert out.std().item() is not None
    x.sum().backward()
    assert x.grad is not None


def test_arrays_in_arrays_out() -> None:
    array = numpy.ones(3)
    assert type(np.exp(array)) is numpy.ndarray
    assert type(np.sum(array)) is numpy.float64
    assert np.exp is numpy.exp  # not a nanosecond more
    assert type(np.linalg.norm(array)) is numpy.float64


def test_names_and_constants_are_numpys() -> None:
    for name in (
        "pi",
        "e",
        "inf",
        "newaxis",
        "float32",
        "int64",
        "finfo",
        "errstate",
        "linalg",
        "s_",
    ):
        assert getattr(np, name) is getattr(numpy, name)
    missing = [n for n in dir(numpy) if not n.startswith("_") and not hasattr(np, n)]
    assert not missing
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        _ = np.no_such_name


def test_lists_of_tensors_stay_in_the_graph() -> None:
    x = np.array([1.0, 2.0, 4.0])
    x.requires_grad = True
    losses = [x[0] * x[0], x[1] * 3.0]
    for out in (
        np.mean(losses),
        np.sum(losses),
        np.max(losses),
        np.array(losses),
        np.array([[x[0], 1], [2, x[1]]]),
    ):
        assert out.requires_grad
    np.mean(losses).backward()
    numpy.testing.assert_array_equal(x.grad.numpy(), [1.0, 1.5, 0.0])
    same(np.mean([1, 2]) + np.zeros(1), numpy.array([1.5]))


def test_arrays_of_tensors_copy_or_share() -> None:
    x = np.ones(3)
    x.requires_grad = True
    assert np.asarray(x) is x
    copied = np.array(x)
    assert copied is not x
    assert copied.requires_grad
    assert np.array(x, dtype=np.float32).dtype == np.float32
    pixels = numpy.zeros(3)
    assert np.asarray(pixels).numpy() is pixels
    filled = np.full((2, 2), x[0])
    assert filled.requires_grad


RANDOM = [
    lambda r: r.rand(2, 3),
    lambda r: r.randn(3),
    lambda r: r.randint(0, 5, (2,)),
    lambda r: r.normal(1.0, 2.0, size=4),
    lambda r: r.uniform(size=(2, 2)),
    lambda r: r.choice(5, 3, replace=False),
    lambda r: r.permutation(4),
    lambda r: r.binomial(3, 0.5, 4),
]


@pytest.mark.parametrize("draw", RANDOM)
def test_random_numbers_are_numpys(draw: Any) -> None:
    np.random.seed(3)
    found = draw(np.random)
    numpy.random.seed(3)  # noqa: NPY002  # what existing code calls
    same(found, draw(numpy.random))
    same(draw(np.random.RandomState(3)), draw(numpy.random.RandomState(3)))


def test_random_numbers_without_a_size_are_numbers() -> None:
    assert isinstance(np.random.rand(), float)
    assert isinstance(np.random.default_rng(0).integers(5), (int, numpy.integer))


def test_shuffles_and_draws_of_tensors_stay_in_the_graph() -> None:
    x = np.arange(6.0).reshape(3, 2)
    x.requires_grad = True
    rng = np.random.default_rng(1)
    for out in (
        rng.permutation(x),
        rng.choice(x, 2),
        np.random.permutation(x),
        np.random.choice(x[0], 4),
    ):
        assert out.requires_grad
    plain = numpy.arange(6.0).reshape(3, 2)
    mine = np.array(plain)
    np.random.default_rng(5).shuffle(mine)
    assert sorted(mine.numpy().ravel()) == sorted(plain.ravel())


def test_numpy_itself_is_not_shadowed() -> None:
    code = "import tinygrad_cnn.numpy as n, numpy; print(numpy.__file__ != n.__file__)"
    assert printed(code) == "True\n"
