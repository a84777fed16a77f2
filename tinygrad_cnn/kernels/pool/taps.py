"""What `max_pool` remembers: pick values by tap, put gradients back by tap.

Both are linear maps, each the other's transpose.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.pool.windows import Pair, Tap, Windows, sweep_images
from tinygrad_cnn.kernels.runtime.copies import channels_first, channels_last, copy_into

__all__ = ["flat_indices", "gather_taps", "scatter_taps", "write_blocks"]

Array = npt.NDArray[Any]

# Up to so many elements a mask is cast within the product, in the first cache.
_WIDEST = 8  # bytes of the widest integers
_FEW = 1 << 15
# Elements a block whose gradients are made apart, 2 MB of float32.
_BLOCK = 1 << 19


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
    join = np.add if x.dtype.itemsize > _WIDEST else np.bitwise_or

    def step(source: Array, chosen: Array, out: Array) -> None:
        out.fill(0)
        for tap in places:
            # Every window has one tap, so the masked bits of all taps together are its value.
            picked = _picked(source[tap.inputs], chosen[tap.outputs] == tap.number)
            join(out[tap.outputs], picked, out=out[tap.outputs])

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
    out = np.empty((N, H, W, C), g.dtype)
    windows = Windows((H, W), kernel_size, stride, padding, dilation)
    places, disjoint, fill, blocks = _places(windows, taps.shape[2:])
    if blocks:
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
                _picked(g_bits[tap.outputs], mask, out_bits[tap.inputs])
            else:
                part = _picked(g_bits[tap.outputs], mask).view(out.dtype)
                np.add(out[tap.inputs], part, out=out[tap.inputs])

    sweep_images(step, out.size, _bits(channels_last(g)), channels_last(taps), out)
    return channels_first(out)


@lru_cache(maxsize=1024)
def _places(
    windows: Windows, output_size: tuple[int, ...]
) -> tuple[tuple[Tap, ...], bool, bool, bool]:
    """Return the taps; whether windows are disjoint, leave pixels out, and tile the image."""
    disjoint = windows.disjoint
    fill = not (disjoint and windows.reach_all(output_size))
    height, width = windows.kernel_size
    tiled = (output_size[0] * height, output_size[1] * width) == windows.input_size
    return windows.taps(output_size), disjoint, fill, tiled and not fill


# All taps in one call, one thread: (1, 8, 26, 26) 15.5 µs tap by tap, 10.2 here; made in memory of
# their own and copied from there as pixels, (128, 16, 28, 28) 1.37 ms -> 0.81.
def _scatter_to_blocks(g: Array, taps: Array, out: Array, kernel_size: Pair) -> Array:
    """Do `scatter_taps` where the windows tile the image: each fills its own block of `out`."""
    N, C, OH, OW = taps.shape
    KH, KW = kernel_size
    blocks = out.reshape(N, OH, KH, OW, KW, C)
    arrays = channels_last(g), channels_last(taps), blocks
    sweep_images(write_blocks, out.size, *arrays, block_size=_BLOCK)
    return channels_first(out)


def write_blocks(g: Array, taps: Array, blocks: Array) -> None:
    """Write each number of `g` where its tap points in its block of pixels, and 0 elsewhere.

    Shapes (n, OH, OW, C) twice, any strides, and (n, OH, KH, OW, KW, C), `taps` being i·KW + j.

    Examples
    --------
    >>> import numpy as np
    >>> g, tap = np.full((1, 1, 1, 1), 7.0), np.ones((1, 1, 1, 1), np.uint8)
    >>> block = np.empty((1, 1, 2, 1, 2, 1))
    >>> write_blocks(g, tap, block)
    >>> block.reshape(2, 2)
    array([[0., 7.],
           [0., 0.]])
    """
    KH, KW = blocks.shape[2], blocks.shape[4]
    by_tap = _bits(blocks).transpose(2, 4, 0, 1, 3, 5)  # (KH, KW, n, OH, OW, C)
    # Behind a fully connected layer it is channels-first: read once, not once a tap.
    bits = np.ascontiguousarray(_bits(g))
    mask = taps == _tap_numbers(KH, KW, taps.dtype)
    if blocks.size <= _FEW or bits.dtype.itemsize > _WIDEST:
        _picked(bits, mask, by_tap)
    else:  # the mask is cast apart, as in `relu_gradient`
        parts = mask.astype(bits.dtype)
        np.multiply(bits, parts, out=parts)
        copy_into(by_tap, parts)


@lru_cache(maxsize=1024)
def _tap_numbers(KH: int, KW: int, dtype: np.dtype[Any]) -> Array:
    return np.arange(KH * KW, dtype=dtype).reshape(KH, KW, 1, 1, 1, 1)


def _bits(x: Array) -> Array:
    """View numbers as integers of their size; long doubles, for which there are none, stay."""
    return x if x.itemsize > _WIDEST else x.view(np.dtype(f"i{x.itemsize}"))


def _picked(bits: Array, mask: Array, out: Array | None = None) -> Array:
    """Return the numbers where the mask holds, and 0 elsewhere, whatever stands there."""
    if bits.itemsize <= _WIDEST:
        return np.multiply(bits, mask, out=out)
    picked = np.where(mask, bits, 0)
    if out is not None:
        out[...] = picked
    return picked


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
