"""The backward pass of a graph, drawn without running it: a rule for every operation, reversed."""

from __future__ import annotations

from dataclasses import replace

from tinygrad_cnn.viz.data import G, GraphEdge, GraphNode

_OPERATIONS = ("op", "loss")


def add_backward(graph: G) -> G:
    """Return the graph with the rules that a backward pass runs, and the gradients it leaves.

    Rules come after the operations, newest operation first; the engine runs them in this order.
    The arrow from an operation to its rule is what the rule reads.
    """
    boxes = {node.id: node for node in graph.nodes}
    added: dict[str, GraphNode] = {}
    edges: list[GraphEdge] = []
    incoming: dict[str, list[GraphEdge]] = {}
    for edge in graph.edges:
        if edge.differentiable:
            incoming.setdefault(edge.target, []).append(edge)
    for node in reversed(graph.nodes):
        if node.kind not in _OPERATIONS:
            continue
        rule = _rule(node, len(incoming.get(node.id, ())))
        if node.output is not None:
            seed = replace(_blank(node), id=f"s{node.id[1:]}", kind="seed", name="seed")
            added[seed.id] = seed
            edges.append(GraphEdge(seed.id, rule.id, kind="gradient"))
        added[rule.id] = rule
        edges.append(GraphEdge(node.id, rule.id, kind="saved"))
        for edge in incoming.get(node.id, ()):
            source = boxes[edge.source]
            target = _gradient_id(source)
            if source.is_leaf and target not in added:
                added[target] = replace(
                    _blank(source), id=target, kind="gradient", name=source.name
                )
            edges.append(GraphEdge(rule.id, target, edge.argument, "gradient"))
    return replace(
        graph, nodes=graph.nodes + tuple(added.values()), edges=graph.edges + tuple(edges)
    )


def _gradient_id(node: GraphNode) -> str:
    """Return the id of the box that the gradient of a box goes to."""
    return f"g{node.id[1:]}" if node.is_leaf else f"r{node.id[1:]}"


def _blank(node: GraphNode) -> GraphNode:
    """Return a box of the same place and shape that costs nothing."""
    return GraphNode(
        node.id,
        node.kind,
        node.name,
        scope=node.scope,
        shape=node.shape,
        dtype=node.dtype,
        nbytes=node.nbytes,
        times=node.times,
        requires_grad=node.requires_grad,
        grad_norm=node.grad_norm,
        gradient=node.gradient,
    )


def _rule(node: GraphNode, gradients: int) -> GraphNode:
    """Return the box of an operation's rule: as many products as forward for each gradient."""
    cost = node.multiply_adds
    return replace(
        _blank(node),
        id=_gradient_id(node),
        kind="rule",
        saved_nbytes=node.saved_nbytes,
        multiply_adds=None if cost is None else cost * min(gradients, 2),
        operations=1,
        verdict=node.verdict,
        report=node.report,
        source=node.source,
        seq=node.seq,
    )
