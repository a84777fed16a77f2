"""The walk through the graph: sums over paths, second passes, orders of derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import Tensor, grad, tensor
from tinygrad_cnn.graph import GraphError


def leaf(*values: float) -> Tensor:
    return tensor(np.array(values), requires_grad=True)


def grad_of(t: Tensor) -> Any:
    assert t.grad is not None
    return t.grad.numpy()


# ------------------------------------------------------------------------------- paths


def test_fan_out_adds_up() -> None:
    x = leaf(2.0, -3.0)
    (x * 2 + x * x + x).sum().backward()
    np.testing.assert_array_equal(grad_of(x), [2 + 4 + 1, 2 - 6 + 1])


def test_fan_out_of_an_inner_value_runs_its_rule_once() -> None:
    x = leaf(0.5)
    calls: list[float] = []
    y = x.exp()
    y.register_hook(lambda g: calls.append(g.item()))
    (y * 2 + y * 3 + y).backward(np.ones(1))
    assert calls == [6.0]
    np.testing.assert_allclose(grad_of(x), 6 * np.exp([0.5]))


def test_the_same_tensor_twice_in_one_op() -> None:
    x = leaf(3.0)
    (x * x).backward()
    np.testing.assert_array_equal(grad_of(x), [6.0])
    y = leaf(3.0)
    (y / y + (y - y)).backward()
    np.testing.assert_array_equal(grad_of(y), [0.0])


def test_diamonds_in_a_row() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(50):  # 2⁵⁰ paths: each node must be walked once
        y = y + y
    y.backward()
    assert grad_of(x) == 2.0**50


def test_uneven_diamond() -> None:
    """One arm is much longer: the join must wait for it."""
    x = leaf(2.0)
    shared = x * x
    long = shared
    for _ in range(20):
        long = long * 1.0
    (shared * 3 + long).backward()
    np.testing.assert_array_equal(grad_of(x), [(3 + 1) * 4.0])


def test_order_of_creation_does_not_matter() -> None:
    x, y = leaf(2.0), leaf(5.0)
    first, second = x * y, x + y
    (second * first).backward()
    np.testing.assert_array_equal(grad_of(x), [10 + 7 * 5.0])
    np.testing.assert_array_equal(grad_of(y), [10 + 7 * 2.0])


def test_gradients_accumulate_over_passes_until_zeroed() -> None:
    x = leaf(3.0)
    for times in (1, 2, 3):
        (x * 2).backward()
        np.testing.assert_array_equal(grad_of(x), [2.0 * times])
    x.zero_grad()
    assert x.grad is None
    (x * 2).backward()
    np.testing.assert_array_equal(grad_of(x), [2.0])


def test_a_kept_grad_does_not_change_with_the_next_pass() -> None:
    x = leaf(3.0)
    (x * 2).backward()
    kept = x.grad
    assert kept is not None
    (x * 2).backward()
    assert kept.item() in (2.0, 4.0)  # PyTorch adds in place; here either is allowed, but …
    (x * 5).backward()
    assert x.grad is not None
    assert x.grad.item() == 9.0  # … nothing is counted twice


def test_only_leaves_that_require_it_get_a_gradient() -> None:
    x, constant = leaf(1.0), tensor([2.0])
    y = x * constant
    (y * 3).backward()
    assert constant.grad is None
    assert y.grad is None
    np.testing.assert_array_equal(grad_of(x), [6.0])


def test_a_leaf_as_its_own_result() -> None:
    x = leaf(4.0)
    x.backward()
    np.testing.assert_array_equal(grad_of(x), [1.0])
    (g,) = grad(x, x)
    assert g.item() == 1.0


def test_backward_of_an_inner_part_only() -> None:
    x = leaf(2.0)
    y = x * 3
    z = y * 5
    y.backward(retain_graph=True)
    np.testing.assert_array_equal(grad_of(x), [3.0])
    z.backward()
    np.testing.assert_array_equal(grad_of(x), [3.0 + 15.0])


# ------------------------------------------------------------------------------- second passes


def test_a_second_backward_says_what_to_do() -> None:
    x = leaf(2.0)
    y = x * x
    y.backward()
    message = r"^mul: this part of the graph was released .*retain_graph=True"
    with pytest.raises(GraphError, match=message):
        y.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        grad(y, x)
    with pytest.raises(ValueError, match="retain_graph=True"):
        (y * 3).backward()
    np.testing.assert_array_equal(grad_of(x), [4.0])


def test_a_second_backward_over_ops_that_save_nothing_says_so_too() -> None:
    x = leaf(2.0)
    y = x + 1.0
    y.backward()
    with pytest.raises(GraphError, match=r"^add: .*retain_graph=True"):
        y.backward()


def test_grad_releases_and_retains_like_backward() -> None:
    x = leaf(2.0)
    y = x * x
    grad(y, x, retain_graph=True)
    grad(y, x)
    with pytest.raises(GraphError, match="retain_graph=True"):
        grad(y, x)


# ------------------------------------------------------------------------------- higher orders


def test_third_order() -> None:
    x = leaf(2.0, -1.5)
    y = (x**5).sum()
    expected = [5 * x.data**4, 20 * x.data**3, 60 * x.data**2, 120 * x.data]
    for wanted in expected:
        (y,) = grad(y.sum(), x, create_graph=True)
        np.testing.assert_allclose(y.detach().numpy(), wanted)


def test_orders_of_a_composition() -> None:
    x = leaf(0.7)
    y = (x.exp() * x).log() * x.sqrt()  # (x + ln x) √x
    v = 0.7
    (first,) = grad(y, x, create_graph=True)
    (second,) = grad(first, x, create_graph=True)
    (third,) = grad(second, x)
    assert first.item() == pytest.approx((1 + 1 / v) * v**0.5 + (v + np.log(v)) / (2 * v**0.5))
    h = 1e-4

    def f(t: float) -> float:
        return float((t + np.log(t)) * t**0.5)

    assert second.item() == pytest.approx((f(v + h) - 2 * f(v) + f(v - h)) / h**2, rel=1e-5)
    h = 1e-3
    five = (f(v + 2 * h) - 2 * f(v + h) + 2 * f(v - h) - f(v - 2 * h)) / (2 * h**3)
    assert third.item() == pytest.approx(five, rel=1e-4)


def test_backward_with_create_graph_leaves_a_grad_that_can_be_differentiated() -> None:
    x = leaf(3.0)
    (x**3).backward(create_graph=True)
    assert x.grad is not None
    assert x.grad.requires_grad
    g = x.grad
    x.zero_grad()
    g.backward()
    np.testing.assert_array_equal(grad_of(x), [18.0])


def test_mixed_second_derivatives_agree() -> None:
    x, y = leaf(1.3), leaf(0.4)
    z = (x * y).exp() * x
    dx, dy = grad(z, [x, y], create_graph=True)
    (dxy,) = grad(dx, y, retain_graph=True)
    (dyx,) = grad(dy, x)
    np.testing.assert_allclose(dxy.numpy(), dyx.numpy(), rtol=1e-13)


def test_gradient_penalty() -> None:
    """A loss that contains a gradient, as in training with a penalty on its size."""
    w = leaf(0.5, -1.0)
    x = leaf(2.0, 3.0)
    (g,) = grad((w * x * x).sum(), x, create_graph=True)  # 2wx
    (g * g).sum().backward()  # Σ 4w²x²
    np.testing.assert_allclose(grad_of(w), 8 * w.data * x.data**2)
    np.testing.assert_allclose(grad_of(x), 8 * w.data**2 * x.data)


def test_a_gradient_of_a_linear_function_has_no_graph_to_x() -> None:
    x = leaf(1.0)
    (g,) = grad(x * 3, x, create_graph=True)
    assert g.item() == 3.0
    with pytest.raises(GraphError, match=r"does not require a gradient|do not depend"):
        grad(g, x)
