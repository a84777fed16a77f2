"""Samples of attention and of the kinds of dropout, with masks drawn again by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tests.samples.base import Array, ErrorSample, Sample
from tinygrad_cnn.ops.dropout import Dropout
from tinygrad_cnn.ops.linalg import Matmul
from tinygrad_cnn.ops.softmax import Softmax

_rng = np.random.default_rng(47)
_attend = F.scaled_dot_product_attention


def _normal(*shape: int) -> Array:
    return _rng.standard_normal(shape)


def _by_loops(q: Array, k: Array, v: Array, mask: Any = None, scale: float | None = None) -> Array:
    """Query by query; the mask is of numbers that are added, or of keys that count."""
    q, k, v = (np.asarray(x) for x in (q, k, v))
    lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    L, S = q.shape[-2], k.shape[-2]
    q, k, v = (np.broadcast_to(x, lead + x.shape[-2:]) for x in (q, k, v))
    added = np.zeros((L, S)) if mask is None else np.asarray(mask)
    added = np.where(added, 0.0, -np.inf) if added.dtype.kind == "b" else added
    added = np.broadcast_to(added, (*lead, L, S))
    out = np.zeros((*lead, L, v.shape[-1]))
    factor = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    for at in np.ndindex(*lead, L):
        n, i = at[:-1], at[-1]
        e = [math.exp(factor * sum(q[n][i] * k[n][j]) + added[n][i, j]) for j in range(S)]
        for j in range(S):
            out[at] += e[j] / sum(e) * v[n][j] if sum(e) else 0.0
    return out


_BOTH = (Matmul, Softmax)
_some = np.array([[True, False, True], [False, True, True], [False, False, False]])


def _again(*shape: int) -> Array:
    return np.random.default_rng(3).random(shape, dtype=np.float32)


def _gen() -> np.random.Generator:
    return np.random.default_rng(3)


def _alpha(kept: Array, p: float) -> Any:
    low = -1.0507009873554805 * 1.6732632423543772
    scale = (1 - p + low**2 * p * (1 - p)) ** -0.5
    return lambda x: scale * np.where(kept, x, low) - scale * low * p


def _blocks(x: Array) -> Array:
    begins = _again(2, 2, 4, 3) < 0.2 * 5 * 4 / (4 * 4 * 3)
    mask = np.ones(x.shape)
    for n, c, i, j in np.argwhere(begins):
        mask[n, c, i : i + 2, j : j + 2] = 0
    return x * mask * x.size / (1e-6 + mask.sum())


SAMPLES = [
    Sample(_BOTH, _attend, (_normal(3, 4), _normal(5, 4), _normal(5, 2)), _by_loops, "attention"),
    Sample(
        _BOTH,
        _attend,
        (_normal(2, 2, 3, 4), _normal(2, 2, 5, 4), _normal(2, 2, 5, 4), _normal(3, 5)),
        _by_loops,
        "attention of heads, numbers added",
        atol=1e-10,
    ),
    Sample(
        _BOTH,
        lambda q, k, v: _attend(q, k, v, _some),
        (_normal(2, 3, 4), _normal(2, 3, 4), _normal(2, 3, 4)),
        lambda q, k, v: _by_loops(q, k, v, _some),
        "attention of some keys, and of none",
    ),
    Sample(
        _BOTH,
        lambda q, k, v: _attend(q, k, v, is_causal=True, scale=0.3),
        (_normal(1, 3, 4), _normal(1, 4, 4), _normal(1, 4, 2)),
        lambda q, k, v: _by_loops(q, k, v, np.tri(3, 4, dtype=bool), 0.3),
        "causal attention",
    ),
    Sample(
        _BOTH,
        lambda q, k, v: _attend(q, k, v, enable_gqa=True),
        (_normal(4, 3, 2), _normal(2, 3, 2), _normal(2, 3, 2)),
        lambda q, k, v: _by_loops(q, np.repeat(k, 2, 0), np.repeat(v, 2, 0)),
        "attention of shared heads",
    ),
    *[
        Sample(
            Dropout,
            lambda x, f=f: f(x, 0.4, generator=_gen()),
            (_normal(*shape),),
            lambda x, m=mask: x * (_again(*m) >= 0.4) / 0.6,
            f.__name__ + note,
        )
        for f, note, shape, mask in [
            (F.dropout1d, "", (3, 4, 2), (3, 4, 1)),
            (F.dropout1d, " of one", (4, 2), (4, 1)),
            (F.dropout2d, "", (3, 4, 2, 2), (3, 4, 1, 1)),
            (F.dropout3d, "", (2, 3, 2, 1, 2), (2, 3, 1, 1, 1)),
        ]
    ],
    Sample(
        Dropout,
        lambda x: F.alpha_dropout(x, 0.4, True, generator=_gen()),
        (_normal(3, 4),),
        lambda x: _alpha(_again(3, 4) >= np.float32(0.4), 0.4)(x),
        "alpha dropout",
    ),
    Sample(
        Dropout,
        lambda x: F.feature_alpha_dropout(x, 0.4, True, generator=_gen()),
        (_normal(3, 4, 2),),
        lambda x: _alpha(_again(3, 4, 1) >= np.float32(0.4), 0.4)(x),
        "feature alpha dropout",
    ),
    Sample(
        Dropout, lambda x: F.alpha_dropout(x, 1.0, True), (_normal(3),), np.zeros_like, "all alpha"
    ),
    Sample(
        Dropout,
        lambda x: F.stochastic_depth(x, 0.4, "row", generator=_gen()),
        (_normal(5, 2),),
        lambda x: x * (_again(5, 1) >= 0.4) / 0.6,
        "stochastic depth, rows",
    ),
    Sample(
        Dropout,
        lambda x: F.stochastic_depth(x, 0.01, "batch", generator=_gen()),
        (_normal(5, 2),),
        lambda x: x / 0.99,
        "stochastic depth, batch",
    ),
    Sample(
        Dropout,
        lambda x: F.drop_block2d(x, 0.2, 2, generator=_gen()),
        (_normal(2, 2, 5, 4),),
        _blocks,
        "drop block",
    ),
]

_x = np.ones((2, 3, 4))

ERRORS = [
    ErrorSample(call, ValueError, message)
    for call, message in [
        (lambda: _attend(_x, _x[..., :2], _x), r"expects query \(…, L, E\), key \(…, S, E\)"),
        (lambda: _attend(_x, _x, _x, np.ones((3, 3)), is_causal=True), "two masks; give one"),
        (
            lambda: _attend(_x, *[np.ones((3, 3, 4))] * 2, enable_gqa=True),
            "enable_gqa expects a num",
        ),
        (lambda: F.dropout1d(_x, 2.0), r"^dropout1d: p expects a probability in \[0, 1\], got 2.0"),
        (lambda: F.dropout2d(_x[0]), r"^dropout2d: expects \(N, C, H, W\)"),
        (lambda: F.dropout3d(_x), r"^dropout3d: expects \(N, C, D, H, W\)"),
        (lambda: F.alpha_dropout(_x, -1.0), "^alpha_dropout: p expects"),
        (lambda: F.feature_alpha_dropout(_x[0, 0]), "^feature_alpha_dropout: expects"),
        (lambda: F.stochastic_depth(_x, 0.5, "all"), "^stochastic_depth: mode expects"),
        (lambda: F.drop_block2d(_x, 0.5, 2), "^drop_block2d: expects"),
        (lambda: F.drop_block2d(_x[None], 0.5, 0), "^drop_block2d: block_size expects"),
    ]
]
