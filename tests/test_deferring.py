"""Results that are computed when they are read are what they would have been at once."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import threading
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.deferral import W, X, conv, expected, leaf, numbers, one_by_one
from tinygrad_cnn import Tensor, grad, nn, no_grad, record_source, tensor
from tinygrad_cnn.graph import GraphError, nodes_below
from tinygrad_cnn.inplace import changed, pending
from tinygrad_cnn.kernels.conv import convolution
from tinygrad_cnn.tensor import Deferred
from tinygrad_cnn.verify import check_graph

pytestmark = pytest.mark.usefixtures("everything_waits")


def convolutions() -> Any:
    """Count the convolutions that are computed."""
    return mock.patch.object(convolution, "convolve", wraps=convolution.convolve)


# -------------------------------------------------------------------------- what costs nothing


def test_shapes_are_known_and_nothing_is_computed() -> None:
    with convolutions() as computed:
        x, w, y = conv()
        z = F.max_pool2d(F.relu(y), 2)
        assert (z.shape, z.dtype, z.ndim) == ((2, 4, 3, 3), np.float32, 4)
        assert z.shape.numel() == 72
        assert (y.requires_grad, y.is_leaf) == (True, False)
        assert y.grad_fn is not None
        assert not hasattr(z, "no_such_name")
        assert isinstance(z, Deferred)
    assert not computed.called
    assert np.array_equal(
        z.detach().numpy(), F.max_pool2d(F.relu(expected(x.detach(), w.detach())), 2)
    )
    assert type(z) is Tensor


def test_what_nobody_reads_is_never_computed() -> None:
    with convolutions() as computed:
        for _ in range(200):
            conv()
    assert not computed.called
    gc.collect()
    assert len(pending) <= 64


def test_every_error_comes_at_the_line_that_made_it() -> None:
    _, _, y = conv()
    with pytest.raises(ValueError, match="weight expects 3 input channels"):
        F.conv2d(leaf(2, 2, 8, 8), leaf(*W))
    with pytest.raises(ValueError, match="does not fit"):
        F.max_pool2d(y, 7)
    with pytest.raises(ValueError, match="running_mean expects shape"):
        F.batch_norm(y, numbers(3), numbers(3))
    with pytest.raises(ValueError, match=r"broadcast|shape"):
        y + leaf(2, 4, 5, 5)


def test_nodes_are_recorded_when_they_are_called_with_their_lines_and_scopes() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu = nn.Conv2d(3, 4, 3), nn.ReLU()

        def forward(self, x: Any) -> Any:
            return F.max_pool2d(self.relu(self.conv(x)), 2)

    with record_source():
        y = nn.Sequential({"net": Net()})(leaf(*X))
    found = [(n.op.name, n.scope) for n in nodes_below(y)]
    assert found == [("conv2d", "net.conv"), ("relu", "net.relu"), ("max_pool2d", "net")]
    lines = {n.source for n in nodes_below(y)}
    assert len(lines) == 1
    assert {path for path, _ in lines} == {__file__}  # type: ignore[misc]


# ------------------------------------------------------------------------- who else may look


def test_a_result_that_is_still_held_is_computed_by_itself_and_once() -> None:
    with convolutions() as computed:
        _, _, y = conv()
        r = F.relu(y)
        p = F.max_pool2d(r, 2)
        for t in (p, r, y):
            t.detach()
        assert computed.call_count == 1
    assert np.array_equal(F.relu(y.detach().numpy()), r.detach().numpy())
    assert np.array_equal(F.max_pool2d(r.detach().numpy(), 2), p.detach().numpy())


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_that_follow_one(order: tuple[int, int]) -> None:
    with convolutions() as computed:
        _, _, y = conv()
        followers = [F.relu(y), F.max_pool2d(y, 2)]
        values = y.detach().numpy().copy() if order == (1, 0) else None
        del y
        for index in order:
            followers[index].detach()
        assert computed.call_count == 1
    if values is not None:
        assert np.array_equal(followers[0].detach().numpy(), np.maximum(values, 0))


def test_taken_over_then_read_then_dropped() -> None:
    with convolutions() as computed:
        _, _, y = conv()
        r = F.relu(y)
        y.detach()
        del y
        r.detach()
        assert computed.call_count == 1
    assert len([n for n in nodes_below(r) if n.op.name == "conv2d"]) == 1


def test_both_operands_of_a_sum_wait() -> None:
    x, w, y = conv()
    z = F.batch_norm(F.conv2d(x, w), None, None, training=True)
    with one_by_one():
        a = F.batch_norm(F.conv2d(x, w), None, None, training=True)
        total = F.relu(F.conv2d(x, w) + a)
    assert np.array_equal(F.relu(y + z).detach().numpy(), total.detach().numpy())


def test_a_sum_in_place_that_the_other_operand_could_take_over() -> None:
    x, w, y = conv()
    y = F.relu(y)  # nothing more can be added to this
    z = F.conv2d(x, w)
    wanted = F.relu(expected(numbers(*X), numbers(*W, seed=1))) + z.detach().numpy().copy()
    z = F.conv2d(x, w)
    y += z
    assert np.array_equal(y.detach().numpy(), wanted)


def test_the_same_twice() -> None:
    _, _, y = conv()
    (y + y).sum().backward()
    _, _, z = conv()
    assert np.array_equal((z + z).detach().numpy(), 2 * z.detach().numpy())


# ------------------------------------------------------------------------------ the rules


def both(function: Callable[[Tensor, Tensor], Any]) -> list[list[Any]]:
    """Result and gradients of a function of an input and weights, deferred and at once."""
    found = []
    for at_once in (False, True):
        x, w = leaf(*X), leaf(*W, seed=1)
        if at_once:
            with one_by_one():
                y = function(x, w)
        else:
            y = function(x, w)
        (y * y).sum().backward()
        found.append([t.numpy() for t in (y.detach(), x.grad, w.grad) if t is not None])
    return found


def chain(x: Any, w: Any) -> Any:
    return F.max_pool2d(F.relu(F.conv2d(x, w)), 2)


def normal_chain(x: Any, w: Any) -> Any:
    y = F.batch_norm(F.conv2d(x, w), None, None, training=True)
    return F.max_pool2d(F.relu(y), 2)


@pytest.mark.parametrize("function", [chain, normal_chain])
def test_hooks_and_retained_gradients_on_the_way(function: Any) -> None:
    seen: dict[bool, list[Any]] = {}
    for at_once in (False, True):
        x, w = leaf(*X), leaf(*W, seed=1)
        shown: list[Any] = []

        def watched(t: Any, shown: list[Any] = shown) -> Any:
            t.register_hook(lambda g: shown.append(g.numpy().copy()) or g * 2)
            return t

        y = F.conv2d(x, w)
        if function is normal_chain:
            y = F.batch_norm(watched(y), None, None, training=True)
        if at_once:
            y.detach()
        r = watched(F.relu(watched(y)))
        del y
        if at_once:
            r.detach()
        p = F.max_pool2d(r, 2)
        del r
        (p * p).sum().backward()
        assert x.grad is not None
        seen[at_once] = [*shown, x.grad.numpy()]
    assert len(seen[True]) >= 3
    for a, b in zip(seen[False], seen[True], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("function", [chain, normal_chain])
@pytest.mark.parametrize("sum_between", [False, True])
def test_another_relu_behind_the_pool(function: Any, sum_between: bool) -> None:
    def rectified(x: Any, w: Any) -> Any:
        y = function(x, w)
        return F.relu(y + tensor(numbers(*y.shape, seed=9)) if sum_between else y) - 1.0

    for a, b in zip(*both(rectified), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_the_gradient_of_a_relu_goes_to_the_first_of_equal_maxima() -> None:
    """The pool looked at what was not rectified yet: there another element is the largest."""
    x, w = tensor(-np.abs(numbers(*X)), requires_grad=True), tensor(np.abs(numbers(*W)))
    r = F.relu(F.conv2d(x, w))
    seen: list[Any] = []
    r.register_hook(lambda g: seen.append(g.numpy().copy()))
    p = F.max_pool2d(r, 2)
    del r
    p.sum().backward()
    assert np.array_equal(seen[0], np.tile([[1.0, 0.0], [0.0, 0.0]], (2, 4, 3, 3)))


@pytest.mark.parametrize("function", [chain, normal_chain])
def test_second_derivatives_and_verification(function: Any) -> None:
    def penalty() -> Any:
        x, w = leaf(*X).double().detach().requires_grad_(), leaf(*W, seed=1).double()
        (g,) = grad((function(x, w) ** 2).sum(), [x], create_graph=True)
        return grad((g * g).sum(), [x])[0].numpy()

    mine = penalty()
    with one_by_one():
        np.testing.assert_allclose(mine, penalty(), rtol=1e-9, atol=1e-9)
    x, w = leaf(*X), leaf(*W, seed=1)
    report = check_graph((function(x, w) ** 2).sum())
    assert report, report


def test_a_gradient_that_is_asked_of_a_result_nobody_read() -> None:
    x, w, y = conv()
    r = F.relu(y)
    del y
    g = numbers(*r.shape, seed=4)
    (found,) = grad([r], [x], [g])
    with one_by_one():
        z = F.relu(F.conv2d(x, w))
    assert np.array_equal(found.numpy(), grad([z], [x], [g])[0].numpy())
    t = F.relu(F.conv2d(x, w))
    t.backward(g)
    assert x.grad is not None
    assert np.array_equal(x.grad.numpy(), found.numpy())


@pytest.mark.parametrize("function", [chain, normal_chain])
def test_the_pools_result_is_written_to(function: Any) -> None:
    """The ReLU's rule looks at the pool's result; once that is changed it computes its own."""

    def written(x: Any, w: Any) -> Any:
        y = function(x, w)
        y *= 3.0
        return y

    for a, b in zip(*both(written), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)

    def overwritten(x: Any, w: Any) -> Any:
        y = function(x, w)
        z = y * 1.0
        y.detach().numpy()[...] = -1.0
        return z

    for a, b in zip(*both(overwritten), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_what_may_be_computed_again_is_kept_before_its_sources_are_written_to() -> None:
    """No rule reads these weights, but the ReLU's result, which a hook asks for, comes of them."""
    seen = []
    for at_once in (False, True):
        x, w, b = tensor(numbers(*X)), tensor(numbers(*W)), leaf(4)
        r = F.relu(F.conv2d(x, w, b))
        r.register_hook(lambda g: g * 2)
        if at_once:
            r.detach()
        p = F.max_pool2d(r, 2)
        del r
        loss = p.sum()
        w.fill_(0.5)
        loss.backward()
        assert b.grad is not None
        seen.append(b.grad.numpy())
    assert np.array_equal(*seen)


