"""Arrays changed in place between the two passes: an error, never a wrong gradient.

And no false alarm where the change does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import Tensor, grad, inplace, no_grad, tensor
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.tensor import as_tensor

CHANGED = r"^mul: its input [ab] was changed in place after the forward pass, and"


def leaf(*values: float) -> Tensor:
    return tensor(np.array(values), requires_grad=True)


def grad_of(t: Tensor) -> Any:
    assert t.grad is not None
    return t.grad.numpy()


# Ways in which a user writes to the memory of a tensor.


def through_data(t: Tensor) -> None:
    t.data[...] = 100.0


def through_data_element(t: Tensor) -> None:
    t.data[1] = 100.0


def through_data_augmented(t: Tensor) -> None:
    t.data -= 100.0


def through_numpy(t: Tensor) -> None:
    t.numpy()[0] = 100.0


def through_a_view_of_data(t: Tensor) -> None:
    t.data[1:][0] = 100.0


def through_out(t: Tensor) -> None:
    np.add(t.data, 1.0, out=t.data)


def through_detach(t: Tensor) -> None:
    t.detach().numpy()[...] = 100.0


def through_copy(t: Tensor) -> None:
    with no_grad():
        t.copy_(np.array([100.0, 100.0]))


def through_setitem(t: Tensor) -> None:
    with no_grad():
        t[0] = 100.0


def through_setitem_of_a_detached(t: Tensor) -> None:
    t.detach()[0] = 100.0


WAYS = [
    through_data,
    through_data_element,
    through_data_augmented,
    through_numpy,
    through_a_view_of_data,
    through_out,
    through_detach,
    through_copy,
    through_setitem,
    through_setitem_of_a_detached,
]
every_way = pytest.mark.parametrize("change", WAYS, ids=lambda f: f.__name__)


@every_way
def test_a_change_after_the_forward_pass_is_an_error(change: Callable[[Tensor], None]) -> None:
    x = leaf(1.0, 2.0)
    y = x * x
    change(x)
    with pytest.raises(GraphError, match=CHANGED):
        y.sum().backward()
    assert x.grad is None


@every_way
def test_a_change_of_the_other_factor_is_an_error(change: Callable[[Tensor], None]) -> None:
    x, w = leaf(1.0, 2.0), tensor(np.array([3.0, 4.0]))
    y = (x * w).sum()
    change(w)
    with pytest.raises(GraphError, match=r"^mul: its input b was changed in place"):
        y.backward()


@every_way
def test_grad_and_create_graph_notice_it_too(change: Callable[[Tensor], None]) -> None:
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    change(x)
    with pytest.raises(GraphError, match=CHANGED):
        grad(y, x, retain_graph=True)
    with pytest.raises(GraphError, match=CHANGED):
        grad(y, x, create_graph=True)


@every_way
def test_a_change_before_the_forward_pass_is_none(change: Callable[[Tensor], None]) -> None:
    x = leaf(1.0, 2.0)
    old = (x * x).sum()
    change(x)
    (x * x).sum().backward()
    np.testing.assert_array_equal(grad_of(x), 2 * x.data)
    with pytest.raises(GraphError, match=CHANGED):
        old.backward()


@every_way
def test_a_change_after_the_backward_pass_is_none(change: Callable[[Tensor], None]) -> None:
    x = leaf(1.0, 2.0)
    for _ in range(3):
        x.zero_grad()
        (x * x).sum().backward()
        np.testing.assert_array_equal(grad_of(x), 2 * x.data)
        change(x)


@every_way
def test_a_change_that_no_rule_reads_is_none(change: Callable[[Tensor], None]) -> None:
    x, w = leaf(1.0, 2.0), tensor(np.array([3.0, 4.0]))
    y = ((x + w) * 2.0 - x).sum()
    change(x)
    change(w)
    y.backward()
    np.testing.assert_array_equal(grad_of(x), [1.0, 1.0])


@every_way
def test_a_change_of_the_factor_that_is_not_needed_is_none(
    change: Callable[[Tensor], None],
) -> None:
    x, w = leaf(1.0, 2.0), tensor(np.array([3.0, 4.0]))
    y = (x * w).sum()  # only w is needed for the gradient of x
    change(x)
    y.backward()
    np.testing.assert_array_equal(grad_of(x), [3.0, 4.0])


@every_way
def test_a_kept_graph_notices_a_change_between_two_passes(
    change: Callable[[Tensor], None],
) -> None:
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    change(x)
    with pytest.raises(GraphError, match=CHANGED):
        y.backward()


def test_reading_is_no_change() -> None:
    x = leaf(1.0, 2.0)
    assert x.data.sum() == 3.0
    y = x * x
    assert x.numpy()[0] == 1.0
    assert y.detach().numpy()[1] == 4.0
    view = x.data[1:]
    assert view[0] == 2.0
    y.sum().backward()
    np.testing.assert_array_equal(grad_of(x), [2.0, 4.0])


def test_writing_the_same_bytes_is_no_change_of_value() -> None:
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    x.numpy()[0] = 1.0  # the gradient is right all the same
    y.backward()
    np.testing.assert_array_equal(grad_of(x), [2.0, 4.0])


def test_a_changed_output() -> None:
    x = leaf(1.0, 2.0)
    y = x.exp()
    y.detach().numpy()[0] = 0.0
    with pytest.raises(GraphError, match=r"^exp: its result was changed in place"):
        y.sum().backward()


def test_a_changed_output_that_no_rule_reads() -> None:
    x = leaf(1.0, 2.0)
    y = x + 1.0
    y.detach().numpy()[0] = 0.0
    y.sum().backward()
    np.testing.assert_array_equal(grad_of(x), [1.0, 1.0])


def test_a_changed_inner_value() -> None:
    x = leaf(1.0, 2.0)
    y = x + 1.0
    z = (y * y).sum()
    y.data[0] = 0.0
    with pytest.raises(GraphError, match=CHANGED):
        z.backward()


def test_a_view_of_a_leaf_is_the_leafs_memory() -> None:
    x = leaf(1.0, 2.0, 3.0, 4.0)
    v = x.reshape(2, 2)
    y = (v * v).sum()
    x.data[3] = 100.0
    with pytest.raises(GraphError, match=CHANGED):
        y.backward()


def test_writing_to_the_leaf_through_a_result_that_is_a_view() -> None:
    x = leaf(1.0, 2.0, 3.0, 4.0)
    v = x.reshape(2, 2)
    y = (x * x).sum()
    v.data[0, 0] = 100.0
    with pytest.raises(GraphError, match=CHANGED):
        y.backward()


# ------------------------------------------------------------------------------- plain arrays


def test_an_array_given_to_an_op_and_written_to_afterwards() -> None:
    x, c = leaf(1.0, 2.0), np.array([3.0, 4.0])
    y = (x * c).sum()
    c[0] = 100.0
    with pytest.raises(GraphError, match=r"^mul: its input b was changed in place"):
        y.backward()


def test_an_array_written_to_before_or_after_the_pass() -> None:
    x, c = leaf(1.0, 2.0), np.array([3.0, 4.0])
    for value in (5.0, 6.0, 7.0):  # a buffer that is filled anew for every step
        c[...] = value
        x.zero_grad()
        (x * c).sum().backward()
        np.testing.assert_array_equal(grad_of(x), [value, value])


def test_a_view_given_to_an_op_whose_base_is_written_to() -> None:
    x, base = leaf(1.0, 2.0), np.array([3.0, 4.0, 5.0, 6.0])
    y = (x * base[::2]).sum()
    base[0] = 100.0
    with pytest.raises(GraphError, match=r"^mul: its input b was changed in place"):
        y.backward()


def test_an_array_that_no_rule_reads() -> None:
    x, c = leaf(1.0, 2.0), np.array([3.0, 4.0])
    y = (x + c).sum()
    c[0] = 100.0
    y.backward()
    np.testing.assert_array_equal(grad_of(x), [1.0, 1.0])


def test_as_tensor_shares_memory_and_is_watched() -> None:
    array = np.array([1.0, 2.0])
    x = as_tensor(array, requires_grad=True)
    y = (x * x).sum()
    array[0] = 100.0
    with pytest.raises(GraphError, match=CHANGED):
        y.backward()


def test_tensor_copies() -> None:
    array = np.array([1.0, 2.0])
    x = tensor(array, requires_grad=True)
    y = (x * x).sum()
    array[0] = 100.0
    y.backward()
    np.testing.assert_array_equal(grad_of(x), [2.0, 4.0])


def test_an_index_array_is_copied() -> None:
    x, index = leaf(1.0, 2.0), np.array([0, 0])
    y = (x[index] * x[index]).sum()
    index[...] = 1
    y.backward()
    np.testing.assert_array_equal(grad_of(x), [4.0, 0.0])


# ------------------------------------------------------------------------------- replacing data


def test_replaced_data_of_a_leaf() -> None:
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    x.data = np.array([5.0, 6.0])  # the graph keeps the old array
    y.backward()
    np.testing.assert_array_equal(grad_of(x), [2.0, 4.0])
    x.zero_grad()
    (x * x).sum().backward()
    np.testing.assert_array_equal(grad_of(x), [10.0, 12.0])


def test_replaced_data_under_create_graph_is_refused() -> None:
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    x.data = np.array([5.0, 6.0])
    with pytest.raises(GraphError, match=r"^mul: the data of an input was replaced after"):
        grad(y, x, create_graph=True)


def test_data_is_replaced_by_its_own_shape_only() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(ValueError, match=r"^data: expects shape \(2,\), got \(3,\)"):
        x.data = np.ones(3)
    with pytest.raises(GraphError, match=r"^data: only a leaf's data can be replaced"):
        (x * 2).data = np.ones(2)
    given = np.array([7.0, 8.0])
    x.data = given
    given[0] = 0.0
    np.testing.assert_array_equal(x.data, [7.0, 8.0])


def test_data_keeps_its_dtype() -> None:
    x = tensor([1.0, 2.0], requires_grad=True)
    x.data = np.array([7.0, 8.0])
    assert x.dtype == np.float32
    x.data -= np.array([1.0, 1.0])
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x.data, [6.0, 7.0])


# ------------------------------------------------------------------------------- constants


def test_constants_are_assigned_to_freely() -> None:
    t = tensor(np.array([1.0, 2.0]))
    t[0] = 5.0
    t[1] = tensor(6.0)
    np.testing.assert_array_equal(t.numpy(), [5.0, 6.0])
    assert t.copy_([8.0, 9.0]) is t
    np.testing.assert_array_equal(t.numpy(), [8.0, 9.0])


# ------------------------------------------------------------------------------- training


def test_training_by_hand_raises_no_alarm() -> None:
    w, b = leaf(0.0, 0.0), leaf(0.0)
    x = np.random.default_rng(0).standard_normal((20, 2))
    y = x @ [1.0, -2.0] + 0.5
    for _ in range(100):
        loss = (((w * x).sum(dim=1) + b - y) ** 2).mean()
        w.zero_grad()
        b.zero_grad()
        loss.backward()
        w.data -= 0.2 * grad_of(w)
        b.data -= 0.2 * grad_of(b)
    np.testing.assert_allclose(w.data, [1.0, -2.0], atol=1e-3)
    np.testing.assert_allclose(b.data, [0.5], atol=1e-3)


def test_nan_in_a_watched_array_is_no_change() -> None:
    x = leaf(np.nan, 2.0)
    assert np.isnan(x.data[0])
    y = (x * x).sum()
    y.backward()
    np.testing.assert_array_equal(grad_of(x), [np.nan, 4.0])


def test_a_read_only_array_and_a_scalar_array() -> None:
    fixed = np.array(3.0)
    fixed.setflags(write=False)
    x = leaf(2.0)
    (x * fixed).backward()
    np.testing.assert_array_equal(grad_of(x), [3.0])


def test_empty_arrays_can_be_watched() -> None:
    x = tensor(np.zeros((0, 3)), requires_grad=True)
    assert x.data.size == 0
    (x * np.zeros((1, 3))).sum().backward()
    assert grad_of(x).shape == (0, 3)


def test_a_view_of_a_large_array_is_watched_by_its_own_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A batch cut from a data set must not cost a look at the whole data set."""
    looked: list[int] = []
    checksum = inplace._checksum
    monkeypatch.setattr(inplace, "_checksum", lambda a: looked.append(a.nbytes) or checksum(a))
    everything = np.ones((1000, 4))
    w = tensor(np.ones(4), requires_grad=True)
    loss = (w * everything[3:4]).sum()
    loss.backward()
    assert looked
    assert max(looked) == 32
    loss = (w * everything[3:4]).sum()
    everything[3] = 2.0
    with pytest.raises(GraphError, match="changed in place"):
        loss.backward()
