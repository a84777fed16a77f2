"""Correlations of windows with weights, and the sums that are their gradients by the weights.

These are the jobs that convolutions are made of: matrix products, tile by tile, that can be cut
by images or by output rows and so be run by several threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.conv.jobs import Job, ListedJob, sum_in_order
from tinygrad_cnn.kernels.conv.layouts import (
    Layout,
    Window,
    fold_weights,
    repeated_bias,
    spread_weights,
)
from tinygrad_cnn.kernels.conv.products import multiply_rows, sum_of_products
from tinygrad_cnn.kernels.conv.program import Calls, Scratch
from tinygrad_cnn.kernels.conv.windows import Gatherer, plan_of
from tinygrad_cnn.kernels.reduce.moments import Moments, Part
from tinygrad_cnn.kernels.reduce.sums import sum_over
from tinygrad_cnn.kernels.runtime.copies import c_ordered
from tinygrad_cnn.kernels.runtime.rows import apply_row, rectify

__all__ = [
    "Correlation",
    "CorrelationJob",
    "PositionSum",
    "WeightGradient",
    "add_and_rectify",
    "multiply",
    "sum_over_positions",
]

Array = npt.NDArray[Any]
Pair = tuple[int, int]


class CorrelationJob(ListedJob):
    """What jobs have in common that correlate `x` with weights into `out`."""

    x: Array
    weights: Array
    out: Array
    bias: Array | None
    relu: bool
    moments: Moments | None
    addend: Array | None

    def things(self, images: Pair, rows: Pair) -> list[Any]:
        """Return the arrays, and what collects moments."""
        part = None if self.moments is None else self.moments.part(images, rows)
        return [self.x, self.weights, self.out, self.bias, self.addend, part]

    def kind(self) -> tuple[Any, ...]:
        """Return what the calls depend on, beside the geometry."""
        return self.relu, self.bias is None, self.addend is None, self.moments is None


class Correlation(CorrelationJob):
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

    def calls(self, images: Pair, rows: Pair, things: list[Any], scratch: Scratch) -> Calls:
        """List the calls that do these images, these output rows."""
        cut = self.plan.cut(images, rows)
        gatherer = Gatherer(self.x, cut, scratch)
        calls: Calls = gatherer.clearing()
        part, kept = things[5], scratch.used
        for tile in cut.tiles:
            target = self.out[tile.outputs]
            # Part of the channels, or every other pixel: made apart, where loops are long.
            in_place = target.flags.c_contiguous
            scratch.begin_again(kept)
            made = target if in_place else scratch.empty(target.shape, target.dtype)
            calls += gatherer.gathering(tile)
            columns = gatherer.columns(tile)
            calls.append((multiply, (columns, self.weights, self.layout, made)))
            addend = None if self.addend is None else self.addend[tile.outputs]
            calls.append((add_and_rectify, (made, self.bias, self.relu, addend)))
            if part is not None:
                calls.append((Part.collect, (part, made)))
            if not in_place:
                calls.append((np.copyto, (target, made)))
        return calls


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
    """Add a bias, as `repeated_bias` returns it, to `out` (…, O); then max(out, 0).

    The addend, if there is one, has the shape of `out`.
    """
    if bias is not None:
        apply_row(np.add, out, bias, out)
    if addend is not None:
        out += addend
    if relu:
        rectify(out, out)


class WeightGradient(ListedJob):
    """The sum over positions of windows of `x` times `g` (N, OH, OW, O)."""

    def __init__(self, x: Array, g: Array, window: Window) -> None:
        self.x, self.g, self.window, self.rows = x, g, window, g.shape[1]
        plan = plan_of(x, g.shape, window, sums=False)
        self.plan, self.layout = plan, plan.layout
        self.cost, self.multiplications = plan.cost, plan.multiplications
        self.parts: dict[tuple[Pair, Pair], _Sum] = {}

    def things(self, images: Pair, rows: Pair) -> list[Any]:
        """Return the arrays, and what adds up."""
        total = self.parts[images, rows] = _Sum()
        return [self.x, self.g, total]

    def calls(self, images: Pair, rows: Pair, things: list[Any], scratch: Scratch) -> Calls:
        """List the calls that do these images, these output rows."""
        cut = self.plan.cut(images, rows)
        gatherer = Gatherer(self.x, cut, scratch)
        calls: Calls = gatherer.clearing()
        for tile in cut.tiles:
            calls += gatherer.gathering(tile)
            columns = gatherer.columns(tile)
            calls.append((_Sum.add, (things[2], columns, self.g[tile.outputs], self.layout)))
        return calls

    def result(self) -> Array:
        """Sum the threads' parts in the order of their ranges. Returns (KH, KW, C, O)."""
        channels = self.x.shape[3], self.g.shape[3]
        totals = {key: part.total for key, part in self.parts.items() if part.total is not None}
        return fold_weights(sum_in_order(totals), channels, self.window, self.layout)


class _Sum:
    """The sum over the positions of one tile after another."""

    def __init__(self) -> None:
        self.total: Array | None = None

    def add(self, columns: Array, g: Array, layout: Layout) -> None:
        """Add what `sum_over_positions` returns."""
        product = sum_over_positions(columns, g, layout)
        if self.total is None:
            self.total = product
        else:
            self.total += product


class PositionSum(Job):
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
    if layout.span > 1:  # a row of several outputs has their channels side by side
        g = c_ordered(g)
    return sum_of_products(columns, g.reshape(columns.shape[1], -1))  # (positions / span, span·O)


def _without_gaps(positions: Array, shape: tuple[int, ...], pitch: int) -> Array:
    """View the outputs `shape` (n, rows, OW, O) in (n, q, m, O), rows of `pitch` positions."""
    image, _, column, channel = positions.strides
    strides = (image, pitch * column, column, channel)
    return np.ndarray(shape, positions.dtype, positions, 0, strides)
