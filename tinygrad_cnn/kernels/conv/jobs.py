"""Jobs: what a convolution is made of, cut by images and by output rows over threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tinygrad_cnn.kernels.conv.epilogue import Epilogue
from tinygrad_cnn.kernels.conv.tiles import Part
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.blas import single_threaded_blas
from tinygrad_cnn.kernels.runtime.threads import get_num_threads, parallel
from tinygrad_cnn.kernels.runtime.window import Pair
from tinygrad_cnn.types import Array

__all__ = ["Correlation", "Job", "Method", "WeightGradient", "run_jobs"]


class Method:
    """A way to compute a convolution and the gradient of its weights, planned for a geometry.

    `cost` is an estimate in ns, `multiplications` counts those that BLAS will do. Weights are
    (*kernel, C, O).
    """

    cost: float
    multiplications: int

    def prepare(self, w: Array) -> Array:
        """Arrange weights as `correlate` reads them."""
        raise NotImplementedError

    def correlate(self, x: Array, weights: Array, epilogue: Epilogue, part: Part) -> None:
        """Correlate `x` (N, *sizes, C) with prepared weights, tile by tile, for an epilogue."""
        raise NotImplementedError

    def sums(self, x: Array, g: Array, part: Part) -> Iterator[Array]:
        """Yield what adds up to the sum over positions of windows of `x` times `g` (N, …, O).

        The first is a new array.
        """
        raise NotImplementedError

    def fold(self, total: Array) -> Array:
        """Return the gradient of the weights that a sum of `sums` stands for."""
        raise NotImplementedError


class Correlation:
    """Windows of `x` times `w`, with what the epilogue does to them, into its `out`."""

    def __init__(self, method: Method, x: Array, w: Array, epilogue: Epilogue) -> None:
        self.method, self.rows = method, epilogue.out.shape[1]
        self.x, self.epilogue = x, epilogue
        self.weights = method.prepare(w)

    def run(self, part: Part) -> None:
        """Do these images, these rows of `out`: each is made of the rows of a block of results."""
        (images, (first, end)), height = part, self.epilogue.block[0]
        results = images, (first * height, end * height)
        self.method.correlate(self.x, self.weights, self.epilogue, results)


class WeightGradient:
    """The sum over positions of windows of `x` times `g`: part of the gradient `dw`."""

    def __init__(self, method: Method, x: Array, g: Array, dw: Array) -> None:
        self.method, self.rows = method, g.shape[1]
        self.x, self.g, self.dw = x, g, dw
        self._parts: dict[Part, Array] = {}

    def run(self, part: Part) -> None:
        """Sum over these images, these rows of outputs."""
        some = self.method.sums(self.x, self.g, part)
        total = next(some)
        for one in some:
            total += one
        self._parts[part] = total

    def add(self) -> None:
        """Add the sum to the gradient, after all has been run.

        Threads' parts in the order of their ranges: bits do not depend on which is done first.
        """
        total, *others = (self._parts[key] for key in sorted(self._parts))
        for part in others:
            total += part
        self.dw += self.method.fold(total)


Job = Correlation | WeightGradient
"""Work of a method that can be cut by images and by rows of outputs."""


def run_jobs(jobs: Sequence[Job], N: int) -> None:
    """Run jobs over all their images and rows, in as many threads as they are worth."""
    if not jobs:
        return
    cost = sum(job.method.cost for job in jobs)
    multiplications = sum(job.method.multiplications for job in jobs)
    if cost < tuning.JOB_GRAIN and multiplications <= tuning.BLAS_ALONE:
        _run(jobs, (0, N))
        return
    with single_threaded_blas():
        threads = get_num_threads()
        if N % threads == 0 or 4 * threads <= N:
            parallel(lambda *images: _run(jobs, images), N, grain=_grain(N, cost))
            return
        for job in jobs:
            grain = _grain(job.rows, job.method.cost)
            parallel(lambda *rows, job=job: _run([job], (0, N), rows), job.rows, grain=grain)


@np.errstate(invalid="ignore", over="ignore")
def _run(jobs: Sequence[Job], images: Pair, rows: Pair | None = None) -> None:
    """Do these images, these output rows or all. Sums of infinities are NaN, without a warning."""
    for job in jobs:
        job.run((images, rows or (0, job.rows)))


def _grain(length: int, cost: float) -> int:
    """Return how many of `length` items that take `cost` ns are worth waking a thread for."""
    return 1 + int(tuning.JOB_GRAIN * length / cost)
