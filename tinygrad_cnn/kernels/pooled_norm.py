"""Batch normalisation and max-pooling in one: what is normalised never leaves the cache."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.max_pool import copy_by_place, pool_and_rectify, write_maxima
from tinygrad_cnn.kernels.moments import FEW_ROWS
from tinygrad_cnn.kernels.norm import Affine, normalize
from tinygrad_cnn.kernels.pool import channels_first, channels_last
from tinygrad_cnn.kernels.rows import rectify
from tinygrad_cnn.kernels.threads import parallel, part_size

__all__ = ["normalize_max_pool2d"]

Array = npt.NDArray[Any]
Pair = tuple[int, int]

# Values a block. Two threads, (1000, 16, 28, 28), ms: 41 at 16 K, 14 at 64 K, 11 at 256 K, for
# threads wait for the interpreter's lock between short calls.
_BLOCK = 1 << 18
# Values worth a thread, about 50 µs.
_GRAIN = 1 << 15


# Two threads, (1000, 16, 28, 28), one after the other and at once: 19.5 ms -> 11.
def normalize_max_pool2d(
    x: Array,
    mean: Array,
    inverse_std: Array,
    weight: Array | None,
    bias: Array | None,
    block: Pair,
    relu: bool = False,
    taps: bool = False,
) -> tuple[Array, Array | None]:
    """Normalise, take the maximum of each block of pixels, and apply a ReLU to it if wanted.

    The result has the bits of ``max_pool2d(relu(normalize(…)), block, block)``.

    Parameters
    ----------
    x
        Shape (N, C, H, W), with at least one block.
    mean, inverse_std, weight, bias
        As for `normalize`.
    block
        Height and width of the pool's windows, also its stride.
    relu
        Whether to return the positive part.
    taps
        Whether to return which pixel of its block each maximum is.

    Returns
    -------
    tuple of array and array or None
        Maxima and taps i·KW + j, both (N, C, H // KH, W // KW), channels last in memory, the taps
        in the smallest unsigned integer that holds them.

    Examples
    --------
    >>> import numpy as np
    >>> x, one = np.arange(4.0).reshape(1, 1, 2, 2), np.ones(1)
    >>> normalize_max_pool2d(x, one, one, -2 * one, None, (2, 2), taps=True)
    (array([[[[2.]]]]), array([[[[0]]]], dtype=uint8))
    """
    N, C, H, W = x.shape
    KH, KW = block
    if not 2 <= KH * KW <= 256 or N * H * W <= FEW_ROWS:
        return pool_and_rectify(normalize(x, mean, inverse_std, weight, bias), block, relu, taps)
    out = np.empty((N, H // KH, W // KW, C), x.dtype)
    chosen = np.empty(out.shape, np.uint8) if taps else None
    images = channels_last(x)
    per_image = KH * KW * out[:1].size
    affine = Affine(mean, inverse_std, weight, bias, per_image // max(1, C), x.dtype)
    most = _BLOCK / max(1, per_image)

    def work(start: int, stop: int) -> None:
        some = part_size(stop - start, most)
        with np.errstate(invalid="ignore", over="ignore"):
            for i in range(start, stop, some):
                part = slice(i, min(i + some, stop))
                values = copy_by_place(images[part], block, out[part].shape)
                rows = values.reshape(len(out[part]), per_image)
                affine(rows, rows)
                write_maxima(values, out[part], None if chosen is None else chosen[part])
                if relu:
                    rectify(out[part], out[part])

    parallel(work, N, grain=-(-_GRAIN // max(1, per_image)))
    return channels_first(out), None if chosen is None else channels_first(chosen)
