"""Modules that are called more than once: each call becomes a box of its own, "pool (2)".

The operations of a call are recorded one after the other, so a call ends where something outside
of the module follows. Two calls with nothing between them are told apart where the module is known
to do the same at each call.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from tinygrad_cnn.viz.data import G, GraphNode, modules_around, prefixes

_CALL = re.compile(r" \(\d+\)")


def without_calls(path: str) -> str:
    """Return a path without the numbers of calls.

    >>> without_calls("encoder (2).pool")
    'encoder.pool'
    """
    return _CALL.sub("", path)


def separate_calls(graph: G, layers: Collection[str] = ()) -> G:
    """Return the graph with each call of a module as a module of its own.

    Parameters
    ----------
    graph
        With modules by their paths.
    layers
        Paths of modules that do the same at each call.
    """
    flow = [node for node in graph.nodes if node.operations]
    scopes = _numbered(flow, _boundaries(flow, frozenset(layers)))
    if all(scopes[node.id] == node.scope for node in flow):
        return graph
    users: dict[str, list[str]] = {}
    for edge in graph.edges:
        users.setdefault(edge.source, []).append(scopes.get(edge.target, ""))
    several = {node.scope for node in flow if scopes[node.id] != node.scope}
    for node in graph.nodes:
        if not node.operations:
            inside = any(scope == node.scope or _within(scope, node.scope) for scope in several)
            scopes[node.id] = _common(users.get(node.id, [""])) if inside else node.scope
    nodes = tuple(replace(node, scope=scopes[node.id]) for node in graph.nodes)
    types = {module.path: module.type for module in graph.modules}
    modules = modules_around(nodes, lambda path: types.get(without_calls(path), ""))
    return replace(graph, nodes=nodes, modules=modules)


def _within(scope: str, path: str) -> bool:
    return bool(path) and scope.startswith(f"{path}.")


def _boundaries(flow: list[GraphNode], layers: frozenset[str]) -> set[str]:
    """Return the boxes with which another call of the very module begins that they follow."""
    found: set[str] = set()
    start = 0
    while start < len(flow):
        stop = start
        while stop < len(flow) and flow[stop].scope == flow[start].scope:
            stop += 1
        if flow[start].scope in layers:
            signs: list[Any] = [(node.name, node.settings) for node in flow[start:stop]]
            turn = next(
                n
                for n in range(1, len(signs) + 1)
                if len(signs) % n == 0 and signs == signs[:n] * (len(signs) // n)
            )
            found |= {flow[place].id for place in range(start + turn, stop, turn)}
        start = stop
    return found


def _numbered(flow: list[GraphNode], boundaries: set[str]) -> dict[str, str]:
    """Return the scopes of operations, with numbers where a module is called more than once."""
    # First the calls, each a list of the numbers of calls along the path; then the names.
    counts: dict[tuple[Any, ...], int] = {}
    calls: dict[str, tuple[tuple[str, int], ...]] = {}
    before: tuple[tuple[str, int], ...] = ()
    for node in flow:
        parts = node.scope.split(".") if node.scope else []
        now: tuple[tuple[str, int], ...] = ()
        for depth, part in enumerate(parts):
            goes_on = (
                before[:depth] == now
                and depth < len(before)
                and before[depth][0] == part
                and not (node.id in boundaries and depth == len(parts) - 1)
            )
            if not goes_on:
                counts[now, part] = counts.get((now, part), 0) + 1
            now = (*now, (part, counts[now, part]))
        calls[node.id] = before = now
    names = {}
    for id, call in calls.items():
        shown = [
            f"{part} ({number})" if counts[call[:depth], part] > 1 else part
            for depth, (part, number) in enumerate(call)
        ]
        names[id] = ".".join(shown)
    return names


def _common(scopes: list[str]) -> str:
    """Return the innermost module around all users of a leaf."""
    paths = [prefixes(scope) for scope in scopes]
    common = [path for path in paths[0] if all(path in others for others in paths)]
    return common[-1] if common else ""
