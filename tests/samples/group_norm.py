"""Samples of group and instance normalisation, root mean squares, norms and local responses."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tests.samples.base import Array, ErrorSample, Sample
from tinygrad_cnn.ops.elementwise import Div, Sqrt
from tinygrad_cnn.ops.group_norm import GroupNorm
from tinygrad_cnn.ops.matrices.norms import VectorNorm
from tinygrad_cnn.ops.norm import BatchNorm, BatchNormEval

_rng = np.random.default_rng(43)


def _normal(*shape: int) -> Array:
    return _rng.standard_normal(shape)


def _groups(x: Array, count: int, w: Any = None, b: Any = None, eps: float = 1e-5) -> Array:
    """Normalise group by group."""
    out = np.empty_like(x)
    size = x.shape[1] // count
    for n, first in np.ndindex(len(x), count):
        part = slice(first * size, (first + 1) * size)
        values = x[n, part]
        mean = sum(values.ravel()) / values.size
        var = sum((v - mean) ** 2 for v in values.ravel()) / values.size
        out[n, part] = (values - mean) / (var + eps) ** 0.5
    channels = (-1,) + (1,) * (x.ndim - 2)
    out = out if w is None else out * np.reshape(w, channels)
    return out if b is None else out + np.reshape(b, channels)


def _responses(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    out = np.empty_like(x)
    for c in range(x.shape[1]):
        first = c - size // 2
        near = [i for i in range(first, first + size) if 0 <= i < x.shape[1]]
        out[:, c] = x[:, c] / (k + alpha / size * (x[:, near] ** 2).sum(1)) ** beta
    return out


def _rms(x: Array, w: Array) -> Array:
    return np.array([row / ((row**2).mean() + 1e-3) ** 0.5 * w for row in x])


SAMPLES = [
    *[
        Sample(
            GroupNorm,
            lambda x, *more, count=count: F.group_norm(x, count, *more),
            (_normal(*shape), *more),
            lambda x, *more, count=count: _groups(x, count, *more),
            note,
            atol=1e-10,
        )
        for note, count, shape, more in [
            ("features", 2, (3, 6), ()),
            ("signals", 3, (2, 6, 4), (_normal(6), _normal(6))),
            ("images", 2, (2, 4, 3, 3), (_normal(4), _normal(4))),
            ("one group", 1, (2, 3, 2, 2), (_normal(3),)),
            ("volumes", 2, (2, 2, 2, 3, 2), (_normal(2), _normal(2))),
            ("no images", 2, (0, 4, 3, 3), (_normal(4), _normal(4))),
            ("beyond a block", 2, (3, 4, 30, 31), ()),
        ]
    ],
    Sample(
        GroupNorm,
        lambda x, b: F.group_norm(x, 2, None, b, eps=0.1),
        (_normal(2, 4, 3) + 3.0, _normal(4)),
        lambda x, b: _groups(x, 2, None, b, 0.1),
        "bias alone, eps",
        atol=1e-10,
    ),
    Sample(
        GroupNorm,
        lambda x, w, b: F.instance_norm(x, None, None, w, b),
        (_normal(2, 3, 2, 3), _normal(3), _normal(3)),
        lambda x, w, b: _groups(x, 3, w, b),
        "instances",
        atol=1e-10,
    ),
    Sample(
        BatchNormEval,
        lambda x, m, v: F.instance_norm(x, m, v, use_input_stats=False),
        (_normal(2, 3, 4), _normal(3), _rng.uniform(0.5, 2.0, 3)),
        lambda x, m, v: (x - m[:, None]) / np.sqrt(v[:, None] + 1e-5),
        "instances by running statistics",
        atol=1e-10,
    ),
    Sample(
        BatchNorm,
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        (_normal(2, 3, 2, 2, 3), _normal(3), _normal(3)),
        lambda x, w, b: (
            _groups(x.swapaxes(0, 1).reshape(1, 3, -1), 3, w, b)
            .reshape(3, 2, 2, 2, 3)
            .swapaxes(0, 1)
        ),
        "volumes",
        atol=1e-10,
    ),
    Sample(
        BatchNormEval,
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        (_normal(0, 3, 4), _normal(3), _normal(3)),
        lambda x, w, b: x,
        "an empty batch in training",
    ),
    Sample(
        Sqrt,
        lambda x, w: F.rms_norm(x, 4, w, 1e-3),
        (_normal(3, 4), _normal(4)),
        _rms,
        "rms",
        atol=1e-10,
    ),
    Sample(
        Div,
        lambda x: F.rms_norm(x, (2, 3)),
        (_normal(2, 2, 3),),
        lambda x: np.array([y / ((y**2).mean() + 2.0**-52) ** 0.5 for y in x]),
        "rms of two dimensions",
        rtol=1e-6,
    ),
    *[
        Sample(
            VectorNorm,
            lambda x, p=p, dim=dim: F.normalize(x, p, dim),
            (_normal(3, 4),),
            lambda x, p=p, dim=dim: x / (abs(x) ** p).sum(dim, keepdims=True) ** (1 / p),
            f"normalize, p {p}",
        )
        for p, dim in [(2.0, 1), (3.0, 0)]
    ],
    Sample(
        VectorNorm,
        lambda x: F.normalize(x, eps=0.5),
        (np.array([[0.0, 0.0]]),),
        lambda x: x,
        "normalize nothing",
        smooth=False,
        gradients=(np.array([[2.0, 2.0]]),),
    ),
    *[
        Sample(
            Div,
            lambda x, n=n: F.local_response_norm(x, n, 0.5, 0.6, 1.5),
            (_normal(2, 4, 2),),
            lambda x, n=n: _responses(x, n, 0.5, 0.6, 1.5),
            f"local responses, {n}",
        )
        for n in (1, 2, 3, 9)
    ],
]

_x = np.ones((4, 6, 2, 2))

ERRORS = [
    ErrorSample(call, ValueError, message)
    for call, message in [
        (lambda: F.group_norm(_x, 4), "^group_norm: expects a number of groups that divides the 6"),
        (lambda: F.group_norm(_x[0, 0, 0], 1), r"^group_norm: expects \(N, C, …\)"),
        (lambda: F.group_norm(_x, 2, np.ones(2)), r"^group_norm: weight expects shape \(6,\)"),
        (lambda: F.group_norm(np.ones((1, 2)), 2), "^group_norm: expects more than one value a"),
        (lambda: F.instance_norm(_x[0, 0]), r"^instance_norm: expects \(N, C, L\)"),
        (lambda: F.instance_norm(np.ones((2, 3, 1))), "^instance_norm: expects more than one val"),
        (lambda: F.instance_norm(_x, np.ones(2)), r"^instance_norm: running_mean expects shape"),
        (lambda: F.instance_norm(_x, use_input_stats=False), "expects running_mean and running_v"),
        (lambda: F.rms_norm(_x, 3), r"^rms_norm: expects input whose last dimensions are \(3,\)"),
        (lambda: F.rms_norm(_x, 2, np.ones(3)), r"^rms_norm: weight expects shape \(2,\)"),
        (lambda: F.local_response_norm(_x[0, 0], 2), "^local_response_norm: expects .N, C"),
        (lambda: F.local_response_norm(_x, 0), "^local_response_norm: size expects a positive"),
    ]
]
