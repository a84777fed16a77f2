"""Epilogues: what becomes of a tile of a convolution's results while it is in the cache."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from tinygrad_cnn.kernels.conv.tiles import ONE, Slices, Tile
from tinygrad_cnn.kernels.pool.windows import covering, reduce_windows
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.rows import Activation, apply_row, repeated
from tinygrad_cnn.kernels.runtime.window import Pair, Window
from tinygrad_cnn.types import Array, Shape

__all__ = ["Epilogue", "add_and_activate", "along_a_row"]


class Epilogue:
    """What is done to results, in this order, and where they go.

    Of each `block` of results (height, width) only the maximum goes on. What `out` holds is added
    if `adds`, then `bias` (O,) and `addend`, of the shape of `out`; then they are activated and go
    to `out` (N, *sizes, O), of any strides.
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
        self.out, self.bias, self.activation, self.addend = out, bias, activation, addend
        self.block, self.adds = block, adds
        self._row = None if bias is None else along_a_row(bias, out.shape)
        self.shape = out.shape
        """Of the results, before blocks become one number each."""
        if block != ONE:
            N, rows, columns, out_channels = out.shape
            self.shape = N, rows * block[0], columns * block[1], out_channels

    def piece(self, index: Slices, adds: bool, is_last: bool) -> Epilogue:
        """Return that of some outputs, which are sums: adding to `out`, the last does the rest."""
        out = self.out[index]
        if is_last and not adds and out.shape == self.out.shape:
            return self
        if not is_last:
            return Epilogue(out, adds=adds)
        bias = None if self.bias is None else self.bias[index[-1]]
        addend = None if self.addend is None else self.addend[index]
        return Epilogue(out, bias, self.activation, addend, adds=adds)

    @contextmanager
    def results(self, tile: Tile, by_place: bool = False) -> Iterator[Array]:
        """Give an array, C-contiguous, for the results of a tile, and finish those afterwards.

        Results `by_place` have the order of their places in blocks, see `WindowMatrix`.
        """
        (images, rows), (height, _) = tile, self.block
        target = self.out[images, rows.start // height : rows.stop // height]
        if self.block != ONE or self.adds or not target.flags.c_contiguous:
            # Part of the channels, or every other pixel: made apart, where loops are long.
            counts = images.stop - images.start, rows.stop - rows.start
            made = np.empty((*counts, *self.shape[2:]), self.out.dtype)
        else:
            made = target
        yield made
        if self.block != ONE:
            # The bias comes after the maximum, where it has fewer numbers to be added to: rounded
            # sums grow with what is added up, so the bits are the same.
            if by_place:
                np.maximum.reduce(made.reshape(-1, *target.shape), axis=0, out=target)
            else:
                window = Window(self.block, self.block, ((0, 0), (0, 0)), ONE)
                cover = covering(window, made.shape[1:3])
                reduce_windows(np.maximum, -np.inf, made, target, cover)
            made = target
        if self.adds:
            made += target
        addend = None if self.addend is None else self.addend[tile]
        add_and_activate(made, self._row, self.activation, addend)
        if made is not target:
            target[...] = made


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
