"""Convolutions, pools, normalisations, resampling and dropout."""

# A rule takes every input, whether it reads it or not.
# ruff: noqa: ARG001

from __future__ import annotations

from typing import Any

import numpy as np

from exhibits import Array, digits, exhibit, features

# ------------------------------------------------------------------------------- convolution


def windows(x: Array, size: int, stride: int = 1) -> Array:
    """Return x (N, C, H, W) as windows (N, C, OH, OW, size, size)."""
    view = np.lib.stride_tricks.sliding_window_view(x, (size, size), (2, 3))
    return view[:, :, ::stride, ::stride]


def convolve(x: Array, w: Array, b: Array) -> Array:
    """Correlate x (N, C, H, W) with w (O, C, K, K), and add b (O,)."""
    return np.einsum("ncijab,ocab->noij", windows(x, w.shape[2]), w) + b[:, None, None]


def spread_windows(parts: Array, shape: tuple[int, ...], stride: int, add: bool = True) -> Array:
    """Put windows (N, C, OH, OW, K, K) back where they were; overlapping ones are added."""
    x = np.zeros(shape)
    size = parts.shape[-1]
    for i in range(parts.shape[2]):
        for j in range(parts.shape[3]):
            a, b = i * stride, j * stride
            before = x[:, :, a : a + size, b : b + size] if add else 0.0
            x[:, :, a : a + size, b : b + size] = before + parts[:, :, i, j]
    return x


def convolve_gradients(g: Array, x: Array, w: Array) -> tuple[Array, Array, Array]:
    """Return the gradients of x, w and b."""
    gx = spread_windows(np.einsum("noij,ocab->ncijab", g, w), x.shape, 1)
    gw = np.einsum("noij,ncijab->ocab", g, windows(x, w.shape[2]))
    return gx, gw, g.sum((0, 2, 3))


def draw_convolution(rng: np.random.Generator) -> list[Any]:
    """Two digits of two channels, three filters."""
    return [digits(rng, 2, 2), rng.standard_normal((3, 2, 3, 3)) / 4, rng.standard_normal(3) / 10]


@exhibit(
    "convolution: filter not turned in the input's gradient",
    "nntrainer/nntrainer/issues/705",
    convolve,
    draw_convolution,
    "operand",
    "flipped",
    "reversed",
)
def _(g: Any, x: Any, w: Any, b: Any, wrong: bool) -> Any:
    gx, gw, gb = convolve_gradients(g, x, w)
    if wrong:
        gx = convolve_gradients(g, x, w[:, :, ::-1, ::-1])[0]
    return gx, gw, gb


@exhibit(
    "convolution: weight gradient in the wrong order",
    "nntrainer/nntrainer/issues/705",
    convolve,
    draw_convolution,
    "transposed",
    "permuted",
)
def _(g: Any, x: Any, w: Any, b: Any, wrong: bool) -> Any:
    gx, gw, gb = convolve_gradients(g, x, w)
    return gx, gw.swapaxes(2, 3) if wrong else gw, gb


@exhibit(
    "convolution: values right, places wrong",
    "tf-encrypted/tf-encrypted/issues/150",
    convolve,
    draw_convolution,
    "flipped",
    "reversed",
    "permuted",
)
def _(g: Any, x: Any, w: Any, b: Any, wrong: bool) -> Any:
    gx, gw, gb = convolve_gradients(g, x, w)
    return gx, gw[:, :, ::-1, ::-1] if wrong else gw, gb


# ------------------------------------------------------------------------------- pools


def max_pool(x: Array) -> Array:
    """Take the maximum of windows of 3 at a stride of 2."""
    return windows(x, 3, 2).max((4, 5))


def winners(x: Array) -> Array:
    """Return 1 at the first maximum of each window (N, C, OH, OW, 3, 3), else 0."""
    parts = windows(x, 3, 2)
    flat = parts.reshape(*parts.shape[:4], 9)
    chosen = np.arange(9) == flat.argmax(-1)[..., None]
    return chosen.reshape(parts.shape).astype(float)


