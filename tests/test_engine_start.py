"""Where a pass starts and ends: gradients given, their checks, and grad() with its arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import Tensor, grad, no_grad, tensor
from tinygrad_cnn.graph import GraphError


def leaf(*values: float) -> Tensor:
    return tensor(np.array(values), requires_grad=True)


def grad_of(t: Tensor) -> Any:
    assert t.grad is not None
    return t.grad.numpy()


# ------------------------------------------------------------------------------- backward()


def test_a_result_of_several_numbers_needs_a_gradient() -> None:
    x = leaf(1.0, 2.0)
    message = r"^backward: a gradient can be made for a single number only; .*shape \(2,\)"
    with pytest.raises(GraphError, match=message):
        (x * 2).backward()
    with pytest.raises(GraphError, match=r"^grad: a gradient can be made .*shape \(2,\)"):
        grad(x * 2, x)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_single_number_of_any_shape_needs_none(shape: tuple[int, ...]) -> None:
    x = tensor(np.full(shape, 2.0), requires_grad=True)
    (x * x).backward()
    np.testing.assert_array_equal(grad_of(x), np.full(shape, 4.0))


@pytest.mark.parametrize("given", [[3.0, 5.0], np.array([3.0, 5.0]), tensor([3.0, 5.0])])
def test_a_gradient_may_be_a_list_an_array_or_a_tensor(given: Any) -> None:
    x = leaf(1.0, 2.0)
    (x * x).backward(given)
    np.testing.assert_array_equal(grad_of(x), [6.0, 20.0])


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1), (1, 2)])
def test_a_gradient_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(GraphError, match=r"^backward: expects a gradient of shape \(2,\), got \("):
        (x * 2).backward(np.ones(shape))
    assert x.grad is None


def test_a_tensor_without_a_graph() -> None:
    message = "^backward: the tensor does not require a gradient: it was not computed from"
    with pytest.raises(GraphError, match=message):
        tensor([1.0]).backward()
    x = leaf(1.0)
    with no_grad():
        y = x * 2
    with pytest.raises(GraphError, match=message):
        y.backward()
    with pytest.raises(GraphError, match=message):
        (x * 2).detach().backward()


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.bool_])
def test_integers_take_no_gradient(dtype: Any) -> None:
    message = f"^requires_grad: only floating-point tensors have gradients, got {np.dtype(dtype)}"
    with pytest.raises(TypeError, match=message):
        tensor(np.ones(2, dtype), requires_grad=True)
    t = tensor(np.ones(2, dtype))
    with pytest.raises(TypeError, match=message):
        t.requires_grad = True
    with pytest.raises(TypeError, match=message):
        t.requires_grad_()
    assert not t.requires_grad


def test_gradients_have_the_dtype_of_their_tensors() -> None:
    single = tensor([1.0, 2.0], requires_grad=True)
    double = leaf(3.0, 4.0)
    out = single * double
    assert out.dtype == np.float64
    out.sum().backward()
    assert grad_of(single).dtype == np.float32
    assert grad_of(double).dtype == np.float64


def test_a_gradient_of_another_dtype_is_converted() -> None:
    x = tensor([1.0, 2.0], requires_grad=True)
    (x * 2).backward(np.array([1.0, 3.0]))
    assert grad_of(x).dtype == np.float32
    x.zero_grad()
    (x * 2).backward(np.array([1, 3]))
    np.testing.assert_array_equal(grad_of(x), [2.0, 6.0])
    assert grad_of(x).dtype == np.float32
    x.zero_grad()
    (x * 2).backward(tensor(np.array([1.0, 3.0])), create_graph=True)
    assert x.grad is not None
    assert x.grad.dtype == np.float32


# ------------------------------------------------------------------------------- memory of grads


def test_leaf_grads_share_no_memory() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    given = np.array([1.0, 1.0])
    (a + b).backward(given)
    arrays = [grad_of(a), grad_of(b), given, a.data, b.data]
    for i, one in enumerate(arrays):
        for other in arrays[i + 1 :]:
            assert not np.shares_memory(one, other)
    grad_of(a)[...] = 99
    np.testing.assert_array_equal(grad_of(b), [1.0, 1.0])
    np.testing.assert_array_equal(given, [1.0, 1.0])


def test_a_leafs_own_gradient_is_a_copy_of_the_given_one() -> None:
    x = leaf(1.0, 2.0)
    given = np.array([3.0, 4.0])
    x.backward(given)
    given[...] = 0
    np.testing.assert_array_equal(grad_of(x), [3.0, 4.0])


def test_gradients_through_views_share_no_memory() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    given = np.ones((2, 1))
    (a.reshape(2, 1) + b.reshape(2, 1)).backward(given)
    assert not np.shares_memory(grad_of(a), grad_of(b))
    assert not np.shares_memory(grad_of(a), given)
    assert not np.shares_memory(grad_of(b), given)


def test_a_gradient_of_repeated_numbers_can_be_written_to() -> None:
    x = leaf(1.0, 2.0, 3.0)
    x.sum().backward()
    grad_of(x)[0] = 5.0
    np.testing.assert_array_equal(grad_of(x), [5.0, 1.0, 1.0])


def test_saved_arrays_do_not_become_gradients() -> None:
    """The gradient of x·c for the cotangent 1 has c's numbers, but never c's memory."""
    x, c = leaf(1.0, 2.0), np.array([3.0, 4.0])
    (x * c).backward(np.ones(2))
    assert not np.shares_memory(grad_of(x), c)
    y = leaf(1.0, 2.0)
    out = y.exp()
    out.backward(np.ones(2))
    assert not np.shares_memory(grad_of(y), out.detach().numpy())


def test_results_of_grad_share_no_memory() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    given = np.ones(2)
    ga, gb = grad(a + b, [a, b], given)
    assert not np.shares_memory(ga.numpy(), gb.numpy())
    assert not np.shares_memory(ga.numpy(), given)


def test_results_of_grad_by_inner_values_share_no_memory() -> None:
    a, b = leaf(1.0, 2.0) * 1.0, leaf(3.0, 4.0) * 1.0
    given = np.ones(2)
    out = a + b
    ga, gb, gout = (g.numpy() for g in grad(out, [a, b, out], given))
    arrays = [ga, gb, gout, given]
    for i, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[i + 1 :])


def test_accumulating_does_not_write_to_a_gradient_somebody_holds() -> None:
    x = leaf(1.0, 2.0)
    y = x * 1.0
    seen: list[Any] = []
    y.register_hook(lambda g: seen.append(g.numpy()))
    (y + y * 2).sum().backward()
    np.testing.assert_array_equal(seen[0], [3.0, 3.0])
    np.testing.assert_array_equal(grad_of(x), [3.0, 3.0])


# ------------------------------------------------------------------------------- grad()


def test_grad_touches_no_grad() -> None:
    x, y = leaf(2.0), leaf(3.0)
    gx, gy = grad(x * y, [x, y])
    assert (gx.item(), gy.item()) == (3.0, 2.0)
    assert x.grad is None
    assert y.grad is None
    assert not gx.requires_grad


def test_grad_of_inner_values() -> None:
    x = leaf(2.0)
    y = x * x
    z = y.exp() + y
    gy, gx = grad(z, (y, x))
    np.testing.assert_allclose(gy.numpy(), np.exp([4.0]) + 1)
    np.testing.assert_allclose(gx.numpy(), (np.exp([4.0]) + 1) * 4)


def test_grad_by_the_output_itself() -> None:
    x = leaf(2.0)
    y = x * x
    gy, gx = grad(y, [y, x])
    assert (gy.item(), gx.item()) == (1.0, 4.0)


def test_grad_of_two_inner_values_on_one_path() -> None:
    x = leaf(2.0)
    a = x * 3
    b = a * a
    gb, ga = grad(b * 5, [b, a])
    assert (gb.item(), ga.item()) == (5.0, 5 * 2 * 6.0)


def test_grad_of_the_same_input_twice() -> None:
    x = leaf(2.0)
    first, second = grad(x * x, [x, x])
    assert first.item() == second.item() == 4.0


def test_unused_inputs() -> None:
    x, unused = leaf(2.0), leaf(1.0)
    message = "^grad: the outputs do not depend on input 1; allow_unused=True"
    with pytest.raises(GraphError, match=message):
        grad(x * x, [x, unused])
    gx, nothing = grad(x * x, [x, unused], allow_unused=True)
    assert gx.item() == 4.0
    assert nothing is None


def test_several_outputs_add_up() -> None:
    x = leaf(2.0)
    y = x * x
    outputs = [y, y * 3, x]
    (g,) = grad(outputs, x)
    assert g.item() == 4 + 12 + 1
    outputs = [x * x, x * 5]
    (g,) = grad(outputs, x, grad_outputs=[np.array([10.0]), None])
    assert g.item() == 40 + 5


def test_the_same_output_twice_counts_twice() -> None:
    x = leaf(2.0)
    y = x * x
    (g,) = grad([y, y], x)
    assert g.item() == 8.0


def test_only_the_way_to_the_inputs_is_walked() -> None:
    """A rule off the way need not run, so its part of the graph may have been released."""
    x, w = leaf(2.0), leaf(3.0)
    other = w * w
    other.backward()
    (g,) = grad(x * 2 + other, x)
    assert g.item() == 2.0
    np.testing.assert_array_equal(grad_of(w), [6.0])


def test_hooks_of_leaves_off_the_way_are_not_called() -> None:
    x, w = leaf(2.0), leaf(3.0)
    called: list[Any] = []
    w.register_hook(called.append)
    grad(x * w, x)
    assert called == []


def test_grad_checks_its_arguments() -> None:
    x = leaf(2.0)
    with pytest.raises(TypeError, match=r"^grad: inputs expects tensors, got ndarray"):
        grad(x * 2, np.ones(1))
    with pytest.raises(TypeError, match=r"^grad: outputs expects tensors, got float"):
        grad(1.0, x)
    with pytest.raises(GraphError, match=r"^grad: expects 1 grad_outputs, got 2"):
        grad(x * 2, x, [None, None])
    with pytest.raises(GraphError, match=r"^grad: input 0 does not require a gradient"):
        grad(x * 2, tensor([1.0]))
    with pytest.raises(ValueError, match=r"^grad: got no inputs"):
        grad(x * 2, [])
    with pytest.raises(GraphError, match=r"^grad: the tensor does not require a gradient"):
        grad(tensor([1.0]), x)
    with pytest.raises(GraphError, match=r"^grad: expects a gradient of shape \(1,\), got \(2,\)"):
        grad(x * 2, x, np.ones(2))


def test_the_gradient_itself_may_be_differentiated() -> None:
    """⟨c, f(x)⟩ differentiated by x, then by the cotangent c: the Jacobian-vector product."""
    x, c = leaf(2.0, 3.0), leaf(1.0, 1.0)
    (g,) = grad(x * x, x, grad_outputs=c, create_graph=True)
    (jvp,) = grad(g, c, grad_outputs=np.array([1.0, 10.0]))
    np.testing.assert_array_equal(jvp.numpy(), [4.0, 60.0])
