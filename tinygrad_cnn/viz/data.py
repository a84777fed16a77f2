"""A graph as plain data: nodes, edges and the tree of modules. Every view is made from this.

It holds numbers and strings alone, so it keeps no array and no tensor alive. How it is drawn is
nothing that is known here: `model.Graph` is this with the ways to show it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from tinygrad_cnn.viz.statistics import Statistics


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One box of the graph.

    Attributes
    ----------
    id
        Its name in edges: a letter and a number, the same each time for the same model.
    kind
        "input", "parameter", "buffer" or "constant" (what goes in), "op" (an operation), "loss"
        (an operation that gives an output of one element), "module" (a collapsed module), and in
        the backward pass "rule" (the backward rule of an operation), "seed" (the gradient it
        starts from) or "gradient" (what reaches a leaf).
    name
        Of the operation or the leaf; the path of a module.
    type
        Class of a module, where the model was given.
    scope
        Path of the module it belongs to, "" outside.
    label
        A name given by the user to the result.
    settings
        Of the operation: names and values, as text.
    shape, dtype, nbytes
        Of the result.
    saved_nbytes
        Bytes of the arrays kept for the backward rule, without parameters.
    multiply_adds
        See `tinygrad_cnn.viz.cost`; None where the operation has none or it is not known.
    size
        Number of parameters: of this one, or of all inside a collapsed module.
    operations
        How many it stands for.
    times
        How many turns of a loop it stands for: their boxes are folded into one.
    requires_grad, grad_norm
        Of a leaf: whether a gradient is wanted, and its Euclidean norm; None before it is computed.
    verdict, report
        Of the verification, and what it says in words.
    value, gradient
        Statistics, where they were asked for and there was something to measure.
    source
        File and line of the call, where they were recorded.
    output
        The name of the output that this is; "" for the only one; None for what is no output.
    seq
        Place in time, as in the recorded graph; 0 for leaves.
    """

    id: str
    kind: str
    name: str
    type: str = ""
    scope: str = ""
    label: str | None = None
    settings: tuple[tuple[str, str], ...] = ()
    shape: tuple[int, ...] = ()
    dtype: str = ""
    nbytes: int = 0
    saved_nbytes: int = 0
    multiply_adds: int | None = None
    size: int = 0
    operations: int = 0
    times: int = 1
    requires_grad: bool = False
    grad_norm: float | None = None
    verdict: str | None = None
    source: tuple[str, int] | None = None
    output: str | None = None
    seq: int = 0
    report: str = ""
    value: Statistics | None = None
    gradient: Statistics | None = None

    @property
    def often(self) -> str:
        """How many it stands for, to be put behind its name: nothing for one."""
        return f" × {self.times:,}" if self.times > 1 else ""

    @property
    def is_leaf(self) -> bool:
        """Whether it goes in rather than being computed."""
        return self.kind in ("input", "parameter", "buffer", "constant")


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """An arrow from what was computed to what uses it.

    Attributes
    ----------
    source, target
        Ids of the boxes.
    argument
        Which input of the target it is, by the operation's own names, "" where it has none.
    kind
        "value"; in the backward pass "gradient", and "saved" from an operation to its rule;
        "through" where hidden boxes lie between.
    differentiable
        Whether a gradient flows back along it.
    """

    source: str
    target: str
    argument: str = ""
    kind: str = "value"
    differentiable: bool = True


@dataclass(frozen=True, slots=True)
class GraphModule:
    """A module: its path, its class ("" where the model was not given) and its parent's path."""

    path: str
    type: str
    parent: str


@dataclass(frozen=True, slots=True)
class GraphData:
    """A recorded graph as plain data; the public `Graph` says what its attributes are."""

    title: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    modules: tuple[GraphModule, ...] = ()
    saved_nbytes: int = 0
    report: str = ""

    @property
    def size(self) -> int:
        """Number of parameters in the graph, each counted once."""
        return sum(node.size for node in self.nodes)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the forward pass."""
        return sum(node.multiply_adds or 0 for node in self.nodes if node.kind != "rule")


G = TypeVar("G", bound=GraphData)
"""A graph with or without ways to show it: what is made of it is of the same kind."""


def prefixes(path: str) -> list[str]:
    """Return a module's path after those of all modules around it.

    >>> prefixes("layer1.0.conv")
    ['layer1', 'layer1.0', 'layer1.0.conv']
    """
    parts = path.split(".") if path else []
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def modules_around(
    nodes: Iterable[GraphNode], type_of: Callable[[str], str]
) -> tuple[GraphModule, ...]:
    """Return the modules around boxes, by their paths: parents first, in order of appearance."""
    paths = dict.fromkeys(path for node in nodes for path in prefixes(node.scope))
    return tuple(GraphModule(path, type_of(path), path.rpartition(".")[0]) for path in paths)