def test_what_is_computed_again_is_not_computed_from_something_else() -> None:
    x, w, b = tensor(numbers(*X)), tensor(numbers(*W)), leaf(4)
    r = F.relu(F.conv2d(x, w, b))
    r.register_hook(lambda g: g * 2)
    p = F.max_pool2d(r, 2)
    del r
    loss = p.sum()
    w._data[...] = 0.5
    changed(w._data)  # by somebody who does not say so before
    with pytest.raises(GraphError, match="relu: what its result was computed from was changed"):
        loss.backward()


ACTIVATIONS = [
    F.relu6,
    F.sigmoid,
    F.silu,
    F.hardswish,
    lambda x: F.leaky_relu(x, 0.2),
    lambda x: F.hardtanh(x, -0.5, 0.25),
]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_other_activations(activation: Any) -> None:
    def convolved(x: Any, w: Any) -> Any:
        return activation(F.conv2d(x, w))

    def normalised(x: Any, w: Any) -> Any:
        y = F.batch_norm(F.conv2d(x, w), None, None, training=True)
        return F.avg_pool2d(activation(y + activation(y)), 2)

    for function in (convolved, normalised):
        for a, b in zip(*both(function), strict=True):
            assert np.array_equal(a, b)
        with no_grad():
            mine = function(leaf(*X), leaf(*W))
            with one_by_one():
                assert np.array_equal(mine.numpy(), function(leaf(*X), leaf(*W)).numpy())


