"""Operations and the faults put into them: flat units, groups, attention, more losses."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tests.verify.fault_kinds import (
    channel,
    double,
    element,
    first_answer,
    first_inputs,
    half,
    last_image,
    mask_missing,
    mutates_cotangent,
    mutates_input,
    noise,
    nonlinear,
    over,
    permille,
    sign,
    single,
    written,
    zero,
)
from tests.verify.faults import Array, Call, Fault, Site, fixed, image, normal, spread, weight
from tinygrad_cnn.ops import activation as act
from tinygrad_cnn.ops import dropout, group_norm, linalg, piecewise, softmax
from tinygrad_cnn.ops.losses.ctc import Ctc
from tinygrad_cnn.ops.matrices import norms
from tinygrad_cnn.ops.pointwise import combining, hard, units


def _site(family: str, name: str, op: Any, function: Any, inputs: Any, *faults: Fault) -> Site:
    return Site(family, name, op, function, inputs, faults)


# ------------------------------------------------------------------------------- activations

_X = normal(4, 5)


def _unscaled(_r: Array, call: Call) -> Array:
    return np.where(call.inputs[0] > 0, call.g, call.g * np.exp(np.minimum(call.inputs[0], 0)))


ACTIVATION = [
    _site(
        *("activation", "hardtanh", hard.Hardtanh, F.hardtanh, (_X,)),
        *(mask_missing(), sign(), element(), zero(), first_inputs(), nonlinear()),
    ),
    _site(
        *("activation", "relu6", hard.Hardtanh, F.relu6, (_X,)),
        *(mask_missing(), double(), single(), mutates_cotangent()),
    ),
    _site(
        *("activation", "hardswish", hard.Hardswish, F.hardswish, (_X,)),
        written(
            "without x", lambda r, c: c.g * F.hardsigmoid(c.inputs[0]), *("term missing", "slope")
        ),
        *(half(), element(), permille(), mutates_input()),
    ),
    _site(
        *("activation", "hardshrink", hard.Hardshrink, F.hardshrink, (_X,)),
        *(mask_missing(), sign(), noise()),
    ),
    _site(
        *("activation", "softshrink", hard.Softshrink, F.softshrink, (_X,)),
        *(mask_missing(), permille()),
    ),
    _site(
        *("activation", "threshold", hard.Threshold, lambda x: F.threshold(x, 0.1, -2.0), (_X,)),
        *(mask_missing(), double(), first_answer()),
    ),
    _site(
        *("activation", "elu", units.Elu, lambda x: F.elu(x, 0.5), (_X,)),
        written("alpha missing", _unscaled),
        written("negative side flat", lambda r, c: np.where(c.inputs[0] > 0, c.g, 0.0)),
        *(sign(), element(), single(), nonlinear()),
    ),
    _site(
        *("activation", "selu", units.Elu, F.selu, (_X,)),
        *(half(), permille(), mutates_cotangent()),
    ),
    _site(
        *("activation", "prelu", units.PRelu, F.prelu, (normal(4, 3, 5), weight(3))),
        written("slope missing", lambda r, c: np.where(c.inputs[0] > 0, c.g, 0.0), "operand"),
        *(sign(1), element(1), last_image(1), double(), permille(1), first_inputs(1)),
    ),
]

# ------------------------------------------------------------------------------- normalisation


def _groups(mean: bool, variance: bool) -> Any:
    """The input gradient of a group normalisation, with or without its two terms."""

    def change(_r: Array, call: Call) -> Array:
        x, scale = call.inputs[:2]
        rows = len(x), call.op.groups, -1
        values = x.reshape(rows)
        centred = values - values.mean(2, keepdims=True)
        inverse = 1 / np.sqrt((centred**2).mean(2, keepdims=True) + call.op.eps)
        g = (call.g * scale.reshape(-1, *(1,) * (x.ndim - 2))).reshape(rows)
        first = g.mean(2, keepdims=True) if mean else 0.0
        second = inverse**2 * centred * (g * centred).mean(2, keepdims=True) if variance else 0.0
        return np.asarray((inverse * (g - first - second)).reshape(x.shape))

    return change


_TERMS = [
    written("mean term missing", _groups(False, True), "mean term"),
    written("variance term missing", _groups(True, False), "variance term"),
]

NORM = [
    _site(
        *("norm", "group norm", group_norm.GroupNorm, lambda x, w, b: F.group_norm(x, 2, w, b)),
        (image(3, 4, 4, 4), spread(4), weight(4)),
        *_TERMS,
        *(zero(), sign(), element(), channel(), last_image(1), double(1), last_image(2)),
        *(over(3, "batch", 2), nonlinear(), single(), noise(1), permille(1)),
    ),
    _site(
        *("norm", "instance norm", group_norm.GroupNorm),
        lambda x, w: F.instance_norm(x, weight=w),
        (image(3, 2, 4, 4), spread(2)),
        *(zero(), half(1), mutates_input(), first_inputs()),
    ),
]

# ------------------------------------------------------------------------------- attention, dropout


def _drops(function: Any) -> Any:
    return lambda x: function(x, 0.5, generator=np.random.default_rng(1))


_MASK = written("mask and scale missing", lambda r, c: c.g)
_QKV = (normal(2, 4, 3), weight(2, 5, 3), weight(2, 5, 3))

ATTENTION = [
    _site(
        *("linalg", "attention, last product", linalg.Matmul, F.scaled_dot_product_attention, _QKV),
        written("keys backwards", lambda r, c: np.flip(r, 1), "flipped", i=1),
        *(sign(), element(1), zero(1), permille(), last_image(1)),
    ),
    _site(
        *("softmax", "attention, weights", softmax.Softmax, F.scaled_dot_product_attention, _QKV),
        written("only the diagonal", lambda r, c: c.g * c.out * (1 - c.out), "diagonal"),
        *(double(), element(), single(), first_answer()),
    ),
    _site(
        *("activation", "dropout of channels", dropout.Dropout, _drops(F.dropout2d)),
        (normal(3, 4, 3, 3),),
        *(_MASK, half(), channel(), permille()),
    ),
    _site(
        *("activation", "alpha dropout", dropout.Dropout),
        lambda x: F.alpha_dropout(x, 0.5, True, generator=np.random.default_rng(1)),
        (normal(4, 5),),
        *(_MASK, element(), sign()),
    ),
]

# ------------------------------------------------------------------------------- losses

_T = normal(4, 5)
_VECTORS = (normal(4, 3), weight(4, 3), weight(4, 3))
_CLASSES = np.array([3, 0, 4, 1])


def _ctc(x: Any) -> Any:
    return F.ctc_loss(F.log_softmax(x, 2), np.array([[1, 2], [2, 2]]), [5, 5], [2, 2])


LOSS = [
    _site(
        *("loss", "smooth l1", piecewise.Clip, F.smooth_l1_loss, (normal(4, 5), weight(4, 5))),
        *(mask_missing(), element(), sign()),
    ),
    _site(
        *("loss", "kl divergence", combining.Xlogy, F.kl_div, (normal(4, 5), spread(4, 5))),
        *(sign(), half(1), element(1), permille(1)),
    ),
    _site(
        *("loss", "multi margin", act.Relu, lambda x: F.multi_margin_loss(x, _CLASSES), (_T,)),
        *(mask_missing(), double(), element()),
    ),
    _site(
        *("loss", "multilabel margin", act.Relu),
        lambda x: F.multilabel_margin_loss(x, np.array([[3, 0, -1, 1, 1], [1, -1, 0, 0, 0]])),
        (normal(2, 5),),
        *(mask_missing(), sign(), zero()),
    ),
    _site(
        *("loss", "focal", act.Softplus, F.sigmoid_focal_loss),
        (normal(3, 2), fixed(np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]))),
        *(half(), element(), permille()),
    ),
    _site(
        *("loss", "triplet margin", norms.VectorNorm, F.triplet_margin_loss, _VECTORS),
        *(sign(), zero(), element(), single()),
    ),
    _site(
        *("loss", "cosine similarity", norms.VectorNorm, F.cosine_similarity, _VECTORS[:2]),
        *(double(), permille(), first_inputs()),
    ),
    _site(
        *("loss", "ctc", Ctc, _ctc, (weight(5, 2, 3),)),
        *(half(), element(), permille(), sign()),
    ),
]

SITES = [*ACTIVATION, *NORM, *ATTENTION, *LOSS]
