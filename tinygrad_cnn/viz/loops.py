"""Loops folded: the equal operations of all its turns become one box each, "mul × 676".

Operations are recorded in the order in which they ran, so a loop is a stretch of them that repeats.
Repeats are found from the shortest body to the longest, again and again, so that loops inside of
loops fold into the same boxes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.viz.data import G, GraphData, GraphEdge, GraphNode
from tinygrad_cnn.viz.verdicts import VERDICTS

FEWEST = 5  # turns that are folded: fewer are read at a glance
LONGEST = 200  # operations of a loop's body


@dataclass(frozen=True, slots=True)
class _Stretch:
    """One operation, or a folded loop.

    Attributes
    ----------
    kind
        A number: stretches of one kind are alike.
    groups
        For each operation of the body, the places of all that it stands for.
    """

    kind: int
    groups: list[list[int]]


def fold(graph: G) -> G:
    """Return the graph with one box for the equal operations of all turns of a loop."""
    flow = [node for node in graph.nodes if node.operations]
    homes: dict[str, str] = {}
    folded: dict[str, list[GraphNode]] = {}
    for group in _groups(_kinds(graph, flow)):
        members = [flow[place] for place in group]
        folded[members[0].id] = members
        homes |= {member.id: members[0].id for member in members}
    if len(folded) == len(flow):
        return graph
    _fold_leaves(graph, homes, folded)
    carried: dict[str, list[str]] = {}
    edges = _edges(graph, homes, carried)
    names = {node.id: node.name for node in graph.nodes}
    nodes = tuple(
        _box(folded[node.id], [names[source] for source in carried.get(node.id, ())])
        for node in graph.nodes
        if homes[node.id] == node.id
    )
    return replace(graph, nodes=_numbered(nodes), edges=edges)


def _numbered(nodes: tuple[GraphNode, ...]) -> tuple[GraphNode, ...]:
    """Count the nameless leaves that are left anew: "input 2", not "input 678"."""
    counts: dict[str, int] = {}
    result = []
    for node in nodes:
        if node.is_leaf and re.fullmatch(rf"{node.kind}( \d+)?", node.name):
            count = counts[node.kind] = counts.get(node.kind, 0) + 1
            node = replace(node, name=node.kind if count == 1 else f"{node.kind} {count}")
        result.append(node)
    return tuple(result)


def _kinds(graph: GraphData, flow: list[GraphNode]) -> list[int]:
    """Return a number for each operation: equal ones could share a box.

    They do the same to results of one shape, in one module. Where such operations have different
    parameters, as the layers of a network, these tell them apart.
    """
    several = sum(node.output is not None for node in flow) > 1
    signs = {
        n.id: (n.name, n.scope, n.label, n.shape, n.dtype, n.source, n.output if several else None)
        for n in flow
    }
    leaves = {node.id for node in graph.nodes if node.is_leaf and node.requires_grad}
    slots: dict[Any, set[str]] = {}  # the leaves that equal operations take as the same argument
    learnt = [edge for edge in graph.edges if edge.source in leaves]
    for edge in learnt:
        slots.setdefault((signs[edge.target], edge.argument), set()).add(edge.source)
    own: dict[str, list[str]] = {}
    for edge in learnt:
        if len(slots[signs[edge.target], edge.argument]) > 1:
            own.setdefault(edge.target, []).append(edge.source)
    numbers: dict[Any, int] = {}
    return [
        numbers.setdefault((signs[node.id], tuple(own.get(node.id, ()))), len(numbers))
        for node in flow
    ]


def _groups(kinds: list[int]) -> list[list[int]]:
    """Return the places of the operations that share a box."""
    line = [_Stretch(kind, [[place]]) for place, kind in enumerate(kinds)]
    numbers: dict[tuple[int, ...], int] = {}
    body = 1
    marks = np.array(kinds)
    while body <= min(LONGEST, len(line) // FEWEST):
        found = _repeats(marks, body)
        if not found:
            body += 1
            continue
        shorter: list[_Stretch] = []
        done = 0
        for start, stop in found:
            shorter += line[done:start]
            shorter.append(_loop(line[start:stop], body, numbers, len(kinds)))
            done = stop
        line = shorter + line[done:]
        marks = np.array([stretch.kind for stretch in line])
        body = 1
    return [group for stretch in line for group in stretch.groups]


def _repeats(marks: Array, body: int) -> list[tuple[int, int]]:
    """Return where a body of this length is repeated: whole turns, from start to stop."""
    differs = np.flatnonzero(marks[body:] != marks[:-body])
    starts = np.concatenate([[0], differs + 1])
    stops = np.concatenate([differs, [len(marks) - body]])
    found: list[tuple[int, int]] = []
    long = stops - starts >= (FEWEST - 1) * body
    for start, stop in zip(starts[long].tolist(), stops[long].tolist(), strict=True):
        start = max(start, found[-1][1]) if found else start
        turns = (stop - start) // body + 1
        if turns >= FEWEST:
            found.append((start, start + turns * body))
    return found


def _loop(
    stretches: Sequence[_Stretch], body: int, numbers: dict[tuple[int, ...], int], first: int
) -> _Stretch:
    """Make one stretch of the turns of a loop."""
    kinds = tuple(stretch.kind for stretch in stretches[:body])
    kind = first + numbers.setdefault(kinds, len(numbers))
    groups = []
    for offset in range(body):
        turns = stretches[offset::body]
        groups += [
            [place for turn in turns for place in turn.groups[index]]
            for index in range(len(turns[0].groups))
        ]
    return _Stretch(kind, groups)


def _fold_leaves(
    graph: GraphData, homes: dict[str, str], folded: dict[str, list[GraphNode]]
) -> None:
    """Fold the constants that only one box uses, each in a turn of its own."""
    uses: dict[str, set[tuple[str, str]]] = {}
    for edge in graph.edges:
        uses.setdefault(edge.source, set()).add((homes.get(edge.target, ""), edge.argument))
    alike: dict[Any, str] = {}
    for node in graph.nodes:
        if node.operations:
            continue
        home = node.id
        used = uses.get(node.id, set())
        if len(used) == 1 and node.is_leaf and not node.requires_grad:
            ((target, argument),) = used
            if len(folded.get(target, ())) > 1:
                key = (target, argument, node.kind, node.shape, node.dtype)
                home = alike.setdefault(key, node.id)
        homes[node.id] = home
        folded.setdefault(home, []).append(node)


def _edges(
    graph: GraphData, homes: dict[str, str], carried: dict[str, list[str]]
) -> tuple[GraphEdge, ...]:
    """Return the arrows between the boxes, each once; `carried` gets what turns hand on.

    Such an arrow would run backwards in the picture.
    """
    order = {node.id: place for place, node in enumerate(graph.nodes)}
    edges: dict[tuple[str, str, str, str], GraphEdge] = {}
    for edge in graph.edges:
        source, target = homes[edge.source], homes[edge.target]
        if order[source] >= order[target]:
            before = carried.setdefault(target, [])
            if source not in before:
                before.append(source)
            continue
        key = (source, target, edge.argument, edge.kind)
        edges.setdefault(key, replace(edge, source=source, target=target))
    return tuple(edges.values())


def _box(members: list[GraphNode], carried: list[str]) -> GraphNode:
    """Return the box of equal operations: sums, and the worst of the verdicts with its report."""
    first = members[0]
    if len(members) == 1:
        return first
    worst = next((v for v in VERDICTS if any(node.verdict == v for node in members)), None)
    judged = [node for node in members if node.verdict == worst and node.report]
    shown = next((node for node in members if node.output is not None), first)
    costs = [node.multiply_adds for node in members if node.multiply_adds is not None]
    settings = [
        (name, text if text == last else f"{text} … {last}")
        for (name, text), (_, last) in zip(first.settings, members[-1].settings, strict=False)
    ]
    if carried:
        settings.append(("from the turn before", ", ".join(carried)))
    return replace(
        first,
        kind=shown.kind,
        output=shown.output,
        times=len(members),
        settings=tuple(settings),
        # Writes of all turns go to one array.
        nbytes=first.nbytes if first.name == "write" else sum(node.nbytes for node in members),
        saved_nbytes=sum(node.saved_nbytes for node in members),
        multiply_adds=sum(costs) if costs else None,
        operations=sum(node.operations for node in members),
        verdict=worst,
        report=judged[0].report if judged else first.report,
        value=None,
        gradient=None,
    )
