"""A sum with a shortcut, and a ReLU, give the same computed at once as one by one."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn
import tinygrad_cnn.functional as F
from tests.kernels.conv.calls import conv2d
from tinygrad_cnn import nn, tensor
from tinygrad_cnn.graph import nodes_below
from tinygrad_cnn.verify import check_graph

pytestmark = pytest.mark.usefixtures("everything_waits")


def images(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def body(kind, channels=4, seed=0):
    """Layers around which an input of so many channels is carried."""
    tinygrad_cnn.manual_seed(seed)
    conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    layers = {
        "conv": [conv],
        "norm": [nn.BatchNorm2d(channels)],
        "both": [conv, nn.BatchNorm2d(channels)],
        "ends in a ReLU": [conv, nn.BatchNorm2d(channels), nn.ReLU()],
        "grouped": [
            nn.Conv2d(channels, channels, 3, padding=1, groups=2),
            nn.BatchNorm2d(channels),
        ],
        "depthwise": [
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            nn.BatchNorm2d(channels),
        ],
        "few pixels": [nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels)],
    }
    return nn.Sequential(*layers[kind])


KINDS = ["conv", "norm", "both", "ends in a ReLU", "grouped", "depthwise", "few pixels"]


def apart(net, x, shortcut):
    y = net(x)
    y.numpy()  # read, so that nothing is computed with what follows
    total = y + shortcut
    total.detach()
    return F.relu(total)


def at_once(net, x, shortcut):
    return F.relu(net(x) + shortcut)


def swapped(net, x, shortcut):
    return F.relu(shortcut + net(x))


def in_place(net, x, shortcut):
    y = net(x)
    y += shortcut
    return y.relu()


@pytest.mark.parametrize("size", [3, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_training_gives_the_same_bits_gradients_and_statistics(kind, size):
    results = []
    for apply in (apart, at_once, swapped, in_place):
        net = body(kind)
        x = tensor(images(5, 4, size, size), requires_grad=True)
        other = tensor(images(5, 4, size, size, seed=1), requires_grad=True)
        y = apply(net, x, other)
        (y * y).sum().backward()
        found = [t.grad for t in (x, other, *net.parameters())]
        results.append([t.detach().numpy() for t in (y, *found, *net.buffers())])
    for arrays in zip(*results, strict=True):
        for array in arrays[1:]:
            assert np.array_equal(array, arrays[0])


@pytest.mark.parametrize("size", [3, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_inference_gives_the_same_bits(kind, size):
    net = body(kind).eval()
    for norm in net:
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.data = images(4)
    x, other = tensor(images(5, 4, size, size)), tensor(images(5, 4, size, size, seed=1))
    with tinygrad_cnn.no_grad():
        y, expected = at_once(net, x, other), apart(net, x, other)
        assert np.array_equal(y.numpy(), expected.numpy())
        assert np.array_equal(swapped(net, x, other).numpy(), expected.numpy())
        assert np.array_equal(in_place(net, x, other).numpy(), expected.numpy())
    assert y.grad_fn is None


def test_the_sum_is_never_made(monkeypatch):
    """Neither in training nor in inference: the shortcut is added in the tile."""
    net, x = body("both"), tensor(images(2, 4, 8, 8), requires_grad=True)

    def refuse(*_):
        raise AssertionError("a sum of its own")

    monkeypatch.setattr("tinygrad_cnn.ops.elementwise.Add.forward", refuse)
    at_once(net, x, x).sum().backward()
    net.eval()
    with tinygrad_cnn.no_grad():
        at_once(net, x, x).numpy()
    with pytest.raises(AssertionError, match="of its own"):
        apart(net, x, x)


def test_the_graph_shows_the_sum_and_its_shortcut():
    x = tensor(images(2, 4, 5, 5), requires_grad=True)
    net = nn.Sequential({"body": body("both")})
    y = at_once(net.body, x, x * 2)
    *_, norm, total, relu = nodes_below(y)
    assert [node.op.name for node in (norm, total, relu)] == ["batch_norm", "add", "relu"]
    assert total.edges[0] is norm
    assert total.edges[1].op.name == "mul"
    assert check_graph((y**2).sum())


def test_a_shortcut_without_a_gradient_and_a_frozen_body():
    x, other = images(3, 4, 6, 6), images(3, 4, 6, 6, seed=1)
    net = body("both")
    constant = tensor(other)
    leaf = tensor(x, requires_grad=True)
    at_once(net, leaf, constant).sum().backward()
    assert constant.grad is None
    frozen = body("both").requires_grad_(False)
    wanted = tensor(other, requires_grad=True)
    y = at_once(frozen, tensor(x), wanted)
    y.sum().backward()
    assert np.array_equal(wanted.grad.numpy(), (y.detach().numpy() > 0).astype(np.float32))


@pytest.mark.parametrize("train", [True, False])
def test_shortcuts_of_other_shapes_and_types(train):
    net, x = body("both").train(train), tensor(images(3, 4, 6, 6))
    shortcuts = (1.0, images(4, 1, 1), tensor(images(3, 4, 1, 6)), tensor(np.ones((3, 4, 6, 6))))
    for other in shortcuts:
        with tinygrad_cnn.no_grad():
            y, expected = at_once(net, x, other), apart(net, x, other)
        assert y.dtype == expected.dtype
        np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"broadcast|shape"):
        at_once(net, x, tensor(images(3, 4, 5, 6)))


def test_second_derivatives():
    net = body("both").double()
    x = tensor(images(2, 4, 4, 4).astype(np.float64), requires_grad=True)

    def penalty(apply):
        (g,) = tinygrad_cnn.grad((apply(net, x, x) ** 2).sum(), [x], create_graph=True)
        return tinygrad_cnn.grad((g * g).sum(), [x])[0].numpy()

    np.testing.assert_allclose(penalty(at_once), penalty(apart), rtol=1e-9)


@pytest.mark.parametrize("shape", [(2, 16, 24, 24), (3, 4, 5, 7), (1, 1, 4, 4)])
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("strided", [True, False])
def test_the_kernel_adds_before_it_rectifies(shape, groups, strided):
    groups = min(groups, shape[1])
    x, w = images(*shape), images(8, shape[1] // groups, 3, 3, seed=1)
    settings = (1, 1), ((1, 1), (1, 1)), (1, 1), groups
    plain = conv2d(x, w, None, *settings)
    addend = images(*plain.shape, seed=2)
    if strided:  # channels last with gaps
        addend = np.repeat(addend.transpose(0, 2, 3, 1), 2, axis=3)[..., ::2].transpose(0, 3, 1, 2)
    y = conv2d(x, w, None, *settings, relu=True, addend=addend)
    assert np.array_equal(y, np.maximum(plain + addend, 0))
    y = conv2d(x, w, None, *settings, addend=addend)
    assert np.array_equal(y, plain + addend)
