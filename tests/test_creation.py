"""What makes tensors: values, types, errors, and what is drawn."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import Generator, drawing, set_default_dtype, tensor
from tinygrad_cnn.creation import range as old_range


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: tg.zeros(2, 3), np.zeros((2, 3), np.float32)),
        (lambda: tg.zeros((2, 3), dtype=tg.int64), np.zeros((2, 3), np.int64)),
        (lambda: tg.zeros(size=(2,)), np.zeros(2, np.float32)),
        (lambda: tg.zeros(tensor(np.ones((2, 3))).shape), np.zeros((2, 3), np.float32)),
        (lambda: tg.ones(()), np.ones((), np.float32)),
        (lambda: tg.full((2,), True), np.array([True, True])),
        (lambda: tg.full((2,), 3), np.array([3, 3])),
        (lambda: tg.full((2,), tensor(2.5)), np.array([2.5, 2.5], np.float32)),
        (lambda: tg.zeros_like(tensor(np.ones(2))), np.zeros(2)),
        (lambda: tg.ones_like(np.zeros(2, np.int8)), np.ones(2, np.int8)),
        (lambda: tg.full_like(tensor([1, 2]), 7, dtype="float64"), np.array([7.0, 7.0])),
        (lambda: tg.arange(3), np.arange(3)),
        (lambda: tg.arange(1, 7, 2), np.array([1, 3, 5])),
        (lambda: tg.arange(end=2), np.array([0, 1])),
        (lambda: tg.arange(2.0), np.array([0, 1], np.float32)),
        (lambda: tg.arange(5, 1, -2), np.array([5, 3])),
        (lambda: tg.arange(0, 1, 0.25), np.array([0, 0.25, 0.5, 0.75], np.float32)),
        (lambda: old_range(1, 2, 0.5), np.array([1, 1.5, 2], np.float32)),
        (lambda: tg.linspace(0, 1, 3), np.array([0, 0.5, 1], np.float32)),
        (lambda: tg.linspace(tensor(2.0), 3, 1), np.array([2], np.float32)),
        (lambda: tg.logspace(0, 2, 3, base=2.0), np.array([1, 2, 4], np.float32)),
        (lambda: tg.eye(2, 3), np.eye(2, 3, dtype=np.float32)),
        (lambda: tg.scalar_tensor(2), np.array(2, np.float32)),
        (lambda: tg.tril_indices(3, 2, -1), np.stack(np.tril_indices(3, -1, 2))),
        (lambda: tg.triu_indices(2, 3, 1), np.stack(np.triu_indices(2, 1, 3))),
        (lambda: tg.asarray(np.ones(2, np.int32)), np.ones(2, np.int32)),
        (lambda: tg.as_tensor([1, 2], dtype=tg.float64, device="cpu"), np.array([1.0, 2.0])),
        (lambda: tensor([1, 2], device="cpu", dtype=tg.half), np.array([1, 2], np.float16)),
        (lambda: tg.normal(tensor([1.0, 2.0]), 0.0), np.array([1, 2], np.float32)),
        (lambda: tg.bernoulli(tensor([1.0, 0.0])), np.array([1, 0], np.float32)),
        (lambda: tg.poisson(tensor([0.0])), np.array([0], np.float32)),
    ],
)
def test_what_is_made(made: Any, expected: Any) -> None:
    found = made()
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)
    assert found.shape == expected.shape


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: tg.zeros(-1), "^zeros: expects sizes of 0 or more"),
        (lambda: tg.zeros(2, device="cuda"), "^device: expects 'cpu', got 'cuda'"),
        (lambda: tg.ones(2, device=0), "^device: expects 'cpu', got 'cuda:0'"),
        (lambda: tg.arange(3, 0), "^arange: a step of 1 does not lead from 3 to 0"),
        (lambda: tg.arange(0, 3, 0), "^arange: a step of 0"),
        (lambda: tg.linspace(0, 1, -1), "^linspace: steps expects"),
        (lambda: tg.randint(3, 3, (2,)), "^randint: expects high above low"),
        (lambda: tg.bernoulli(tensor([1.5])), r"^bernoulli: expects probabilities in \[0, 1\]"),
        (lambda: tg.multinomial(tensor([0.0, 1.0]), 2), "^multinomial: num_samples is 2, of 1"),
        (lambda: tg.multinomial(tensor([-1.0, 1.0]), 1), "^multinomial: expects finite weights"),
        (lambda: tg.asarray([1], copy=False), "^asarray: a copy is needed of list"),
    ],
)
def test_what_cannot_be_made(made: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made()


def test_memory_is_shared_where_it_is_said() -> None:
    array = np.zeros(2)
    for share in (tg.from_numpy, tg.as_tensor, tg.asarray):
        assert share(array).numpy() is array
    assert tg.asarray(array, copy=True).numpy() is not array
    with pytest.raises(TypeError, match=r"^from_numpy: expects an array of real numbers, got list"):
        tg.from_numpy([1.0])  # type: ignore[arg-type]
    x = tg.ones(2, requires_grad=True)
    assert x.requires_grad
    assert not tg.ones_like(x).requires_grad


def test_drawn_numbers_have_their_distribution() -> None:
    generator = np.random.default_rng(0)
    u, n = tg.rand(4000, generator=generator), tg.randn((4000,), generator=generator)
    assert u.dtype == n.dtype == np.float32
    assert abs(u.mean().item() - 0.5) < 0.02
    assert abs(n.std().item() - 1) < 0.05
    assert set(tg.randint(3, (100,), generator=generator).tolist()) == {0, 1, 2}
    assert set(tg.randint(5, 7, (100,)).tolist()) == {5, 6}
    assert sorted(tg.randperm(5).tolist()) == [0, 1, 2, 3, 4]
    like = tensor(np.zeros((2, 3)))
    for make in (tg.rand_like, tg.randn_like, lambda x: tg.randint_like(x, 4)):
        assert make(like).dtype == np.float64
        assert make(like).shape == (2, 3)


def test_draws_follow_their_weights() -> None:
    weights = tensor([[1.0, 3.0, 0.0], [0.0, 0.0, 2.0]])
    with_it = tg.multinomial(weights, 4000, True, generator=np.random.default_rng(1)).numpy()
    assert abs((with_it[0] == 1).mean() - 0.75) < 0.03
    assert set(with_it[1]) == {2}
    first = [tg.multinomial(weights[0], 2).tolist() for _ in range(2000)]
    assert all(sorted(pair) == [0, 1] for pair in first)
    assert abs(np.mean([pair[0] == 1 for pair in first]) - 0.75) < 0.05


def test_one_seed_gives_the_same_numbers() -> None:
    def drawn() -> list[Any]:
        tg.manual_seed(3)
        return [tg.rand(2).tolist(), tg.randn(2).tolist(), tg.randperm(9).tolist()]

    assert drawn() == drawn()
    one = Generator().manual_seed(5)
    state = one.get_state()
    numbers = tg.rand(3, generator=one).tolist()
    assert tg.rand(3, generator=Generator().manual_seed(5)).tolist() == numbers
    one.set_state(state)
    twin = copy.deepcopy(one)
    assert tg.rand(3, generator=one).tolist() == numbers == tg.rand(3, generator=twin).tolist()
    assert one.initial_seed() == 5
    assert Generator().seed() != Generator().seed()
    assert set(drawing.__all__) <= set(dir(tg))


def test_another_default_type() -> None:
    set_default_dtype(tg.float64)
    try:
        layer = tg.nn.Linear(2, 2)
        made = [tensor([1.0]), tg.zeros(1), tg.rand(1), tg.arange(1.0), layer.weight]
        made.append(tensor([1, 2]) / 2)
        assert {t.dtype for t in made} == {np.dtype(np.float64)}
    finally:
        set_default_dtype(tg.float32)
    assert tg.zeros(1).dtype == tg.float32
    with pytest.raises(TypeError, match=r"^set_default_dtype: expects a floating-point type"):
        set_default_dtype(tg.int32)
