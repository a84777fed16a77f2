"""Files and pictures: Graphviz's ``dot`` where it is on the PATH, else `graphviz-pure`."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
import threading
from pathlib import Path

import graphviz
from graphviz.backend import dot_command

from tinygrad_cnn.atomic import atomic_file
from tinygrad_cnn.viz.data import GraphData
from tinygrad_cnn.viz.dot import dot_text
from tinygrad_cnn.viz.fonts import fit_text

TEXT = (".dot", ".gv")
PICTURES = (".svg", ".png", ".pdf")
PNG_DPI = 144  # twice what Graphviz takes: sharp on today's screens

_setting_binary = threading.Lock()


class RendererMissing(RuntimeError):  # noqa: N818  # says what is the matter
    """There is nothing to draw the picture with; the message names both ways to get something."""


def find_renderer(kind: str) -> Path:
    """Return the program that draws a kind of picture.

    Raises
    ------
    RendererMissing
        If there is none.
    """
    binary = shutil.which("dot")
    if binary is None and kind != "pdf":  # which graphviz-pure does not write
        # A virtual environment that was not activated has its scripts beside, not on the PATH.
        binary = shutil.which("graphviz-pure") or shutil.which(
            "graphviz-pure", path=sysconfig.get_path("scripts")
        )
    if binary is None:
        pure = "" if kind != "pdf" else " (SVG and PNG only)"
        raise RendererMissing(
            f"drawing {kind.upper()} needs Graphviz's dot on the PATH (apt install graphviz, "
            f"brew install graphviz) or graphviz-pure{pure} (pip install graphviz-pure)"
        )
    return Path(binary)


def draw(graph: GraphData, kind: str) -> bytes:
    """Return the picture of a graph: "svg", "png" or "pdf".

    Raises
    ------
    RendererMissing
        If there is nothing to draw it with.
    RuntimeError
        If the renderer fails.
    """
    binary = find_renderer(kind)
    text = dot_text(graph, dpi=PNG_DPI if kind == "png" else None)
    with _setting_binary:  # the graphviz package has one setting for the whole process
        before, dot_command.DOT_BINARY = dot_command.DOT_BINARY, binary
        try:
            picture: bytes = graphviz.pipe("dot", kind, text.encode("utf-8"), quiet=True)
        except subprocess.CalledProcessError as error:
            reason = (error.stderr or b"").decode("utf-8", "replace").strip()
            raise RuntimeError(f"{binary} could not draw the {kind}: {reason}") from None
        finally:
            dot_command.DOT_BINARY = before
    return fit_text(picture.decode("utf-8")).encode("utf-8") if kind == "svg" else picture


def save(graph: GraphData, path: Path) -> Path:
    """Write a graph to a file of the kind that its name says; see `Graph.save`."""
    suffix = path.suffix.lower()
    if suffix not in TEXT + PICTURES:
        raise ValueError(
            f"save: expects a name ending in {', '.join(TEXT + PICTURES)}, got {path.name!r}"
        )
    if suffix in TEXT:
        _write(path, dot_text(graph).encode("utf-8"))
        return path
    try:
        picture = draw(graph, suffix[1:])
    except RendererMissing as missing:
        beside = path.with_suffix(".dot")
        _write(beside, dot_text(graph).encode("utf-8"))
        raise RendererMissing(f"{missing}; the graph's text is in {beside}") from None
    _write(path, picture)
    return path


def _write(path: Path, content: bytes) -> None:
    with atomic_file(path) as file:
        file.write(content)
