"""Plain NumPy functions with a hand-written backward pass, as subjects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.subjects.subject import Pull, RuleError, Subject


class ArraysSubject(Subject):
    """A function of arrays and its backward pass ``backward(g, *inputs)``."""

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        inputs: Sequence[Any],
        wanted: Sequence[int],
        dtype: np.dtype[Any] | None = None,
    ) -> None:
        self._forward, self._backward = forward, backward
        self._numbers = [isinstance(x, float) for x in inputs]
        self.name = getattr(forward, "__name__", type(forward).__name__)
        self.inputs = [np.asarray(x) if isinstance(x, float) else x for x in inputs]
        self.wanted = tuple(wanted)
        self.names = _argument_names(forward, inputs)
        self.dtype = dtype

    def _given(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the arguments: what came as a Python number goes out as one."""
        return [
            a.item() if number and isinstance(a, np.ndarray) else a
            for a, number in zip(arrays, self._numbers, strict=True)
        ]

    def forward(self, inputs: Sequence[Any]) -> Array:
        """Return the result as an array."""
        return np.asarray(self._forward(*self._given(inputs)))

    def record(
        self,
        inputs: Sequence[Any],
        wanted: Sequence[int] | None = None,  # noqa: ARG002  # a rule of arrays gives all
    ) -> tuple[Array, Pull]:
        """Return the result, and the backward pass at these inputs."""

        def pull(g: Array) -> list[Any]:
            found = self._backward(g.item() if scalar else g, *self._given(inputs))
            return self._fitting(found)

        out = self._forward(*self._given(inputs))
        scalar = not isinstance(out, np.ndarray)
        return np.asarray(out), pull

    def _fitting(self, found: Any) -> list[Any]:
        if found is None:
            raise RuleError("backward returned None: it has no return, or was not written")
        if not isinstance(found, (tuple, list)):
            found = (found,)
        if len(found) != len(self.inputs):
            raise RuleError(
                f"backward must return one gradient for each of {len(self.inputs)} inputs, "
                f"got {len(found)}",
                "shape",
            )
        return [None if x is None else np.asarray(x) for x in found]


def _argument_names(function: Callable[..., Any], inputs: Sequence[Any]) -> tuple[str, ...]:
    code = getattr(function, "__code__", None)
    names = () if code is None else code.co_varnames[: code.co_argcount]
    if len(names) == len(inputs):
        return tuple(names)
    return tuple(f"input {i}" for i in range(len(inputs)))
