"""Convolution: the kernel, and its gradients by its input and by its weight.

All three are matrix products over tiles that fit in the cache (see `windows`), the tiles split
over threads. They are each other's adjoints, for any sizes:

    ⟨conv2d(x, w), g⟩ = ⟨x, conv2d_input_gradient(g, w)⟩ = ⟨w, conv2d_weight_gradient(x, g)⟩

Arguments may have any strides. Results of shape (N, C, H, W) lie in memory as (N, H, W, C).
"""

from __future__ import annotations

from math import gcd
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.threads import get_num_threads, parallel, single_threaded_blas
from tinygrad_cnn.kernels.windows import (
    Gatherer,
    Window,
    choose_layout,
    fold_weights,
    spread_weights,
)

__all__ = ["channel_sum", "conv2d", "conv2d_input_gradient", "conv2d_weight_gradient"]

Array = npt.NDArray[Any]
Pair = tuple[int, int]
Padding = tuple[Pair, Pair]

# Work worth waking a thread for, in estimated ns; BLAS itself starts no thread below as little.
_GRAIN = 50_000


class _Job(Protocol):
    """Work that can be cut by images and by output rows; `cost` is its estimate in ns."""

    cost: float
    rows: int

    def run(self, images: Pair, rows: Pair) -> None: ...


class _Correlation:
    """Windows of `x` (N, H, W, C) times `w` (KH, KW, C, O), into `out` (N, OH, OW, O).

    `x` and `out` have any strides. The bias is added, and the ReLU applied, while a tile is in
    the cache.
    """

    def __init__(
        self,
        x: Array,
        w: Array,
        out: Array,
        window: Window,
        bias: Array | None = None,
        relu: bool = False,
    ) -> None:
        self.x, self.out, self.window, self.relu = x, out, window, relu
        N, self.rows, OW, O = out.shape
        self.layout = choose_layout((self.rows, OW), (w.shape[2], O), window)
        self.weights = spread_weights(w, window, self.layout)
        self.cost = self.layout.cost * N * self.rows * OW
        # Whole rows of OW·O values are added to at once: a loop over O values is a short one.
        self.bias = None if bias is None else np.broadcast_to(bias, (OW, O)).copy()

    def run(self, images: Pair, rows: Pair) -> None:
        _, OH, OW, O = self.out.shape
        gatherer = Gatherer(self.x, self.window, self.layout, (OH, OW), O, images, rows)
        for i, j, start, stop in gatherer.tiles():
            target = self.out[i:j, start:stop]
            self._multiply(gatherer.columns(i, j, start, stop), target)
            if self.bias is not None:
                target += self.bias
            if self.relu:
                np.maximum(target, 0, out=target)

    def _multiply(self, columns: Array, target: Array) -> None:
        n, rows, OW, O = target.shape
        if self.layout.by_row:
            products = np.matmul(columns, self.weights).reshape(-1, rows, n, OW, O)
            total = products[0]
            for product in products[1:-1]:
                total += product
            np.add(total, products[-1], out=target.transpose(1, 0, 2, 3))
        elif target.flags.c_contiguous:
            matrix = target.reshape(columns.shape[1], -1)  # (positions / span, span·O)
            np.matmul(columns[0], self.weights[0], out=matrix)
        else:
            target[...] = np.matmul(columns[0], self.weights[0]).reshape(target.shape)


class _WeightGradient:
    """The sum over positions of windows of `x` times `g` (N, OH, OW, O)."""

    def __init__(self, x: Array, g: Array, window: Window) -> None:
        self.x, self.g, self.window = x, g, window
        N, self.rows, OW, O = g.shape
        self.layout = choose_layout((self.rows, OW), (x.shape[3], O), window)
        self.cost = self.layout.cost * N * self.rows * OW
        self.parts: dict[tuple[Pair, Pair], Array] = {}

    def run(self, images: Pair, rows: Pair) -> None:
        _, OH, OW, O = self.g.shape
        gatherer = Gatherer(self.x, self.window, self.layout, (OH, OW), O, images, rows)
        total: Array | None = None
        for i, j, start, stop in gatherer.tiles():
            tile = self.g[i:j, start:stop]
            if self.layout.by_row:
                tile = tile.transpose(1, 0, 2, 3)
            columns = gatherer.columns(i, j, start, stop)
            gradient = tile.reshape(columns.shape[1], -1)  # (positions / span, span·O)
            product = np.matmul(columns.transpose(0, 2, 1), gradient)
            if total is None:
                total = product
            else:
                total += product
        if total is not None:
            self.parts[images, rows] = total

    def result(self) -> Array:
        """Sum the threads' parts in the order of their ranges. Returns (KH, KW, C, O)."""
        first, *others = (self.parts[key] for key in sorted(self.parts))
        for part in others:
            first += part
        channels = self.x.shape[3], self.g.shape[3]
        return fold_weights(first, channels, self.window, self.layout)


