"""The thread helper: cover, order, errors, nesting, forks, and what BLAS is told."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given
from hypothesis import strategies as st

from tests.processes import printed, python
from tests.threads import num_threads
from tinygrad_cnn.kernels.runtime import blas, tuning
from tinygrad_cnn.kernels.runtime.blas import single_threaded_blas
from tinygrad_cnn.kernels.runtime.threads import (
    matmul,
    parallel,
    set_num_threads,
)


@pytest.fixture(autouse=True)
def _restore_num_threads() -> Iterator[None]:
    with num_threads():
        yield


def _blas_threads() -> list[int]:
    pools = threadpoolctl.threadpool_info()
    return [pool["num_threads"] for pool in pools if pool["user_api"] == "blas"]


@given(st.integers(0, 50), st.integers(1, 5), st.integers(1, 12))
def test_chunks_cover_the_range_once_and_the_callers_is_longest(length, count, grain):
    seen: list[tuple[int, int]] = []
    with num_threads(count):
        parallel(lambda start, stop: seen.append((start, stop)), length, grain=grain)
    seen.sort()
    assert [i for start, stop in seen for i in range(start, stop)] == list(range(length))
    assert len(seen) <= count
    if len(seen) > 1:
        own, *others = (stop - start for start, stop in seen)
        assert min(others) >= grain * len(others) // len(seen)
        assert own >= grain + max(others) - 1
        assert max(others) - min(others) <= 1
    if length >= count * grain:
        assert len(seen) == (count if length else 0)


def test_several_threads_work_at_the_same_time_and_the_caller_is_one():
    set_num_threads(3)
    barrier = threading.Barrier(3, timeout=20)
    names: set[int] = set()

    def work(*_chunk: int) -> None:
        barrier.wait()
        names.add(threading.get_ident())

    parallel(work, 3)
    assert len(names) == 3
    assert threading.get_ident() in names


def test_one_chunk_and_nested_calls_run_in_the_caller():
    set_num_threads(2)
    idents: list[int] = []
    parallel(lambda *_: idents.append(threading.get_ident()), 3, grain=2)
    assert idents == [threading.get_ident()]

    calls: list[tuple[bool, int, int]] = []

    def outer(*_chunk: int) -> None:
        here = threading.get_ident()

        def inner(a: int, b: int) -> None:
            calls.append((threading.get_ident() == here, a, b))

        parallel(inner, 10)

    parallel(outer, 2)
    assert calls == [(True, 0, 10)] * 2


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_exception_in_any_chunk_reaches_the_caller(failing):
    set_num_threads(3)
    ended: list[int] = []

    def work(start: int, _stop: int) -> None:
        if start == failing:
            raise KeyError(f"chunk {start}")
        ended.append(start)

    blas = _blas_threads()
    with pytest.raises(KeyError, match=f"chunk {failing}"):
        parallel(work, 3)
    assert len(ended) == 2
    assert _blas_threads() == blas
    parallel(lambda start, _: ended.append(start), 3)
    assert len(ended) == 5


def test_blas_has_one_thread_inside_and_its_own_number_after():
    set_num_threads(2)
    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        before = _blas_threads()
        inside: list[list[int]] = []
        parallel(lambda *_: inside.append(_blas_threads()), 2)
        assert inside == [[1] * len(before)] * 2
        assert _blas_threads() == before
        with single_threaded_blas(), single_threaded_blas():
            assert set(_blas_threads()) <= {1}
        assert _blas_threads() == before


def test_the_last_thread_to_leave_gives_blas_its_number_back():
    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        before = _blas_threads()
        entered, may_leave, has_left, may_end = (threading.Event() for _ in range(4))

        def first() -> None:
            with single_threaded_blas():
                entered.set()
                may_leave.wait(10)
            has_left.set()
            may_end.wait(10)

        thread = threading.Thread(target=first)
        thread.start()
        assert entered.wait(10)
        assert set(_blas_threads()) == {1}
        with single_threaded_blas():
            may_leave.set()
            assert has_left.wait(10)
            assert set(_blas_threads()) == {1}
        assert _blas_threads() == before
        may_end.set()
        thread.join()


def test_many_threads_may_call_at_once():
    set_num_threads(2)
    before = _blas_threads()
    totals = np.zeros(8)

    def caller(i: int) -> None:
        parts = np.zeros(10)

        def work(start: int, stop: int) -> None:
            parts[start:stop] += 1.0

        for _ in range(50):
            parallel(work, 10)
        totals[i] = parts.sum()

    callers = [threading.Thread(target=caller, args=(i,)) for i in range(8)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    assert totals.tolist() == [500.0] * 8
    assert _blas_threads() == before


def test_a_first_worker_leaves_blas_as_it_was():
    code = """
