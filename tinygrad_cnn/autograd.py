"""Reverse-mode automatic differentiation over the recorded graph.

The backward pass walks the nodes from the newest to the oldest. A node's rule turns the gradient
of its result into gradients of its inputs; where a value was used more than once they are added.
What all rules have in common stands here once: summing over broadcast dimensions, the check of
shapes and dtypes, accumulation, and the release of arrays on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ContextDecorator
from operator import attrgetter
from typing import Any, ClassVar

import numpy as np

from tinygrad_cnn.graph import GraphError, Node, changes, find_change, mode
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops.elementwise import cast
from tinygrad_cnn.ops.reduce import sum as sum_over

Edge = Node | TensorBase

_seq = attrgetter("seq")


class _SetMode(ContextDecorator):
    """Set one attribute of the recording mode; a context manager and a decorator."""

    _attribute: ClassVar[str] = "recording"
    _value: bool = True

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(getattr(mode, self._attribute))
        setattr(mode, self._attribute, self._value)

    def __exit__(self, *_: object) -> None:
        setattr(mode, self._attribute, self._before.pop())


class no_grad(_SetMode):  # noqa: N801  # PyTorch's name
    """Record nothing inside: results do not require a gradient.

    >>> from tinygrad_cnn import tensor
    >>> x = tensor(2.0, requires_grad=True)
    >>> with no_grad():
    ...     y = x * 3
    >>> y.requires_grad
    False
    """

    _value = False


class enable_grad(_SetMode):  # noqa: N801  # PyTorch's name
    """Record inside, also within `no_grad`."""

    _value = True


class set_grad_enabled(_SetMode):  # noqa: N801  # PyTorch's name
    """Record inside, or not, as the argument says."""

    def __init__(self, enabled: bool) -> None:
        super().__init__()
        self._value = enabled


class record_source(_SetMode):  # noqa: N801  # beside its siblings
    """Keep with each node recorded inside the file and line of the call, for reports."""

    _attribute = "source"
    _value = True


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return mode.recording


def backward(
    tensor: TensorBase,
    gradient: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Add the gradient of ``tensor`` by every leaf of its graph to the leaf's ``grad``.

    Parameters
    ----------
    tensor
        Where to start; a loss of one element, unless ``gradient`` is given.
    gradient
        The gradient of the result, of the tensor's shape (the vector of the product with the
        Jacobian).
    retain_graph
        Keep the arrays that the rules need, for another pass. Default: as ``create_graph``.
    create_graph
        Record the backward pass itself, so that gradients can be differentiated again.

    Raises
    ------
    GraphError
        If the tensor has no graph, is not a single number and no gradient is given, the graph was
        released by an earlier pass, or a saved array was changed in place.

    >>> from tinygrad_cnn import tensor
    >>> x = tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """
    start = _starting_gradient("backward", tensor, gradient, create_graph)
    retain = create_graph if retain_graph is None else retain_graph
    _Pass(tensor._wrap, create_graph, retain).run([(tensor, start)])


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """Return the gradients of the sum of ``outputs`` by each of ``inputs``; no ``grad`` is touched.

    Parameters
    ----------
    outputs, inputs
        A tensor or a sequence of tensors; inputs may be leaves or results inside of the graph.
    grad_outputs
        The gradient of each output, of its shape; needed where an output is not a single number.
    retain_graph, create_graph
        As for `backward`.
    allow_unused
        Return None for an input that the outputs do not depend on, instead of raising.

    Returns
    -------
    A tuple with a tensor for each input.

    >>> from tinygrad_cnn import tensor
    >>> x = tensor(3.0, requires_grad=True)
    >>> (dx,) = grad(x**3, x, create_graph=True)
    >>> (ddx,) = grad(dx, x)
    >>> dx.item(), ddx.item()
    (27.0, 18.0)
    """
    outs = _as_tuple("grad", "outputs", outputs)
    ins = _as_tuple("grad", "inputs", inputs)
    given = (None,) * len(outs)
    if grad_outputs is not None:
        given = tuple(grad_outputs) if isinstance(grad_outputs, (tuple, list)) else (grad_outputs,)
    if len(given) != len(outs):
        raise GraphError(f"grad: expects {len(outs)} grad_outputs, got {len(given)}")
    starts = [
        (out, _starting_gradient("grad", out, g, create_graph))
        for out, g in zip(outs, given, strict=True)
    ]
    for index, x in enumerate(ins):
        if not x._requires_grad:
            raise GraphError(f"grad: input {index} does not require a gradient")
    retain = create_graph if retain_graph is None else retain_graph
    targets = {edge_of(x) for x in ins}
    found = _Pass(outs[0]._wrap, create_graph, retain, targets).run(starts)
    results = []
    for index, x in enumerate(ins):
        g = found.get(edge_of(x))
        if g is None and not allow_unused:
            raise GraphError(
                f"grad: the outputs do not depend on input {index}; "
                "allow_unused=True returns None for it"
            )
        results.append(g if g is None or isinstance(g, TensorBase) else x._wrap(g, None))
    return tuple(results)


