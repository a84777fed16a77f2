"""Max-pooling on plain arrays, tap by tap.

Which tap won is kept as a small integer, one byte where PyTorch keeps eight; `taps` puts gradients
back by it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.pool.windows import Index, Pair, Tap, Windows, sweep_images
from tinygrad_cnn.kernels.runtime.copies import channels_first, channels_last, copy_into
from tinygrad_cnn.kernels.runtime.rows import rectify

__all__ = ["copy_by_place", "max_pool2d", "max_pool2d_values", "pool_and_rectify", "write_maxima"]

Array = npt.NDArray[Any]


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
        Maxima and taps i·KW + j, both (N, C, OH, OW) in channels-last memory; taps in the smallest
        unsigned integer that holds them.

    Examples
    --------
    >>> import numpy as np
    >>> out, taps = max_pool2d(np.array([[[[1.0, 5.0], [5.0, 2.0]]]]), (2, 2), (2, 2))
    >>> print(out.item(), taps.item())
    5.0 1
    """
    windows = Windows(x.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    (height, width), rows, columns, tiled = _separable(*windows)
    shape = (x.shape[0], height, width, x.shape[1])
    out, chosen = np.empty(shape, x.dtype), np.empty(shape, windows.tap_dtype)

    def step(source: Array, out: Array, chosen: Array) -> None:
        if tiled:
            write_maxima(copy_by_place(source, kernel_size, out.shape), out, chosen)
            return
        # Along each row first: at ties the first tap, row by row, wins in both passes.
        across = (*source.shape[:2], *out.shape[2:])  # (n, H, OW, C)
        highest, column = np.empty(across, x.dtype), np.empty(across, chosen.dtype)
        _argmax_along(columns, source, highest, column)
        _argmax_along(rows, highest, out, chosen, column, windows.kernel_size[1])
        if out.size and math.isnan(np.minimum.reduce(out, axis=None)):
            _choose_first_nan(windows.taps((height, width)), source, chosen)

    sweep_images(step, x.size, channels_last(x), out, chosen)
    return channels_first(out), channels_first(chosen)


# Blocks of memory instead of rows of C numbers: one thread, (1, 8, 26, 26) 19.7 µs -> 14.6;
# two, (32, 4, 16, 16) 97 -> 55; (1000, 16, 28, 28) 8.2 ms -> 7.9.
def copy_by_place(source: Array, kernel_size: Pair, out_shape: tuple[int, ...]) -> Array:
    """Copy windows that lie side by side in images (n, H, W, C) to (KH·KW, n, OH, OW, C)."""
    KH, KW = kernel_size
    n, OH, OW, C = out_shape
    windows = source[:, : OH * KH, : OW * KW].reshape(n, OH, KH, OW, KW, C)
    copy = np.empty((KH, KW, *out_shape), source.dtype)
    copy_into(copy, windows.transpose(2, 4, 0, 1, 3, 5))
    return copy.reshape(KH * KW, *out_shape)


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
    settings = kernel_size, stride, padding, dilation, ceil_mode
    N, C, H, W = x.shape
    (height, width), rows, columns, _ = _separable((H, W), *settings)
    out = np.empty((N, height, width, C), x.dtype)

    def step(source: Array, out: Array) -> None:
        highest = np.empty((len(out), height, W, C), x.dtype)
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
def _separable(*settings: Any) -> tuple[Pair, _Running, _Running, bool]:
    """Return the output size, the taps along the rows and along the columns of `Windows`.

    And whether there are 2 to 256 taps and windows lie side by side, none over the edge.
    """
    windows = Windows(*settings)
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
    few = 2 <= windows.kernel_size[0] * windows.kernel_size[1] <= 256
    return size, axes[0], axes[1], few and _lie_inside(windows)


def _lie_inside(windows: Windows) -> bool:
    axes = zip(*windows[:5], windows.output_size, strict=True)
    return all(
        kernel == stride and padding == 0 and (kernel == 1 or dilation == 1) and n * kernel <= size
        for size, kernel, stride, padding, dilation, n in axes
    )


def _running_maximum(source: Array, out: Array, running: _Running) -> None:
    """Write the maximum over the taps to `out`."""
    if running.start is not None:
        first, second = running.start
        np.maximum(source[first], source[second], out=out)
    else:
        out.fill(-np.inf)
    for _, outputs, inputs in running.taps:
        np.maximum(out[outputs], source[inputs], out=out[outputs])


def pool_and_rectify(y: Array, block: Pair, relu: bool, taps: bool) -> tuple[Array, Array | None]:
    """Return the maximum of each block of pixels, rectified if wanted, and which pixel it is.

    The taps are those of `y`, before the ReLU; None if they are not wanted.
    """
    if taps:
        out, chosen = max_pool2d(y, block, block)
    else:
        out, chosen = max_pool2d_values(y, block, block), None
    if relu:
        rectify(channels_last(out), channels_last(out))
    return out, chosen


def write_maxima(values: Sequence[Array] | Array, out: Array, chosen: Array | None) -> None:
    """Write the largest of `values` to `out`, and its index to `chosen` if there is one.

    As in `max_pool2d` the first maximum wins, and a NaN is larger than any number.

    Parameters
    ----------
    values
        2 to 256 arrays of one shape, or the first axis of an array.
    out, chosen
        Of that shape; `chosen` of uint8.

    Examples
    --------
    >>> import numpy as np
    >>> out, chosen = np.empty(2), np.empty(2, np.uint8)
    >>> write_maxima([np.array(v) for v in ([1.0, 5.0], [3.0, 5.0], [2.0, 4.0])], out, chosen)
    >>> print(out, chosen)
    [3. 5.] [1 0]
    """
    np.maximum(values[0], values[1], out=out)
    if chosen is not None:
        np.greater(values[1], values[0], out=chosen.view(np.bool_))
    for number in range(2, len(values)):
        value = values[number]
        if chosen is not None:
            # Later ones have larger numbers, so integer arithmetic sets the winner.
            winner = np.greater(value, out).view(np.uint8)
            np.multiply(winner, np.uint8(number), out=winner)
            np.maximum(chosen, winner, out=chosen)
        np.maximum(out, value, out=out)
    if chosen is not None and out.size and math.isnan(np.minimum.reduce(out, axis=None)):
        for number in reversed(range(len(values))):
            chosen[np.isnan(values[number])] = number
