"""From recorded tensors to a `Graph`: one walk over the nodes, without recursion."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tinygrad_cnn.graph import GraphError, Node, nodes_below
from tinygrad_cnn.inplace import owner_of
from tinygrad_cnn.nn import Module
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.viz import loops
from tinygrad_cnn.viz.backward import add_backward
from tinygrad_cnn.viz.calls import separate_calls
from tinygrad_cnn.viz.cost import multiply_adds
from tinygrad_cnn.viz.data import GraphEdge, GraphNode, modules_around
from tinygrad_cnn.viz.leaves import Leaves
from tinygrad_cnn.viz.model import Graph
from tinygrad_cnn.viz.recorded import constants_of, kept_arrays
from tinygrad_cnn.viz.statistics import measure
from tinygrad_cnn.viz.verdicts import judgement_of
from tinygrad_cnn.viz.wording import setting_text


def graph(
    outputs: Any,
    *,
    model: Module | None = None,
    inputs: Any = None,
    depth: int | None = None,
    show: str | Sequence[str] | None = None,
    hide: str | Sequence[str] | None = None,
    verdicts: Any = None,
    backward: bool = False,
    statistics: bool = False,
    fold: bool = True,
) -> Graph:
    """Collect the graph that computed a tensor, as plain data that shows itself.

    Nothing is computed and nothing is changed; the result keeps no array alive. A backward pass
    releases the arrays: pass it ``retain_graph=True`` to see afterwards what takes no gradient
    (images, targets) and how much was kept.

    Parameters
    ----------
    outputs
        A tensor, a list of tensors, or a dict of tensors by name. The gradient that
        ``create_graph=True`` gives is a tensor with a graph like any other.
    model
        The module that made it: parameters and buffers get their paths as names, modules their
        classes. Without it, parameters have the names that they carry.
    inputs
        A tensor or array, a list of them, or a dict by name: what to call an input. Without it,
        every array that takes no gradient is an input.
    depth
        Show modules whose path has this many parts as one box each; None shows every operation.
    show, hide
        Patterns (as of `fnmatch`) of module paths, operations, names of leaves, or kinds of boxes;
        a module's pattern holds for all inside. Only what matches ``show`` is drawn, and nothing
        that matches ``hide``; arrows pass through what is left out.
    verdicts
        What the verification found: the report of `tinygrad_cnn.verify.check_graph`, or PASS,
        FAIL, KINK, INCONCLUSIVE, UNSEEN or SKIPPED (or a report) by recorded node
        (``tensor.grad_fn``) or its ``seq``.
    backward
        Draw the backward pass beside the forward pass: a box for each rule that will run.
    statistics
        Measure the values and gradients that are still held (before a backward pass releases
        them, or with ``retain_graph=True``): range, mean, spread, zeros, NaNs and a histogram.
    fold
        Draw the equal operations of all turns of a loop as one box each, "mul × 676".

    Raises
    ------
    GraphError
        If an output was not recorded.
    TypeError
        If an argument is something else.
    ValueError
        If a pattern to show matches nothing, or a verdict or the depth is not one.

    >>> from tinygrad_cnn import tensor
    >>> x = tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> drawn = graph((x * 3).sum())
    >>> drawn
    <Graph graph: 2 operations, 3 boxes, 2 arrows>
    >>> [node.name for node in drawn.nodes]
    ['x', 'mul', 'sum']
    >>> drawn.dot().splitlines()[0]
    'digraph "graph" {'
    """
    collected = collect(outputs, model, inputs, verdicts, statistics)
    if fold:
        collected = loops.fold(collected)
    single = () if model is None else [n for n, m in model.named_modules() if _is_layer(m)]
    collected = separate_calls(collected, single)
    if backward:
        collected = add_backward(collected)
    return collected.view(depth, show, hide)


def collect(
    outputs: Any,
    model: Module | None = None,
    inputs: Any = None,
    verdicts: Any = None,
    statistics: bool = False,
) -> Graph:
    """Return the graph with one box for each operation, and modules by their paths alone."""
    collector = _Collector(model, inputs, verdicts, statistics)
    return collector.collect(_named_outputs(outputs))


def _is_layer(module: Module) -> bool:
    """Whether a module is one of the package's own layers, which do the same at each call."""
    return type(module).__module__.startswith(Module.__module__.rpartition(".")[0]) and not any(
        True for _ in module.children()
    )


def _named_outputs(outputs: Any) -> list[tuple[str, TensorBase]]:
    """Check the outputs and give each a name."""
    if isinstance(outputs, Mapping):
        named = [(str(name), tensor) for name, tensor in outputs.items()]
    elif isinstance(outputs, (list, tuple)):
        single = len(outputs) == 1
        named = [("" if single else f"output {i + 1}", t) for i, t in enumerate(outputs)]
    else:
        named = [("", outputs)]
    if not named:
        raise GraphError("graph: expects at least one output")
    for _, tensor in named:
        if not isinstance(tensor, TensorBase):
            raise TypeError(f"graph: outputs expects tensors, got {type(tensor).__name__}")
        if tensor._node is None and not tensor._requires_grad:
            raise GraphError(
                "graph: an output was not recorded: it was computed under no_grad(), from tensors "
                "without requires_grad=True, or by a backward pass without create_graph=True"
            )
    return named


