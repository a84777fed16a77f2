import math

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.pointwise.samples import LARGE, LAYOUTS, SMALL, sample
from tests.threads import num_threads
from tinygrad_cnn.kernels.pointwise import activation as ac


@pytest.fixture(autouse=True, params=[1, 3])
def threads(request):
    with num_threads(request.param):
        yield request.param


SPECIAL = [0.0, -0.0, 1.0, -1.0, 1e4, -1e4, 1e30, -1e30, np.inf, -np.inf, np.nan, 1e-30]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [SMALL, LARGE])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relu_and_its_gradient(layout, shape, dtype):
    x, g = sample(shape, layout, dtype), sample(shape, "contiguous", dtype, seed=1)
    out = ac.relu(x)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, np.where(x > 0, x, 0))
    for grad in (g, LAYOUTS[layout](g), np.broadcast_to(dtype(np.inf), shape)):
        got = ac.relu_gradient(grad, out)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, np.where(x > 0, grad, 0))
    if layout in ("contiguous", "channels last"):
        assert out.strides == x.strides == ac.relu_gradient(g, out).strides


@pytest.mark.parametrize("count", [12, 5000])
def test_relu_keeps_nan_and_has_derivative_0_at_0(count):
    x = np.resize(np.array(SPECIAL, np.float32), count)
    out = ac.relu(x)
    np.testing.assert_array_equal(np.isnan(out), np.isnan(x))
    np.testing.assert_array_equal(out[:6], [0, 0, 1, 0, 1e4, 0])
    g = np.full(count, np.nan, np.float32)
    np.testing.assert_array_equal(ac.relu_gradient(g, out)[:2], [0, 0])


FUNCTIONS = {
    "sigmoid": (ac.sigmoid, scipy.special.expit),
    "softplus": (ac.softplus, lambda x: np.logaddexp(x, 0)),
    "silu": (ac.silu, lambda x: np.maximum(x, -1e300) * scipy.special.expit(x)),
    "erf": (ac.erf, scipy.special.erf),
    "gelu": (ac.gelu, lambda x: np.maximum(x, -1e300) * scipy.special.ndtr(x)),
    "gelu-tanh": (
        ac.gelu_tanh,
        lambda x: np.array([tanh_gelu(v) for v in x.ravel()]).reshape(x.shape),
    ),
}


def tanh_gelu(v):
    if math.isinf(v):
        return max(v, 0.0)
    return 0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v * v * v)))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("dtype", "digits"), [(np.float32, 2e-6), (np.float64, 1e-14)])
def test_functions_agree_with_scipy_and_warn_of_nothing(name, dtype, digits):
    function, oracle = FUNCTIONS[name]
    x = np.concatenate([np.linspace(-12, 12, 4001), SPECIAL]).astype(dtype)
    x.flags.writeable = False
    with np.errstate(invalid="ignore"):
        want = oracle(x.astype(np.float64))
    with np.errstate(all="raise"):
        got = function(x)
    assert got.dtype == dtype
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(got, want.astype(dtype), rtol=digits, atol=digits)


@given(st.lists(st.floats(allow_nan=False, width=64), min_size=1, max_size=20))
def test_erf_and_sigmoid_have_small_relative_errors_anywhere(values):
    x = np.array(values)
    for got, want in ((ac.erf(x), scipy.special.erf(x)), (ac.sigmoid(x), scipy.special.expit(x))):
        np.testing.assert_allclose(got, want, rtol=2e-15, atol=1e-305)


def test_erf_is_good_to_the_last_digits_across_its_ranges():
    x = np.concatenate([np.linspace(0.4, 0.5, 10001), np.geomspace(1e-300, 7, 10001)])
    for signed in (x, -x):
        np.testing.assert_allclose(ac.erf(signed), scipy.special.erf(signed), rtol=1e-15)
    single = ac.erf(x.astype(np.float32))
    np.testing.assert_allclose(single, scipy.special.erf(x), rtol=5e-7, atol=1e-37)
    np.testing.assert_array_equal(ac.erf(np.array([-np.inf, 4, 1e9], np.float32)), [-1, 1, 1])


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_and_size_do_not_matter(name, layout):
    function, _ = FUNCTIONS[name]
    x = sample(LARGE, layout)
    before = x.copy()
    got = function(x)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(got, function(x))
    np.testing.assert_allclose(got[3:5], function(x[3:5].copy()), rtol=1e-6, atol=1e-7)
    if layout in ("contiguous", "channels last"):
        assert got.strides == x.strides


@pytest.mark.parametrize("name", [*FUNCTIONS, "relu"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1, 1)])
def test_odd_shapes(name, shape):
    function = ac.relu if name == "relu" else FUNCTIONS[name][0]
    got = function(np.zeros(shape, np.float32))
    assert isinstance(got, np.ndarray)
    assert got.shape == shape
    assert got.dtype == np.float32


def density(x):
    return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


# By the function's input; those that read its result are given it.
GRADIENTS = {
    "sigmoid": (
        lambda g, x: ac.sigmoid_gradient(g, ac.sigmoid(x)),
        lambda x: scipy.special.expit(x) * scipy.special.expit(-x),
    ),
    "tanh": (
        lambda g, x: ac.tanh_gradient(g, np.tanh(x)),
        lambda x: 1 / np.cosh(x) ** 2,
    ),
    "silu": (
        ac.silu_gradient,
        lambda x: scipy.special.expit(x) * (1 + x * scipy.special.expit(-x)),
    ),
    "gelu": (ac.gelu_gradient, lambda x: scipy.special.ndtr(x) + x * density(x)),
}


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize(("dtype", "digits"), [(np.float32, 2e-6), (np.float64, 1e-14)])
def test_gradients_agree_with_closed_forms(name, dtype, digits):
    gradient, oracle = GRADIENTS[name]
    x = np.linspace(-12, 12, 4001).astype(dtype)
    g = np.random.default_rng(0).standard_normal(x.shape).astype(dtype)
    x.flags.writeable = g.flags.writeable = False
    want = g * oracle(x.astype(np.float64))
    got = gradient(g, x)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, want.astype(dtype), rtol=digits, atol=digits)


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_vanish_or_pass_at_infinity(name):
    gradient, _ = GRADIENTS[name]
    with np.errstate(all="raise"):
        got = gradient(np.full(2, 3.0, np.float32), np.array([-np.inf, np.inf], np.float32))
    np.testing.assert_array_equal(got + 0.0, [0, 3 if name in ("silu", "gelu") else 0])


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_in_any_layout(name, layout):
    gradient, _ = GRADIENTS[name]
    x, g = sample(LARGE, layout), sample(LARGE, layout, seed=1)
    got = gradient(g, x)
    np.testing.assert_allclose(got[3:5], gradient(g[3:5].copy(), x[3:5].copy()), rtol=1e-6)
    if layout in ("contiguous", "channels last"):
        assert got.strides == x.strides
