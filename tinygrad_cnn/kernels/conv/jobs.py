"""Jobs: work that is cut by images and by output rows, for as many threads as it is worth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.blas import single_threaded_blas
from tinygrad_cnn.kernels.runtime.threads import get_num_threads, parallel
from tinygrad_cnn.kernels.runtime.window import Pair
from tinygrad_cnn.types import Array

__all__ = ["Job", "SumJob", "is_for_one_thread", "run_jobs"]


class Job:
    """Work that can be cut by images and by output rows.

    `cost` is an estimate in ns, `multiplications` counts those that BLAS will do.
    """

    def __init__(self, rows: int, cost: float, multiplications: int = 0) -> None:
        self.rows, self.cost, self.multiplications = rows, cost, multiplications

    def run(self, images: Pair, rows: Pair) -> None:
        """Do these images, these output rows."""
        raise NotImplementedError


class SumJob(Job):
    """A sum over positions, part by part: bits do not depend on which thread is done first."""

    def __init__(self, rows: int, cost: float, multiplications: int = 0) -> None:
        super().__init__(rows, cost, multiplications)
        self._parts: dict[tuple[Pair, Pair], Array] = {}

    def sums(self, images: Pair, rows: Pair) -> Iterator[Array]:
        """Yield what adds up to the sum over these images, these output rows; first a new array."""
        raise NotImplementedError

    def run(self, images: Pair, rows: Pair) -> None:
        """Sum over these images, these output rows."""
        some = self.sums(images, rows)
        total = next(some)
        for one in some:
            total += one
        self._parts[images, rows] = total

    def total(self) -> Array:
        """Add up the threads' parts in the order of their ranges."""
        first, *others = (self._parts[key] for key in sorted(self._parts))
        for part in others:
            first += part
        return first

    def result(self) -> Array:
        """Return the sum, after all has been run."""
        return self.total()


def is_for_one_thread(cost: float) -> bool:
    """Whether work of so many ns is too little to wake a thread for."""
    return cost < tuning.JOB_GRAIN


def run_jobs(jobs: list[Job], N: int) -> None:
    """Run jobs over all their images and rows, in as many threads as they are worth."""
    cost = sum(job.cost for job in jobs)
    multiplications = sum(job.multiplications for job in jobs)
    if is_for_one_thread(cost) and multiplications <= tuning.BLAS_ALONE:
        _run(jobs, (0, N))
        return
    with single_threaded_blas():
        threads = get_num_threads()
        if N % threads == 0 or 4 * threads <= N:
            parallel(lambda *images: _run(jobs, images), N, grain=_grain(N, cost))
            return
        for job in jobs:
            rows = _grain(job.rows, job.cost)
            parallel(lambda *part, job=job: _run([job], (0, N), part), job.rows, grain=rows)


@np.errstate(invalid="ignore", over="ignore")
def _run(jobs: list[Job], images: Pair, rows: Pair | None = None) -> None:
    """Do these images, these output rows or all. Sums of infinities are NaN, without a warning."""
    for job in jobs:
        job.run(images, rows or (0, job.rows))


def _grain(length: int, cost: float) -> int:
    """Return how many of `length` items that take `cost` ns are worth waking a thread for."""
    return 1 + int(tuning.JOB_GRAIN * length / cost)
