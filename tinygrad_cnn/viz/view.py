"""Parts of a graph: boxes left out, and modules collapsed to one box."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from tinygrad_cnn.viz.calls import without_calls
from tinygrad_cnn.viz.data import G, GraphData, GraphEdge, GraphModule, GraphNode, prefixes
from tinygrad_cnn.viz.verdicts import VERDICTS

Patterns = str | Sequence[str] | None

# Boxes that belong to another one: nothing flows through them, alone they say nothing.
_ATTACHED = frozenset({"parameter", "buffer", "constant", "gradient", "seed"})


# ---------------------------------------------------------------------------------------------
# Leaving out


def select(graph: G, show: Patterns, hide: Patterns) -> G:
    """Return the graph without what is hidden; arrows pass through operations left out."""
    shown, hidden = _patterns("show", show), _patterns("hide", hide)
    if show is None and hide is None:
        return graph
    visible = set()
    matched = set()
    for node in graph.nodes:
        scopes = {*prefixes(node.scope), *prefixes(without_calls(node.scope))}
        names = [*scopes, node.name, node.kind, node.label or ""]
        found = {p for p in shown if any(fnmatchcase(name, p) for name in names)}
        matched |= found
        attached = node.is_leaf or node.kind in _ATTACHED  # comes along with what it belongs to
        if (show is None or found or attached) and not any(
            fnmatchcase(name, p) for p in hidden for name in names
        ):
            visible.add(node.id)
    missed = [p for p in shown if p not in matched]
    if missed:
        known = dict.fromkeys(
            name
            for node in graph.nodes
            for name in (node.scope.partition(".")[0], node.name)
            if name and not node.is_leaf
        )
        raise ValueError(
            f"graph: show={missed[0]!r} matches no module or operation; "
            f"there are {', '.join(list(known)[:12])}{', …' if len(known) > 12 else ''}"
        )
    edges = _rerouted(graph, visible)
    used = {end for edge in edges for end in (edge.source, edge.target)}
    nodes = tuple(
        node
        for node in graph.nodes
        if node.id in visible and (node.id in used or not (node.is_leaf or node.kind in _ATTACHED))
    )
    return replace(graph, nodes=nodes, edges=edges, modules=_remaining(graph, nodes))


def _patterns(argument: str, patterns: Patterns) -> list[str]:
    given = [patterns] if isinstance(patterns, str) else list(patterns or ())
    for pattern in given:
        if not isinstance(pattern, str):
            raise TypeError(f"graph: {argument} expects patterns, got {type(pattern).__name__}")
    return given


def _rerouted(graph: GraphData, visible: set[str]) -> tuple[GraphEdge, ...]:
    """Return the arrows between visible boxes, and those that pass through others."""
    incoming: dict[str, list[GraphEdge]] = {}
    for edge in graph.edges:
        incoming.setdefault(edge.target, []).append(edge)
    kinds = {node.id: node.kind for node in graph.nodes}
    behind: dict[str, dict[str, GraphEdge]] = {}  # of hidden boxes: the visible ones they lead to
    result: list[GraphEdge] = []
    for node in graph.nodes:  # sources come before what uses them
        found: dict[str, GraphEdge] = {}
        for edge in incoming.get(node.id, ()):
            if edge.source in visible:
                if node.id in visible:
                    result.append(edge)
                elif edge.kind != "saved" and kinds[edge.source] not in _ATTACHED:
                    found[edge.source] = edge
            elif edge.kind != "saved":
                found |= behind.get(edge.source, {})
        if node.id not in visible:
            behind[node.id] = found
        elif node.kind not in _ATTACHED:
            result += [
                replace(edge, target=node.id, argument="", kind="through")
                for edge in found.values()
            ]
    return tuple(result)


def _remaining(graph: GraphData, nodes: Iterable[GraphNode]) -> tuple[GraphModule, ...]:
    """Return the modules that still hold boxes."""
    left = {path for scope in {node.scope for node in nodes} for path in prefixes(scope)}
    return tuple(module for module in graph.modules if module.path in left)


# ---------------------------------------------------------------------------------------------
# Collapsing


def collapse(graph: G, depth: int | None) -> G:
    """Return the graph with every module whose path has ``depth`` parts as one box.

    Its rules are another box. A leaf goes inside if all that use it are there.
    """
    if depth is None:
        return graph
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise ValueError(f"graph: depth expects a positive integer or None, got {depth!r}")
    homes, paths = _homes(graph, depth)
    members: dict[str, list[GraphNode]] = {}
    for node in graph.nodes:
        members.setdefault(homes[node.id], []).append(node)
    edges: dict[tuple[str, str, str, str], GraphEdge] = {}
    leaving: dict[str, set[str]] = {}  # of each module, the boxes whose results leave it
    for edge in graph.edges:
        source, target = homes[edge.source], homes[edge.target]
        if source == target:
            continue
        if edge.kind != "saved":
            leaving.setdefault(source, set()).add(edge.source)
        argument = edge.argument if target == edge.target else ""
        moved = replace(edge, source=source, target=target, argument=argument)
        edges.setdefault((source, target, edge.kind, argument), moved)
    types = {module.path: module.type for module in graph.modules}
    nodes = []
    for home, inside in members.items():
        if home in paths:
            nodes.append(_box(home, paths[home], types, inside, leaving.get(home, set())))
        else:
            path = ".".join(inside[0].scope.split(".")[: depth - 1])
            nodes.append(replace(inside[0], scope=path))
    arrows = tuple(edges.values())
    return replace(graph, nodes=tuple(nodes), edges=arrows, modules=_remaining(graph, nodes))


def _homes(graph: GraphData, depth: int) -> tuple[dict[str, str], dict[str, str]]:
    """Return where each box goes (its own id if it stays), and the paths of collapsed modules."""
    homes: dict[str, str] = {}
    ids: dict[tuple[str, str], str] = {}
    for node in graph.nodes:
        parts = node.scope.split(".")[:depth]
        homes[node.id] = node.id
        if node.kind in ("op", "loss", "module", "rule") and node.scope and len(parts) == depth:
            letter = "w" if node.kind == "rule" else "m"
            key = (letter, ".".join(parts))
            homes[node.id] = ids.setdefault(key, f"{letter}{len(ids) + 1}")
    paths = {home: path for (_, path), home in ids.items()}
    neighbours: dict[str, set[str]] = {}
    for edge in graph.edges:
        neighbours.setdefault(edge.source, set()).add(homes[edge.target])
        neighbours.setdefault(edge.target, set()).add(homes[edge.source])
    inputs = {node.id for node in graph.nodes if node.kind == "input"}
    for node in graph.nodes:
        of_input = node.kind == "gradient" and f"v{node.id[1:]}" in inputs
        if (node.is_leaf or node.kind == "gradient") and node.kind != "input" and not of_input:
            around = neighbours.get(node.id, set())
            if len(around) == 1 and around <= paths.keys():
                homes[node.id] = around.pop()
    return homes, paths


def _box(
    id: str, path: str, types: dict[str, str], inside: list[GraphNode], leaving: set[str]
) -> GraphNode:
    """Return the box of a collapsed module: sums over what is inside."""
    worst = [verdict for verdict in VERDICTS if any(n.verdict == verdict for n in inside)]
    flow = [node for node in inside if node.operations]
    shown = next((node for node in reversed(flow) if node.id in leaving), flow[-1])
    costs = [node.multiply_adds for node in flow if node.multiply_adds is not None]
    norms = [node.grad_norm for node in inside if node.is_leaf and node.grad_norm is not None]
    outputs = [node.output for node in flow if node.output is not None]
    return replace(
        shown,
        id=id,
        kind="rule" if shown.kind == "rule" else "module",
        name=path,
        type=types.get(path, ""),
        scope=path.rpartition(".")[0],
        label=None,
        settings=(),
        nbytes=sum(node.nbytes for node in flow),
        saved_nbytes=sum(node.saved_nbytes for node in flow),
        multiply_adds=sum(costs) if costs else None,
        size=sum(node.size for node in inside),
        operations=sum(node.operations for node in flow),
        grad_norm=math.hypot(*norms) if norms else None,
        verdict=worst[0] if worst else None,
        output=outputs[0] if outputs else None,
        report="",
        value=None,
        gradient=None,
    )
