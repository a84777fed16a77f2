"""Gradients that are added and masked by the rule that reads them: the same bits, and no trace."""

from __future__ import annotations

from functools import partial
from unittest import mock

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.deferral import one_by_one
from tinygrad_cnn import engine, grad, manual_seed, models, nn, tensor
from tinygrad_cnn.kernels.norm import batch_norm as norm
from tinygrad_cnn.kernels.norm import pending
from tinygrad_cnn.kernels.norm.pending import Pending
from tinygrad_cnn.kernels.pointwise import activation
from tinygrad_cnn.kernels.pointwise.activation import write_where_between, write_where_positive
from tinygrad_cnn.ops import norm as norm_ops
from tinygrad_cnn.ops.activation import Relu

NEVER = 1 << 62


pytestmark = pytest.mark.usefixtures("everything_waits")


def images(*shape, seed=0, dtype=np.float32):
    """Make channels-last images."""
    N, C, H, W = shape
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, H, W, C)).astype(dtype).transpose(0, 3, 1, 2)


def gradients(model, x, size):
    """Return all gradients of a model, where gradients pend from so many elements on."""
    manual_seed(0)
    net = model()
    x = tensor(x, requires_grad=True)
    with mock.patch.object(engine, "PENDING_SIZE", size):
        F.sum(net(x) ** 2).backward()
    return [x.grad.numpy(), *(p.grad.numpy() for p in net.parameters())]


def shared_input():
    """Add what is used three times, once through no normalisation."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)
            self.norms = nn.ModuleList([nn.BatchNorm2d(4) for _ in range(3)])

        def forward(self, x):
            y = F.relu(self.norms[0](self.conv(x)))
            z = F.relu(self.norms[1](y) + y)
            return F.relu(F.relu(self.norms[2](z) + y * z) + y)

    return Net()


class OneByOne(nn.Module):
    """A normalisation, and functions that follow it."""

    def __init__(self, follow) -> None:
        super().__init__()
        self.norm, self.follow = nn.BatchNorm2d(2), follow

    def forward(self, x):
        return self.follow(self.norm(x))


MODELS = {
    "residual": (lambda: models.ResNet20(), (4, 3, 32, 32)),
    "no normalisation": (lambda: models.MnistExample(), (3, 1, 28, 28)),
    "a ReLU, then a pool": (
        lambda: OneByOne(lambda y: F.max_pool2d(F.relu(y), 2)),
        (5, 2, 12, 12),
    ),
    "a pool, a sum, then a ReLU": (
        lambda: OneByOne(lambda y: F.relu(F.max_pool2d(y, 2) + 0.5)),
        (5, 2, 12, 12),
    ),
    "a sum, a pool, then a ReLU": (
        lambda: OneByOne(lambda y: F.relu(F.max_pool2d(y + 0.5, 2))),
        (5, 2, 12, 12),
    ),
    "limits, and a pool between": (
        lambda: OneByOne(lambda y: F.hardtanh(F.max_pool2d(F.relu6(y * 4.0) + y, 2), -0.5, 2.0)),
        (5, 2, 12, 12),
    ),
    "shared": (shared_input, (5, 3, 12, 12)),
}


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_the_same_bits(name):
    model, shape = MODELS[name]
    x = images(*shape)
    at_once = gradients(model, x, NEVER)
    for pending_from in (1, 3000):
        for mine, expected in zip(gradients(model, x, pending_from), at_once, strict=True):
            np.testing.assert_array_equal(mine, expected)


def pooled(added=False):
    """Normalise, rectify and pool; or normalise, pool, add and rectify."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers = [nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)]
            layers += [nn.MaxPool2d(2)] if added else [nn.ReLU(), nn.MaxPool2d(2)]
            self.body = nn.Sequential(*layers)

        def forward(self, x):
            y = self.body(x)
            return F.relu(y + 0.5) if added else y

    return Net()


POOLED = {
    "the network of the notebook": (lambda: models.BatchNorm(), 1),
    "ReLU and pool": (pooled, 1),
    "a sum between pool and ReLU": (lambda: pooled(added=True), 0),
}


@pytest.mark.parametrize("name", POOLED)
def test_pool_and_normalisation_are_differentiated_at_once(name):
    model, times = POOLED[name]
    x = images(6, 1, 28, 28)
    at_once = mock.Mock(wraps=norm_ops.normalize_max_pool2d_gradient)
    with mock.patch.object(norm_ops, "normalize_max_pool2d_gradient", at_once):
        with one_by_one():
            expected = gradients(model, x, NEVER)
        assert not at_once.called
        results = gradients(model, x, 1)
        assert at_once.call_count == times
    wide = gradients(lambda: model().double(), x.astype(np.float64), NEVER)
    for mine, other, exact in zip(results, expected, wide, strict=True):
        limit = 2 * np.abs(other - exact).max() + 1e-6 * np.abs(exact).max()
        np.testing.assert_allclose(mine, exact, rtol=0, atol=limit)


def test_hooks_see_the_gradient_between_pool_and_normalisation():
    seen = {}
    for size in (1, NEVER):
        x = tensor(images(3, 2, 8, 8, dtype=np.float64), requires_grad=True)
        norm_layer = nn.BatchNorm2d(2).double()
        with mock.patch.object(engine, "PENDING_SIZE", size):
            y = norm_layer(x)
            z = F.relu(F.max_pool2d(y, 2))
            hooked = []
            y.register_hook(lambda g, hooked=hooked: hooked.append(g.numpy()))
            F.sum(z**2).backward()
        seen[size] = [hooked[0], x.grad.numpy()]
    for mine, expected in zip(seen[1], seen[NEVER], strict=True):
        np.testing.assert_array_equal(mine, expected)


