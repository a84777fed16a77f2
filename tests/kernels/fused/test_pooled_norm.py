"""Normalisation and max-pooling at once, against one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.layouts import LAYOUTS
from tests.kernels.pool.calls import max_pool2d, scatter_taps, window_of
from tinygrad_cnn.kernels.fused import pooled_norm
from tinygrad_cnn.kernels.fused.pooled_norm import (
    normalize_max_pool2d,
    normalize_max_pool2d_gradient,
)
from tinygrad_cnn.kernels.norm.batch_norm import batch_norm_gradient, normalize
from tinygrad_cnn.kernels.norm.pending import Pending, Pooling
from tinygrad_cnn.kernels.runtime.rows import rectify
from tinygrad_cnn.kernels.runtime.threads import get_num_threads, set_num_threads

SETTINGS = [
    {"shape": (1, 1, 2, 2), "block": (2, 2)},
    {"shape": (7, 3, 9, 8), "block": (2, 2)},
    {"shape": (40, 5, 12, 11), "block": (3, 2)},
    {"shape": (6, 4, 6, 6), "block": (1, 3)},
    {"shape": (30, 2, 5, 5), "block": (1, 1)},
    {"shape": (60, 4, 6, 6), "block": (1, 3)},
    {"shape": (0, 2, 5, 5), "block": (2, 2)},
    {"shape": (2, 1, 40, 40), "block": (17, 16)},
]


def arguments(shape, mean=0.0, affine=True):
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, shape).astype(np.float32)
    C = shape[1]
    constants = [mean + rng.normal(size=C), 1 / rng.uniform(0.5, 2, C), rng.normal(size=C), None]
    if affine:
        constants[3] = rng.normal(size=C)
    else:
        constants[2] = None
    return x, [c if c is None else c.astype(np.float32) for c in constants]


def check(x, constants, block, relu):
    y = normalize(x, *constants)
    expected, places = max_pool2d(y, block, block)
    if relu:
        expected = np.maximum(expected, 0)
    out, taps = normalize_max_pool2d(x, *constants, block, rectify if relu else None, argmax=True)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(taps, places)
    assert taps.dtype == places.dtype
    out, taps = normalize_max_pool2d(x, *constants, block, rectify if relu else None)
    np.testing.assert_array_equal(out, expected)
    assert taps is None


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("mean", [0.0, 100.0])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("settings", SETTINGS)
def test_both_at_once_are_one_after_the_other(settings, affine, mean, relu):
    x, constants = arguments(settings["shape"], mean, affine)
    check(x, constants, settings["block"], relu)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_memory_layout(layout):
    x, constants = arguments((20, 4, 8, 10))
    check(LAYOUTS[layout](x), constants, (2, 2), True)


def test_blocks_and_threads(monkeypatch):
    x, constants = arguments((33, 4, 8, 10))
    monkeypatch.setattr(pooled_norm, "_BLOCK", 1000)
    monkeypatch.setattr(pooled_norm, "_GRAIN", 1)
    before = get_num_threads()
    try:
        for threads in (1, 3):
            set_num_threads(threads)
            check(x, constants, (2, 2), True)
    finally:
        set_num_threads(before)


def test_a_nan_is_the_maximum_of_its_block():
    x, constants = arguments((20, 2, 4, 6))
    x[0, 0, 1, 1:3] = np.nan
    check(x, constants, (2, 2), True)
    assert np.isnan(normalize_max_pool2d(x, *constants, (2, 2), rectify)[0]).sum() == 2


def pooled_gradient(x, constants, block, terms):
    """Return the gradients at once, and one after the other in float64."""
    mean, inverse_std, weight, bias = constants
    out, taps = normalize_max_pool2d(x, *constants, block, rectify, argmax=True)
    gate = np.ascontiguousarray(out.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    pooling = Pooling(taps, x.shape, window_of(block, block))
    mine = normalize_max_pool2d_gradient(
        Pending(*terms, gate=gate, pooling=pooling), x, mean, inverse_std, weight, bias
    )
    g = sum(terms).astype(np.float64) * (out > 0)
    g = scatter_taps(g, taps, x.shape, block, block)
    wide = [None if a is None else a.astype(np.float64) for a in (x, mean, inverse_std, weight)]
    return mine, batch_norm_gradient(g, *wide)


def check_gradient(x, constants, block, terms=1):
    N, C, H, W = x.shape
    rng = np.random.default_rng(1)
    shape = N, C, H // block[0], W // block[1]
    gs = [rng.normal(size=shape).astype(np.float32) for _ in range(terms)]
    mine, expected = pooled_gradient(x, constants, block, gs)
    for a, b in zip(mine, expected, strict=True):
        assert a.dtype == x.dtype
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=3e-6 * max(1.0, np.abs(b).max(initial=0)))


def called(monkeypatch, name):
    """Note the calls of a function in `pooled_norm`."""
    calls = []
    function = getattr(pooled_norm, name)
    monkeypatch.setattr(pooled_norm, name, lambda *a, **k: calls.append(a) or function(*a, **k))
    return calls


@pytest.mark.parametrize("terms", [1, 2])
@pytest.mark.parametrize("mean", [0.0, 100.0])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("settings", SETTINGS)
def test_the_gradient_of_both_at_once(settings, affine, mean, terms):
    x, constants = arguments(settings["shape"], mean, affine)
    check_gradient(x + np.float32(mean), constants, settings["block"], terms)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_gradient_in_every_memory_layout(layout):
    x, constants = arguments((20, 4, 8, 10))
    check_gradient(LAYOUTS[layout](x), constants, (2, 2))


@pytest.mark.parametrize("threads", [1, 3])
def test_the_gradient_in_blocks_and_threads(monkeypatch, threads):
    monkeypatch.setattr(pooled_norm, "_BLOCK", 1000)
    monkeypatch.setattr(pooled_norm, "_GRAIN", 1)
    in_two = called(monkeypatch, "batch_norm_gradient")
    x, constants = arguments((33, 4, 8, 10))
    before = get_num_threads()
    try:
        set_num_threads(threads)
        check_gradient(x, constants, (2, 2))
    finally:
        set_num_threads(before)
    assert not in_two


@pytest.mark.parametrize(
    ("weight", "bias"),
    [
        (0.0, 0.0),
        (1e-3, 1.0),
        (-1e-3, 1.0),
        (np.nan, 0.0),
        (1.0, np.nan),
        (1e-40, 0.0),
        (-1e37, 0.0),
    ],
)
def test_where_the_result_has_lost_the_digits_the_input_is_read(monkeypatch, weight, bias):
    in_two = called(monkeypatch, "batch_norm_gradient")
    x, constants = arguments((33, 4, 8, 10))
    constants[2][1], constants[3][1] = weight, bias
    check_gradient(x, constants, (2, 2))
    assert len(in_two) == 1


def test_half_precision_reads_the_input(monkeypatch):
    in_two = called(monkeypatch, "batch_norm_gradient")
    x, constants = arguments((33, 4, 8, 10))
    halves = [c.astype(np.float16) for c in (x, *constants)]
    gs = [np.random.default_rng(1).normal(size=(33, 4, 4, 5)).astype(np.float16)]
    mine, expected = pooled_gradient(halves[0], halves[1:], (2, 2), gs)
    for a, b in zip(mine, expected, strict=True):
        assert a.dtype == np.float16
        np.testing.assert_allclose(a, b, atol=5e-3 * np.abs(b).max())
    assert len(in_two) == 1
