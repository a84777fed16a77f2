"""Samples of borders, interpolation, patches, shuffles and grids."""

from __future__ import annotations

import math

import numpy as np

import tinygrad_cnn.functional as F
from tests.samples.base import ErrorSample, Sample
from tinygrad_cnn.kernels.resample.taps import Along
from tinygrad_cnn.ops.linalg import Matmul
from tinygrad_cnn.ops.pool.adaptive import AdaptiveAvgPool2d
from tinygrad_cnn.ops.resampling.folding import Fold, Unfold
from tinygrad_cnn.ops.resampling.pixels import MatchPixels, SamplePixels, SpreadPixels
from tinygrad_cnn.ops.resampling.resample import Resample, ResampleInput
from tinygrad_cnn.ops.shape import Permute

_rng = np.random.default_rng(12)
_signals = _rng.standard_normal((2, 3, 5))
_images = _rng.standard_normal((2, 2, 4, 3))
_deep = _rng.standard_normal((1, 9, 3, 4))  # of many channels: other memory
_volumes = _rng.standard_normal((1, 2, 3, 2, 3))
_image = _rng.standard_normal((1, 2, 4, 5))


def _triangle(x):
    return max(0.0, 1 - abs(x))


def _keys(x, a):
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def _matrix(mode, n, out, scale=None, corners=False, antialias=False):
    """The rows of an axis: (out, n), from the definition, in floats."""
    rows = np.zeros((out, n))
    step = (n - 1) / max(out - 1, 1) if corners else n / out if scale is None else 1 / scale
    for i in range(out):
        place = i * step if corners else (i + 0.5) * step - 0.5
        if mode == "nearest":
            rows[i, min(math.floor(i * step), n - 1)] = 1
        elif mode == "nearest-exact":
            rows[i, min(math.floor((i + 0.5) * step), n - 1)] = 1
        elif antialias:
            wide, center = max(step, 1.0), (i + 0.5) * step
            for j in range(n):
                x = (j + 0.5 - center) / wide
                rows[i, j] = _triangle(x) if mode == "linear" else _keys(x, -0.5)
            rows[i] /= rows[i].sum()
        else:
            place = max(place, 0.0) if mode == "linear" else place
            for j in range(math.floor(place) - 1, math.floor(place) + 3):
                weight = _triangle(place - j) if mode == "linear" else _keys(place - j, -0.75)
                rows[i, min(max(j, 0), n - 1)] += weight
    return rows


def _interpolated(x, mode, sizes, scales=(None,) * 3, **words):
    for axis, (size, scale) in enumerate(zip(sizes, scales, strict=False), 2):
        rows = _matrix(mode, x.shape[axis], size, scale, **words)
        x = np.moveaxis(np.tensordot(rows, x, (1, axis)), 0, axis)
    return x


def _resampled(note, x, mode, kind, sizes, oracle_words=None, **words):
    words = {"size": sizes, **words}
    return Sample(
        Resample,
        lambda x: F.interpolate(x, mode=mode, **words),
        (x,),
        lambda x: _interpolated(x, kind, sizes, **(oracle_words or {})),
        note,
    )


def _bordered(note, x, pad, mode, numpy_mode):
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    return Sample(
        Resample,
        lambda x: F.pad(x, pad, mode),
        (x,),
        lambda x: np.pad(x, pairs, mode=numpy_mode),
        note,
    )


def _loop_unfold(x, kernel, dilation, padding, stride):
    x = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    starts = [
        range(0, s - d * (k - 1), t)
        for s, k, d, t in zip(x.shape[2:], kernel, dilation, stride, strict=True)
    ]
    columns = [
        x[
            :,
            :,
            i : i + dilation[0] * (kernel[0] - 1) + 1 : dilation[0],
            j : j + dilation[1] * (kernel[1] - 1) + 1 : dilation[1],
        ].reshape(len(x), -1)
        for i in starts[0]
        for j in starts[1]
    ]
    return np.stack(columns, axis=2)


