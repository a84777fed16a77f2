"""Max-pooling on plain arrays, in any dimensions.

Which element of a window is the maximum is kept as a small integer, one byte where PyTorch keeps
eight; `argmax` puts gradients back by it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.pool.windows import Covering, Index, Tap, covering, sweep_images
from tinygrad_cnn.kernels.runtime.copies import channels_first, channels_last
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.kernels.runtime.rows import Activation
from tinygrad_cnn.kernels.runtime.window import Pair, Sizes, Window

__all__ = ["max_pool", "max_pool_values", "pool_and_activate", "write_maxima"]

Array = npt.NDArray[Any]


def max_pool(x: Array, window: Window, ceil_mode: bool = False) -> tuple[Array, Array]:
    """Take each window's maximum, and which of its elements that is.

    ``out[n, c, i] = max_k x[n, c, i · stride + k · dilation − before]``, i and k along each axis.

    The first maximum wins, the last axis running fastest; a NaN counts as larger than any number.
    Padding is never chosen: a dilated window with no element of the input gives −∞ and 0.

    Parameters
    ----------
    x
        Shape (N, C, *sizes), fastest in channels-last memory.
    window
        How windows lie over the input.
    ceil_mode
        Count windows that hang over the end; see `Window.out_size`.

    Returns
    -------
    tuple of arrays
        Maxima, and their numbers in the windows, both (N, C, *out sizes) in channels-last memory;
        the numbers in the smallest unsigned integer that holds them.

    Examples
    --------
    >>> import numpy as np
    >>> window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    >>> out, argmax = max_pool(np.array([[[[1.0, 5.0], [5.0, 2.0]]]]), window)
    >>> print(out.item(), argmax.item())
    5.0 1
    """
    out_sizes, cover, axes = _separable(window, x.shape[2:], ceil_mode)
    shape = x.shape[0], *out_sizes, x.shape[1]
    out, argmax = np.empty(shape, x.dtype), np.empty(shape, cover.tap_dtype)

    def step(source: Array, out: Array, argmax: Array) -> None:
        # The last axis first: at ties the first element then wins in every pass.
        highest, number, unit = source, None, 1
        for axis in reversed(range(len(axes))):
            if axis == 0:
                made = out, argmax
            else:
                wide = (*highest.shape[: 1 + axis], *out.shape[1 + axis :])
                made = np.empty(wide, x.dtype), np.empty(wide, argmax.dtype)
            _argmax_along(axes[axis], highest, *made, number, unit)
            highest, number = made
            unit *= window.kernel[axis]
        if out.size and math.isnan(np.minimum.reduce(out, axis=None)):
            _choose_first_nan(cover.taps, source, argmax)

    sweep_images(step, x.size, channels_last(x), out, argmax)
    return channels_first(out), channels_first(argmax)


def _argmax_along(
    running: _Running,
    source: Array,
    out: Array,
    argmax: Array,
    given: Array | None,
    unit: int,
) -> None:
    """Write the maximum over the taps of one axis to `out`, and which one it is to `argmax`.

    Tap k has the number ``k · unit``, plus what is `given` with the input. Later taps have larger
    numbers, so integer arithmetic sets the winner: np.where and masked copies take ten times as
    long on random masks.
    """

    def number(tap: int, inputs: Index) -> Any:
        first = argmax.dtype.type(tap * unit)
        return first if given is None else given[inputs] + first

    if running.start is not None:
        first, second = source[running.start[0]], source[running.start[1]]
        np.maximum(first, second, out=out)
        if given is None and argmax.dtype == np.uint8:
            np.greater(second, first, out=argmax.view(np.bool_))
        else:
            greater = np.greater(second, first).view(np.uint8)
            np.multiply(greater, number(1, running.start[1]), out=argmax)
        if given is not None:
            np.maximum(argmax, given[running.start[0]], out=argmax)
    else:
        # A window of nothing but −∞ must name a tap inside the input: the first, so written last.
        out.fill(-np.inf)
        argmax.fill(0)
        for tap, outputs, inputs in reversed(running.taps):
            argmax[outputs] = number(tap, inputs)
    for tap, outputs, inputs in running.taps:
        value, best, winner = source[inputs], out[outputs], argmax[outputs]
        greater = np.greater(value, best).view(np.uint8)
        np.maximum(best, value, out=best)
        np.maximum(winner, np.multiply(greater, number(tap, inputs)), out=winner)


def _choose_first_nan(taps: tuple[Tap, ...], source: Array, argmax: Array) -> None:
    for tap in reversed(taps):
        view = argmax[tap.outputs]
        view[np.isnan(source[tap.inputs])] = tap.number


def max_pool_values(x: Array, window: Window, ceil_mode: bool = False) -> Array:
    """Take each window's maximum alone: half the time of `max_pool`, which has the formula.

    The axes are compared one after the other: KH + KW taps instead of KH · KW.

    Examples
    --------
    >>> import numpy as np
    >>> window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    >>> max_pool_values(np.arange(4.0).reshape(1, 1, 2, 2), window).item()
    3.0
    """
    out_sizes, _, axes = _separable(window, x.shape[2:], ceil_mode)
    out = np.empty((x.shape[0], *out_sizes, x.shape[1]), x.dtype)

    def step(source: Array, out: Array) -> None:
        highest = source
        for axis, running in enumerate(axes):
            is_last = axis == len(axes) - 1
            wide = *out.shape[: 2 + axis], *source.shape[2 + axis :]
            target = out if is_last else np.empty(wide, x.dtype)
            _running_maximum(highest, target, running)
            highest = target

    sweep_images(step, x.size, channels_last(x), out)
    return channels_first(out)


class _Running(NamedTuple):
    """The taps of windows along one axis, as indices of the outputs and of the inputs.

    `start` holds the inputs of the first two taps if every window has them, `taps` the rest: their
    numbers, outputs and inputs.
    """

    start: tuple[Index, Index] | None
    taps: tuple[tuple[int, Index, Index], ...]


@planned
def _separable(
    window: Window, sizes: Sizes, ceil_mode: bool
) -> tuple[Sizes, Covering, tuple[_Running, ...]]:
    """Return the output's sizes, where windows meet the input, and their taps along each axis."""
    out_sizes = window.out_size(sizes, ceil_mode)
    cover = covering(window, sizes, out_sizes)
    axes = []
    for axis, (length, along) in enumerate(zip(out_sizes, cover.along, strict=True)):
        before = (slice(None),) * (1 + axis)
        taps = tuple(
            (number, (*before, outputs), (*before, inputs))
            for number, (outputs, inputs) in enumerate(along)
        )
        full = [outputs[-1] == slice(0, length) for _, outputs, _ in taps[:2]]
        if full == [True, True]:
            axes.append(_Running((taps[0][2], taps[1][2]), taps[2:]))
        else:
            axes.append(_Running(None, taps))
    return out_sizes, cover, tuple(axes)


