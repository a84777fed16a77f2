"""Samples of the convolutions, against the loops of the definition."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tests.kernels import conv_oracle as loops
from tests.samples.base import Array, ErrorSample, Sample
from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.ops.conv.trilinear import Conv1d, Conv2d, Conv2dWeight, ConvTranspose2d

_rng = np.random.default_rng(11)


def _normal(*shape: int) -> Array:
    return _rng.standard_normal(shape)


def _loops(x: Array, w: Array, b: Array | None = None, **settings: Any) -> Array:
    """conv2d by the loops, from the arguments of the public function."""
    stride, padding, dilation = (
        v if isinstance(v, tuple) else (v, v)
        for v in (
            settings.get("stride", 1),
            settings.get("padding", 0),
            settings.get("dilation", 1),
        )
    )
    pads = tuple(p if isinstance(p, tuple) else (p, p) for p in padding)
    return np.asarray(loops.conv2d(x, w, b, stride, pads, dilation, settings.get("groups", 1)))


def _conv(note: str, x: Array, w: Array, b: Array | None = None, **settings: Any) -> Sample:
    inputs = (x, w) if b is None else (x, w, b)
    oracle_settings = dict(settings)
    if settings.get("padding") == "same":
        totals = [(k - 1) * settings.get("dilation", 1) for k in w.shape[2:]]
        oracle_settings["padding"] = tuple((t // 2, t - t // 2) for t in totals)
    if settings.get("padding") == "valid":
        oracle_settings["padding"] = 0
    return Sample(
        Conv2d,
        partial(F.conv2d, **settings),
        inputs,
        partial(_loops, **oracle_settings),
        note,
        atol=1e-11,
    )


def _transpose_by_loops(
    y: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride=1,
    padding=0,
    extra=0,
    groups=1,
    dilation=1,
) -> Array:
    """Spread each pixel through the filter."""
    N, C, H, W = y.shape
    Og, KH, KW = w.shape[1:]
    size = [
        (n - 1) * stride - 2 * padding + dilation * (k - 1) + extra + 1
        for n, k in ((H, KH), (W, KW))
    ]
    full = np.zeros((N, Og * groups, size[0] + 2 * padding, size[1] + 2 * padding))
    per_group = C // groups
    for c in range(C):
        for o in range(Og):
            for i in range(H):
                for j in range(W):
                    for u in range(KH):
                        for v in range(KW):
                            row, column = i * stride + u * dilation, j * stride + v * dilation
                            out = c // per_group * Og + o
                            full[:, out, row, column] += y[:, c, i, j] * w[c, o, u, v]
    cropped = full[:, :, padding : padding + size[0], padding : padding + size[1]]
    return cropped if b is None else cropped + b.reshape(1, -1, 1, 1)


def _transpose(note: str, y: Array, w: Array, b: Array | None = None, **settings: Any) -> Sample:
    by_name = dict(settings)
    if "extra" in by_name:
        by_name["output_padding"] = by_name.pop("extra")
    return Sample(
        ConvTranspose2d,
        partial(F.conv_transpose2d, **by_name),
        (y, w) if b is None else (y, w, b),
        partial(_transpose_by_loops, **settings),
        note,
        atol=1e-11,
    )


_WINDOWS = ((2, 1), ((1, 0), (0, 1)), (1, 2), 1)
_WINDOW = Window((2, 2), *_WINDOWS[:3])

SAMPLES = [
    _conv("plain", _normal(2, 3, 5, 6), _normal(4, 3, 3, 3)),
    _conv("bias", _normal(2, 2, 4, 4), _normal(3, 2, 3, 3), _normal(3)),
    _conv("stride", _normal(2, 2, 7, 6), _normal(2, 2, 3, 3), stride=2),
    _conv("stride leaves a rest", _normal(1, 1, 6, 8), _normal(1, 1, 3, 3), stride=(2, 3)),
    _conv("padding", _normal(2, 2, 3, 4), _normal(2, 2, 3, 3), padding=1),
    _conv("padding pair", _normal(1, 2, 3, 4), _normal(2, 2, 3, 2), padding=(2, 1)),
    _conv("same", _normal(1, 2, 4, 5), _normal(2, 2, 3, 3), padding="same"),
    _conv("same even kernel", _normal(1, 1, 4, 5), _normal(1, 1, 4, 2), padding="same"),
    _conv("valid", _normal(1, 1, 4, 4), _normal(1, 1, 3, 3), padding="valid"),
    _conv("dilation", _normal(1, 2, 7, 6), _normal(2, 2, 3, 2), dilation=(2, 3)),
    _conv("same dilated", _normal(1, 1, 5, 5), _normal(1, 1, 3, 3), padding="same", dilation=2),
    _conv("groups", _normal(2, 4, 4, 4), _normal(6, 2, 3, 3), groups=2),
    _conv("depthwise", _normal(2, 3, 5, 5), _normal(3, 1, 3, 3), groups=3, padding=1),
    _conv("depthwise multiplied", _normal(1, 2, 4, 4), _normal(4, 1, 3, 3), groups=2),
    _conv("1x1", _normal(2, 3, 3, 3), _normal(4, 3, 1, 1)),
    _conv("1x1 strided", _normal(2, 3, 4, 4), _normal(2, 3, 1, 1), stride=2),
    _conv("one pixel out", _normal(1, 2, 3, 3), _normal(2, 2, 3, 3)),
    _conv("empty batch", _normal(0, 2, 4, 4), _normal(2, 2, 3, 3)),
    Sample(
        Conv2d,
        lambda x, w: F.conv2d(x, w, padding=1),
        (_normal(2, 4, 4), _normal(3, 2, 3, 3)),
        lambda x, w: _loops(x[None], w, padding=1)[0],
        "one image",
    ),
    Sample(
        Conv1d,
        lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=1, dilation=2),
        (_normal(2, 3, 9), _normal(4, 3, 3), _normal(4)),
        lambda x, w, b: _loops(
            x[:, :, None], w[:, :, None], b, stride=(1, 2), padding=(0, 1), dilation=(1, 2)
        )[:, :, 0],
        "1-d",
    ),
    Sample(
        Conv1d,
        lambda x, w: F.conv1d(x, w, padding="same"),
        (_normal(2, 6), _normal(3, 2, 4)),
        lambda x, w: _loops(x[None, :, None], w[:, :, None], padding=((0, 0), (1, 2)))[0, :, 0],
        "1-d one signal, same",
    ),
    Sample(
        ConvTranspose2d,
        ConvTranspose2d((3, 6, 5), _WINDOW, 1),
        (_normal(2, 4, 3, 4), _normal(4, 3, 2, 2)),
        lambda y, w: loops.conv2d_input_gradient(y, w, (2, 3, 6, 5), *_WINDOWS),
        "asymmetric",
    ),
    Sample(
        Conv2dWeight,
        Conv2dWeight((4, 3, 2, 2), _WINDOW, 1),
        (_normal(2, 3, 6, 5), _normal(2, 4, 3, 4)),
        lambda x, y: loops.conv2d_weight_gradient(x, y, (4, 3, 2, 2), *_WINDOWS),
        "asymmetric",
        atol=1e-11,
    ),
    _transpose("plain", _normal(2, 3, 3, 4), _normal(3, 2, 3, 3)),
    _transpose("bias", _normal(1, 2, 3, 3), _normal(2, 3, 2, 2), _normal(3)),
    _transpose("stride and padding", _normal(2, 2, 3, 3), _normal(2, 2, 3, 3), stride=2, padding=1),
    _transpose(
        "output padding", _normal(1, 2, 3, 2), _normal(2, 1, 3, 3), stride=3, padding=1, extra=2
    ),
    _transpose("dilation", _normal(1, 1, 3, 3), _normal(1, 2, 3, 2), dilation=2),
    _transpose("groups", _normal(1, 4, 3, 3), _normal(4, 2, 2, 2), groups=2, stride=2),
    Sample(
        ConvTranspose2d,
        F.conv_transpose2d,
        (_normal(2, 3, 3), _normal(2, 1, 2, 2)),
        lambda y, w: _transpose_by_loops(y[None], w)[0],
        "one image",
    ),
]

_x, _w = np.ones((8, 4, 5, 5)), np.ones((2, 3, 3, 3))

ERRORS = [
    ErrorSample(
        lambda: F.conv2d(_x, _w),
        ValueError,
        r"conv2d: weight expects 3 input channels, got input of shape \(8, 4, 5, 5\)",
        "channels",
    ),
    ErrorSample(
        lambda: F.conv2d(_x[0, 0], _w), ValueError, r"conv2d: expects input \(N, C, H, W\)", "2-d"
    ),
    ErrorSample(
        lambda: F.conv2d(_x[:, :3], _w, np.ones(3)),
        ValueError,
        r"conv2d: bias expects shape \(2,\), got \(3,\)",
        "bias",
    ),
    ErrorSample(
        lambda: F.conv2d(_x[:, :3, :2], _w),
        ValueError,
        r"conv2d: a window of 3 pixels does not fit the padded input's 2",
        "window too large",
    ),
    ErrorSample(
        lambda: F.conv2d(_x[:, :3], _w, stride=0), ValueError, "stride expects an int", "stride 0"
    ),
    ErrorSample(
        lambda: F.conv2d(_x[:, :3], _w, padding=-1), ValueError, "padding expects", "padding < 0"
    ),
    ErrorSample(
        lambda: F.conv2d(_x[:, :3], _w, padding="full"),
        ValueError,
        "padding expects ints, 'same' or 'valid', got 'full'",
        "padding word",
    ),
    ErrorSample(
        lambda: F.conv2d(_x[:, :3], _w, padding="same", stride=2),
        ValueError,
        "padding='same' needs stride 1",
        "same with stride",
    ),
    ErrorSample(
        lambda: F.conv2d(_x, np.ones((3, 2, 3, 3)), groups=2),
        ValueError,
        "groups expects",
        "groups",
    ),
    ErrorSample(
        lambda: F.conv2d(_x[:, :3], _w, dilation=(1, 2, 3)),
        ValueError,
        "dilation expects",
        "triple",
    ),
    ErrorSample(
        lambda: F.conv1d(np.ones((1, 1, 1, 4)), np.ones((1, 1, 3))),
        ValueError,
        r"conv1d: expects input \(N, C, L\)",
        "1-d shape",
    ),
    ErrorSample(
        lambda: F.conv1d(np.ones((1, 1, 4)), np.ones((1, 1, 3)), stride=(1, 2)),
        ValueError,
        "conv1d: stride expects an int >= 1",
        "1-d stride",
    ),
    ErrorSample(
        lambda: F.conv_transpose2d(_x, _w), ValueError, "conv_transpose2d: weight", "channels"
    ),
    ErrorSample(
        lambda: F.conv_transpose2d(_x, np.ones((4, 1, 3, 3)), output_padding=1),
        ValueError,
        "output_padding .* must be smaller",
        "output padding",
    ),
    ErrorSample(
        lambda: F.conv_transpose2d(_x, np.ones((4, 1, 1, 1)), padding=3),
        ValueError,
        "the output would have size",
        "nothing left",
    ),
    ErrorSample(
        lambda: F.conv_transpose2d(_x, np.ones((4, 1, 3, 3)), np.ones(2)),
        ValueError,
        r"bias expects shape \(1,\)",
        "bias",
    ),
]
