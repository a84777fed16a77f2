"""Max-pooling on plain arrays, tap by tap.

Which tap won is kept as a small integer, one byte where PyTorch keeps eight. Picking values by
tap and putting gradients back by tap are linear maps, each the other's transpose.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.pool import (
    Pair,
    Tap,
    Windows,
    channels_first,
    channels_last,
    sweep_images,
)

__all__ = ["flat_indices", "gather_taps", "max_pool2d", "max_pool2d_values", "scatter_taps"]

Array = npt.NDArray[Any]
Index = tuple[slice, ...]

# Up to so many elements a mask is cast within the product, in the first cache.
_FEW = 1 << 15


def max_pool2d(
    x: Array,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    ceil_mode: bool = False,
) -> tuple[Array, Array]:
    """Take each window's maximum, and which tap it is.

    ``out[n, c, p, q] = max_{i, j} x[n, c, p·SH − PH + i·DH, q·SW − PW + j·DW]``

    The first maximum in row-major window order wins; a NaN counts as larger than any number.
    Padding is never chosen: a dilated window with no element of the input gives −∞ and tap 0.

    Parameters
    ----------
    x
        Shape (N, C, H, W), fastest in channels-last memory.
    kernel_size, stride, padding, dilation
        (height, width) pairs in elements.
    ceil_mode
        Count windows that hang over the end; see `pool_output_size`.

    Returns
    -------
    tuple of arrays
        Maxima and taps i·KW + j, both (N, C, OH, OW) in channels-last memory; taps in the
        smallest unsigned integer that holds them.

    Examples
    --------
    >>> import numpy as np
    >>> out, taps = max_pool2d(np.array([[[[1.0, 5.0], [5.0, 2.0]]]]), (2, 2), (2, 2))
    >>> print(out.item(), taps.item())
    5.0 1
    """
    windows = Windows(x.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    (height, width), rows, columns = _separable(windows)
    shape = (x.shape[0], height, width, x.shape[1])
    out, chosen = np.empty(shape, x.dtype), np.empty(shape, windows.tap_dtype)

    def step(source: Array, out: Array, chosen: Array) -> None:
        # Along each row first: at ties the first tap, row by row, wins in both passes.
        across = (*source.shape[:2], *out.shape[2:])  # (n, H, OW, C)
        highest, column = np.empty(across, x.dtype), np.empty(across, chosen.dtype)
        _argmax_along(columns, source, highest, column)
        _argmax_along(rows, highest, out, chosen, column, windows.kernel_size[1])
        if out.size and math.isnan(np.minimum.reduce(out, axis=None)):
            _choose_first_nan(windows.taps((height, width)), source, chosen)

    sweep_images(step, x.size, channels_last(x), out, chosen)
    return channels_first(out), channels_first(chosen)


def _argmax_along(
    running: _Running,
    source: Array,
    out: Array,
    chosen: Array,
    given: Array | None = None,
    unit: int = 1,
) -> None:
    """Write the maximum over the taps to `out`, and which one it is to `chosen`.

    Tap k has the number ``k · unit``, plus what is `given` with the input. Later taps have larger
    numbers, so integer arithmetic sets the winner: np.where and masked copies take ten times as
    long on random masks.
    """

    def number(tap: int, inputs: Index) -> Any:
        first = chosen.dtype.type(tap * unit)
        return first if given is None else given[inputs] + first

    if running.start is not None:
        first, second = source[running.start[0]], source[running.start[1]]
        np.maximum(first, second, out=out)
        if given is None and chosen.dtype == np.uint8:
            np.greater(second, first, out=chosen.view(np.bool_))
        else:
            greater = np.greater(second, first).view(np.uint8)
            np.multiply(greater, number(1, running.start[1]), out=chosen)
        if given is not None:
            np.maximum(chosen, given[running.start[0]], out=chosen)
    else:
        # A window of nothing but −∞ must name a tap inside the input: the first, so written last.
        out.fill(-np.inf)
        chosen.fill(0)
        for tap, outputs, inputs in reversed(running.taps):
            chosen[outputs] = number(tap, inputs)
    for tap, outputs, inputs in running.taps:
        value, best, winner = source[inputs], out[outputs], chosen[outputs]
        greater = np.greater(value, best).view(np.uint8)
        np.maximum(best, value, out=best)
        np.maximum(winner, np.multiply(greater, number(tap, inputs)), out=winner)


def _choose_first_nan(taps: tuple[Tap, ...], source: Array, chosen: Array) -> None:
    for tap in reversed(taps):
        view = chosen[tap.outputs]
        view[np.isnan(source[tap.inputs])] = tap.number


def max_pool2d_values(
    x: Array,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    ceil_mode: bool = False,
) -> Array:
    """Take each window's maximum alone: half the time of `max_pool2d`, which has the formula.

    Rows are compared first and columns second: KH + KW taps instead of KH · KW.

    Examples
    --------
    >>> import numpy as np
    >>> max_pool2d_values(np.arange(4.0).reshape(1, 1, 2, 2), (2, 2), (2, 2)).item()
    3.0
    """
    windows = Windows(x.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    (height, width), rows, columns = _separable(windows)
    out = np.empty((x.shape[0], height, width, x.shape[1]), x.dtype)

    def step(source: Array, out: Array) -> None:
        highest = np.empty((len(out), height, *source.shape[2:]), x.dtype)
        _running_maximum(source, highest, rows)
        _running_maximum(highest, out, columns)

    sweep_images(step, x.size, channels_last(x), out)
    return channels_first(out)


class _Running(NamedTuple):
    """The taps of windows along one axis, as indices of the outputs and of the inputs.

    `start` holds the inputs of the first two taps if every window has them, `taps` the rest: their
    numbers, outputs and inputs.
    """

    start: tuple[Index, Index] | None
    taps: tuple[tuple[int, Index, Index], ...]


@lru_cache(maxsize=1024)
def _separable(windows: Windows) -> tuple[Pair, _Running, _Running]:
    """Return the output size, and the taps along the rows and along the columns."""
    size = windows.output_size
    axes = []
    for axis, length in enumerate(size):
        before = (slice(None),) * (1 + axis)
        taps = tuple(
            (number, (*before, outputs), (*before, inputs))
            for number, (outputs, inputs) in enumerate(windows.along(axis, length))
        )
        full = [outputs[-1] == slice(0, length) for _, outputs, _ in taps[:2]]
        if full == [True, True]:
            axes.append(_Running((taps[0][2], taps[1][2]), taps[2:]))
        else:
            axes.append(_Running(None, taps))
    return size, axes[0], axes[1]


def _running_maximum(source: Array, out: Array, running: _Running) -> None:
    """Write the maximum over the taps to `out`."""
    if running.start is not None:
        first, second = running.start
        np.maximum(source[first], source[second], out=out)
    else:
        out.fill(-np.inf)
    for _, outputs, inputs in running.taps:
        np.maximum(out[outputs], source[inputs], out=out[outputs])


def gather_taps(
    x: Array,
    taps: Array,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Array:
    """Pick from each window the element that its tap names.

    ``out[n, c, p, q] = x[n, c, p·SH − PH + i·DH, q·SW − PW + j·DW]``,
    ``i, j = divmod(taps[n, c, p, q], KW)``. Linear in `x`, and the transpose of `scatter_taps`.

    Parameters
    ----------
    x
        Shape (N, C, H, W).
    taps
        Shape (N, C, OH, OW), as `max_pool2d` returns them.
    kernel_size, stride, padding, dilation
        As for `max_pool2d`.

    Returns
    -------
    array
        Shape (N, C, OH, OW), channels-last memory.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[[1.0, 5.0], [5.0, 2.0]]]])
    >>> gather_taps(x, np.array([[[[3]]]], np.uint8), (2, 2), (2, 2)).item()
    2.0
    """
    windows = Windows(x.shape[2:], kernel_size, stride, padding, dilation)
    places = windows.taps(taps.shape[2:])
    chosen = channels_last(taps)
    out = np.empty(chosen.shape, x.dtype)

    def step(source: Array, chosen: Array, out: Array) -> None:
        out.fill(0)
        for tap in places:
            # Every window has one tap, so the masked bits of all taps together are its value.
            picked = np.multiply(source[tap.inputs], chosen[tap.outputs] == tap.number)
            np.bitwise_or(out[tap.outputs], picked, out=out[tap.outputs])

    sweep_images(step, x.size, _bits(channels_last(x)), chosen, _bits(out))
    return channels_first(out)


def scatter_taps(
    g: Array,
    taps: Array,
    input_shape: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Array:
    """Put each window's value back where its tap points; where windows overlap, add.

    The gradient of max-pooling, and the transpose of `gather_taps`, which has the formula.

    Parameters
    ----------
    g, taps
        Shape (N, C, OH, OW).
    input_shape
        (N, C, H, W).
    kernel_size, stride, padding, dilation
        As for `max_pool2d`.

    Returns
    -------
    array
        Shape `input_shape`, channels-last memory.

    Examples
    --------
    >>> import numpy as np
    >>> tap = np.array([[[[2]]]], np.uint8)
    >>> scatter_taps(np.array([[[[7.0]]]]), tap, (1, 1, 2, 2), (2, 2), (2, 2))[0, 0]
    array([[0., 0.],
           [7., 0.]])
    """
    N, C, H, W = input_shape
    windows = Windows((H, W), kernel_size, stride, padding, dilation)
    places = windows.taps(taps.shape[2:])
    out = np.empty((N, H, W, C), g.dtype)
    disjoint = windows.disjoint
    fill = not (disjoint and windows.reach_all(taps.shape[2:]))
    size = taps.shape[2] * kernel_size[0], taps.shape[3] * kernel_size[1]
    if not fill and size == (H, W):
        return _scatter_to_blocks(g, taps, out, kernel_size)

    def step(g_bits: Array, chosen: Array, out: Array) -> None:
        out_bits = _bits(out)
        # Behind a fully connected layer it is channels-first: read once, not once a tap. Two
        # threads: (64, 64, 24, 24) 1.15 ms -> 0.85.
        g_bits = np.ascontiguousarray(g_bits)
        if fill:
            out.fill(0)
        for tap in places:
            # Times 0 or 1 as integers: an infinite gradient leaves zeros elsewhere, not NaNs.
            mask = chosen[tap.outputs] == tap.number
            if disjoint:
                np.multiply(g_bits[tap.outputs], mask, out=out_bits[tap.inputs])
            else:
                part = np.multiply(g_bits[tap.outputs], mask).view(out.dtype)
                np.add(out[tap.inputs], part, out=out[tap.inputs])

    sweep_images(step, out.size, _bits(channels_last(g)), channels_last(taps), out)
    return channels_first(out)


# All taps in one call, one thread: (1, 8, 26, 26) 15.5 µs tap by tap, 10.2 here;
# (64, 64, 24, 24) 1.66 ms and 1.27.
def _scatter_to_blocks(g: Array, taps: Array, out: Array, kernel_size: Pair) -> Array:
    """Do `scatter_taps` where the windows tile the image: each fills its own block of `out`."""
    N, C, OH, OW = taps.shape
    KH, KW = kernel_size
    blocks = out.reshape(N, OH, KH, OW, KW, C)
    numbers = _tap_numbers(KH, KW, taps.dtype)

    def step(g_bits: Array, chosen: Array, blocks: Array) -> None:
        by_tap = _bits(blocks).transpose(2, 4, 0, 1, 3, 5)  # (KH, KW, n, OH, OW, C)
        # Behind a fully connected layer it is channels-first: read once, not once a tap.
        g_bits = np.ascontiguousarray(g_bits)
        mask = chosen == numbers
        if blocks.size <= _FEW:
            np.multiply(g_bits, mask, out=by_tap)
        else:  # the mask is cast apart, as in `relu_gradient`
            np.copyto(by_tap, mask)
            np.multiply(g_bits, by_tap, out=by_tap)

    sweep_images(step, out.size, _bits(channels_last(g)), channels_last(taps), blocks)
    return channels_first(out)


@lru_cache(maxsize=1024)
def _tap_numbers(KH: int, KW: int, dtype: np.dtype[Any]) -> Array:
    return np.arange(KH * KW, dtype=dtype).reshape(KH, KW, 1, 1, 1, 1)


def _bits(x: Array) -> Array:
    return x.view(np.dtype(f"i{x.itemsize}"))


def flat_indices(
    taps: Array,
    input_shape: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> npt.NDArray[np.int64]:
    """Turn taps into positions h·W + w in the input's plane: PyTorch's ``return_indices``.

    Parameters
    ----------
    taps
        Shape (N, C, OH, OW).
    input_shape
        (N, C, H, W).
    kernel_size, stride, padding, dilation
        As for `max_pool2d`.

    Returns
    -------
    array
        Shape (N, C, OH, OW), int64.

    Examples
    --------
    >>> import numpy as np
    >>> flat_indices(np.array([[[[0, 3]]]], np.uint8), (1, 1, 2, 4), (2, 2), (2, 2))[0, 0]
    array([[0, 7]])
    """
    OH, OW = taps.shape[2:]
    i, j = np.divmod(taps.astype(np.int64), kernel_size[1])
    rows = i * dilation[0] + (np.arange(OH) * stride[0] - padding[0])[:, None]  # (N, C, OH, OW)
    columns = j * dilation[1] + (np.arange(OW) * stride[1] - padding[1])  # (N, C, OH, OW)
    return np.asarray(rows * input_shape[3] + columns, np.int64)
