"""One text from parts: styles, scripts, the layout library and the data, safe to open anywhere."""

from __future__ import annotations

import html
import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path

from tinygrad_cnn.atomic import atomic_file
from tinygrad_cnn.viz.data import GraphData
from tinygrad_cnn.viz.page.colours import colour_styles
from tinygrad_cnn.viz.page.data import page_data

# In the order in which they need each other.
SCRIPTS = (
    "dom.js",
    "graph.js",
    "shapes.js",
    "layout.js",
    "drawing.js",
    "viewport.js",
    "details.js",
    "search.js",
    "playback.js",
    "keyboard.js",
    "main.js",
)

# Nothing may be fetched, whatever a name in the graph says.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")


def section(graph: GraphData, id: str = "graph", depth: int | None = None) -> str:
    """Return the drawing as an HTML ``<section>`` for a larger page.

    It brings its styles and scripts with it and touches nothing outside of itself; several may
    stand on one page under different ids. Its height is 70 % of the window unless the page sets
    ``--graph-height`` on it. It is light or dark as the page's ``color-scheme`` is.

    Parameters
    ----------
    graph
        What `tinygrad_cnn.viz.graph` returned.
    id
        Of the section; all ids inside begin with it.
    depth
        Modules whose path has this many parts start closed; None opens what fits a screen.

    Raises
    ------
    ValueError
        If the graph is too large for a browser, or the id or the depth is not one.

    >>> from tinygrad_cnn import tensor
    >>> from tinygrad_cnn.viz import graph
    >>> section(graph(tensor([1.0], requires_grad=True) * 2), id="first")[:45]
    '<section id="first" class="tg-graph embedded"'
    """
    return _section(graph, id, depth, "embedded")


def page_text(graph: GraphData, depth: int | None = None) -> str:
    """Return the whole page as HTML; see `Graph.html`."""
    title = html.escape(graph.title).encode("utf-8", "replace").decode("utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title} · compute graph</title>
</head>
<body style="margin: 0">
{_section(graph, "graph", depth, "page")}
</body>
</html>
"""


def save(graph: GraphData, path: Path, depth: int | None = None) -> Path:
    """Write the page to a file; see `Graph.html`."""
    text = page_text(graph, depth)
    with atomic_file(path) as file:
        file.write(text.encode("utf-8"))
    return path


def _section(graph: GraphData, id: str, depth: int | None, kind: str) -> str:
    if not _IDENTIFIER.match(id):
        raise ValueError(f"section: expects an id of letters, digits, - and _, got {id!r}")
    # A script element ends at the first "</script", and "<!--" changes how it is read.
    data = json.dumps(page_data(graph, depth), separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'<section id="{id}" class="tg-graph {kind}" aria-label="Compute graph">\n'
        f"<style>\n{_styles()}</style>\n"
        f'<script type="application/json" data-part="data">{data}</script>\n'
        "<noscript>This drawing needs JavaScript.</noscript>\n"
        f'<script type="module">\n{_scripts()}\nstart(document.getElementById("{id}"));\n'
        "</script>\n</section>"
    )


@cache
def _styles() -> str:
    return f".tg-graph {{\n{colour_styles()}\n}}\n" + _read("page.css")


@cache
def _scripts() -> str:
    """Return all scripts as one: imports and exports between them fall away."""
    library = _read("vendor/dagre.min.js").partition("//# sourceMappingURL")[0]
    licence = f"/*!\nThe layout is made by dagre.\n\n{_read('vendor/dagre.LICENSE.txt')}*/"
    own = "\n".join(_read(name) for name in SCRIPTS)
    own = re.sub(r"^import [^;]*;\n", "", own, flags=re.MULTILINE)
    own = re.sub(r"^export ", "", own, flags=re.MULTILINE)
    return f"{licence}\n{library}\n{own}"


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
