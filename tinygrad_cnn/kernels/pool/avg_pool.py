"""Average pooling on plain arrays: sums along rows and columns, one division a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.pool.windows import Pair, Windows, sweep_images
from tinygrad_cnn.kernels.runtime.copies import channels_first, channels_last

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_gradient",
    "avg_pool2d",
    "avg_pool2d_gradient",
]

Array = npt.NDArray[Any]
# For each output position along one axis, the slice of input positions that it averages.
Spans = list[slice]


def avg_pool2d(
    x: Array,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """Average each window.

    ``out[n, c, p, q] = Σ_{i, j} x[n, c, p·SH − PH + i, q·SW − PW + j] / divisor[p, q]``

    The divisor counts the window's elements inside the padded image, H + 2·PH by W + 2·PW, and
    without `count_include_pad` those inside the image alone, as in PyTorch: a window of
    `ceil_mode` that hangs over even the padding is divided by what it covers.

    Parameters
    ----------
    x
        Shape (N, C, H, W), fastest in channels-last memory.
    kernel_size, stride, padding
        (height, width) pairs in elements.
    ceil_mode
        Count windows that hang over the end; see `pool.pool_output_size`.
    count_include_pad
        Whether zeros of the padding count.

    Returns
    -------
    array
        Shape (N, C, OH, OW), dtype of `x`, channels-last memory.

    Examples
    --------
    >>> import numpy as np
    >>> avg_pool2d(np.arange(4.0).reshape(1, 1, 2, 2), (2, 2), (2, 2)).item()
    1.5
    """
    windows = Windows(x.shape[2:], kernel_size, stride, padding, (1, 1), ceil_mode)
    height, width = windows.output_size
    rows, columns = windows.along(0, height), windows.along(1, width)
    divisor = _divisors(windows, count_include_pad).astype(x.dtype)
    out = np.empty((x.shape[0], height, width, x.shape[1]), x.dtype)

    def step(source: Array, out: Array) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            partial = np.empty((out.shape[0], height, *source.shape[2:]), x.dtype)
            _add_taps(source.swapaxes(0, 1), partial.swapaxes(0, 1), rows)
            _add_taps(partial.transpose(2, 0, 1, 3), out.transpose(2, 0, 1, 3), columns)
            np.divide(out, divisor, out=out)

    sweep_images(step, x.size, channels_last(x), out)
    return channels_first(out)


def _add_taps(source: Array, out: Array, taps: tuple[tuple[slice, slice], ...]) -> None:
    """Write the sum over taps, slices (outputs, inputs) of the first axis, to `out`."""
    outputs, inputs = taps[0]
    if (outputs.start, outputs.stop) == (0, out.shape[0]):
        np.copyto(out, source[inputs])
        taps = taps[1:]
    else:
        out.fill(0)
    for outputs, inputs in taps:
        np.add(out[outputs], source[inputs], out=out[outputs])


def _divisors(windows: Windows, count_include_pad: bool) -> Any:
    """Count the elements of each window; shape (OH, OW, 1), or () if all have as many."""
    counts = []
    axes = zip(*windows[:4], windows.output_size, strict=True)
    for size, kernel, stride, padding, outputs in axes:
        start = np.arange(outputs) * stride - padding
        stop = np.minimum(start + kernel, size + padding)
        if not count_include_pad:
            start, stop = np.maximum(start, 0), np.minimum(stop, size)
        counts.append(stop - start)
    areas = np.multiply.outer(*counts)[:, :, None]  # (OH, OW, 1)
    return areas if np.ptp(areas) else areas[0, 0, 0]


def avg_pool2d_gradient(
    g: Array,
    input_shape: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """Spread each window's gradient evenly over it: the transpose of `avg_pool2d`.

    Parameters
    ----------
    g
        Shape (N, C, OH, OW).
    input_shape
        (N, C, H, W).
    kernel_size, stride, padding, ceil_mode, count_include_pad
        As for `avg_pool2d`.

    Returns
    -------
    array
        Shape `input_shape`, dtype of `g`, channels-last memory.

    Examples
    --------
    >>> import numpy as np
    >>> avg_pool2d_gradient(np.full((1, 1, 1, 1), 8.0), (1, 1, 2, 2), (2, 2), (2, 2))[0, 0]
    array([[2., 2.],
           [2., 2.]])
    """
    N, C, H, W = input_shape
    windows = Windows((H, W), kernel_size, stride, padding, (1, 1), ceil_mode)
    height, width = windows.output_size
    rows, columns = windows.along(0, height), windows.along(1, width)
    divisor = _divisors(windows, count_include_pad).astype(g.dtype)
    out = np.empty((N, H, W, C), g.dtype)
    disjoint, fill = windows.disjoint, not windows.reach_all((height, width))

    def step(g: Array, out: Array) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            share = g / divisor
            partial = np.empty((g.shape[0], height, W, C), g.dtype)
            wide, share = partial.transpose(2, 0, 1, 3), share.transpose(2, 0, 1, 3)
            _spread_taps(share, wide, columns, disjoint, fill)
            _spread_taps(partial.swapaxes(0, 1), out.swapaxes(0, 1), rows, disjoint, fill)

    sweep_images(step, out.size, channels_last(g), out)
    return channels_first(out)


def _spread_taps(
    g: Array, out: Array, taps: tuple[tuple[slice, slice], ...], disjoint: bool, fill: bool
) -> None:
    """Put `g` at every tap of the first axis of `out`; add where windows overlap."""
    if fill or not disjoint:
        out.fill(0)
    for outputs, inputs in taps:
        if disjoint:
            out[inputs] = g[outputs]
        else:
            np.add(out[inputs], g[outputs], out=out[inputs])


def adaptive_avg_pool2d(x: Array, output_size: Pair) -> Array:
    """Average to a given size: output i covers the rows from ⌊i·H / OH⌋ to ⌈(i + 1)·H / OH⌉.

    Parameters
    ----------
    x
        Shape (N, C, H, W).
    output_size
        (OH, OW); (1, 1) averages whole images.

    Returns
    -------
    array
        Shape (N, C, OH, OW), dtype of `x`, channels-last memory.

    Examples
    --------
    >>> import numpy as np
    >>> adaptive_avg_pool2d(np.arange(3.0).reshape(1, 1, 1, 3), (1, 2))
    array([[[[0.5, 1.5]]]])
    """
    N, C, H, W = x.shape
    rows, columns = _spans(H, output_size[0]), _spans(W, output_size[1])
    out = np.empty((N, *output_size, C), x.dtype)
    divisor = _span_areas(rows, columns).astype(x.dtype)

    def step(source: Array, out: Array) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            partial = np.empty((source.shape[0], output_size[0], W, C), x.dtype)
            for i, span in enumerate(rows):
                np.add.reduce(source[:, span], axis=1, out=partial[:, i])
            for j, span in enumerate(columns):
                np.add.reduce(partial[:, :, span], axis=2, out=out[:, :, j])
            np.divide(out, divisor, out=out)

    sweep_images(step, x.size, channels_last(x), out)
    return channels_first(out)


def adaptive_avg_pool2d_gradient(g: Array, input_shape: tuple[int, ...]) -> Array:
    """Spread each output's gradient over what it averaged: `adaptive_avg_pool2d` transposed.

    Parameters
    ----------
    g
        Shape (N, C, OH, OW).
    input_shape
        (N, C, H, W).

    Returns
    -------
    array
        Shape `input_shape`, dtype of `g`, channels-last memory.

    Examples
    --------
    >>> import numpy as np
    >>> adaptive_avg_pool2d_gradient(np.array([[[[4.0, 2.0]]]]), (1, 1, 1, 3))
    array([[[[2., 3., 1.]]]])
    """
    N, C, H, W = input_shape
    rows, columns = _spans(H, g.shape[2]), _spans(W, g.shape[3])
    out = np.empty((N, H, W, C), g.dtype)
    divisor = _span_areas(rows, columns).astype(g.dtype)

    def step(g: Array, out: Array) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            share = g / divisor
            partial = np.zeros((g.shape[0], len(rows), W, C), g.dtype)
            for j, span in enumerate(columns):
                partial[:, :, span] += share[:, :, j, None]
            out.fill(0)
            for i, span in enumerate(rows):
                out[:, span] += partial[:, i, None]

    sweep_images(step, out.size, channels_last(g), out)
    return channels_first(out)


def _spans(size: int, outputs: int) -> Spans:
    return [slice(i * size // outputs, -(-(i + 1) * size // outputs)) for i in range(outputs)]


def _span_areas(rows: Spans, columns: Spans) -> Array:
    """Count the elements of every pair of spans; shape (OH, OW, 1)."""
    heights, widths = (np.array([s.stop - s.start for s in spans]) for spans in (rows, columns))
    return np.asarray(np.multiply.outer(heights, widths)[:, :, None])  # (OH, OW, 1)
