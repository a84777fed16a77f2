"""Normalisation and max-pooling at once, against one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.layouts import LAYOUTS
from tinygrad_cnn.kernels import pooled_norm
from tinygrad_cnn.kernels.max_pool import max_pool2d
from tinygrad_cnn.kernels.norm import normalize
from tinygrad_cnn.kernels.pooled_norm import normalize_max_pool2d
from tinygrad_cnn.kernels.threads import get_num_threads, set_num_threads

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
    out, taps = normalize_max_pool2d(x, *constants, block, relu, taps=True)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(taps, places)
    assert taps.dtype == places.dtype
    out, taps = normalize_max_pool2d(x, *constants, block, relu)
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
    assert np.isnan(normalize_max_pool2d(x, *constants, (2, 2), True)[0]).sum() == 2
