"""Correlations of windows with weights, and the sums that are their gradients by the weights.

These are the jobs that convolutions are made of: matrix products, tile by tile, that can be cut
by images or by output rows and so be run by several threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.layouts import (
    Layout,
    Window,
    fold_weights,
    repeated_bias,
    spread_weights,
)
from tinygrad_cnn.kernels.moments import Moments
from tinygrad_cnn.kernels.products import multiply_rows, sum_of_products
from tinygrad_cnn.kernels.reduce import sum_over
from tinygrad_cnn.kernels.threads import (
    BLAS_ALONE,
    get_num_threads,
    parallel,
    single_threaded_blas,
)
from tinygrad_cnn.kernels.windows import Gatherer, plan_of

__all__ = [
    "Correlation",
    "Job",
    "PositionSum",
    "WeightGradient",
    "add_and_rectify",
    "grain_for",
    "is_for_one_thread",
    "multiply",
    "run_jobs",
    "sum_in_order",
    "sum_over_positions",
]

Array = npt.NDArray[Any]
Pair = tuple[int, int]
Run = Callable[[Pair, Pair], None]

# Work worth waking a thread for, in estimated ns: each thread spends 50 µs in Python for its part,
# in turn. At 30 µs a step of the momentum network, batch 32, took 2.3 ms, from 60 on 1.3.
_GRAIN = 100_000


class Job(Protocol):
    """Work that can be cut by images and by output rows.

    `cost` is an estimate in ns, `multiplications` counts those that BLAS will do.
    """

    cost: float
    multiplications: int
    rows: int

    def run(self, images: Pair, rows: Pair) -> None:
        """Do these images, these output rows."""


class Correlation:
    """Windows of `x` (N, H, W, C) times `w` (KH, KW, C, O), into `out` (N, OH, OW, O).

    `x` and `out` have any strides. Bias and `addend` (N, OH, OW, O) are added, and the ReLU
    applied, while a tile is in the cache. With a `block` there is one place in `out` for each block
    of outputs, and the layout is by window: a derived class makes one number of each block.
    """

    def __init__(
        self,
        x: Array,
        w: Array,
        out: Array,
        window: Window,
        bias: Array | None = None,
        relu: bool = False,
        block: Pair = (1, 1),
        moments: Moments | None = None,
        addend: Array | None = None,
    ) -> None:
        self.x, self.out, self.relu, self.moments, self.addend = x, out, relu, moments, addend
        N, self.rows, columns, out_channels = out.shape
        shape = N, self.rows * block[0], columns * block[1], out_channels
        plan = plan_of(x, shape, window, sums=True, block=block)
        self.plan, self.layout = plan, plan.layout
        self.cost, self.multiplications = plan.cost, plan.multiplications
        self.weights = spread_weights(w, window, plan.layout)
        self.bias = None if bias is None else repeated_bias(bias, out.shape)

    def run(self, images: Pair, rows: Pair) -> None:
        """Do these images, these output rows."""
        cut = self.plan.cut(images, rows)
        gatherer = Gatherer(self.x, cut)
        part = None if self.moments is None else self.moments.part(images, rows)
        for tile in cut.tiles:
            target = self.out[tile.outputs]
            # Part of the channels, or every other pixel: made apart, where loops are long.
            made = target if target.flags.c_contiguous else np.empty(target.shape, target.dtype)
            multiply(gatherer.columns(tile), self.weights, self.layout, made)
            addend = None if self.addend is None else self.addend[tile.outputs]
            add_and_rectify(made, self.bias, self.relu, addend)
            if part is not None:
                part.collect(made)
            if made is not target:
                target[...] = made


def multiply(columns: Array, weights: Array, layout: Layout, out: Array) -> None:
    """Write windows, as a `Gatherer` lays them, times spread weights to `out` (n, rows, OW, O)."""
    n, rows, OW, out_channels = out.shape
    if layout.pitch:
        parts = np.empty((*columns.shape[:2], *columns.shape[3:1:-1], out_channels), out.dtype)
        # (KH, n, m, q, depth) @ (KH, depth, O) -> (KH, n, q, m, O)
        np.matmul(columns, weights[:, None, None], out=parts.swapaxes(2, 3))
        total, *others, last = parts
        for other in others:
            total += other
        total, last = (_without_gaps(part, out.shape, layout.pitch) for part in (total, last))
        np.add(total, last, out=out)
        return
    stack, positions, _ = columns.shape
    shape = (stack, positions, weights.shape[2])  # (products, positions / span, span·O)
    if not layout.by_row:
        multiply_rows(columns, weights, out=out.reshape(shape))
        return
    products = np.empty(shape, out.dtype)
    multiply_rows(columns, weights, out=products)
    total, *others, last = products.reshape(stack, rows, n, OW, out_channels)
    for other in others:
        total += other
    np.add(total, last, out=out.transpose(1, 0, 2, 3))


def add_and_rectify(
    out: Array, bias: Array | None, relu: bool, addend: Array | None = None
) -> None:
    """Add a bias, as `repeated_bias` returns it, to `out` (n, rows, OW, O); then max(out, 0).

    The addend, if there is one, has the shape of `out`.
    """
    if bias is not None:
        out += bias[: out.shape[1]]
    if addend is not None:
        out += addend
    if relu:
        np.maximum(out, 0, out=out)


class WeightGradient:
    """The sum over positions of windows of `x` times `g` (N, OH, OW, O)."""

    def __init__(self, x: Array, g: Array, window: Window) -> None:
        self.x, self.g, self.window, self.rows = x, g, window, g.shape[1]
        plan = plan_of(x, g.shape, window, sums=False)
        self.plan, self.layout = plan, plan.layout
        self.cost, self.multiplications = plan.cost, plan.multiplications
        self.parts: dict[tuple[Pair, Pair], Array] = {}

    def run(self, images: Pair, rows: Pair) -> None:
        """Do these images, these output rows."""
        cut = self.plan.cut(images, rows)
        gatherer = Gatherer(self.x, cut)
        total: Array | None = None
        for tile in cut.tiles:
            product = sum_over_positions(gatherer.columns(tile), self.g[tile.outputs], self.layout)
            if total is None:
                total = product
            else:
                total += product
        if total is not None:
            self.parts[images, rows] = total

    def result(self) -> Array:
        """Sum the threads' parts in the order of their ranges. Returns (KH, KW, C, O)."""
        channels = self.x.shape[3], self.g.shape[3]
        return fold_weights(sum_in_order(self.parts), channels, self.window, self.layout)


