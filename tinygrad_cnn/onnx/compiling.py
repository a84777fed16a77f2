"""From a graph in a file to a plan: every node checked, and what is missing said at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.folding import with_prepared_weights
from tinygrad_cnn.onnx.inlining import Flat, Functions, flatten, opsets_of, plain_domain
from tinygrad_cnn.onnx.messages import Graph, Model, TensorMessage
from tinygrad_cnn.onnx.operators import OPERATORS, Call, Operator, Switch
from tinygrad_cnn.onnx.operators.quantized import fake_quantize
from tinygrad_cnn.onnx.operators.shapes import constant_value
from tinygrad_cnn.onnx.plan import Known, Plan, Step, known_of
from tinygrad_cnn.onnx.roles import roles_of
from tinygrad_cnn.onnx.scopes import scopes_of
from tinygrad_cnn.onnx.tensors import array_of
from tinygrad_cnn.types import Array

__all__ = ["Compiled", "Nested", "constants_of"]

_DEEPEST = 30  # graphs within graphs
_FAKE_QUANTIZE = Operator(fake_quantize)
_FEW = 8  # names of nodes that a message shows of each operator


class Nested:
    """A graph within a node, ready to run.

    Attributes
    ----------
    around
        Names of the values that it reads of the graph around.
    """

    def __init__(self, plan: Plan, around: Sequence[str]) -> None:
        self.plan = plan
        self.around = around

    def run(self, given: Sequence[Any], around: Sequence[Any]) -> list[Any]:
        """Return the graph's outputs."""
        return self.plan.run(given, around, {})


class Compiled:
    """A model ready to run.

    Raises
    ------
    OnnxError
        If the file does not fit itself, or operators are missing: all of them, with their nodes.

    Attributes
    ----------
    plan
        What runs.
    inputs, outputs
        Their names.
    roles
        "weight" or "statistic" for each constant that is one, by name.
    arrays
        The values of these.
    places
        The tensors of the file that hold them.
    nodes
        All nodes, functions written out.
    """

    def __init__(self, model: Model, folder: Path | None, switch: Switch) -> None:
        graph = model.graph
        if graph is None:
            raise OnnxError("the file has no graph")
        self.functions = {(plain_domain(f.domain), f.name, f.overload): f for f in model.functions}
        self.opsets = opsets_of(model.opset_import)
        self.folder, self.switch = folder, switch
        self.nodes = flatten(graph.node, self.opsets, self.functions)
        _refuse_missing(self.nodes, self.opsets, self.functions)
        if graph.sparse_initializer:
            raise OnnxError("the file has sparse tensors, which are not read")
        self.places = constants_of(graph, self.nodes)
        first = {tensor.name for tensor in graph.initializer}
        self.inputs = [v.name for v in graph.input if v.name not in first]
        self.outputs = [v.name for v in graph.output]
        inner = [flat for node in self.nodes for flat in _within(node, self.opsets, self.functions)]
        self.roles = roles_of(
            [*self.nodes, *inner], self.places, self.places.keys() - first, self.inputs
        )
        self.arrays: dict[str, Array] = {}
        self.plan = _Compiling(self, None, self.nodes, self.places).plan(
            self.inputs, self.outputs, top=True
        )

    def read(self, tensor: TensorMessage) -> Array:
        """Return a tensor of the file as an array."""
        return array_of(tensor, self.folder)


def constants_of(graph: Graph, nodes: Iterable[Flat]) -> dict[str, TensorMessage]:
    """Return the tensors that stand in the file by name, those of Constant nodes too."""
    found: dict[str, TensorMessage] = {}
    for tensor in graph.initializer:
        if tensor.name in found:
            raise OnnxError(f"the file has two tensors {tensor.name!r}")
        found[tensor.name] = tensor
    for node in nodes:
        value = node.settings.get("value")
        if node.op_type == "Constant" and isinstance(value, TensorMessage) and node.outputs:
            found.setdefault(node.outputs[0], value)
    return found


def _graphs(node: Flat) -> list[Graph]:
    return [value for value in node.settings.values() if isinstance(value, Graph)]