def edge_of(tensor: TensorBase) -> Edge:
    """Return where the gradient of a tensor goes: the node that made it, or the leaf itself."""
    return tensor._node or tensor


def _as_tuple(function: str, argument: str, value: Any) -> tuple[Any, ...]:
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    for v in values:
        if not isinstance(v, TensorBase):
            raise TypeError(f"{function}: {argument} expects tensors, got {type(v).__name__}")
    if not values:
        raise GraphError(f"{function}: {argument} is empty")
    return values


def _starting_gradient(function: str, tensor: TensorBase, gradient: Any, as_tensor: bool) -> Any:
    """Check the gradient to start from; 1 for a single number."""
    if not tensor._requires_grad:
        raise GraphError(
            f"{function}: the tensor does not require a gradient: it was not computed from a "
            "tensor with requires_grad=True, or was computed under no_grad() or detached"
        )
    data = tensor._data
    if gradient is None:
        if data.size != 1:
            raise GraphError(
                f"{function}: a gradient can be made for a single number only; the tensor has "
                f"shape {data.shape}: reduce it to a loss, or give the gradient of that shape"
            )
        array = np.ones_like(data)
    elif isinstance(gradient, TensorBase):
        if gradient._requires_grad and as_tensor:
            return gradient
        array = gradient._data
    else:
        array = np.asarray(gradient, dtype=data.dtype)
    if array.shape != data.shape:
        raise GraphError(
            f"{function}: expects a gradient of shape {data.shape}, got {array.shape}"
        )
    array = array.astype(data.dtype, copy=False)
    return tensor._wrap(array, None) if as_tensor else array


def _discover(roots: list[TensorBase], stop: set[Edge]) -> tuple[list[Node], dict[TensorBase, int]]:
    """Return the nodes below the roots, newest first, and how many edges lead to each leaf."""
    order: list[Node] = []
    uses: dict[TensorBase, int] = {}
    stack = list(dict.fromkeys(t._node for t in roots if t._node is not None))
    seen = set(stack)
    while stack:
        node = stack.pop()
        order.append(node)
        if node in stop:
            continue
        for edge in node.edges:
            if type(edge) is Node:
                if edge not in seen:
                    seen.add(edge)
                    stack.append(edge)
            elif edge is not None:
                uses[edge] = uses.get(edge, 0) + 1  # type: ignore[index,arg-type]  # a leaf
    order.sort(key=_seq, reverse=True)
    return order, uses


