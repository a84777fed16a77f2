"""Hooks and retain_grad, and that an exception anywhere leaves the engine usable."""

from __future__ import annotations

import contextlib
import gc
import weakref
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import Tensor, enable_grad, grad, no_grad, tensor
from tinygrad_cnn.autograd import is_grad_enabled
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.op import Op


def leaf(*values: float) -> Tensor:
    return tensor(np.array(values), requires_grad=True)


def grad_of(t: Tensor) -> Any:
    assert t.grad is not None
    return t.grad.numpy()


# ------------------------------------------------------------------------------- hooks


def test_a_hook_of_a_leaf_sees_the_complete_gradient_once() -> None:
    x = leaf(2.0)
    seen: list[Any] = []
    x.register_hook(lambda g: seen.append(g))
    (x * x + x).backward()
    assert len(seen) == 1
    assert isinstance(seen[0], Tensor)
    assert seen[0].item() == 5.0
    np.testing.assert_array_equal(grad_of(x), [5.0])


def test_a_hook_of_an_inner_value_sees_the_complete_gradient_once() -> None:
    x = leaf(2.0)
    y = x * 3
    seen: list[float] = []
    y.register_hook(lambda g: seen.append(g.item()))
    (y * y + y).backward()
    assert seen == [13.0]


def test_a_hook_replaces_the_gradient() -> None:
    x = leaf(2.0)
    y = x * 3
    y.register_hook(lambda g: g * 10)
    (y * 1).backward()
    np.testing.assert_array_equal(grad_of(x), [30.0])
    z = leaf(2.0)
    z.register_hook(lambda g: g.numpy() * 10)  # an array will do
    (z * 3).backward()
    np.testing.assert_array_equal(grad_of(z), [30.0])


def test_hooks_are_called_in_order_each_with_the_others_answer() -> None:
    x = leaf(1.0)
    seen: list[float] = []

    def add_one(g: Tensor) -> Tensor:
        seen.append(g.item())
        return g + 1

    x.register_hook(add_one)
    x.register_hook(lambda g: g * 10)
    x.register_hook(add_one)
    (x * 2).backward()
    assert seen == [2.0, 30.0]
    np.testing.assert_array_equal(grad_of(x), [31.0])


def test_the_hook_of_the_last_result_sees_the_gradient_given() -> None:
    x = leaf(1.0, 2.0)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    y.backward([1.0, 3.0])
    np.testing.assert_array_equal(grad_of(x), [20.0, 60.0])


def test_a_removed_hook_is_not_called() -> None:
    for make in (lambda x: x, lambda x: x * 1):
        x = leaf(2.0)
        y = make(x)
        handle = y.register_hook(lambda g: g * 10)
        other = y.register_hook(lambda g: g + 1)
        handle.remove()
        handle.remove()
        (y * 3).backward()
        np.testing.assert_array_equal(grad_of(x), [4.0])
        other.remove()
        x.zero_grad()
        (make(x) * 3).backward()
        np.testing.assert_array_equal(grad_of(x), [3.0])


def test_a_hook_may_remove_itself() -> None:
    x = leaf(2.0)
    seen: list[float] = []

    def once(g: Tensor) -> None:
        seen.append(g.item())
        handle.remove()

    handle = x.register_hook(once)
    (x * 3).backward()
    (x * 3).backward()
    assert seen == [3.0]


def test_a_hook_that_returns_another_shape() -> None:
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(GraphError, match=r"^leaf: a hook returned shape \(\) for .* \(2,\)"):
        (x * 2).sum().backward()
    y = leaf(1.0, 2.0)
    inner = y.exp()
    inner.register_hook(lambda g: g.reshape(2, 1))
    with pytest.raises(GraphError, match=r"^exp: a hook returned shape \(2, 1\) for .* \(2,\)"):
        inner.sum().backward()


def test_hooks_need_a_tensor_that_requires_a_gradient() -> None:
    with pytest.raises(GraphError, match=r"^register_hook: the tensor does not require"):
        tensor([1.0]).register_hook(lambda g: g)


