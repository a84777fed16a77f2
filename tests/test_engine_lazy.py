"""A pool's gradient that waits for the rules of what is before it: the same, and no trace."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.deferral import one_by_one
from tests.kernels.pool.calls import window_of
from tinygrad_cnn import grad, manual_seed, models, nn, tensor
from tinygrad_cnn.kernels.pool.lazy import LazyGradient
from tinygrad_cnn.ops import activation
from tinygrad_cnn.ops.activation import Relu

pytestmark = pytest.mark.usefixtures("everything_waits")


def images(*shape, seed=0, dtype=np.float32):
    """Make channels-last images."""
    N, C, H, W = shape
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, H, W, C)).astype(dtype).transpose(0, 3, 1, 2)


def gradients(model, x):
    """Return all gradients of a model."""
    manual_seed(0)
    net = model()
    x = tensor(x, requires_grad=True)
    F.sum(net(x) ** 2).backward()
    return [x.grad.numpy(), *(p.grad.numpy() for p in net.parameters())]


class Followed(nn.Module):
    """A normalisation, and functions that follow it."""

    def __init__(self, follow) -> None:
        super().__init__()
        self.norm, self.follow = nn.BatchNorm2d(2), follow

    def forward(self, x):
        return self.follow(self.norm(x))


def shared(y):
    z = F.relu(y)
    return F.max_pool2d(z, 2) + z[:, :, ::2, ::2]


MODELS = {
    "a residual network": (models.ResNet20, (4, 3, 32, 32)),
    "convolutions": (models.MnistExample, (3, 1, 28, 28)),
    "normalisations": (models.BatchNorm, (6, 1, 28, 28)),
    "ReLU, pool": (lambda: Followed(lambda y: F.max_pool2d(F.relu(y), 2)), (5, 2, 12, 12)),
    "pool, ReLU": (lambda: Followed(lambda y: F.relu(F.max_pool2d(y, 2))), (5, 2, 12, 12)),
    "pool, sum, ReLU": (
        lambda: Followed(lambda y: F.relu(F.max_pool2d(y, 2) + 0.5)),
        (5, 2, 12, 12),
    ),
    "limits, and a pool between": (
        lambda: Followed(lambda y: F.hardtanh(F.max_pool2d(F.relu6(y * 4.0) + y, 2), -0.5, 2.0)),
        (5, 2, 12, 12),
    ),
    "a ReLU that is read twice": (lambda: Followed(shared), (5, 2, 12, 12)),
}


SUMS_ELSEWHERE = "normalisations", "ReLU, pool"  # a normalisation reads the lazy gradient


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_the_same(name):
    model, shape = MODELS[name]
    x = images(*shape)
    with one_by_one():
        expected = gradients(model, x)
    for mine, value in zip(gradients(model, x), expected, strict=True):
        if name in SUMS_ELSEWHERE:
            np.testing.assert_allclose(mine, value, rtol=1e-5, atol=1e-5 * np.abs(value).max())
        else:
            np.testing.assert_array_equal(mine, value)


def waiting(x, watch=lambda y: None):
    """Return a loss of a ReLU and the pool behind it, which are computed at once."""
    y = F.relu(F.batch_norm(x, None, None, training=True))
    watch(y)
    z = F.max_pool2d(y, 2)
    del y
    return F.sum((z + 1) ** 3)


def test_the_relu_before_a_pool_has_no_mask_of_its_own():
    loss = waiting(tensor(images(4, 2, 8, 8), requires_grad=True))
    masked = mock.Mock(wraps=activation._gate)
    with mock.patch.object(activation, "_gate", masked):
        loss.backward()
    assert not masked.called


def test_hooks_and_targets_see_the_gradient_between_pool_and_relu():
    def run():
        x = tensor(images(3, 2, 8, 8, dtype=np.float64), requires_grad=True)
        hooked, kept = [], []
        waiting(
            x, lambda y: y.register_hook(lambda g: hooked.append(g.numpy()) or g * 2)
        ).backward()
        loss = waiting(x, kept.append)
        found = grad([loss], [kept[0], x])
        return [hooked[0], x.grad.numpy(), *(g.numpy() for g in found)]

    mine = run()
    with one_by_one():
        expected = run()
    for result, value in zip(mine, expected, strict=True):
        assert type(result) is np.ndarray
        np.testing.assert_array_equal(result, value)


def test_second_derivatives_are_recorded_as_ever():
    def second(x):
        (first,) = grad([waiting(x)], [x], create_graph=True)
        return grad([F.sum(first**2)], [x])[0].numpy()

    x = tensor(images(3, 2, 4, 4, dtype=np.float64), requires_grad=True)
    mine = second(x)
    with one_by_one():
        expected = second(x)
    np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-12)


def test_a_rule_of_ones_own_gets_arrays():
    class Steep(Relu):
        def backward(self, g, out, _x):
            return (2 * g * (out > 0),)

    def run(op):
        x = tensor(images(2, 2, 4, 4), requires_grad=True)
        y = op(F.batch_norm(x, None, None, training=True))
        F.sum(F.max_pool2d(y, 2)).backward()
        return x.grad.numpy()

    with one_by_one():
        expected = run(Steep())
    np.testing.assert_array_equal(run(Steep()), expected)
    np.testing.assert_allclose(expected, 2 * run(F.relu), rtol=1e-6, atol=1e-6)


def test_of_zeros_alone_the_first_is_the_maximum():
    """For whoever reads it; before the ReLU another one was the largest."""
    x = np.array([[[[-3.0, -1.0], [-2.0, -4.0]]]])
    for held in (True, False):
        a = tensor(x, requires_grad=True)
        y = F.relu(F.conv2d(a, tensor(np.ones((1, 1, 1, 1)))))
        if held:
            y.retain_grad()
        z = F.max_pool2d(y, 2)
        del y
        z.backward(np.ones_like(z.numpy()))
        assert not a.grad.numpy().any()
    argmax, window = np.array([[[[1]]]], np.uint8), window_of((2, 2), (2, 2))
    g = LazyGradient(np.ones((1, 1, 1, 1)), argmax, np.zeros((1, 1, 1, 1)), (1, 1, 2, 2), window)
    np.testing.assert_array_equal(g.array()[0, 0], [[1, 0], [0, 0]])
    assert not g.before_relu().array().any()


def test_what_a_hook_writes_to_was_read_before():
    """The pool's result, from which a normalisation tells what it has normalised."""

    def run(writes):
        x = tensor(images(4, 2, 8, 8, dtype=np.float64))
        weight = tensor(np.ones(2), requires_grad=True)
        other = tensor(np.ones(1), requires_grad=True)
        y = F.batch_norm(x, None, None, weight, training=True)
        beside = other * 2.0  # its rule comes between those of the ReLU and of the normalisation
        z = F.max_pool2d(F.relu(y), 2)
        del y
        if writes:
            other.register_post_accumulate_grad_hook(lambda _: z.detach().numpy().fill(1e3))
        (F.sum(z**2) + F.sum(beside)).backward()
        return weight.grad.numpy()

    np.testing.assert_allclose(run(writes=True), run(writes=False), rtol=1e-12)
