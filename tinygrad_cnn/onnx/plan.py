"""A graph made ready to run: what computes each node, in order, on numbered values.

Of each value it is known beforehand whether it is a constant, whether it follows from the shapes of
the inputs, or depends on their numbers. What does not depend on numbers (Shape → Gather → Concat in
front of a Reshape) is computed once for all inputs of a shape and then only looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from tinygrad_cnn.graph import Node as GraphNode
from tinygrad_cnn.graph import mode
from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.operators import Operator, Run
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.types import Array

__all__ = ["Known", "Plan", "Step", "known_of"]

_MOST_SHAPES = 16  # for which what follows from them is kept
_LARGEST_KEPT = 1 << 20  # elements of a value that is kept

# What can go wrong when a file's nodes do not fit each other, or an input.
_MISFITS = (ValueError, TypeError, IndexError, AttributeError, KeyError, ArithmeticError)


class Known(IntEnum):
    """What a value depends on."""

    CONSTANT = 0
    SHAPES = 1
    """Shapes of the inputs."""
    VALUES = 2
    """Numbers; its own shape follows from shapes."""
    ANYTHING = 3
    """Numbers, in its shape too."""


class Step(NamedTuple):
    """A node, ready to run."""

    run: Run
    inputs: tuple[int, ...]
    """The places of its inputs among the values; -1 is None."""
    outputs: tuple[int, ...]
    name: str
    op_type: str
    number: int
    """Of the node, in order."""
    known: Known
    frees: tuple[int, ...] = ()
    """The places of values that nobody reads after it."""


class Folded(NamedTuple):
    """What remains to be done for inputs of certain shapes."""

    values: list[Any]
    steps: list[Step]


@dataclass
class Plan:
    """Steps on numbered values.

    Attributes
    ----------
    size
        How many values there are.
    inputs, outputs
        The places of what goes in and out.
    around
        The places of values from the graph around, for a graph within another.
    constants
        Arrays by their places.
    learnt
        Names of the network's tensors by their places.
    steps
        In order.
    """

    size: int
    inputs: list[int]
    outputs: list[int]
    around: list[int]
    constants: dict[int, Array]
    learnt: dict[int, str]
    steps: list[Step]
    quick: list[Step]
    """The same for inference, where some are one; see `folding`."""
    keeps: bool = True
    find_paths: Callable[[], list[str]] = list
    """Finds where in the network each node stands, once something is recorded."""
    _paths: list[str] | None = None
    _folded: dict[Any, Folded] = field(default_factory=dict)

    def run(
        self,
        given: Sequence[Any],
        around: Sequence[Any],
        tensors: Mapping[str, Any],
        inference: bool = False,
    ) -> list[Any]:
        """Return the outputs.

        Parameters
        ----------
        given
            The inputs: tensors or arrays.
        around
            Values of the graph around.
        tensors
            What is learnt, by name.
        inference
            Whether nothing is recorded, and the network is in evaluation.
        """
        shapes = tuple((tuple(v.shape), v.dtype) for v in given) if self.keeps else None
        key = shapes, inference
        steps = self.quick if inference else self.steps
        folded = self._folded.get(key)
        values = list(folded.values) if folded else self._begin()
        for place, value in zip((*self.inputs, *self.around), (*given, *around), strict=True):
            values[place] = value
        for place, name in self.learnt.items():
            values[place] = tensors[name]
        now = mode.__dict__
        base = now["scope"]
        prefix = f"{base}." if base else ""
        recording = now["recording"]
        paths = self.paths() if recording else ()
        try:
            for step in folded.steps if folded else steps:
                if paths:
                    path = paths[step.number]
                    now["scope"] = prefix + path if path else base
                _do(step, values, recording)
        finally:
            now["scope"] = base
        if folded is None and self.keeps:
            self._keep(key, values, steps)
        return [values[place] for place in self.outputs]

    def paths(self) -> list[str]:
        """Return where in the network each node stands; nothing for a graph within another."""
        if self._paths is None:
            self._paths = self.find_paths()
        return self._paths

    def _begin(self) -> list[Any]:
        values: list[Any] = [None] * (self.size + 1)  # the last stays None
        for place, constant in self.constants.items():
            values[place] = constant
        return values

    def _keep(self, key: Any, values: list[Any], all_steps: Sequence[Step]) -> None:
        """Keep what follows from the inputs' shapes."""
        kept, steps = self._begin(), []
        for step in all_steps:
            results = [values[place] for place in step.outputs if place >= 0]
            small = all(getattr(v, "size", 0) <= _LARGEST_KEPT for v in results)
            if step.known > Known.SHAPES or not small:
                steps.append(step)
                continue
            for place in step.outputs:
                if place >= 0:
                    kept[place] = values[place]
        while len(self._folded) >= _MOST_SHAPES:
            del self._folded[next(iter(self._folded))]
        self._folded[key] = Folded(kept, steps)


def _do(step: Step, values: list[Any], recording: bool) -> None:
    """Run a step, and put its results in their places."""
    try:
        out = step.run(*[values[place] for place in step.inputs])
    except OnnxError as error:
        raise OnnxError(_said(step, error)) from error
    except _MISFITS as error:
        raise OnnxError(_said(step, error)) from error
    outputs = step.outputs
    if len(outputs) == 1 and not isinstance(out, (tuple, list)):
        values[outputs[0]] = out
    else:
        for place, value in zip(outputs, out, strict=False):
            if place >= 0:
                values[place] = value
    if recording and step.name:
        _name(out, step.name)
    for place in step.frees:
        values[place] = None


def _said(step: Step, error: BaseException) -> str:
    text = str(error)
    already = text.startswith("node ")
    where = f"node {step.name!r}" if step.name else "node without a name"
    return text if already else f"{where} ({step.op_type}): {text}"


def _name(out: Any, name: str) -> None:
    """Give what a node computed the node's name, for pictures and reports."""
    for value in out if isinstance(out, tuple) else (out,):
        node = value._node if isinstance(value, TensorBase) else None
        if isinstance(node, GraphNode) and node.label is None:
            node.note().label = name


def known_of(traits: Operator, inputs: Iterable[tuple[int, Known]]) -> Known:
    """Return what a node's results depend on.

    Parameters
    ----------
    traits
        Of the operator.
    inputs
        Place and dependence of each input that is given.
    """
    given = list(inputs)
    worst = max((known for _, known in given), default=Known.CONSTANT)
    if traits.reads_shape:
        return Known.SHAPES if Known.SHAPES <= worst <= Known.VALUES else worst
    if traits.random:
        worst = max(worst, Known.VALUES)
    if worst == Known.VALUES and (
        traits.any_shape or any(k >= Known.VALUES for p, k in given if p in traits.sizes)
    ):
        return Known.ANYTHING
    return worst
