"""`Graph`: what was recorded, as plain data that shows itself as DOT, picture, page or text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinygrad_cnn.viz import dot, page, render, text, view
from tinygrad_cnn.viz.data import GraphData

LARGEST_PICTURE = 1500  # boxes; Graphviz takes minutes for more, a notebook shows text instead


@dataclass(frozen=True, slots=True, repr=False)
class Graph(GraphData):
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