def _within(
    node: Flat, opsets: Mapping[str, int], functions: Functions, depth: int = 0
) -> list[Flat]:
    """Return the nodes of the graphs within a node, those within these first."""
    if depth > _DEEPEST:
        raise OnnxError(f"graphs stand more than {_DEEPEST} deep in each other")
    found = []
    for graph in _graphs(node):
        for flat in flatten(graph.node, opsets, functions):
            found += [*_within(flat, opsets, functions, depth + 1), flat]
    return found


def _refuse_missing(nodes: Sequence[Flat], opsets: Mapping[str, int], functions: Functions) -> None:
    """Raise one error that names all operators that are not there, with their nodes."""
    missing: dict[str, list[str]] = {}
    every = [flat for node in nodes for flat in (*_within(node, opsets, functions), node)]
    for node in every:
        if (node.domain, node.op_type) not in OPERATORS:
            name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            missing.setdefault(name, []).append(node.said)
    if missing:
        lines = [f"  {name}: {_shown(where)}" for name, where in sorted(missing.items())]
        some = "operators are" if len(missing) > 1 else "operator is"
        raise OnnxError(f"{len(missing)} {some} not there:\n" + "\n".join(lines))


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return f"node{'s' * (len(names) > 1)} {', '.join(map(repr, names[:_FEW]))}{more}"


