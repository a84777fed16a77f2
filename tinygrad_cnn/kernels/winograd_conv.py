"""Convolutions by minimal filtering: transform rows, multiply at each point, transform back.

The jobs stand in for those of `correlation`; `winograd` explains the method. Arrays are
(N, H, W, C) here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.correlation import add_and_rectify, sum_in_order
from tinygrad_cnn.kernels.layouts import repeated_bias
from tinygrad_cnn.kernels.memory import aligned_empty
from tinygrad_cnn.kernels.moments import Moments
from tinygrad_cnn.kernels.threads import matmul
from tinygrad_cnn.kernels.winograd import WinogradPlan, rounded_up

__all__ = [
    "PointRows",
    "WinogradCorrelation",
    "WinogradWeightGradient",
    "quiet",
    "untransformation",
]

Array = npt.NDArray[Any]
Pair = tuple[int, int]

# Sums of infinities are NaN, without a warning as in any other convolution.
quiet = np.errstate(invalid="ignore", over="ignore")


class PointRows:
    """Rows at the n points for one tile after another, in a buffer that is used again.

    A tile has up to `images` images, `lines` rows each. Columns that belong to different places of
    the plan's block, if `apart`, are kept apart, so that they become pixels of different arrays.
    """

    def __init__(
        self, plan: WinogradPlan, images: int, lines: int, channels: int, apart: bool = False
    ) -> None:
        self.plan, self.images, self.lines, self.channels = plan, images, lines, channels
        self.places = plan.block[1] if apart else 1
        phases, each = plan.phases(images * lines)
        # Each phase ends in a window, and begins a position later than the one before.
        length = rounded_up(phases * (each + 1) + plan.window.kernel[1], self.places)
        shape = plan.points, self.places, length // self.places, channels
        self.room = aligned_empty(shape, plan.dtype)

    def clear_between(self, first: int, columns: int) -> None:
        """Set to 0 what `rows` leaves out, once for all tiles."""
        positions = self.images * self.lines * self.plan.pitch
        used = self.room[:, 0, :positions]
        used = used.reshape(len(used), -1, self.plan.pitch, self.channels)
        used[:, :, :first] = 0
        used[:, :, first + columns :] = 0
        self.room[:, 0, positions:] = 0

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

    def run(self, sources: slice, targets: slice) -> None:
        """Do these images of the source, which become those of the target."""
        np.matmul(
            self.matrix, self.source[..., sources, :, :, :], out=self.target[..., targets, :, :, :]
        )


# Views of all images are made once: made for each tile, they took 10 µs of 25 in which no other
# thread can run Python.
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
    ) -> None:
        _, H, W, C = x.shape
        super().__init__(plan, images, lines, C)
        self.clear_between(left, W)
        self.x = x
        # In one piece of memory: the images themselves, or copies of a tile's.
        self.source = x if x.flags.c_contiguous else np.empty((images, H, W, C), x.dtype)
        rows = self.rows(left, W)[0]
        self.steps = _transformation(matrix, self.source, first, plan.outputs, rows)

    def load(self, some: slice, here: slice) -> None:
        """Transform some of the images, which become those of the tile."""
        if self.source is not self.x:
            self.source[here] = self.x[some]
            some = here
        for step in self.steps:
            step.run(some, here)


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


class WinogradCorrelation:
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

    @quiet
    def run(self, images: Pair, rows: Pair) -> None:
        """Do these images, these output rows."""
        plan = self.plan
        part = None if self.moments is None else self.moments.part(images, rows)
        for band, most in plan.bands(images, rows):
            out = self.out[:, band]
            _, height, columns, out_channels = out.shape
            pixel = out.itemsize * out_channels
            in_place = out.strides[2:] == (pixel, out.itemsize)
            made = out if in_place else np.empty((most, *out.shape[1:]), out.dtype)
            outputs = PointRows(plan, most, plan.lines(height), out_channels)
            steps = untransformation(plan.transforms.outputs, outputs.rows(0, columns)[0], made)
            for some, here in self.products(images, band, outputs):
                there = some if in_place else here
                for step in steps:
                    step.run(here, there)
                addend = None if self.addend is None else self.addend[some, band]
                add_and_rectify(made[there], self.bias, self.relu, addend)
                if part is not None:
                    part.collect(made[there])
                if not in_place:
                    out[some] = made[there]

    def products(
        self, images: Pair, band: slice, outputs: PointRows
    ) -> Iterator[tuple[slice, slice]]:
        """Multiply one tile after another into `outputs`.

        Yields where its images are in the batch, and in the tile.
        """
        plan = self.plan
        top, left = plan.window.origin
        size, first = (outputs.images, outputs.lines), band.start - top
        inputs = _Transformed(plan, plan.transforms.inputs, self.x, *size, first, left)
        count = 0
        for some, here in _tiles(images, outputs.images):
            inputs.load(some, here)
            if here.stop != count:
                count = here.stop
                made = outputs.phases(count, outputs.channels)
                windows = inputs.phases(count, plan.depth).reshape(*made.shape[:4], plan.depth)
            np.matmul(windows, self.weights, out=made)
            yield some, here


def _tiles(images: Pair, most: int) -> Iterator[tuple[slice, slice]]:
    """Yield the images of one tile after another: where they are in the batch, and in the tile."""
    for i in range(*images, most):
        j = min(i + most, images[1])
        yield slice(i, j), slice(0, j - i)


class WinogradWeightGradient:
    """The sum over positions of windows of `x` times `g` (N, OH, OW, O)."""

    def __init__(self, plan: WinogradPlan, x: Array, g: Array) -> None:
        self.plan, self.x, self.g, self.rows = plan, x, g, g.shape[1]
        self.cost, self.multiplications = plan.cost, plan.multiplications
        self.parts: dict[tuple[Pair, Pair], Array] = {}

    @quiet
    def run(self, images: Pair, rows: Pair) -> None:
        """Do these images, these output rows."""
        total: Array | None = None
        for band, most in self.plan.bands(images, rows):
            for product in self.products(images, band, most):
                total = product if total is None else np.add(total, product, out=total)
        if total is not None:
            self.parts[images, rows] = total

    def products(self, images: Pair, band: slice, most: int) -> Iterator[Array]:
        """Yield the sums (n, O, KW·C) of one tile after another."""
        plan, matrices, out_channels = self.plan, self.plan.transforms, self.g.shape[3]
        top, left = plan.window.origin
        size, first = (most, plan.lines(band.stop - band.start)), band.start - top
        inputs = _Transformed(plan, matrices.inputs, self.x, *size, first, left)
        gradients = _Transformed(plan, matrices.outputs.T, self.g[:, band], *size, 0, 0)
        for some, here in _tiles(images, most):
            inputs.load(some, here)
            gradients.load(some, here)
            # A larger tile may have written behind.
            gradients.room[:, 0, here.stop * gradients.lines * plan.pitch :] = 0
            windows = inputs.phases(here.stop, plan.depth)[:, :, 0]
            factors = gradients.phases(here.stop, out_channels)[:, :, 0]
            yield np.matmul(factors.swapaxes(2, 3), windows).sum(axis=1)

    def result(self) -> Array:
        """Sum the threads' parts in the order of their ranges. Returns (KH, KW, C, O)."""
        total = sum_in_order(self.parts).swapaxes(1, 2)  # (n, KW·C, O)
        taps = matmul(self.plan.transforms.weights.T, total.reshape(self.plan.points, -1))
        return taps.reshape(*self.plan.window.kernel, self.x.shape[3], self.g.shape[3])
