"""The same pairs put to the gradient checkers of PyTorch, JAX and HIPS autograd.

Each is called with its default settings on float64, through its own way to write a rule.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from exhibits import Array

os.environ.setdefault("JAX_PLATFORMS", "cpu")

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]
try:
    import jax
    import jax.test_util
except ImportError:
    jax = None
try:
    import autograd.extend
    import autograd.test_util
except ImportError:
    autograd = None

Forward = Callable[..., Any]
Rule = Callable[..., tuple[Any, ...]]
Accepts = Callable[[Forward, Rule, Sequence[Any]], bool]
"""Whether a checker is silent about a pair on these inputs."""


def _floats(inputs: Sequence[Any]) -> list[int]:
    return [i for i, x in enumerate(inputs) if np.asarray(x).dtype.kind == "f"]


def _filled(inputs: Sequence[Any], places: list[int], floats: Sequence[Any]) -> list[Any]:
    given = list(inputs)
    for place, x in zip(places, floats, strict=True):
        given[place] = np.array(x)
    return given


def torch_accepts(forward: Forward, rule: Rule, inputs: Sequence[Any]) -> bool:
    """Ask ``torch.autograd.gradcheck``."""
    places = _floats(inputs)

    class Pair(torch.autograd.Function):
        """The pair behind PyTorch's interface."""

        @staticmethod
        def forward(ctx: Any, *floats: Any) -> Any:
            """Run the forward pass."""
            ctx.given = _filled(inputs, places, [x.detach().numpy() for x in floats])
            return torch.as_tensor(np.array(forward(*ctx.given), dtype=np.float64))

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            """Run the rule."""
            found = rule(g.numpy().copy(), *ctx.given)
            return tuple(torch.as_tensor(np.array(found[i], dtype=np.float64)) for i in places)

    leaves = tuple(torch.tensor(np.asarray(inputs[i]), requires_grad=True) for i in places)
    return bool(torch.autograd.gradcheck(Pair.apply, leaves))


def jax_accepts(forward: Forward, rule: Rule, inputs: Sequence[Any]) -> bool:
    """Ask ``jax.test_util.check_grads``, first order, in reverse."""
    places = _floats(inputs)
    jax.config.update("jax_enable_x64", True)
    shape = np.shape(forward(*inputs))
    result = jax.ShapeDtypeStruct(shape, np.float64)
    shapes = [jax.ShapeDtypeStruct(np.shape(inputs[i]), np.float64) for i in places]

    def compute(*floats: Any) -> Array:
        given = _filled(inputs, places, floats)
        return np.asarray(forward(*given), dtype=np.float64)

    def gradients(g: Any, *floats: Any) -> tuple[Array, ...]:
        found = rule(np.array(g), *_filled(inputs, places, floats))
        return tuple(np.asarray(found[i], dtype=np.float64) for i in places)

    @jax.custom_vjp
    def pair(*floats: Any) -> Any:
        return jax.pure_callback(compute, result, *floats)

    pair.defvjp(
        lambda *floats: (pair(*floats), floats),
        lambda floats, g: tuple(jax.pure_callback(gradients, tuple(shapes), g, *floats)),
    )
    jax.test_util.check_grads(pair, tuple(inputs[i] for i in places), order=1, modes=["rev"])
    return True


def autograd_accepts(forward: Forward, rule: Rule, inputs: Sequence[Any]) -> bool:
    """Ask ``autograd.test_util.check_grads``, first order, in reverse."""
    places = _floats(inputs)

    @autograd.extend.primitive
    def pair(*floats: Any) -> Any:
        return np.asarray(forward(*_filled(inputs, places, floats)), dtype=np.float64)

    def gradient(position: int) -> Any:
        def make(_: Any, *floats: Any) -> Any:
            given = _filled(inputs, places, floats)
            return lambda g: np.asarray(rule(np.array(g), *given)[places[position]])

        return make

    autograd.extend.defvjp(pair, *(gradient(i) for i in range(len(places))))
    floats = [inputs[i] for i in places]
    for position in range(len(floats)):
        check = autograd.test_util.check_grads(pair, modes=["rev"], order=1)
        _one_argument(check, pair, floats, position)
    return True


def _one_argument(_: Any, pair: Any, floats: list[Any], position: int) -> None:
    """Check the gradient of one argument, the others held."""

    def of_one(x: Any) -> Any:
        return pair(*floats[:position], x, *floats[position + 1 :])

    autograd.test_util.check_grads(of_one, modes=["rev"], order=1)(floats[position])


PEERS: dict[str, Accepts] = {}
if torch is not None:
    PEERS["PyTorch"] = torch_accepts
if jax is not None:
    PEERS["JAX"] = jax_accepts
if autograd is not None:
    PEERS["HIPS"] = autograd_accepts


def accepts(peer: str, forward: Forward, rule: Rule, inputs: Sequence[Any]) -> bool:
    """Whether a peer is silent: an error of any kind is an alarm."""
    try:
        with np.errstate(all="ignore"):
            return PEERS[peer](forward, rule, inputs)
    except Exception:  # each has its own kinds of errors
        return False