def test_a_hook_under_create_graph_sees_a_tensor_with_a_graph() -> None:
    x = leaf(2.0)
    x.register_hook(lambda g: g * g)
    (g,) = grad(x * x * x, x, create_graph=True)  # (3x²)²
    assert g.item() == 144.0
    x2 = leaf(2.0)
    y = x2 * 1.0
    handle = y.register_hook(lambda g: g * g)
    (g,) = grad(y * y * y, x2, create_graph=True)
    handle.remove()  # the second pass goes through y as well
    (gg,) = grad(g, x2)  # d(9x⁴)/dx = 36x³
    assert gg.item() == 288.0


def test_hooks_apply_to_grad() -> None:
    x = leaf(2.0)
    x.register_hook(lambda g: g * 10)
    (g,) = grad(x * 3, x)
    assert g.item() == 30.0
    y = x * 1
    y.register_hook(lambda g: g + 1)
    gy, gx = grad(y * 3, [y, x])
    assert (gy.item(), gx.item()) == (4.0, 40.0)


def test_a_hooks_dtype_is_converted_back() -> None:
    x = tensor([1.0, 2.0], requires_grad=True)
    x.register_hook(lambda g: g.numpy().astype(np.float64) * 2)
    (x * 3).sum().backward()
    assert grad_of(x).dtype == np.float32
    y = tensor([1.0, 2.0], requires_grad=True)
    y.register_hook(lambda g: g.numpy().astype(np.float64) * 2)
    (y * 3).sum().backward(create_graph=True)
    assert y.grad is not None
    assert y.grad.dtype == np.float32


def test_a_hook_that_writes_to_what_it_sees_spoils_nobody_elses_gradient() -> None:
    """The gradient of a sum goes to both terms: one array may serve both."""
    a, b = leaf(1.0), leaf(2.0)
    first, second = a * 1.0, b * 1.0
    seen: list[float] = []

    def spoil(g: Tensor) -> None:
        with contextlib.suppress(ValueError):  # refused, or harmless
            g.numpy()[...] = 99.0

    second.register_hook(spoil)  # the newer node is walked first
    first.register_hook(lambda g: seen.append(g.item()))
    given = np.ones(1)
    (first + second).backward(given)
    assert seen == [1.0]
    np.testing.assert_array_equal(grad_of(a), [1.0])
    np.testing.assert_array_equal(given, [1.0])


def test_a_gradient_kept_by_a_hook_does_not_change_afterwards() -> None:
    x = leaf(2.0)
    y = x * 1.0
    kept: list[Any] = []
    y.register_hook(kept.append)
    x.register_hook(kept.append)
    (y * 2 + y * 3 + x).backward()
    values = [g.item() for g in kept]
    assert values == [5.0, 6.0]
    grad_of(x)[...] = 0.0
    (x * 7).backward()
    assert kept[0].item() == 5.0


# ------------------------------------------------------------------------------- retain_grad


def test_retain_grad_keeps_the_gradient_of_a_result() -> None:
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    z = y * y
    z.backward()
    np.testing.assert_array_equal(grad_of(y), [12.0])
    np.testing.assert_array_equal(grad_of(x), [36.0])
    assert z.grad is None


def test_retain_grad_accumulates_and_is_zeroed() -> None:
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    (y * 2).backward(retain_graph=True)
    (y * 5).backward()
    np.testing.assert_array_equal(grad_of(y), [7.0])
    y.zero_grad()
    assert y.grad is None


def test_retain_grad_of_the_tensor_backward_starts_from() -> None:
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    given = np.array([5.0])
    y.backward(given)
    np.testing.assert_array_equal(grad_of(y), [5.0])
    assert not np.shares_memory(grad_of(y), given)


def test_retained_gradients_share_no_memory() -> None:
    x = leaf(2.0)
    y, z = x * 1.0, x * 1.0
    y.retain_grad()
    z.retain_grad()
    (y + z).backward()
    assert not np.shares_memory(grad_of(y), grad_of(z))
    grad_of(y)[...] = 9
    np.testing.assert_array_equal(grad_of(x), [2.0])