def test_a_residual_block_sweeps_neither_for_the_sum_nor_for_the_relu():
    masked, added = mock.Mock(wraps=activation.masked_gradient), mock.Mock(wraps=pending.apply)
    manual_seed(0)
    body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8))
    x = F.relu(nn.BatchNorm2d(8)(tensor(images(8, 8, 16, 16), requires_grad=True)))
    for _ in range(2):
        x = F.relu(body(x) + x)
    loss = F.sum(x)
    with (
        mock.patch.object(engine, "PENDING_SIZE", 1),
        mock.patch.object(activation, "masked_gradient", masked),
        mock.patch.object(pending, "masked_gradient", masked),
        mock.patch.object(pending, "apply", added),
        mock.patch.object(engine, "apply", added),
    ):
        loss.backward()
    assert not masked.called
    assert not added.called


def small_net(x, weight):
    y = F.relu(F.batch_norm(x, None, None, weight, training=True))
    return y, F.sum(F.relu(y + F.batch_norm(y, None, None, training=True)) ** 3)


def test_hooks_retained_gradients_and_targets_see_arrays():
    seen = {}
    for size in (1, NEVER):
        x = tensor(images(3, 2, 4, 4, dtype=np.float64), requires_grad=True)
        weight = tensor(np.array([0.5, 2.0]), requires_grad=True)
        with mock.patch.object(engine, "PENDING_SIZE", size):
            y, loss = small_net(x, weight)
            y.retain_grad()
            hooked = []
            y.register_hook(lambda g, hooked=hooked: hooked.append(g.numpy()) or g * 2)
            loss.backward()
            y2, loss2 = small_net(x, weight)
            found = grad([loss2], [y2, x, weight])
        arrays = [y.grad, x.grad, weight.grad, *found]
        seen[size] = [hooked[0], *(each.numpy() for each in arrays)]
    for mine, expected in zip(seen[1], seen[NEVER], strict=True):
        assert type(mine) is np.ndarray
        np.testing.assert_array_equal(mine, expected)


def test_second_derivatives_are_recorded_as_ever():
    results = []
    for size in (1, NEVER):
        x = tensor(images(3, 2, 4, 4, dtype=np.float64), requires_grad=True)
        weight = tensor(np.array([0.5, 2.0]), requires_grad=True)
        with mock.patch.object(engine, "PENDING_SIZE", size):
            (first,) = grad([small_net(x, weight)[1]], [x], create_graph=True)
            (second,) = grad([F.sum(first**2)], [weight])
        results.append(second.numpy())
    np.testing.assert_array_equal(*results)


def test_leaves_share_no_memory():
    a, b = (tensor(np.ones((20, 30), np.float32), requires_grad=True) for _ in range(2))
    with mock.patch.object(engine, "PENDING_SIZE", 1):
        both = a + b
        F.sum(both * 2 + both * 3).backward()
    assert not np.shares_memory(a.grad.numpy(), b.grad.numpy())


def test_sums_over_broadcast_dimensions():
    a, b = (tensor(images(2, 2, 3, 3, seed=i), requires_grad=True) for i in (1, 2))
    row = tensor(np.ones((1, 2, 1, 1), np.float32), requires_grad=True)
    with mock.patch.object(engine, "PENDING_SIZE", 1):
        F.sum(F.relu((a + b) + row)).backward()
    np.testing.assert_array_equal(row.grad.numpy(), a.grad.numpy().sum((0, 2, 3), keepdims=True))


def test_a_rule_of_ones_own_gets_arrays():
    class Steep(Relu):
        def backward(self, g, out, x):
            assert type(g) is np.ndarray
            assert g.shape == x.shape
            return (2 * g * (out > 0),)

    assert not Steep.takes_pending
    assert Relu.takes_pending
    x = tensor(images(2, 2, 3, 3), requires_grad=True)
    with mock.patch.object(engine, "PENDING_SIZE", 1):
        F.sum(Steep()(F.relu(x + x))).backward()
    np.testing.assert_array_equal(x.grad.numpy(), 4.0 * (x.numpy() > 0))


@pytest.mark.parametrize("shape", [(7, 3), (400, 5), (3, 4, 20, 20), (2, 3, 1, 2)])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("layout", ["channels last", "channels first"])
@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize("high", [None, 0.75])
def test_normalisation_computes_what_pends(shape, count, layout, offset, high):
    rng = np.random.default_rng(3)
    terms = [rng.standard_normal(shape).astype(np.float32) for _ in range(count)]
    out, x = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    x += np.float32(offset)
    if layout == "channels last" and len(shape) == 4:
        out, *terms = (images(*shape, seed=i) for i, _ in enumerate([out, *terms]))
    terms[0][out > 1] = np.inf  # a masked infinity is 0
    out = np.where(np.isinf(terms[0]), 0, out).astype(np.float32)
    channels = rng.standard_normal((3, shape[1])).astype(np.float32)
    mean, inverse, weight = channels[0] + np.float32(offset), abs(channels[1]) + 1, channels[2]
    mask, kept = write_where_positive, out > 0
    if high is not None:
        out[-1] = high
        mask = partial(write_where_between, low=0.0, high=high)
        kept = (out > 0) & (out < high)
    total = np.where(kept, terms[0] if count == 1 else terms[0] + terms[1], 0)
    expected = norm.batch_norm_gradient(total.astype(np.float32), x, mean, inverse, weight)
    waiting = Pending(*terms).gated(out, mask)
    results = norm.batch_norm_gradient(waiting, x, mean, inverse, weight)
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, value)
    np.testing.assert_array_equal(waiting.array(), total)
    np.testing.assert_array_equal(Pending(*terms).gated(out, mask).array(), total)
    assert not waiting.terms
