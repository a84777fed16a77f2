"""The gradient check before training: what it must find, and what it must not claim."""

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.training.small import state_of
from tinygrad_cnn import models, nn
from tinygrad_cnn.ops.activation import Relu
from tinygrad_cnn.ops.conv.trilinear import Conv2d
from tinygrad_cnn.random import get_rng_state
from tinygrad_cnn.training import Settings, Trainer
from tinygrad_cnn.verify.training.slopes import check_gradients


def batch_of(trainer):
    images, labels = next(trainer.batches(0))
    return images[:16], trainer.task.targets(labels[:16])


def checked(network, splits, seed=1):
    trainer = Trainer(Settings.of(network, seed=seed, batch_size=16), splits)
    return check_gradients(trainer.model, trainer.network.loss, *batch_of(trainer))


@pytest.mark.parametrize("network", models.NETWORKS)
@pytest.mark.parametrize("seed", range(3))
def test_right_gradients_pass(network, seed, splits):
    report = checked(network, splits, seed)
    assert report.failures == []
    assert report.worst < 1e-4
    names = [name for name, _ in models.NETWORKS[network].build().named_parameters()]
    assert [check.name for check in report.checks] == names


def no_input_gradient(gradients):
    """The notebook returned an array of zeros in its place."""
    return [None if gradients[0] is None else gradients[0] * 0, *gradients[1:]]


def flipped_weight_gradient(gradients):
    """The notebook indexed by i − u where the forward pass has i + u."""
    return [gradients[0], gradients[1][..., ::-1, ::-1], gradients[2]]


def slightly_too_large(gradients):
    return [None if g is None else g * 1.001 for g in gradients]


@pytest.mark.parametrize(
    ("mistake", "network", "found", "said"),
    [
        (
            no_input_gradient,
            "batchnorm",
            ["conv1.weight", "bn1.weight", "bn1.bias"],
            "its gradient is exactly zero, yet the loss has a slope of ",
        ),
        (flipped_weight_gradient, "sigmoid", ["conv.weight"], "its gradient promises a slope of "),
        (
            slightly_too_large,
            "momentum",
            ["conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"],
            "its gradient promises a slope of ",
        ),
    ],
)
def test_a_wrong_convolution_is_found(monkeypatch, splits, mistake, network, found, said):
    rule = Conv2d.backward

    def wrong(self, g, out, x, w, b, *, needs):
        return tuple(mistake(list(rule(self, g, out, x, w, b, needs=needs))))

    monkeypatch.setattr(Conv2d, "backward", wrong)
    report = checked(network, splits)
    assert [failure.name for failure in report.failures] == found
    assert report.never_learns == []
    text = str(report.failures[0])
    assert text.startswith(f"{found[0]}: along a random direction {said}")
    if mistake is no_input_gradient:
        assert report.failures[0].error == 1
    if mistake is slightly_too_large:
        assert report.failures[2].error == pytest.approx(1e-3, rel=3)


def test_a_mask_from_the_gradients_sign_is_found(monkeypatch, splits):
    monkeypatch.setattr(Relu, "backward", lambda self, g, out, x: (g * (g > 0),))
    assert [f.name for f in checked("momentum", splits).failures] == [
        "conv1.weight",
        "conv1.bias",
        "conv2.weight",
        "conv2.bias",
    ]


def test_a_mistake_in_float32_alone_is_found(monkeypatch, splits):
    rule = Conv2d.backward

    def wrong(self, g, out, x, w, b, *, needs):
        gx, gw, gb = rule(self, g, out, x, w, b, needs=needs)
        return gx, gw * 1.1 if gw.dtype == np.float32 else gw, gb

    monkeypatch.setattr(Conv2d, "backward", wrong)
    (failure,) = checked("sigmoid", splits).failures
    assert str(failure) == (
        "conv.weight: the gradient in float32 differs from that in float64 by 0.1 of its size"
    )


class FirstLayerDead(nn.Module):
    """ReLU never opens: its bias is far below zero."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        nn.init.zeros_(self.conv.weight)
        self.conv.bias.data = np.full(2, -1.0)
        self.linear = nn.Linear(2 * 26 * 26, 10)
        self.unused = nn.Linear(2, 2, bias=False)

    def forward(self, x):
        return self.linear(F.flatten(F.relu(self.conv(x)), 1))


def test_what_never_learns_is_named():
    rng = np.random.default_rng(0)
    images, labels = rng.random((8, 1, 28, 28)), np.arange(8)
    report = check_gradients(FirstLayerDead(), F.cross_entropy, images, labels)
    assert report.failures == []
    # The linear layer's weight only sees zeros, and nothing reaches what is not used.
    assert report.never_learns == ["conv.weight", "conv.bias", "linear.weight", "unused.weight"]


def test_a_loss_without_slopes_is_no_warning():
    model = nn.Linear(3, 2)
    images = np.ones((4, 3))
    report = check_gradients(model, lambda y, _: (y * 0.0).sum(), images, np.zeros(4, int))
    assert (report.failures, report.never_learns, report.worst) == ([], [], 0.0)


def test_nan_is_wrong():
    model = nn.Linear(3, 2)
    images = np.full((4, 3), np.nan)
    report = check_gradients(model, F.cross_entropy, images, np.zeros(4, int))
    assert [failure.name for failure in report.failures] == ["weight", "bias"]


class Kinked(nn.Module):
    """Σ |w·x| with some products of exactly zero: the slope jumps right at the start."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(np.array([0.0, 0.5, 1e-7, 2.0]))

    def forward(self, x):
        return F.abs(self.weight * x)


def test_kinks_are_no_mistakes():
    images = np.random.default_rng(0).normal(size=(8, 4))
    report = check_gradients(Kinked(), lambda y, _: y.sum(), images, np.zeros(8, int))
    assert report.failures == []


def test_dropout_is_replayed():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 10))
    images, labels = np.random.default_rng(0).random((8, 1, 4, 4)), np.arange(8)
    report = check_gradients(model, F.cross_entropy, images, labels)
    assert report.failures == []
    assert report.worst < 1e-6


def test_nothing_changes(splits):
    trainer = Trainer(Settings.of("batchnorm", batch_size=16), splits)
    before, generator = state_of(trainer), get_rng_state()
    check_gradients(trainer.model, trainer.network.loss, *batch_of(trainer))
    assert state_of(trainer) == before
    assert get_rng_state() == generator
    assert all(p.grad is None for p in trainer.model.parameters())
    assert trainer.model.training
