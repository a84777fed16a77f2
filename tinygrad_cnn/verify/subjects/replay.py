"""A recorded graph replayed in float64, and its gradients added up independently of the engine."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import enable_grad
from tinygrad_cnn.detaching import Origin, origin_of
from tinygrad_cnn.graph import GraphError, Node
from tinygrad_cnn.inplace import was_changed
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.subjects.subject import in_float64
from tinygrad_cnn.verify.subjects.tensors import leaf, replayed, wrap


def check_kept(function: str, nodes: Sequence[Node]) -> None:
    """Raise a GraphError if a backward pass has released arrays, or one was changed since."""
    for node in nodes:
        if node.released:
            raise GraphError(
                f"{function}: the graph was released by a backward pass; check it before "
                "backward(), or call backward(retain_graph=True)"
            )
        if was_changed(node.out, node.seq):
            raise GraphError(
                f"{function}: the result of {node.op.name} was changed in place after the forward "
                "pass, and its rule reads it; run the forward pass again and check before changing "
                "it"
            )
        for index, (array, edge) in enumerate(zip(node.saved, node.edges, strict=False)):
            held = edge._data if isinstance(edge, TensorBase) else array
            if was_changed(held, node.seq):
                raise GraphError(
                    f"{function}: input {index} of {node.op.name} was changed in place after the "
                    "forward pass; run the forward pass again and check before changing it"
                )


class Replay:
    """The graph below a tensor, recorded again in float64 by the engine.

    Attributes
    ----------
    nodes
        The original nodes, oldest first.
    leaves
        The original leaves that want a gradient.
    values
        The result of each node in float64.
    copies
        The leaves in float64, as tensors.
    reuses
        Whether `run` takes what no changed leaf reaches from the record: half of the work in a deep
        graph. To be set where every operation is known to leave its inputs alone.
    """

    def __init__(self, root: TensorBase, nodes: Sequence[Node], copy: bool = True) -> None:
        self.nodes = nodes
        self.root = root
        self.leaves: list[TensorBase] = list(
            dict.fromkeys(
                edge
                for node in nodes
                for edge in node.edges
                if edge is not None and not isinstance(edge, Node)
            )
        )
        # Without copy, the replay is connected to the original leaves.
        self.copies = {x: leaf(in_float64(x._data)) if copy else x for x in self.leaves}
        self.ops = {node: replayed(node.op) for node in nodes}
        self.tensors: dict[Node, Any] = {}
        self.detached = _detached_links(nodes, self.leaves)
        self.origins = _origins(nodes, self.detached)
        self.reuses = False
        self._reached: dict[frozenset[TensorBase], list[Node]] = {}

    @property
    def links_aside(self) -> bool:
        """Whether something depends on leaves in a way that no edge shows."""
        return bool(self.detached or self.origins)

    def constant(self, node: Node, index: int) -> Any:
        """Return a constant input of a node in float64."""
        saved = node.saved
        return in_float64(saved[index]) if saved else None

    def record(self) -> Tensor:
        """Run the whole graph again in float64 and return its result, recorded."""
        with enable_grad(), np.errstate(all="ignore"):
            for node in self.nodes:
                inputs = [
                    wrap(self.constant(node, i))
                    if edge is None
                    else self.tensors[edge]
                    if isinstance(edge, Node)
                    else self.copies[edge]
                    for i, edge in enumerate(node.edges)
                ]
                self.tensors[node] = self.ops[node](*inputs)
            self._forget_changed()
        assert self.root._node is not None
        result: Tensor = self.tensors[self.root._node]
        return result

    def forget(self, node: Node) -> None:
        """Let go of the replayed result of a node, and of what its rule would read."""
        self.tensors.pop(node, None)

    def _forget_changed(self) -> None:
        """Forget origins that no longer give the constant: it was written to after detach()."""
        values = {node: tensor._data for node, tensor in self.tensors.items()}
        for node, index in list(self.origins):
            made, kept = self._made_again(node, index, values, {}), self.constant(node, index)
            if not np.allclose(made, kept, rtol=1e-3, atol=1e-5, equal_nan=True):
                del self.origins[node, index]

    def inputs_of(self, node: Node) -> list[Any]:
        """Return the recorded inputs of a node in float64, replayed ones where none was kept."""
        found: list[Any] = []
        for index, edge in enumerate(node.edges):
            kept = node.saved[index] if node.saved else None
            if kept is not None or edge is None:
                found.append(in_float64(kept))
            elif isinstance(edge, Node):
                found.append(np.array(self.tensors[edge]._data))
            else:
                found.append(in_float64(edge._data))
        return found

    def run(self, leaves: Mapping[TensorBase, Array], watch: list[Array] | None = None) -> Array:
        """Return the result as a function of the leaves, detached values included.

        With ``watch``, the discrete choices made on the way are appended to it.
        """
        nodes = self.nodes
        values: dict[Node, Any] = {}
        if self.reuses and self.tensors and not self.links_aside and isinstance(leaves, dict):
            changed = [x for x, array in leaves.items() if array is not self.copies[x]._data]
            nodes = self._reached_by(frozenset(changed))
            values = {node: tensor._data for node, tensor in self.tensors.items()}
        last_use = self._last_use()
        with np.errstate(all="ignore"):
            for node in nodes:
                inputs = []
                for index, edge in enumerate(node.edges):
                    source = edge
                    if edge is None:
                        source = self.detached.get((node, index))
                    if source is None and (node, index) in self.origins:
                        inputs.append(self._made_again(node, index, values, leaves))
                    elif source is None:
                        inputs.append(self.constant(node, index))
                    elif isinstance(source, Node):
                        inputs.append(values[source])
                    else:
                        inputs.append(
                            leaves[source] if source in leaves else self.copies[source]._data
                        )
                op = self.ops[node]
                if watch is not None and op.choice is not None:
                    watch.append(np.asarray(op.choice(*inputs)))
                out = op.forward(*inputs)
                values[node] = np.asarray(out[0] if op.has_aux else out)
                for done in last_use.get(node, ()):
                    values.pop(done, None)
        assert self.root._node is not None
        return np.asarray(values[self.root._node])

    def _made_again(
        self, node: Node, index: int, values: dict[Node, Any], leaves: Mapping[TensorBase, Array]
    ) -> Any:
        """Return what a detached constant would be; as it was recorded where that is not known."""

        def value(origin: Any) -> Any:
            if isinstance(origin, Origin):
                made = values.get(origin.node())  # type: ignore[arg-type]  # it may be gone
                if made is not None:
                    return made
                out = replayed(origin.op).forward(*map(value, origin.inputs))
                return np.asarray(out[0] if origin.op.has_aux else out)
            if isinstance(origin, weakref.ref):
                source: Any = origin()
                if source in leaves:
                    return leaves[source]
                held = self.copies[source]._data if source in self.copies else source._data
                return in_float64(held)
            if origin is None:
                raise LookupError("an input is not known any more")
            return in_float64(origin)

        kept = self.constant(node, index)
        try:
            made = value(self.origins[node, index])
        except Exception:  # what it was made from is not known: it stays a constant
            return kept
        return made if np.shape(made) == np.shape(kept) else kept

    def _reached_by(self, changed: frozenset[TensorBase]) -> list[Node]:
        """Return the nodes whose result depends on one of these leaves, oldest first."""
        nodes = self._reached.get(changed)
        if nodes is None:
            found: set[object] = set(changed)
            nodes = self._reached[changed] = []
            for node in self.nodes:
                if not found.isdisjoint(node.edges):
                    found.add(node)
                    nodes.append(node)
        return nodes

    def choices(self, leaves: dict[TensorBase, Array]) -> list[Array]:
        """Return the discrete choices of all nodes on the way."""
        found: list[Array] = []
        self.run(leaves, watch=found)
        return found

    def _last_use(self) -> dict[Node, list[Node]]:
        """Return for each node those whose value is not needed after it."""
        user: dict[Node, Node] = {}
        for node in self.nodes:
            for index, edge in enumerate(node.edges):
                source = self.detached.get((node, index)) if edge is None else edge
                if isinstance(source, Node):
                    user[source] = node
                for below in _nodes_of(self.origins.get((node, index))):
                    user[below] = node
        last: dict[Node, list[Node]] = {}
        for source, node in user.items():
            last.setdefault(node, []).append(source)
        return last


def _nodes_of(origin: Any) -> list[Node]:
    """Return the nodes that an origin names and that are still there."""
    if not isinstance(origin, Origin):
        return []
    node = origin.node()
    below = [n for one in origin.inputs for n in _nodes_of(one)]
    return below if node is None else [node, *below]


def _origins(
    nodes: Sequence[Node], links: Mapping[tuple[Node, int], Any]
) -> dict[tuple[Node, int], Origin]:
    """Find constants that were detached from what is not in the graph itself."""
    found = {}
    for node in nodes:
        for index, edge in enumerate(node.edges):
            if edge is None and (node, index) not in links and node.saved:
                array = node.saved[index]
                origin = origin_of(array) if isinstance(array, np.ndarray) else None
                if origin is not None:
                    found[node, index] = origin
    return found


def _detached_links(
    nodes: Sequence[Node], leaves: Sequence[TensorBase]
) -> dict[tuple[Node, int], Node | TensorBase]:
    """Find constants that are a leaf's or an earlier result's own memory: they were detached."""
    made: dict[int, Node | TensorBase] = {id(x._data): x for x in leaves}
    constants: list[tuple[Node, int, Array]] = []
    for node in nodes:
        saved = node.saved or ()
        for index, (array, edge) in enumerate(zip(saved, node.edges, strict=False)):
            if isinstance(array, np.ndarray) and array.dtype.kind == "f" and array.size > 1:
                if edge is None:
                    constants.append((node, index, array))
                elif isinstance(edge, Node):
                    made[id(array)] = edge
        if node.out is not None:
            made[id(node.out)] = node
    links = {}
    for node, index, array in constants:
        source = made.get(id(array))
        # What was written to since the source was made is another value in the same memory.
        if source is not None and not (isinstance(source, Node) and was_changed(array, source.seq)):
            links[node, index] = source
    return links
