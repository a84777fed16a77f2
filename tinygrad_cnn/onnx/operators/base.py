"""What an operator is here: a function that, told a node's settings, returns what computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.messages import Graph, TensorMessage
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.types import Array

__all__ = [
    "OPERATORS",
    "Call",
    "Operator",
    "Run",
    "Switch",
    "array",
    "integers",
    "is_float",
    "named",
    "number",
    "operator",
    "simple",
]

Run: TypeAlias = Callable[..., Any]
"""Takes the values of a node's inputs (None where one is left out) and returns its outputs."""


class Switch:
    """Whether the network that a node belongs to is in training."""

    training = False


_NOTHING = Switch()


@dataclass
class Call:
    """A node with its settings, as its operator sees it.

    Attributes
    ----------
    op_type, name
        The operator, and what the file calls the node.
    opset
        The version of the operators' set.
    attributes
        Settings by name: numbers, strings, lists of these, `TensorMessage`, `Graph`.
    inputs, outputs
        Names of values; "" where one is left out.
    switch
        Whether the network is in training.
    nested
        Makes of a graph in an attribute what runs it: a function of this node's further inputs.
    read
        Makes an array of a tensor in an attribute.
    element_types
        ONNX's numbers of the types of inputs that are constants of the file, by their places.
    """

    op_type: str
    name: str
    opset: int
    attributes: Mapping[str, Any]
    inputs: Sequence[str]
    outputs: Sequence[str]
    switch: Switch = _NOTHING
    nested: Callable[[Graph], Any] | None = None
    read: Callable[[TensorMessage], Array] | None = None
    element_types: Mapping[int, int] = field(default_factory=dict)

    def _get(self, name: str, kind: Any, default: Any, what: str) -> Any:
        value = self.attributes.get(name, default)
        if value is not default and not isinstance(value, kind):
            raise OnnxError(f"{self.op_type} expects {name} to be {what}, got {value!r:.60}")
        return value

    def integer(self, name: str, default: Any = 0) -> Any:
        """Return a setting that is an integer."""
        return self._get(name, int, default, "an integer")

    def real(self, name: str, default: float | None = 0.0) -> Any:
        """Return a setting that is a number."""
        return self._get(name, (float, int), default, "a number")

    def text(self, name: str, default: str = "") -> str:
        """Return a setting that is a word."""
        value: str = self._get(name, str, default, "a word")
        return value

    def ints(self, name: str, default: Any = None) -> Any:
        """Return a setting that is a list of integers, as a tuple."""
        value = self._get(name, list, default, "a list of integers")
        if value is default:
            return default
        if not all(isinstance(item, int) for item in value):
            raise OnnxError(f"{self.op_type} expects {name} to be integers, got {value!r:.60}")
        return tuple(value)

    def wants(self, index: int) -> bool:
        """Whether the output of that number is named."""
        return index < len(self.outputs) and bool(self.outputs[index])


@dataclass(frozen=True)
class Operator:
    """How nodes of an operator are run, and what is known of them without running.

    Attributes
    ----------
    make
        Returns what computes a node, given its `Call`.
    reads_shape
        The result depends on the input's shape alone.
    sizes
        The inputs whose values say what shape the result has.
    any_shape
        The result's shape depends on values.
    random
        Each run may give something else.
    weights
        The inputs that are learnt where they are constants of the file.
    statistics
        The inputs that are running statistics.
    operands
        Whether every input may be learnt, as the terms of a sum.
    passes
        Whether the result is the first input in another form.
    """

    make: Callable[[Call], Run]
    reads_shape: bool = False
    sizes: tuple[int, ...] = ()
    any_shape: bool = False
    random: bool = False
    weights: tuple[int, ...] = ()
    statistics: tuple[int, ...] = ()
    operands: bool = False
    passes: bool = False


OPERATORS: dict[tuple[str, str], Operator] = {}
"""Every operator by its domain and its name."""


def operator(
    *names: str, domain: str = "", **traits: Any
) -> Callable[[Callable[[Call], Run]], Callable[[Call], Run]]:
    """Enter a function that returns what computes a node, under the operators' names."""

    def enter(make: Callable[[Call], Run]) -> Callable[[Call], Run]:
        for name in names:
            OPERATORS[domain, name] = Operator(make, **traits)
        return make

    return enter


def simple(name: str, run: Run, **traits: Any) -> None:
    """Enter an operator without settings."""
    OPERATORS["", name] = Operator(lambda _: run, **traits)


def array(value: Any) -> Array:
    """Return a value's array, outside of the graph.

    >>> array(2.0)
    array(2.)
    """
    return value._data if isinstance(value, TensorBase) else np.asarray(value)


def integers(value: Any) -> list[int]:
    """Return the integers in a value, in order.

    >>> integers(np.array([[1, 2]]))
    [1, 2]
    """
    found = array(value)
    if found.dtype.kind not in "iub":
        raise OnnxError(f"expects integers, got {found.dtype}")
    return [int(item) for item in found.ravel()]


def number(value: Any) -> Any:
    """Return the one number in a value."""
    found = array(value)
    if found.size != 1:
        raise OnnxError(f"expects one number, got an array of shape {found.shape}")
    return found.reshape(()).item()


def is_float(value: Any) -> bool:
    """Whether a value holds floating-point numbers."""
    return bool(value.dtype.kind == "f")


def named(setting: str, value: str, known: Mapping[str, Any] | Sequence[str]) -> str:
    """Return a word if it is one of those known, or raise."""
    if value not in known:
        raise OnnxError(f"{setting} expects one of {', '.join(known)}, got {value!r}")
    return value
