"""A graph in Graphviz's language: boxes by kind, clusters by module, a legend for verdicts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tinygrad_cnn.viz.data import GraphData, GraphEdge, GraphNode, prefixes
from tinygrad_cnn.viz.verdicts import VERDICTS
from tinygrad_cnn.viz.wording import bytes_text, count_text, counted, norm_text, shape_text

FONT = "Arial"  # every renderer knows its widths; not those of a list of fonts
INK, FAINT, LINE = "#1e293b", "#56637a", "#64748b"


@dataclass(frozen=True, slots=True)
class Look:
    """Shape and colours of a box; colours have six digits, as old Graphviz knows no others."""

    shape: str
    fill: str
    border: str
    style: str = "filled"


LOOKS = {
    "input": Look("invhouse", "#cfe5fb", "#2367a8"),
    "parameter": Look("cylinder", "#e6dcf8", "#6b46b8"),
    "buffer": Look("folder", "#d3ecea", "#1f7a72"),
    "constant": Look("note", "#eceae4", "#77705f"),
    "op": Look("box", "#f4f6f9", LINE, "rounded,filled"),
    "loss": Look("octagon", "#fbd5e5", "#b0306f"),
    "module": Look("box3d", "#e2e8f0", "#334155"),
    "rule": Look("box", "#fff1e3", "#c06a1c", "rounded,filled,dashed"),
    "seed": Look("circle", "#ffe0c2", "#c06a1c"),
    "gradient": Look("house", "#ffe0c2", "#c06a1c"),
}

VERDICT_COLOURS = {  # fill and border
    "PASS": ("#c3e8c7", "#1c7a33"),
    "FAIL": ("#ff9d94", "#b3140c"),
    "KINK": ("#ffe08a", "#a06c00"),
    "INCONCLUSIVE": ("#cbccd6", "#50525f"),
    "UNSEEN": ("#e3ebe6", "#6f8578"),
    "SKIPPED": ("#ffffff", "#9aa1ad"),
}

# Settings that say "nothing special" are left to the tooltip.
USUAL = {
    ("ceil_mode", "False"),
    ("dilation", "1"),
    ("groups", "1"),
    ("ignore_index", "-100"),
    ("keepdims", "False"),
    ("label_smoothing", "0.0"),
    ("padding", "0"),
    ("reduction", "mean"),
}

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def dot_text(graph: GraphData, dpi: int | None = None) -> str:
    """Return a graph in Graphviz's language; the same graph gives the same text."""
    facts = f"{counted(graph.size, 'parameter')} · {count_text(graph.multiply_adds)} multiply-adds"
    title = f"<b>{_html(graph.title)}</b>  {_small(facts)}"
    font = f'fontname="{FONT}", fontcolor="{INK}"'
    resolution = f", dpi={dpi}" if dpi else ""
    layout = 'rankdir=TB, ranksep=0.3, nodesep=0.25, pad=0.2, bgcolor="#ffffff", labelloc=t'
    lines = [
        f'digraph "{re.sub(r"[^0-9A-Za-z_]", "_", graph.title)}" {{',
        f"  graph [{font}, fontsize=13, {layout}, label=<{title}>{resolution}];",
        f'  node [{font}, fontsize=12, margin="0.12,0.06", height=0.3, width=0.6];',
        f'  edge [color="{LINE}", arrowsize=0.65, penwidth=1.1];',
    ]
    rows = _rows(graph)
    lines += _boxes(graph, rows)
    lines += (f"  {_arrow(edge, rows)}" for edge in graph.edges)
    lines += _legend(graph)
    lines.append("}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Rows:
    """What is side by side.

    Parameters are beside the operation that uses them, so that the data run straight down; with
    a backward pass, an operation is beside its rule, and the gradients on the other side of it.

    Attributes
    ----------
    beside
        For a box, those in its row.
    left
        Pairs of boxes joined by an arrow, the first to the left.
    """

    beside: dict[str, list[str]]
    left: set[tuple[str, str]]


def _rows(graph: GraphData) -> Rows:
    nodes = {node.id: node for node in graph.nodes}
    neighbours: dict[str, dict[str, str]] = {}  # and which way the arrow goes, from the first
    for edge in graph.edges:
        neighbours.setdefault(edge.source, {})[edge.target] = "to"
        neighbours.setdefault(edge.target, {})[edge.source] = "from"
    with_rules = {edge.source for edge in graph.edges if edge.kind == "saved"}
    rows = Rows({}, set())
    for node in graph.nodes:
        for other in neighbours.get(node.id, ()):
            if nodes[other].scope != node.scope:
                continue
            row = rows.beside.setdefault(node.id, [])
            if other in with_rules and node.kind == "rule" and nodes[other].kind != "rule":
                rows.left.add((other, node.id))
                continue
            attached = nodes[other].kind in ("parameter", "buffer", "constant", "gradient", "seed")
            if not attached or len(neighbours[other]) > 1:
                continue
            row.append(other)
            goes_left = node.kind != "rule" and (node.id in with_rules or len(row) % 2 == 1)
            rows.left.add((other, node.id) if goes_left else (node.id, other))
    for op, rule in [pair for pair in rows.left if nodes[pair[1]].kind == "rule"]:
        rows.beside[op] = [*rows.beside.get(op, []), rule, *rows.beside.pop(rule, [])]
    return rows


def _boxes(graph: GraphData, rows: Rows) -> Iterator[str]:
    """Write the boxes, each in the cluster of its module, in order of execution."""
    inside: dict[str, list[GraphNode | str]] = {"": []}
    types = {module.path: module.type for module in graph.modules}
    parents = {module.path: module.parent for module in graph.modules}
    numbers = {module.path: i for i, module in enumerate(graph.modules, 1)}
    for node in graph.nodes:
        for path in prefixes(node.scope):
            if path not in inside:  # a cluster is where its first box is
                inside[path] = []
                inside[parents[path]].append(path)
        inside[node.scope].append(node)
    stack: list[tuple[int, GraphNode | str]] = [(1, item) for item in reversed(inside[""])]
    while stack:
        depth, item = stack.pop()
        indent = "  " * depth
        if not isinstance(item, str):
            yield f"{indent}{_box(item)}"
            if rows.beside.get(item.id):
                yield f"{indent}{{rank=same; {'; '.join([item.id, *rows.beside[item.id]])}}}"
        elif item == "}":
            yield f"{indent}}}"
        else:
            name = item.removeprefix(f"{parents[item]}.")
            kind = f" {_small(types[item])}" if types[item] else ""
            shade = "#fafbfd" if depth % 2 else "#f1f4f8"
            yield f"{indent}subgraph cluster_{numbers[item]} {{"
            yield (
                f"{indent}  graph [label=<<b>{_html(name)}</b>{kind}>, labeljust=l, fontsize=11, "
                f'style="rounded,filled", fillcolor="{shade}", color="#c3ccd8", margin=8, '
                f"tooltip={_quoted(item)}];"
            )
            stack.append((depth, "}"))
            stack += [(depth + 1, inner) for inner in reversed(inside[item])]


_LIDDED = ("cylinder", "box3d")
_LID = '<font point-size="5"> </font><br/>'  # keeps the text off the lid


def _box(node: GraphNode) -> str:
    look = LOOKS[node.kind]
    fill, border = VERDICT_COLOURS.get(node.verdict or "", (look.fill, look.border))
    attributes = [
        f"shape={look.shape}",
        f'style="{look.style}"',
        f'fillcolor="{fill}"',
        f'color="{border}"',
        f"label=<{_LID if look.shape in _LIDDED else ''}{'<br/>'.join(_label(node))}>",
        f"tooltip={_quoted(chr(10).join(_tooltip(node)))}",
    ]
    if node.verdict == "FAIL":
        attributes.append("penwidth=3")
    elif node.output is not None and node.kind != "loss":
        attributes.append("penwidth=2.2")
    return f"{node.id} [{', '.join(attributes)}];"


def _label(node: GraphNode) -> list[str]:
    """Return the lines of a box, as Graphviz's markup."""
    name = node.name.removeprefix(f"{node.scope}.") if node.scope else node.name
    if node.kind == "seed":
        return ["<b>1</b>" if not node.shape else "<b>g</b>"]
    if node.kind == "gradient":
        lines = [f"<b>∂{_html(name)}</b>", _small(shape_text(node.shape))]
        return [*lines, _small(f"norm {norm_text(node.grad_norm)}")]
    if node.kind == "rule":
        name = f"{name} backward"
    elif node.output:
        name = f"{name} → {node.output}"
    lines = [f"<b>{_html(name + node.often)}</b>"]
    if node.type:
        lines[0] += f" {_small(node.type)}"
    if node.label:
        lines.append(f"<i>{_html(node.label)}</i>")
    shape = f"{shape_text(node.shape)} {node.dtype}"
    if node.is_leaf:
        lines.append(_small(f"{shape_text(node.shape)} {node.dtype}"))
        lines.append(_small(bytes_text(node.nbytes)))
    elif node.kind == "rule":
        if node.multiply_adds:
            lines.append(_small(f"{count_text(node.multiply_adds)} multiply-adds"))
    else:
        lines += [_small(part) for part in _wrapped(_settings(node))]
        lines.append(_small(f"{shape} · {bytes_text(node.nbytes)}"))
        if node.kind == "module":
            counts = [counted(node.operations, "operation"), counted(node.size, "parameter")]
            lines.append(_small(" · ".join(counts)))
        if node.multiply_adds:
            lines.append(_small(f"{count_text(node.multiply_adds)} multiply-adds"))
    if node.requires_grad and (node.is_leaf or (node.kind == "module" and node.size)):
        norm = "" if node.grad_norm is None else "norm "
        lines.append(_small(f"gradient {norm}{norm_text(node.grad_norm)}"))
    if node.verdict:
        colour = VERDICT_COLOURS[node.verdict][1]
        lines.append(f'<font color="{colour}"><b>{node.verdict}</b></font>')
    return lines


def _settings(node: GraphNode) -> list[str]:
    result = ("shape", str(node.shape))  # of the result, which the box has anyway
    return [f"{n}={value}" for n, value in node.settings if (n, value) not in {*USUAL, result}]


def _wrapped(parts: list[str], width: int = 34) -> list[str]:
    """Join parts by commas into lines of about a width."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(part) + 2 <= width:
            lines[-1] += f", {part}"
        else:
            lines.append(part)
    return lines


def _tooltip(node: GraphNode) -> list[str]:
    """Return everything that is known of a box, a line each."""
    where = f" in {node.scope}" if node.scope else ""
    lines = [f"{node.kind} {node.name}{where}"]
    lines += [f"{name} = {value}" for name, value in node.settings]
    lines.append(f"{shape_text(node.shape)} {node.dtype}, {bytes_text(node.nbytes)}")
    if node.saved_nbytes:
        lines.append(f"keeps {bytes_text(node.saved_nbytes)} for the backward pass")
    if node.multiply_adds is not None:
        lines.append(f"{node.multiply_adds:,} multiply-adds")
    if node.requires_grad and node.is_leaf:
        lines.append(f"gradient norm {norm_text(node.grad_norm)}")
    if node.verdict:
        lines.append(f"verification: {node.verdict}")
    if node.source:
        lines.append(f"{node.source[0]}:{node.source[1]}")
    return lines


_ARROWS = {
    "value": "weight=8",
    "through": 'style=dashed, color="#94a3b8", weight=8',
    "gradient": 'color="#c06a1c", weight=4',
    "saved": 'style=dotted, color="#c9a27e", arrowhead=none',
}


def _arrow(edge: GraphEdge, rows: Rows) -> str:
    source, target, style = edge.source, edge.target, _ARROWS[edge.kind]
    in_row = (source, target) in rows.left or (target, source) in rows.left
    if in_row and edge.kind == "value":
        style = ""
    elif edge.kind == "saved" and not in_row:
        style += ", constraint=false"
    elif edge.kind == "value" and not edge.differentiable:
        style = 'color="#94a3b8"'
    # Graphviz puts the first end above or to the left: gradients run upwards beside the data.
    backwards = (target, source) in rows.left if in_row else edge.kind == "gradient"
    if backwards:
        source, target = target, source
        style = f"{style}, dir=back" if style else "dir=back"
    return f"{source} -> {target} [{style}];" if style else f"{source} -> {target};"


def _legend(graph: GraphData) -> Iterator[str]:
    """Write what the colours of verdicts mean, with how many boxes have each."""
    judged = [node for node in graph.nodes if node.verdict]
    forward = [node for node in judged if node.kind != "rule"]  # a rule repeats its operation's
    counts = Counter(node.verdict for node in forward or judged)
    if not counts:
        return
    cells = "".join(
        f'<td bgcolor="{VERDICT_COLOURS[verdict][0]}" color="{VERDICT_COLOURS[verdict][1]}">'
        f"{_small(f'{verdict} {counts[verdict]}', INK)}</td>"
        for verdict in reversed(VERDICTS)
    )
    yield (
        '  legend [shape=plain, label=<<table border="0" cellborder="1" cellspacing="3" '
        f'cellpadding="4"><tr>{cells}</tr></table>>, tooltip="verdicts of the verification"];'
    )


def _small(text: str, colour: str = FAINT) -> str:
    return f'<font point-size="10" color="{colour}">{_html(text)}</font>'


def _printable(text: str) -> str:
    """Replace what XML cannot hold, and line ends by a sign for them."""
    return _UNSAFE.sub("\ufffd", text.replace("\r\n", "\n").replace("\n", "↵").replace("\t", " "))


def _html(text: str) -> str:
    r"""Write text inside of Graphviz's markup.

    An empty element is an error there, and ``\N`` would be replaced by the name of the box.
    """
    text = _printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("\\", r"\\") or " "


def _quoted(text: str) -> str:
    """Write text as a quoted string for a tooltip; line ends stay.

    Graphviz goes over the escapes of a tooltip twice.
    """
    text = "\n".join(_printable(line) for line in text.split("\n"))
    text = text.replace("\\", "\\" * 4).replace('"', '\\"').replace("&", "&amp;")
    text = text.replace("\n", r"\n")
    return f'"{text}"'
