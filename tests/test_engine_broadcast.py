"""Broadcasting: the engine sums every gradient back to its input's shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests import numeric
from tinygrad_cnn import Tensor, grad, tensor
from tinygrad_cnn.ops.elementwise import add, div, mul, sub
from tinygrad_cnn.ops.piecewise import where

pairs_of_shapes = npst.mutually_broadcastable_shapes(
    num_shapes=2, min_dims=0, max_dims=4, min_side=0, max_side=3
)
triples_of_shapes = npst.mutually_broadcastable_shapes(
    num_shapes=3, min_dims=0, max_dims=3, min_side=1, max_side=3
)
seeds = st.integers(0, 2**32 - 1)


def draw(seed: int, *shapes: tuple[int, ...]) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.uniform(0.5, 2.0, shape)) for shape in shapes]


def summed_by_loops(g: Any, shape: tuple[int, ...]) -> Any:
    """Add each element of g to the element of an input of that shape that it was made from."""
    result = np.zeros(shape)
    for where_ in np.ndindex(g.shape):
        inner = where_[g.ndim - len(shape) :]
        result[tuple(i if n > 1 else 0 for i, n in zip(inner, shape, strict=True))] += g[where_]
    return result


@given(pairs_of_shapes, seeds)
def test_the_gradient_of_a_sum_is_summed_over_what_was_repeated(shapes: Any, seed: int) -> None:
    a, b, c = draw(seed, *shapes.input_shapes, shapes.result_shape)
    x, y = tensor(a, requires_grad=True), tensor(b, requires_grad=True)
    out = x + y
    assert out.shape == shapes.result_shape
    for create_graph in (False, True):
        gx, gy = grad(out, [x, y], c, retain_graph=True, create_graph=create_graph)
        np.testing.assert_allclose(gx.detach().numpy(), summed_by_loops(c, a.shape), rtol=1e-12)
        np.testing.assert_allclose(gy.detach().numpy(), summed_by_loops(c, b.shape), rtol=1e-12)


@given(pairs_of_shapes, seeds, st.sampled_from([add, sub, mul, div]))
def test_arithmetic_against_numeric_differentiation(shapes: Any, seed: int, op: Any) -> None:
    a, b, c = draw(seed, *shapes.input_shapes, shapes.result_shape)
    if c.size > 36:
        return
    x, y = tensor(a, requires_grad=True), tensor(b, requires_grad=True)
    gx, gy = grad(op(x, y), [x, y], c)

    def loss(p: Any, q: Any) -> Any:
        plain = {add: np.add, sub: np.subtract, mul: np.multiply, div: np.true_divide}
        return np.sum(plain[op](p, q) * c)

    np.testing.assert_allclose(gx.numpy(), numeric.gradient(loss, (a, b), 0), atol=1e-8)
    np.testing.assert_allclose(gy.numpy(), numeric.gradient(loss, (a, b), 1), atol=1e-8)


@given(triples_of_shapes, seeds)
def test_three_shapes_at_once(shapes: Any, seed: int) -> None:
    a, b, d, c = draw(seed, *shapes.input_shapes, shapes.result_shape)
    condition = d > 1.2
    x, y = tensor(a, requires_grad=True), tensor(b, requires_grad=True)
    out = where(condition, x, y)
    assert out.shape == shapes.result_shape
    gx, gy = grad(out, [x, y], c)
    np.testing.assert_allclose(gx.numpy(), summed_by_loops(c * condition, a.shape), rtol=1e-12)
    np.testing.assert_allclose(gy.numpy(), summed_by_loops(c * ~condition, b.shape), rtol=1e-12)


@given(pairs_of_shapes, seeds)
def test_second_derivatives_are_summed_too(shapes: Any, seed: int) -> None:
    a, b, c = draw(seed, *shapes.input_shapes, shapes.result_shape)
    x, y = tensor(a, requires_grad=True), tensor(b, requires_grad=True)
    (gx,) = grad(x * y * y, x, c, create_graph=True)  # Σ c y²
    (gxy,) = grad(gx.sum(), y, allow_unused=True)  # Σ 2 c y
    expected = summed_by_loops(2 * c * b, b.shape)
    np.testing.assert_allclose(gxy.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1), (1, 3), (2, 3), (1, 1, 1), (4, 1, 1, 3)])
def test_an_input_stretched_and_used_twice(shape: tuple[int, ...]) -> None:
    a = np.full(shape, 2.0)
    x = tensor(a, requires_grad=True)
    big = np.ones((4, 1, 2, 3))
    ((x + big) * x).sum().backward()  # d Σ (x² + x) = Σ 2x + 1
    assert x.grad is not None
    times = np.broadcast_shapes(shape, big.shape)
    np.testing.assert_allclose(x.grad.numpy(), 5.0 * np.prod(times) / max(1, a.size))


def test_shapes_that_do_not_fit_name_both() -> None:
    for op in (add, sub, mul, div):
        with pytest.raises(ValueError, match=r"\(2, ?3\).*\(2, ?4\)"):
            op(Tensor(np.ones((2, 3)), requires_grad=True), np.ones((2, 4)))
