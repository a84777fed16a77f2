"""Threads: split a range over a few workers, with BLAS held to one thread meanwhile.

NumPy releases the interpreter's lock inside ufuncs, copies and matrix products, so plain Python
threads run them side by side. Where the cuts fall depends on the length and on the number of
threads alone: the same number of threads gives the same bits, run after run.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from math import ceil
from queue import SimpleQueue

import numpy as np

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.blas import limit_this_thread, single_threaded_blas
from tinygrad_cnn.types import Array

__all__ = [
    "get_num_threads",
    "matmul",
    "parallel",
    "part_size",
    "set_num_threads",
]

Work = Callable[[int, int], None]
Task = Callable[[], object]

_ENVIRONMENT_VARIABLE = "TINYGRAD_CNN_NUM_THREADS"


class _State:
    """The process's pool: how many threads are wanted, the tasks, and the workers that wait."""

    def __init__(self) -> None:
        self.num_threads: int | None = None
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget the workers: after a fork only the calling thread is left in the child."""
        self.lock = threading.Lock()
        self.tasks: SimpleQueue[tuple[Task, SimpleQueue[BaseException | None]]]
        self.tasks = SimpleQueue()
        self.workers = 0
        self.most_workers = 1 << 30  # less where no more threads can be started
        self.local = threading.local()


_state = _State()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_state.start_afresh)


def get_num_threads() -> int:
    """Return the number of threads that kernels use, the calling one included.

    It is what `set_num_threads` was last given; before that, the environment variable
    ``TINYGRAD_CNN_NUM_THREADS``; without it, the processors on which this process may run.

    Raises
    ------
    ValueError
        The environment variable holds something other than a positive integer.
    """
    if _state.num_threads is None:
        _state.num_threads = _default_num_threads()
    return _state.num_threads


def set_num_threads(n: int) -> None:
    """Let kernels use `n` threads, the calling one included.

    Results differ between two numbers of threads by rounding only.

    Raises
    ------
    ValueError
        `n` is less than 1.

    Examples
    --------
    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    if n < 1:
        raise ValueError(f"set_num_threads: expected at least 1 thread, got {n}")
    _state.num_threads = int(n)


def _default_num_threads() -> int:
    text = os.environ.get(_ENVIRONMENT_VARIABLE)
    if text:
        if not text.strip().isdecimal() or int(text) < 1:
            raise ValueError(f"{_ENVIRONMENT_VARIABLE}: expected a positive integer, got {text!r}")
        return int(text)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parallel(work: Work, length: int, *, grain: int = 1) -> None:
    """Call ``work(start, stop)`` over contiguous chunks that together cover ``range(length)``.

    There is at most one chunk a thread. The calling thread does the first one, which is a `grain`
    longer than the others. A single chunk, or a call from within `work`, runs directly in the
    caller. BLAS uses one thread while several chunks run. A `length` of 0 calls nothing.

    Parameters
    ----------
    work
        Does the items ``start <= i < stop``. Chunks run at the same time: each must write to
        places of its own. An exception in any chunk reaches the caller, after all have ended.
    length
        Number of items.
    grain
        Items that take about 30 µs, which is what it takes to wake a thread.

    Examples
    --------
    >>> x, y = np.arange(6.0), np.empty(6)
    >>> parallel(lambda start, stop: np.exp(x[start:stop], out=y[start:stop]), 6)
    >>> bool(np.all(y == np.exp(x)))
    True
    """
    cuts = _cuts(length, grain)
    if cuts is not None:
        _run_chunks(work, cuts)
    elif length:
        work(0, length)


