"""Where each box is on the page: its module, or the box that it is beside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tinygrad_cnn.viz.data import GraphData, GraphEdge, GraphNode
from tinygrad_cnn.viz.wording import count_text

LARGEST_FLAT = 150  # boxes side by side in one module; more of them are put into groups
GROUP = 100


@dataclass(frozen=True, slots=True)
class Place:
    """A module that can be opened and closed, or a group of operations in a row.

    Attributes
    ----------
    name, path, type
        Last part of its path, the whole path, and its class.
    parent
        The number of the one around it, -1 for none.
    group
        Whether it is only a group.
    """

    name: str
    path: str
    type: str
    parent: int
    group: bool = False


@dataclass(slots=True)
class Places:
    """Where everything is.

    Attributes
    ----------
    modules
        Parents first, and then groups; see `around` for the order from the inside.
    container
        For each box the number of the module that it is in, -1 outside of all.
    host
        For each box beside another one, that other one.
    rows
        For each module, and for -1, how many boxes and modules are in it.
    """

    modules: list[Place]
    container: list[int]
    host: dict[int, int]
    rows: dict[int, int]

    def above(self, module: int) -> Iterator[int]:
        """Iterate over the modules around a module, the nearest first."""
        module = self.modules[module].parent
        while module >= 0:
            yield module
            module = self.modules[module].parent

    def around(self, box: int) -> Iterator[int]:
        """Iterate over the modules around a box, the nearest first."""
        if self.container[box] >= 0:
            yield self.container[box]
            yield from self.above(self.container[box])


def places_of(graph: GraphData) -> Places:
    """Return where the boxes of a graph are."""
    numbers = {module.path: i for i, module in enumerate(graph.modules)}
    modules = [
        Place(m.path.removeprefix(f"{m.parent}."), m.path, m.type, numbers.get(m.parent, -1))
        for m in graph.modules
    ]
    container = [numbers.get(node.scope, -1) for node in graph.nodes]
    places = Places(modules, container, _hosts(graph), {})
    _settle_leaves(graph, places)
    _group(graph, places)
    return places


def _hosts(graph: GraphData) -> dict[int, int]:
    """Return what is beside what.

    A leaf that one operation uses is beside it, a rule beside its operation, a gradient beside
    the rule that makes it or, of an input, beside the input, and a seed beside what it starts.
    """
    index = {node.id: i for i, node in enumerate(graph.nodes)}
    outgoing: dict[str, list[GraphEdge]] = {}
    incoming: dict[str, list[GraphEdge]] = {}
    for edge in graph.edges:
        outgoing.setdefault(edge.source, []).append(edge)
        incoming.setdefault(edge.target, []).append(edge)
    hosts: dict[int, int] = {}
    for i, node in enumerate(graph.nodes):
        around = _neighbours(node, outgoing, incoming)
        if len(around) == 1 and around[0] in index:
            hosts[i] = index[around[0]]
        elif node.kind == "gradient" and f"v{node.id[1:]}" in index:
            hosts[i] = index[f"v{node.id[1:]}"]
    return hosts


def _neighbours(
    node: GraphNode, outgoing: dict[str, list[GraphEdge]], incoming: dict[str, list[GraphEdge]]
) -> list[str]:
    """Return the ids of boxes that a box could be beside; it is where there is one."""
    if node.kind in ("parameter", "buffer", "constant"):
        return list({edge.target: None for edge in outgoing.get(node.id, ())})
    if node.kind == "rule":
        return [edge.source for edge in incoming.get(node.id, ()) if edge.kind == "saved"]
    if node.kind == "seed":
        return [edge.target for edge in outgoing.get(node.id, ())]
    if node.kind == "gradient":
        return list({edge.source: None for edge in incoming.get(node.id, ())})
    return []


def _settle_leaves(graph: GraphData, places: Places) -> None:
    """Move what is beside something into its module, and shared leaves between their users."""
    index = {node.id: i for i, node in enumerate(graph.nodes)}
    users: dict[int, list[int]] = {}
    for edge in graph.edges:
        users.setdefault(index[edge.source], []).append(index[edge.target])
    for i, node in enumerate(graph.nodes):
        if node.is_leaf and node.kind != "input" and i not in places.host and i in users:
            around = [[*places.around(user)][::-1] for user in users[i]]
            common = -1
            for level in zip(*around, strict=False):
                if len(set(level)) > 1:
                    break
                common = level[0]
            places.container[i] = common
    for i in range(len(graph.nodes)):
        places.container[i] = places.container[_standing(places, i)]


def _standing(places: Places, box: int) -> int:
    """Return the box in a place of its own that a box is beside."""
    while box in places.host:
        box = places.host[box]
    return box


def _group(graph: GraphData, places: Places) -> None:
    """Put the members of overfull modules into groups, in order of execution, until they fit."""
    children: dict[int, list[tuple[int, bool]]] = {-1: []}
    for number, place in enumerate(places.modules):
        children[number] = []
        children[place.parent].append((number, True))
    for i in range(len(graph.nodes)):
        if i not in places.host:
            children[places.container[i]].append((i, False))
    first = _first_boxes(graph, places)
    for parent in [*children]:
        row = sorted(children[parent], key=lambda c: first[c[0]] if c[1] else c[0])
        while len(row) > LARGEST_FLAT:
            row = _groups(places, parent, row, children)
        children[parent] = row
    places.rows = {parent: len(row) for parent, row in children.items()}
    for i in places.host:
        places.container[i] = places.container[_standing(places, i)]


def _first_boxes(graph: GraphData, places: Places) -> list[int]:
    """Return for each module the first box in it."""
    first = [len(graph.nodes)] * len(places.modules)
    for i in range(len(graph.nodes) - 1, -1, -1):
        for module in places.around(i):
            first[module] = i
    return first


def _groups(
    places: Places,
    parent: int,
    row: list[tuple[int, bool]],
    children: dict[int, list[tuple[int, bool]]],
) -> list[tuple[int, bool]]:
    """Put a row into groups; return them as the new row."""
    groups: list[tuple[int, bool]] = []
    around = places.modules[parent].path if parent >= 0 else ""
    starts = range(0, len(row), GROUP)
    for part, start in enumerate(starts, 1):
        members = row[start : start + GROUP]
        number = len(places.modules)
        name = f"part {count_text(part)} of {count_text(len(starts))}"
        places.modules.append(Place(name, around, "", parent, group=True))
        for member, is_module in members:
            if is_module:
                places.modules[member] = replace(places.modules[member], parent=number)
            else:
                places.container[member] = number
        children[number] = members
        groups.append((number, True))
    return groups
