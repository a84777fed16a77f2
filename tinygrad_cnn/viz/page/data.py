"""What the page knows of a graph: boxes, arrows, modules and steps, with all words ready.

Everything that the page shows is put into words here, by the functions that the other views use,
so that the page's scripts only place and show.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from tinygrad_cnn.viz.data import GraphData, GraphNode
from tinygrad_cnn.viz.page.places import Places, places_of
from tinygrad_cnn.viz.page.words import box_lines, facts_of, module_facts, module_lines
from tinygrad_cnn.viz.statistics import Statistics
from tinygrad_cnn.viz.verdicts import VERDICTS
from tinygrad_cnn.viz.wording import bytes_text, count_text, counted

LARGEST_PAGE = 60_000  # boxes; the file has about 500 bytes for each

# Rows that are read at a glance: modules start open as far as there are no more.
OPEN_ROWS = 40


def page_data(graph: GraphData, depth: int | None = None) -> dict[str, Any]:
    """Return a graph as plain data for the page.

    Boxes and modules are referred to by their place in the lists. What has its default is left
    out.
    """
    if len(graph.nodes) > LARGEST_PAGE:
        raise ValueError(
            f"html: the graph has {len(graph.nodes):,} boxes, a page takes at most "
            f"{LARGEST_PAGE:,}; collapse modules with graph(..., depth=) or leave out with hide="
        )
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int) or depth < 1):
        raise ValueError(f"html: depth expects a positive integer or None, got {depth!r}")
    places = places_of(graph)
    index = {node.id: i for i, node in enumerate(graph.nodes)}
    forward, backward = _steps(graph)
    return {
        "title": graph.title,
        "facts": _facts(graph),
        "report": graph.report,
        "verdicts": _verdicts(graph),
        "nodes": [_node(node, places, i) for i, node in enumerate(graph.nodes)],
        "edges": [
            [index[e.source], index[e.target], e.kind, e.argument, int(e.differentiable)]
            for e in graph.edges
        ],
        "modules": _modules(graph, places, depth),
        "forward": forward,
        "backward": backward,
    }


def _facts(graph: GraphData) -> list[str]:
    return [
        counted(sum(node.operations for node in graph.nodes if node.kind != "rule"), "operation"),
        counted(graph.size, "parameter"),
        f"{count_text(graph.multiply_adds)} multiply-adds",
        f"{bytes_text(graph.saved_nbytes)} kept for the backward pass",
    ]


def _verdicts(graph: GraphData) -> dict[str, int]:
    """Return how many boxes have each verdict, the worst first; a rule repeats its operation's."""
    counts = Counter(node.verdict for node in graph.nodes if node.kind != "rule")
    return {verdict: counts[verdict] for verdict in VERDICTS if counts[verdict]}


def _steps(graph: GraphData) -> tuple[list[int], list[int]]:
    """Return the boxes in the order in which both passes compute them.

    Where no rules are drawn, the backward pass goes over the operations themselves.
    """
    forward = [i for i, n in enumerate(graph.nodes) if n.operations and n.kind != "rule"]
    backward = [i for i, n in enumerate(graph.nodes) if n.kind == "rule"]
    return forward, backward or [i for i in reversed(forward) if graph.nodes[i].requires_grad]


def _node(node: GraphNode, places: Places, i: int) -> dict[str, Any]:
    entry = {
        "kind": node.kind,
        "name": _title(node),
        "lines": box_lines(node),
        "facts": facts_of(node),
        "path": node.name if node.name.startswith(f"{node.scope}.") else node.scope,
        "in": places.container[i],
        "host": places.host.get(i),
        "verdict": node.verdict,
        "report": node.report,
        "value": _statistics(node.value),
        "gradient": _statistics(node.gradient),
        "output": node.output is not None,
    }
    return _without_defaults(entry)


def _without_defaults(data: dict[str, Any]) -> dict[str, Any]:
    """Leave out what has its default."""
    return {
        key: v for key, v in data.items() if v is not None and v is not False and v not in ("", [])
    }


def _title(node: GraphNode) -> str:
    name = node.name.removeprefix(f"{node.scope}.") if node.scope else node.name
    if node.kind == "seed":
        return "g" if node.shape else "1"
    if node.kind == "gradient":
        return f"∂{name}"
    if node.kind == "rule":
        return f"{name} backward{node.often}"
    return f"{name} → {node.output}" if node.output else f"{name}{node.often}"


def _statistics(found: Statistics | None) -> dict[str, Any] | None:
    """Return statistics with numbers as text; only the histogram is drawn."""
    if found is None:
        return None
    rows = [
        ["range", f"{_number(found.min)} … {_number(found.max)}"],
        ["mean ± std", f"{_number(found.mean)} ± {_number(found.std)}"],
        ["zeros", f"{found.zeros / found.count:.1%}" if found.count else "–"],
    ]
    rows += [["NaN", f"{found.nans:,}"]] if found.nans else []
    rows += [["infinite", f"{found.infinities:,}"]] if found.infinities else []
    bins = list(found.histogram)
    return {"rows": rows, "bins": bins, "from": _number(found.min), "to": _number(found.max)}


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}".replace("-", "−")


def _modules(graph: GraphData, places: Places, depth: int | None) -> list[dict[str, Any]]:
    """Return the modules and groups, parents first, each with the sums over what is inside."""
    inside: list[list[int]] = [[] for _ in places.modules]
    for i, container in enumerate(places.container):
        while container >= 0:
            inside[container].append(i)
            container = places.modules[container].parent
    leaving = [-1] * len(places.modules)  # the last box whose result is used outside
    index = {node.id: i for i, node in enumerate(graph.nodes)}
    for edge in graph.edges:
        if edge.kind in ("value", "through"):
            source, around = index[edge.source], set(places.around(index[edge.target]))
            for container in places.around(source):
                if container not in around:
                    leaving[container] = max(leaving[container], source)
    opened = _open(places, depth)
    modules = []
    for number, place in enumerate(places.modules):
        members = [graph.nodes[i] for i in inside[number]]
        flow = [n for n in members if n.operations and n.kind != "rule"]
        result = graph.nodes[leaving[number]] if leaving[number] >= 0 else (flow or members)[-1]
        verdicts = [v for v in VERDICTS if any(n.verdict == v for n in members)]
        entry = {
            "name": place.name,
            "path": place.path,
            "type": place.type,
            "in": place.parent,
            "group": place.group,
            "open": number in opened,
            "lines": module_lines(place.type, members, result),
            "facts": module_facts(members, result),
            "verdict": verdicts[0] if verdicts else None,
            "rules": any(n.kind == "rule" for n in members),
            "count": len(flow) or len(members),
        }
        modules.append(_without_defaults(entry))
    return modules


def _open(places: Places, depth: int | None) -> set[int]:
    """Return the modules that start open."""
    level = [len(list(places.above(number))) for number in range(len(places.modules))]
    if depth is not None:
        return {number for number, above in enumerate(level) if above < depth - 1}
    opened: set[int] = set()
    rows = places.rows[-1]
    for depth_now in range(max(level, default=-1) + 1):
        wanted = [n for n in range(len(level)) if level[n] == depth_now]
        rows += sum(places.rows[n] - 1 for n in wanted)
        if rows > OPEN_ROWS:
            break
        opened |= set(wanted)
    return opened
