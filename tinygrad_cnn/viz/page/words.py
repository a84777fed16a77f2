"""The words on the page's boxes and in their details; the same as in the other views."""

from __future__ import annotations

import math
from pathlib import Path

from tinygrad_cnn.viz.data import GraphNode
from tinygrad_cnn.viz.dot import USUAL
from tinygrad_cnn.viz.wording import bytes_text, count_text, counted, norm_text, shape_text

Facts = list[list[str]]  # pairs of a name and a text

_WIDTH = 34  # letters on a line of a box


def box_lines(node: GraphNode) -> list[str]:
    """Return the lines under a box's name: what tells it from others of its kind."""
    shape = shape_text(node.shape)
    if node.kind == "seed":
        return []
    if node.kind in ("parameter", "buffer", "constant", "gradient"):
        return [shape]
    if node.kind == "rule":
        return [f"{count_text(node.multiply_adds)} multiply-adds"] if node.multiply_adds else []
    lines = [f"“{_short(node.label)}”"] if node.label else []
    if node.type:
        lines.append(node.type)
    result = ("shape", str(node.shape))
    special = [f"{n}={v}" for n, v in node.settings if (n, v) not in {*USUAL, result}]
    for part in special:
        if lines and "=" in lines[-1] and len(lines[-1]) + len(part) + 2 <= _WIDTH:
            lines[-1] += f", {part}"
        else:
            lines.append(_short(part))
    return [*lines, f"{shape} {node.dtype}" if node.is_leaf else shape]


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def facts_of(node: GraphNode) -> Facts:
    """Return everything that is known of a box in words."""
    facts: Facts = []
    if node.label:
        facts.append(["label", node.label])
    facts += ([name, value] for name, value in node.settings)
    if node.kind not in ("rule", "seed"):
        what = "gradient" if node.kind == "gradient" else "shape" if node.is_leaf else "output"
        facts.append([what, f"{shape_text(node.shape)} {node.dtype}"])
        facts.append(["memory", bytes_text(node.nbytes)])
    if node.kind == "parameter":
        facts.append(["parameters", f"{node.size:,}"])
    if node.operations and node.kind != "rule":
        facts.append(["kept for backward", bytes_text(node.saved_nbytes)])
    if node.multiply_adds is not None:
        facts.append(["multiply-adds", f"{node.multiply_adds:,}"])
    if node.kind == "gradient" or (node.is_leaf and node.requires_grad):
        facts.append(["gradient norm", norm_text(node.grad_norm)])
    if node.source:
        facts.append(["source", source_text(*node.source)])
    return facts


def source_text(file: str, line: int) -> str:
    """Return where a call was made, the file as seen from here if it lies below."""
    path = Path(file)
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return f"{path}:{line}"


def module_lines(type: str, members: list[GraphNode], result: GraphNode) -> list[str]:
    """Return the lines of a closed module: its class, what it makes, and how much is in it."""
    operations, size = _sums(members)
    lines = [type] if type else []
    lines += [shape_text(result.shape), counted(operations, "operation")]
    if size:
        lines[-1] += f" · {counted(size, 'parameter')}"
    return lines


def module_facts(members: list[GraphNode], result: GraphNode) -> Facts:
    """Return the sums over a module."""
    operations, size = _sums(members)
    flow = [n for n in members if n.operations and n.kind != "rule"]
    costs = [n.multiply_adds for n in flow if n.multiply_adds is not None]
    norms = [n.grad_norm for n in members if n.is_leaf and n.grad_norm is not None]
    facts = [
        ["output", f"{shape_text(result.shape)} {result.dtype}"],
        ["operations", f"{operations:,}"],
        ["parameters", f"{size:,}"],
        ["memory", bytes_text(sum(n.nbytes for n in flow))],
        ["kept for backward", bytes_text(sum(n.saved_nbytes for n in flow))],
    ]
    if costs:
        facts.append(["multiply-adds", f"{sum(costs):,}"])
    if any(n.requires_grad and n.is_leaf for n in members):
        facts.append(["gradient norm", norm_text(math.hypot(*norms) if norms else None)])
    return facts


def _sums(members: list[GraphNode]) -> tuple[int, int]:
    """Return the number of operations and of parameters."""
    operations = sum(n.operations for n in members if n.kind != "rule")
    return operations, sum(n.size for n in members)
