"""Results that wait are what they would have been at once, whatever is written meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.deferral import W, X, conv, expected, leaf, numbers
from tinygrad_cnn import Tensor, as_tensor, nn, no_grad, optim, tensor
from tinygrad_cnn.graph import GraphError

pytestmark = pytest.mark.usefixtures("everything_waits")


def overwrite_numpy(t: Tensor) -> None:
    t.detach().numpy()[...] = 0


def step(t: Tensor) -> None:
    t.grad = np.ones(t.shape, np.float32)
    optim.SGD([t], lr=1.0).step()


def in_place(t: Tensor) -> None:
    with no_grad():
        t -= 1.0


def assign(t: Tensor) -> None:
    with no_grad():
        t[0] = 7.0


def replace(t: Tensor) -> None:
    t.data = np.zeros(t.shape, np.float32)


def out_of_a_ufunc(t: Tensor) -> None:
    with no_grad():
        np.add(t, 1.0, out=t)


def add_at(t: Tensor) -> None:
    with no_grad():
        np.add.at(t, [0], 98.0)


def fill(t: Tensor) -> None:
    t.detach().fill_(3.0)


def copy_from(t: Tensor) -> None:
    t.detach().copy_(np.ones(t.shape))


WRITES: list[Callable[[Tensor], None]] = [
    overwrite_numpy,
    step,
    in_place,
    assign,
    replace,
    out_of_a_ufunc,
    add_at,
    fill,
    copy_from,
]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("looked_at", [False, True])
def test_what_is_written_to_an_input_comes_too_late(
    write: Callable[[Tensor], None], place: int, looked_at: bool
) -> None:
    x, w = leaf(*X), leaf(*W, seed=1)
    held = (x, w)[place].detach().numpy() if looked_at else None
    wanted = F.relu(expected(numbers(*X), numbers(*W, seed=1)))
    y = F.relu(F.conv2d(x, w))
    if held is None:
        write((x, w)[place])
    else:
        held[...] = 5.0  # without a word
    assert np.array_equal(y.detach().numpy(), wanted)


def test_a_shortcut_is_written_to() -> None:
    _, _, y = conv()
    other = leaf(*y.shape, seed=3)
    wanted = expected(numbers(*X), numbers(*W, seed=1)) + numbers(*y.shape, seed=3)
    total = y + other
    in_place(other)
    assert np.array_equal(total.detach().numpy(), wanted)


def test_statistics_and_scales_are_written_to() -> None:
    norm = nn.BatchNorm2d(4)
    with no_grad():
        values = F.relu(norm(conv()[2])).numpy().copy()
        z = F.relu(norm(conv()[2]))
        norm.weight.fill_(0.0)
        assert np.array_equal(z.numpy(), values)
        norm.eval()
        folded = norm(conv()[2])
        norm.running_mean.fill_(5000.0)
        norm.bias.fill_(9000.0)
        assert np.abs(folded.numpy()).max() < 100


def test_arrays_from_outside_are_written_to() -> None:
    x, w = numbers(*X), leaf(*W)
    wanted = expected(x, w.detach())
    y, z = F.conv2d(x, w), F.conv2d(as_tensor(x), w)
    x[...] = 0
    assert np.array_equal(y.detach().numpy(), wanted)
    assert np.array_equal(z.detach().numpy(), wanted)
    with pytest.raises(GraphError, match="changed in place"):
        y.sum().backward()


def test_another_precision_comes_too_late() -> None:
    layer = nn.Conv2d(3, 4, 3)
    y = layer(leaf(*X))
    wanted = layer(leaf(*X)).detach().numpy()
    layer.double()
    assert y.dtype == np.float32
    assert y.detach().numpy().dtype == np.float32
    assert np.array_equal(y.detach().numpy(), wanted)


def test_requires_grad_comes_too_late() -> None:
    x, w = tensor(numbers(*X)), tensor(numbers(*W))
    y = F.conv2d(x, w)
    w.requires_grad_()
    assert not F.relu(y).requires_grad
    with no_grad():
        z = F.conv2d(x, w)
    assert not F.relu(z).requires_grad


def test_recorded_then_not_and_the_other_way_round() -> None:
    x, w, y = conv()
    with no_grad():
        r = F.relu(y)
    assert not r.requires_grad
    assert np.array_equal(r.numpy(), F.relu(expected(x.detach(), w.detach())))
    y.sum().backward()
    assert x.grad is not None


def test_what_is_written_to_the_result_itself() -> None:
    x, w, y = conv()
    y *= 2.0
    assert np.array_equal(y.detach().numpy(), 2 * expected(x.detach(), w.detach()))
    _, _, z = conv()
    z += leaf(*z.shape)
    z += leaf(*z.shape, seed=5)
    z.sum().backward()
    _, _, v = conv()
    with no_grad():
        v += 1.0
    assert np.array_equal(v.detach().numpy(), expected(x.detach(), w.detach()) + 1)


def test_the_result_itself_is_written_to_after_something_followed() -> None:
    _, _, y = conv()
    p = F.max_pool2d(y, 2)
    r = F.relu(y)
    wanted = expected(numbers(*X), numbers(*W, seed=1))
    y += y
    assert np.array_equal(p.detach().numpy(), F.max_pool2d(wanted, 2))
    assert np.array_equal(r.detach().numpy(), F.relu(wanted))
    assert np.array_equal(y.detach().numpy(), 2 * wanted)


def test_weights_that_change_before_the_backward_pass_are_noticed() -> None:
    for at_once in (False, True):
        x, w = leaf(*X), leaf(*W, seed=1)
        r = F.relu(F.conv2d(x, w))
        if at_once:
            r.detach()
        loss = F.max_pool2d(r, 2).sum()
        in_place(w)
        with pytest.raises(GraphError, match="changed in place"):
            loss.backward()