def _loop_fold(y, sizes, kernel):
    x = np.zeros((len(y), y.shape[1] // math.prod(kernel), *sizes))
    columns = iter(np.moveaxis(y, 2, 0))
    for i in range(sizes[0] - kernel[0] + 1):
        for j in range(sizes[1] - kernel[1] + 1):
            part = next(columns).reshape(len(y), -1, *kernel)
            x[:, :, i : i + kernel[0], j : j + kernel[1]] += part
    return x


def _loop_shuffle(x):
    out = np.empty((2, 2, 4, 6))
    for n, c, h, w in np.ndindex(*out.shape):
        out[n, c, h, w] = x[n, 4 * c + 2 * (h % 2) + w % 2, h // 2, w // 2]
    return out


def _pixel(place, size, padding, corners):
    """Bring one place to the image."""
    if padding == "zeros":
        return place
    if padding == "reflection":
        low, span = (0.0, size - 1) if corners else (-0.5, size)
        while not low <= place <= low + span:
            place = 2 * low - place if place < low else 2 * (low + span) - place
    return min(max(place, 0.0), size - 1.0)


def _loop_grid(x, grid, mode, padding, corners):
    """Every output by itself, every pixel about it by itself."""
    sizes = x.shape[2:]
    out = np.zeros((*x.shape[:2], *grid.shape[1:-1]))
    for n, *at in np.ndindex(*grid.shape[:-1]):
        axes = []
        for u, size in zip(grid[(n, *at)][::-1], sizes, strict=True):
            place = (u + 1) / 2 * (size - 1) if corners else ((u + 1) * size - 1) / 2
            if mode != "bicubic":
                place = _pixel(place, size, padding, corners)
            first = math.floor(place)
            if mode == "nearest":
                axes.append([(round(place), 1.0)])
            elif mode == "bilinear":
                axes.append([(j, _triangle(place - j)) for j in (first, first + 1)])
            else:
                near = range(first - 1, first + 3)
                pixels = [int(_pixel(j, size, padding, corners)) for j in near]
                weights = [_keys(place - j, -0.75) for j in near]
                axes.append(list(zip(pixels, weights, strict=True)))
        for taps in np.ndindex(*[len(axis) for axis in axes]):
            chosen = [axis[t] for axis, t in zip(axes, taps, strict=True)]
            index = tuple(j for j, _ in chosen)
            if all(0 <= j < s for j, s in zip(index, sizes, strict=True)):
                out[(n, slice(None), *at)] += x[(n, slice(None), *index)] * math.prod(
                    w for _, w in chosen
                )
    return out


_places = np.array([[[0.13, -0.31], [-0.57, 0.4]], [[1.3, 0.22], [-1.4, -1.7]]])[None]  # 1, 2, 2, 2
_places3 = np.array([[0.13, -0.31, 0.4], [1.15, 0.22, -0.23]])[None, None, None]  # 1, 1, 1, 2, 3


def _sampled(mode, padding, corners, x=_image, grid=_places):
    return Sample(
        SamplePixels,
        lambda x, grid: F.grid_sample(x, grid, mode, padding, corners),
        (x, grid),
        lambda x, grid: _loop_grid(x, grid, mode, padding, corners),
        f"grid {mode} {padding}{' corners' if corners else ''}{x.ndim - 2}d",
    )


_at = _rng.integers(0, 5, (2, 3, 4))  # N, K, P: of 5 pixels


def _pixels(op, oracle, shapes, *settings):
    arrays = tuple(_rng.standard_normal(shape) for shape in shapes)
    return Sample(op, op(_at, *settings), arrays, oracle, op.__name__.lower())


def _loop_sample(x, weights):
    out = np.zeros((2, 2, 4))
    for n, c, k, p in np.ndindex(2, 2, 3, 4):
        out[n, c, p] += weights[n, k, p] * x[n, c, _at[n, k, p]]
    return out


def _loop_spread(y, weights):
    out = np.zeros((2, 2, 5))
    for n, c, k, p in np.ndindex(2, 2, 3, 4):
        out[n, c, _at[n, k, p]] += weights[n, k, p] * y[n, c, p]
    return out


def _loop_match(y, x):
    out = np.zeros((2, 3, 4))
    for n, c, k, p in np.ndindex(2, 2, 3, 4):
        out[n, k, p] += y[n, c, p] * x[n, c, _at[n, k, p]]
    return out


SAMPLES = [
    _pixels(SamplePixels, _loop_sample, [(2, 2, 5), (2, 3, 4)]),
    _pixels(SpreadPixels, _loop_spread, [(2, 2, 4), (2, 3, 4)], 5),
    _pixels(MatchPixels, _loop_match, [(2, 2, 4), (2, 2, 5)]),
    _resampled("nearest", _signals, "nearest", "nearest", (8,)),
    _resampled("nearest of images", _images, "nearest", "nearest", (8, 2)),
    _resampled("nearest exact", _volumes, "nearest-exact", "nearest-exact", (4, 5, 2)),
    _resampled("linear", _signals, "linear", "linear", (7,)),
    _resampled("linear to fewer", _signals, "linear", "linear", (2,)),
    _resampled(
        *("corners", _signals, "linear", "linear", (7,), {"corners": True}), align_corners=True
    ),
    _resampled(
        *("corners of one", _signals, "linear", "linear", (1,), {"corners": True}),
        align_corners=True,
    ),
    _resampled("bilinear twice", _images, "bilinear", "linear", (8, 6)),
    _resampled("bilinear of many channels", _deep, "bilinear", "linear", (6, 3)),
    _resampled("trilinear", _volumes, "trilinear", "linear", (2, 4, 6)),
    _resampled("bicubic", _images, "bicubic", "cubic", (6, 5)),
    _resampled(
        *("bicubic corners", _images, "bicubic", "cubic", (3, 7), {"corners": True}),
        align_corners=True,
    ),
    _resampled(
        *("antialias", _images, "bilinear", "linear", (2, 5), {"antialias": True}), antialias=True
    ),
    _resampled(
        *("bicubic antialias", _images, "bicubic", "cubic", (3, 2), {"antialias": True}),
        antialias=True,
    ),
    _resampled(
        *("by scales", _images, "bilinear", "linear", (10, 2), {"scales": (2.5, 0.7)}),
        size=None,
        scale_factor=(2.5, 0.7),
    ),
    _resampled(
        *("by recomputed scales", _images, "bilinear", "linear", (10, 2)),
        size=None,
        scale_factor=(2.5, 0.7),
        recompute_scale_factor=True,
    ),
    Sample(
        AdaptiveAvgPool2d,
        lambda x: F.interpolate(x, 2, mode="area"),
        (_images,),
        lambda x: np.stack(
            [x.reshape(2, 2, 2, 2, 3)[..., a : a + 2].mean((3, 4)) for a in (0, 1)], -1
        ),
        "area",
    ),
    Sample(
        ResampleInput,
        ResampleInput((Along("linear", 3, 7), Along("nearest", 4, 2))),
        (_rng.standard_normal((1, 2, 7, 2)),),
        lambda g: np.einsum(
            "ih,jw,ncij->nchw", _matrix("linear", 3, 7), _matrix("nearest", 4, 2), g
        ),
    ),
    Sample(
        ResampleInput,
        ResampleInput((Along("reflect", 3, 6, 2),)),
        (_rng.standard_normal(6),),
        lambda g: np.array([g[2], g[1] + g[3] + g[5], g[0] + g[4]]),
        "border",
    ),
    _bordered("reflect", _signals, (2, 1), "reflect", "reflect"),
    _bordered("reflect images", _images, (1, 2, 3, 1), "reflect", "reflect"),
    _bordered("reflect of many channels", _deep, (1, 1, 1, 1), "reflect", "reflect"),
    _bordered("replicate volumes", _volumes, (1, 0, 4, 2, 0, 1), "replicate", "edge"),
    _bordered("circular", _images, (2, 3, 0, 1), "circular", "wrap"),
    Sample(
        Resample,
        lambda x: F.pad(x, (2, -1, -2, 1), "reflect"),
        (_images,),
        lambda x: np.pad(x[:, :, 2:], ((0, 0), (0, 0), (0, 1), (2, 0)), mode="reflect")[..., :-1],
        "reflect and crop",
    ),
    Sample(
        Unfold,
        lambda x: F.unfold(x, (2, 2), (1, 2), (1, 0), (2, 1)),
        (_images,),
        lambda x: _loop_unfold(x, (2, 2), (1, 2), (1, 0), (2, 1)),
    ),
    Sample(
        Unfold,
        lambda x: F.unfold(x, 2),
        (_images[0],),
        lambda x: _loop_unfold(x[None], (2, 2), (1, 1), (0, 0), (1, 1))[0],
        "one image",
    ),
    Sample(
        Fold,
        lambda y: F.fold(y, (3, 4), (2, 3)),
        (_rng.standard_normal((2, 12, 4)),),
        lambda y: _loop_fold(y, (3, 4), (2, 3)),
    ),
    Sample(
        Permute,
        lambda x: F.pixel_shuffle(x, 2),
        (_rng.standard_normal((2, 8, 2, 3)),),
        _loop_shuffle,
        "pixel shuffle",
    ),
    Sample(
        Permute,
        lambda x: F.pixel_unshuffle(x, 2),
        (_rng.standard_normal((2, 4, 6)),),
        lambda x: np.stack([x[c, i::2, j::2] for c in (0, 1) for i in (0, 1) for j in (0, 1)]),
        "pixel unshuffle",
    ),
    Sample(
        Permute,
        lambda x: F.channel_shuffle(x, 3),
        (_rng.standard_normal((2, 6, 2, 1)),),
        lambda x: x[:, [0, 2, 4, 1, 3, 5]],
        "channel shuffle",
    ),
    *[
        _sampled("bilinear", padding, corners)
        for padding, corners in (("zeros", False), ("border", True), ("reflection", False))
    ],
    _sampled("bilinear", "reflection", True, grid=_places + 0.02),
    _sampled("bicubic", "zeros", True),
    _sampled("bicubic", "border", False),
    _sampled("bicubic", "reflection", False),
    _sampled("bilinear", "zeros", False, _volumes, _places3),
    Sample(
        SamplePixels,
        lambda x: F.grid_sample(x, np.array(_places, x.dtype), "nearest"),
        (_image,),
        lambda x: _loop_grid(x, _places, "nearest", "zeros", False),
        "grid nearest",
    ),
    Sample(
        Matmul,
        lambda theta: F.affine_grid(theta, (2, 1, 2, 3)),
        (_rng.standard_normal((2, 2, 3)),),
        lambda theta: np.array(
            [[[t @ [x, y, 1] for x in (-2 / 3, 0, 2 / 3)] for y in (-0.5, 0.5)] for t in theta]
        ),
        "affine grid",
    ),
    Sample(
        Matmul,
        lambda theta: F.affine_grid(theta, (1, 1, 2, 1, 2), align_corners=True),
        (_rng.standard_normal((1, 3, 4)),),
        lambda theta: np.array(
            [[[[t @ [x, 0, z, 1] for x in (-1, 1)]] for z in (-1, 1)] for t in theta]
        ),
        "affine grid of volumes",
    ),
]


def _error(function, arguments, message, words=None):
    return ErrorSample(
        lambda: function(*arguments, **(words or {})), ValueError, message, function.__name__
    )


ERRORS = [
    _error(F.interpolate, (_images, 3), "mode expects one of nearest.*'cubic'", {"mode": "cubic"}),
    _error(
        F.interpolate,
        (_images, 3),
        r"mode 'linear' expects \(N, C, L\), got shape \(2, 2, 4, 3\); for it there are .*bicubic",
        {"mode": "linear"},
    ),
    _error(F.interpolate, (_images,), "either size or scale_factor"),
    _error(F.interpolate, (_images, 3, 2.0), "either size or scale_factor"),
    _error(F.interpolate, (_images, (3, 3, 3)), "size expects a number, or one for each of 2"),
    _error(F.interpolate, (_images, None, -1.0), "scale_factor expects positive numbers"),
    _error(F.interpolate, (_images, None, 0.1), r"sizes of at least 1, got \(0, 0\)"),
    _error(F.interpolate, (_images, 3), "align_corners is for", {"align_corners": True}),
    _error(F.interpolate, (_images, 3), "antialias is for", {"antialias": True}),
    _error(
        F.interpolate, (_images, 3), "recompute_scale_factor is", {"recompute_scale_factor": True}
    ),
    _error(F.unfold, (_images, 5), "a window of .* does not fit"),
    _error(F.unfold, (_signals[0], 2), "expects a non-empty"),
    _error(F.fold, (_signals, (3, 3), 2), r"fold: expects \(N, C · 4, 4\)"),
    _error(F.pixel_shuffle, (_images, 2), "channels in groups of 2²"),
    _error(F.pixel_unshuffle, (_images, 2), "that 2 divides"),
    _error(F.pixel_shuffle, (_images[0, 0], 1), r"expects \(…, C, H, W\)"),
    _error(F.channel_shuffle, (_images, 4), "do not divide the 2 channels"),
    _error(F.grid_sample, (_images, _places), r"with a grid \(N, OH, OW, 2\)"),
    _error(F.grid_sample, (_image, _places, "cubic"), "mode expects one of bilinear"),
    _error(F.grid_sample, (_volumes, _places3, "bicubic"), "one of bilinear, nearest, got"),
    _error(F.grid_sample, (_image, _places, "nearest", "edge"), "zeros, border or reflection"),
    _error(F.affine_grid, (_signals, (2, 3, 4, 4)), "expects theta"),
]
