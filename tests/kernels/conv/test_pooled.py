"""Convolution and max-pooling at once, against one after the other on numbers without rounding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.kernels import conv_oracle
from tests.kernels.conv.calls import conv2d_pooled
from tests.kernels.conv.test_conv import LAYOUTS, cut_or_whole, cut_small, problems
from tests.kernels.pool.calls import max_pool2d
from tests.layouts import channels_last
from tests.threads import num_threads


def whole_numbers(*shapes, seed=0):
    """Small whole numbers: sums are exact in any order, and many are equal."""
    rng = np.random.default_rng(seed)
    return tuple(rng.integers(-2, 3, shape).astype(np.float64) for shape in shapes)


def one_by_one(x, w, bias, arguments, block, relu):
    y = conv_oracle.conv2d(x, w, bias, *arguments)
    out, _ = max_pool2d(y, block, block)
    return np.maximum(out, 0) if relu else out


@given(
    problems(),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.booleans(),
    st.integers(1, 3),
    st.sampled_from([1 << 21, 3000, 300, None]),
)
def test_both_at_once_are_one_after_the_other(problem, block, relu, threads, tile_bytes):
    x_shape, w_shape, arguments = problem
    size = conv_oracle.out_size(x_shape, w_shape, *arguments[:3])
    assume(x_shape[0] > 0 and size[0] >= block[0] and size[1] >= block[1])
    x, w, bias = whole_numbers(x_shape, w_shape, w_shape[:1])
    with cut_or_whole(threads, tile_bytes):
        for given_x in (x, channels_last(x)):
            for b in (None, bias):
                out = conv2d_pooled(given_x, w, b, *arguments, block, relu)
                want = one_by_one(x, w, b, arguments, block, relu)
                np.testing.assert_array_equal(out, want)


PLAIN = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_memory_layout(layout):
    x, w = whole_numbers((3, 2, 7, 9), (4, 2, 3, 3))
    expected = one_by_one(x, w, None, PLAIN, (2, 2), True)
    with cut_small(2, 3000):
        out = conv2d_pooled(LAYOUTS[layout](x), LAYOUTS[layout](w), None, *PLAIN, (2, 2), True)
    np.testing.assert_array_equal(out, expected)


def test_nan_stays():
    x, w = whole_numbers((2, 1, 8, 8), (3, 1, 1, 1))
    x[0, 0, 2:4, 1], x[1, 0, 5, 4:6] = np.nan, np.nan
    arguments = ((1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    expected = one_by_one(x, w, None, arguments, (2, 2), True)
    assert np.isnan(expected).any()
    with cut_small(1, 3000):
        out = conv2d_pooled(x, w, None, *arguments, (2, 2), True)
    np.testing.assert_array_equal(out, expected)


def test_two_runs_give_the_same_bits_and_threads_differ_by_rounding():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((16, 8, 24, 24), np.float32)
    w = rng.standard_normal((32, 8, 3, 3), np.float32)
    results = []
    for threads in (1, 2, 2):
        with num_threads(threads):
            results.append(conv2d_pooled(x, w, None, *PLAIN, (2, 2), True))
    assert np.array_equal(results[1], results[2])
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5, atol=1e-5)
