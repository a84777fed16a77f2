import math

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_cnn.kernels import elementwise as ew
from tinygrad_cnn.kernels.threads import get_num_threads, set_num_threads


@pytest.fixture(autouse=True, params=[1, 2, 3])
def threads(request):
    before = get_num_threads()
    set_num_threads(request.param)
    yield request.param
    set_num_threads(before)


LAYOUTS = {
    "contiguous": lambda x: x,
    "channels-last": lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "strided": lambda x: np.repeat(x, 2, axis=3)[..., ::2],
    "reversed": lambda x: x[:, :, ::-1],
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
}
LARGE, SMALL = (70, 16, 17, 19), (2, 3, 4, 5)


def sample(shape, layout, dtype=np.float32, seed=0):
    x = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    x = LAYOUTS[layout](x)
    x.flags.writeable = False
    return x


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("other", LAYOUTS)
def test_apply_is_the_ufunc(layout, other):
    x, y = sample(LARGE, layout), sample(LARGE, other, seed=1)
    channel = sample((1, 16, 1, 1), "contiguous")
    for ufunc, arrays in (
        (np.add, (x, y)),
        (np.multiply, (x, 3)),
        (np.subtract, (2.5, x)),
        (np.exp, (x,)),
        (np.greater, (x, y)),
        (np.multiply, (x, channel)),
        (np.add, (channel, y)),
        (np.maximum, (x, np.float32(0.5))),
        (np.add, (x, np.array(1.0))),
        (np.multiply, (np.ones((16, 1, 19), np.float64), x)),
    ):
        want, got = ufunc(*arrays), ew.apply(ufunc, *arrays)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)
    if layout == other and layout in ("contiguous", "channels-last"):
        assert ew.apply(np.add, x, y).strides == np.add(x, y).strides


def test_apply_writes_where_it_is_told():
    x = sample(LARGE, "channels-last")
    out = np.empty_like(x)
    assert ew.apply(np.multiply, x, 2, out=out) is out
    np.testing.assert_array_equal(out, x * 2)
    assert ew.apply(np.add, out, x, out=out) is out
    np.testing.assert_array_equal(out, x * 2 + x)
    other_order = np.empty(LARGE, np.float32)
    ew.apply(np.negative, x, out=other_order)
    np.testing.assert_array_equal(other_order, -x)


def test_apply_reads_before_it_overwrites():
    line = np.arange(ew.PARALLEL_SIZE + 5, dtype=np.float64)
    ew.apply(np.add, line[:-1], 1, out=line[1:])
    np.testing.assert_array_equal(line, np.arange(line.size))
    ew.apply(np.negative, line, out=line[::-1])
    np.testing.assert_array_equal(line, -np.arange(line.size)[::-1])


def test_apply_leaves_outer_products_and_small_arrays_to_the_ufunc():
    column = np.ones((3, 1)), np.arange(2.0)
    np.testing.assert_array_equal(ew.apply(np.add, *column), [[1, 2]] * 3)
    outer = ew.apply(np.add, np.zeros((ew.PARALLEL_SIZE, 1)), np.arange(2.0))
    assert outer.shape == (ew.PARALLEL_SIZE, 2)
    assert ew.apply(np.add, 1, 2) == 3


SPECIAL = [0.0, -0.0, 1.0, -1.0, 1e4, -1e4, 1e30, -1e30, np.inf, -np.inf, np.nan, 1e-30]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [SMALL, LARGE])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relu_and_its_gradient(layout, shape, dtype):
    x, g = sample(shape, layout, dtype), sample(shape, "contiguous", dtype, seed=1)
    out = ew.relu(x)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, np.where(x > 0, x, 0))
    for grad in (g, LAYOUTS[layout](g), np.broadcast_to(dtype(np.inf), shape)):
        got = ew.relu_gradient(grad, out)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, np.where(x > 0, grad, 0))
    if layout in ("contiguous", "channels-last"):
        assert out.strides == x.strides == ew.relu_gradient(g, out).strides or shape == SMALL


@pytest.mark.parametrize("count", [12, 5000])
def test_relu_keeps_nan_and_has_derivative_0_at_0(count):
    x = np.resize(np.array(SPECIAL, np.float32), count)
    out = ew.relu(x)
    np.testing.assert_array_equal(np.isnan(out), np.isnan(x))
    np.testing.assert_array_equal(out[:6], [0, 0, 1, 0, 1e4, 0])
    g = np.full(count, np.nan, np.float32)
    np.testing.assert_array_equal(ew.relu_gradient(g, out)[:2], [0, 0])


FUNCTIONS = {
    "sigmoid": (ew.sigmoid, scipy.special.expit),
    "softplus": (ew.softplus, lambda x: np.logaddexp(x, 0)),
    "silu": (ew.silu, lambda x: np.maximum(x, -1e300) * scipy.special.expit(x)),
    "erf": (ew.erf, scipy.special.erf),
    "normal_cdf": (ew.normal_cdf, scipy.special.ndtr),
    "gelu": (ew.gelu, lambda x: np.maximum(x, -1e300) * scipy.special.ndtr(x)),
    "gelu-tanh": (
        lambda x: ew.gelu(x, "tanh"),
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


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.lists(st.floats(allow_nan=False, width=64), min_size=1, max_size=20))
def test_erf_and_sigmoid_have_small_relative_errors_anywhere(values):
    x = np.array(values)
    for got, want in ((ew.erf(x), scipy.special.erf(x)), (ew.sigmoid(x), scipy.special.expit(x))):
        np.testing.assert_allclose(got, want, rtol=2e-15, atol=1e-305)


def test_erf_is_good_to_the_last_digits_across_its_ranges():
    x = np.concatenate([np.linspace(0.4, 0.5, 10001), np.geomspace(1e-300, 7, 10001)])
    for signed in (x, -x):
        np.testing.assert_allclose(ew.erf(signed), scipy.special.erf(signed), rtol=1e-15)
    single = ew.erf(x.astype(np.float32))
    np.testing.assert_allclose(single, scipy.special.erf(x), rtol=5e-7, atol=1e-37)
    np.testing.assert_array_equal(ew.erf(np.array([-np.inf, 4, 1e9], np.float32)), [-1, 1, 1])


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
    if layout in ("contiguous", "channels-last"):
        assert got.strides == x.strides


@pytest.mark.parametrize("name", [*FUNCTIONS, "relu"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1, 1)])
def test_odd_shapes(name, shape):
    function = ew.relu if name == "relu" else FUNCTIONS[name][0]
    got = function(np.zeros(shape, np.float32))
    assert isinstance(got, np.ndarray)
    assert got.shape == shape
    assert got.dtype == np.float32
