"""Whether an update is what the optimiser's formula gives, computed again here in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.training.evidence import ByHand, Step, Update
from tinygrad_cnn.verify.training.findings import TrainingReport, listing

Options = dict[str, Any]
Formula = Callable[[Array, Array, dict[str, Any], Options], Array]
"""``formula(p, g, state, options)``: what an update makes of a parameter, all in float64."""


def check_updates(
    report: TrainingReport, steps: Sequence[Step], names: Callable[[Any], str]
) -> None:
    """Compare each update with its formula, and say which gradients were not cleared before it."""
    for step in steps:
        if step.stale:
            stale = [names(p) for p in step.stale]
            report.say(
                "not cleared",
                f"the gradients of {listing(stale)} still held those of the step before, and the "
                "new ones are added to them: call optimizer.zero_grad() before backward()",
                *stale,
            )
        if step.update is not None:
            _check_update(report, step.update, names)
    _check_statistics(report, steps)
    resting = list(dict.fromkeys(path for step in steps for path in step.resting))
    if resting:
        report.say(
            "left in evaluation",
            f"{listing(resting)}: in evaluation while the network is trained; call model.train() "
            "before training, and again after each evaluation",
            *resting,
        )


def _check_statistics(report: TrainingReport, steps: Sequence[Step]) -> None:
    if len(steps) < 2:
        return
    first, second = steps[0].statistics, steps[1].statistics
    fixed = [
        path or "the model"
        for path, arrays in first.items()
        if path in second
        and all(np.array_equal(a, b) for a, b in zip(arrays, second[path], strict=True))
    ]
    if fixed:
        report.say(
            "fixed statistics",
            f"the running mean and variance of {listing(fixed)} do not move in training (a "
            "momentum of 0, or a forward that skips them): evaluation will not fit",
            *fixed,
        )


def _check_update(report: TrainingReport, update: Update, names: Callable[[Any], str]) -> None:
    formula = _formula_of(update.optimizer)
    kind = type(update.optimizer).__name__
    wrong: dict[str, list[str]] = {}
    for p in update.params:
        key = id(p)
        if key not in update.grads or not p._requires_grad:
            continue
        if update.groups and key not in update.options:
            continue  # the optimiser does not have it
        before, after, g = (
            np.asarray(a[key], np.float64) for a in (update.before, update.after, update.grads)
        )
        if not np.isfinite(after).all() or not np.isfinite(g).all():
            wrong.setdefault("it makes NaN or infinity", []).append(names(p))
            continue
        options, state = update.options.get(key, {}), update.state.get(key, {})
        rounding = 8 * np.finfo(p._data.dtype).eps * max(1e-30, np.abs(before).max(initial=0))
        said = _judge(formula, before, after, g, state, options, rounding)
        if said:
            wrong.setdefault(said, []).append(names(p))
    for said, params in wrong.items():
        which = "" if formula is None else f" is not {kind}'s formula"
        report.say("update", f"the update of {listing(params)}{which}: {said}", *params)
    if formula is None and not wrong and not isinstance(update.optimizer, ByHand):
        report.note(f"the formula of {kind} is not known here: its updates were not compared")


def _judge(
    formula: Formula | None,
    before: Array,
    after: Array,
    g: Array,
    state: dict[str, Any],
    options: Options,
    rounding: float,
) -> str:
    """Say how an update differs from the formula; "" if it does not."""
    moved = after - before
    if formula is None:
        return _unknown(moved, before, g, rounding)
    wanted = formula(before, g, state, options) - before
    if _same(moved, wanted, rounding):
        return ""
    if not moved.any():
        return "nothing moves"
    lr = float(options.get("lr", 0.0))
    factor = float((moved * wanted).sum() / max(float((wanted**2).sum()), 1e-300))
    if _same(moved, factor * wanted, rounding):
        if factor < 0:
            return "it goes up the gradient, not down"
        known = {1 / lr: "the learning rate is missing", lr: "the learning rate counts twice"}
        for value, said in known.items() if lr else ():
            if math.isclose(factor, value, rel_tol=1e-2):
                return said
        return f"it goes {factor:.4g} times as far"
    return _combination(moved, before, g, state, rounding) or (
        f"it moves by up to {np.abs(moved).max():.3g}, the formula by up to "
        f"{np.abs(wanted).max():.3g}"
    )


def _unknown(moved: Array, before: Array, g: Array, rounding: float) -> str:
    """Judge the update of an optimiser whose formula is not known: only what no optimiser does."""
    if not g.any() or not moved.any() or g.size < 2:
        return ""
    (a, b), fits = _fitted(moved, [g, before], rounding)
    if fits and b > 1e-4:
        return f"it adds {b:.4g} times the weight to the weight, which then grows by itself"
    if fits and a > 0:
        return "it goes up the gradient, not down"
    return ""


def _combination(
    moved: Array, before: Array, g: Array, state: dict[str, Any], rounding: float
) -> str:
    """Say an update as a sum of gradient, weight and velocity, if it is one."""
    parts = {"gradient": g, "weight": before}
    velocity = state.get("momentum_buffer")
    if velocity is not None and np.any(velocity):
        parts["velocity"] = np.asarray(velocity, np.float64)
    if g.size <= len(parts):
        return ""
    factors, fits = _fitted(moved, list(parts.values()), rounding)
    if not fits:
        return ""
    terms = [f"{c:+.4g} · {name}" for name, c in zip(parts, factors, strict=True) if abs(c) > 1e-9]
    said = f"it adds {' '.join(terms)}".replace("-", "−")
    if factors[1] > 1e-4:
        said += "; the weight itself is added to the weight, which then grows by itself"
    return said


def _fitted(moved: Array, parts: list[Array], rounding: float) -> tuple[list[float], bool]:
    """Return the factors of the sum of parts that is nearest, and whether that is it."""
    columns = np.stack([part.ravel() for part in parts], 1)
    scales = np.maximum(np.abs(columns).max(0), 1e-300)
    factors = np.linalg.lstsq(columns / scales, moved.ravel(), rcond=None)[0] / scales
    return [float(c) for c in factors], _same(moved.ravel(), columns @ factors, rounding)


def _same(moved: Array, wanted: Array, rounding: float) -> bool:
    size = float(np.abs(wanted).max(initial=0))
    return bool(np.abs(moved - wanted).max(initial=0) <= 1e-3 * size + rounding)


# ------------------------------------------------------------------------- formulas, by class


def _sgd(p: Array, g: Array, state: dict[str, Any], o: Options) -> Array:
    d = g + o["weight_decay"] * p
    if o["momentum"]:
        v = state.get("momentum_buffer")
        v = d if v is None else o["momentum"] * v + (1 - o["dampening"]) * d
        d = d + o["momentum"] * v if o["nesterov"] else v
    return np.asarray(p - float(o["lr"]) * d)


def _adam(p: Array, g: Array, state: dict[str, Any], o: Options, decoupled: bool = False) -> Array:
    lr, decay = float(o["lr"]), o["weight_decay"]
    g = g if decoupled else g + decay * p
    b1, b2 = o["betas"]
    t = state.get("step", 0) + 1
    m = b1 * state.get("exp_avg", 0.0) + (1 - b1) * g
    s = b2 * state.get("exp_avg_sq", 0.0) + (1 - b2) * g * g
    if o["amsgrad"]:
        s = np.maximum(s, state.get("max_exp_avg_sq", 0.0))
    kept = 1 - lr * decay if decoupled else 1.0
    return np.asarray(kept * p - lr * (m / (1 - b1**t)) / (np.sqrt(s / (1 - b2**t)) + o["eps"]))


def _adamw(p: Array, g: Array, state: dict[str, Any], o: Options) -> Array:
    return _adam(p, g, state, o, decoupled=True)


def _rmsprop(p: Array, g: Array, state: dict[str, Any], o: Options) -> Array:
    g = g + o["weight_decay"] * p
    a = o["alpha"]
    s = a * state.get("square_avg", 0.0) + (1 - a) * g * g
    if o["centered"]:
        s = s - (a * state.get("grad_avg", 0.0) + (1 - a) * g) ** 2
    u = g / (np.sqrt(s) + o["eps"])
    if o["momentum"]:
        u = o["momentum"] * state.get("momentum_buffer", 0.0) + u
    return np.asarray(p - float(o["lr"]) * u)


def _adagrad(p: Array, g: Array, state: dict[str, Any], o: Options) -> Array:
    g = g + o["weight_decay"] * p
    t = state.get("step", 0) + 1
    s = state.get("sum", o["initial_accumulator_value"]) + g * g
    rate = float(o["lr"]) / (1 + (t - 1) * o["lr_decay"])
    return np.asarray(p - rate * g / (np.sqrt(s) + o["eps"]))


_FORMULAS: dict[str, Formula] = {
    "SGD": _sgd,
    "Adam": _adam,
    "AdamW": _adamw,
    "RMSprop": _rmsprop,
    "Adagrad": _adagrad,
}


def _formula_of(optimizer: Any) -> Formula | None:
    """Return the formula of an optimiser's class, or of the package's class it derives from."""
    package = __name__.partition(".")[0] + "."
    for kind in type(optimizer).__mro__:
        if kind.__module__.startswith(package):
            formula = _FORMULAS.get(kind.__name__)
            if formula is None:
                return None
            return lambda p, g, state, o: formula(p, -g if o.get("maximize") else g, state, o)
    return None
