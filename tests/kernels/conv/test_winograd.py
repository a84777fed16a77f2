"""Minimal filtering against loops, against exact arithmetic, and where it is chosen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels import conv_oracle
from tests.kernels.conv.calls import (
    conv2d,
    conv2d_gradients,
    conv2d_input_gradient,
    conv2d_pooled,
    conv2d_weight_gradient,
)
from tests.kernels.conv.test_conv import LAYOUTS, arrays, cut_small
from tests.kernels.conv.test_pooled import one_by_one
from tests.layouts import channels_last
from tinygrad_cnn.kernels.conv import winograd
from tinygrad_cnn.kernels.conv.methods import quickest_method
from tinygrad_cnn.kernels.conv.tiles import Geometry
from tinygrad_cnn.kernels.conv.winograd import MinimalFiltering
from tinygrad_cnn.kernels.runtime import plans, tuning
from tinygrad_cnn.kernels.runtime.window import Window

ONE = (1, 1)
SAME = (ONE, (ONE, ONE), ONE, 1)


@contextmanager
def always(threads: int = 1, tile_bytes: int = 1 << 22) -> Iterator[mock.Mock]:
    """Filter wherever it is possible, and count the tiles."""
    tiles = mock.Mock(side_effect=winograd._transformation)
    with (
        cut_small(threads, tile_bytes),
        mock.patch.object(tuning, "WINOGRAD_START", -np.inf),
        mock.patch.object(winograd, "_transformation", tiles),
    ):
        yield tiles


@pytest.mark.parametrize("taps", [2, 3, 4, 5])
def test_the_identity_holds_exactly(taps):
    inputs, weights, outputs = (
        [[Fraction(value).limit_denominator(10**6) for value in row] for row in matrix]
        for matrix in winograd.transforms(taps, np.dtype(np.float64))
    )
    n, m = len(inputs), len(outputs)
    assert m + taps - 1 == n
    for i in range(m):
        for k in range(taps):
            for j in range(n):
                factor = sum(outputs[i][p] * weights[p][k] * inputs[p][j] for p in range(n))
                assert factor == (j == i + k)


def test_transforms_of_inputs_and_outputs_have_no_rounding():
    for taps in (2, 3, 4, 5):
        double = winograd.transforms(taps, np.dtype(np.float64))
        single = winograd.transforms(taps, np.dtype(np.float32))
        np.testing.assert_array_equal(double.inputs, single.inputs)
        np.testing.assert_array_equal(double.outputs, single.outputs)


@st.composite
def problems(draw):
    """Draw a convolution of stride 1: kernels and images of all heights, padding of all kinds."""
    side = st.tuples(st.integers(0, 5), st.integers(0, 5))
    padding = draw(side), draw(side)
    kernel = draw(st.integers(2, 5)), draw(st.integers(1, 3))
    size = [max(draw(st.integers(1, 13)), kernel[a] - sum(padding[a])) for a in (0, 1)]
    groups = draw(st.sampled_from([1, 1, 2]))
    C, out_channels = draw(st.integers(1, 3)), draw(st.integers(2, 3))
    x_shape = draw(st.integers(1, 5)), C * groups, *size
    return x_shape, (out_channels * groups, C, *kernel), (ONE, padding, ONE, groups)


@given(problems(), st.integers(1, 3), st.sampled_from([1 << 21, 20_000, 3000, 300]))
def test_all_three_equal_the_loops(problem, threads, tile_bytes):
    x_shape, w_shape, arguments = problem
    x, w, bias, g = arrays(*problem)
    dx = conv_oracle.conv2d_input_gradient(g, w, x_shape, *arguments)
    dw = conv_oracle.conv2d_weight_gradient(x, g, w_shape, *arguments)
    y = conv_oracle.conv2d(x, w, bias, *arguments)
    expected = y, np.maximum(y, 0), dx, dw, dx, dw, g.sum((0, 2, 3))
    with always(threads, tile_bytes) as tiles:
        results = (
            conv2d(x, w, bias, *arguments),
            conv2d(channels_last(x), w, bias, *arguments, relu=True),
            conv2d_input_gradient(g, w, x_shape, *arguments),
            conv2d_weight_gradient(x, g, w_shape, *arguments),
            *conv2d_gradients(g, x, w, w_shape, *arguments, bias=True),
        )
        assert tiles.called
    for result, oracle in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, oracle, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_memory_layout_read_only(layout, dtype):
    problem = (3, 4, 9, 7), (5, 4, 3, 3), SAME
    x, w, bias, g = arrays(*problem, dtype)
    expected = (
        conv_oracle.conv2d(x, w, bias, *SAME),
        conv_oracle.conv2d_input_gradient(g, w, x.shape, *SAME),
        conv_oracle.conv2d_weight_gradient(x, g, w.shape, *SAME),
    )
    x, w, g = (LAYOUTS[layout](a) for a in (x, w, g))
    for array in (x, w, bias, g):
        array.flags.writeable = False
    with always(2, 4000):
        results = (
            conv2d(x, w, bias, *SAME),
            conv2d_input_gradient(g, w, x.shape, *SAME),
            conv2d_weight_gradient(x, g, w.shape, *SAME),
        )
    tolerance = 1e-4 if dtype == np.float32 else 1e-11
    for result, oracle in zip(results, expected, strict=True):
        assert result.dtype == dtype
        np.testing.assert_allclose(result, oracle, rtol=tolerance, atol=tolerance)


@given(
    problems(),
    st.sampled_from([(1, 2), (2, 2), (2, 1), (4, 3)]),
    st.booleans(),
    st.integers(1, 3),
    st.sampled_from([1 << 21, 3000, 300]),
)
def test_pooled_in_the_tile(problem, block, relu, threads, tile_bytes):
    x_shape, w_shape, (*rest, _) = problem
    arguments = (*rest, 1)
    x_shape = x_shape[0], w_shape[1], *x_shape[2:]
    size = conv_oracle.out_size(x_shape, w_shape, *rest)
    if size[0] < block[0] or size[1] < block[1]:
        return
    x, w, bias, _ = arrays(x_shape, w_shape, arguments)
    expected = one_by_one(x, w, bias, arguments, block, relu)
    with always(threads, tile_bytes) as tiles:
        out = conv2d_pooled(x, w, bias, *arguments, block, relu)
        # Four outputs of three taps are two blocks of two rows; three of four taps are none.
        assert tiles.called == ((7 - w_shape[2]) % block[0] == 0)
    np.testing.assert_allclose(out, expected, rtol=1e-9, atol=1e-9)


def test_many_weights_are_multiplied_in_few_products():
    problem = (4, 128, 8, 8), (128, 128, 3, 3), SAME
    x, w, bias, g = arrays(*problem)
    with always() as tiles:
        results = conv2d(x, w, bias, *SAME), conv2d_weight_gradient(x, g, w.shape, *SAME)
        assert tiles.called
    with mock.patch.object(tuning, "WINOGRAD_START", np.inf):
        plans.clear()
        expected = conv2d(x, w, bias, *SAME), conv2d_weight_gradient(x, g, w.shape, *SAME)
    plans.clear()
    for result, direct in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, direct, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("taps", [2, 3, 4, 5])
def test_rounding_errors_are_a_few_times_those_of_direct_sums(taps):
    problem = (4, 32, 24, 24), (32, 32, taps, 3), (ONE, ((1, 1), (1, 1)), ONE, 1)
    x, w, _, g = arrays(*problem)
    single = [a.astype(np.float32) for a in (x, w, g)]
    errors = []
    for start in (np.inf, -np.inf):
        with cut_small(1, 1 << 22), mock.patch.object(tuning, "WINOGRAD_START", start):
            exact, rounded = (
                (
                    conv2d(x, w, None, *problem[2]),
                    conv2d_input_gradient(g, w, x.shape, *problem[2]),
                    conv2d_weight_gradient(x, g, w.shape, *problem[2]),
                )
                for x, w, g in ([a.astype(np.float64) for a in single], single)
            )
        errors.append([np.std(a - b) for a, b in zip(rounded, exact, strict=True)])
    for direct, filtered in zip(*errors, strict=True):
        assert filtered < 4 * direct


def test_nan_and_infinity_reach_every_window_they_are_in_and_no_other_image():
    x, w, _, _ = arrays((3, 2, 12, 12), (2, 2, 3, 3), SAME)
    for value in (np.nan, np.inf):
        x[1, 0, 5, 5] = value
        with always() as tiles:
            y = conv2d(x, w, None, *SAME)
            assert tiles.called
        assert not np.isfinite(y[1, :, 4:7, 4:7]).any()
        assert np.isfinite(y[[0, 2]]).all()
        assert np.isfinite(y[1, :, :, [0, 1, 2, 3, 7, 8, 9, 10, 11]]).all()


def is_filtered(x_shape=(64, 32, 32, 32), out_channels=32, sums=False, dtype=np.float32, **changes):
    """Whether a 3×3 convolution with padding 1, but for what is changed, is filtered."""
    window = Window((3, 3), ONE, (ONE, ONE), ONE)._replace(**changes)
    geometry = Geometry(x_shape, True, np.dtype(dtype), (*x_shape[:3], out_channels), window)
    return isinstance(quickest_method(geometry, sums), MinimalFiltering)


def test_it_is_chosen_where_it_saves_time():
    assert is_filtered()
    assert is_filtered(sums=True)
    assert is_filtered(dtype=np.float64)
    # One channel and one small image: transforms take longer than what they save.
    assert not is_filtered((64, 32, 32, 1))
    assert not is_filtered((1, 8, 8, 8))
    assert not is_filtered(stride=(2, 1))
    assert not is_filtered(dilation=(2, 1))
    assert not is_filtered(kernel=(1, 3))
    assert not is_filtered(kernel=(6, 3))
    assert not is_filtered(padding=((1, 1), (-1, 3)))
    assert not is_filtered(dtype=np.float16)


def test_half_of_the_multiplications():
    window = Window((3, 3), ONE, ((0, 0), (0, 0)), ONE)
    sizes = (64, 26, 26, 32), True, np.dtype(np.float32), (64, 24, 24, 64)
    plan = MinimalFiltering(Geometry(*sizes, window), False)
    direct = 64 * 24 * 24 * 9 * 32 * 64
    assert plan.multiplications == direct // 2 * 26 // 24