@exhibit(
    "max pool: overlapping windows assigned, not added",
    "jmschrei/tangermeme/pull/95",
    max_pool,
    lambda rng: [digits(rng, 2, 1, 9)],
    "overlap",
    "last window",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    parts = winners(x) * g[..., None, None]
    if not wrong:
        return (spread_windows(parts, x.shape, 2),)
    gx = np.zeros_like(x)
    for i in range(g.shape[2]):
        for j in range(g.shape[3]):
            here = gx[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            here[...] = np.where(parts[:, :, i, j] != 0, parts[:, :, i, j], here)
    return (gx,)


@exhibit(
    "max pool: a later window decides who won",
    "ahrefs/ocannl/issues/512",
    max_pool,
    lambda rng: [digits(rng, 2, 1, 9) + 0.01 * rng.random((2, 1, 9, 9))],
    "overlap",
    "last window",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    won = winners(x)
    if wrong:
        gate = spread_windows(won, x.shape, 2, add=False)
        won = windows(gate, 3, 2)
    return (spread_windows(won * g[..., None, None], x.shape, 2),)


def average_pool(x: Array, stride: int = 2) -> Array:
    """Average windows of 3 at a stride of 2 that hang over the end: over what is inside."""
    n, c, h, w = x.shape
    out = np.zeros((n, c, -(-h // 2), -(-w // 2)))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = x[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].mean((2, 3))
    return out


def average_pool_gradient(g: Array, x: Array, whole: bool) -> Array:
    """Return the gradient, each window divided by its own size, or by 9."""
    gx = np.zeros_like(x)
    for i in range(g.shape[2]):
        for j in range(g.shape[3]):
            part = gx[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            part += (g[:, :, i, j] / (9 if whole else part[0, 0].size))[:, :, None, None]
    return gx


@exhibit(
    "average pool: the last window divided by its whole size",
    "pytorch/pytorch/issues/198119",
    average_pool,
    lambda rng: [digits(rng, 2, 1, 8)],
    "ratios",
    "border",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    return (average_pool_gradient(g, x, wrong),)


def padded_average(x: Array) -> Array:
    """Average windows of 3 around each pixel, padding not counted."""
    sums = windows(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), 3).sum((4, 5))
    return sums / inside(x)


def inside(x: Array) -> Array:
    """Return how many pixels of each window are no padding."""
    return windows(np.pad(np.ones_like(x), ((0, 0), (0, 0), (1, 1), (1, 1))), 3).sum((4, 5))


@exhibit(
    "average pool: the gradient counts padding, the pool does not",
    "pytorch/pytorch/pull/15997",
    padded_average,
    lambda rng: [digits(rng, 2, 1, 6)],
    "ratios",
    "border",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    parts = (g / (9 if wrong else inside(x)))[..., None, None] * np.ones((3, 3))
    n, c, h, w = x.shape
    return (spread_windows(parts, (n, c, h + 2, w + 2), 1)[:, :, 1:-1, 1:-1],)


# ------------------------------------------------------------------------------- normalisation


def batch_norm(x: Array, gamma: Array, beta: Array) -> Array:
    """Normalise each column of x (N, D) over the batch."""
    return gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) + beta


def draw_norm(rng: np.random.Generator) -> list[Any]:
    """Activations with a scale and a shift."""
    return [features(rng, 12, 6), rng.uniform(0.5, 1.5, 6), rng.standard_normal(6)]


def batch_norm_gradients(
    g: Array, x: Array, gamma: Array, slope: Array, extra: float = 0.0
) -> tuple[Array, Array, Array]:
    """Return the gradients; ``slope`` is that of the normalised values."""
    std = np.sqrt(x.var(0) + 1e-5)
    unit = (x - x.mean(0)) / std
    gx = (slope - (1 + extra) * slope.mean(0) - unit * (slope * unit).mean(0)) / std
    return gx, (g * unit).sum(0), g.sum(0)


@exhibit(
    "batch norm: the mean's term with another one added",
    "apache/mxnet/issues/1053",
    batch_norm,
    draw_norm,
    "mean term",
    "term missing",
)
def _(g: Any, x: Any, gamma: Any, beta: Any, wrong: bool) -> Any:
    return batch_norm_gradients(g, x, gamma, g * gamma, extra=1 / len(x) if wrong else 0.0)


@exhibit(
    "batch norm: the scale left out of the input's gradient",
    "denizyuret/Knet.jl/issues/288",
    batch_norm,
    draw_norm,
    "operand",
    "ratios",
    "slope",
)
def _(g: Any, x: Any, gamma: Any, beta: Any, wrong: bool) -> Any:
    return batch_norm_gradients(g, x, gamma, g if wrong else g * gamma)


def layer_norm(x: Array, gamma: Array, beta: Array) -> Array:
    """Normalise each row of x (N, D)."""
    mean, var = x.mean(1, keepdims=True), x.var(1, keepdims=True)
    return gamma * (x - mean) / np.sqrt(var + 1e-5) + beta


def layer_norm_gradients(
    g: Array, x: Array, gamma: Array, means: float = 1.0, axis: int | None = 1
) -> tuple[Array, Array, Array]:
    """Return the gradients; ``means`` says how often the mean is subtracted."""
    std = np.sqrt(x.var(1, keepdims=True) + 1e-5)
    unit = (x - x.mean(1, keepdims=True)) / std
    slope, size = g * gamma, x.shape[1]
    mean = slope.sum(axis, keepdims=True) / size
    along = (slope * unit).sum(axis, keepdims=True) / size
    gx = (slope - means * mean - unit * along) / std
    return gx, (g * unit).sum(0), g.sum(0)


def draw_rows(rng: np.random.Generator) -> list[Any]:
    """Activations with a scale and a shift for each column."""
    return [features(rng, 6, 12), rng.uniform(0.5, 1.5, 12), rng.standard_normal(12)]


@exhibit(
    "layer norm: the mean subtracted twice",
    "tenstorrent/tt-metal/issues/53204",
    layer_norm,
    draw_rows,
    "mean term",
)
def _(g: Any, x: Any, gamma: Any, beta: Any, wrong: bool) -> Any:
    return layer_norm_gradients(g, x, gamma, means=2.0 if wrong else 1.0)


@exhibit(
    "layer norm: sums over all rows of a block",
    "flagos-ai/FlagGems/pull/59",
    layer_norm,
    draw_rows,
    "wrong axis",
    "mean term",
    "variance term",
    "term missing",
)
def _(g: Any, x: Any, gamma: Any, beta: Any, wrong: bool) -> Any:
    return layer_norm_gradients(g, x, gamma, axis=None if wrong else 1)


# ------------------------------------------------------------------------------- resampling


def weights_of(size: int, into: int, corners: bool) -> Array:
    """Return the matrix (into, size) of linear resampling."""
    places = np.arange(into)
    scale = (size - 1) / (into - 1) if corners else size / into
    at = places * scale if corners else np.clip((places + 0.5) * scale - 0.5, 0, size - 1)
    low = np.minimum(np.floor(at).astype(int), size - 2)
    matrix = np.zeros((into, size))
    matrix[places, low] = 1 - (at - low)
    matrix[places, low + 1] += at - low
    return matrix


def upsample_row(x: Array) -> Array:
    """Stretch rows of x (N, 3) to 24, corners on corners."""
    return x @ weights_of(3, 24, corners=True).T


@exhibit(
    "linear upsampling: far terms dropped with aligned corners",
    "flagos-ai/FlagGems/issues/5218",
    upsample_row,
    lambda rng: [digits(rng, 4, 1, 8)[:, 0, 4, 2:5]],
    "ratios",
    "term missing",
    "last window",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    matrix = weights_of(3, 24, corners=True)
    if wrong:  # a window of the scale that belongs to corners that are not aligned
        far = np.abs(np.arange(24)[:, None] - np.arange(3) * 23 / 2) > 24 / 3
        matrix = np.where(far, 0.0, matrix)
    return (g @ matrix,)


def upsample(x: Array) -> Array:
    """Double height and width of x (N, C, H, W) bilinearly."""
    rows, columns = (weights_of(n, 2 * n, corners=False) for n in x.shape[2:])
    return np.einsum("ph,nchw,qw->ncpq", rows, x, columns)


@exhibit(
    "bilinear upsampling: the other alignment in the gradient",
    "pytorch/pytorch/pull/5927",
    upsample,
    lambda rng: [digits(rng, 2, 1, 6)],
    "operand",
    "ratios",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    rows, columns = (weights_of(n, 2 * n, corners=wrong) for n in x.shape[2:])
    return (np.einsum("ph,ncpq,qw->nchw", rows, g, columns),)


@exhibit(
    "bilinear upsampling: the column from the height",
    "intel/torch-xpu-ops/pull/4380",
    upsample,
    lambda rng: [digits(rng, 2, 1, 8)[:, :, :, 2:6]],
    "shifted",
    "permuted",
    "operand",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    rows, columns = (weights_of(n, 2 * n, corners=False) for n in x.shape[2:])
    if wrong:
        columns = np.roll(columns, x.shape[3] - x.shape[2], 0)
    return (np.einsum("ph,ncpq,qw->nchw", rows, g, columns),)


# ------------------------------------------------------------------------------- dropout


def mask_of(x: Array, seed: int) -> Array:
    """Return a mask of dropout at 0.5, scaled."""
    return 2.0 * (np.random.default_rng(seed).random(x.shape) < 0.5)


def dropout(x: Array) -> Array:
    """Drop half of the activations, always the same ones."""
    return x * mask_of(x, 1)


@exhibit(
    "dropout: a mask drawn anew in the gradient",
    "pytorch/pytorch/issues/190717",
    dropout,
    lambda rng: [features(rng, 6, 12)],
    "wrong mask",
    "earlier call",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    return (g * mask_of(x, 2 if wrong else 1),)


@exhibit(
    "dropout: the gradient scaled, the mask left out",
    "ddbourgin/numpy-ml/issues/94",
    dropout,
    lambda rng: [features(rng, 6, 12)],
    "mask missing",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    return (g * (2.0 if wrong else mask_of(x, 1)),)


@exhibit(
    "dropout: exact zeros pass, dropped or not",
    "kaldi-asr/kaldi/issues/3890",
    dropout,
    lambda rng: [features(rng, 6, 12)],
    "only where the input is 0",
    "mask missing",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    gx = g * mask_of(x, 1)
    return (np.where(x == 0, g, gx) if wrong else gx,)
