"""The ways to be wrong that any operation can have; each makes a `Fault`.

``i`` is the input whose gradient is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.verify.faults import Array, Call, Fault, Mutation

Change = Callable[[Array, Call], Any]


def only(i: int, change: Change) -> Mutation:
    """The right gradients, but for one of them."""

    def mutate(call: Call) -> list[Any]:
        found = call.right()
        if found[i] is not None:
            found[i] = change(found[i], call)
        return found

    return mutate


def of_cotangent(i: int, change: Callable[[Array], Array]) -> Mutation:
    """The right rule for a changed cotangent."""
    return only(i, lambda r, call: call.right(change(call.g))[i])


def _name(name: str, i: int) -> str:
    return f"{name} of input {i}" if i else name


# ------------------------------------------------------------------------------- factors


def factor(name: str, value: float, hints: tuple[str, ...], i: int = 0) -> Fault:
    return Fault(_name(name, i), only(i, lambda r, call: r * value), hints)


def sign(i: int = 0) -> Fault:
    return factor("sign", -1.0, ("sign",), i)


def double(i: int = 0) -> Fault:
    return factor("times 2", 2.0, ("times 2",), i)


def half(i: int = 0) -> Fault:
    return factor("times half", 0.5, ("times 1/2",), i)


def times(n: int, what: str, i: int = 0) -> Fault:
    return factor(f"times {what}", float(n), ("times N",), i)


def over(n: int, what: str, i: int = 0) -> Fault:
    return factor(f"over {what}", 1 / n, ("times 1/N",), i)


def permille(i: int = 0) -> Fault:
    return factor("off by 0.1 percent", 1.001, (), i)


def zero(i: int = 0) -> Fault:
    return factor("all zero", 0.0, (), i)


# ------------------------------------------------------------------------------- some elements


def _strongest(call: Call, i: int) -> tuple[Any, ...]:
    """An element with a gradient, the same for every cotangent."""
    g = np.random.default_rng(5).standard_normal(np.shape(call.g))
    right = np.abs(call.right(g)[i])
    return np.unravel_index(int(np.argmax(right)), right.shape)


def _scaled_at(r: Array, index: Any, scale: float) -> Array:
    r = np.array(r)
    r[index] *= scale
    return r


def element(i: int = 0) -> Fault:
    return Fault(
        _name("one element off by half", i),
        only(i, lambda r, call: _scaled_at(r, _strongest(call, i), 1.5)),
    )


def channel(i: int = 0, axis: int = 1) -> Fault:
    def change(r: Array, call: Call) -> Array:
        index = [slice(None)] * r.ndim
        index[axis] = _strongest(call, i)[axis]
        return _scaled_at(r, tuple(index), 1.01)

    return Fault(_name("one channel off by 1 percent", i), only(i, change))


def corner(i: int = 0) -> Fault:
    return Fault(
        _name("one corner wrong", i), only(i, lambda r, call: _scaled_at(r, (..., 0, 0), 0.5))
    )


def border(i: int = 0) -> Fault:
    def change(r: Array, _call: Call) -> Array:
        inner = np.zeros(r.shape)
        inner[..., 1:-1, 1:-1] = r[..., 1:-1, 1:-1]
        return inner

    return Fault(_name("border lost", i), only(i, change))


# ------------------------------------------------------------------------------- layout


def transposed(i: int = 0, one: int = -2, two: int = -1) -> Fault:
    return Fault(
        _name("transposed", i), only(i, lambda r, call: np.swapaxes(r, one, two)), ("transposed",)
    )


def flipped(i: int = 0, *axes: int) -> Fault:
    return Fault(
        _name("flipped", i), only(i, lambda r, call: np.flip(r, axes or (-2, -1))), ("flipped",)
    )


def moved(a: Array, axis: int, step: int = 1) -> Array:
    """Shifted by a pixel, with zeros coming in."""
    a = np.roll(a, step, axis)
    index = [slice(None)] * a.ndim
    index[axis] = 0 if step > 0 else -1
    a[tuple(index)] = 0.0
    return a


def shifted(i: int = 0, axis: int = -1) -> Fault:
    return Fault(
        _name(f"shifted by a pixel along axis {axis}" if axis != -1 else "shifted by a pixel", i),
        only(i, lambda r, call: moved(r, axis)),
        ("shifted",),
    )


def shifted_windows(i: int = 0, axis: int = -1) -> Fault:
    return Fault(
        _name("windows shifted by a pixel", i),
        of_cotangent(i, lambda g: moved(g, axis)),
        ("shifted",),
    )


def _last(g: Array, *axes: int) -> Array:
    kept = np.zeros(g.shape)
    index = tuple(-1 if a in axes else slice(None) for a in range(g.ndim))
    kept[index] = g[index]
    return kept


def last_image(i: int = 0) -> Fault:
    return Fault(
        _name("only the last image", i),
        of_cotangent(i, lambda g: _last(g, 0)),
        ("last image", "last window"),
    )


def last_window(i: int = 0, *axes: int) -> Fault:
    return Fault(
        _name("only the last window", i),
        of_cotangent(i, lambda g: _last(g, *(axes or (0, 2, 3)))),
        ("last window",),
    )


# ------------------------------------------------------------------------------- masks, own rules


def written(name: str, change: Change, *hints: str, i: int = 0) -> Fault:
    """A rule written out: ``change(right, call)`` is the gradient of input i."""
    return Fault(_name(name, i), only(i, change), hints)


def mask_missing(i: int = 0) -> Fault:
    return written("mask missing", lambda r, call: call.g, "mask missing", i=i)


def mask_of_gradient(i: int = 0) -> Fault:
    return written(
        "mask of the gradient's sign",
        lambda r, call: np.where(call.g > 0, call.g, 0.0),
        "wrong mask",
        i=i,
    )


# ------------------------------------------------------------------------------- behaviour


def single(i: int = 0) -> Fault:
    return Fault(
        _name("float32 inside", i),
        only(i, lambda r, call: r.astype(np.float32).astype(r.dtype)),
        ("precision",),
        quiet=True,
    )


def nonlinear(i: int = 0) -> Fault:
    return Fault(_name("not linear", i), of_cotangent(i, lambda g: g * np.abs(g)))


def noise(i: int = 0) -> Fault:
    def change(r: Array, call: Call) -> Array:
        rng = call.memory.setdefault("rng", np.random.default_rng(3))
        return np.asarray(r * (1 + 1e-3 * rng.standard_normal(r.shape)))

    return Fault(_name("noise", i), only(i, change))


def mutates_input(i: int = 0) -> Fault:
    def mutate(call: Call) -> list[Any]:
        found = call.right()
        call.inputs[i][...] *= 0.5
        return found

    return Fault(f"changes its input {i}" if i else "changes its input", mutate, quiet=True)


def mutates_cotangent() -> Fault:
    def mutate(call: Call) -> list[Any]:
        found = call.right()
        call.g[...] *= 0.5
        return found

    return Fault("changes the cotangent", mutate, quiet=True)


def first_answer(i: int = 0) -> Fault:
    return Fault(
        _name("keeps its first answer", i),
        only(i, lambda r, call: call.memory.setdefault("answer", r)),
        ("earlier call",),
        quiet=True,
    )


def first_inputs(i: int = 0) -> Fault:
    """A rule that fills a cache with the first call's arrays."""

    def mutate(call: Call) -> list[Any]:
        found = call.right()
        old = call.memory.setdefault(
            "call", (np.array(call.out), tuple(map(_kept, call.inputs)), dict(call.extra))
        )
        if np.shape(old[0]) == np.shape(call.out):
            cached = Call(call.rule, call.op, call.g, *old, call.memory)
            found[i] = cached.right()[i]
        return found

    return Fault(_name("keeps its first inputs", i), mutate, ("earlier call",), quiet=True)


def _kept(x: Any) -> Any:
    return np.array(x) if isinstance(x, np.ndarray) else x