# A rest takes as much Python as a whole tile: 65 images in tiles of 20 make 20, 20, 20, 5, in tiles
# of 22 one less. ResNet-20, batch 128, a step 308 ms -> 298, inference 69.3 -> 67.2.
def part_size(count: int, most: float) -> int:
    """Return how many of `count` stand in each of equal parts, the last of which may have less.

    A part has `most`, or up to a third more where that saves one.

    Examples
    --------
    >>> part_size(65, 20.5), part_size(65, 100.0), part_size(3, 0.2)
    (22, 65, 1)
    """
    parts = max(1, ceil(count / most - 1 / 3))
    return max(1, -(-count // parts))


def _cuts(length: int, grain: int) -> list[int] | None:
    """Return where the chunks of a range begin and end, None where one thread does all.

    The first has a `grain` more than the others.
    """
    chunks = min(get_num_threads(), length // grain)
    if chunks <= 1 or getattr(_state.local, "busy", False):
        return None
    # The caller works while the others wake, and should be the last to end, for being woken itself
    # takes 30 µs again: 27 µs of work took 79 on two threads with chunks alike.
    rest = length - grain
    return [0, *(grain + rest * i // chunks for i in range(1, chunks + 1))]


def _run_chunks(work: Work, cuts: list[int]) -> None:
    """Hand all chunks but the first to the workers, do the first here, and wait for the rest.

    Where no worker can be had all are done here: the cuts stay where they are, and so do the bits.
    """
    done: SimpleQueue[BaseException | None] = SimpleQueue()
    others = 0
    local = _state.local
    with single_threaded_blas():
        # In here, since a new worker limits BLAS, for some libraries that of the whole process.
        helped = _state.workers >= len(cuts) - 2 or _start_workers(len(cuts) - 2)
        local.busy = True
        try:
            for start, stop in pairwise(cuts[1:]):
                if helped:
                    _state.tasks.put((partial(work, start, stop), done))
                    others += 1
                else:
                    work(start, stop)
            work(cuts[0], cuts[1])
        finally:
            local.busy = False
            failures = [done.get() for _ in range(others)]
    for failure in failures:
        if failure is not None:
            raise failure


def _start_workers(wanted: int) -> bool:
    """Start daemon threads until there are `wanted`, or no more can be had; tell if there are any.

    Fewer workers do the same tasks one after the other. Browsers have no threads at all, and a
    process may have a limit.

    A `ThreadPoolExecutor` makes a future with a condition for each task: 40 µs an empty call
    of `parallel` where the two bare queues take 12.
    """
    with _state.lock:
        while _state.workers < min(wanted, _state.most_workers):
            ready: SimpleQueue[BaseException | None] = SimpleQueue()
            try:
                threading.Thread(
                    target=_serve, args=(ready,), name="tinygrad_cnn-kernels", daemon=True
                ).start()
            except RuntimeError:  # can't start new thread
                _state.most_workers = _state.workers
                break
            failure = ready.get()
            if failure is not None:  # it ended before it was ready
                raise failure
            _state.workers += 1
        return _state.workers > 0


def _serve(ready: SimpleQueue[BaseException | None]) -> None:
    try:
        limit_this_thread()
        tasks = _state.tasks
        _state.local.busy = True
    except BaseException as error:
        ready.put(error)
        return
    ready.put(None)
    while True:
        task, done = tasks.get()
        failure: BaseException | None = None
        try:
            task()
        except BaseException as error:
            failure = error
        # Waiting for the next task must not keep this one's arrays alive.
        del task
        done.put(failure)
        del failure, done


# Measured on two cores, ms, product alone and (with the kernel that ran just before it):
# (64, 9216) @ (9216, 128): BLAS on two threads 0.60 (12.3), split here 0.62 (7.2); gradients
# 0.50 and 0.48 (12.2) against 0.57 and 0.53 (7.0); (1000, 3042) @ (3042, 20) 0.53 against 0.50.
# BLAS's own threads keep spinning after a product and take a processor from what comes next.
def matmul(a: Array, b: Array, out: Array | None = None) -> Array:
    """Multiply two matrices, the work split over the threads by rows or by columns.

    Parameters
    ----------
    a, b
        Shapes (M, K) and (K, N), any strides.
    out
        Shape (M, N): where to write; a new C-contiguous array by default.

    Returns
    -------
    array
        Shape (M, N), `out` if it was given.

    Examples
    --------
    >>> matmul(np.ones((2, 3)), np.ones((3, 4)))[0]
    array([3., 3., 3., 3.])
    """
    rows, columns = a.shape[0], b.shape[1]
    multiplications = rows * columns * a.shape[1]
    if multiplications <= tuning.BLAS_ALONE:
        return np.matmul(a, b, out=out)
    if multiplications < 2 * tuning.MATMUL_GRAIN:  # for one thread
        with single_threaded_blas():
            return np.matmul(a, b, out=out)
    if out is None:
        out = np.empty((rows, columns), np.result_type(a, b))
    longer = max(rows, columns)
    grain = -(-tuning.MATMUL_GRAIN * longer // multiplications)
    target = out

    def by_rows(start: int, stop: int) -> None:
        np.matmul(a[start:stop], b, out=target[start:stop])

    def by_columns(start: int, stop: int) -> None:
        np.matmul(a, b[:, start:stop], out=target[:, start:stop])

    with single_threaded_blas():
        parallel(by_rows if rows >= columns else by_columns, longer, grain=grain)
    return out
