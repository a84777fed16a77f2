from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.threads import num_threads
from tinygrad_cnn.kernels.reduce import sums as reduce
from tinygrad_cnn.kernels.runtime import tuning


def channel_sum(x):
    return reduce.sum_over(x, (0, *range(2, x.ndim)))


AXES = list(chain.from_iterable(combinations(range(4), n) for n in range(5)))


@pytest.mark.parametrize("shape", [(30, 8, 9, 10), (3, 2, 4, 5), (1, 1, 300, 301), (9000, 1, 1, 2)])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 1, 0, 2)])
@pytest.mark.parametrize("axes", AXES)
def test_sum_over_any_axes_in_any_layout(shape, order, axes):
    rng = np.random.default_rng(0)
    dense = rng.standard_normal([shape[a] for a in order]).astype(np.float32)
    x = dense.transpose(np.argsort(order))
    x.flags.writeable = False
    for view in (x, x[::-1]):
        for keepdims in (False, True):
            got = reduce.sum_over(view, axes, keepdims)
            want = view.astype(np.float64).sum(axis=axes, keepdims=keepdims)
            assert got.shape == want.shape
            assert got.dtype == np.float32
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=3e-4)


@given(st.integers(0, 5000), st.integers(1, 40), st.integers(0, 2**32))
def test_column_sums_are_exact_for_small_integers(rows, columns, seed):
    matrix = np.random.default_rng(seed).integers(-3, 4, (rows, columns)).astype(np.float32)
    np.testing.assert_array_equal(channel_sum(matrix), matrix.astype(int).sum(axis=0))


def test_a_million_rows_keep_their_digits():
    x = np.random.default_rng(0).random((1_000_000, 3)).astype(np.float32)
    want = x.astype(np.float64).sum(axis=0)
    assert np.abs(x.sum(axis=0) / want - 1).max() > 2e-6, "NumPy's own chain is as good now"
    np.testing.assert_allclose(reduce.sum_over(x, (0,)), want, rtol=1.5e-7)


def test_bits_do_not_depend_on_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(tuning, "PASS_GRAIN", 1)
    x = np.random.default_rng(0).standard_normal((64, 24, 24, 32)).astype(np.float32)
    x = x.transpose(0, 3, 1, 2)
    results = []
    for threads in (1, 2, 3, 2):
        with num_threads(threads):
            results.append(channel_sum(x))
    for result in results:
        np.testing.assert_array_equal(result, results[0])
    np.testing.assert_allclose(results[0], x.sum(axis=(0, 2, 3), dtype=float), rtol=1e-4, atol=1e-3)


def test_nan_infinity_integers_and_nothing():
    x = np.ones((200, 3, 8, 8), np.float32)
    x[5, 1, 0, 0], x[6, 2, 0, 0] = np.nan, np.inf
    np.testing.assert_array_equal(channel_sum(x), [12800, np.nan, np.inf])
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(channel_sum(last), [12800, np.nan, np.inf])
    assert reduce.sum_over(np.ones((100, 100), np.int64), (0, 1)) == 10_000
    np.testing.assert_array_equal(channel_sum(np.ones((0, 4, 2, 2))), [0, 0, 0, 0])
    np.testing.assert_array_equal(channel_sum(np.ones((5, 4))), [5, 5, 5, 5])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble, np.int64])
@pytest.mark.parametrize(
    ("shape", "axis"), [((7, 80), 0), ((3, 5, 8, 9), 1), ((4, 6), 0), ((5,), 0)]
)
def test_running_sums_are_numpys_to_the_last_bit(shape, axis, dtype):
    x = (10 * np.random.default_rng(0).standard_normal(shape)).astype(dtype)
    for view in (x, x[..., ::-1], np.asfortranarray(x)):
        np.testing.assert_array_equal(reduce.running_sums(view, axis), np.cumsum(view, axis))
        back = np.flip(np.cumsum(np.flip(view, axis), axis), axis)
        np.testing.assert_array_equal(reduce.running_sums(view, axis, reverse=True), back)


@pytest.mark.parametrize("shape", [(0, 80), (3, 0), (0,)])
def test_running_sums_of_nothing(shape):
    assert reduce.running_sums(np.zeros(shape), 0).shape == shape
