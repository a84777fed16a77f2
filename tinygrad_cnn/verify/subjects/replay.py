"""A recorded graph replayed in float64, and its gradients added up independently of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.autograd import enable_grad
from tinygrad_cnn.graph import GraphError, Node
from tinygrad_cnn.inplace import was_changed
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.verify.subjects.subject import in_float64
from tinygrad_cnn.verify.subjects.tensors import leaf, replayed, wrap

Array = npt.NDArray[Any]


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
        self.reuses = False
        self._reached: dict[frozenset[TensorBase], list[Node]] = {}

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
        assert self.root._node is not None
        result: Tensor = self.tensors[self.root._node]
        return result

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
        if self.reuses and self.tensors and not self.detached and isinstance(leaves, dict):
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
                    if source is None:
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
        last: dict[Node, list[Node]] = {}
        for source, node in user.items():
            last.setdefault(node, []).append(source)
        return last


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