class _Collector:
    """One walk over the recorded nodes: the boxes and arrows made so far."""

    def __init__(self, model: Module | None, inputs: Any, verdicts: Any, statistics: bool) -> None:
        self.title = "graph" if model is None else type(model).__name__
        self.types = {} if model is None else dict(model.named_modules())
        self.judgement = judgement_of(verdicts)
        self.statistics = statistics
        self.boxes: dict[str, GraphNode] = {}
        self.edges: list[GraphEdge] = []
        self.ids: dict[Node, str] = {}
        self.leaves = Leaves(model, inputs, self.boxes)
        self.kept: dict[int, int] = {}  # bytes of arrays kept for rules, by the id of their owner

    def collect(self, outputs: list[tuple[str, TensorBase]]) -> Graph:
        """Walk from the outputs down and make the boxes in order of execution."""
        order = nodes_below(*[tensor for _, tensor in outputs])
        self.leaves.scopes = {node.scope for node in order}
        for node in order:
            self._add(node)
        for name, tensor in outputs:
            self._mark(tensor, name)
        self._judge_leaves()
        if self.statistics:
            self._measure(order, [tensor for _, tensor in outputs])
        nodes = tuple(self.boxes.values())
        kept = sum(size for key, size in self.kept.items() if key not in self.leaves.parameters)
        modules = modules_around(nodes, self._type_of)
        return Graph(self.title, nodes, tuple(self.edges), modules, kept, self.judgement.text)

    def _type_of(self, path: str) -> str:
        """Return the class of the module at a path, "" where the model was not given."""
        return type(self.types[path]).__name__ if path in self.types else ""

    def _add(self, node: Node) -> None:
        op = node.op
        arguments = op._arguments or ("",) * len(node.edges)
        settings = [(name, setting_text(value)) for name, value in op.settings().items()]
        box = f"n{len(self.ids) + 1}"
        pairs = zip(node.edges, constants_of(node), strict=True)
        for index, (edge, constant) in enumerate(pairs):
            name = arguments[index]
            if isinstance(edge, Node):
                self.edges.append(GraphEdge(self.ids[edge], box, name))
            elif edge is not None:
                self.edges.append(GraphEdge(self.leaves.tensor(edge, node), box, name))
            elif isinstance(constant, (bool, int, float)):
                settings.append((name or f"input {index}", setting_text(constant)))
            elif constant is not None:
                leaf = self.leaves.constant(constant, node, index)
                self.edges.append(GraphEdge(leaf, box, name, differentiable=False))
        verdict, report = self.judgement.nodes.get(node.seq, (None, ""))
        self.ids[node] = box
        self.boxes[box] = GraphNode(
            box,
            "op",
            op.name,
            scope=node.scope,
            label=node.label,
            settings=tuple(settings),
            shape=node.shape,
            dtype=node.dtype.name,
            nbytes=math.prod(node.shape) * node.dtype.itemsize,
            saved_nbytes=self._keep(node),
            multiply_adds=multiply_adds(node),
            operations=1,
            requires_grad=True,
            verdict=verdict,
            report=report,
            source=node.source,
            seq=node.seq,
        )

    def _keep(self, node: Node) -> int:
        """Note the arrays that a node keeps; return their bytes, without those of parameters."""
        total = 0
        for array in {id(array): array for array in kept_arrays(node)}.values():
            base = owner_of(array)
            self.kept[id(base)] = base.nbytes
            if id(base) not in self.leaves.parameters:
                total += array.nbytes
        return total

    def _mark(self, tensor: TensorBase, name: str) -> None:
        """Mark the box of an output; an operation that gives one element is a loss."""
        node = tensor._node
        box = self.leaves.tensor(tensor, None) if node is None else self.ids[node]
        is_loss = node is not None and math.prod(node.shape) == 1
        kind = "loss" if is_loss else self.boxes[box].kind
        self.boxes[box] = replace(self.boxes[box], kind=kind, output=name)

    def _judge_leaves(self) -> None:
        """Note what was said of leaves, if it was of these.

        They are coloured only where no operation is to blame: red is for what is wrong itself.
        """
        leaves = [node for node in self.boxes.values() if node.is_leaf and node.requires_grad]
        judged = self.judgement.leaves
        if [node.shape for node in leaves] != [shape for shape, _, _ in judged]:
            return
        blamed = any(verdict == "FAIL" for verdict, _ in self.judgement.nodes.values())
        for node, (_, verdict, text) in zip(leaves, judged, strict=True):
            wrong = verdict in ("FAIL", "INCONCLUSIVE") and not blamed
            self.boxes[node.id] = replace(node, verdict=verdict if wrong else None, report=text)

    def _measure(self, order: list[Node], outputs: list[TensorBase]) -> None:
        """Note the statistics of everything that is still held."""
        measured = measure(order, outputs)
        for key, box in [*self.ids.items(), *self.leaves.ids.items()]:
            value, gradient = measured.get(key, (None, None))
            self.boxes[box] = replace(self.boxes[box], value=value, gradient=gradient)
