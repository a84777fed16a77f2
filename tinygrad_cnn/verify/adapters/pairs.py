"""Functions of arrays as courses write them: ``(out, cache)`` and ``(value, gradients)``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.adapters.attributes import is_gradient_of
from tinygrad_cnn.verify.adapters.methods import same_draws
from tinygrad_cnn.verify.subjects.subject import Pull, RuleError, Subject

Gradients = Callable[..., Any]


class CachedSubject(Subject):
    """A pair ``forward(*inputs) -> (out, cache)`` and ``backward(dout, cache) -> gradients``."""

    subsets = False

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        inputs: Sequence[Any],
        wanted: Sequence[int],
    ) -> None:
        self._forward, self._backward = forward, backward
        self.name = getattr(forward, "__name__", type(forward).__name__)
        self.inputs, self.wanted = list(inputs), tuple(wanted)
        self.names = argument_names(forward, len(inputs))

    def _run(self, inputs: Sequence[Any]) -> tuple[Array, Any]:
        with same_draws():
            found = self._forward(*inputs)
        if not isinstance(found, tuple) or len(found) != 2:
            raise RuleError(f"{self.name} must return (out, cache), got {type(found).__name__}")
        return np.asarray(found[0]), found[1]

    def forward(self, inputs: Sequence[Any]) -> Array:
        """Return the result as an array."""
        return self._run(inputs)[0]

    def record(
        self,
        inputs: Sequence[Any],
        wanted: Sequence[int] | None = None,  # noqa: ARG002  # a rule of arrays gives all
    ) -> tuple[Array, Pull]:
        """Return the result, and the backward pass with what forward kept."""
        out, cache = self._run(inputs)

        def pull(g: Array) -> list[Any]:
            with same_draws():
                found = self._backward(g if g.shape else g.item(), cache)
            return in_order(found, self.names, self.wanted, "backward")

        return out, pull


class ValueSubject(Subject):
    """A function that returns its value and its gradients: ``f(*inputs) -> (value, gradients)``."""

    subsets = False

    def __init__(
        self, function: Callable[..., Any], inputs: Sequence[Any], wanted: Sequence[int]
    ) -> None:
        self._function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self.inputs, self.wanted = list(inputs), tuple(wanted)
        self.names = argument_names(function, len(inputs))

    def forward(self, inputs: Sequence[Any]) -> Array:
        """Return the value."""
        return self.record(inputs)[0]

    def record(
        self,
        inputs: Sequence[Any],
        wanted: Sequence[int] | None = None,  # noqa: ARG002  # all come at once
    ) -> tuple[Array, Pull]:
        """Return the value, and its gradients times whatever arrives."""
        with same_draws():
            found = self._function(*inputs)
        if not isinstance(found, tuple) or len(found) < 2 or np.size(found[0]) != 1:
            raise RuleError(f"{self.name} must return (value, gradients) with a number first")
        rest = found[1] if len(found) == 2 else found[1:]

        def pull(g: Array) -> list[Any]:
            gradients = in_order(rest, self.names, self.wanted, self.name)
            return [None if a is None else g.item() * np.asarray(a) for a in gradients]

        return np.asarray(found[0]), pull


def in_order(found: Any, names: Sequence[str], wanted: Sequence[int], function: str) -> list[Any]:
    """Return gradients as a list with one for each input: they come alone, in a row, or named."""
    if found is None:
        raise RuleError(f"{function} returned None: it has no return, or was not written")
    gradients: list[Any] = [None] * len(names)
    if isinstance(found, Mapping):
        for index in wanted:
            name = names[index]
            gradients[index] = next(
                (v for k, v in found.items() if k == name or is_gradient_of(k, name)), None
            )
        return gradients
    row = list(found) if isinstance(found, (tuple, list)) else [found]
    places = range(len(names)) if len(row) == len(names) else wanted
    if len(row) > len(names):
        raise RuleError(
            f"{function} must return one gradient for each of {len(names)} inputs, got {len(row)}",
            "shape",
        )
    for index, gradient in zip(places, row, strict=False):
        gradients[index] = gradient
    return gradients


def argument_names(function: Callable[..., Any], count: int) -> tuple[str, ...]:
    """Return the names of the first arguments of a function.

    >>> argument_names(lambda x, w: x @ w, 2), argument_names(print, 1)
    (('x', 'w'), ('input 0',))
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = ()  # type: ignore[assignment]
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(names) < count:
        return tuple(f"input {i}" for i in range(count))
    return tuple(names[:count])
