"""The backward pass: a walk over the recorded graph from the newest node to the oldest.

A node's rule turns the gradient of its result into gradients of its inputs; where a value was used
more than once they are added. What all rules have in common stands here once: summing over
broadcast dimensions, the check of shapes and dtypes, accumulation, and the release of arrays on
the way.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.base import TensorBase, edge_of
from tinygrad_cnn.deferring import Unkept
from tinygrad_cnn.graph import GraphError, LeafHooks, Node, discover, mode
from tinygrad_cnn.inplace import changes, exposed
from tinygrad_cnn.kernels.pointwise.elementwise import PARALLEL_SIZE, apply
from tinygrad_cnn.kernels.pool.lazy import LazyGradient
from tinygrad_cnn.op import adapters
from tinygrad_cnn.operands import widened
from tinygrad_cnn.ownership import LARGE, asks_users, held_elsewhere, own
from tinygrad_cnn.rules import check_unchanged, fitted, not_saved, wrong_count
from tinygrad_cnn.types import Array

Edge = Node | TensorBase

_ndarray = np.ndarray
_FLOAT16 = np.dtype(np.float16)

_DEEP = 8  # views of views, at most, that a gradient goes through at once


class BackwardPass:
    """One backward pass: gradients on their way, by edge.

    Without ``targets`` the gradients of leaves go to their ``grad``; with them, those of the
    targets are returned, only what leads to them is computed, and nothing beyond ``stop`` is
    visited.
    """

    __slots__ = (
        "create_graph",
        "found",
        "grads",
        "leading",
        "owned",
        "retain",
        "stop",
        "targets",
        "watch",
        "wrap",
    )

    def __init__(
        self,
        wrap: Any,
        create_graph: bool,
        retain: bool,
        targets: set[Edge] | None = None,
        stop: set[Edge] | None = None,
    ) -> None:
        self.wrap = wrap  # makes a tensor
        self.create_graph = create_graph
        self.retain = retain
        self.targets = targets
        self.stop = stop or set()
        self.leading: set[Edge] = set()  # the nodes that lead to a target
        self.grads: dict[Edge, Any] = {}
        self.owned: set[Edge] = set()  # edges whose gradient was added up here: ours to write to
        self.found: dict[Edge, Any] = {}

    def run(self, starts: Sequence[tuple[TensorBase, Any]]) -> dict[Edge, Any]:
        """Walk the graph below the starting tensors; return the gradients of the targets."""
        order, uses = discover([tensor for tensor, _ in starts], self.stop)
        if self.targets is not None:
            self._find_leading(order, self.targets)
        for tensor, g in starts:
            if not self.create_graph and g.size >= LARGE and asks_users(order, uses):
                g = np.array(g)  # it may be the user's, and their code may write
            if edge_of(tensor) in self.grads:
                self._add(edge_of(tensor), g)
            else:
                self.grads[edge_of(tensor)] = g
            if tensor._node is None:
                uses[tensor] = uses.get(tensor, 0) + 1
                self._count_down(tensor, uses)
        recording, mode.recording = mode.recording, self.create_graph
        scope = mode.scope
        self.watch, mode.watch = mode.watch, None  # what rules compute is not looked at
        try:
            for node in order:
                g = self.grads.pop(node, None)
                if g is not None and (node.notes is not None or self.targets is not None):
                    shown = self._show(node, _computed(g))
                    if shown is not g:
                        self.owned.discard(node)
                    g = shown
                if g is not None and (self.targets is None or node in self.leading):
                    self._through(node, g, uses)
                elif node not in self.stop:
                    for edge in node.edges:
                        if isinstance(edge, TensorBase):
                            self._count_down(edge, uses)
            if not self.stop:  # a pass inside of a rule hands its tensors on to no user
                for edge, g in self.found.items():
                    if isinstance(g, TensorBase):
                        self.found[edge] = own(g, self.wrap)
        except BaseException:
            mode.finishing = None
            raise
        finally:
            mode.recording, mode.scope = recording, scope
            mode.set("watch", self.watch)
        if self.targets is None and mode.finishing is not None:
            waiting, mode.finishing = mode.finishing, None
            for finish in waiting:
                finish()
        return self.found

    def _find_leading(self, order: list[Node], targets: set[Edge]) -> None:
        """Note the nodes that lead to a target: the rules of others need not run."""
        for node in reversed(order):
            if node not in self.stop and any(
                edge in self.leading or edge in targets for edge in node.edges if edge is not None
            ):
                self.leading.add(node)

    def _wants(self, edge: Edge | None) -> bool:
        """Whether the gradient at an edge is of any use to this pass."""
        if edge is None or self.targets is None:
            return edge is not None
        return edge in self.leading or edge in self.targets

    def _through(self, node: Node, g: Any, uses: dict[TensorBase, int]) -> None:
        """Run the rule of a node and pass the gradients of its inputs on."""
        edges = node.edges
        everything, plain = self.targets is None, not self.create_graph
        try:
            op = node.op
            if (
                op._ordinary
                and plain
                and g.__class__ is _ndarray
                and not (node.released or exposed or changes.latest > node.seq)
            ):
                if op._takes_needs:
                    results = op.backward(g, node.out, *node.inputs, needs=self._needs(node))
                else:
                    results = op.backward(g, node.out, *node.inputs)
            elif op._in_parts and plain and not node.released:
                results = self._in_parts(node, _computed(g))
            else:
                results = self._apply_rule(node, g)
        except (TypeError, AttributeError) as error:
            raise not_saved(node, error) or error from None
        if type(results) is not tuple or len(results) != len(edges):
            raise wrong_count(node, results)
        if self.watch is not None:
            results = tuple([_computed(result) for result in results])
            self.watch.backward(node, g, results)
        grads = self.grads
        for index, edge in enumerate(edges):
            if edge is not None:
                result = results[index]
                is_leaf = edge.__class__ is not Node
                if result is not None and (everything or self._wants(edge)):
                    like: Any = edge._data if is_leaf else edge  # type: ignore[union-attr]
                    if (
                        result.__class__ is not _ndarray
                        or result.shape != like.shape
                        or result.dtype is not like.dtype
                    ):
                        result = fitted(node, index, result, edge, self.create_graph)
                    if edge in grads:
                        self._add(edge, result)
                    elif is_leaf and plain and held_elsewhere(result, results):
                        grads[edge] = np.array(result)  # a leaf's grad shares memory with nothing
                    else:
                        grads[edge] = result
                if is_leaf:
                    self._count_down(edge, uses)  # type: ignore[arg-type]  # a tensor, then
        if not self.retain:
            node.release()

    def _in_parts(self, node: Node, g: Array) -> Any:
        """Write the gradient of a part into that of the whole, instead of making whole arrays.

        So n reads and writes of elements take O(n). Whoever read what a write overwrote was
        recorded before it, so that its gradient is still to come: there is nothing to add yet where
        a write hands its array on.
        """
        op, edge = node.op, node.edges[0]
        if op.backward_owned is None:
            if self._add_part(node, g):
                return (None,)
            results = self._apply_rule(node, g)
            if edge.__class__ is Node and edge not in self.grads:
                self.owned.add(edge)  # the rule made the array
            return results
        if node in self.owned:
            self.owned.discard(node)
        else:
            g = op.laid_out(g)
        results = op.backward_owned(g, self._needs(node))
        if results[0] is g and edge.__class__ is Node and edge not in self.grads:
            self.owned.add(edge)
        return results

    def _add_part(self, node: Node, g: Array) -> bool:
        """Add the gradient of a part to that of the whole in place, if there is one already."""
        edge: Any = node.edges[0]
        path: list[Any] = []
        # A view of a view: nobody asks for the gradient of the one between.
        while (
            edge.__class__ is Node
            and edge not in self.grads
            and edge.op.views
            and edge.notes is None
            and not edge.released
            and self.targets is None
            and len(path) < _DEEP
        ):
            path.append(edge.op)
            edge = edge.edges[0]
        whole = self.grads.get(edge)
        if whole.__class__ is not _ndarray or not self._wants(edge):
            return False
        if edge not in self.owned:
            whole = self.grads[edge] = np.array(whole)
            self.owned.add(edge)
        part = whole
        for step in reversed(path):
            part = step.forward(part)
        if path and not (part.flags.writeable and np.may_share_memory(part, whole)):
            return False  # repeated, or copied to be reshaped
        node.op.add_into(part, g)
        return True

    def _apply_rule(self, node: Node, g: Any) -> Any:
        """Call the rule on arrays, or on tensors where the backward pass itself is recorded."""
        op, inputs = node.op, node.inputs
        if node.released:
            raise GraphError(
                f"{op.name}: this part of the graph was released by an earlier backward pass; "
                "pass retain_graph=True to the earlier one to go through it again"
            )
        if changes.latest > node.seq or exposed:
            check_unchanged(node)
        out = node.out
        if op._outside:
            g = _computed(g)
            self._compute_lazy()
        if out.__class__ is not Unkept:
            if not op.takes_lazy:
                g = _computed(g)
        elif g.__class__ is not LazyGradient or out.pooled is None:
            g, out = _computed(g), out.value()
        if self.create_graph:
            mode.scope = node.scope  # what a rule records belongs to the module of its operation
            inputs = [self._input(node, a, e) for a, e in zip(inputs, node.edges, strict=True)]
            if op.reference is None and out is not None:
                out = self.wrap(out, node)
        if op.widens and node.dtype is _FLOAT16:
            g, out, *inputs = [_widened(x) for x in (g, out, *inputs)]
            if out is not None and not any(map(operator.is_, node.inputs, node.edges)):
                out = op(*inputs)  # e to what rounding took from a logarithm is a large factor
        if self.create_graph and op.reference is not None:
            return self._differentiate_reference(node, g, inputs)
        if op._takes_needs:
            needs = self._needs(node)
            if op._takes_aux:
                return op.backward(g, out, *inputs, needs=needs, aux=node.aux)
            return op.backward(g, out, *inputs, needs=needs)
        if op._takes_aux:
            return op.backward(g, out, *inputs, aux=node.aux)
        return op.backward(g, out, *inputs)

    def _needs(self, node: Node) -> tuple[bool, ...]:
        """Return which gradients the pass wants of a node."""
        if self.targets is None and node.op._needs:
            return node.op._needs[node.wanted]
        return tuple([self._wants(edge) for edge in node.edges])

    def _input(self, node: Node, array: Any, edge: Edge | None) -> Any:
        """Return a saved array as the tensor it was, connected to the graph."""
        if edge is None or array is edge:
            return array
        if isinstance(edge, Node):
            return self.wrap(array, edge)
        if edge._data is not array:
            raise GraphError(
                f"{node.op.name}: the data of an input was replaced after the forward pass"
            )
        return edge

    def _differentiate_reference(self, node: Node, g: Any, inputs: list[Any]) -> tuple[Any, ...]:
        """Return the gradients of a fused op through its reference in plain operations."""
        out = node.op.reference(*inputs)
        targets: set[Edge] = {edge for edge in node.edges if edge is not None}
        inner = BackwardPass(
            self.wrap, create_graph=True, retain=True, targets=targets, stop=targets
        )
        found = inner.run([(out, g)])
        # pop: an input given twice gets its whole gradient once.
        return tuple(None if edge is None else found.pop(edge, None) for edge in node.edges)

    def _add(self, edge: Edge, g: Any) -> None:
        """Add to the gradient at an edge that has one already."""
        before = self.grads[edge]
        before, g = _computed(before), _computed(g)
        plain = before.__class__ is _ndarray is g.__class__
        large = plain and before.size >= PARALLEL_SIZE
        if plain and edge in self.owned:
            if large:
                apply(np.add, before, g, out=before)
            else:
                np.add(before, g, out=before)
        else:
            g = apply(np.add, before, g) if large else before + g
            self.grads[edge] = np.asarray(g) if isinstance(g, np.generic) else g
            self.owned.add(edge)

    def _show(self, node: Node, g: Any) -> Any:
        """Show a complete gradient to hooks, to retain_grad and to the targets."""
        notes = node.notes
        if notes is not None and notes.hooks:
            g = self._call_hooks(notes.hooks, g, node.op.name)
        if notes is not None and notes.retained is not None:
            tensor = notes.retained()
            if tensor is not None:
                _accumulate(tensor, own(g, self.wrap))
        if self.targets is not None and node in self.targets:
            self.found[node] = g if self.create_graph else np.array(g)  # shared with nobody
        return g

    def _call_hooks(self, hooks: dict[int, Any], g: Any, name: str) -> Any:
        self._compute_lazy()
        for hook in list(hooks.values()):
            # In memory of its own: g may serve another input too, and the hook may write to it.
            shown = own(g, self.wrap)
            node = shown._node
            answer = hook(shown)
            if answer is None:
                answer = g
                before = g._data if isinstance(g, TensorBase) else g
                if not np.array_equal(shown._data, before):  # it wrote to what it was shown
                    answer = shown
                    if node is not None and shown._node is node:
                        raise GraphError(
                            f"{name}: a hook wrote to a gradient that is being recorded "
                            "(create_graph=True): return the new gradient instead"
                        )
            elif not isinstance(answer, TensorBase):
                answer = self.wrap(np.asarray(answer), None)
            if answer.shape != g.shape:
                raise GraphError(
                    f"{name}: a hook returned shape {answer.shape} for a gradient of {g.shape}"
                )
            if answer.dtype != g.dtype:
                answer = adapters["cast"](answer, g.dtype)
            if not self.create_graph and isinstance(answer, TensorBase):
                answer = np.array(answer._data)  # the hook may keep its own
            g = answer
        return g

    def _compute_lazy(self) -> None:
        """Compute what is not yet: code of the user's comes, which may write to what it reads."""
        for edge, g in self.grads.items():
            self.grads[edge] = _computed(g)

    def _count_down(self, leaf: TensorBase, uses: dict[TensorBase, int]) -> None:
        """Finish a leaf once the last edge to it has been walked."""
        uses[leaf] -= 1
        if uses[leaf]:
            return
        g = self.grads.pop(leaf, None)
        if g is None:
            return
        hooks = leaf._hooks
        if hooks:
            g = self._call_hooks(hooks, g, "leaf")
        if self.targets is None:
            # An array belongs to the leaf alone by now, see _through; a tensor to whoever uses it.
            is_tensor = isinstance(g, TensorBase)
            _accumulate(leaf, own(g, self.wrap) if is_tensor else self.wrap(np.asarray(g), None))
            if hooks.__class__ is LeafHooks:
                self._compute_lazy()
                for after in list(hooks.after.values()):
                    after(leaf)
        else:
            self.found[leaf] = g


def _computed(g: Any) -> Any:
    """Return a gradient itself, though it may not be computed yet."""
    return g.array() if g.__class__ is LazyGradient else g


def _widened(x: Any) -> Any:
    """Return what a rule reads of half precision in float32, a tensor's conversion recorded."""
    if not isinstance(x, TensorBase):
        return widened(x)
    return adapters["cast"](x, np.float32) if x.dtype is _FLOAT16 else x


def _accumulate(tensor: TensorBase, g: Any) -> None:
    tensor._grad = g if tensor._grad is None else tensor._grad + g