def _run(jobs: list[_Job], N: int) -> None:
    """Run jobs over all their images and rows, in as many threads as they are worth."""
    cost = sum(job.cost for job in jobs)
    if cost < _GRAIN:
        for job in jobs:
            job.run((0, N), (0, job.rows))
        return
    with single_threaded_blas:
        threads = get_num_threads()
        if N >= 4 * threads or N % threads == 0:

            def run_images(start: int, stop: int) -> None:
                for job in jobs:
                    job.run((start, stop), (0, job.rows))

            parallel(run_images, N, grain=_grain(N, cost))
            return
        for job in jobs:
            run_rows = lambda start, stop, run=job.run: run((0, N), (start, stop))
            parallel(run_rows, job.rows, grain=_grain(job.rows, job.cost))


def _grain(length: int, cost: float) -> int:
    return 1 + int(_GRAIN * length / cost)


def _channels_last(x: Array) -> Array:
    return x.transpose(0, 2, 3, 1)  # (N, H, W, C)


def _channels_first(x: Array) -> Array:
    return x.transpose(0, 3, 1, 2)  # (N, C, H, W)


def _group(channels: int, groups: int, index: int) -> slice:
    size = channels // groups
    return slice(index * size, (index + 1) * size)


def conv2d(
    x: Array,
    w: Array,
    bias: Array | None,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    relu: bool = False,
) -> Array:
    """Correlate images with kernels.

    out[n, o, y, x] = bias[o] + Σ_c Σ_kh Σ_kw w[o, c, kh, kw] · x[n, c, y·s + kh·d − p, x·s + …]

    Parameters
    ----------
    x
        Shape (N, C, H, W).
    w
        Shape (O, C // groups, KH, KW), of x's dtype.
    bias
        Shape (O,), or None.
    stride, dilation
        Of height and width, at least 1.
    padding
        ((top, bottom), (left, right)): zeros around the image, not negative.
    groups
        Output channels of group i see input channels of group i only.
    relu
        Whether to return max(out, 0).

    Returns
    -------
    array
        Shape (N, O, OH, OW), channels last in memory,
        OH = (H + top + bottom − dilation · (KH − 1) − 1) // stride + 1.

    Examples
    --------
    >>> import numpy as np
    >>> x, w = np.ones((1, 2, 4, 4)), np.ones((3, 2, 3, 3))
    >>> conv2d(x, w, None, (1, 1), ((0, 0), (0, 0)), (1, 1), 1)[0, 0]
    array([[18., 18.],
           [18., 18.]])
    """
    N, C, H, W = x.shape
    O, _, KH, KW = w.shape
    (top, bottom), (left, right) = padding
    OH = (H + top + bottom - dilation[0] * (KH - 1) - 1) // stride[0] + 1
    OW = (W + left + right - dilation[1] * (KW - 1) - 1) // stride[1] + 1
    out = np.empty((N, OH, OW, O), x.dtype)
    if out.size == 0:
        return _channels_first(out)
    window = Window((KH, KW), stride, dilation, (top, left))
    images, kernels = _channels_last(x), w.transpose(2, 3, 1, 0)  # (KH, KW, C // G, O)
    if groups == 1:
        _run([_Correlation(images, kernels, out, window, bias, relu)], N)
        return _channels_first(out)
    jobs: list[_Job] = []
    for index in range(groups):
        c, o = _group(C, groups, index), _group(O, groups, index)
        part = None if bias is None else bias[o]
        jobs.append(_Correlation(images[..., c], kernels[..., o], out[..., o], window, part, relu))
    _run(jobs, N)
    return _channels_first(out)


