"""Jobs: work that is cut by images and by output rows, and run by as many threads as it is worth.

What a convolution's tiles take of Python is worked out by the thread that calls, and once for each
geometry where that can be: while one thread runs Python, all others wait.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.conv.program import Calls, Program, Programs, Scratch, do
from tinygrad_cnn.kernels.runtime.memory import aligned_empty
from tinygrad_cnn.kernels.runtime.threads import (
    BLAS_ALONE,
    Task,
    get_num_threads,
    parallel_prepared,
    single_threaded_blas,
)

__all__ = [
    "Job",
    "ListedJob",
    "grain_for",
    "is_for_one_thread",
    "run_jobs",
    "sum_in_order",
]

Array = npt.NDArray[Any]
Pair = tuple[int, int]

# Work worth waking a thread for, in estimated ns: each thread spends 50 µs in Python for its part,
# in turn. At 30 µs a step of the momentum network, batch 32, took 2.3 ms, from 60 on 1.3.
_GRAIN = 100_000

# Calls that are kept of a job; the many of a large range are cheap beside the work on each.
_MOST_CALLS = 512
# A call takes about 1 KB. ResNet-20, batch 128, on two threads keeps 26 programs of 300 calls.
_programs = Programs(most_calls=1 << 15)


class Job:
    """Work that can be cut by images and by output rows.

    `cost` is an estimate in ns, `multiplications` counts those that BLAS will do.
    """

    cost: float
    multiplications: int
    rows: int

    def run(self, images: Pair, rows: Pair) -> None:
        """Do these images, these output rows."""
        raise NotImplementedError


class ListedJob(Job):
    """A job that lists its NumPy calls once for a geometry, and then binds them to its arrays.

    `plan` stands for the geometry: there is one plan for each.
    """

    plan: Any

    def things(self, images: Pair, rows: Pair) -> list[Any]:
        """Return what the calls work with: arrays, and what collects results of this part.

        The first is an array of the dtype of all.
        """
        raise NotImplementedError

    def kind(self) -> tuple[Any, ...]:
        """Return what the calls depend on, beside the geometry."""
        return ()

    def calls(self, images: Pair, rows: Pair, things: list[Any], scratch: Scratch) -> Calls:
        """List the calls that do these images, these output rows."""
        raise NotImplementedError

    def run(self, images: Pair, rows: Pair) -> None:
        """Do these images, these output rows."""
        do(self.calls(images, rows, self.things(images, rows), Scratch()))

    def program(self, images: Pair, rows: Pair, things: list[Any]) -> Program | None:
        """Return the calls as listed before; None if arrays have gaps, or calls are too many."""
        for thing in things:
            if thing.__class__ is np.ndarray and not thing.flags.c_contiguous:
                return None
        key = self.plan, things[0].dtype, images, rows, self.__class__, self.kind()
        return _programs.get(key, partial(self._listed, images, rows, things))

    def _listed(self, images: Pair, rows: Pair, things: list[Any]) -> Program | None:
        scratch = Scratch()
        calls = self.calls(images, rows, things, scratch)
        return Program(calls, things, scratch) if len(calls) <= _MOST_CALLS else None


def is_for_one_thread(cost: float) -> bool:
    """Whether work of so many ns is too little to wake a thread for."""
    return cost < _GRAIN


def run_jobs(jobs: list[Job], N: int) -> None:
    """Run jobs over all their images and rows, in as many threads as they are worth."""
    cost, multiplications = 0.0, 0
    for job in jobs:
        cost += job.cost
        multiplications += job.multiplications
    if is_for_one_thread(cost) and multiplications <= BLAS_ALONE:
        _prepare(jobs, (0, N), None)()
        return
    with single_threaded_blas:
        threads = get_num_threads()
        if N % threads == 0 or 4 * threads <= N:
            images = partial(_prepare_images, jobs)
            parallel_prepared(images, N, grain=grain_for(N, cost))
            return
        for job in jobs:
            rows = partial(_prepare_rows, job, N)
            parallel_prepared(rows, job.rows, grain=grain_for(job.rows, job.cost))


def _prepare_images(jobs: list[Job], start: int, stop: int) -> Task:
    return _prepare(jobs, (start, stop), None)


def _prepare_rows(job: Job, N: int, start: int, stop: int) -> Task:
    return _prepare([job], (0, N), (start, stop))


def _prepare(jobs: list[Job], images: Pair, rows: Pair | None) -> Task:
    """Return what does these images, these output rows or all, of one job after the other."""
    tasks: list[Task] = []
    listed: list[tuple[Program, list[Any]]] = []
    for job in jobs:
        part = images, rows or (0, job.rows)
        if isinstance(job, ListedJob):
            things = job.things(*part)
            program = job.program(*part, things)
            if program is not None:
                listed.append((program, things))
                continue
        tasks.append(partial(job.run, *part))
    if listed:
        # One after the other they use the same memory, which is in the cache then.
        size = max(program.size for program, _ in listed)
        block = aligned_empty((size,), np.uint8) if size else None
        tasks[:0] = [partial(do, program.bind(block, things)) for program, things in listed]

    def work() -> None:
        for task in tasks:
            task()

    return work


def grain_for(length: int, cost: float) -> int:
    """Return how many of `length` items that take `cost` ns are worth waking a thread for."""
    return 1 + int(_GRAIN * length / cost)


def sum_in_order(parts: dict[tuple[Pair, Pair], Array]) -> Array:
    """Add up the parts of threads in the order of their ranges, so that bits do not vary."""
    first, *others = (parts[key] for key in sorted(parts))
    for part in others:
        first += part
    return first
