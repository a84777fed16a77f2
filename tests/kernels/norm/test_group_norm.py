"""Group normalisation in both orders of memory, against plain float64."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_cnn.kernels.norm.group_norm import are_pixels, group_norm, group_norm_gradient

SHAPES = [((2, 8, 80, 60), 4), ((3, 16, 53, 47), 1), ((1, 6, 80, 71), 6), ((2, 12, 14, 14, 15), 3)]


def plain(x, groups, w, b, eps):
    rows = x.reshape(len(x), groups, -1)
    normal = (rows - rows.mean(2, keepdims=True)) / np.sqrt(rows.var(2, keepdims=True) + eps)
    channels = (-1,) + (1,) * (x.ndim - 2)
    return normal.reshape(x.shape) * w.reshape(channels) + b.reshape(channels)


def laid_out(x, last):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1) if last else x


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("offset", [0.0, 3.9, 300.0])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize(("shape", "groups"), SHAPES)
def test_agrees_with_float64(shape, groups, last, offset, affine):
    rng = np.random.default_rng(0)
    x = laid_out((rng.standard_normal(shape) + offset).astype(np.float32), last)
    g = laid_out(rng.standard_normal(shape).astype(np.float32), last)
    assert are_pixels(x) is last
    w, b = (rng.standard_normal(shape[1]).astype(np.float32) for _ in range(2))
    given = (w, b) if affine else (None, None)
    w, b = (w, b) if affine else (np.ones_like(w), np.zeros_like(b))
    out, mean, inverse = group_norm(x, groups, *given, 1e-5)
    exact = plain(x.astype(float), groups, w.astype(float), b.astype(float), 1e-5)
    tolerance = 2e-5 + 3e-6 * offset
    np.testing.assert_allclose(out, exact, rtol=tolerance, atol=tolerance)
    assert out.dtype == np.float32

    gx, gw, gb = group_norm_gradient(g, x, groups, mean, inverse, given[0])
    x64, g64 = x.astype(float), g.astype(float)
    h = (g64 * w.reshape((-1,) + (1,) * (x.ndim - 2))).reshape(len(x), groups, -1)
    rows = x64.reshape(len(x), groups, -1)
    inv = 1 / np.sqrt(rows.var(2, keepdims=True) + 1e-5)
    normal = (rows - rows.mean(2, keepdims=True)) * inv
    wanted = inv * (h - h.mean(2, keepdims=True) - normal * (h * normal).mean(2, keepdims=True))
    np.testing.assert_allclose(gx, wanted.reshape(x.shape), rtol=tolerance, atol=tolerance)
    others = (0, *range(2, x.ndim))
    many = tolerance * 100
    np.testing.assert_allclose(gb, g64.sum(others), rtol=many, atol=many)
    products = (g64 * normal.reshape(x.shape)).sum(others)
    np.testing.assert_allclose(gw, products, rtol=many, atol=many)
