"""A graph as lines of text, in order of execution, under the modules they belong to."""

from __future__ import annotations

from tinygrad_cnn.viz.data import GraphData, GraphEdge, GraphNode, prefixes
from tinygrad_cnn.viz.wording import bytes_text, count_text, counted, norm_text, shape_text


def graph_text(graph: GraphData) -> str:
    """Return one line for each box; results are referred to by number."""
    incoming: dict[str, list[GraphEdge]] = {}
    for edge in graph.edges:
        if edge.kind != "saved":
            incoming.setdefault(edge.target, []).append(edge)
    types = {module.path: module.type for module in graph.modules}
    names = _names(graph)
    rows: list[tuple[str, ...] | str] = []
    scope = ""
    for node in graph.nodes:
        if node.scope != scope:
            rows += (
                "  " * path.count(".") + f"{path}: {types[path]}".rstrip(": ")
                for path in prefixes(node.scope)
                if path not in prefixes(scope)
            )
            scope = node.scope
        inside = f"{scope}." if scope else ""  # which the names of its own leaves begin with
        arguments = ", ".join(
            names[edge.source].removeprefix(inside) for edge in incoming.get(node.id, ())
        )
        rows.append(_row(node, names[node.id].removeprefix(inside), arguments))
    head = [
        graph.title,
        counted(graph.size, "parameter"),
        f"{count_text(graph.multiply_adds)} multiply-adds",
        f"{bytes_text(graph.saved_nbytes)} kept for the backward pass",
    ]
    return "\n".join([" · ".join(head), *aligned(rows)])


def _names(graph: GraphData) -> dict[str, str]:
    """Return what to call each box: its name for a leaf, a number for a result."""
    names: dict[str, str] = {}
    number = 0
    for node in graph.nodes:
        if node.is_leaf:
            names[node.id] = f"{node.name}{node.often}"
        elif node.kind == "gradient":
            names[node.id] = f"{node.name}.grad"
        elif node.kind == "seed":
            names[node.id] = "1" if not node.shape else "gradient"
        else:
            number += 1
            names[node.id] = f"#{number}"
    return names


def _row(node: GraphNode, name: str, arguments: str) -> tuple[str, ...]:
    indent = "  " * len(prefixes(node.scope))
    notes = []
    if node.is_leaf or node.kind in ("gradient", "seed"):
        what = f"{indent}{_plain(name)}"
        middle = f"<- {arguments}" if arguments else node.kind
        if node.requires_grad and node.is_leaf:
            notes.append(f"gradient norm {norm_text(node.grad_norm)}")
    else:
        called = f"{node.name}.backward" if node.kind == "rule" else node.name
        what = f"{indent}{name} {_plain(called)}{node.often}({_plain(arguments)})"
        settings = [f"{key}={value}" for key, value in node.settings]
        middle = ", ".join(settings) if settings else node.type
        if node.multiply_adds:
            notes.append(f"{count_text(node.multiply_adds)} multiply-adds")
        if node.kind == "module":
            notes.append(counted(node.size, "parameter"))
        if node.label:
            notes.append(f"“{_plain(node.label)}”")
        if node.output is not None:
            notes.append(node.output or ("loss" if node.kind == "loss" else "output"))
        if node.verdict:
            notes.append(node.verdict)
    shape = shape_text(node.shape)
    return what, _plain(middle), shape, node.dtype, bytes_text(node.nbytes), ", ".join(notes)


def _plain(text: str) -> str:
    """Keep a name on its line."""
    return "".join(c if c.isprintable() else "�" for c in text.replace("\n", "↵"))


def aligned(rows: list[tuple[str, ...] | str], right: tuple[int, ...] = (4,)) -> list[str]:
    """Lay rows out in columns; a row that is text goes across them."""
    cells = [row for row in rows if not isinstance(row, str)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in rows:
        if not isinstance(row, str):
            padded = [
                cell.rjust(width) if i in right else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            row = "  ".join(padded).rstrip()
        lines.append(row)
    return lines
