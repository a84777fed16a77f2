"""Writing to tensors: leaves, results, constants and views of them.

The methods stand in test_writing_methods.py, random programs in test_random_programs.py.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import GraphError, Tensor, enable_grad, grad, nn, no_grad, optim, tensor
from tinygrad_cnn.graph import nodes_below
from tinygrad_cnn.verify import check_graph


def leaf(*values: float) -> Tensor:
    return tensor(np.array(values), requires_grad=True)


def grad_of(t: Tensor) -> Any:
    assert t.grad is not None
    return t.grad.numpy()


# ------------------------------------------------------------------------------- leaves


def test_a_leaf_is_updated_in_place_under_no_grad() -> None:
    model = nn.Linear(3, 2)
    before = [(p, p._data) for p in model.parameters()]
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    (model(tensor(np.ones((4, 3), np.float32))) ** 2).sum().backward()
    with no_grad():
        for p in model.parameters():
            p -= 0.1 * p.grad
        model.weight *= 0.5
        model.bias[0] = 7.0
        model.bias[1] += 1
    assert [(p, p._data) for p in model.parameters()] == [
        (p, data) for p, data in before if p._data is data
    ]
    assert isinstance(model.weight, nn.Parameter)
    assert model.bias.tolist()[0] == 7.0
    optimizer.step()
    assert model.bias.tolist()[0] != 7.0


WRITES = {
    "+=": lambda t: t.__iadd__(1.0),
    "setitem": lambda t: t.__setitem__(0, 1.0),
    "add_": lambda t: t.add_(1.0),
    "copy_": lambda t: t.copy_(t * 2),
    "fill_": lambda t: t.zero_(),
    "masked_fill_": lambda t: t.masked_fill_(t > 0, 1.0),
}


@pytest.mark.parametrize(("name", "write"), WRITES.items(), ids=WRITES)
def test_a_leaf_is_not_written_to_while_recording(name: str, write: Any) -> None:
    for t in (leaf(1.0, 2.0), leaf(0.0, 1.0, 2.0)[1:], leaf(1.0, 2.0).reshape(2, 1)):
        with pytest.raises(GraphError) as caught:
            write(t)
        assert str(caught.value).startswith(f"{name}: a leaf that requires a gradient")
        assert "no_grad()" in str(caught.value)
        np.testing.assert_array_equal(t.detach().numpy().reshape(-1), [1.0, 2.0])


def test_a_write_to_a_leaf_is_told_to_the_graph() -> None:
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    with no_grad():
        x += 1.0
    with pytest.raises(GraphError, match=r"^mul: its input [ab] was changed .* write was \+="):
        y.backward()


# ------------------------------------------------------------------------------- recorded writes


def test_a_loop_fills_a_constant() -> None:
    x = np.random.default_rng(0).standard_normal((5, 5))
    w = tensor(np.ones((3, 3)), requires_grad=True)
    out = tensor(np.zeros((3, 3)))
    for i in range(3):
        for j in range(3):
            out[i, j] = (x[i : i + 3, j : j + 3] * w).sum()
    (out * out).sum().backward()
    expected = sum(
        2 * x[i : i + 3, j : j + 3].sum() * x[i : i + 3, j : j + 3]
        for i in range(3)
        for j in range(3)
    )
    np.testing.assert_allclose(grad_of(w), expected)


def test_a_write_through_a_view_counts_for_the_whole() -> None:
    w = leaf(1.0, 2.0, 3.0, 4.0)
    x = (w * 2).reshape(2, 2)
    row, column, flat = x[0], x.T[1], x.reshape(-1)
    row *= w[:2]
    column[0] = 10.0
    assert row.tolist() == [2.0, 10.0]
    assert column.tolist() == [10.0, 8.0]
    assert flat.tolist() == [2.0, 10.0, 6.0, 8.0]
    assert x.numpy().tolist() == [[2.0, 10.0], [6.0, 8.0]]
    (flat * flat).sum().backward()  # (2 w0²)² + 10² + (2 w2)² + (2 w3)²
    np.testing.assert_allclose(grad_of(w), [16.0, 0.0, 24.0, 32.0])


def test_every_alias_shows_what_is_written() -> None:
    w = leaf(3.0)
    t = tensor(np.zeros((2, 3)))
    aliases = [t[0], t.reshape(-1), t.T, t.detach(), t.data, t.numpy(), t.unsqueeze(0), t[:, 1]]
    copied = copy.copy(t)
    t[0, 1] = w[0]
    shown = [np.asarray(a.detach() if isinstance(a, Tensor) else a) for a in (*aliases, copied)]
    assert all(np.any(a == 3.0) for a in shown)
    (copied.sum() + t.sum()).backward()
    np.testing.assert_array_equal(grad_of(w), [2.0])


def test_what_a_rule_needs_of_the_tensor_is_kept() -> None:
    w = leaf(1.1, 1.2)
    y = w * 1.0
    y *= y
    y *= w
    y **= 2
    y.exp_().log_()
    y.sum().backward()  # w⁶
    np.testing.assert_allclose(grad_of(w), 6 * np.array([1.1, 1.2]) ** 5)


def test_a_rule_that_lost_its_value_says_so() -> None:
    w = leaf(2.0, 3.0)
    x = w * 1.0
    y = x * x
    x[1] = 0.0
    with pytest.raises(GraphError, match=r"^mul: its input [ab] was .* write was setitem\)$"):
        y.sum().backward()


def test_other_parts_of_the_memory_are_not_concerned() -> None:
    w = leaf(0.5)
    h = tensor(np.zeros((50, 2)))
    h[0] = w
    for t in range(1, 50):
        h[t] = (h[t - 1] * w).tanh() + 0.1
    h[-1].sum().backward()

    value, slope = 0.5, 1.0
    for _ in range(1, 50):
        tanh = np.tanh(value * 0.5)
        value, slope = tanh + 0.1, (1 - tanh**2) * (slope * 0.5 + value)
    np.testing.assert_allclose(grad_of(w), [2 * slope])


def test_an_overwritten_value_gets_no_gradient() -> None:
    w, v = leaf(1.0, 2.0), leaf(5.0)
    y = w * 2
    y[0] = v[0]
    y[0] = v[0] * 3
    y[[1, 1]] = tensor(np.array([7.0, 8.0]), requires_grad=True)
    y.sum().backward()
    np.testing.assert_array_equal(grad_of(w), [0.0, 0.0])
    np.testing.assert_array_equal(grad_of(v), [3.0])


def test_of_repeated_indices_the_last_one_wins() -> None:
    v = leaf(1.0, 2.0, 3.0)
    y = tensor(np.zeros(2))
    y[[1, 0, 1]] = v
    assert y.tolist() == [2.0, 3.0]
    y.sum().backward()
    np.testing.assert_array_equal(grad_of(v), [0.0, 1.0, 1.0])
    z = tensor(np.zeros(2)).index_add_(0, [1, 0, 1], v * 2)
    z.sum().backward()
    np.testing.assert_array_equal(grad_of(v), [2.0, 3.0, 3.0])


def test_a_part_of_an_array_key_is_added_to() -> None:
    w = leaf(1.0, 2.0, 3.0)
    y = w * 1.0
    y[[0, 2]] *= 2
    y[y > 5] += 1
    assert y.tolist() == [2.0, 2.0, 7.0]
    y.sum().backward()
    np.testing.assert_array_equal(grad_of(w), [2.0, 1.0, 2.0])


def test_overlapping_parts() -> None:
    w = leaf(1.0, 2.0, 3.0, 4.0)
    y = w * 1.0
    y[1:] = y[:-1]
    y[:2] += y[2:]
    assert y.tolist() == [3.0, 4.0, 2.0, 3.0]
    (y * y).sum().backward()
    np.testing.assert_array_equal(grad_of(w), [14.0, 10.0, 14.0, 0.0])


def test_leading_dimensions_of_size_one_are_taken() -> None:
    w = leaf(1.0, 2.0)
    y = tensor(np.zeros((3, 2)))
    y[1] = (w * 2).reshape(1, 1, 2)
    y.sum().backward()
    np.testing.assert_array_equal(grad_of(w), [2.0, 2.0])


def test_the_dtype_stays() -> None:
    w = tensor(np.array([1.0, 2.0], np.float32), requires_grad=True)
    y = w * 1
    y *= np.array([3.0, 4.0])
    y[0] = tensor(np.float64(2.0), requires_grad=True)
    assert y.dtype == np.float32
    y.sum().backward()
    assert grad_of(w).dtype == np.float32
    np.testing.assert_array_equal(grad_of(w), [0.0, 4.0])


def test_integers_and_booleans() -> None:
    counts, mask = tensor([1, 7]), tensor([True, False])
    same = counts
    counts += 1
    counts //= 2
    counts %= 3
    counts <<= 1
    mask |= tensor([False, True])
    mask &= [True, False]
    mask ^= True
    assert same.tolist() == [2, 2]
    assert mask.tolist() == [False, True]
    with pytest.raises(TypeError, match=r"^/=: the result is float32; .* stays int64"):
        counts /= 2


# ------------------------------------------------------------------------------- no_grad, detach


def test_views_taken_under_no_grad_are_outside() -> None:
    w = leaf(1.0, 2.0)
    x = w * 1.0
    with no_grad():
        view = x[0]
        view += 1.0
    assert not view.requires_grad
    assert x.tolist() == [2.0, 2.0]
    with pytest.raises(GraphError, match=r"^\+=: .* shares memory with another"):
        view += w[1]
    x.sum().backward()
    np.testing.assert_array_equal(grad_of(w), [1.0, 1.0])


def test_a_detached_tensor_whose_original_is_gone_is_written_to() -> None:
    w = leaf(2.0)
    h = w * 1.0
    for _ in range(3):
        h = h.detach()
        h *= w
    h.sum().backward()
    np.testing.assert_array_equal(grad_of(w), [8.0])
    kept = w * 1.0
    h = kept.detach()
    with pytest.raises(GraphError, match=r"^\*=: .* clone\(\)"):
        h *= w


# ------------------------------------------------------------------------------- the rest knows


def written() -> tuple[Tensor, Tensor, Tensor]:
    w, v = leaf(1.0, 2.0, 3.0), leaf(0.5, 1.5)
    y = w * w
    view = y[1:]
    view *= v
    y[0] = v[0] * w[2]
    y.exp_().log_()
    y += y
    return w, v, y


def test_derivatives_of_higher_order_go_through_writes() -> None:
    w, v, y = written()  # 2 v0 w2, 2 w1² v0, 2 w2² v1
    gw, gv = grad((y * y).sum(), [w, v], create_graph=True)
    np.testing.assert_allclose(gw.detach().numpy(), [0.0, 32.0, 978.0])
    (hw,) = grad(gw[2] + gv[1], w, create_graph=True)
    # d/dw2 of 8 v0² w2 + 16 w2³ v1², and of 8 w2⁴ v1
    np.testing.assert_allclose(
        hw.detach().numpy(), [0.0, 0.0, 8 * 0.25 + 48 * 9 * 2.25 + 32 * 27 * 1.5]
    )


def test_the_verification_knows_writes() -> None:
    _, _, y = written()
    assert check_graph(y.sum())


def test_nodes_stand_as_written() -> None:
    names = [node.op.name for node in nodes_below(written()[2])]
    assert names.count("write") == 2
    assert names[-1] == "add"
    text = repr(next(n for n in nodes_below(written()[2]) if n.op.name == "write"))
    assert "path=" in text
    assert "key=[...]" in text


def test_hooks_see_the_value_they_were_given_for_and_retain_grad_the_last_one() -> None:
    w = leaf(2.0, 3.0)
    y = w * 1.0
    seen: list[Any] = []
    y.register_hook(lambda g: seen.append(g.numpy().tolist()))
    y.retain_grad()
    y *= 5
    y.sum().backward()
    assert seen == [[5.0, 5.0]]
    np.testing.assert_array_equal(grad_of(y), [1.0, 1.0])


def test_a_name_follows_the_tensor() -> None:
    y = leaf(2.0) * 1.0
    y.name = "hidden"
    y *= 2
    assert y.grad_fn is not None
    assert y.grad_fn.label == "hidden"


def test_the_graph_is_released_and_says_so() -> None:
    w = leaf(1.0, 2.0)
    y = w * 1.0
    y[0] = w[1] * w[0]
    loss = y.sum()
    loss.backward(retain_graph=True)
    loss.backward()
    np.testing.assert_array_equal(grad_of(w), [4.0, 4.0])
    with pytest.raises(GraphError, match="released"):
        loss.backward()


def test_copies_of_views_are_views_of_copies() -> None:
    t = tensor(np.arange(6.0))
    view = t[1:3]
    other, deep, pickled = copy.copy(view), copy.deepcopy(view), pickle.loads(pickle.dumps(view))
    twin, part = copy.deepcopy((t, view))
    view += 1
    assert other.tolist() == [2.0, 3.0]
    assert deep.tolist() == pickled.tolist() == part.tolist() == [1.0, 2.0]
    w = leaf(5.0)
    twin[1] = w[0]
    part.sum().backward()
    np.testing.assert_array_equal(grad_of(w), [1.0])
    with pytest.raises(GraphError, match=r"^copy: "):
        copy.deepcopy((w * 2)[0])


def test_requires_grad_and_data_of_a_view() -> None:
    t = tensor(np.zeros((2, 2)))
    view = t[0]
    view.requires_grad = True
    (view * 2).sum().backward()
    np.testing.assert_array_equal(grad_of(view), [2.0, 2.0])
    other = t[1]
    other.data = np.ones(2)
    t[1] = leaf(5.0)[0]
    assert other.tolist() == [1.0, 1.0]
    assert not other.requires_grad


def test_a_view_of_data_that_were_replaced_is_not_followed() -> None:
    t = tensor(np.zeros(3))
    view = t[1:]
    t.data = np.ones(3)
    assert view.tolist() == [0.0, 0.0]
    t[0] = leaf(5.0)[0]
    for use in (lambda: view * 2, lambda: view.fill_(1.0)):
        with pytest.raises(GraphError, match="take the view again"):
            use()


def test_a_leaf_whose_gradient_is_wanted_later_is_followed() -> None:
    t = tensor(np.array([1.0, 2.0]))
    view = t[1]
    t.requires_grad = True
    (view * 3).backward()
    np.testing.assert_array_equal(grad_of(t), [0.0, 3.0])


def test_the_layout_of_images_stays() -> None:
    x = tensor(np.zeros((2, 4, 4, 3), np.float32)).permute(0, 3, 1, 2)
    y = x.clone()
    y[:, 1] = tensor(np.float32(2.0), requires_grad=True)
    strides = y.numpy().strides
    with enable_grad():
        y *= 2
    assert y.numpy().strides == strides


def test_out_of_numpys_functions_is_a_write() -> None:
    w = leaf(2.0, 3.0)
    t = w * 1.0
    assert np.multiply(t, t, out=t) is t
    np.add(t, w, out=t)
    np.multiply(t[0], w[1], out=t[1])
    assert t.tolist() == [6.0, 18.0]
    t.sum().backward()  # (w0² + w0)(1 + w1)
    np.testing.assert_array_equal(grad_of(w), [20.0, 6.0])


OVERWRITTEN = {  # what a rule reads is overwritten by what follows from it
    "softmax by hand": lambda y: (e := y.exp()).div_(e.sum()),
    "a view of the result": lambda y: (e := y.exp()).reshape(3, 1)[1:].mul_(e[:1]),
    "standardised": lambda y: y.div_(y.std()),
    "an element": lambda y: y.__setitem__(0, y[0] * y[1]) or y,
    "all elements": lambda y: y.__setitem__(slice(None), y * y[2]) or y,
    "twice": lambda y: y.__setitem__(0, y[0] * y[1]) or y.__setitem__(1, y[0] * y[1].exp()) or y,
    "squared, then a part": lambda y: (s := y.sigmoid()).mul_(s).__setitem__(0, s[1] * s[2]) or s,
    "added": lambda y: (s := y.sigmoid()).index_add_(0, [0, 0], s[:2] * s[1:]),
    "copied": lambda y: y.copy_(y * y[0]),
    "one number": lambda y: (s := y.sum()).__setitem__((), s * s) or s * s,
}


@pytest.mark.parametrize("name", OVERWRITTEN)
def test_what_a_value_was_computed_from_may_be_overwritten_by_it(name: str) -> None:
    def loss(x: Tensor) -> Tensor:
        return (OVERWRITTEN[name](x * 1.0) ** 3).sum()

    start = np.array([0.3, 0.7, 1.1])
    w = tensor(start, requires_grad=True)
    loss(w).backward()
    for i in range(3):
        step = np.eye(3)[i] * 1e-6
        slope = (loss(tensor(start + step)) - loss(tensor(start - step))).item() / 2e-6
        assert w.grad.numpy()[i] == pytest.approx(slope, rel=1e-5, abs=1e-7)
    again = tensor(start, requires_grad=True)
    (first,) = grad(loss(again), [again], create_graph=True)
    np.testing.assert_allclose(first.detach().numpy(), w.grad.numpy())