class _Pass:
    """One backward pass: gradients on their way, by edge.

    Without ``targets`` the gradients of leaves go to their ``grad``; with them, those of the
    targets are returned, and nothing beyond ``stop`` is visited.
    """

    __slots__ = ("create_graph", "found", "grads", "owned", "retain", "stop", "targets", "wrap")

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
        self.grads: dict[Edge, Any] = {}
        self.owned: set[Edge] = set()  # edges whose gradient was added up here: ours to write to
        self.found: dict[Edge, Any] = {}

    def run(self, starts: Sequence[tuple[TensorBase, Any]]) -> dict[Edge, Any]:
        """Walk the graph below the starting tensors; return the gradients of the targets."""
        order, uses = _discover([tensor for tensor, _ in starts], self.stop)
        needed = None if self.targets is None else self._needed(order)
        for tensor, g in starts:
            self._add(edge_of(tensor), g)
            if tensor._node is None:
                uses[tensor] = uses.get(tensor, 0) + 1
                self._count_down(tensor, uses)
        with set_grad_enabled(self.create_graph):
            for node in order:
                g = self.grads.pop(node, None)
                if g is not None:
                    g = self._seen(node, g)
                if g is None or node in self.stop or (needed is not None and node not in needed):
                    for edge in node.edges if node not in self.stop else ():
                        if isinstance(edge, TensorBase):
                            self._count_down(edge, uses)
                    continue
                self._through(node, g, uses)
        return self.found

    def _needed(self, order: list[Node]) -> set[Edge]:
        """Return the nodes that lead to a target: rules of others need not run."""
        targets = self.targets or set()
        leading: set[Edge] = set()
        for node in reversed(order):
            if any(edge in leading or edge in targets for edge in node.edges if edge is not None):
                leading.add(node)
        return leading

    def _through(self, node: Node, g: Any, uses: dict[TensorBase, int]) -> None:
        """Run the rule of a node and pass the gradients of its inputs on."""
        edges = node.edges
        results = self._apply_rule(node, g)
        if type(results) is not tuple or len(results) != len(edges):
            raise GraphError(
                f"{node.op.name}: the rule must return a tuple of {len(edges)} gradients, "
                f"got {type(results).__name__}"
                + (f" of {len(results)}" if isinstance(results, (tuple, list)) else "")
            )
        plain = not self.create_graph
        for index, edge in enumerate(edges):
            if edge is None:
                continue
            leaf = type(edge) is not Node
            result = results[index]
            if result is not None:
                if (
                    result.__class__ is not np.ndarray
                    or result.shape != edge.shape
                    or result.dtype is not edge.dtype
                ):
                    result = self._fit(node, index, result, edge)
                if leaf and plain and _shared(result, g, results, node):
                    result = np.array(result)  # a leaf's grad must share memory with nothing
                self._add(edge, result)
            if leaf:
                self._count_down(edge, uses)  # type: ignore[arg-type]  # not a node: a tensor
        if not self.retain:
            node.release()

    def _apply_rule(self, node: Node, g: Any) -> Any:
        """Call the rule on arrays, or on tensors where the backward pass itself is recorded."""
        saved, op, edges = node.saved, node.op, node.edges
        if saved is None:
            raise GraphError(
                f"{op.name}: this part of the graph was released by an earlier backward pass; "
                "pass retain_graph=True to the earlier one to go through it again"
            )
        if changes.latest > node.seq or changes.exposed:
            _check_unchanged(node)
        out = node.out
        inputs: Any = edges
        if self.create_graph:
            if saved:
                inputs = [self._input(node, a, e) for a, e in zip(saved, edges, strict=True)]
            if op.reference is not None:
                return self._differentiate_reference(node, g, inputs)
            if out is not None:
                out = self.wrap(out, node)
        elif saved:
            inputs = [e if a is None else a for a, e in zip(saved, edges, strict=True)]
        if not op._keywords:
            return op.backward(g, out, *inputs)
        extra: dict[str, Any] = {}
        if "needs" in op._keywords:
            extra["needs"] = tuple([edge is not None for edge in edges])
        if "aux" in op._keywords:
            extra["aux"] = node.aux
        return op.backward(g, out, *inputs, **extra)

    def _input(self, node: Node, array: Any, edge: Edge | None) -> Any:
        """Return a saved array as the tensor it was, connected to the graph."""
        if array is None:
            return edge
        if edge is None:
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
        inner = _Pass(self.wrap, create_graph=True, retain=True, targets=targets, stop=targets)
        found = inner.run([(out, g)])
        # pop: an input given twice gets its whole gradient once.
        return tuple(None if edge is None else found.pop(edge, None) for edge in node.edges)

    def _fit(self, node: Node, index: int, result: Any, edge: Edge) -> Any:
        """Sum a gradient over the broadcast dimensions of its input and give it its dtype."""
        if not self.create_graph:
            if isinstance(result, (TensorBase, Node)):
                raise GraphError(
                    f"{node.op.name}: the rule computed with input {index} or another input that "
                    "is not listed in saves"
                )
            result = np.asarray(result)
        shape = edge.shape
        if result.shape != shape:
            extra = result.ndim - len(shape)
            if extra < 0 or any(
                wanted not in (1, got)
                for wanted, got in zip(shape, result.shape[extra:], strict=True)
            ):
                raise GraphError(
                    f"{node.op.name}: the rule returned a gradient of shape {result.shape} for "
                    f"input {index} of shape {shape}"
                )
            if extra:
                result = sum_over(result, tuple(range(extra)))
            stretched = [i for i, s in enumerate(shape) if s == 1 and result.shape[i] != 1]
            if stretched:
                result = sum_over(result, tuple(stretched), keepdim=True)
        return result if result.dtype == edge.dtype else cast(result, edge.dtype)

    def _add(self, edge: Edge, g: Any) -> None:
        """Add to the gradient at an edge."""
        before = self.grads.get(edge)
        if before is None:
            self.grads[edge] = g
        elif edge in self.owned:
            before += g  # in place for arrays; a new tensor where the pass is recorded
            self.grads[edge] = before
        else:
            g = before + g
            self.grads[edge] = np.asarray(g) if isinstance(g, np.generic) else g
            self.owned.add(edge)

    def _seen(self, node: Node, g: Any) -> Any:
        """Show a complete gradient to hooks, to retain_grad and to the targets."""
        if node.hooks:
            g = self._call_hooks(node.hooks, g, node.op.name)
        if node.retained is not None:
            tensor = node.retained()
            if tensor is not None:
                _accumulate(tensor, g if self.create_graph else self.wrap(np.array(g), None))
        if self.targets is not None and node in self.targets:
            self.found[node] = g
        return g

    def _call_hooks(self, hooks: dict[int, Any], g: Any, name: str) -> Any:
        for hook in list(hooks.values()):
            shown = g if isinstance(g, TensorBase) else self.wrap(g, None)
            answer = hook(shown)
            if answer is None:
                continue
            answer = answer if isinstance(answer, TensorBase) else self.wrap(np.asarray(answer), None)
            if answer.shape != g.shape:
                raise GraphError(
                    f"{name}: a hook returned shape {answer.shape} for a gradient of {g.shape}"
                )
            g = answer if self.create_graph else answer._data.astype(g.dtype, copy=False)
        return g

    def _count_down(self, leaf: TensorBase, uses: dict[TensorBase, int]) -> None:
        """Finish a leaf once the last edge to it has been walked."""
        uses[leaf] -= 1
        if uses[leaf]:
            return
        g = self.grads.pop(leaf, None)
        if g is None:
            return
        if leaf._hooks:
            g = self._call_hooks(leaf._hooks, g, "leaf")
        if self.targets is None:
            _accumulate(leaf, g if isinstance(g, TensorBase) else self.wrap(np.asarray(g), None))
        elif leaf in self.targets:
            self.found[leaf] = g


def _accumulate(tensor: TensorBase, g: Any) -> None:
    tensor._grad = g if tensor._grad is None else tensor._grad + g


def _shared(result: Any, g: Any, results: tuple[Any, ...], node: Node) -> bool:
    """Whether somebody else holds the memory of a rule's result."""
    if result is g or result.base is not None:
        return True
    others = [*results, *(node.saved or ()), node.out]
    return [other is result for other in others].count(True) > 1


def _check_unchanged(node: Node) -> None:
    what = find_change(node)
    if what is not None:
        where = f" (in {node.scope})" if node.scope else ""
        raise GraphError(
            f"{node.op.name}{where}: its {what} was changed in place after the forward pass, and "
            "the backward rule needs the value from before; compute with a copy, or run the "
            "forward pass again"
        )