def _running_maximum(source: Array, out: Array, running: _Running) -> None:
    """Write the maximum over the taps to `out`."""
    if running.start is not None:
        first, second = running.start
        np.maximum(source[first], source[second], out=out)
    else:
        out.fill(-np.inf)
    for _, outputs, inputs in running.taps:
        np.maximum(out[outputs], source[inputs], out=out[outputs])


def pool_and_activate(
    y: Array, block: Pair, activation: Activation | None, argmax: bool
) -> tuple[Array, Array | None]:
    """Return the maximum of each block of pixels, activated if wanted, and which pixel it is.

    Which it is, is said of `y`, before the activation; None if it is not wanted.
    """
    window = Window(block, block, ((0, 0), (0, 0)), (1, 1))
    out, chosen = max_pool(y, window) if argmax else (max_pool_values(y, window), None)
    if activation is not None:
        activation(channels_last(out), channels_last(out))
    return out, chosen


def write_maxima(values: Sequence[Array] | Array, out: Array) -> None:
    """Write the largest of `values`, two arrays or more of one shape, to `out`.

    Examples
    --------
    >>> out = np.empty(2)
    >>> write_maxima([np.array([1.0, 5.0]), np.array([3.0, 4.0])], out)
    >>> out
    array([3., 5.])
    """
    np.maximum(values[0], values[1], out=out)
    for value in values[2:]:
        np.maximum(out, value, out=out)
