"""Layers: what they hold, how it is drawn, which function they call with what, their errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn, tensor
from tinygrad_cnn.nn import init
from tinygrad_cnn.random import manual_seed


def draws(seed=0):
    return np.random.default_rng(seed)


def images(*shape, seed=0):
    return draws(seed).normal(size=shape).astype(np.float32)


# ------------------------------------------------------------------ containers


def test_sequential_works_as_a_list():
    a, b, c, d = (nn.Identity() for _ in range(4))
    net = nn.Sequential(a, b)
    assert net.append(c) is net
    assert len(net) == 3
    assert list(net) == [a, b, c]
    assert net[0] is a
    assert net[-1] is c
    assert list(net[1:]) == [b, c]
    assert type(net[1:]) is nn.Sequential
    assert [name for name, _ in net[1:].named_children()] == ["0", "1"]
    net[1] = d
    assert list(net) == [a, d, c]
    del net[0]
    assert [name for name, _ in net.named_children()] == ["0", "1"]
    net.insert(0, b).extend([a])
    assert list(net) == [b, d, c, a]
    del net[:2]
    assert list(net) == [c, a]
    with pytest.raises(IndexError, match="Sequential: index 2 of 2 modules"):
        net[2]
    with pytest.raises(IndexError, match="Sequential: index -3 of 2 modules"):
        del net[-3]
    with pytest.raises(TypeError, match="Sequential: expected a Module, got 3"):
        net.append(3)
    with pytest.raises(TypeError, match="Sequential: expected a Module, got 3"):
        net[0] = 3
    assert list(net) == [c, a]


def test_sequential_applies_in_order_also_one_module_twice():
    class Append(nn.Module):
        def __init__(self, letter):
            self.letter = letter

        def forward(self, text):
            return text + self.letter

    x, y = Append("x"), Append("y")
    assert nn.Sequential(x, y, x)("-") == "-xyx"
    assert nn.Sequential()("-") == "-"


def test_module_list_only_holds():
    modules = nn.ModuleList([nn.Linear(1, 1)])
    assert len(list(modules.parameters())) == 2
    with pytest.raises(NotImplementedError, match="ModuleList: forward is not defined"):
        modules(1)


# ------------------------------------------------------------------ layers with weights

WEIGHTED = [
    (lambda **o: nn.Linear(12, 5, **o), (5, 12), 12),
    (lambda **o: nn.Conv1d(4, 6, 3, groups=2, **o), (6, 2, 3), 6),
    (lambda **o: nn.Conv2d(4, 6, (3, 5), groups=2, **o), (6, 2, 3, 5), 30),
    (lambda **o: nn.ConvTranspose2d(4, 6, (3, 5), groups=2, **o), (4, 3, 3, 5), 45),
]
WEIGHTED_IDS = ["Linear", "Conv1d", "Conv2d", "ConvTranspose2d"]


@pytest.mark.parametrize(("make", "shape", "fan_in"), WEIGHTED, ids=WEIGHTED_IDS)
def test_weights_are_uniform_within_one_over_root_fan_in(make, shape, fan_in):
    bound = 1 / math.sqrt(fan_in)
    layers = [make(generator=draws(seed)) for seed in range(200)]
    for name in ("weight", "bias"):
        values = np.stack([getattr(layer, name).numpy() for layer in layers])
        assert np.abs(values).max() <= bound
        np.testing.assert_allclose(np.abs(values).max(), bound, rtol=0.02)
        np.testing.assert_allclose(values.std(), bound / math.sqrt(3), rtol=0.05)
    assert layers[0].weight.shape == shape
    assert layers[0].weight.dtype == np.float32


@pytest.mark.parametrize(("make", "shape", "fan_in"), WEIGHTED, ids=WEIGHTED_IDS)
def test_weights_come_from_the_generator(make, shape, fan_in):  # noqa: ARG001  # the same cases
    same, again, other = (
        make(generator=draws(1)),
        make(generator=draws(1)),
        make(generator=draws(2)),
    )
    assert same.weight.tolist() == again.weight.tolist() != other.weight.tolist()
    manual_seed(1)
    np.testing.assert_array_equal(make().bias.numpy(), same.bias.numpy())
    double = make(generator=draws(1), dtype=np.float64)
    assert double.bias.dtype == np.float64
    np.testing.assert_array_equal(double.weight.numpy().astype(np.float32), same.weight.numpy())
    assert make(bias=False).bias is None
    assert list(make(bias=False).state_dict()) == ["weight"]
    assert list(make().state_dict()) == ["weight", "bias"]


def test_layers_call_their_function_with_all_settings():
    x1, x2 = images(2, 4, 20), images(2, 4, 12, 13)
    linear = nn.Linear(20, 3)
    pairs = [
        (linear, F.linear(x1, linear.weight, linear.bias), x1),
    ]
    conv = nn.Conv1d(4, 6, 3, 2, 1, 2, 2, False)
    pairs.append((conv, F.conv1d(x1, conv.weight, None, 2, 1, 2, 2), x1))
    conv = nn.Conv1d(4, 6, 3, padding="same")
    pairs.append((conv, F.conv1d(x1, conv.weight, conv.bias, padding="same"), x1))
    conv = nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 2), (2, 3), 2)
    expected = F.conv2d(x2, conv.weight, conv.bias, (2, 1), (1, 2), (2, 3), 2)
    pairs.append((conv, expected, x2))
    conv = nn.ConvTranspose2d(4, 6, (3, 2), (2, 3), (1, 0), (1, 2), 2, True, (1, 2))
    expected = F.conv_transpose2d(
        x2, conv.weight, conv.bias, (2, 3), (1, 0), (1, 2), groups=2, dilation=(1, 2)
    )
    pairs.append((conv, expected, x2))
    for layer, expected, x in pairs:
        result = layer(x)
        assert result.shape == expected.shape
        np.testing.assert_array_equal(result.detach().numpy(), expected.detach().numpy())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Linear(0, 2), "Linear: in_features expects at least 1, got 0"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "Conv2d: in_channels must be divisible by groups, "),
        (
            lambda: nn.Conv1d(4, 3, 3, groups=2),
            "Conv1d: out_channels must be divisible by groups, ",
        ),
        (
            lambda: nn.Conv2d(3, 4, 0),
            "Conv2d: kernel_size expects an integer of at least 1 or 2 of",
        ),
        (lambda: nn.Conv2d(3, 4, (3, 3, 3)), r"kernel_size expects .* got \(3, 3, 3\)"),
        (lambda: nn.Conv2d(3, 4, 2.5), "kernel_size expects an integer .* got 2.5"),
        (
            lambda: nn.Conv1d(3, 4, 3, stride=0),
            "Conv1d: stride expects an integer of at least 1, g",
        ),
        (
            lambda: nn.Conv2d(3, 4, 3, padding=-1),
            "Conv2d: padding expects an integer of at least 0",
        ),
        (lambda: nn.Conv2d(3, 4, 3, padding="full"), "'same' or 'valid', got 'full'"),
        (lambda: nn.Conv2d(3, 4, 3, 2, "same"), "padding='same' needs stride 1, got"),
        (lambda: nn.ConvTranspose2d(3, 4, 3, padding="same"), "padding expects an integer"),
        (
            lambda: nn.ConvTranspose2d(3, 4, 3, 2, 0, 2),
            "output_padding must be less than stride or",
        ),
        (lambda: nn.BatchNorm2d(0), "BatchNorm2d: num_features expects at least 1, got 0"),
        (lambda: nn.LayerNorm((3, 0)), "LayerNorm: normalized_shape expects at least 1, got 0"),
        (lambda: nn.Dropout(1.5), r"Dropout: p expects a probability in \[0, 1\], got 1.5"),
        (lambda: nn.GELU("exact"), "GELU: approximate expects 'none' or 'tanh', got 'exact'"),
        (lambda: nn.MSELoss("average"), "MSELoss: reduction expects .* got 'average'"),
        (lambda: nn.HuberLoss(delta=0), "HuberLoss: delta expects a positive number, got 0"),
    ],
)
def test_wrong_settings_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_numbers_of_channels_are_integers():
    with pytest.raises(TypeError, match=r"Linear: in_features expects an integer, got 2.0"):
        nn.Linear(2.0, 3)


# ------------------------------------------------------------------ normalisation


def test_batch_norm_follows_the_batches_by_hand():
    x = images(6, 3, 4, 5).astype(np.float64)
    norm = nn.BatchNorm2d(3, momentum=0.25, dtype=np.float64)
    assert list(norm.state_dict()) == [
        "weight",
        "bias",
        "running_mean",
        "running_var",
        "num_batches_tracked",
    ]
    y = norm(tensor(x)).detach().numpy()
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
    shape = (1, 3, 1, 1)
    np.testing.assert_allclose(
        y, (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + 1e-5), atol=1e-12
    )
    unbiased = x.var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(norm.running_mean.numpy(), 0.25 * mean)
    np.testing.assert_allclose(norm.running_var.numpy(), 0.75 + 0.25 * unbiased)
    assert norm.num_batches_tracked.item() == 1
    norm.eval()
    y = norm(tensor(x)).detach().numpy()
    assert norm.num_batches_tracked.item() == 1
    running = norm.running_mean.numpy().reshape(shape), norm.running_var.numpy().reshape(shape)
    np.testing.assert_allclose(y, (x - running[0]) / np.sqrt(running[1] + 1e-5), atol=1e-12)


def test_batch_norm_without_momentum_averages_all_batches():
    norm = nn.BatchNorm1d(2, momentum=None, dtype=np.float64)
    batches = draws().normal(size=(4, 8, 2))
    for batch in batches:
        norm(batch)
    np.testing.assert_allclose(norm.running_mean.numpy(), batches.mean((0, 1)))
    np.testing.assert_allclose(norm.running_var.numpy(), batches.var(1, ddof=1).mean(0))
    norm.eval()(batches[0])
    assert norm.num_batches_tracked.item() == 4


def test_batch_norm_without_running_statistics_or_parameters():
    norm = nn.BatchNorm1d(2, affine=False, track_running_stats=False).eval()
    assert norm.state_dict() == {}
    y = norm(images(8, 2))
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(y.std(0), 1, rtol=1e-4)


def test_batch_norm_names_a_wrong_input():
    for layer, shape, expected in (
        (nn.BatchNorm2d(3), (2, 3), r"\(N, C, H, W\)"),
        (nn.BatchNorm1d(3), (2, 3, 4, 4), r"\(N, C\) or \(N, C, W\)"),
    ):
        with pytest.raises(ValueError, match=f"{type(layer).__name__}: expects .* {expected}, got"):
            layer(images(*shape))
        assert layer.num_batches_tracked.item() == 0


def test_layer_norm():
    x = images(5, 3, 4)
    norm = nn.LayerNorm((3, 4))
    init.normal_(norm.weight, generator=draws())
    expected = F.layer_norm(x, (3, 4), norm.weight, norm.bias)
    np.testing.assert_array_equal(norm(x).detach().numpy(), expected.detach().numpy())
    assert list(nn.LayerNorm(4, bias=False).state_dict()) == ["weight"]
    assert nn.LayerNorm(4, elementwise_affine=False).state_dict() == {}


# ------------------------------------------------------------------ without weights


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (nn.ReLU(), F.relu),
        (nn.LeakyReLU(0.3), lambda x: F.leaky_relu(x, 0.3)),
        (nn.Sigmoid(), F.sigmoid),
        (nn.Tanh(), F.tanh),
        (nn.Softplus(), F.softplus),
        (nn.GELU(), F.gelu),
        (nn.GELU("tanh"), lambda x: F.gelu(x, approximate="tanh")),
        (nn.SiLU(), F.silu),
        (nn.Softmax(1), lambda x: F.softmax(x, 1)),
        (nn.LogSoftmax(1), lambda x: F.log_softmax(x, 1)),
        (nn.Flatten(), lambda x: F.flatten(x, 1)),
        (nn.Unflatten(1, (1, 3)), lambda x: F.unflatten(x, 1, (1, 3))),
        (nn.Flatten(0, 1), lambda x: F.flatten(x, 0, 1)),
        (nn.Identity(), lambda x: x),
        (nn.MaxPool2d(3, 2, 1, 2, ceil_mode=True), lambda x: F.max_pool2d(x, 3, 2, 1, 2, True)),
        (nn.MaxPool2d((2, 3)), lambda x: F.max_pool2d(x, (2, 3))),
        (nn.AvgPool2d(3, 2, 1, True, False), lambda x: F.avg_pool2d(x, 3, 2, 1, True, False)),
        (nn.AdaptiveAvgPool2d((2, 3)), lambda x: F.adaptive_avg_pool2d(x, (2, 3))),
    ],
    ids=lambda value: repr(value) if isinstance(value, nn.Module) else "",
)
def test_layers_without_weights_call_their_function(layer, function):
    x = images(2, 3, 9, 8)
    np.testing.assert_array_equal(layer(x), function(x))


def test_max_pool_returns_indices():
    values, indices = nn.MaxPool2d(2, return_indices=True)(images(1, 1, 4, 4))
    assert values.shape == indices.shape == (1, 1, 2, 2)


def test_dropout_follows_mode_and_generator():
    x = np.ones((50, 50), np.float32)
    layer = nn.Dropout(0.25, generator=draws(1))
    np.testing.assert_array_equal(layer(x), F.dropout(x, 0.25, True, generator=draws(1)))
    np.testing.assert_array_equal(layer.eval()(x), x)
    manual_seed(3)
    first = nn.Dropout()(x)
    manual_seed(3)
    np.testing.assert_array_equal(first, nn.Dropout()(x))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses_call_their_function(reduction):
    logits, other = images(4, 3), images(4, 3, seed=1)
    classes = np.array([0, 2, 1, 1])
    weight = np.array([1.0, 2.0, 0.5], np.float32)
    p = F.sigmoid(logits)
    target = F.sigmoid(other)
    r = {"reduction": reduction}
    pairs = [
        (
            nn.CrossEntropyLoss(weight, ignore_index=1, label_smoothing=0.1, **r)(logits, classes),
            F.cross_entropy(logits, classes, weight, 1, reduction, 0.1),
        ),
        (
            nn.NLLLoss(weight, ignore_index=1, **r)(F.log_softmax(logits, 1), classes),
            F.nll_loss(F.log_softmax(logits, 1), classes, weight, 1, reduction),
        ),
        (nn.MSELoss(reduction)(logits, other), F.mse_loss(logits, other, reduction)),
        (nn.L1Loss(reduction)(logits, other), F.l1_loss(logits, other, reduction)),
        (
            nn.HuberLoss(reduction, 0.5)(logits, other),
            F.huber_loss(logits, other, reduction=reduction, delta=0.5),
        ),
        (
            nn.BCELoss(weight, **r)(p, target),
            F.binary_cross_entropy(p, target, weight, reduction),
        ),
        (
            nn.BCEWithLogitsLoss(weight, pos_weight=weight * 2, **r)(logits, target),
            F.binary_cross_entropy_with_logits(logits, target, weight, reduction, weight * 2),
        ),
    ]
    for module, function in pairs:
        np.testing.assert_allclose(as_array(module), as_array(function), rtol=1e-6)


def as_array(x):
    return x.detach().numpy() if hasattr(x, "detach") else np.asarray(x)


def test_weights_of_losses_are_buffers():
    loss = nn.BCEWithLogitsLoss(pos_weight=np.ones(2, np.float32))
    assert list(loss.state_dict()) == ["pos_weight"]
    assert list(loss.parameters()) == []


def test_reprs():
    expected = {
        nn.Conv2d(3, 8, 3): "Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))",
        nn.Conv2d(4, 8, (3, 5), 2, 1, (2, 1), 4, False): (
            "Conv2d(4, 8, kernel_size=(3, 5), stride=(2, 2), padding=(1, 1), dilation=(2, 1), "
            "groups=4, bias=False)"
        ),
        nn.Conv1d(3, 8, 3, padding="same"): (
            "Conv1d(3, 8, kernel_size=(3,), stride=(1,), padding='same')"
        ),
        nn.ConvTranspose2d(3, 8, 3, 2, output_padding=1): (
            "ConvTranspose2d(3, 8, kernel_size=(3, 3), stride=(2, 2), output_padding=(1, 1))"
        ),
        nn.BatchNorm2d(4): (
            "BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)"
        ),
        nn.LayerNorm(4): "LayerNorm((4,), eps=1e-05, elementwise_affine=True)",
        nn.MaxPool2d(
            2
        ): "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)",
        nn.AvgPool2d(2): "AvgPool2d(kernel_size=2, stride=2, padding=0)",
        nn.AdaptiveAvgPool2d(1): "AdaptiveAvgPool2d(output_size=1)",
        nn.Dropout(0.1): "Dropout(p=0.1)",
        nn.LeakyReLU(): "LeakyReLU(negative_slope=0.01)",
        nn.LogSoftmax(1): "LogSoftmax(dim=1)",
        nn.GELU(): "GELU(approximate='none')",
        nn.CrossEntropyLoss(): "CrossEntropyLoss()",
    }
    assert [repr(layer) for layer in expected] == list(expected.values())


def test_a_state_of_pytorch_fits_by_its_names():
    torch = pytest.importorskip("torch", reason="PyTorch is compared with where it is installed")

    def build(lib):
        return lib.Sequential(
            lib.Conv2d(2, 4, 3, padding=1, groups=2),
            lib.BatchNorm2d(4),
            lib.ReLU(),
            lib.ConvTranspose2d(4, 2, 3, 2, 1, 1),
            lib.Flatten(),
            lib.Linear(2 * 12 * 12, 5),
            lib.LayerNorm(5),
            lib.BatchNorm1d(5, momentum=None),
        )

    ours, theirs = build(nn), build(torch.nn)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = images(3, 2, 6, 6)
    for _ in range(2):
        y, z = ours(tensor(x)), theirs(torch.tensor(x))
        np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), atol=2e-5)
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[name], value.numpy(), atol=2e-5)
    ours.eval(), theirs.eval()
    np.testing.assert_allclose(
        ours(tensor(x)).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), atol=2e-5
    )