# ----------------------------------------------------------- copies, threads, interruptions


def test_copies_pickles_and_text() -> None:
    with no_grad():
        _, _, y = conv()
        same = F.conv2d(leaf(*X), leaf(*W, seed=1)).numpy()
        assert np.array_equal(copy.deepcopy(y).numpy(), same)
        assert type(copy.deepcopy(conv()[2])) is Tensor
        assert np.array_equal(copy.copy(conv()[2]).numpy(), same)
        file = io.BytesIO()
        pickle.dump(conv()[2], file)
        file.seek(0)
        assert np.array_equal(pickle.load(file).numpy(), same)
        assert repr(conv()[2]) == repr(tensor(same))
    with pytest.raises(GraphError, match="part of a graph"):
        copy.deepcopy(conv()[2])


def test_two_threads_read_one_result() -> None:
    for _ in range(20):
        x, w, y = conv()
        r = F.relu(y)
        del y
        found: list[Any] = []
        start = threading.Barrier(4)

        def read(r: Any = r, found: list[Any] = found, start: Any = start) -> None:
            start.wait()
            found.append((r.shape, r.detach().numpy()))

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 4
        assert all(array is found[0][1] for _, array in found)
        assert np.array_equal(found[0][1], F.relu(expected(x.detach(), w.detach())))


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, AttributeError])
def test_an_error_leaves_the_result_to_be_computed(error: type[BaseException]) -> None:
    layer = nn.Sequential({"conv": nn.Conv2d(3, 4, 3)})
    y = layer(leaf(*X))
    with (
        mock.patch.object(convolution, "convolve", side_effect=error("no room")),
        pytest.raises(
            RuntimeError if error is AttributeError else error, match="no room"
        ) as failure,
    ):
        y.detach()
    if error is MemoryError:
        assert failure.value.__notes__ == ["in conv: conv2d, computed when it was read"]
    assert np.array_equal(y.detach().numpy(), layer(leaf(*X)).detach().numpy())
    y.sum().backward()
    assert layer[0].weight.grad is not None
