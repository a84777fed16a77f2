"""Calls that are listed once and bound to other memory: nothing of the first arrays remains."""

from __future__ import annotations

import threading
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.conv import test_conv, test_winograd
from tests.kernels.conv.test_conv import arrays, channels_last, cut_small
from tests.kernels.fused.test_pooled_conv import in_the_tile
from tinygrad_cnn.kernels.conv import jobs
from tinygrad_cnn.kernels.conv.convolution import conv2d, conv2d_gradients
from tinygrad_cnn.kernels.conv.program import Program, Programs, Scratch, clear, do
from tinygrad_cnn.kernels.reduce.moments import Moments
from tinygrad_cnn.kernels.runtime.threads import get_num_threads, parallel_prepared, set_num_threads


def test_arguments_are_looked_up_in_the_new_arrays():
    x, y = np.arange(12.0).reshape(3, 4), np.zeros((3, 4))
    factor = np.array(2.0)
    calls = [
        (np.multiply, (x[1:, ::-2], factor, y[1:, :2])),
        (np.add, (y[1:, :2], x[:2, 1:3], y[1:, :2])),
    ]
    program = Program(calls, [x, None, y], Scratch())
    other, out = -x, np.full((3, 4), 7.0)
    do(program.bind(None, [other, None, out]))
    expected = np.full((3, 4), 7.0)
    expected[1:, :2] = 2 * other[1:, ::-2] + other[:2, 1:3]
    np.testing.assert_array_equal(out, expected)
    assert not y.any()


def test_what_is_no_array_is_replaced_too():
    first: list[int] = []
    second: list[int] = []
    program = Program([(list.append, (first, 3))], [first], Scratch())
    do(program.bind(None, [second]))
    assert (first, second) == ([], [3])


def test_intermediate_results_lie_side_by_side_in_the_block():
    scratch = Scratch()
    a, b = scratch.empty((3,), np.dtype(np.float32)), scratch.empty((2, 5), np.dtype(np.float64))
    out = np.empty((2, 5))
    program = Program([clear(a), clear(b), (np.add, (b, 1.0, out))], [out], scratch)
    assert program.size == 64 + 128
    block = np.full(program.size, 255, np.uint8)
    do(program.bind(block, [out]))
    assert not block[:12].any()
    assert not block[64 : 64 + 80].any()
    assert (block[12:64] == 255).all()
    np.testing.assert_array_equal(out, 1.0)


def test_memory_is_used_again_from_where_it_is_told():
    scratch = Scratch()
    kept, first = (scratch.empty((8,), np.dtype(np.float32)) for _ in range(2))
    scratch.begin_again(1)
    second = scratch.empty((4,), np.dtype(np.float32))
    assert np.shares_memory(first, second)
    assert not np.shares_memory(kept, second)
    scratch.begin_again(1)
    larger = scratch.empty((100,), np.dtype(np.float32))
    assert not np.shares_memory(first, larger)


def test_an_array_that_nobody_owns_is_refused():
    x, out = np.ones(2000), np.empty(2000)
    with pytest.raises(AssertionError, match="neither given nor scratch"):
        Program([(np.add, (x, 1.0, out))], [out], Scratch())


def everything(x, w, bias, g, addend, arguments):
    """Run whatever lists its calls."""
    single = arguments[3] == 1
    moments = Moments() if single else None
    y = conv2d(x, w, bias, *arguments, moments=moments)
    results = [y, conv2d(x, w, bias, *arguments, relu=True, addend=addend)]
    results += conv2d_gradients(g, x, w, w.shape, *arguments, bias=True)
    if moments is not None and y.size:
        results += moments.statistics(y)
    if single and min(y.shape[2:]) >= 2:
        for taps in (False, True):
            pooled = in_the_tile(x, w, bias, arguments, (2, 2), True, taps)
            results += [each for each in pooled if each is not None]
    return results


def check_second_run(problem):
    x, w, bias, g = arrays(*problem)
    addend = g[..., ::-1].copy()
    given = [channels_last(x), w, bias, channels_last(g), channels_last(addend)]
    rest = problem[2]
    with np.errstate(invalid="ignore"):
        poisoned = everything(*(np.full_like(a, np.nan) for a in given), rest)
        before = [a.copy() for a in poisoned]
        again = everything(*given, rest)
    for now, then in zip(poisoned, before, strict=True):
        np.testing.assert_array_equal(now, then)
    with mock.patch.object(jobs, "_MOST_CALLS", -1):
        test_conv.forget_plans()
        listed_anew = everything(*given, rest)
    for result, expected in zip(again, listed_anew, strict=True):
        assert not np.isnan(result).any()
        np.testing.assert_array_equal(result, expected)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(test_conv.problems(), st.integers(1, 3), st.sampled_from([1 << 21, 2000]))
def test_nothing_of_the_first_arrays_is_in_a_second_convolution(problem, threads, tile_bytes):
    with cut_small(threads, tile_bytes):
        check_second_run(problem)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(test_winograd.problems(), st.integers(1, 3), st.sampled_from([1 << 21, 3000]))
def test_nor_by_minimal_filtering(problem, threads, tile_bytes):
    with test_winograd.always(threads, tile_bytes):
        check_second_run(problem)


def test_numbers_of_another_type_and_the_same_size_have_a_program_of_their_own():
    arguments = ((2, 1), ((0, 0), (0, 0)), (1, 1), 1)
    x, w, _, _ = arrays((3, 2, 9, 8), (4, 2, 3, 3), arguments)
    with cut_small(1, 2000):
        conv2d(x, w, None, *arguments)
        whole = np.rint(9 * x).astype(np.int64), np.rint(9 * w).astype(np.int64)
        result = conv2d(*whole, None, *arguments)
    assert result.dtype == np.int64
    expected = conv2d(*(a.astype(np.float64) for a in whole), None, *arguments)
    np.testing.assert_array_equal(result, expected)


def test_all_chunks_are_prepared_by_the_caller_its_own_last():
    prepared: list[tuple[int, str]] = []
    done: list[int] = []

    def prepare(start, stop):
        prepared.append((start, threading.current_thread().name))
        return lambda: done.extend(range(start, stop))

    before = get_num_threads()
    set_num_threads(3)
    try:
        parallel_prepared(prepare, 30)
    finally:
        set_num_threads(before)
    assert {name for _, name in prepared} == {threading.current_thread().name}
    assert prepared[-1][0] == 0
    assert len(prepared) == 3
    assert sorted(done) == list(range(30))


def test_programs_used_last_are_kept():
    made: list[str] = []

    def of(name, calls):
        def make():
            made.append(name)
            x = np.zeros(1)
            return None if calls is None else Program([clear(x)] * calls, [x], Scratch())

        return programs.get(name, make)

    programs = Programs(most_calls=10)
    first = of("a", 3)
    of("b", 3)
    assert of("none", None) is None
    assert of("none", None) is None
    assert of("a", 3) is first
    of("c", 3)  # 4 + 4 + 1 + 4: the one used longest ago goes
    assert of("a", 3) is first
    assert made == ["a", "b", "none", "c"]
    of("b", 3)
    assert made[-1] == "b"
    of("huge", 99)
    of("huge", 99)
    assert made[-2:] == ["huge", "huge"]