class _Compiling:
    """One graph on its way to a plan."""

    def __init__(
        self,
        model: Compiled,
        outer: _Compiling | None,
        nodes: Sequence[Flat],
        constants: Mapping[str, TensorMessage],
    ) -> None:
        self.model, self.outer = model, outer
        self.nodes, self.tensors = nodes, constants
        self.places: dict[str, int] = {}
        self.known: list[Known] = []
        self.around: list[str] = []
        self.constants: dict[int, Array] = {}
        self.learnt: dict[int, str] = {}
        self.makers = {name: node for node in nodes for name in node.outputs}

    def plan(self, inputs: Sequence[str], outputs: Sequence[str], top: bool = False) -> Plan:
        """Return the plan of the whole graph."""
        given = [self._new(name, Known.VALUES if top else Known.ANYTHING) for name in inputs]
        steps = [
            step
            for number, node in enumerate(self.nodes)
            if (step := self._step(node, number)) is not None
        ]
        wanted = [self.place(name, "the graph's outputs") for name in outputs]
        steps = _needed(steps, wanted)
        around = [self.places[name] for name in self.around]
        folded = [place for step in steps if step.known <= Known.SHAPES for place in step.outputs]
        kept = {*given, *wanted, *around, *self.constants, *self.learnt, *folded}
        quick = _freeing(with_prepared_weights(steps, kept), kept)
        steps = _freeing(steps, kept)
        size = len(self.known)
        places = size, given, wanted, around
        plan = Plan(*places, self.constants, self.learnt, steps, quick, keeps=top)
        if top:
            plan.find_paths = self._paths
        return plan

    def _paths(self) -> list[str]:
        roles = self.model.roles
        weights = [[name for name in node.inputs if name in roles] for node in self.nodes]
        return scopes_of(self.nodes, weights)

    def _new(self, name: str, known: Known) -> int:
        """Return the place of a new value."""
        if name in self.places:
            raise OnnxError(f"the value {name!r} is made twice")
        self.places[name] = len(self.known)
        self.known.append(known)
        return self.places[name]

    def place(self, name: str, reader: str) -> int:
        """Return the place of a value that is read; -1 for one that is left out."""
        if not name:
            return -1
        if name in self.places:
            return self.places[name]
        if name in self.tensors:
            return self._constant(name)
        if self.outer is not None and self.outer.finds(name):
            self.around.append(name)
            return self._new(name, Known.ANYTHING)
        raise OnnxError(f"{reader} read the value {name!r}, which nothing makes before")

    def finds(self, name: str) -> bool:
        """Whether a value is there, or in the graph around."""
        here = name in self.places or name in self.tensors
        return here or (self.outer is not None and self.outer.finds(name))

    def _constant(self, name: str) -> int:
        """Return the place of a tensor of the file, which is read now."""
        model = self.model
        role = model.roles.get(name) if self.outer is None else None
        place = self._new(name, Known.VALUES if role else Known.CONSTANT)
        value = model.read(self.tensors[name])
        if role:
            model.arrays[name] = value
            self.learnt[place] = name
        else:
            self.constants[place] = value
        return place

    def _step(self, node: Flat, number: int) -> Step | None:
        """Return what runs a node; None for a constant."""
        try:
            return self._made(node, number)
        except (TypeError, KeyError, IndexError, ArithmeticError, ValueError) as error:
            text = str(error)
            said = text if text.startswith("node ") else f"node {node.said!r}: {text}"
            raise OnnxError(said) from error

    def _made(self, node: Flat, number: int) -> Step | None:
        traits = OPERATORS[node.domain, node.op_type]
        if source := self._rounded(node):
            node, traits = source, _FAKE_QUANTIZE
        if node.op_type == "Constant" and node.outputs:
            self._given(node)
            return None
        inputs = [self.place(name, f"node {node.said!r}") for name in node.inputs]
        nested: list[Nested] = []

        def within(graph: Graph) -> Nested:
            nested.append(self._nested(graph))
            return nested[-1]

        call = Call(
            *(node.op_type, node.name, node.opset, node.settings, node.inputs, node.outputs),
            self.model.switch,
            within,
            self.model.read,
            self._element_types(node),
        )
        run = traits.make(call)
        for inner in nested:
            inputs += [self.place(name, f"node {node.said!r}") for name in inner.around]
        given = [(at, self.known[place]) for at, place in enumerate(inputs) if place >= 0]
        known = known_of(traits, given)
        outputs = tuple(self._new(name, known) if name else -1 for name in node.outputs)
        return Step(run, tuple(inputs), outputs, node.name, node.op_type, number, known)

    def _rounded(self, node: Flat) -> Flat | None:
        """Return the two as one node where a node turns back what another rounded at once."""
        if node.op_type != "DequantizeLinear":
            return None
        before = self.makers.get(node.inputs[0])
        if before is None or before.op_type != "QuantizeLinear":
            return None
        if before.inputs[1:] != node.inputs[1:] or before.settings != node.settings:
            return None
        return replace(before, outputs=node.outputs, name=node.name)

    def _given(self, node: Flat) -> None:
        """Put a Constant node's value in its place."""
        name = node.outputs[0]
        if name in self.tensors:
            if name not in self.places:
                self._constant(name)
            return
        call = Call("Constant", node.name, node.opset, node.settings, [], [name])
        call.read = self.model.read
        self.constants[self._new(name, Known.CONSTANT)] = constant_value(call)

    def _element_types(self, node: Flat) -> dict[int, int]:
        return {
            at: self.tensors[name].data_type
            for at, name in enumerate(node.inputs)
            if name in self.tensors
        }

    def _nested(self, graph: Graph) -> Nested:
        """Return a graph within a node, ready to run."""
        model = self.model
        nodes = flatten(graph.node, model.opsets, model.functions)
        inner = _Compiling(model, self, nodes, constants_of(graph, nodes))
        inputs = [value.name for value in graph.input]
        plan = inner.plan(inputs, [value.name for value in graph.output])
        return Nested(plan, inner.around)


def _needed(steps: Sequence[Step], wanted: Iterable[int]) -> list[Step]:
    """Leave out steps whose results nobody reads."""
    read = set(wanted)
    kept = []
    for step in reversed(steps):
        if read.intersection(step.outputs):
            read.update(step.inputs)
            kept.append(step)
    return kept[::-1]


def _freeing(steps: Sequence[Step], kept: set[int]) -> list[Step]:
    """Say of each step which values nobody reads after it."""
    seen = set(kept)
    found = []
    for step in reversed(steps):
        mine = {p for p in (*step.inputs, *step.outputs) if p >= 0} - seen
        seen |= mine
        found.append(step._replace(frees=tuple(sorted(mine))))
    return found[::-1]