class PositionSum:
    """The sum of `g` (N, OH, OW, O) over the positions: the bias's gradient."""

    def __init__(self, g: Array) -> None:
        self.g, self.rows = g, g.shape[1]
        self.cost, self.multiplications = 0.2 * g.size, 0
        self.parts: dict[tuple[Pair, Pair], Array] = {}

    def run(self, images: Pair, rows: Pair) -> None:
        """Do these images, these output rows."""
        self.parts[images, rows] = sum_over(self.g[slice(*images), slice(*rows)], (0, 1, 2))

    def result(self) -> Array:
        """Sum the threads' parts in the order of their ranges. Returns (O,)."""
        return sum_in_order(self.parts)


def sum_in_order(parts: dict[tuple[Pair, Pair], Array]) -> Array:
    """Add up the parts of threads in the order of their ranges, so that bits do not vary."""
    first, *others = (parts[key] for key in sorted(parts))
    for part in others:
        first += part
    return first


def sum_over_positions(columns: Array, g: Array, layout: Layout) -> Array:
    """Sum windows times gradients `g` (n, rows, OW, O) of a tile: (products, depth, span·O)."""
    if layout.pitch:
        # (n, q, m, O), zeros where no output is: no position between rows has a part.
        gradients = np.zeros((len(g), *columns.shape[3:1:-1], g.shape[3]), g.dtype)
        _without_gaps(gradients, g.shape, layout.pitch)[...] = g
        products = np.matmul(columns.swapaxes(3, 4), gradients.swapaxes(1, 2))
        total: Array = products.sum(axis=(1, 2))
        return total
    if layout.by_row:
        g = g.transpose(1, 0, 2, 3)
    return sum_of_products(columns, g.reshape(columns.shape[1], -1))  # (positions / span, span·O)


def _without_gaps(positions: Array, shape: tuple[int, ...], pitch: int) -> Array:
    """View the outputs `shape` (n, rows, OW, O) in (n, q, m, O), rows of `pitch` positions."""
    image, _, column, channel = positions.strides
    strides = (image, pitch * column, column, channel)
    return np.ndarray(shape, positions.dtype, positions, 0, strides)


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
        for job in jobs:
            job.run((0, N), (0, job.rows))
        return
    with single_threaded_blas:
        threads = get_num_threads()
        if N % threads == 0 or 4 * threads <= N:

            def run_images(start: int, stop: int) -> None:
                for job in jobs:
                    job.run((start, stop), (0, job.rows))

            parallel(run_images, N, grain=grain_for(N, cost))
            return
        for job in jobs:

            def run_rows(start: int, stop: int, run: Run = job.run) -> None:
                run((0, N), (start, stop))

            parallel(run_rows, job.rows, grain=grain_for(job.rows, job.cost))


def grain_for(length: int, cost: float) -> int:
    """Return how many of `length` items that take `cost` ns are worth waking a thread for."""
    return 1 + int(_GRAIN * length / cost)
