"""Resampling and its layers against PyTorch where it is, and what no sample holds."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn, tensor
from tinygrad_cnn.kernels.resample.blocks import blocks_of
from tinygrad_cnn.kernels.resample.sweep import resample, resample_gradient
from tinygrad_cnn.kernels.resample.taps import Along


@pytest.fixture
def peer():
    return pytest.importorskip("torch", reason="PyTorch is compared with where it is installed")


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def compare(peer, name, arrays, *settings, **words):
    """Compare results and gradients of one function."""
    mine = [tensor(a, requires_grad=True) for a in arrays]
    yours = [peer.tensor(a, requires_grad=True) for a in arrays]
    a = getattr(F, name)(*mine, *settings, **words)
    b = getattr(peer.nn.functional, name)(*yours, *settings, **words)
    np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-10)
    g = numbers(*a.shape, seed=1)
    a.backward(tensor(g))
    b.backward(peer.tensor(g))
    for x, y in zip(mine, yours, strict=True):
        grad = np.zeros(x.shape) if x.grad is None else x.grad.numpy()  # of a grid, mode nearest
        np.testing.assert_allclose(grad, y.grad.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("sizes", [(3, 4, 5), (7, 2, 9), (1, 11, 4)])
@pytest.mark.parametrize("channels", [2, 9])
def test_interpolate(peer, sizes, channels):
    modes = {
        1: ("nearest", "nearest-exact", "linear", "area"),
        2: ("nearest", "nearest-exact", "bilinear", "bicubic", "area"),
        3: ("nearest", "nearest-exact", "trilinear", "area"),
    }
    for dims, names in modes.items():
        x = numbers(2, channels, *(4, 5, 3)[:dims])
        for mode in names:
            compare(peer, "interpolate", [x], sizes[:dims], mode=mode)
            if "linear" in mode or mode == "bicubic":
                words = {"mode": mode, "align_corners": True}
                compare(peer, "interpolate", [x], sizes[:dims], **words)
            if mode in ("bilinear", "bicubic"):
                words = {"mode": mode, "antialias": True}
                compare(peer, "interpolate", [x], sizes[:dims], **words)
    for factor in (0.5, 1.7, (2.0, 1 / 3)):
        for mode in ("nearest", "nearest-exact", "bilinear", "bicubic"):
            x = numbers(1, channels, 4, 6)
            compare(peer, "interpolate", [x], scale_factor=factor, mode=mode)


@pytest.mark.parametrize("dims", [2, 3])
def test_grid_sample(peer, dims):
    x, grid = numbers(2, 3, *(4, 3, 2)[:dims]), numbers(2, *(3, 2, 2)[:dims], dims)
    for mode in ("bilinear", "nearest", "bicubic")[: 5 - dims]:
        for padding in ("zeros", "border", "reflection"):
            for corners in (True, False):
                compare(peer, "grid_sample", [x, grid], mode, padding, corners)


def test_gradient_at_the_edge_of_a_border_is_0_as_pytorchs(peer):
    grid = np.array([[[[-1.0, 1.0], [1.0, 0.3]]]])
    compare(peer, "grid_sample", [numbers(1, 1, 3, 3), grid], "bilinear", "border", True)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_borders_that_cut_elsewhere(peer, mode):
    for pad in ((2, -1, -2, 1), (-1, -1, 1, 2), (0, 2, -1, 0)):
        compare(peer, "pad", [numbers(2, 3, 4, 5)], pad, mode)


def test_layers(peer):
    layers = [
        ("Upsample", {"size": (5, 7), "mode": "bicubic"}, (2, 3, 4, 4)),
        ("Upsample", {"scale_factor": 1.5}, (2, 3, 4, 4)),
        ("UpsamplingBilinear2d", {"scale_factor": 2}, (2, 3, 4, 4)),
        ("UpsamplingNearest2d", {"size": 3}, (2, 3, 4, 4)),
        ("PixelShuffle", {"upscale_factor": 2}, (2, 8, 3, 3)),
        ("PixelUnshuffle", {"downscale_factor": 2}, (2, 2, 4, 6)),
        ("ChannelShuffle", {"groups": 2}, (2, 4, 3, 3)),
        ("Unfold", {"kernel_size": (2, 3), "padding": 1, "stride": 2}, (2, 2, 5, 5)),
        ("Fold", {"output_size": (4, 5), "kernel_size": 2, "dilation": 2}, (2, 8, 6)),
        *[(f"CircularPad{d}d", {"padding": 1}, (2, 3, *(3, 4, 3)[:d])) for d in (1, 2, 3)],
        *[(f"ReflectionPad{d}d", {"padding": 2}, (2, 3, *(3, 4, 3)[:d])) for d in (1, 2, 3)],
        *[(f"ReplicationPad{d}d", {"padding": 3}, (2, *(3, 4, 3)[:d])) for d in (1, 2, 3)],
        *[(f"ZeroPad{d}d", {"padding": -1}, (2, 3, *(3, 4, 3)[:d])) for d in (1, 2, 3)],
        *[
            (f"ConstantPad{d}d", {"padding": (1, 0) * d, "value": 2.0}, (2, 3, *(3, 4, 3)[:d]))
            for d in (1, 2, 3)
        ],
    ]
    for name, settings, shape in layers:
        x = numbers(*shape)
        ours, theirs = getattr(nn, name)(**settings), getattr(peer.nn, name)(**settings)
        expected = theirs(peer.tensor(x)).numpy()
        np.testing.assert_allclose(ours(x), expected, rtol=1e-12, atol=1e-12, err_msg=name)


def test_a_pad_layer_says_what_it_expects():
    with pytest.raises(ValueError, match=r"ReflectionPad2d: expects \(N, C, H, W\) or \(C, H, W\)"):
        nn.ReflectionPad2d(1)(np.ones((3, 3)))
    with pytest.raises(ValueError, match="ZeroPad1d: padding expects"):
        nn.ZeroPad1d((1, 2, 3))


def test_a_pixel_that_is_nan_stays_where_it_is():
    """A product with a matrix would spread it along its row and column."""
    x = np.zeros((1, 9, 6, 6))
    x[0, 4, 2, 2] = np.nan
    out = F.interpolate(x, (9, 13), mode="bilinear")
    assert np.isnan(out).any()
    assert np.isnan(out[0, 4]).sum() <= 4 * 6
    assert not np.isnan(np.delete(out, 4, axis=1)).any()


@pytest.mark.parametrize("function", [resample, resample_gradient])
@pytest.mark.parametrize("kind", ["linear", "cubic"])
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_what_is_infinite_reaches_those_it_weighs_in_alone(function, kind, value):
    """Products of several steps have weights of 0, too, which make NaN of what is infinite."""
    axes = [Along(kind, n, 2 * n) for n in (12, 17)]
    x = np.zeros((1, 9, 12, 17) if function is resample else (1, 9, 24, 34), np.float32)
    x[0, 4, 6, 8] = 1.0
    reached = function(x, axes) != 0
    x[0, 4, 6, 8] = value
    np.testing.assert_array_equal(~np.isfinite(function(x, axes)), reached)


def test_infinite_pixels_raise_no_warning():
    """Weights of both signs make a NaN of an infinity, without a word of NumPy's."""
    x = np.zeros((1, 1, 5, 5))
    x[0, 0, 2, 2:4] = np.inf
    assert np.isnan(F.interpolate(x, (9, 9), mode="bicubic")).any()


