"""Samples of convolutions and pools in one and three dimensions, against loops over all indices."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tests.samples.base import Array, ErrorSample, Sample
from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.ops.conv import trilinear
from tinygrad_cnn.ops.pool import adaptive, average, chosen, maximum
from tinygrad_cnn.ops.resampling.resample import Resample

_rng = np.random.default_rng(17)


def _normal(*shape: int) -> Array:
    return _rng.standard_normal(shape)


def _distinct(*shape: int) -> Array:
    return (_rng.permutation(int(np.prod(shape))) * 0.1 - 1.0).reshape(shape)


def _all(value: Any, dims: int) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) * dims


Settings = tuple[Any, Any, Any]  # stride, padding, dilation


def _meetings(
    x: Array, kernel: tuple[int, ...], out: tuple[int, ...], settings: Settings
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
    """Yield (output, element of the window, position in x) for all that lie inside."""
    dims = len(kernel)
    stride, padding, dilation = (_all(value, dims) for value in settings)
    for i in itertools.product(*map(range, out)):
        for k in itertools.product(*map(range, kernel)):
            at = tuple(
                a * s + b * d - p
                for a, b, s, p, d in zip(i, k, stride, padding, dilation, strict=True)
            )
            if all(0 <= a < n for a, n in zip(at, x.shape[2:], strict=True)):
                yield i, k, at


def _out(x: Array, kernel: tuple[int, ...], settings: Settings) -> tuple[int, ...]:
    stride, padding, dilation = (_all(value, len(kernel)) for value in settings)
    axes = zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)
    return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)


def _conv(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    settings = stride, padding, dilation
    out = np.zeros((len(x), len(w), *_out(x, w.shape[2:], settings)))
    step, inputs = len(w) // groups, w.shape[1]
    for i, k, at in _meetings(x, w.shape[2:], out.shape[2:], settings):
        for o in range(len(w)):
            c = slice(o // step * inputs, (o // step + 1) * inputs)
            out[:, o, *i] += x[:, c, *at] @ w[o, :, *k]
    return out if b is None else out + b.reshape(-1, *(1,) * (w.ndim - 2))


def _transposed(
    y: Array,
    w: Array,
    b: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Array:
    dims = w.ndim - 2
    s, p, e, d = (_all(v, dims) for v in (stride, padding, output_padding, dilation))
    sizes = [
        (y.shape[2 + a] - 1) * s[a] - 2 * p[a] + d[a] * (w.shape[2 + a] - 1) + e[a] + 1
        for a in range(dims)
    ]
    out = np.zeros((len(y), w.shape[1] * groups, *sizes))
    step, outputs = len(w) // groups, w.shape[1]
    for i, k, at in _meetings(out, w.shape[2:], y.shape[2:], (stride, padding, dilation)):
        for c in range(len(w)):
            o = slice(c // step * outputs, (c // step + 1) * outputs)
            out[:, o, *at] += y[:, c, *i][:, None] * w[c, :, *k]
    return out if b is None else out + b.reshape(-1, *(1,) * dims)


def _windows(
    x: Array, kernel: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1
) -> dict[tuple[int, ...], list[tuple[int, ...]]]:
    """The positions in x of each output's window."""
    sizes = _all(kernel, x.ndim - 2)
    settings = kernel if stride is None else stride, padding, dilation
    found: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for i, _, at in _meetings(x, sizes, _out(x, sizes, settings), settings):
        found.setdefault(i, []).append(at)
    return found


def _pool(take: Any, x: Array, *settings: Any) -> Array:
    windows = _windows(x, *settings)
    out = np.zeros((*x.shape[:2], *(1 + max(i[a] for i in windows) for a in range(x.ndim - 2))))
    for i, places in windows.items():
        out[:, :, *i] = take(np.stack([x[:, :, *at] for at in places]))
    return out


def _maxima(x: Array, *settings: Any) -> Array:
    return _pool(partial(np.max, axis=0), x, *settings)


def _means(divisor: int, x: Array, *settings: Any) -> Array:
    return _pool(lambda values: values.sum(0) / divisor, x, *settings)


