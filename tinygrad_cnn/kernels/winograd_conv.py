"""Convolutions by minimal filtering: transform rows, multiply at each point, transform back.

The jobs stand in for those of `correlation`; `winograd` explains the method. Arrays are
(N, H, W, C) here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.correlation import add_bias_and_rectify, sum_in_order
from tinygrad_cnn.kernels.layouts import repeated_bias
from tinygrad_cnn.kernels.memory import aligned_empty
from tinygrad_cnn.kernels.threads import matmul
from tinygrad_cnn.kernels.winograd import Tile, WinogradPlan, rounded_up

__all__ = ["WinogradCorrelation", "WinogradWeightGradient", "quiet", "untransform"]

Array = npt.NDArray[Any]
Pair = tuple[int, int]

# Sums of infinities are NaN, without a warning as in any other convolution.
quiet = np.errstate(invalid="ignore", over="ignore")


class _Rows:
    """Rows at the n points for one tile after another, in a buffer that is used again.

    Columns that belong to different places of the plan's block, if `apart`, are kept apart, so
    that they become pixels of different arrays.
    """

    def __init__(
        self, plan: WinogradPlan, images: Pair, rows: Pair, channels: int, apart: bool = False
    ) -> None:
        self.plan, self.channels = plan, channels
        self.places = plan.block[1] if apart else 1
        self.positions = plan.positions(next(plan.tiles(images, rows)))
        phases, each = plan.phases(self.positions)
        # Each phase ends in a window, and begins a position later than the one before.
        length = rounded_up(phases * (each + 1) + plan.window.kernel[1], self.places)
        shape = plan.points, self.places, length // self.places, channels
        self.room = aligned_empty(shape, plan.dtype)

    def clear_between(self, first: int, columns: int) -> None:
        """Set to 0 what `rows` leaves out, once for all tiles."""
        used = self.room[:, 0, : self.positions].reshape(
            len(self.room), -1, self.plan.pitch, self.channels
        )
        used[:, :, :first] = 0
        used[:, :, first + columns :] = 0
        self.room[:, 0, self.positions :] = 0

    def rows(self, tile: Tile, first: int, columns: int) -> Array:
        """View `columns` positions of each row, from `first` on.

        Returns (places, images, rows, n, columns / places · channels).
        """
        point, place, position, channel = self.room.strides
        some, outputs = tile
        lines, pitch = self.plan.lines(outputs.stop - outputs.start), self.plan.pitch // self.places
        values = columns // self.places * self.channels
        return np.ndarray(
            (self.places, some.stop - some.start, lines, self.plan.points, values),
            self.room.dtype,
            self.room,
            first * position,
            (place, lines * pitch * position, pitch * position, point, channel),
        )

    def phases(self, phases: int, each: int, width: int) -> Array:
        """View the first `width` values from every phases-th position on.

        Returns (n, phases / places, places, each, width).
        """
        point, place, position, channel = self.room.strides
        turns = phases // self.places
        return np.ndarray(
            (self.plan.points, turns, self.places, each, width),
            self.room.dtype,
            self.room,
            0,
            (point, position, place, turns * position, channel),
        )


def _transform(matrix: Array, x: Array, first: int, step: int, out: Array) -> None:
    """Write ``out[i, t] = matrix @ x[i, first + t·step : first + t·step + n]``, zeros outside.

    Shapes: matrix (P, n), x (N, H, W, C), out (N, T, P, W·C).
    """
    x = np.ascontiguousarray(x)
    N, H, W, C = x.shape
    row = W * C * x.itemsize  # strides of axes of length 1 may be any
    n, lines = matrix.shape[1], out.shape[1]
    t = 0
    while t < lines:
        start = first + t * step
        low, high = max(0, -start), min(n, H - start)
        # The same product serves all that lie inside.
        same = min(lines - t, (H - n - start) // step + 1) if high - low == n else 1
        part = out[:, t : t + same]
        t += same
        if low >= high:
            part[...] = 0
            continue
        shape, strides = (N, same, high - low, W * C), (H * row, step * row, row, x.itemsize)
        rows: Array = np.ndarray(shape, x.dtype, x, (start + low) * row, strides)
        np.matmul(matrix[:, low:high], rows, out=part)


def untransform(matrix: Array, products: Array, out: Array) -> None:
    """Write ``matrix @ products``: matrix (m, n), products (…, T, n, W·O), out (…, H, W, O).

    The last of the T rows may stand for fewer than m; `out` has its pixel rows in one piece.
    """
    *places, H, W, out_channels = out.shape
    m = len(matrix)
    whole, rest = divmod(H, m)
    if whole:
        rows = out[..., : whole * m, :, :].reshape(*places, whole, m, W * out_channels)
        np.matmul(matrix, products[..., :whole, :, :], out=rows)
    if rest:
        rows = out[..., whole * m :, :, :].reshape(*places, rest, W * out_channels)
        np.matmul(matrix[:rest], products[..., whole, :, :], out=rows)


class WinogradCorrelation:
    """Windows of `x` (N, H, W, C) times `w` (KH, KW, C, O), into `out` (N, OH, OW, O).

    `x` and `out` have any strides; bias and ReLU as in `Correlation`.
    """

    def __init__(
        self,
        plan: WinogradPlan,
        x: Array,
        w: Array,
        out: Array,
        bias: Array | None = None,
        relu: bool = False,
    ) -> None:
        self.plan, self.x, self.out, self.relu = plan, x, out, relu
        self.rows, self.cost, self.multiplications = out.shape[1], plan.cost, plan.multiplications
        taps = np.ascontiguousarray(w).reshape(len(w), -1)
        self.weights = aligned_empty((plan.points, 1, 1, plan.depth, w.shape[3]), x.dtype)
        matmul(plan.transforms.weights, taps, out=self.weights.reshape(plan.points, -1))
        self.bias = None if bias is None else repeated_bias(bias, out.shape)

    @quiet
    def run(self, images: Pair, rows: Pair) -> None:
        """Do these images, these output rows."""
        for tile, products in self.products(images, rows):
            target = self.out[tile]
            pixel = self.out.strides[3] * self.out.shape[3]
            whole = self.out.strides[2:] == (pixel, self.out.itemsize)
            made = target if whole else np.empty(target.shape, target.dtype)
            untransform(self.plan.transforms.outputs, products[0], made)
            add_bias_and_rectify(made, self.bias, self.relu)
            if made is not target:
                target[...] = made

    def products(self, images: Pair, rows: Pair) -> Iterator[tuple[Tile, Array]]:
        """Yield tiles and their products at the points, valid until the next.

        Products have the shape (KW, images, rows, n, OW / KW · O), KW being the width of the
        plan's block: columns of the same place in the block lie together.
        """
        plan, x = self.plan, self.x
        top, left = plan.window.origin
        out_channels = plan.out_shape[3]
        inputs = _Rows(plan, images, rows, x.shape[3])
        inputs.clear_between(left, x.shape[2])
        outputs = _Rows(plan, images, rows, out_channels, apart=True)
        for tile in plan.tiles(images, rows):
            some, lines = tile
            first = lines.start - top
            transformed = inputs.rows(tile, left, x.shape[2])[0]
            _transform(plan.transforms.inputs, x[some], first, plan.outputs, transformed)
            phases, each = plan.phases(plan.positions(tile))
            places = outputs.places
            windows = inputs.phases(phases, each, plan.depth)
            windows = windows.reshape(plan.points, -1, places, each, plan.depth)
            np.matmul(windows, self.weights, out=outputs.phases(phases, each, out_channels))
            yield tile, outputs.rows(tile, 0, plan.out_shape[2])


class WinogradWeightGradient:
    """The sum over positions of windows of `x` times `g` (N, OH, OW, O)."""

    def __init__(self, plan: WinogradPlan, x: Array, g: Array) -> None:
        self.plan, self.x, self.g, self.rows = plan, x, g, g.shape[1]
        self.cost, self.multiplications = plan.cost, plan.multiplications
        self.parts: dict[tuple[Pair, Pair], Array] = {}

    @quiet
    def run(self, images: Pair, rows: Pair) -> None:
        """Do these images, these output rows."""
        plan, x, g = self.plan, self.x, self.g
        top, left = plan.window.origin
        out_channels = g.shape[3]
        inputs = _Rows(plan, images, rows, x.shape[3])
        inputs.clear_between(left, x.shape[2])
        gradients = _Rows(plan, images, rows, out_channels)
        gradients.clear_between(0, g.shape[2])
        adjoint = plan.transforms.outputs.T
        total: Array | None = None
        for tile in plan.tiles(images, rows):
            some, lines = tile
            first, m = lines.start - top, plan.outputs
            positions = plan.positions(tile)
            phases, each = plan.phases(positions)
            _transform(
                plan.transforms.inputs, x[some], first, m, inputs.rows(tile, left, x.shape[2])[0]
            )
            _transform(adjoint, g[tile], 0, m, gradients.rows(tile, 0, g.shape[2])[0])
            gradients.room[:, :, positions:] = 0  # a larger tile may have written there
            windows = inputs.phases(phases, each, plan.depth)[:, :, 0]
            factors = gradients.phases(phases, each, out_channels)[:, :, 0]
            product = np.matmul(factors.swapaxes(2, 3), windows).sum(axis=1)
            total = product if total is None else np.add(total, product, out=total)
        if total is not None:
            self.parts[images, rows] = total

    def result(self) -> Array:
        """Sum the threads' parts in the order of their ranges. Returns (KH, KW, C, O)."""
        total = sum_in_order(self.parts).swapaxes(1, 2)  # (n, KW·C, O)
        taps = matmul(self.plan.transforms.weights.T, total.reshape(self.plan.points, -1))
        return taps.reshape(*self.plan.window.kernel, self.x.shape[3], self.g.shape[3])