def test_the_last_pixel_of_many_long_rows_is_repeated():
    x = numbers(1, 1100, 2, 64).transpose(0, 3, 1, 2).astype(np.float32)
    out = F.pad(x, (0, 3, 0, 1), mode="replicate")
    np.testing.assert_array_equal(out, np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 3)), mode="edge"))


def test_doubling_takes_few_products_whatever_the_size():
    for kind, most in {"nearest": 1, "linear": 3, "cubic": 4}.items():
        small, large = (blocks_of(Along(kind, n, 2 * n), False) for n in (32, 256))
        assert len(small) <= most
        assert len(large) <= most
        assert len(blocks_of(Along(kind, 256, 512), True)) <= most


@pytest.mark.parametrize("kind", ["nearest", "linear", "cubic", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("sizes", [(5, 8), (24, 48), (25, 37), (48, 16), (40, 40), (17, 3)])
@pytest.mark.parametrize("channels", [1, 9])
def test_blocks_are_the_matrix_of_their_rows(kind, sizes, channels):
    size, out_size = sizes
    is_border = kind in ("reflect", "replicate", "circular")
    along = (
        Along(kind, size, out_size, (out_size - size) // 2) if is_border else Along(kind, *sizes)
    )
    matrix = np.zeros((out_size, size))
    for i, row in enumerate(along.rows()):
        for k, weight in row:
            matrix[i, k] += weight
    x, g = numbers(3, channels, size), numbers(3, channels, out_size, seed=1)
    np.testing.assert_allclose(resample(x, [along]), x @ matrix.T, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(resample_gradient(g, [along]), g @ matrix, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["nearest", "linear", "cubic"])
def test_the_gradient_is_the_transpose(kind):
    axes = [Along(kind, 5, 8), Along(kind, 6, 4)]
    x, g = numbers(2, 9, 5, 6), numbers(2, 9, 8, 4, seed=1)
    forth, back = np.vdot(resample(x, axes), g), np.vdot(x, resample_gradient(g, axes))
    np.testing.assert_allclose(forth, back, rtol=1e-12)
