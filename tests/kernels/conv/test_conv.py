"""The convolution kernels against loops, against each other, and in every memory layout."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import layouts
from tests.kernels import conv_oracle
from tests.kernels.conv.calls import (
    conv2d,
    conv2d_gradients,
    conv2d_input_gradient,
    conv2d_weight_gradient,
)
from tests.layouts import channels_last, part_of_larger
from tests.threads import num_threads
from tinygrad_cnn.kernels.conv import jobs, windows
from tinygrad_cnn.kernels.conv.tiles import Tiling
from tinygrad_cnn.kernels.reduce.sums import sum_over
from tinygrad_cnn.kernels.runtime import plans, tuning
from tinygrad_cnn.kernels.runtime.threads import get_num_threads


@contextmanager
def cut_small(threads: int, tile_bytes: int, phases: float = 1.0) -> Iterator[None]:
    """Let even a small convolution be cut into tiles and threads; with inf always into phases."""
    small = mock.patch.multiple(
        tuning,
        TILE_BYTES=tile_bytes,
        WINOGRAD_TILE_BYTES=tile_bytes,
        DEPTHWISE_TILE_BYTES=tile_bytes,
        JOB_GRAIN=1,
        PHASES_GAIN=phases,
    )
    plans.clear()
    try:
        with num_threads(threads), small:
            yield
    finally:
        plans.clear()


def cut_or_whole(
    threads: int, tile_bytes: int | None, phases: float = 1.0
) -> AbstractContextManager[None]:
    """Let a small convolution be cut, or leave it whole where no size of tiles is given."""
    return cut_small(threads, tile_bytes, phases) if tile_bytes else nullcontext()


def test_a_small_convolution_is_one_tile_unless_it_is_cut(monkeypatch):
    tiles = []
    inputs = Tiling.inputs

    def counted(self, x, part):
        for tile, source in inputs(self, x, part):
            tiles.append(tile)
            yield tile, source

    monkeypatch.setattr(Tiling, "inputs", counted)
    x, w = np.ones((2, 1, 8, 8)), np.ones((3, 1, 3, 3))
    arguments = ((1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    g = conv2d(x, w, None, *arguments)
    runs = (
        lambda: conv2d(x, w, None, *arguments),
        lambda: conv2d_weight_gradient(x, g, w.shape, *arguments),
        lambda: conv2d_gradients(g, x, w, w.shape, *arguments, bias=False),
    )
    for run in runs:
        run()
    assert not tiles
    for run in runs:
        tiles.clear()
        with cut_small(1, 300):
            run()
        assert len(tiles) > 1


@st.composite
def problems(draw):
    """Draw (x shape, w shape, (stride, padding, dilation, groups)) of a legal convolution."""
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    side = st.tuples(st.integers(0, 3), st.integers(0, 3))
    padding = draw(st.tuples(side, side))
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    groups = draw(st.integers(1, 3))
    per_group = draw(st.sampled_from([(1, 1), (1, 1), (1, 2), (2, 1), (3, 2), (4, 3)]))
    size = [
        max(draw(st.integers(1, 9)), (kernel[a] - 1) * dilation[a] + 1 - sum(padding[a]))
        for a in (0, 1)
    ]
    x_shape = (draw(st.integers(0, 5)), groups * per_group[0], *size)
    w_shape = (groups * per_group[1], per_group[0], *kernel)
    return x_shape, w_shape, (stride, padding, dilation, groups)


def arrays(x_shape, w_shape, arguments, dtype=np.float64, seed=0):
    """Make x, w, bias and a gradient g of the shapes that go together."""
    rng = np.random.default_rng(seed)
    size = conv_oracle.out_size(x_shape, w_shape, *arguments[:3])
    shapes = (x_shape, w_shape, w_shape[:1], (x_shape[0], w_shape[0], *size))
    return tuple(rng.standard_normal(shape).astype(dtype) for shape in shapes)


LAYOUTS = {
    **layouts.LAYOUTS,
    "Fortran": np.asfortranarray,
    "channels last, reversed": lambda a: channels_last(a[:, ::-1, ::-1])[:, ::-1, ::-1],
    "part of a larger array": part_of_larger,
}


@lru_cache
def expected_of(sample):
    """Do in loops what the kernels should do with a sample: for all layouts and dtypes once."""
    x_shape, w_shape, arguments = SAMPLES[sample]
    x, w, bias, g = arrays(*SAMPLES[sample])
    return (
        conv_oracle.conv2d(x, w, bias, *arguments),
        conv_oracle.conv2d_input_gradient(g, w, x_shape, *arguments),
        conv_oracle.conv2d_weight_gradient(x, g, w_shape, *arguments),
    )


SAMPLES = {
    "plain": ((3, 2, 7, 8), (4, 2, 3, 3), ((1, 1), ((0, 0), (0, 0)), (1, 1), 1)),
    "padded": ((3, 5, 6, 6), (4, 5, 3, 3), ((1, 1), ((1, 2), (0, 3)), (1, 1), 1)),
    "many channels": ((3, 16, 6, 8), (16, 16, 3, 3), ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)),
    "strided": ((2, 3, 9, 8), (5, 3, 3, 2), ((2, 3), ((1, 0), (1, 1)), (1, 1), 1)),
    "dilated": ((2, 3, 9, 8), (5, 3, 3, 2), ((2, 1), ((1, 0), (1, 1)), (2, 3), 1)),
    "pointwise": ((2, 5, 4, 3), (6, 5, 1, 1), ((1, 1), ((0, 0), (0, 0)), (1, 1), 1)),
    "pointwise strided": ((2, 5, 5, 4), (6, 5, 1, 1), ((2, 2), ((1, 0), (0, 0)), (1, 1), 1)),
    "grouped": ((2, 6, 5, 6), (4, 3, 3, 3), ((1, 1), ((1, 1), (1, 1)), (1, 1), 2)),
    "depthwise": ((2, 6, 5, 6), (6, 1, 3, 3), ((1, 1), ((1, 1), (1, 1)), (1, 1), 6)),
    "depthwise strided": ((2, 6, 5, 6), (6, 1, 3, 3), ((2, 2), ((1, 1), (1, 1)), (1, 1), 6)),
    "kernel beyond the image": ((1, 1, 1, 1), (2, 1, 3, 3), ((1, 1), ((3, 2), (1, 4)), (1, 1), 1)),
}


@contextmanager
def layout_number(number: int) -> Iterator[None]:
    """Let convolutions use that one of their possible layouts instead of the cheapest."""

    all_of = windows.possible_matrices

    def choose(*problem):
        possible = all_of(*problem)
        return [possible[number % len(possible)]]

    plans.clear()
    with mock.patch.object(windows, "possible_matrices", choose):
        yield
    plans.clear()


@given(
    problems(),
    st.integers(1, 3),
    st.sampled_from([1 << 21, 3000, 300, None]),
    st.sampled_from([0.0, np.inf]),
    st.booleans(),
)
def test_all_three_equal_the_loops(problem, threads, tile_bytes, phases, last):
    x_shape, w_shape, arguments = problem
    x, w, bias, g = arrays(*problem)
    gradients = (
        conv_oracle.conv2d_input_gradient(g, w, x_shape, *arguments),
        conv_oracle.conv2d_weight_gradient(x, g, w_shape, *arguments),
    )
    expected = (
        conv_oracle.conv2d(x, w, bias, *arguments),
        *gradients,
        *gradients,
        g.sum(axis=(0, 2, 3)),
        np.maximum(conv_oracle.conv2d(x, w, bias, *arguments) + g, 0),
    )
    if last:
        x, g = channels_last(x), channels_last(g)
    with cut_or_whole(threads, tile_bytes, phases):
        results = (
            conv2d(x, w, bias, *arguments),
            conv2d_input_gradient(g, w, x_shape, *arguments),
            conv2d_weight_gradient(x, g, w_shape, *arguments),
            *conv2d_gradients(g, x, w, w_shape, *arguments, bias=True),
            conv2d(x, w, bias, *arguments, relu=True, addend=g),
        )
    for result, oracle in zip(results, expected, strict=True):
        assert result.shape == oracle.shape
        np.testing.assert_allclose(result, oracle, rtol=1e-10, atol=1e-10)


def test_gradients_are_computed_in_one_go(monkeypatch):
    goes = []
    monkeypatch.setattr(
        jobs,
        "parallel",
        lambda work, n, grain: goes.append(n) or work(0, n),
    )
    problem = (8, 4, 6, 6), (8, 4, 3, 3), ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    x, w, _, g = arrays(*problem, np.float32)
    with cut_small(2, 1 << 21):
        dx, dw, db = conv2d_gradients(g, x, w, w.shape, *problem[2], bias=True)
        assert goes == [8]
        assert [a.dtype for a in (dx, dw, db)] == [np.float32] * 3
        dx, again, db = conv2d_gradients(g, x, None, w.shape, *problem[2], bias=False)
    assert dx is None
    assert db is None
    np.testing.assert_array_equal(again, dw)


MANY_LAYOUTS = {
    "unpadded": ((5, 2, 7, 8), (4, 2, 3, 3), ((1, 1), ((0, 0), (0, 0)), (1, 1), 1)),
    "same size": ((5, 4, 6, 8), (3, 4, 3, 3), ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)),
    "even kernel": ((3, 2, 5, 7), (4, 2, 2, 2), ((1, 1), ((1, 0), (1, 0)), (1, 1), 1)),
    "wide padding": ((3, 2, 5, 4), (4, 2, 3, 3), ((1, 1), ((2, 2), (3, 2)), (1, 1), 1)),
    "rows dilated": ((3, 2, 9, 6), (2, 2, 3, 2), ((1, 1), ((2, 2), (1, 1)), (2, 1), 1)),
    "one column": ((3, 2, 6, 3), (2, 2, 3, 3), ((1, 1), ((1, 1), (0, 0)), (1, 1), 1)),
    "one channel": ((3, 1, 6, 8), (5, 1, 3, 3), ((1, 1), ((1, 1), (1, 0)), (1, 1), 1)),
    "one channel to many": ((3, 1, 7, 6), (17, 1, 3, 2), ((2, 3), ((0, 0), (0, 0)), (1, 2), 1)),
    "in groups of one": ((3, 2, 6, 5), (6, 1, 3, 3), ((1, 1), ((1, 1), (1, 1)), (1, 1), 2)),
    "in groups": ((3, 4, 6, 5), (6, 2, 3, 3), ((1, 1), ((1, 1), (1, 1)), (1, 1), 2)),
}


@pytest.mark.parametrize("layout", range(4))  # as many as a problem has at most
@pytest.mark.parametrize("tile_bytes", [1 << 21, 300, None])
@pytest.mark.parametrize("sample", MANY_LAYOUTS)
def test_every_layout_equals_the_loops(sample, tile_bytes, layout):
    x_shape, w_shape, arguments = MANY_LAYOUTS[sample]
    x, w, bias, g = arrays(*MANY_LAYOUTS[sample])
    with cut_or_whole(2, tile_bytes), layout_number(layout):
        results = (
            conv2d(x, w, bias, *arguments, relu=True, addend=g),
            conv2d_input_gradient(g, w, x_shape, *arguments),
            conv2d_weight_gradient(x, g, w_shape, *arguments),
        )
    for result, oracle in zip(results, loops_of_many(sample), strict=True):
        np.testing.assert_allclose(result, oracle, rtol=1e-10, atol=1e-10)


@lru_cache
def loops_of_many(sample):
    """The same in loops: for all layouts and sizes of tiles once."""
    x_shape, w_shape, arguments = MANY_LAYOUTS[sample]
    x, w, bias, g = arrays(*MANY_LAYOUTS[sample])
    return (
        np.maximum(conv_oracle.conv2d(x, w, bias, *arguments) + g, 0),
        conv_oracle.conv2d_input_gradient(g, w, x_shape, *arguments),
        conv_oracle.conv2d_weight_gradient(x, g, w_shape, *arguments),
    )


@given(problems())
def test_the_three_are_each_others_adjoints(problem):
    x_shape, w_shape, arguments = problem
    x, w, _, g = arrays(*problem, seed=1)
    value = np.vdot(conv2d(x, w, None, *arguments), g)
    by_input = np.vdot(x, conv2d_input_gradient(g, w, x_shape, *arguments))
    by_weight = np.vdot(w, conv2d_weight_gradient(x, g, w_shape, *arguments))
    np.testing.assert_allclose([by_input, by_weight], value, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_any_memory_layout_read_only_gives_the_same_and_is_left_alone(sample, layout, dtype):
    x_shape, w_shape, arguments = SAMPLES[sample]
    x, w, bias, g = arrays(*SAMPLES[sample], dtype)
    expected = expected_of(sample)
    copies = [a.copy() for a in (x, w, bias, g)]
    x, w, g = (LAYOUTS[layout](a) for a in (x, w, g))
    for array in (x, w, bias, g):
        array.flags.writeable = False
    out = conv2d(x, w, bias, *arguments)
    dx = conv2d_input_gradient(g, w, x_shape, *arguments)
    dw = conv2d_weight_gradient(x, g, w_shape, *arguments)
    tolerance = 1e-4 if dtype == np.float32 else 1e-11
    for result, oracle in zip((out, dx, dw), expected, strict=True):
        assert result.dtype == dtype
        np.testing.assert_allclose(result, oracle, rtol=tolerance, atol=tolerance)
    assert out.transpose(0, 2, 3, 1).flags.c_contiguous
    assert dx.transpose(0, 2, 3, 1).flags.c_contiguous
    assert dw.flags.c_contiguous
    for array, copy in zip((x, w, bias, g), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("images", [1, 2, 3, 9])
@pytest.mark.parametrize("sample", SAMPLES)
def test_threads_change_rounding_only_and_repeat_bit_for_bit(sample, images):
    x_shape, w_shape, arguments = SAMPLES[sample]
    x_shape = (images, *x_shape[1:])
    x, w, bias, g = arrays(x_shape, w_shape, arguments, np.float32)

    def results():
        return (
            conv2d(x, w, bias, *arguments),
            conv2d_input_gradient(g, w, x_shape, *arguments),
            conv2d_weight_gradient(x, g, w_shape, *arguments),
            sum_over(channels_last(g), (0, 2, 3)),
        )

    with cut_small(1, 1 << 21):
        alone = results()
    for threads in (1, 2, 3):
        with cut_small(threads, 2000):
            first, second = results(), results()
        for a, b, c in zip(alone, first, second, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
            assert np.array_equal(b, c)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sample", SAMPLES)
def test_relu_is_applied_to_the_result(sample, bias):
    x, w, b, _ = arrays(*SAMPLES[sample])
    arguments = SAMPLES[sample][2]
    b = b if bias else None
    expected = np.maximum(conv_oracle.conv2d(x, w, b, *arguments), 0)
    result = conv2d(x, w, b, *arguments, relu=True)
    np.testing.assert_allclose(result, expected, rtol=1e-11, atol=1e-11)


def test_elements_that_no_window_reaches_get_zero():
    g, w = np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1))
    arguments = ((3, 2), ((0, 0), (0, 0)), (1, 1), 1)
    dx = conv2d_input_gradient(g, w, (1, 1, 6, 4), *arguments)
    expected = np.zeros((6, 4))
    expected[::3, ::2] = 1
    np.testing.assert_array_equal(dx[0, 0], expected)


def test_nan_in_is_nan_out_where_a_window_meets_it():
    x = np.ones((1, 1, 5, 8), np.float32)
    x[0, 0, 2, 2] = np.nan
    out = conv2d(x, np.ones((1, 1, 1, 1), np.float32), None, (1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    assert np.isnan(out).any()


@pytest.mark.parametrize("layout", ["contiguous", "channels last", "backwards"])
@pytest.mark.parametrize("shape", [(5, 3, 4, 6), (1, 1, 1, 1), (0, 3, 2, 2), (2, 0, 3, 3)])
def test_bias_gradient_equals_a_sum_in_double_precision(shape, layout):
    g = LAYOUTS[layout](np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    result = sum_over(g, (0, 2, 3))
    assert result.dtype == np.float32
    np.testing.assert_allclose(
        result, g.sum(axis=(0, 2, 3), dtype=np.float64), rtol=1e-5, atol=1e-6
    )


def test_bias_gradient_stays_accurate_over_millions_of_values():
    g = channels_last(np.full((64, 2, 200, 200), 0.1, np.float32))
    np.testing.assert_allclose(sum_over(g, (0, 2, 3)), 0.1 * 64 * 200 * 200, rtol=2e-6)


@pytest.mark.parametrize("kernel", [1, 3])
def test_memory_stays_near_the_result(kernel):
    x_shape, w_shape = (256, 16, 32, 32), (16, 16, kernel, kernel)
    side = (kernel // 2, kernel // 2)
    arguments = ((1, 1), (side, side), (1, 1), 1)
    x, w, bias, g = arrays(x_shape, w_shape, arguments, np.float32)
    x, g = channels_last(x), channels_last(g)
    out_bytes = x.nbytes
    tiles = 3 * tuning.TILE_BYTES
    for call, result_bytes, a_thread in (
        (lambda: conv2d(x, w, bias, *arguments), out_bytes, tiles),
        (lambda: conv2d_input_gradient(g, w, x_shape, *arguments), out_bytes, tiles),
        (lambda: conv2d_weight_gradient(x, g, w_shape, *arguments), w.nbytes, tiles),
    ):
        tracemalloc.start()
        result = call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert result.nbytes == result_bytes
        assert peak < result_bytes + get_num_threads() * a_thread
