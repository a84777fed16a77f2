"""Layers of which some are computed at once give what they give one by one."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest

import tinygrad_cnn
import tinygrad_cnn.functional as F
from tinygrad_cnn import nn, tensor
from tinygrad_cnn.graph import GraphError, nodes_below
from tinygrad_cnn.ops import activation
from tinygrad_cnn.verify import check_graph

pytestmark = pytest.mark.usefixtures("everything_waits")


def images(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def one_by_one(net, x):
    for module in net:
        x = module(x)
        if isinstance(x, tinygrad_cnn.Tensor):
            x.numpy()  # read, so that nothing is computed with what follows
    return x


def gradients(apply, net, x):
    """The result, and the gradients of the input and of every parameter."""
    x = tensor(x, requires_grad=True)
    net.zero_grad()
    y = apply(net, x)
    (y * y).sum().backward()
    return [y.detach().numpy(), *(t.grad.numpy().copy() for t in (x, *net.parameters()))]


def small_net(bias=True, stride=1, groups=1):
    conv = nn.Conv2d(4, 6, 3, stride, padding=1, groups=groups * 2, bias=bias)
    return nn.Sequential({"conv": nn.Conv2d(2, 4, 3, bias=bias), "relu": nn.ReLU(), "next": conv})


@pytest.mark.parametrize("size", [6, 40])
@pytest.mark.parametrize("settings", [{}, {"bias": False}, {"stride": 2}])
def test_results_and_gradients_are_the_same_bits(size, settings):
    net, x = small_net(**settings), images(3, 2, size, size)
    net.append(nn.ReLU(), "last")
    expected = gradients(one_by_one, net, x)
    for a, b in zip(gradients(lambda net, x: net(x), net, x), expected, strict=True):
        assert np.array_equal(a, b)


def test_the_graph_shows_both_with_their_paths():
    net = nn.Sequential({"features": small_net(), "relu": nn.ReLU()})
    y = net(tensor(images(1, 2, 5, 5)))
    found = [(node.op.name, node.scope, node.shape) for node in nodes_below(y)]
    assert found == [
        ("conv2d", "features.conv", (1, 4, 3, 3)),
        ("relu", "features.relu", (1, 4, 3, 3)),
        ("conv2d", "features.next", (1, 6, 3, 3)),
        ("relu", "relu", (1, 6, 3, 3)),
    ]
    conv, relu = nodes_below(y)[:2]
    assert relu.edges == [conv]
    assert conv.out is None
    assert relu.out is not None


def test_the_convolutions_own_result_is_never_made(monkeypatch):
    net, x = small_net(), tensor(images(2, 2, 8, 8))

    def refuse(_):
        raise AssertionError("a ReLU of its own")

    monkeypatch.setattr(activation.kernels, "relu", refuse)
    assert net(x).numpy().shape == (2, 6, 6, 6)
    with pytest.raises(AssertionError, match="of its own"):
        one_by_one(net, x)


def test_second_derivatives():
    net = small_net().double()
    x = tensor(images(1, 2, 5, 5).astype(np.float64), requires_grad=True)

    def penalty(apply):
        (g,) = tinygrad_cnn.grad((apply(net, x) ** 2).sum(), [x], create_graph=True)
        return tinygrad_cnn.grad((g * g).sum(), [x])[0].numpy()

    assert np.array_equal(penalty(lambda net, x: net(x)), penalty(one_by_one))


def test_arrays_and_single_images_and_frozen_layers():
    net, x = small_net(), images(2, 2, 6, 6)
    assert np.array_equal(net(x).detach().numpy(), one_by_one(net, x).detach().numpy())
    assert np.array_equal(net(x[0]).detach().numpy(), one_by_one(net, x[0]).detach().numpy())
    net.requires_grad_(False)
    y = net(tensor(x))
    assert not y.requires_grad
    assert y.grad_fn is None
    leaf = tensor(x, requires_grad=True)
    net(leaf).sum().backward()
    assert leaf.grad.shape == x.shape


def test_a_result_changed_in_place_is_noticed():
    net = nn.Sequential(nn.Conv2d(1, 1, 2), nn.ReLU())
    y = net(tensor(images(1, 1, 3, 3)))
    loss = y.sum()
    y.detach().numpy()[...] = 1.0
    with pytest.raises(GraphError, match=r"relu .*: its result was changed in place"):
        loss.backward()


def test_derived_layers_are_called():
    class Doubling(nn.ReLU):
        def forward(self, input):
            return F.relu(input) * 2

    net = nn.Sequential(nn.Conv2d(1, 1, 1), Doubling())
    net[0].weight.data = np.ones((1, 1, 1, 1), np.float32)
    net[0].bias.data = np.zeros(1, np.float32)
    assert net(tensor(np.full((1, 1, 1, 1), 3.0, np.float32))).item() == 6


def whole_net():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 1)
    )


@pytest.mark.parametrize("place", ["module", "class"])
@pytest.mark.parametrize("index", range(5))
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("record", [True, False])
def test_a_replaced_forward_is_called(monkeypatch, place, index, training, record):
    """The obvious hook: it is called once, with the input, and its result goes on."""
    net = whole_net().train(training)
    x = tensor(images(2, 2, 8, 8), requires_grad=record)
    if training:
        net(x)  # statistics of its own
    inputs, wanted = [], x
    for module in list(net)[: index + 1]:
        inputs.append(wanted.shape)
        wanted = module(wanted)
    shape = wanted.shape
    seen = []
    layer = net[index]
    original = layer.forward

    def forward(*args, **told):
        if place == "class":
            args = args[1:]
            if args[0].shape != inputs[index]:  # the other convolution
                return original.__func__(net[0] if index else net[4], *args, **told)
        assert not told
        y = original(*args)
        seen.append((args[0].shape, y.shape))
        return y * 0.0

    monkeypatch.setattr(layer if place == "module" else type(layer), "forward", forward)
    y = net(x)
    assert seen == [(inputs[index], shape)]
    zeros = tensor(np.zeros(shape, np.float32))
    for module in list(net)[index + 1 :]:
        zeros = module(zeros)
    np.testing.assert_allclose(y.detach().numpy(), zeros.detach().numpy(), atol=1e-6)


def test_errors_name_the_layer():
    with pytest.raises(ValueError, match="weight expects 2 input channels") as failure:
        small_net()(tensor(images(1, 3, 5, 5)))
    assert failure.value.__notes__ == ["in conv: Conv2d.forward"]


# ------------------------------------------------------------------------- max-pooling


def pooled_net(relu=True, block=2, **settings):
    layers = {"conv": nn.Conv2d(2, 4, 3, **settings), "relu": nn.ReLU()}
    if not relu:
        del layers["relu"]
    return nn.Sequential({**layers, "pool": nn.MaxPool2d(block)})


@pytest.mark.parametrize("size", [8, 41])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize(
    "settings", [{}, {"bias": False}, {"stride": 2, "padding": 1}, {"groups": 2}, {"block": (2, 3)}]
)
def test_pooling_gives_the_same_bits_and_gradients(size, relu, settings):
    net, x = pooled_net(relu, **settings), images(3, 2, size, size)
    expected = gradients(one_by_one, net, x)
    for a, b in zip(gradients(lambda net, x: net(x), net, x), expected, strict=True):
        assert np.array_equal(a, b)
    with tinygrad_cnn.no_grad():
        assert np.array_equal(net(tensor(x)).numpy(), expected[0])


def test_the_graph_shows_what_was_called_in_its_order():
    y = nn.Sequential({"features": pooled_net()})(tensor(images(1, 2, 7, 7)))
    found = [(node.op.name, node.scope, node.shape) for node in nodes_below(y)]
    assert found == [
        ("conv2d", "features.conv", (1, 4, 5, 5)),
        ("relu", "features.relu", (1, 4, 5, 5)),
        ("max_pool2d", "features.pool", (1, 4, 2, 2)),
    ]


def test_second_derivatives_of_a_pool():
    net = pooled_net().double()
    x = tensor(images(1, 2, 6, 6).astype(np.float64), requires_grad=True)

    def penalty(apply):
        (g,) = tinygrad_cnn.grad((apply(net, x) ** 2).sum(), [x], create_graph=True)
        return tinygrad_cnn.grad((g * g).sum(), [x])[0].numpy()

    assert np.array_equal(penalty(lambda net, x: net(x)), penalty(one_by_one))


@pytest.mark.parametrize(
    "settings",
    [{"stride": 1}, {"padding": 1}, {"dilation": 2}, {"ceil_mode": True}, {"return_indices": True}],
)
def test_other_pools_are_called(settings):
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2, **settings))
    x = tensor(images(2, 2, 8, 8))
    results, expected = net(x), one_by_one(net, x)
    if not settings.get("return_indices"):
        results, expected = (results,), (expected,)
    for a, b in zip(results, expected, strict=True):
        assert np.array_equal(*(getattr(t, "_data", t) for t in (a, b)))
    layers = [node.op.name for node in nodes_below(results[0])]
    assert layers == ["conv2d", "relu", "max_pool2d"]


def test_sizes_may_be_lists():
    net, x = pooled_net(block=[2, 2]), images(2, 2, 9, 9)
    for name, value in (("stride", [2, 2]), ("padding", [1, 1]), ("dilation", [1, 2])):
        setattr(net[0], name, value)
        assert np.array_equal(net(x).numpy(), one_by_one(net, x).numpy())
    with mock.patch("tinygrad_cnn.ops.conv.trilinear.max_pool") as pool:
        pool.return_value = images(1, 1, 1, 1), None
        net(x).numpy()
    assert pool.called


@pytest.mark.parametrize(
    ("layer", "name", "wrong"),
    [
        (0, "stride", (1.0, 1)),
        (0, "groups", 1.0),
        (2, "kernel_size", 2.0),
        (2, "stride", 2.0),
        (2, "kernel_size", np.array([2, 2])),
    ],
)
def test_sizes_that_are_none_are_refused_also_after_right_ones(layer, name, wrong):
    net, x = pooled_net(), images(1, 2, 9, 9)
    net(x)
    setattr(net[layer], name, wrong)
    with pytest.raises(ValueError, match=r"expects an int|groups") as failure:
        net(x)
    assert failure.value.__notes__[0].startswith(f"in {('conv', 'relu', 'pool')[layer]}: ")


def test_a_pool_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"max_pool2d: a window of \(2, 2\)") as failure:
        pooled_net()(tensor(images(1, 2, 3, 3)))
    assert failure.value.__notes__ == ["in pool: MaxPool2d.forward"]


def test_verification_finds_every_rule_right():
    net = pooled_net()
    x = tensor(images(2, 2, 8, 8), requires_grad=True)
    report = check_graph((net(x) ** 2).sum())
    assert report, report
    assert {"conv", "pool", "relu"} <= {result.scope for result in report.results}


# ------------------------------------------------ normalisation by the batch's statistics


def training_net(*behind, offset=0.0, **settings):
    """A normalisation in training whose scales have both signs, and what follows it."""
    norm = nn.BatchNorm2d(6, **settings)
    rng = np.random.default_rng(2)
    if norm.affine:
        for t in (norm.weight, norm.bias):
            t.data = rng.normal(size=6).astype(np.float32)
    return nn.Sequential(norm, *behind), images(5, 6, 9, 12) + np.float32(offset)


BEHIND = {
    "relu": (nn.ReLU(),),
    "pool": (nn.MaxPool2d(2),),
    "both": (nn.ReLU(), nn.MaxPool2d((3, 2))),
    "one pixel": (nn.ReLU(), nn.MaxPool2d(1)),
}


def test_few_pixels_are_normalised_with_the_same_bits():
    net, _ = training_net(*BEHIND["both"])
    x = images(1, 6, 6, 4) * 10 + 3
    assert np.array_equal(net(x).detach().numpy(), one_by_one(net, x).detach().numpy())


@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("settings", [{}, {"affine": False}, {"track_running_stats": False}])
def test_normalised_in_training_gives_the_same_bits_and_gradients(settings, behind, offset):
    """Where a pool follows a ReLU, gradients differ by rounding: their sums take another way."""
    results = []
    for apply in (one_by_one, lambda net, x: net(x)):
        net, x = training_net(*BEHIND[behind], offset=offset, **settings)
        result, *found = gradients(apply, net, x)
        results.append(([result, *(t.numpy() for t in net.buffers())], found))
    for a, b in zip(results[0][0], results[1][0], strict=True):
        assert np.array_equal(a, b)
    for a, b in zip(results[0][1], results[1][1], strict=True):
        if behind in ("both", "one pixel"):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(a).max())
        else:
            assert np.array_equal(a, b)


def test_statistics_move_without_recording_too():
    net, x = training_net(*BEHIND["both"])
    other, _ = training_net(*BEHIND["both"])
    with tinygrad_cnn.no_grad():
        assert np.array_equal(net(tensor(x)).numpy(), one_by_one(other, tensor(x)).numpy())
    assert net[0].num_batches_tracked.item() == 1
    for mine, its in zip(net.buffers(), other.buffers(), strict=True):
        assert np.array_equal(mine.numpy(), its.numpy())


def test_the_graph_shows_all_three_and_every_rule_is_right():
    net, x = training_net(*BEHIND["both"])
    y = net(tensor(x, requires_grad=True))
    found = [(node.op.name, node.scope, node.shape) for node in nodes_below(y)]
    assert found == [
        ("batch_norm", "0", (5, 6, 9, 12)),
        ("relu", "1", (5, 6, 9, 12)),
        ("max_pool2d", "2", (5, 6, 3, 6)),
    ]
    assert check_graph((y**2).sum())


def test_a_normalisation_in_evaluation_is_called():
    net, x = training_net(*BEHIND["both"])
    net.eval()
    assert [node.op.name for node in nodes_below(net(tensor(x)))] == [
        "batch_norm_eval",
        "relu",
        "max_pool2d",
    ]


def test_errors_of_a_normalisation_name_it():
    net, x = training_net(*BEHIND["both"])
    for wrong, where, text in (
        (x[:, :4], "0: BatchNorm2d", "batch_norm: running_mean expects shape"),
        (x[..., :1], "2: MaxPool2d", "max_pool2d: a window of"),
    ):
        with pytest.raises(ValueError, match=text) as failure:
            net(tensor(wrong))
        assert failure.value.__notes__ == [f"in {where}.forward"]


# ------------------------------------------------------------- normalisation by constants


def normalised(relu=True, **settings):
    """A convolution with statistics that are not 0 and 1."""
    net = nn.Sequential(nn.Conv2d(2, 3, 3, **settings), nn.BatchNorm2d(3))
    rng = np.random.default_rng(1)
    norm = net[1]
    for t in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
        t.data = rng.uniform(0.5, 2.0, 3).astype(np.float32)
    if relu:
        net.append(nn.ReLU())
    return net.eval()


@pytest.mark.parametrize("pool", [True, False])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("settings", [{}, {"bias": False, "padding": 1}])
def test_folded_normalisation_differs_by_rounding(pool, relu, settings):
    net, x = normalised(relu, **settings), tensor(images(4, 2, 9, 9))
    if pool:
        net.append(nn.MaxPool2d(2))
    expected = one_by_one(net, x).detach().numpy()
    with tinygrad_cnn.no_grad():
        y = net(x)
    assert y.grad_fn is None
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-5, atol=1e-5)
    assert (y.numpy().min() >= 0) == relu


def test_folded_without_scale_and_shift():
    net = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3, affine=False)).eval()
    net[1].running_var.data = np.array([4.0, 9.0, 16.0], np.float32)
    x = tensor(images(2, 2, 3, 3))
    with tinygrad_cnn.no_grad():
        np.testing.assert_allclose(net(x).numpy(), one_by_one(net, x).numpy(), rtol=1e-5, atol=1e-6)


def test_training_statistics_are_not_folded():
    net, x = normalised().train(), tensor(images(4, 2, 9, 9))
    before = net[1].running_mean.numpy().copy()
    with tinygrad_cnn.no_grad():
        y = net(x)
    assert not np.array_equal(net[1].running_mean.numpy(), before)
    np.testing.assert_allclose(y.numpy().min(), 0)


def test_a_normalisation_that_does_not_fit_is_called():
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(4)).eval()
    with (
        tinygrad_cnn.no_grad(),
        pytest.raises(ValueError, match=r"running_mean expects shape \(3,\)"),
    ):
        net(tensor(images(1, 2, 5, 5)))


# -------------------------------------------------------------------------------- names


def test_names_instead_of_numbers():
    net = small_net()
    assert [name for name, _ in net.named_children()] == ["conv", "relu", "next"]
    assert list(net.state_dict()) == ["conv.weight", "conv.bias", "next.weight", "next.bias"]
    assert type(net[1]) is nn.ReLU
    with pytest.raises(TypeError, match="Sequential: expected a Module, got 3"):
        nn.Sequential({"a": 3})
    with pytest.raises(ValueError, match="already has 'forward'"):
        nn.Sequential({"forward": nn.ReLU()})
