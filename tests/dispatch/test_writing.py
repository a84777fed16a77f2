"""``out=``, ``ufunc.at`` and what writes: recorded on tensors, refused where a gradient is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import Tensor, tensor
from tinygrad_cnn.viz import graph


def leaf(*values: float) -> Tensor:
    return tensor(np.array(values), requires_grad=True)


def grad_of(t: Tensor) -> Any:
    assert t.grad is not None
    return t.grad.numpy()


def test_results_go_to_out_and_stay_in_the_graph() -> None:
    x, out = leaf(1.0, 2.0), tensor(np.zeros(2))
    assert np.add(x, 1.0, out=out) is out
    np.multiply(out, x, out=out)
    np.testing.assert_array_equal(out.detach().numpy(), [2.0, 6.0])
    out.sum().backward()
    np.testing.assert_array_equal(grad_of(x), [3.0, 5.0])  # of (x + 1) · x
    for call in (
        lambda a, o: np.sum(a, axis=0, out=o[0]),
        lambda a, o: np.clip(a, 0.0, 1.5, out=o),
        lambda a, o: np.concatenate([a[:1], a[:1]], out=o),
        lambda a, o: np.cumsum(a, 0, None, o),
    ):
        x, out = leaf(1.0, 2.0), tensor(np.zeros(2))
        call(x, out)
        assert out.requires_grad
        plain = np.zeros(2)
        try:
            call(np.array([1.0, 2.0]), plain)
            np.testing.assert_array_equal(out.detach().numpy(), plain)
        except TypeError:
            pass  # NumPy's number cannot be written to


def test_out_of_another_shape_fails_as_an_array_does() -> None:
    with pytest.raises(ValueError, match=r"^numpy\.exp: out= expects shape \(2,\), got \(3,\)"):
        np.exp(leaf(1.0, 2.0), out=tensor(np.zeros(3)))


def test_arrays_that_become_sums_of_tensors_fail_loudly() -> None:
    total = np.zeros(2)
    with pytest.raises(TypeError, match="`a = a \\+ t`, not `a \\+= t`"):
        total += leaf(1.0, 2.0)
    total += tensor(np.array([1.0, 2.0]))  # a constant is welcome
    np.testing.assert_array_equal(total, [1.0, 2.0])


def test_at_adds_up_what_is_named_twice() -> None:
    x, v = leaf(1.0, 2.0, 3.0), leaf(10.0, 20.0, 30.0)
    y = x * 1.0
    np.add.at(y, [0, 0, 2], v)
    np.subtract.at(y, [1], x[2])
    np.testing.assert_array_equal(y.detach().numpy(), [31.0, -1.0, 33.0])
    (y * y).sum().backward()
    np.testing.assert_array_equal(grad_of(v), [62.0, 62.0, 66.0])
    np.testing.assert_array_equal(grad_of(x), [62.0, -2.0, 66.0 + 2.0])


def test_at_after_the_forward_pass_is_noticed() -> None:
    t = tensor(np.ones(2))
    x = leaf(1.0, 2.0)
    loss = (t * x).sum()
    np.add.at(t, [0], 98.0)
    with pytest.raises(RuntimeError, match="mul"):
        loss.backward()


def test_what_writes_to_an_array_refuses_a_gradient() -> None:
    x = leaf(1.0, 2.0)
    array = np.zeros(2)
    for call in (
        lambda: np.copyto(array, x),
        lambda: np.put(array, [0], x[0]),
        lambda: np.putmask(array, np.array([True, False]), x),
        lambda: np.place(array, np.array([True, False]), x),
    ):
        with pytest.raises(TypeError, match=r"NumPy array, in which the gradient would be lost"):
            call()
    np.copyto(array, tensor(np.array([5.0, 6.0])))
    np.testing.assert_array_equal(array, [5.0, 6.0])


def test_loops_that_write_are_one_box() -> None:
    x, out = leaf(*np.arange(1.0, 10.0)), tensor(np.zeros(9))
    for i in range(9):
        out[i] = x[i] * x[i]
    boxes = {node.name: node.times for node in graph(out.sum()).nodes if node.operations}
    assert boxes["mul"] == boxes["write"] == 9