def conv2d_input_gradient(
    g: Array,
    w: Array,
    input_shape: tuple[int, ...],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> Array:
    """Return the gradient of `conv2d` by its input: the transposed convolution.

    dx[n, c, i, j] = Σ w[o, c, kh, kw] · g[n, o, y, x] over all with i = y·s + kh·d − p, j alike

    Parameters
    ----------
    g
        Shape (N, O, OH, OW): the gradient by conv2d's result.
    w
        Shape (O, C // groups, KH, KW), of g's dtype.
    input_shape
        (N, C, H, W). Elements that no window reaches get zeros.
    stride, padding, dilation, groups
        As conv2d had them.

    Returns
    -------
    array
        Shape `input_shape`, channels last in memory.

    Examples
    --------
    >>> import numpy as np
    >>> g, w = np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2))
    >>> conv2d_input_gradient(g, w, (1, 1, 3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1)[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    N, C, H, W = input_shape
    dx = np.empty((N, H, W, C), g.dtype)
    if dx.size == 0 or g.size == 0:
        dx[...] = 0
        return _channels_first(dx)
    gradients, kernels = _channels_last(g), w.transpose(2, 3, 0, 1)  # (KH, KW, O, C // G)
    (top, _), (left, _) = padding
    O, _, KH, KW = w.shape
    jobs: list[_Job] = []
    for y in range(min(stride[0], H)):
        taps_h, dilation_h, origin_h = _phase(y + top, KH, stride[0], dilation[0])
        for x in range(min(stride[1], W)):
            taps_w, dilation_w, origin_w = _phase(x + left, KW, stride[1], dilation[1])
            out = dx[:, y :: stride[0], x :: stride[1]]
            phase_kernels = kernels[taps_h, taps_w]
            if phase_kernels.size == 0:
                out[...] = 0
                continue
            size = phase_kernels.shape[0], phase_kernels.shape[1]
            window = Window(size, (1, 1), (dilation_h, dilation_w), (origin_h, origin_w))
            for index in range(groups):
                c, o = _group(C, groups, index), _group(O, groups, index)
                jobs.append(
                    _Correlation(gradients[..., o], phase_kernels[:, :, o], out[..., c], window)
                )
    _run(jobs, N)
    return _channels_first(dx)


def _phase(position: int, taps: int, stride: int, dilation: int) -> tuple[slice, int, int]:
    """Say how one in `stride` of the input's rows gets its gradient: by a convolution of g.

    Rows at padded positions ``position + stride * q`` are reached by those taps k alone for
    which stride divides ``position - k * dilation``, from output row (position − k·dilation) /
    stride + q. So they are a convolution of stride 1 with these taps, last one first.

    Returns the slice of taps, their dilation over g, and the origin over g.
    """
    common = gcd(stride, dilation)
    period = stride // common
    reached = [k for k in range(min(taps, period)) if (position - k * dilation) % stride == 0]
    if not reached:
        return slice(0, 0), 1, 0
    first = reached[0]
    last = first + (taps - 1 - first) // period * period
    backwards = slice(last, first - 1 if first > 0 else None, -period)
    return backwards, dilation // common, (last * dilation - position) // stride


def conv2d_weight_gradient(
    x: Array,
    g: Array,
    weight_shape: tuple[int, ...],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> Array:
    """Return the gradient of `conv2d` by its weight.

    dw[o, c, kh, kw] = Σ_n Σ_y Σ_x g[n, o, y, x] · x[n, c, y·s + kh·d − p, x·s + kw·d − p]

    Parameters
    ----------
    x
        Shape (N, C, H, W).
    g
        Shape (N, O, OH, OW), of x's dtype: the gradient by conv2d's result.
    weight_shape
        (O, C // groups, KH, KW).
    stride, padding, dilation, groups
        As conv2d had them.

    Returns
    -------
    array
        Shape `weight_shape`, C-contiguous.

    Examples
    --------
    >>> import numpy as np
    >>> x, g = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> conv2d_weight_gradient(x, g, (1, 1, 2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1), 1)[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    O, _, KH, KW = weight_shape
    dw = np.empty(weight_shape, g.dtype)
    if g.size == 0 or x.size == 0:
        dw[...] = 0
        return dw
    (top, _), (left, _) = padding
    window = Window((KH, KW), stride, dilation, (top, left))
    images, gradients = _channels_last(x), _channels_last(g)
    slices = [(_group(x.shape[1], groups, i), _group(O, groups, i)) for i in range(groups)]
    jobs = [_WeightGradient(images[..., c], gradients[..., o], window) for c, o in slices]
    _run(list(jobs), len(x))
    for job, (_, o) in zip(jobs, slices, strict=True):
        dw[o] = job.result().transpose(3, 2, 0, 1)  # (O // G, C // G, KH, KW)
    return dw


def channel_sum(g: Array) -> Array:
    """Sum over images, height and width: the gradient by a bias.

    Sums each image's rows, then the images, then the columns, so that no chain of additions is
    longer than the longest side.

    Parameters
    ----------
    g
        Shape (N, C, H, W), any strides.

    Returns
    -------
    array
        Shape (C,), of g's dtype.

    Examples
    --------
    >>> import numpy as np
    >>> channel_sum(np.ones((2, 3, 4, 4)))
    array([32., 32., 32.])
    """
    N, C, H, W = g.shape
    if not _channels_last(g).flags.c_contiguous:
        return np.add.reduce(np.add.reduce(g, axis=(2, 3)), axis=0)
    rows = _channels_last(g).reshape(N, H, W * C)
    images = np.empty((N, W * C), g.dtype)

    def work(start: int, stop: int) -> None:
        np.add.reduce(rows[start:stop], axis=1, out=images[start:stop])

    # Adding takes about 0.1 ns a value.
    parallel(work, N, grain=_grain(N, 0.1 * g.size + 1))
    return np.add.reduce(np.add.reduce(images, axis=0).reshape(W, C), axis=0)