import numpy as np, threadpoolctl
from tinygrad_cnn.kernels.runtime.threads import parallel, set_num_threads
set_num_threads(3)
threads = lambda: [c.num_threads for c in threadpoolctl.ThreadpoolController().lib_controllers]
before = threads()
x = np.zeros(10)
parallel(lambda a, b: x.__setitem__(slice(a, b), 1.0), 10)
print(threads() == before, x.sum())
"""
    assert printed(code).split() == ["True", "10.0"]


def test_an_interrupt_anywhere_leaves_blas_as_it_was():
    """Ctrl-C is raised at each line in turn of what enters and leaves, as a signal would do it."""
    with single_threaded_blas():
        pass
    before = _blas_threads()
    raised = 0
    for at in range(1, 60):
        lines = 0

        def trace(frame: Any, event: str, _: Any, at: int = at) -> Any:
            nonlocal lines, raised
            if frame.f_code.co_filename == blas.__file__ and event in ("call", "line"):
                lines += 1
                if lines == at:
                    raised += 1
                    sys.settrace(None)
                    raise KeyboardInterrupt
            return trace

        sys.settrace(trace)
        try:
            with single_threaded_blas():
                pass
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        try:
            assert _blas_threads() == before, f"interrupted at line {at}"
        finally:
            # A tracer raises also where no signal can: behind the body, before the lock is let go.
            # Workers of all later tests would wait for it.
            blas._start_afresh()
    assert raised > 10
    other = threading.Thread(target=lambda: single_threaded_blas().__enter__(), daemon=True)
    other.start()
    other.join(20)
    assert not other.is_alive(), "the lock is still held"


@pytest.mark.parametrize("possible", [0, 1])
def test_threads_that_cannot_start_are_done_without(possible):
    """Fewer workers give the same bits."""
    code = f"""
import threading
import numpy as np
from tinygrad_cnn.kernels.runtime.threads import parallel, set_num_threads
set_num_threads(4)
start, left = threading.Thread.start, {possible}
def refuse(self):
    global left
    left -= 1
    if left < 0:
        raise RuntimeError("can't start new thread")
    start(self)
threading.Thread.start = refuse
chunks = []
x = np.zeros(1000)
def work(a, b):
    chunks.append((a, b))
    x[a:b] += 1
for _ in range(3):
    parallel(work, 1000, grain=10)
print(x.min(), x.max(), len(set(chunks)), len(chunks), threading.active_count())
"""
    assert printed(code).split() == ["3.0", "3.0", "4", "12", str(1 + possible)]


def test_a_worker_that_cannot_limit_blas_is_an_error():
    code = """
from tinygrad_cnn.kernels.runtime import threads
def dying():
    raise OSError("no such library")
threads.limit_this_thread = dying
threads.set_num_threads(2)
try:
    threads.parallel(lambda a, b: None, 10)
except OSError as error:
    print(error)
"""
    assert printed(code) == "no such library\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_children_forked_while_another_thread_draws_and_computes():
    code = """
import os, threading, time, warnings
warnings.simplefilter("ignore")
import numpy as np
from tinygrad_cnn.kernels.runtime.threads import parallel, set_num_threads
from tinygrad_cnn.random import default_generator
set_num_threads(2)
x = np.zeros(100_000)
ended = False
def work():
    default_generator().standard_normal(100_000, out=x)
    parallel(lambda a, b: np.exp(x[a:b]), len(x), grain=1000)
def busy():
    while not ended:
        work()
work()  # what is imported late is: Python's own locks of modules do not survive a fork
thread = threading.Thread(target=busy)
thread.start()
codes = []
for _ in range(40):
    time.sleep(0.002)
    child = os.fork()
    if child == 0:
        default_generator().random()
        parallel(lambda a, b: None, 10)
        os._exit(0)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
ended = True
thread.join()
print(set(codes))
"""
    assert printed(code) == "{0}\n"


@pytest.mark.parametrize("n", [0, -1])
def test_fewer_than_one_thread_is_refused(n):
    with pytest.raises(ValueError, match=f"set_num_threads: expected at least 1 thread, got {n}"):
        set_num_threads(n)


def test_the_environment_variable_sets_the_number():
    code = "from tinygrad_cnn.kernels.runtime.threads import *; print(get_num_threads())"
    assert printed(code, TINYGRAD_CNN_NUM_THREADS="7") == "7\n"
    wrong = python("-c", code, env={**os.environ, "TINYGRAD_CNN_NUM_THREADS": "none"})
    assert "TINYGRAD_CNN_NUM_THREADS: expected a positive integer, got 'none'" in wrong.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_a_pool_of_its_own():
    code = """
import os, warnings
warnings.simplefilter("ignore")
import numpy as np
from tinygrad_cnn.kernels.runtime.threads import parallel, set_num_threads
set_num_threads(2)
def total():
    x = np.zeros(10)
    parallel(lambda a, b: x.__setitem__(slice(a, b), 1.0), 10)
    return int(x.sum())
assert total() == 10
child = os.fork()
if child == 0:
    os._exit(total())
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), total())
"""
    assert printed(code).split() == ["10", "10"]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(
    "shape", [(300, 200, 150), (90, 400, 300), (2, 3, 4), (0, 3, 2), (3, 0, 2)]
)
def test_matmul_equals_numpy_for_every_layout(shape, count, monkeypatch):
    monkeypatch.setattr(tuning, "MATMUL_GRAIN", 1 << 16)
    set_num_threads(count)
    m, k, n = shape
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    expected = np.einsum("mk,kn->mn", a, b)
    for left in (a, np.asfortranarray(a), np.repeat(a, 2, axis=1)[:, ::2], a[::-1][::-1]):
        for right in (b, np.asfortranarray(b)):
            result = matmul(left, right)
            np.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-10)
            assert np.array_equal(result, matmul(left, right))
    out = np.empty((n, m)).T
    assert matmul(a, b, out) is out
    np.testing.assert_allclose(out, expected, rtol=1e-10, atol=1e-10)
    assert matmul(a.astype("f"), b.astype("f")).dtype == np.float32