def _regions(x: Array, size: tuple[int, ...], take: Any) -> Array:
    out = np.zeros((*x.shape[:2], *size))
    for i in np.ndindex(*size):
        parts = tuple(
            slice(a * n // m, math.ceil((a + 1) * n / m))
            for a, n, m in zip(i, x.shape[2:], size, strict=True)
        )
        out[:, :, *i] = take(x[:, :, *parts], axis=tuple(range(2, x.ndim)))
    return out


def _of(op: Any, function: Any, oracle: Any, note: str, *inputs: Array, **settings: Any) -> Sample:
    return Sample(
        op, partial(function, **settings), inputs, partial(oracle, **settings), note, atol=1e-11
    )


_line = partial(_of, trilinear.Conv1d, F.conv1d, _conv)
_cube = partial(_of, trilinear.Conv3d, F.conv3d, _conv)
_line_back = partial(_of, trilinear.ConvTranspose1d, F.conv_transpose1d, _transposed)
_image_back = partial(_of, trilinear.ConvTranspose2d, F.conv_transpose2d, _transposed)
_cube_back = partial(_of, trilinear.ConvTranspose3d, F.conv_transpose3d, _transposed)

_WINDOW_1 = Window((3,), (2,), ((1, 0),), (1,))
_WINDOW_3 = Window((2, 2, 1), (1, 2, 1), ((0, 0), (1, 1), (0, 0)), (2, 1, 1))
_PLACES = np.array([[[3, 0, 3]]])
_SAMPLES = np.array([[[0.3, 0.8], [0.9, 0.1]]])


def _fractional(x: Array) -> Array:
    """Windows of 2×2 that begin where the samples say: 3 of 6 rows, 2 of 5 columns."""
    out = np.zeros((1, 2, 3, 2))
    for c in range(2):
        width, height = _SAMPLES[0, c]
        rows = [int((i + height) * 2.0) - int(height * 2.0) for i in range(2)] + [4]
        columns = [int(width * 3.0) - int(width * 3.0), 3]
        for i, j in np.ndindex(3, 2):
            out[0, c, i, j] = x[0, c, rows[i] : rows[i] + 2, columns[j] : columns[j] + 2].max()
    return out


SAMPLES = [
    _line("plain", _normal(2, 3, 9), _normal(4, 3, 3), _normal(4)),
    _line("strided, dilated", _normal(1, 2, 11), _normal(2, 2, 3), stride=2, padding=2, dilation=2),
    _line("groups", _normal(2, 4, 6), _normal(4, 2, 2), groups=2),
    _line("depthwise", _normal(2, 3, 7), _normal(3, 1, 3), groups=3, padding=1),
    _cube("plain", _normal(1, 2, 3, 4, 4), _normal(3, 2, 2, 3, 2), _normal(3)),
    _cube(
        "strided, dilated",
        *(_normal(2, 1, 5, 4, 6), _normal(2, 1, 2, 2, 3)),
        stride=(2, 1, 2),
        padding=(1, 0, 1),
        dilation=(2, 1, 1),
    ),
    _cube("groups", _normal(1, 4, 3, 3, 3), _normal(2, 2, 2, 2, 2), groups=2),
    _cube("depthwise", _normal(1, 2, 3, 3, 4), _normal(2, 1, 2, 2, 2), groups=2, padding=1),
    _cube("one element", _normal(2, 3, 2, 2, 2), _normal(2, 3, 1, 1, 1)),
    _line_back("plain", _normal(2, 3, 5), _normal(3, 2, 3), _normal(2)),
    _line_back("output padding", _normal(1, 2, 4), _normal(2, 1, 3), stride=3, output_padding=2),
    _line_back(
        "output padding over the stride",
        *(_normal(1, 2, 4), _normal(2, 1, 3)),
        output_padding=2,
        dilation=3,
    ),
    _image_back(
        "output padding over the stride",
        *(_normal(2, 2, 3, 3), _normal(2, 2, 3, 2), _normal(4)),
        stride=(1, 2),
        output_padding=(2, 2),
        dilation=3,
        groups=2,
    ),
    _cube_back("plain", _normal(1, 2, 2, 3, 2), _normal(2, 2, 2, 2, 2), _normal(2)),
    _cube_back(
        "all settings",
        *(_normal(1, 2, 2, 3, 2), _normal(2, 1, 3, 2, 2)),
        stride=2,
        padding=(1, 0, 0),
        output_padding=(1, 0, 1),
        groups=2,
    ),
    Sample(
        trilinear.Conv1dWeight,
        trilinear.Conv1dWeight((2, 3, 3), _WINDOW_1, 1),
        (_normal(2, 3, 8), _normal(2, 2, 4)),
        lambda x, y: np.stack(
            [
                np.einsum(
                    "nct,not->oc", np.pad(x, [(0, 0), (0, 0), (1, 0)])[:, :, k : k + 7 : 2], y
                )
                for k in range(3)
            ],
            axis=-1,
        ),
    ),
    Sample(
        trilinear.Conv3dWeight,
        trilinear.Conv3dWeight((2, 1, 2, 2, 1), _WINDOW_3, 1),
        (_normal(1, 1, 4, 4, 2), _normal(1, 2, 2, 3, 2)),
        lambda x, y: np.array(
            [
                [
                    [
                        [
                            [
                                sum(
                                    y[0, o, i, j, t]
                                    * np.pad(x[0, 0], [(0, 0), (1, 1), (0, 0)])[
                                        i + 2 * k, 2 * j + v, t
                                    ]
                                    for i in range(2)
                                    for j in range(3)
                                    for t in range(2)
                                )
                            ]
                            for v in range(2)
                        ]
                        for k in range(2)
                    ]
                ]
                for o in range(2)
            ]
        ),
    ),
    Sample(
        maximum.MaxPool1d,
        lambda x: F.max_pool1d(x, 2),
        (_distinct(2, 2, 5),),
        lambda x: _maxima(x, 2),
    ),
    Sample(
        maximum.MaxPool1d,
        lambda x: F.max_pool1d(x, 3, 2, 1),
        (_distinct(1, 2, 7),),
        lambda x: _maxima(x, 3, 2, 1),
        "padding",
    ),
    Sample(
        maximum.MaxPool3d,
        lambda x: F.max_pool3d(x, 2),
        (_distinct(1, 2, 4, 3, 2),),
        lambda x: _maxima(x, 2),
    ),
    Sample(
        maximum.MaxPool3d,
        lambda x: F.max_pool3d(x, (3, 2, 2), (1, 2, 1), (1, 0, 1), (1, 2, 1)),
        (_distinct(1, 1, 3, 4, 3),),
        lambda x: _maxima(x, (3, 2, 2), (1, 2, 1), (1, 0, 1), (1, 2, 1)),
        "all settings",
    ),
    Sample(
        average.AvgPool1d,
        lambda x: F.avg_pool1d(x, 3, 2, 1),
        (_normal(2, 2, 7),),
        lambda x: _means(3, x, 3, 2, 1),
    ),
    Sample(
        average.AvgPool3d,
        lambda x: F.avg_pool3d(x, (2, 1, 2), 1),
        (_normal(1, 2, 3, 3, 2),),
        lambda x: _means(4, x, (2, 1, 2), 1),
    ),
    Sample(
        average.AvgPool2d,
        lambda x: F.avg_pool2d(x, 2, divisor_override=3),
        (_normal(1, 2, 4, 4),),
        lambda x: _means(3, x, 2),
        "another divisor",
    ),
    Sample(
        adaptive.AdaptiveAvgPool1d,
        lambda x: F.adaptive_avg_pool1d(x, 3),
        (_normal(2, 2, 7),),
        lambda x: _regions(x, (3,), np.mean),
    ),
    Sample(
        adaptive.AdaptiveAvgPool3d,
        lambda x: F.adaptive_avg_pool3d(x, (2, None, 2)),
        (_normal(1, 2, 3, 2, 5),),
        lambda x: _regions(x, (2, 2, 2), np.mean),
    ),
    *(
        Sample(
            op,
            lambda x, f=function, s=size: f(x, s),
            (_distinct(*shape),),
            lambda x, s=size: _regions(x, s, np.max),
        )
        for op, function, size, shape in (
            (adaptive.AdaptiveMaxPool1d, F.adaptive_max_pool1d, (3,), (2, 2, 7)),
            (adaptive.AdaptiveMaxPool2d, F.adaptive_max_pool2d, (2, 3), (1, 2, 5, 4)),
            (adaptive.AdaptiveMaxPool3d, F.adaptive_max_pool3d, (2, 1, 2), (1, 2, 3, 2, 3)),
        )
    ),
    Sample(
        adaptive.AdaptiveMaxPool2d,
        lambda x: F.adaptive_max_pool2d(x, 1),
        (np.ones((1, 1, 2, 2)),),
        lambda x: np.ones((1, 1, 1, 1)),
        "all tied: the first",
        smooth=False,
        gradients=(np.array([[[[1.0, 0.0], [0.0, 0.0]]]]),),
    ),
    Sample(
        chosen.FractionalMaxPool2d,
        lambda x: F.fractional_max_pool2d(x, 2, (3, 2), _random_samples=_SAMPLES.astype(x.dtype)),
        (_distinct(1, 2, 6, 5),),
        _fractional,
    ),
    Sample(
        chosen.PutAt,
        lambda y: F.max_unpool1d(y, _PLACES[:, :, :2], 2),
        (_normal(1, 1, 2),),
        lambda y: np.array([[[y[0, 0, 1], 0.0, 0.0, y[0, 0, 0]]]]),
        "unpool",
    ),
    Sample(
        chosen.PutAt,
        lambda y: F.max_unpool1d(y, _PLACES, 2),
        (_normal(1, 1, 3),),
        lambda y: np.array([[[y[0, 0, 1], 0.0, 0.0, y[0, 0, 2], 0.0, 0.0]]]),
        "one position twice",
    ),
    Sample(
        chosen.PutAt,
        lambda y: F.max_unpool2d(y, np.array([[[[1, 7]]]]), 2, output_size=(2, 5)),
        (_normal(1, 1, 1, 2),),
        lambda y: np.array([[[[0.0, y[0, 0, 0, 0], 0, 0, 0], [0, 0, y[0, 0, 0, 1], 0, 0]]]]),
        "an output size",
    ),
    Sample(
        chosen.PutAt,
        lambda y: F.max_unpool3d(y, np.array([[[[[5]]]]]), 2),
        (_normal(1, 1, 1, 1, 1),),
        lambda y: np.where(np.arange(8) == 5, y.reshape(-1), 0.0).reshape(1, 1, 2, 2, 2),
        "volumes",
    ),
    *(
        Sample(
            Resample,
            lambda x, m=mode: F.pad(x, (2, 1, 0, 2), m),
            (_normal(1, 2, 3, 4),),
            lambda x, m=numpys: np.pad(x, [(0, 0), (0, 0), (0, 2), (2, 1)], mode=m),
            f"{mode} border",
        )
        for mode, numpys in (("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap"))
    ),
    Sample(
        Resample,
        lambda x: F.pad(x, (-1, 2), "reflect"),
        (_normal(2, 5),),
        lambda x: x[:, [1, 2, 3, 4, 3, 2]],
        "a border before which something is cut off",
    ),
    Sample(
        chosen.TakeAt,
        chosen.TakeAt(_PLACES),
        (_normal(1, 1, 4),),
        lambda x: x[:, :, [3, 0, 3]],
    ),
    Sample(
        average.AvgPool1d,
        lambda x: F.lp_pool1d(x, 2, 2),
        (1.0 + _rng.random((1, 2, 6)),),
        lambda x: np.sqrt((x**2).reshape(1, 2, 3, 2).sum(-1)),
        "powers",
    ),
    Sample(
        average.AvgPool2d,
        lambda x: F.lp_pool2d(x, 3, 2, 1),
        (1.0 + _rng.random((1, 1, 3, 3)),),
        lambda x: np.cbrt(_means(1, x**3, 2, 1)),
        "powers",
    ),
    Sample(
        average.AvgPool3d,
        lambda x: F.lp_pool3d(x, 2, 2),
        (1.0 + _rng.random((1, 1, 2, 2, 4)),),
        lambda x: np.sqrt(_means(1, x**2, 2)),
        "powers",
    ),
]

_x = np.ones((2, 3, 4))

ERRORS = [
    ErrorSample(
        lambda: F.conv3d(_x, np.ones((1, 3, 1, 1, 1))),
        ValueError,
        r"conv3d: expects input \(N, C, D, H, W\)",
        "signals for volumes",
    ),
    ErrorSample(
        lambda: F.conv_transpose1d(_x, np.ones((3, 2, 2)), output_padding=1),
        ValueError,
        "conv_transpose1d: output_padding",
        "output padding",
    ),
    ErrorSample(
        lambda: F.max_unpool1d(_x, np.full((2, 3, 4), 8), 2),
        ValueError,
        r"max_unpool1d: indices expects positions in an output of \(8,\), 0 to 7, got 8 to 8",
        "outside",
    ),
    ErrorSample(
        lambda: F.max_unpool1d(_x, np.zeros((2, 3, 3), int), 2),
        ValueError,
        "max_unpool1d: indices expects integers of the input's shape",
        "shape of indices",
    ),
    ErrorSample(
        lambda: F.max_unpool1d(_x, np.zeros((2, 3, 4), int), 2, output_size=(12,)),
        ValueError,
        "max_unpool1d: output_size expects L less than a stride",
        "output size",
    ),
    ErrorSample(
        lambda: F.avg_pool2d(np.ones((1, 1, 2, 2)), 2, divisor_override=0),
        ValueError,
        "avg_pool2d: divisor_override expects an int other than 0",
        "divisor",
    ),
    ErrorSample(
        lambda: F.pad(_x, (4, 0), "reflect"),
        ValueError,
        "pad: mode 'reflect' makes borders of at most 3 elements in dimension 2",
        "wide border",
    ),
    ErrorSample(
        lambda: F.lp_pool1d(_x, 0, 2), ValueError, "lp_pool1d: norm_type expects", "power 0"
    ),
    ErrorSample(
        lambda: F.fractional_max_pool2d(np.ones((1, 1, 4, 4)), 2),
        ValueError,
        "one of output_size and output_ratio",
        "no size",
    ),
    ErrorSample(
        lambda: F.fractional_max_pool2d(np.ones((1, 1, 4, 4)), 2, 4),
        ValueError,
        "do not fit",
        "too many windows",
    ),
]
