import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.layouts import channels_last, read_only
from tests.threads import num_threads
from tinygrad_cnn.kernels.norm.batch_norm import (
    Factors,
    batch_norm_eval_gradient,
    batch_norm_gradient,
    normalize,
)
from tinygrad_cnn.kernels.norm.layer_norm import layer_norm, layer_norm_gradient
from tinygrad_cnn.kernels.pool.lazy import LazyGradient
from tinygrad_cnn.kernels.pool.max_pool import max_pool
from tinygrad_cnn.kernels.reduce import moments
from tinygrad_cnn.kernels.reduce.moments import batch_statistics
from tinygrad_cnn.kernels.reduce.sums import chain_products
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.window import Window

EPS = 1e-5
SHAPES = [(5, 3), (300, 1), (129, 20), (4, 3, 7), (6, 5, 4, 3), (1, 2, 3, 5), (40, 18, 23, 29)]


def per_channel(values, ndim):
    return values.reshape(1, -1, *[1] * (ndim - 2))


def axes_of(x):
    return (0, *range(2, x.ndim))


def in_layout(x, is_last):
    return read_only(channels_last(x)) if is_last else read_only(x)


def gradient_by_chain_rule(g, x, mean, inverse_std, weight):
    """Back through the mean and the variance one by one, in float64."""
    axes, ndim = axes_of(x), x.ndim
    m = x.size // x.shape[1]
    mu, inv, w = (per_channel(v.astype(float), ndim) for v in (mean, inverse_std, weight))
    centred = x.astype(float) - mu
    gx_hat = g * w
    gvar = (gx_hat * centred * -0.5 * inv**3).sum(axis=axes, keepdims=True)
    gmean = -(gx_hat * inv).sum(axis=axes, keepdims=True)
    gmean += gvar * -2 * centred.mean(axis=axes, keepdims=True)
    gx = gx_hat * inv + gvar * 2 * centred / m + gmean / m
    return gx, (g * centred * inv).sum(axis=axes), g.sum(axis=axes, dtype=float)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("is_last", [True, False])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize(("dtype", "digits"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_batch_norm_agrees_with_float64(
    monkeypatch, shape, is_last, threads, offset, dtype, digits
):
    monkeypatch.setattr(tuning, "PASS_GRAIN", 1)
    rng = np.random.default_rng(0)
    C, ndim = shape[1], len(shape)
    x = in_layout((rng.standard_normal(shape) + offset).astype(dtype), is_last)
    g = in_layout(rng.standard_normal(shape).astype(dtype), is_last)
    weight, bias = rng.standard_normal((2, C)).astype(dtype)
    with num_threads(threads):
        mean, var = batch_statistics(x)
        inverse_std = (1 / np.sqrt(var + dtype(EPS))).astype(dtype)
        factors = Factors(mean, inverse_std, weight, bias)
        out = normalize(x, factors)
        grads = batch_norm_gradient(g, x, factors)
        again = batch_norm_gradient(g, x, factors)
        constant = batch_norm_eval_gradient(g, x, factors)
    exact = x.astype(float)
    scale = digits * max(1, offset)
    np.testing.assert_allclose(mean, exact.mean(axis=axes_of(x)), rtol=digits, atol=digits)
    np.testing.assert_allclose(var, exact.var(axis=axes_of(x)), rtol=scale, atol=digits)
    mu, inv, w, b = (per_channel(v.astype(float), ndim) for v in (mean, inverse_std, weight, bias))
    np.testing.assert_allclose(out, (exact - mu) * inv * w + b, rtol=scale, atol=scale)
    want = gradient_by_chain_rule(g, x, mean, inverse_std, weight)
    sums = np.sqrt(x.size) * scale
    for got, same, expected, atol in zip(grads, again, want, (scale * 10, sums, sums), strict=True):
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, same)
        np.testing.assert_allclose(got, expected, rtol=scale, atol=atol)
    np.testing.assert_allclose(constant[0], g * inv * w, rtol=scale)
    for got, expected in zip(constant[1:], want[1:], strict=True):
        np.testing.assert_allclose(got, expected, rtol=scale, atol=sums)
    if ndim == 4:
        for array in (out, grads[0], constant[0]):
            assert array.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("sizes", [(8, 6), (9, 7), (5,), (4, 6, 2)])
@pytest.mark.parametrize("affine", ["none", "usual", "no weight left", "hardly any weight"])
@pytest.mark.parametrize(("dtype", "digits"), [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_a_lazy_gradient_behind_a_pool(monkeypatch, threads, sizes, affine, dtype, digits):
    for name in ("PASS_GRAIN", "WIDE_BLOCK", "FEW_VALUES"):
        monkeypatch.setattr(tuning, name, 1)
    rng = np.random.default_rng(1)
    dims = len(sizes)
    window = Window((2,) * dims, (2,) * dims, ((0, 0),) * dims, (1,) * dims)
    x = in_layout((3 * rng.standard_normal((5, 3, *sizes)) + 1).astype(dtype), True)
    weight, bias = rng.standard_normal((2, 3)).astype(dtype)
    weight[1] *= {"usual": 1, "no weight left": 0, "hardly any weight": 1e-3}.get(affine, 1)
    if affine == "none":
        weight = bias = None
    mean, var = batch_statistics(x)
    factors = Factors(mean, (1 / np.sqrt(var)).astype(dtype), weight, bias)
    pooled, argmax = max_pool(normalize(x, factors), window)
    pooled = np.maximum(pooled, 0)
    g = LazyGradient(
        rng.standard_normal(pooled.shape).astype(dtype), argmax, pooled, x.shape, window
    )
    with num_threads(threads):
        mine = batch_norm_gradient(g.before_relu(), x, factors)
        expected = batch_norm_gradient(g.before_relu().array(), x, factors)
    for got, want in zip(mine, expected, strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=digits, atol=digits * np.abs(want).max())


def test_variance_keeps_its_digits_under_a_large_mean():
    rng = np.random.default_rng(0)
    x = (1e4 + rng.standard_normal((64, 5, 33, 31))).astype(np.float32)
    mean, var = batch_statistics(x)
    exact = x.astype(float)
    np.testing.assert_allclose(mean, exact.mean(axis=(0, 2, 3)), rtol=1e-7)
    np.testing.assert_allclose(var, exact.var(axis=(0, 2, 3)), rtol=1e-5)
    out = normalize(x, Factors(mean, 1 / np.sqrt(var)))
    np.testing.assert_allclose(out.std(axis=(0, 2, 3)), 1, rtol=1e-3)
    np.testing.assert_allclose(out.mean(axis=(0, 2, 3)), 0, atol=1e-3)


@pytest.mark.parametrize("first_channel", [0.0, 7.0, -1e4])
def test_a_mean_far_from_zero_takes_no_second_pass(monkeypatch, first_channel):
    sizes = []

    def counted(a, b, channels):
        sizes.append(a.size)
        return chain_products(a, b, channels)

    monkeypatch.setattr(moments, "chain_products", counted)
    x = np.random.default_rng(0).normal(100, 1, (50_000, 16)).astype(np.float32)
    x[:, 0] = first_channel
    _, var = batch_statistics(x)
    assert var[0] == 0
    np.testing.assert_allclose(var, x.astype(float).var(axis=0), rtol=1e-5)
    assert sum(sizes) == x.size


def test_blocks_of_different_means_merge():
    x = np.repeat(np.array([-50.0, 80.0, 3.0], np.float32), 300_000).reshape(-1, 1)
    mean, var = batch_statistics(x)
    np.testing.assert_allclose(mean, x.mean(dtype=float), rtol=1e-6)
    np.testing.assert_allclose(var, x.var(dtype=float), rtol=1e-6)


@given(st.integers(1, 60), st.integers(1, 9), st.floats(-1e3, 1e3), st.integers(0, 2**32))
def test_statistics_of_any_matrix(rows, columns, offset, seed):
    x = np.random.default_rng(seed).standard_normal((rows, columns)) + offset
    mean, var = batch_statistics(x)
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(var, x.var(axis=0), rtol=1e-9, atol=1e-9)


def test_without_weight_and_bias():
    x = np.random.default_rng(0).standard_normal((50, 4)) + 100
    mean, var = batch_statistics(x)
    bare, one = Factors(mean, 1 / np.sqrt(var)), np.ones(4)
    full = bare._replace(weight=one, bias=0 * one)
    np.testing.assert_allclose(normalize(x, bare), normalize(x, full), rtol=1e-12)
    near = normalize(x - 100, bare._replace(mean=mean - 100))
    np.testing.assert_allclose(near, normalize(x, bare), atol=1e-11)
    for gradient in (batch_norm_gradient, batch_norm_eval_gradient):
        for a, b in zip(gradient(x, x, bare), gradient(x, x, full), strict=True):
            np.testing.assert_array_equal(a, b)


def test_nan_stays_in_its_channel():
    x = np.random.default_rng(0).standard_normal((9, 3, 4, 4)).astype(np.float32)
    x[2, 1, 0, 0] = np.nan
    x[2, 2, 0, 0] = np.inf
    mean, var = batch_statistics(x)
    np.testing.assert_array_equal(np.isnan(mean), [False, True, False])
    np.testing.assert_array_equal(np.isnan(var), [False, True, True])
    factors = Factors(mean, 1 / np.sqrt(var))
    out = normalize(x, factors)
    grads = batch_norm_gradient(x, x, factors)
    for array in (out, grads[0]):
        assert np.isfinite(array[:, 0]).all()
        assert np.isnan(array[:, 1]).all()


def test_gradients_of_an_empty_batch():
    x, one = np.zeros((0, 3, 4, 4)), np.ones(3)
    assert normalize(x, Factors(one, one)).shape == x.shape
    for gradient in (batch_norm_gradient, batch_norm_eval_gradient):
        gx, gweight, gbias = gradient(x, x, Factors(one, one))
        assert gx.shape == x.shape
        np.testing.assert_array_equal([gweight, gbias], 0)


@pytest.mark.parametrize(
    ("shape", "k"),
    [
        ((6,), 1),
        ((5, 7), 1),
        ((5, 7), 2),
        ((3, 4, 5, 6), 3),
        ((70, 64, 9, 9), 1),
        ((4000, 130), 1),
        ((0, 4), 1),
    ],
)
@pytest.mark.parametrize("is_last", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(("dtype", "digits"), [(np.float32, 3e-5), (np.float64, 1e-12)])
def test_layer_norm_agrees_with_float64(shape, k, is_last, affine, dtype, digits):
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal(shape).astype(dtype) + dtype(3) for _ in range(2))
    if len(shape) > 1:
        x, g = in_layout(x, is_last), in_layout(g, is_last)
    weight, bias = rng.standard_normal((2, *shape[-k:])).astype(dtype) if affine else (None, None)
    out, mean, inverse_std = layer_norm(x, k, weight, bias, EPS)
    axes, wide = tuple(range(-k, 0)), x.astype(float)
    mu, var = wide.mean(axis=axes, keepdims=True), wide.var(axis=axes, keepdims=True)
    normal = (wide - mu) / np.sqrt(var + EPS)
    w, b = (1.0, 0.0) if weight is None else (weight, bias)
    tolerance = {"rtol": digits, "atol": digits}
    np.testing.assert_allclose(out, normal * w + b, **tolerance)
    np.testing.assert_allclose(mean, mu, **tolerance)
    np.testing.assert_allclose(inverse_std, 1 / np.sqrt(var + EPS), **tolerance)
    assert out.dtype == mean.dtype == inverse_std.dtype == dtype

    gx, gweight, gbias = layer_norm_gradient(g, x, k, mean, inverse_std, weight)
    # Through the variance and the mean one by one.
    D = np.prod(shape[-k:])
    h, inv = g.astype(float) * w, 1 / np.sqrt(var + EPS)
    gvar = (h * (wide - mu) * -0.5 * inv**3).sum(axis=axes, keepdims=True)
    gmean = -(h * inv).sum(axis=axes, keepdims=True)
    np.testing.assert_allclose(
        gx, h * inv + gvar * 2 * (wide - mu) / D + gmean / D, rtol=digits, atol=10 * digits
    )
    leading = tuple(range(len(shape) - k))
    atol = digits * max(1, np.sqrt(x.size))
    np.testing.assert_allclose(gweight, (g * normal).sum(axis=leading), rtol=digits, atol=atol)
    np.testing.assert_allclose(gbias, g.sum(axis=leading, dtype=float), rtol=digits, atol=atol)
    assert gx.dtype == gweight.dtype == gbias.dtype == dtype
