"""Samples of batch and layer normalisation, against sums written out."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tests.samples.base import Array, ErrorSample, Sample
from tinygrad_cnn.distributed.sync_norm import NormalizeTogether
from tinygrad_cnn.ops.norm import BatchNorm, BatchNormEval, LayerNorm

_rng = np.random.default_rng(12)


def _normal(*shape: int) -> Array:
    return _rng.standard_normal(shape)


def _by_channel(x: Array, w: Any = 1.0, b: Any = 0.0, eps: float = 1e-5) -> Array:
    """Normalise channel by channel."""
    out = np.empty_like(x)
    for c in range(x.shape[1]):
        values = x[:, c]
        mean = sum(values.ravel()) / values.size
        var = sum((v - mean) ** 2 for v in values.ravel()) / values.size
        scale = w if np.isscalar(w) else w[c]
        shift = b if np.isscalar(b) else b[c]
        out[:, c] = (values - mean) / (var + eps) ** 0.5 * scale + shift
    return out


def _train(x: Any, w: Any = None, b: Any = None) -> Any:
    return F.batch_norm(x, None, None, w, b, training=True)


def _evaluate(x: Any, mean: Any, var: Any, w: Any = None, b: Any = None) -> Any:
    return F.batch_norm(x, mean, var, w, b)


def _evaluate_by_channel(x: Array, mean: Array, var: Array, w: Any = None, b: Any = None) -> Array:
    out = np.empty_like(x)
    for c in range(x.shape[1]):
        scale = 1.0 if w is None else w[c]
        shift = 0.0 if b is None else b[c]
        out[:, c] = (x[:, c] - mean[c]) / (var[c] + 1e-5) ** 0.5 * scale + shift
    return out


def _rows(x: Array, w: Any = 1.0, b: Any = 0.0, dims: int = 1) -> Array:
    """Normalise example by example."""
    out = np.empty_like(x)
    for index in np.ndindex(x.shape[: x.ndim - dims]):
        values = x[index]
        mean = sum(values.ravel()) / values.size
        var = sum((v - mean) ** 2 for v in values.ravel()) / values.size
        out[index] = (values - mean) / (var + 1e-5) ** 0.5 * w + b
    return out


def _variances(*shape: int) -> Array:
    return _rng.uniform(0.5, 2.0, shape)


SAMPLES = [
    Sample(BatchNorm, _train, (_normal(5, 3),), _by_channel, "features", atol=1e-10),
    Sample(BatchNorm, _train, (_normal(3, 2, 4),), _by_channel, "signals", atol=1e-10),
    Sample(BatchNorm, _train, (_normal(2, 3, 3, 4),), _by_channel, "images", atol=1e-10),
    Sample(
        BatchNorm,
        _train,
        (_normal(3, 2, 2, 3), _normal(2), _normal(2)),
        _by_channel,
        "weight and bias",
        atol=1e-10,
    ),
    Sample(
        BatchNorm,
        lambda x, b: F.batch_norm(x, None, None, None, b, training=True),
        (_normal(4, 2), _normal(2)),
        lambda x, b: _by_channel(x, 1.0, b),
        "bias alone",
        atol=1e-10,
    ),
    Sample(
        BatchNorm,
        lambda x: F.batch_norm(x, None, None, training=True, eps=0.1),
        (_normal(4, 2) + 3.0,),
        lambda x: _by_channel(x, eps=0.1),
        "eps",
        atol=1e-10,
    ),
    Sample(
        NormalizeTogether,
        lambda x, w, b: NormalizeTogether(1e-5, True)(x, w, b),
        (_normal(3, 2, 2, 3), _normal(2), _normal(2)),
        _by_channel,
        "a world of one process",
        atol=1e-10,
    ),
    Sample(
        NormalizeTogether,
        lambda x: NormalizeTogether(1e-5, False)(x, None, None),
        (_normal(5, 3),),
        _by_channel,
        "alike for every rank",
        atol=1e-10,
    ),
    Sample(
        BatchNormEval,
        _evaluate,
        (_normal(4, 3), _normal(3), _variances(3)),
        _evaluate_by_channel,
        "features",
        atol=1e-10,
    ),
    Sample(
        BatchNormEval,
        _evaluate,
        (_normal(2, 3, 2, 3), _normal(3), _variances(3), _normal(3), _normal(3)),
        _evaluate_by_channel,
        "images",
        atol=1e-10,
    ),
    Sample(
        BatchNormEval,
        _evaluate,
        (_normal(0, 2, 2, 2), _normal(2), _variances(2)),
        _evaluate_by_channel,
        "empty batch",
    ),
    Sample(LayerNorm, lambda x: F.layer_norm(x, 4), (_normal(3, 4),), _rows, "last", atol=1e-10),
    Sample(
        LayerNorm,
        lambda x, w, b: F.layer_norm(x, (3, 4), w, b),
        (_normal(2, 3, 4), _normal(3, 4), _normal(3, 4)),
        lambda x, w, b: _rows(x, w, b, dims=2),
        "two dimensions",
        atol=1e-10,
    ),
    Sample(
        LayerNorm,
        lambda x, w: F.layer_norm(x, [5], w),
        (_normal(2, 2, 5), _normal(5)),
        _rows,
        "weight alone",
        atol=1e-10,
    ),
]

_x = np.ones((4, 3, 2, 2))

ERRORS = [
    ErrorSample(
        lambda: F.batch_norm(np.ones((1, 3)), None, None, training=True),
        ValueError,
        "batch_norm: expects more than one value a channel",
        "one value",
    ),
    ErrorSample(
        lambda: F.batch_norm(_x, None, None), ValueError, "evaluation expects running_mean", "none"
    ),
    ErrorSample(
        lambda: F.batch_norm(_x, np.ones(2), np.ones(3)),
        ValueError,
        r"running_mean expects shape \(3,\) for input of shape \(4, 3, 2, 2\), got \(2,\)",
        "statistics",
    ),
    ErrorSample(
        lambda: F.batch_norm(np.ones(3), None, None, training=True),
        ValueError,
        r"batch_norm: expects \(N, C\)",
        "1-d",
    ),
    ErrorSample(
        lambda: F.layer_norm(_x, 3), ValueError, r"last dimensions are \(3,\), got", "shape"
    ),
    ErrorSample(
        lambda: F.layer_norm(_x, 2, np.ones(3)),
        ValueError,
        r"layer_norm: weight expects shape \(2,\)",
        "weight",
    ),
]
