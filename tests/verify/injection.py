"""Faults put into right rules: what the verification must find."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.op import Op, registry

Array = npt.NDArray[Any]
Rule = Callable[[Array], Array]
Fault = Callable[..., Array]


def faulty(op: Op, fault: Fault, index: int) -> Any:
    """The operation with the gradient of one input replaced by ``fault(right, g=…, rule=…, …)``."""
    cls = type(op)
    right = cls.backward
    state: dict[str, Any] = {}

    @functools.wraps(right)
    def backward(self: Any, g: Any, out: Any, *inputs: Any, **extra: Any) -> tuple[Any, ...]:
        def rule(c: Array) -> Array:
            return np.asarray(right(self, c, out, *inputs, **extra)[index])

        found = list(right(self, g, out, *inputs, **extra))
        found[index] = fault(
            np.asarray(found[index]), g=g, out=out, inputs=inputs, state=state, rule=rule
        )
        return tuple(found)

    settings = {"name": cls.name, "saves": cls.saves, "reference": None, "__slots__": ()}
    known = dict(registry)
    made = type(cls.__name__, (cls,), {**settings, "backward": backward, "__module__": "faults"})
    registry.clear()
    registry.update(known)  # a wrong operation is none of the package's
    copy = made.__new__(made)
    for owner in cls.__mro__:
        for name in owner.__dict__.get("__slots__", ()):
            setattr(copy, name, getattr(op, name))
    return copy


def one_element(right: Array, **_: Any) -> Array:
    wrong = right.copy()
    wrong.reshape(-1)[np.argmax(np.abs(wrong))] *= 1.5
    return wrong


def channel(right: Array, **_: Any) -> Array:
    wrong = right.copy()
    axis = 1 if wrong.ndim > 1 else 0
    wrong[(slice(None),) * axis + (1,)] *= 1.01
    return wrong


def per_mille(right: Array, **_: Any) -> Array:
    return right * 1.001


def float32(right: Array, **_: Any) -> Array:
    return right.astype(np.float32).astype(np.float64)


_noise = np.random.default_rng(1)


def noise(right: Array, **_: Any) -> Array:
    return right * (1 + 1e-3 * _noise.standard_normal(right.shape))


def nonlinear(_right: Array, g: Array, rule: Rule, **_: Any) -> Array:
    return rule(g * np.abs(g))


def zero(right: Array, **_: Any) -> Array:
    return np.zeros_like(right)


def sign(right: Array, **_: Any) -> Array:
    return -right


def double(right: Array, **_: Any) -> Array:
    return right * 2


def half(right: Array, **_: Any) -> Array:
    return right / 2


def times_batch(right: Array, g: Array, **_: Any) -> Array:
    return right * g.shape[0]


def by_batch(right: Array, g: Array, **_: Any) -> Array:
    return right / g.shape[0]


def transposed(right: Array, **_: Any) -> Array:
    return np.swapaxes(right, -1, -2)


def flipped(right: Array, **_: Any) -> Array:
    return np.flip(right, (-2, -1))


def shifted(right: Array, **_: Any) -> Array:
    wrong = np.roll(right, 1, -1)
    wrong[..., 0] = 0.0
    return wrong


def stale(right: Array, state: dict[str, Any], **_: Any) -> Array:
    return np.array(state.setdefault("first", right.copy()))


def stale_factor(right: Array, g: Array, state: dict[str, Any], **_: Any) -> Array:
    """A cache of what the gradient is multiplied with, filled by the first call."""
    with np.errstate(all="ignore"):
        factor = state.setdefault("factor", np.where(g == 0, 0.0, right / g))
    return np.asarray(g * factor)


def changes_gradient(right: Array, g: Array, **_: Any) -> Array:
    right = right.copy()
    g *= 2.0
    return right


def last_window(_right: Array, g: Array, rule: Rule, **_: Any) -> Array:
    kept = np.zeros_like(g)
    kept[..., -1, -1] = g[..., -1, -1]
    return rule(kept)


def last_image(_right: Array, g: Array, rule: Rule, **_: Any) -> Array:
    kept = np.zeros_like(g)
    kept[-1] = g[-1]
    return rule(kept)


def no_mask(_right: Array, g: Array, **_: Any) -> Array:
    return g.copy()


def mask_of_gradient(_right: Array, g: Array, **_: Any) -> Array:
    return g * (g > 0)


def normalisation_without(term: str) -> Fault:
    """Batch norm's input gradient without the term of the mean or of the variance."""

    def fault(_right: Array, g: Array, inputs: tuple[Array, ...], **_: Any) -> Array:
        x, weight, _bias = inputs
        axes = (0, 2, 3)
        centred = x - x.mean(axes, keepdims=True)
        inverse = 1 / np.sqrt((centred**2).mean(axes, keepdims=True) + 1e-5)
        normal = centred * inverse
        g = g * weight.reshape(1, -1, 1, 1)
        wrong = g
        if term != "mean":
            wrong = wrong - g.mean(axes, keepdims=True)
        if term != "variance":
            wrong = wrong - normal * (g * normal).mean(axes, keepdims=True)
        return wrong * inverse

    return fault


def softmax_over_rows(_right: Array, g: Array, out: Array, **_: Any) -> Array:
    return out * (g - (g * out).sum(0, keepdims=True))


def log_softmax_over_rows(_right: Array, g: Array, out: Array, **_: Any) -> Array:
    return g - np.exp(out) * g.sum(0, keepdims=True)


def product_over_columns(_right: Array, g: Array, inputs: tuple[Array, ...], **_: Any) -> Array:
    return (g * inputs[0]).sum(1)


EVERYWHERE: dict[Fault, str | None] = {
    one_element: None,
    channel: None,
    per_mille: "factor",
    float32: "precision",
    noise: None,
    nonlinear: None,
    zero: None,
    sign: "sign",
    double: "times 2",
    half: "times 1/2",
    times_batch: "times N",
    by_batch: "times 1/N",
    stale: "earlier call",
    changes_gradient: None,
    last_image: "last image",
}
"""Faults for any operation, and the hint that is expected."""

SPATIAL: dict[Fault, str | None] = {
    flipped: "flipped",
    shifted: "shifted",
    last_window: "last window",
}
