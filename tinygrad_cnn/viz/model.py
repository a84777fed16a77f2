"""The graph as plain data: nodes, edges and the tree of modules. Every view is made from this.

A `Graph` holds numbers and strings alone, so it keeps no array and no tensor alive.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinygrad_cnn.viz import dot, page, render, text, view
from tinygrad_cnn.viz.statistics import Statistics

LARGEST_PICTURE = 1500  # boxes; Graphviz takes minutes for more, a notebook shows text instead


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
class Graph:
    """A recorded graph as plain data, which shows itself as DOT, picture or text.

    Attributes
    ----------
    title
        The class of the model, or "graph".
    nodes
        The boxes, in order of execution, leaves before their first use.
    edges
        The arrows, by target.
    modules
        The modules that anything belongs to, parents first.
    saved_nbytes
        Bytes of all arrays kept for the backward pass, each once, without parameters.
    report
        What the verification said of the whole.
    """

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

    def view(
        self,
        depth: int | None = None,
        show: str | Sequence[str] | None = None,
        hide: str | Sequence[str] | None = None,
    ) -> Graph:
        """Return the graph with modules collapsed and boxes left out; see `graph`."""
        selected = view.select(self, show, hide)
        return view.collapse(selected, depth)

    def dot(self) -> str:
        """Return the graph in Graphviz's language; the same model gives the same text."""
        return dot.dot_text(self)

    def text(self) -> str:
        """Return the graph as lines in order of execution, under the modules they belong to."""
        return text.graph_text(self)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a file ending in .dot, .gv, .svg, .png or .pdf, whole or not at all.

        Pictures are drawn by Graphviz's ``dot`` where it is on the PATH, else by `graphviz-pure`.

        Returns
        -------
        The path.

        Raises
        ------
        ValueError
            If the name ends otherwise.
        RendererMissing
            If there is nothing to draw that kind of picture with; the DOT text is then written
            beside it.
        """
        return render.save(self, Path(path))

    def render(self, path: str | os.PathLike[str]) -> Path:
        """Write a picture; the same as `save`."""
        return self.save(path)

    def html(self, path: str | os.PathLike[str], depth: int | None = None) -> Path:
        """Write an interactive page: one file that needs no network and no renderer.

        It has search, details of every box, modules that open and close, and a slider that plays
        the forward and the backward pass.

        Parameters
        ----------
        path
            Of the file; written whole or not at all.
        depth
            Modules whose path has this many parts start closed; None opens what fits a screen.

        Returns
        -------
        The path.

        Raises
        ------
        ValueError
            If the graph is too large for a browser, or the depth is no positive number.
        """
        return page.save(self, Path(path), depth)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Show the picture in a notebook, or the text where it cannot be drawn."""
        bundle = {"text/plain": self.text()}
        wanted = "image/svg+xml" in (include or ["image/svg+xml"])
        if wanted and len(self.nodes) <= LARGEST_PICTURE:
            try:
                bundle["image/svg+xml"] = render.draw(self, "svg").decode("utf-8")
            except render.RendererMissing as missing:
                bundle["text/plain"] += f"\n({missing})"
        return {kind: data for kind, data in bundle.items() if kind not in (exclude or ())}

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        ops = sum(node.operations for node in self.nodes if node.kind in ("op", "loss"))
        return (
            f"<Graph {self.title}: {ops} operations, {len(self.nodes)} boxes, "
            f"{len(self.edges)} arrows>"
        )
