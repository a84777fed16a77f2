"""Average pooling on plain arrays: sums along one axis after the other, one division a window."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.pool.windows import Covering, covering, sweep_images
from tinygrad_cnn.kernels.runtime.copies import channels_first, channels_last
from tinygrad_cnn.kernels.runtime.window import Sizes, Window

__all__ = ["avg_pool", "avg_pool_gradient"]

Array = npt.NDArray[Any]
Slices = tuple[tuple[slice, slice], ...]


def avg_pool(
    x: Array,
    window: Window,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> Array:
    """Average each window.

    ``out[n, c, i] = Σ_k x[n, c, i · stride + k − before] / divisor[i]``, i and k along each axis.

    The divisor counts the window's elements inside the padded input, and without
    `count_include_pad` those inside the input alone, as in PyTorch: a window of `ceil_mode` that
    hangs over even the padding is divided by what it covers.

    Parameters
    ----------
    x
        Shape (N, C, *sizes), fastest in channels-last memory.
    window
        How windows lie over the input, without dilation.
    ceil_mode
        Count windows that hang over the end; see `Window.out_size`.
    count_include_pad
        Whether zeros of the padding count.
    divisor
        What to divide by instead.

    Returns
    -------
    array
        Shape (N, C, *out sizes), dtype of `x`, channels-last memory.

    Examples
    --------
    >>> import numpy as np
    >>> window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    >>> avg_pool(np.arange(4.0).reshape(1, 1, 2, 2), window).item()
    1.5
    """
    sizes = x.shape[2:]
    out_sizes = window.out_size(sizes, ceil_mode)
    cover = covering(window, sizes, out_sizes)
    by = _divisors(window, sizes, out_sizes, count_include_pad, divisor).astype(x.dtype)
    out = np.empty((x.shape[0], *out_sizes, x.shape[1]), x.dtype)

    def step(source: Array, out: Array) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            for axis, slices in enumerate(cover.along, 1):
                wide = *out.shape[: 1 + axis], *source.shape[1 + axis :]
                target = out if axis == len(sizes) else np.empty(wide, x.dtype)
                _add_slices(source.swapaxes(0, axis), target.swapaxes(0, axis), slices)
                source = target
            np.divide(out, by, out=out)

    sweep_images(step, x.size, channels_last(x), out)
    return channels_first(out)


def _add_slices(source: Array, out: Array, slices: Slices) -> None:
    """Write the sum over slices (outputs, inputs) of the first axis to `out`."""
    outputs, inputs = slices[0]
    if (outputs.start, outputs.stop) == (0, out.shape[0]):
        np.copyto(out, source[inputs])
        slices = slices[1:]
    else:
        out.fill(0)
    for outputs, inputs in slices:
        np.add(out[outputs], source[inputs], out=out[outputs])


def _divisors(
    window: Window, sizes: Sizes, out_sizes: Sizes, count_include_pad: bool, divisor: int | None
) -> Any:
    """Count the elements of each window; shape (*out sizes, 1), or () if all have as many."""
    if divisor is not None:
        return np.array(divisor)
    counts = []
    for axis, (size, outputs) in enumerate(zip(sizes, out_sizes, strict=True)):
        before, after = window.padding[axis]
        start = np.arange(outputs) * window.stride[axis] - before
        stop = np.minimum(start + window.kernel[axis], size + after)
        if not count_include_pad:
            start, stop = np.maximum(start, 0), np.minimum(stop, size)
        counts.append(stop - start)
    areas = np.asarray(reduce(np.multiply.outer, counts))[..., None]
    return areas if np.ptp(areas) else areas.reshape(-1)[0]


def avg_pool_gradient(
    g: Array,
    input_shape: tuple[int, ...],
    window: Window,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> Array:
    """Spread each window's gradient evenly over it: the transpose of `avg_pool`.

    Parameters
    ----------
    g
        Shape (N, C, *out sizes).
    input_shape
        (N, C, *sizes).
    window, count_include_pad, divisor
        As for `avg_pool`.

    Returns
    -------
    array
        Shape `input_shape`, dtype of `g`, channels-last memory.

    Examples
    --------
    >>> import numpy as np
    >>> window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    >>> avg_pool_gradient(np.full((1, 1, 1, 1), 8.0), (1, 1, 2, 2), window)[0, 0]
    array([[2., 2.],
           [2., 2.]])
    """
    N, C, *sizes = input_shape
    cover = covering(window, tuple(sizes), g.shape[2:])
    by = _divisors(window, tuple(sizes), g.shape[2:], count_include_pad, divisor).astype(g.dtype)
    out = np.empty((N, *sizes, C), g.dtype)

    def step(g: Array, out: Array) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            share = g / by
            for axis in range(len(sizes), 0, -1):
                wide = *share.shape[:axis], *out.shape[axis:]
                target = out if axis == 1 else np.empty(wide, g.dtype)
                along = share.swapaxes(0, axis), target.swapaxes(0, axis)
                _spread_slices(*along, cover.along[axis - 1], cover)
                share = target

    sweep_images(step, out.size, channels_last(g), out)
    return channels_first(out)


def _spread_slices(g: Array, out: Array, slices: Slices, cover: Covering) -> None:
    """Put `g` at every slice of the first axis of `out`; add where windows overlap."""
    if not (cover.reach_all and cover.disjoint):
        out.fill(0)
    for outputs, inputs in slices:
        if cover.disjoint:
            out[inputs] = g[outputs]
        else:
            np.add(out[inputs], g[outputs], out=out[inputs])