def test_retain_grad_sees_what_the_hooks_made() -> None:
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    (y * 1).backward()
    np.testing.assert_array_equal(grad_of(y), [10.0])


def test_retain_grad_of_a_leaf_changes_nothing_and_of_a_constant_fails() -> None:
    x = leaf(2.0)
    x.retain_grad()
    (x * 3).backward()
    np.testing.assert_array_equal(grad_of(x), [3.0])
    with pytest.raises(GraphError, match=r"^retain_grad: the tensor does not require"):
        tensor([1.0]).retain_grad()


def test_retain_grad_holds_nothing_alive() -> None:
    gc.collect()
    gc.disable()
    try:
        x = leaf(2.0)
        y = x * 3
        y.retain_grad()
        z = y * 2
        ref = weakref.ref(y)
        del y
        assert ref() is None
        z.backward()
        np.testing.assert_array_equal(grad_of(x), [6.0])
    finally:
        gc.enable()


# ------------------------------------------------------------------------------- exceptions


class Failing(Op):
    """The identity, whose rule fails."""

    __slots__ = ()

    def forward(self, x: Any) -> Any:
        return x.copy()

    def backward(self, _g: Any, _out: Any, _x: Any) -> tuple[Any, ...]:
        raise ZeroDivisionError("in the rule")


def check_usable(x: Tensor) -> None:
    assert is_grad_enabled()
    x.zero_grad()
    (x * x).sum().backward()
    np.testing.assert_array_equal(grad_of(x), 2 * x.data)


@pytest.mark.parametrize("create_graph", [False, True])
def test_an_exception_in_a_rule(create_graph: bool) -> None:
    x = leaf(2.0)
    y = Failing()(x * 1)
    with pytest.raises(ZeroDivisionError, match="in the rule"):
        (y * 1).backward(create_graph=create_graph)
    assert x.grad is None
    check_usable(x)
    with no_grad():
        with pytest.raises(ZeroDivisionError), enable_grad():
            Failing()(x).backward(create_graph=create_graph)
        assert not is_grad_enabled()


@pytest.mark.parametrize("create_graph", [False, True])
def test_an_exception_in_a_hook(create_graph: bool) -> None:
    x = leaf(2.0)
    y = x * 1

    def fail(_: Tensor) -> None:
        raise ZeroDivisionError("in the hook")

    handle = y.register_hook(fail)
    z = y * 3
    with pytest.raises(ZeroDivisionError, match="in the hook"):
        z.backward(retain_graph=True, create_graph=create_graph)
    assert x.grad is None
    check_usable(x)
    handle.remove()
    x.zero_grad()
    z.backward()
    np.testing.assert_array_equal(grad_of(x), [3.0])


def test_an_exception_in_forward_records_nothing() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        x + np.ones(3)
    check_usable(x)


def test_a_graph_dropped_half_way() -> None:
    x = leaf(2.0)
    y = x * x
    unused = y.exp()
    del unused
    z = y * 3
    z.backward()
    np.testing.assert_array_equal(grad_of(x), [12.0])


def test_a_backward_pass_inside_a_hook() -> None:
    x, w = leaf(2.0), leaf(3.0)
    y = x * x

    def inner(_: Tensor) -> None:
        with enable_grad():
            (w * w).backward()

    y.register_hook(inner)
    (y * 1).backward()
    np.testing.assert_array_equal(grad_of(w), [6.0])
    np.testing.assert_array_equal(grad_of(x), [4.0])
    check_usable(x)


def test_a_hook_for_complete_gradients_sees_the_leaf() -> None:
    """Once a pass, after all uses and after hooks that replace the gradient."""
    x = tensor([1.0, 2.0], requires_grad=True)
    seen: list[list[float]] = []
    x.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.tolist()))
    handle = x.register_hook(lambda g: g * 10)
    (x * x + x).sum().backward()
    handle.remove()
    (x * 3).sum().backward()
    assert seen == [[30.0, 50.0], [33.0, 53.0]]
    grad((x * 3).sum(), x)  # which touches no grad
    assert len(seen) == 2
    with pytest.raises(GraphError, match="expects a leaf"):
        (x * 2).register_post_accumulate_grad_hook(print)
