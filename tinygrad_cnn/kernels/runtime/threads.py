"""Threads: split a range over a few workers, with BLAS held to one thread meanwhile.

NumPy releases the interpreter's lock inside ufuncs, copies and matrix products, so plain Python
threads run them side by side. Where the cuts fall depends on the length and on the number of
threads alone: the same number of threads gives the same bits, run after run.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from itertools import pairwise
from math import ceil
from queue import SimpleQueue

import numpy as np

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.blas import limit_this_thread, single_threaded_blas
from tinygrad_cnn.types import Array

__all__ = ["get_num_threads", "matmul", "parallel", "part_size", "set_num_threads"]

Work = Callable[[int, int], None]
Task = Callable[[], object]
Failures = SimpleQueue[BaseException | None]
"""Where a worker says that a task has ended, and with which exception if any."""

_ENVIRONMENT_VARIABLE = "TINYGRAD_CNN_NUM_THREADS"


class _State:
    """The process's pool: how many threads are wanted, the tasks, and the workers that wait."""

    def __init__(self) -> None:
        self.num_threads: int | None = None
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget the workers: after a fork only the calling thread is left in the child."""
        self.lock = threading.Lock()
        self.tasks: SimpleQueue[tuple[Task, Failures]] = SimpleQueue()
        self.workers = 0
        self.most_workers = 1 << 30  # less where no more threads can be started
        self.local = threading.local()


_state = _State()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_state.start_afresh)


def get_num_threads() -> int:
    """Return the number of threads that kernels use, the calling one included.

    It is what `set_num_threads` was last given; before that, the environment variable
    ``TINYGRAD_CNN_NUM_THREADS``, which has to hold a positive integer; without it, the processors
    on which this process may run.
    """
    if _state.num_threads is None:
        text = os.environ.get(_ENVIRONMENT_VARIABLE)
        if text and (not text.strip().isdecimal() or int(text) < 1):
            raise ValueError(f"{_ENVIRONMENT_VARIABLE}: expected a positive integer, got {text!r}")
        if text:
            _state.num_threads = int(text)
        elif hasattr(os, "sched_getaffinity"):
            _state.num_threads = len(os.sched_getaffinity(0))
        else:
            _state.num_threads = os.cpu_count() or 1
    return _state.num_threads


def set_num_threads(n: int) -> None:
    """Let kernels use `n` threads, at least 1, the calling one included.

    Results differ between two numbers of threads by rounding only.

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


def parallel(work: Work, length: int, *, grain: int = 1) -> None:
    """Call ``work(start, stop)`` over contiguous chunks that together cover ``range(length)``.

    There is at most one chunk a thread. `grain` is how many items take about 30 µs, which is what
    it takes to wake a thread. Chunks run at the same time, so each must write to memory of its own;
    an exception in any of them reaches the caller after all have ended. A single chunk, or a call
    from within `work`, runs directly in the caller; a `length` of 0 calls nothing.

    Examples
    --------
    >>> x, y = np.arange(6.0), np.empty(6)
    >>> parallel(lambda start, stop: np.exp(x[start:stop], out=y[start:stop]), 6)
    >>> bool(np.all(y == np.exp(x)))
    True
    """
    chunks = min(get_num_threads(), length // grain)
    if chunks > 1 and not getattr(_state.local, "busy", False):
        # The caller does the first chunk while the others wake, and should be the last to end, for
        # being woken itself takes 30 µs again: so its chunk is a grain longer. 27 µs of work took
        # 79 on two threads with chunks alike.
        rest = length - grain
        _run_chunks(work, [0, *(grain + rest * i // chunks for i in range(1, chunks + 1))])
    elif length:
        work(0, length)


# A rest takes as much Python as a whole tile: 65 images in tiles of 20 make 20, 20, 20, 5, in tiles
# of 22 one less. ResNet-20, batch 128, a step 308 ms -> 298, inference 69.3 -> 67.2.
def part_size(count: int, most: float) -> int:
    """Return how many of `count` go to each of equal parts, the last of which may have less.

    A part has `most`, or up to a third more where that saves one.

    Examples
    --------
    >>> part_size(65, 20.5), part_size(65, 100.0), part_size(3, 0.2)
    (22, 65, 1)
    """
    parts = max(1, ceil(count / most - 1 / 3))
    return max(1, -(-count // parts))


def _run_chunks(work: Work, cuts: list[int]) -> None:
    """Hand all chunks but the first to the workers, do the first here, and wait for the rest.

    Where no worker can be had all are done here: the cuts stay where they are, and so do the bits.
    """
    done: Failures = SimpleQueue()
    others = 0
    local = _state.local
    helped = _start_workers(len(cuts) - 2)
    with single_threaded_blas():
        local.busy = True
        try:
            for start, stop in pairwise(cuts[1:]):
                if helped:
                    # In a copy of the context, to which NumPy's error settings belong.
                    task = partial(copy_context().run, work, start, stop)
                    _state.tasks.put((task, done))
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


# Not a ThreadPoolExecutor, which makes a future with a condition for each task: 40 µs an empty call
# of `parallel`, where the two bare queues take 12.
def _start_workers(wanted: int) -> bool:
    """Start daemon threads until there are `wanted`, or no more can be had; tell if there are any.

    Fewer workers do the same tasks one after the other. Browsers have no threads at all, and a
    process may have a limit.
    """
    with _state.lock:
        while _state.workers < min(wanted, _state.most_workers):
            try:
                threading.Thread(target=_serve, name="tinygrad_cnn-kernels", daemon=True).start()
            except RuntimeError:  # can't start new thread
                _state.most_workers = _state.workers
                break
            _state.workers += 1
        return _state.workers > 0


def _serve() -> None:
    """Be a worker: do tasks for good."""
    tasks = _state.tasks
    _state.local.busy = True
    while True:
        task, done = tasks.get()
        failure: BaseException | None = None
        try:
            # While a task runs and not before: the caller lifts the limit after it. Some BLAS
            # libraries keep one number for the process, others one a thread.
            limit_this_thread()
            task()
        except BaseException as error:
            failure = error
        # Waiting for the next task must not keep this one's arrays alive.
        del task
        done.put(failure)
        del failure, done


# BLAS's own threads keep spinning after a product and take a processor from what comes next. ms of
# (64, 9216) @ (9216, 128) alone, and with the kernel that ran just before it, on two cores: BLAS on
# two threads 0.60 and 12.3, split here 0.62 and 7.2.
def matmul(a: Array, b: Array, out: Array | None = None) -> Array:
    """Multiply two matrices, (M, K) and (K, N), split over the threads by rows or by columns."""
    rows, columns = a.shape[0], b.shape[1]
    multiplications = rows * columns * a.shape[1]
    if multiplications <= tuning.BLAS_ALONE:
        return np.matmul(a, b, out=out)
    if multiplications < 2 * tuning.MATMUL_GRAIN:  # for one thread
        with single_threaded_blas():
            return np.matmul(a, b, out=out)
    target = np.empty((rows, columns), np.result_type(a, b)) if out is None else out

    def work(start: int, stop: int) -> None:
        if rows >= columns:
            np.matmul(a[start:stop], b, out=target[start:stop])
        else:
            np.matmul(a, b[:, start:stop], out=target[:, start:stop])

    longer = max(rows, columns)
    with single_threaded_blas():  # also where one thread does it all
        parallel(work, longer, grain=-(-tuning.MATMUL_GRAIN * longer // multiplications))
    return target
