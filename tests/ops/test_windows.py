"""Convolutions and pools of all dimensions, and their layers, against PyTorch where it is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn, tensor
from tinygrad_cnn.verify import gradcheck

SIZES = {1: (11,), 2: (9, 8), 3: (6, 5, 7)}


@pytest.fixture
def peer():
    return pytest.importorskip("torch", reason="PyTorch is compared with where it is installed")


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def compare(peer, ours, theirs, *arrays):
    """Compare results and gradients of the same call."""
    mine = [tensor(a, requires_grad=True) for a in arrays]
    yours = [peer.tensor(a, requires_grad=True) for a in arrays]
    a, b = ours(*mine), theirs(*yours)
    if isinstance(a, tuple):
        np.testing.assert_array_equal(a[1].numpy(), b[1].numpy())
        a, b = a[0], b[0]
    np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-10)
    g = numbers(*a.shape, seed=1)
    a.backward(tensor(g))
    b.backward(peer.tensor(g))
    for x, y in zip(mine, yours, strict=True):
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("settings", range(6))
def test_convolutions(peer, dims, settings):
    stride, padding, dilation, groups = [
        (1, 0, 1, 1),
        (2, 1, 1, 2),
        (1, 2, 2, 1),
        (3, 1, 1, 4),
        (2, (1, 2, 0)[:dims], (1, 2, 1)[:dims], 2),
        (1, "same", 1, 2),
    ][settings]
    kernel = (3,) * dims if padding == "same" else (2, 3, 2)[:dims]
    x, w = numbers(2, 4, *SIZES[dims]), numbers(8, 4 // groups, *kernel)
    name, arguments = f"conv{dims}d", (stride, padding, dilation, groups)
    theirs = getattr(peer.nn.functional, name)
    ours = getattr(F, name)
    compare(
        peer,
        lambda x, w, b: ours(x, w, b, *arguments),
        lambda x, w, b: theirs(x, w, b, *arguments),
        *(x, w, numbers(8)),
    )


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_transposed_convolutions_of_all_output_paddings(peer, dims):
    name = f"conv_transpose{dims}d"
    ours, theirs = getattr(F, name), getattr(peer.nn.functional, name)
    x, w = numbers(2, 2, *(3, 2, 2)[:dims]), numbers(2, 2, *(3, 2, 2)[:dims])
    for stride, dilation, padding in itertools.product((1, 2, 3), (1, 2, 3), (0, 1)):
        for extra in range(max(stride, dilation)):
            arguments = stride, padding, extra, 1, dilation
            compare(
                peer,
                lambda x, w, a=arguments: ours(x, w, None, *a),
                lambda x, w, a=arguments: theirs(x, w, None, *a),
                *(x, w),
            )


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "ceil"),
    [(2, None, 0, 1, False), (3, 2, 1, 1, True), (2, 1, 1, 2, False), (3, 3, 0, 1, True)],
)
def test_max_pools_their_indices_and_unpools(peer, dims, kernel, stride, padding, dilation, ceil):
    x = np.random.default_rng(0).permutation(6 * np.prod(SIZES[dims])) * 0.1
    x = x.reshape(2, 3, *SIZES[dims])
    name, settings = f"max_pool{dims}d", (kernel, stride, padding, dilation, ceil)
    ours, theirs = getattr(F, name), getattr(peer.nn.functional, name)
    compare(peer, lambda x: ours(x, *settings, True), lambda x: theirs(x, *settings, True), x)
    if dilation == 1 and not ceil:
        _, indices = ours(x, *settings, True)
        values = numbers(*indices.shape)
        unpool, other = (
            getattr(F, f"max_unpool{dims}d"),
            getattr(peer.nn.functional, f"max_unpool{dims}d"),
        )
        if (np.diff(np.sort(indices.reshape(2, 3, -1)), axis=-1) > 0).all():
            compare(
                peer,
                lambda y: unpool(y, indices, kernel, stride, padding, SIZES[dims]),
                lambda y: other(y, peer.tensor(indices), kernel, stride, padding, SIZES[dims]),
                values,
            )


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("settings", [(2,), (3, 2, 1), (3, 2, 1, True), (3, 2, 1, True, False)])
def test_average_pools(peer, dims, settings):
    name = f"avg_pool{dims}d"
    ours, theirs = getattr(F, name), getattr(peer.nn.functional, name)
    x = numbers(2, 3, *SIZES[dims])
    compare(peer, lambda x: ours(x, *settings), lambda x: theirs(x, *settings), x)
    if dims > 1:
        more = {"divisor_override": 5}
        compare(
            peer, lambda x: ours(x, *settings, **more), lambda x: theirs(x, *settings, **more), x
        )


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_adaptive_pools(peer, dims, size):
    x = numbers(2, 3, *SIZES[dims])
    for kind in ("avg", "max"):
        name = f"adaptive_{kind}_pool{dims}d"
        ours, theirs = getattr(F, name), getattr(peer.nn.functional, name)
        more = (True,) if kind == "max" else ()
        compare(
            peer,
            lambda x, f=ours, m=more: f(x, size, *m),
            lambda x, f=theirs, m=more: f(x, size, *m),
            x,
        )


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("norm", [1.0, 2.0, 3.0])
def test_power_pools(peer, dims, norm):
    name = f"lp_pool{dims}d"
    ours, theirs = getattr(F, name), getattr(peer.nn.functional, name)
    x = np.abs(numbers(2, 3, *SIZES[dims])) + 0.1
    compare(peer, lambda x: ours(x, norm, 2), lambda x: theirs(x, norm, 2), x)
    compare(peer, lambda x: ours(x, norm, 3, 2, True), lambda x: theirs(x, norm, 3, 2, True), x)


def test_fractional_pools_of_given_samples(peer):
    x, theirs = numbers(2, 3, 11, 9), peer.nn.functional.fractional_max_pool2d
    for seed, (kernel, size) in enumerate([(2, 5), ((3, 2), (4, 6)), (2, (1, 8))]):
        samples = np.random.default_rng(seed).random((2, 3, 2))
        compare(
            peer,
            lambda x, k=kernel, s=size, u=samples: F.fractional_max_pool2d(
                x, k, s, None, True, _random_samples=u
            ),
            lambda x, k=kernel, s=size, u=samples: theirs(
                x, k, s, None, True, _random_samples=peer.tensor(u)
            ),
            x,
        )


def test_fractional_pools_draw_from_the_generator():
    x = numbers(2, 3, 11, 9)
    a, b, c = (
        F.fractional_max_pool2d(x, 2, output_ratio=0.6, generator=np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert a.shape == (2, 3, 6, 5)
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [2, "same", "valid"])
def test_layers_with_borders(peer, dims, mode, padding):
    settings = {"padding": padding, "padding_mode": mode, "dilation": 2}
    mine = getattr(nn, f"Conv{dims}d")(2, 3, (3, 2, 2)[:dims], dtype=np.float64, **settings)
    yours = getattr(peer.nn, f"Conv{dims}d")(2, 3, (3, 2, 2)[:dims], dtype=peer.float64, **settings)
    yours.load_state_dict({k: peer.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    compare(peer, mine, yours, numbers(2, 2, *SIZES[dims]))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_transposed_layers_take_an_output_size(peer, dims):
    mine = getattr(nn, f"ConvTranspose{dims}d")(2, 3, 3, 2, 1, dtype=np.float64)
    yours = getattr(peer.nn, f"ConvTranspose{dims}d")(2, 3, 3, 2, 1, dtype=peer.float64)
    yours.load_state_dict({k: peer.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    x = numbers(2, 2, *(3, 4, 2)[:dims])
    for size in ((5, 7, 3)[:dims], (6, 8, 4)[:dims]):
        compare(peer, lambda x, s=size: mine(x, s), lambda x, s=size: yours(x, s), x)
    with pytest.raises(ValueError, match="output_size expects at least"):
        mine(x, (9,) * dims)


# ------------------------------------------------------------------ what needs no PyTorch


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_gradients_of_all_output_paddings(dims):
    ours = getattr(F, f"conv_transpose{dims}d")
    x, w = numbers(1, 1, *(2,) * dims), numbers(1, 1, *(2,) * dims)
    for stride, dilation in itertools.product((1, 2), (1, 2, 3)):
        for extra in range(max(stride, dilation)):
            arguments = stride, 0, extra, 1, dilation
            assert gradcheck(lambda x, w, a=arguments: ours(x, w, None, *a), (x, w))


def test_layers_call_their_function():
    lines, cubes = np.abs(numbers(2, 3, 11)), np.abs(numbers(1, 2, 4, 5, 4))
    images = np.abs(numbers(2, 3, 6, 5))
    drawn = np.random.default_rng
    pairs = [
        (nn.MaxPool1d(3, 2, 1), F.max_pool1d(lines, 3, 2, 1), lines),
        (nn.AvgPool1d(3, 2, 1, True, False), F.avg_pool1d(lines, 3, 2, 1, True, False), lines),
        (nn.AdaptiveAvgPool1d(3), F.adaptive_avg_pool1d(lines, 3), lines),
        (nn.AdaptiveMaxPool1d(3), F.adaptive_max_pool1d(lines, 3), lines),
        (nn.LPPool1d(2, 3, 2), F.lp_pool1d(lines, 2.0, 3, 2), lines),
        (nn.AdaptiveMaxPool2d((2, 3)), F.adaptive_max_pool2d(images, (2, 3)), images),
        (nn.AvgPool2d(2, divisor_override=3), F.avg_pool2d(images, 2, divisor_override=3), images),
        (nn.LPPool2d(3, 2), F.lp_pool2d(images, 3.0, 2), images),
        (
            nn.FractionalMaxPool2d(2, 3, generator=drawn(1)),
            F.fractional_max_pool2d(images, 2, 3, generator=drawn(1)),
            images,
        ),
        (nn.MaxPool3d(2, 1), F.max_pool3d(cubes, 2, 1), cubes),
        (nn.AvgPool3d(2, divisor_override=3), F.avg_pool3d(cubes, 2, divisor_override=3), cubes),
        (nn.AdaptiveAvgPool3d(2), F.adaptive_avg_pool3d(cubes, 2), cubes),
        (nn.AdaptiveMaxPool3d(2), F.adaptive_max_pool3d(cubes, 2), cubes),
        (nn.LPPool3d(2, 2), F.lp_pool3d(cubes, 2.0, 2), cubes),
    ]
    for layer, expected, x in pairs:
        np.testing.assert_array_equal(layer(x), expected, err_msg=repr(layer))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_unpooling_puts_back_what_pooling_took(dims):
    x = np.abs(numbers(2, 2, *(4, 6, 2)[:dims]))
    values, indices = getattr(nn, f"MaxPool{dims}d")(2, return_indices=True)(tensor(x))
    assert indices.dtype == np.int64
    y = getattr(nn, f"MaxUnpool{dims}d")(2)(values, indices).numpy()
    np.testing.assert_array_equal(y[y != 0], x[y != 0])
    assert np.count_nonzero(y) == values.numpy().size
    single = getattr(F, f"max_unpool{dims}d")(values[0], indices[0], 2)
    np.testing.assert_array_equal(single.numpy(), y[0])


def test_layers_refuse_what_they_cannot_do():
    with pytest.raises(ValueError, match="Conv2d: padding_mode expects one of zeros, reflect"):
        nn.Conv2d(1, 1, 3, padding_mode="mirror")
    with pytest.raises(ValueError, match="ConvTranspose1d: padding_mode expects 'zeros'"):
        nn.ConvTranspose1d(1, 1, 3, padding_mode="reflect")
    with pytest.raises(ValueError, match="FractionalMaxPool2d: expects one of"):
        nn.FractionalMaxPool2d(2)
    assert "padding_mode='reflect'" in repr(nn.Conv2d(1, 1, 3, padding_mode="reflect"))


def test_a_border_is_there_where_layers_are_computed_at_once():
    conv = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular")
    net = nn.Sequential(conv, nn.ReLU())
    x = numbers(2, 2, 8, 8).astype(np.float32)
    np.testing.assert_allclose(net(tensor(x)).numpy(), F.relu(conv(tensor(x))).numpy(), rtol=1e-6)
