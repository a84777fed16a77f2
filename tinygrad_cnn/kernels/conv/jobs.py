"""Jobs: work that is cut by images and by output rows, for as many threads as it is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.threads import (
    get_num_threads,
    parallel,
    single_threaded_blas,
)
from tinygrad_cnn.kernels.runtime.window import Pair

__all__ = ["Job", "is_for_one_thread", "run_jobs", "sum_in_order"]

Array = npt.NDArray[Any]


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


def sum_in_order(parts: dict[tuple[Pair, Pair], Array]) -> Array:
    """Add up the parts of threads in the order of their ranges, so that bits do not vary."""
    first, *others = (parts[key] for key in sorted(parts))
    for part in others:
        first += part
    return first
