"""Operations and the faults put into them: products, convolutions, pools, normalisation, losses.

Beside the general faults, the mistakes that people make in hand-written backward passes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tests.verify.fault_kinds import (
    border,
    channel,
    corner,
    double,
    element,
    first_answer,
    first_inputs,
    flipped,
    half,
    last_image,
    last_window,
    mutates_cotangent,
    mutates_input,
    noise,
    nonlinear,
    over,
    permille,
    shifted,
    shifted_windows,
    sign,
    single,
    times,
    transposed,
    written,
    zero,
)
from tests.verify.faults import (
    Array,
    Call,
    Fault,
    Site,
    fixed,
    image,
    normal,
    spread,
    weight,
)
from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops import cross_entropy, linalg, norm
from tinygrad_cnn.ops.conv import trilinear as conv
from tinygrad_cnn.ops.pool import adaptive, average
from tinygrad_cnn.ops.pool import maximum as pool


def _site(family: str, name: str, op: Any, function: Any, inputs: Any, *faults: Fault) -> Site:
    return Site(family, name, op, function, inputs, faults)


# ------------------------------------------------------------------------------- products

LINALG = [
    _site(
        *("linalg", "matmul", linalg.Matmul, F.matmul, (normal(4, 4), weight(4, 4))),
        written("factor not transposed", lambda r, c: c.g @ c.inputs[1], "operand"),
        *(transposed(1), sign(), element(1), first_inputs(), single(), zero(1), nonlinear(1)),
    ),
    _site(
        *("linalg", "batched matmul", linalg.Matmul, F.matmul),
        (normal(3, 4, 5), weight(5, 2)),
        *(last_image(1), over(3, "batch", 1), permille(), channel()),
    ),
    _site(
        *("linalg", "linear", linalg.Linear, F.linear),
        (image(6, 4), weight(4, 4), weight(4)),
        written("weight not transposed", lambda r, c: c.g @ c.inputs[1].T, "operand"),
        *(transposed(1), last_image(1), over(6, "batch", 1), last_image(2), over(6, "batch", 2)),
        *(zero(2), double(1), half(2), noise(1), mutates_input(), permille(2)),
    ),
]

# ------------------------------------------------------------------------------- convolutions


def _kernel_not_turned(_r: Array, call: Call) -> Array:
    x, w, b = call.inputs
    turned = np.ascontiguousarray(w[:, :, ::-1, ::-1])
    return np.asarray(call.rule(call.op, call.g, call.out, x, turned, b, **call.extra)[0])


def _returns_the_other_array(r: Array, _call: Call) -> Array:
    padded = np.zeros(r.shape[:2] + tuple(n + 2 for n in r.shape[2:]))
    np.copy(padded)[:, :, 1:-1, 1:-1] += r  # into a copy; the zeros are returned
    return padded[:, :, 1:-1, 1:-1]


def _assigned(r: Array, call: Call) -> Array:
    """The weight gradient of a 3×3 convolution by loops, each window overwriting the last."""
    x, g = np.pad(call.inputs[0], [(0, 0), (0, 0), (1, 1), (1, 1)]), call.g
    found = np.zeros(r.shape)
    for n in range(g.shape[0]):
        for i in range(g.shape[2]):
            for j in range(g.shape[3]):
                window = x[n, :, i : i + 3, j : j + 3]
                found[:] = g[n, :, i, j, None, None, None] * window
    return found


def _indexed_backwards(r: Array, call: Call) -> Array:
    """The weight gradient by loops, with i - u, j - v where the forward pass has i + u, j + v."""
    x, g = np.pad(call.inputs[0], [(0, 0), (0, 0), (1, 1), (1, 1)]), call.g
    OH, OW = g.shape[2:]
    found = np.zeros(r.shape)
    for u in range(3):
        for v in range(3):
            part = x[:, :, 2 - u : 2 - u + OH, 2 - v : 2 - v + OW]
            found[:, :, u, v] = np.einsum("nohw,nchw->oc", g, part)
    return found


_conv = partial(F.conv2d, padding=1)
_CONV = (image(2, 2, 5, 5), weight(3, 2, 3, 3), weight(3))

CONV = [
    _site(
        *("conv", "conv2d input", conv.Conv2d, _conv, _CONV),
        written("other array returned", _returns_the_other_array),
        written("kernel not turned", _kernel_not_turned, "operand"),
        *(flipped(), shifted(), shifted(0, -2), corner(), border(), element(), channel()),
        *(last_image(), nonlinear(), single(), first_answer(), times(9, "window")),
    ),
    _site(
        *("conv", "conv2d weight", conv.Conv2d, _conv, _CONV),
        written("assigned, not added", _assigned, "last window", i=1),
        written("indexed backwards", _indexed_backwards, "flipped", i=1),
        *(transposed(1), flipped(1), shifted(1), shifted_windows(1), last_image(1)),
        *(last_window(1), over(2, "batch", 1), times(25, "windows", 1), corner(1), channel(1, 0)),
        *(sign(1), double(1), permille(1), noise(1), first_inputs(1), zero(1)),
    ),
    _site(
        *("conv", "conv2d bias", conv.Conv2d, _conv, _CONV),
        *(last_image(2), last_window(2, 2, 3), over(2, "batch", 2), over(50, "windows", 2)),
        *(zero(2), element(2), half(2), mutates_input(1), mutates_cotangent()),
    ),
    _site(
        *("conv", "strided conv2d", conv.Conv2d, partial(F.conv2d, stride=2), _CONV),
        *(shifted(), corner(), transposed(1), last_window(1), element(1), permille()),
    ),
    _site(
        *("conv", "one filter", conv.Conv2d, partial(F.conv2d, padding="same")),
        (image(1, 1, 8, 8), weight(1, 1, 5, 5), weight(1)),
        *(flipped(1), transposed(1), last_window(1), times(64, "windows", 1), corner()),
    ),
    _site(
        *("conv", "transposed convolution", conv.ConvTranspose2d, F.conv_transpose2d),
        (image(2, 2, 4, 4), weight(2, 3, 3, 3)),
        *(flipped(1), shifted(), corner(), last_image(1), sign(), nonlinear(1), single(1)),
    ),
    _site(
        "conv",
        "weight gradient",
        conv.Conv2dWeight,
        conv.Conv2dWeight((3, 2, 3, 3), Window((3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1)), 1),
        (image(2, 2, 5, 5), weight(2, 3, 3, 3)),
        *(double(), element(1), shifted(), permille(1)),
    ),
]

# ------------------------------------------------------------------------------- pools


def _to_every_tie(_r: Array, call: Call) -> Array:
    x, g = call.inputs[0], call.g
    highest = np.kron(call.out, np.ones((2, 2)))
    return np.where(x == highest, np.kron(g, np.ones((2, 2))), 0.0)


def _to_whole_window(_r: Array, call: Call) -> Array:
    return np.kron(call.g, np.ones((2, 2)))


def _overwrites(r: Array, call: Call) -> Array:
    """Overlapping 3×3 windows at stride 1 whose gradients overwrite each other."""
    x = call.inputs[0]
    found = np.zeros(r.shape)
    for n, c, i, j in np.ndindex(*call.g.shape):
        window = x[n, c, i : i + 3, j : j + 3]
        row, column = np.unravel_index(int(np.argmax(window)), (3, 3))
        found[n, c, i + row, j + column] = call.g[n, c, i, j]
    return found


def _rows_and_columns_exchanged(r: Array, _call: Call) -> Array:
    found = np.zeros(r.shape)
    for index in np.argwhere(r):
        n, c, i, j = index
        found[n, c, j, i] = r[n, c, i, j]
    return found


_TIES = fixed(np.repeat(np.array([[[[1.0, 3.0, 2.0], [0.0, 2.0, 1.0]]]]), 2, axis=3))
_max = lambda x: F.max_pool2d(x, 2)  # noqa: E731
_BLOCKS = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))

POOL = [
    _site(
        *("pool", "max pool", pool.MaxPool2d, _max, (image(2, 2, 6, 6),)),
        written("ties counted more than once", _to_every_tie, "ties"),
        written("to the whole window", _to_whole_window, "mask missing"),
        written("rows and columns exchanged", _rows_and_columns_exchanged, "transposed"),
        *(shifted(), sign(), over(4, "window"), element(), channel(), first_inputs(), zero()),
        *(last_image(), nonlinear(), single()),
    ),
    _site(
        *("pool", "max pool of ties", pool.MaxPool2d, _max, (_TIES,)),
        written("ties counted more than once", _to_every_tie, "ties"),
        *(double(), permille()),
    ),
    _site(
        *("pool", "overlapping max pool", pool.MaxPool2d, lambda x: F.max_pool2d(x, 3, 1)),
        (image(1, 2, 6, 6),),
        written("overwritten, not added", _overwrites, "overlap"),
        *(flipped(), noise(), element()),
    ),
    _site(
        *(
            "pool",
            "avg pool",
            average.AvgPool2d,
            lambda x: F.avg_pool2d(x, 2),
            (image(2, 2, 4, 4),),
        ),
        *(times(4, "window"), transposed(), flipped(), shifted_windows(), corner(), last_image()),
    ),
    _site(
        *("pool", "spread of avg pool", average.AvgPoolInput),
        average.AvgPoolInput((1, 2, 6, 6), _BLOCKS, False, True, None),
        (image(1, 2, 3, 3),),
        *(half(), element(), mutates_cotangent()),
    ),
    _site(
        *("pool", "adaptive avg pool", adaptive.AdaptiveAvgPool2d),
        lambda x: F.adaptive_avg_pool2d(x, 1),
        (image(2, 3, 4, 4),),
        *(times(16, "elements"), border(), channel(), first_answer()),
    ),
    _site(
        *("pool", "spread of adaptive pool", adaptive.AdaptiveAvgPoolInput),
        adaptive.AdaptiveAvgPoolInput((1, 2, 4, 4)),
        (image(1, 2, 2, 2),),
        *(sign(), permille()),
    ),
    _site(
        *("pool", "put taps", pool.PutArgmax),
        pool.PutArgmax(np.array([[[[0, 3], [2, 1]]]], np.uint8), (1, 1, 4, 4), _BLOCKS),
        (image(1, 1, 2, 2),),
        *(transposed(), single()),
    ),
    _site(
        *("pool", "take taps", pool.TakeArgmax),
        pool.TakeArgmax(np.array([[[[0, 3], [2, 1]]]], np.uint8), (1, 1, 4, 4), _BLOCKS),
        (image(1, 1, 4, 4),),
        *(flipped(), element()),
    ),
]

# ------------------------------------------------------------------------------- normalisation


def _normalised(axes: tuple[int, ...], mean: bool, variance: bool) -> Any:
    """The input gradient of a normalisation, with or without its two terms."""

    def change(_r: Array, call: Call) -> Array:
        x, scale = call.inputs[0], call.inputs[1]
        if axes[0] == 0:
            scale = scale.reshape(-1, *(1,) * (x.ndim - 2))
        centred = x - x.mean(axes, keepdims=True)
        inverse = 1 / np.sqrt((centred**2).mean(axes, keepdims=True) + call.op.eps)
        normal_x, g = centred * inverse, call.g * scale
        first = g.mean(axes, keepdims=True) if mean else 0.0
        second = normal_x * (g * normal_x).mean(axes, keepdims=True) if variance else 0.0
        return np.asarray(inverse * (g - first - second))

    return change


def _terms(*axes: int) -> list[Fault]:
    return [
        written("mean term missing", _normalised(axes, False, True), "mean term"),
        written("variance term missing", _normalised(axes, True, False), "variance term"),
        written(
            "both terms missing", _normalised(axes, False, False), "mean term", "variance term"
        ),
    ]


_SCALED = (spread(3), weight(3))


def _batch_norm(x: Any, scale: Any, shift: Any) -> Any:
    return F.batch_norm(x, None, None, scale, shift, training=True)


def _eval_norm(x: Any, mean: Any, var: Any, scale: Any, shift: Any) -> Any:
    return norm.BatchNormEval(1e-5)(x, mean, var, scale, shift)


def _layer_norm(x: Any, scale: Any, shift: Any) -> Any:
    return F.layer_norm(x, x.shape[1:], scale, shift)


NORM = [
    _site(
        *("norm", "batch norm", norm.BatchNorm, _batch_norm, (image(3, 3, 4, 4), *_SCALED)),
        *_terms(0, 2, 3),
        *(zero(), sign(), element(), channel(), last_image(1), over(48, "values", 1)),
        *(last_image(2), over(3, "batch", 2), double(1), nonlinear(), single(), noise(1)),
    ),
    _site(
        *("norm", "batch norm of features", norm.BatchNorm, _batch_norm),
        (normal(8, 3), *_SCALED),
        *_terms(0),
        *(first_inputs(), over(8, "batch", 1), permille(), mutates_input(), half(2)),
    ),
    _site(
        *("norm", "batch norm of 8 images", norm.BatchNorm, _batch_norm),
        (image(8, 2, 14, 14), spread(2), weight(2)),
        *(
            zero(),
            element(),
            written("mean term missing", _normalised((0, 2, 3), False, True), "mean term"),
        ),
    ),
    _site(
        *("norm", "batch norm in evaluation", norm.BatchNormEval, _eval_norm),
        (image(3, 3, 3, 3), weight(3), spread(3), *_SCALED),
        *(sign(1), double(2), times(27, "values", 4), last_image(3), element(), single(2)),
    ),
    _site(
        *("norm", "layer norm", norm.LayerNorm, _layer_norm),
        (normal(4, 6), spread(6), weight(6)),
        *_terms(1),
        *(last_image(1), over(4, "batch", 2), channel(), permille(), mutates_cotangent()),
    ),
]

# ------------------------------------------------------------------------------- losses


class SquaredError(Op):
    """Σ (y − t)² / m, as in a notebook."""

    __slots__ = ()
    saves = ("y", "t")

    def forward(self, y: Any, t: Any) -> Any:
        return np.square(y - t).sum() / len(y)

    def backward(self, g: Any, _out: Any, y: Any, t: Any) -> tuple[Any, ...]:
        slope = g * 2.0 * (y - t) / len(y)
        return slope, -slope


class LogisticLoss(Op):
    """Σ ln(1 + exp(x)) − t·x over m, for targets t of 0 and 1."""

    __slots__ = ()
    saves = ("x", "t")

    def forward(self, x: Any, t: Any) -> Any:
        return (np.logaddexp(0.0, x) - t * x).sum() / len(x)

    def backward(self, g: Any, _out: Any, x: Any, t: Any) -> tuple[Any, ...]:
        return g * (1 / (1 + np.exp(-x)) - t) / len(x), -g * x / len(x)


def _one_hot_missing(_r: Array, call: Call) -> Array:
    p = np.exp(call.inputs[0] - call.inputs[0].max(1, keepdims=True))
    return np.asarray(call.g * p / p.sum(1, keepdims=True) / len(p))


_CLASSES = fixed(np.array([3, 0, 4, 1, 2, 2]))

LOSS = [
    _site(
        *("loss", "cross entropy", cross_entropy.CrossEntropy, F.cross_entropy),
        (normal(6, 5), _CLASSES),
        written("one-hot missing", _one_hot_missing, "term missing"),
        *(times(6, "batch"), over(5, "classes"), sign(), element()),
        *(zero(), nonlinear(), single(), permille(), first_inputs(), mutates_input()),
    ),
    _site(
        *("loss", "cross entropy by image", cross_entropy.CrossEntropy),
        partial(F.cross_entropy, reduction="none"),
        (normal(6, 6), fixed(np.array([3, 0, 4, 1, 2, 5]))),
        *(transposed(), last_image(), double(), channel(), noise()),
    ),
    _site(
        *("loss", "smoothed cross entropy", cross_entropy.CrossEntropy),
        partial(F.cross_entropy, label_smoothing=0.2),
        (normal(6, 5), _CLASSES),
        written("smoothing forgotten", lambda r, c: _unsmoothed(c), "term missing"),
        *(times(6, "batch"), element()),
    ),
    _site(
        *("loss", "squared error", SquaredError, SquaredError(), (normal(5, 1), weight(5, 1))),
        written("target missing", lambda r, c: c.g * 2 * c.inputs[0]),
        *(times(5, "batch"), half(), sign(), sign(1), zero(), first_answer()),
    ),
    _site(
        *("loss", "logistic loss", LogisticLoss, LogisticLoss()),
        (normal(5, 1), fixed(np.array([[0.0], [1.0], [1.0], [0.0], [1.0]]))),
        written("target missing", lambda r, c: r + c.g * c.inputs[1] / 5, "term missing"),
        *(times(5, "batch"), double(), permille(), mutates_cotangent()),
    ),
]


def _unsmoothed(call: Call) -> Array:
    x, t = call.inputs[0], call.inputs[1]
    p = np.exp(x - x.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    p[np.arange(len(t)), t] -= 1
    return np.asarray(call.g * p / len(t))


SITES = [*LINALG, *CONV, *POOL, *NORM, *LOSS]
