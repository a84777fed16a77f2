"""Convolutions by minimal filtering: transform rows, multiply at each point, transform back.

The jobs stand in for those of `correlation`; `winograd` explains the method. Arrays are
(N, H, W, C) here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.conv.correlation import CorrelationJob, add_and_rectify
from tinygrad_cnn.kernels.conv.jobs import ListedJob, sum_in_order
from tinygrad_cnn.kernels.conv.layouts import repeated_bias
from tinygrad_cnn.kernels.conv.program import Calls, Scratch, clear
from tinygrad_cnn.kernels.conv.winograd import WinogradPlan, rounded_up
from tinygrad_cnn.kernels.reduce.moments import Moments, Part
from tinygrad_cnn.kernels.runtime.memory import aligned_empty
from tinygrad_cnn.kernels.runtime.threads import matmul

__all__ = ["PointRows", "WinogradCorrelation", "WinogradWeightGradient", "untransformation"]

Array = npt.NDArray[Any]
Pair = tuple[int, int]


class PointRows:
    """Rows at the n points for one tile after another, in a buffer that is used again.

    A tile has up to `images` images, `lines` rows each. Columns that belong to different places of
    the plan's block, if `apart`, are kept apart, so that they become pixels of different arrays.
    """

    def __init__(
        self,
        plan: WinogradPlan,
        images: int,
        lines: int,
        channels: int,
        scratch: Scratch,
        apart: bool = False,
    ) -> None:
        self.plan, self.images, self.lines, self.channels = plan, images, lines, channels
        self.places = plan.block[1] if apart else 1
        phases, each = plan.phases(images * lines)
        # Each phase ends in a window, and begins a position later than the one before.
        length = rounded_up(phases * (each + 1) + plan.window.kernel[1], self.places)
        shape = plan.points, self.places, length // self.places, channels
        self.room = scratch.empty(shape, plan.dtype)

    def clearing(self, first: int, columns: int) -> Calls:
        """Return what sets to 0 what `rows` leaves out, once for all tiles."""
        positions = self.images * self.lines * self.plan.pitch
        used = self.room[:, 0, :positions]
        used = used.reshape(len(used), -1, self.plan.pitch, self.channels)
        parts = used[:, :, :first], used[:, :, first + columns :], self.room[:, 0, positions:]
        return [clear(part) for part in parts if part.size]

    def rows(self, first: int, columns: int) -> Array:
        """View `columns` positions of each row, from `first` on.

        Returns (places, images, lines, n, columns / places · channels).
        """
        point, place, position, channel = self.room.strides
        pitch = self.plan.pitch // self.places * position
        values = columns // self.places * self.channels
        return np.ndarray(
            (self.places, self.images, self.lines, self.plan.points, values),
            self.room.dtype,
            self.room,
            first * position,
            (place, self.lines * pitch, pitch, point, channel),
        )

    def phases(self, images: int, width: int) -> Array:
        """View `width` values from every so-many-th position of so many images on.

        Returns (n, phases / places, places, each, width), see `WinogradPlan.phases`.
        """
        phases, each = self.plan.phases(images * self.lines)
        point, place, position, channel = self.room.strides
        turns = phases // self.places
        return np.ndarray(
            (self.plan.points, turns, self.places, each, width),
            self.room.dtype,
            self.room,
            0,
            (point, position, place, turns * position, channel),
        )


class _Product(NamedTuple):
    """``target = matrix @ source`` for all images: (…, P, n), (N, T, n, W) and (N, T, P, W)."""

    matrix: Array
    source: Array
    target: Array


def _transformation(
    matrix: Array, x: Array, first: int, step: int, target: Array
) -> list[_Product]:
    """Return what writes ``target[i, t] = matrix @ x[i, first + t·step : first + t·step + n]``.

    Rows outside of `x` are zeros. Shapes: matrix (P, n), x (N, H, W, C) C-contiguous, target
    (N, T, P, W·C).
    """
    N, H, W, C = x.shape
    row = W * C * x.itemsize  # strides of axes of length 1 may be any
    n, lines = matrix.shape[1], target.shape[1]
    products = []
    t = 0
    while t < lines:
        start = first + t * step
        low, high = max(0, -start), max(0, min(n, H - start))
        # The same product serves all that lie inside.
        same = min(lines - t, (H - n - start) // step + 1) if high - low == n else 1
        if low >= high:  # a product of no columns is 0
            low = high = start = 0
        shape, strides = (N, same, high - low, W * C), (H * row, step * row, row, x.itemsize)
        rows: Array = np.ndarray(shape, x.dtype, x, (start + low) * row, strides)
        products.append(_Product(matrix[:, low:high], rows, target[:, t : t + same]))
        t += same
    return products


class _Transformed(PointRows):
    """Rows at the points, made of images `x` (N, H, W, C) with zeros around.

    The first row of the tile reads the input from row `first` on; columns begin at `left`.
    """

    def __init__(
        self,
        plan: WinogradPlan,
        matrix: Array,
        x: Array,
        images: int,
        lines: int,
        first: int,
        left: int,
        scratch: Scratch,
    ) -> None:
        _, H, W, C = x.shape
        super().__init__(plan, images, lines, C, scratch)
        self.x = x
        # In one piece of memory: the images themselves, or copies of a tile's.
        contiguous = x.flags.c_contiguous
        self.source = x if contiguous else scratch.empty((images, H, W, C), x.dtype)
        rows = self.rows(left, W)[0]
        self.products = _transformation(matrix, self.source, first, plan.outputs, rows)

    def loading(self, some: slice, here: slice) -> Calls:
        """Return what transforms some of the images, which become those of the tile."""
        calls: Calls = []
        if self.source is not self.x:
            calls.append((np.copyto, (self.source[here], self.x[some])))
            some = here
        for matrix, source, target in self.products:
            calls.append((np.matmul, (matrix, source[some], target[here])))
        return calls


def untransformation(matrix: Array, source: Array, out: Array) -> list[_Product]:
    """Return what writes ``out = matrix @ source``, row by row.

    Shapes: matrix (m, n), source (…, N, T, n, W·O), out (…, N, H, W, O), its pixel rows in one
    piece; the last of the T rows may stand for fewer than m of H.
    """
    *places, H, W, out_channels = out.shape
    m = len(matrix)
    products = []
    for first, height in ((0, H // m * m), (H // m * m, H % m)):
        if height:
            lines, each = max(1, height // m), min(m, height)
            rows = out[..., first : first + height, :, :]
            target = rows.reshape(*places, lines, each, W * out_channels)
            products.append(
                _Product(matrix[:each], source[..., first // m : first // m + lines, :, :], target)
            )
    return products


class WinogradCorrelation(CorrelationJob):
    """Windows of `x` (N, H, W, C) times `w` (KH, KW, C, O), into `out` (N, OH, OW, O).

    `x` and `out` have any strides; bias, ReLU, moments and addend as in `Correlation`.
    """

    def __init__(
        self,
        plan: WinogradPlan,
        x: Array,
        w: Array,
        out: Array,
        bias: Array | None = None,
        relu: bool = False,
        moments: Moments | None = None,
        addend: Array | None = None,
    ) -> None:
        self.plan, self.x, self.out, self.relu, self.moments = plan, x, out, relu, moments
        self.addend = addend
        self.rows, self.cost, self.multiplications = out.shape[1], plan.cost, plan.multiplications
        taps = np.ascontiguousarray(w).reshape(len(w), -1)
        self.weights = aligned_empty((plan.points, 1, 1, plan.depth, w.shape[3]), x.dtype)
        matmul(plan.transforms.weights, taps, out=self.weights.reshape(plan.points, -1))
        self.bias = None if bias is None else repeated_bias(bias, out.shape)

    def calls(self, images: Pair, rows: Pair, things: list[Any], scratch: Scratch) -> Calls:
        """List the calls that do these images, these output rows."""
        plan, part = self.plan, things[5]
        calls: Calls = []
        for band, most in plan.bands(images, rows):
            scratch.begin_again()
            out = self.out[:, band]
            _, height, columns, out_channels = out.shape
            pixel = out.itemsize * out_channels
            in_place = out.strides[2:] == (pixel, out.itemsize)
            made = out if in_place else scratch.empty((most, *out.shape[1:]), out.dtype)
            outputs = PointRows(plan, most, plan.lines(height), out_channels, scratch)
            back = untransformation(plan.transforms.outputs, outputs.rows(0, columns)[0], made)
            for some, here in self.products(images, band, outputs, scratch, calls):
                there = some if in_place else here
                for matrix, source, target in back:
                    calls.append((np.matmul, (matrix, source[here], target[there])))
                tile = made[there]
                addend = None if self.addend is None else self.addend[some, band]
                calls.append((add_and_rectify, (tile, self.bias, self.relu, addend)))
                if part is not None:
                    calls.append((Part.collect, (part, tile)))
                if not in_place:
                    calls.append((np.copyto, (out[some], tile)))
        return calls

    def products(
        self, images: Pair, band: slice, outputs: PointRows, scratch: Scratch, calls: Calls
    ) -> Iterator[tuple[slice, slice]]:
        """Add the calls that multiply one tile after another into `outputs`.

        Yields where its images are in the batch, and in the tile.
        """
        plan = self.plan
        top, left = plan.window.origin
        size, first = (outputs.images, outputs.lines), band.start - top
        matrix = plan.transforms.inputs
        inputs = _Transformed(plan, matrix, self.x, *size, first, left, scratch)
        calls += inputs.clearing(left, self.x.shape[2])
        count = 0
        for some, here in _tiles(images, outputs.images):
            calls += inputs.loading(some, here)
            if here.stop != count:
                count = here.stop
                made = outputs.phases(count, outputs.channels)
                windows = inputs.phases(count, plan.depth).reshape(*made.shape[:4], plan.depth)
            calls.append((np.matmul, (windows, self.weights, made)))
            yield some, here


def _tiles(images: Pair, most: int) -> Iterator[tuple[slice, slice]]:
    """Yield the images of one tile after another: where they are in the batch, and in the tile."""
    for i in range(*images, most):
        j = min(i + most, images[1])
        yield slice(i, j), slice(0, j - i)


class WinogradWeightGradient(ListedJob):
    """The sum over positions of windows of `x` times `g` (N, OH, OW, O)."""

    def __init__(self, plan: WinogradPlan, x: Array, g: Array) -> None:
        self.plan, self.x, self.g, self.rows = plan, x, g, g.shape[1]
        self.cost, self.multiplications = plan.cost, plan.multiplications
        self.parts: dict[tuple[Pair, Pair], Array] = {}

    def things(self, images: Pair, rows: Pair) -> list[Any]:
        """Return the arrays, and one for the sum (n, O, KW·C) of these images and rows."""
        shape = self.plan.points, self.g.shape[3], self.plan.depth
        total: Array = np.empty(shape, self.x.dtype)
        self.parts[images, rows] = total
        return [self.x, self.g, total]

    def calls(self, images: Pair, rows: Pair, things: list[Any], scratch: Scratch) -> Calls:
        """List the calls that do these images, these output rows."""
        total: Array = things[2]
        calls: Calls = []
        is_first = True
        for band, most in self.plan.bands(images, rows):
            scratch.begin_again()
            more = scratch.empty(total.shape, total.dtype)
            for products in self.products(images, band, most, scratch, calls):
                calls.append((np.add.reduce, (products, 1, None, total if is_first else more)))
                if not is_first:
                    calls.append((np.add, (total, more, total)))
                is_first = False
        return calls

    def products(
        self, images: Pair, band: slice, most: int, scratch: Scratch, calls: Calls
    ) -> Iterator[Array]:
        """Add the calls that make the products (n, phases, O, KW·C) of one tile after another."""
        plan, matrices, out_channels = self.plan, self.plan.transforms, self.g.shape[3]
        top, left = plan.window.origin
        size, first = (most, plan.lines(band.stop - band.start)), band.start - top
        inputs = _Transformed(plan, matrices.inputs, self.x, *size, first, left, scratch)
        g = self.g[:, band]
        gradients = _Transformed(plan, matrices.outputs.T, g, *size, 0, 0, scratch)
        calls += inputs.clearing(left, self.x.shape[2])
        calls += gradients.clearing(0, g.shape[2])
        count, room = 0, None
        for some, here in _tiles(images, most):
            calls += [*inputs.loading(some, here), *gradients.loading(some, here)]
            if here.stop != count:
                count = here.stop
                if count < most:  # a larger tile may have written behind
                    rest = gradients.room[:, 0, count * gradients.lines * plan.pitch :]
                    calls.append(clear(rest))
                windows = inputs.phases(count, plan.depth)[:, :, 0]
                factors = gradients.phases(count, out_channels)[:, :, 0].swapaxes(2, 3)
                shape = (*factors.shape[:3], plan.depth)
                # The tiles behind the first are no larger.
                room = scratch.empty(shape, self.x.dtype) if room is None else room
                products: Array = np.ndarray(shape, self.x.dtype, room)
            calls.append((np.matmul, (factors, windows, products)))
            yield products

    def result(self) -> Array:
        """Sum the threads' parts in the order of their ranges. Returns (KH, KW, C, O)."""
        total = sum_in_order(self.parts).reshape(self.plan.points, -1)  # (n, O·KW·C)
        taps = matmul(self.plan.transforms.weights.T, total)
        KH, KW = self.plan.window.kernel
        taps = taps.reshape(KH, self.g.shape[3], KW, self.x.shape[3])
        return taps.transpose(0, 2, 3, 1)
