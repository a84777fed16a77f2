"""Epilogues: what becomes of a tile of a convolution's results while it is in the cache."""

from __future__ import annotations

import math

import numpy as np

from tinygrad_cnn.kernels.conv.tiles import ONE, Shape, Tile
from tinygrad_cnn.kernels.pool.max_pool import write_maxima
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.rows import Activation, apply_row, repeated
from tinygrad_cnn.kernels.runtime.window import Pair
from tinygrad_cnn.types import Array

__all__ = ["Epilogue", "Finish", "add_and_activate", "along_a_row"]


class Epilogue:
    """What is done to results, and where they go.

    Parameters
    ----------
    out
        Where they go: (N, *sizes, O), any strides.
    bias, addend
        (O,) and the shape of `out`: what is added, in this order.
    activation
        Applied to the results, after that; or None.
    block
        Height and width of blocks of results of which only the maximum is written.
    adds
        Whether results are added to what `out` holds, before all else.
    """

    def __init__(
        self,
        out: Array,
        bias: Array | None = None,
        activation: Activation | None = None,
        addend: Array | None = None,
        block: Pair = ONE,
        adds: bool = False,
    ) -> None:
        self.out, self.activation, self.addend = out, activation, addend
        self._bias, self.bias = bias, None if bias is None else along_a_row(bias, out.shape)
        self.block, self.adds = block, adds
        N, rows, *sizes, out_channels = out.shape
        self.shape = out.shape
        """Of the results, before blocks become one number each."""
        if block != ONE:
            self.shape = N, rows * block[0], sizes[0] * block[1], out_channels

    def of_channels(self, channels: slice) -> Epilogue:
        """Return that of some channels."""
        bias, addend = (None if a is None else a[..., channels] for a in (self._bias, self.addend))
        return Epilogue(self.out[..., channels], bias, self.activation, addend, self.block)

    def of_outputs(self, outputs: tuple[slice, ...], adds: bool, is_last: bool) -> Epilogue:
        """Return that of some outputs, which are sums: adding to `out`, the last does the rest."""
        out = self.out[:, *outputs]
        if is_last and not adds and out.shape == self.out.shape:
            return self
        if not is_last:
            return Epilogue(out, adds=adds)
        addend = None if self.addend is None else self.addend[:, *outputs]
        return Epilogue(out, self._bias, self.activation, addend, adds=adds)

    def begin(self, rows: Pair) -> Finish:
        """Return what finishes the tiles of these rows of `out`."""
        return Finish(self, rows)


class Finish:
    """Finishes one tile after another. Each thread needs one of its own."""

    def __init__(self, epilogue: Epilogue, rows: Pair) -> None:
        self.epilogue = epilogue
        height = epilogue.block[0]
        self.rows = rows[0] * height, rows[1] * height
        """Rows of results."""
        self._buffer: Array | None = None

    def room(self, tile: Tile) -> Array:
        """Return an array, C-contiguous, for the results of a tile: where they go if it may be."""
        target, (height, width) = self._target(tile), self.epilogue.block
        if height * width > 1:
            n, rows, columns, out_channels = target.shape
            return self._made((n, rows * height, columns * width, out_channels))
        # Part of the channels, or every other pixel: made apart, where loops are long.
        return target if self._is_in_place(target) else self._made(target.shape)

    def _is_in_place(self, target: Array) -> bool:
        return target.flags.c_contiguous and not self.epilogue.adds

    def _target(self, tile: Tile) -> Array:
        (images, rows), height = tile, self.epilogue.block[0]
        return self.epilogue.out[images, rows.start // height : rows.stop // height]

    def _made(self, shape: Shape) -> Array:
        size = math.prod(shape)
        if self._buffer is None or self._buffer.size < size:
            self._buffer = np.empty(size, self.epilogue.out.dtype)
        return self._buffer[:size].reshape(shape)

    def finish(self, made: Array, tile: Tile, by_place: bool = False) -> None:
        """Write the results of a tile, which stand in its `room`, with all that is done to them.

        Results `by_place` have the order of their places in blocks, see `WindowMatrix`.
        """
        epilogue, target = self.epilogue, self._target(tile)
        is_pooled = epilogue.block != ONE
        if is_pooled:
            # The bias comes after the maximum, where it has fewer numbers to be added to: rounded
            # sums grow with what is added up, so the bits are the same.
            if by_place:
                write_maxima(made.reshape(-1, *target.shape), target)
            else:
                _write_block_maxima(made, epilogue.block, target)
            made = target
        if epilogue.adds:
            made += target
        addend = None if epilogue.addend is None else epilogue.addend[tile]
        add_and_activate(made, epilogue.bias, epilogue.activation, addend)
        if not is_pooled and not self._is_in_place(target):
            target[...] = made


def _write_block_maxima(made: Array, block: Pair, out: Array) -> None:
    """Write the maximum of each block of rows and columns of `made`, which is overwritten."""
    n, rows, columns, channels = made.shape
    height, width = block
    lines = made.reshape(n, rows // height, height, columns * channels)
    highest = lines[:, :, 0]
    for row in range(1, height):  # of whole rows first, where loops are long
        np.maximum(highest, lines[:, :, row], out=highest)
    places = highest.reshape(n, rows // height, columns // width, width, channels)
    if width == 1:
        out[...] = places[:, :, :, 0]
    else:
        np.maximum(places[:, :, :, 0], places[:, :, :, 1], out=out)
    for column in range(2, width):
        np.maximum(out, places[:, :, :, column], out=out)


def add_and_activate(
    out: Array, bias: Array | None, activation: Activation | None, addend: Array | None
) -> None:
    """Add to `out` (…, O) a bias that is repeated along a row, and the addend; then activate."""
    if bias is not None:
        apply_row(np.add, out, bias, out)
    if addend is not None:
        out += addend
    if activation is not None:
        activation(out, out)


def along_a_row(bias: Array, out_shape: Shape) -> Array:
    """Repeat a bias (O,) along a row, for outputs (N, …, O), where there are many."""
    positions = math.prod(out_shape[:-1])
    if positions <= tuning.FEW_POSITIONS or bias.size == 1:
        return bias
    return repeated(bias, min(positions, -(-tuning.ROW // bias.size)), bias.dtype)
