"""Operations and functions of tensors, as subjects."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import enable_grad
from tinygrad_cnn.engine import BackwardPass
from tinygrad_cnn.graph import Node
from tinygrad_cnn.op import Op
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.subjects.subject import Pull, RuleError, Subject, side_by_side

# Decompositions have no derivative where values coincide or vanish, as those of round numbers do.
_DEGENERATE = ("svd", "qr", "eigh")


def is_cast(op: Op) -> bool:
    """Whether an operation converts between floats: in float64 it does nothing."""
    dtype = getattr(op, "dtype", None)
    return op.sets_dtype and isinstance(dtype, np.dtype) and dtype.kind == "f"


def replayed(op: Op) -> Op:
    """Return the operation as it is replayed in float64: a conversion between floats is none.

    It is a copy: what an operation keeps between calls, if it does, is left as it was recorded.
    """
    if is_cast(op):
        return type(op)(np.dtype(np.float64))  # type: ignore[call-arg]  # its only setting
    op = copy.copy(op)
    for name, value in getattr(op, "__dict__", {}).items():
        if isinstance(value, (dict, list, set)):
            op.__dict__[name] = copy.copy(value)
    return op


def leaf(array: Array) -> Tensor:
    """Return a leaf tensor around this very array that wants a gradient."""
    tensor = Tensor._wrap(array, None)
    tensor.requires_grad = True
    return tensor


def wrap(value: Any) -> Any:
    """Return a constant array as a tensor; anything else as it is."""
    return Tensor._wrap(value, None) if isinstance(value, np.ndarray) else value


def data_of(out: Any) -> Array:
    """Return the array of one result of a function."""
    return out._data if isinstance(out, Tensor) else np.asarray(out)


def tensors_of(arrays: Sequence[Any], wanted: Sequence[int]) -> list[Any]:
    """Return arrays as tensors, those that are wanted as leaves."""
    wants = frozenset(wanted)
    return [leaf(a) if i in wants else wrap(a) for i, a in enumerate(arrays)]


def go_back(
    outs: Sequence[Any],
    gs: Sequence[Array],
    tensors: Sequence[Any],
    wanted: Sequence[int],
    create_graph: bool = False,
) -> list[Any]:
    """Let the engine go back from results to leaves; return their gradients as arrays.

    `autograd.grad` copies the cotangent that it is given; here the rule gets this very array, as
    it would get it from the operation that follows, so that a change of it is seen.
    """
    wrapped = [Tensor._wrap(g, None) if create_graph else g for g in gs]
    found = BackwardPass(
        Tensor._wrap, create_graph, retain=True, targets={tensors[i] for i in wanted}
    ).run(list(zip(outs, wrapped, strict=True)))
    result: list[Any] = [None] * len(tensors)
    for index in wanted:
        gradient = found.get(tensors[index])
        result[index] = gradient._data if isinstance(gradient, Tensor) else gradient
    return result


class OpSubject(Subject):
    """An operation at its inputs.

    The rule is called by the engine itself, on a graph of this one operation; with
    ``create_graph`` in the way that second derivatives take.
    """

    def __init__(
        self,
        op: Op,
        inputs: Sequence[Any],
        wanted: Sequence[int],
        recorded: Array | None = None,
        create_graph: bool = False,
        dtype: np.dtype[Any] | None = None,
        node: Node | None = None,
    ) -> None:
        self.op = replayed(op)
        self.node = node
        self.special = op.name not in _DEGENERATE
        self.subsets = op._takes_needs or isinstance(op.saves, dict)
        self.infinite = any(
            isinstance(value, float) and math.isinf(value) for value in self.op.settings().values()
        )
        self.inputs, self.wanted = list(inputs), tuple(wanted)
        self.name = self.op.describe()
        self.names = op._arguments or tuple(f"input {i}" for i in range(len(inputs)))
        self.recorded, self.dtype = recorded, dtype
        self.create_graph = create_graph

    def at(self, inputs: Sequence[Any]) -> OpSubject:
        """Return the operation at other inputs, of which nothing is recorded."""
        other = copy.copy(self)
        other.inputs, other.recorded, other.node = list(inputs), None, None
        return other

    def forward(self, inputs: Sequence[Any]) -> Array:
        """Return the result as an array."""
        out = self.op.forward(*inputs)
        return np.asarray(out[0] if self.op.has_aux else out)

    def record(
        self, inputs: Sequence[Any], wanted: Sequence[int] | None = None
    ) -> tuple[Array, Pull]:
        """Record a graph of this one operation."""
        wanted = self.wanted if wanted is None else wanted
        tensors = tensors_of(inputs, wanted)
        with enable_grad():
            out = self.op(*tensors)
        return out._data, lambda g: go_back([out], [g], tensors, wanted, self.create_graph)

    def permutes(self) -> bool:
        """Whether the operation orders."""
        return bool(getattr(self.op, "permutes", False))

    def as_recorded(self) -> Pull | None:
        """Return the rule of the recorded node; None where calling it would call hooks."""
        node = self.node
        if node is None:
            return None
        edges = [edge for edge in node.edges if edge is not None]
        hooked = [e for e in (node, *edges) if (e.notes if isinstance(e, Node) else e._hooks)]
        if hooked or len(set(edges)) < len(edges):
            return None

        def pull(g: Array) -> list[Any]:
            out = Tensor._wrap(np.broadcast_to(np.zeros((), node.dtype), node.shape), node)
            ends = set(edges)
            found = BackwardPass(
                Tensor._wrap, create_graph=False, retain=True, targets=ends, stop=ends
            ).run([(out, g.astype(node.dtype))])
            gradients: list[Any] = [None] * len(node.edges)
            for index, edge in enumerate(node.edges):
                gradient = None if edge is None else found.get(edge)
                gradients[index] = gradient._data if isinstance(gradient, Tensor) else gradient
            return gradients

        return pull

    def choice(self, inputs: Sequence[Any]) -> Any:
        """Return the operation's choice."""
        return None if self.op.choice is None else self.op.choice(*inputs)


class DirectSubject(OpSubject):
    """An operation whose rule is called by itself, without the engine."""

    def record(
        self,
        inputs: Sequence[Any],
        wanted: Sequence[int] | None = None,
    ) -> tuple[Array, Pull]:
        """Run forward, and call the rule on arrays."""
        wanted = self.wanted if wanted is None else wanted
        out = self.op.forward(*inputs)
        extra: dict[str, Any] = {}
        if self.op.has_aux:
            out, aux = out
            if self.op._takes_aux:
                extra["aux"] = aux
        if self.op._takes_needs:
            extra["needs"] = tuple(i in wanted for i in range(len(inputs)))
        out = np.asarray(out)

        def pull(g: Array) -> list[Any]:
            found = self.op.backward(g, out, *inputs, **extra)
            return [
                None if a is None or i not in wanted else _summed(np.asarray(a), inputs[i].shape)
                for i, a in enumerate(found)
            ]

        return out, pull


def _summed(a: Array, shape: tuple[int, ...]) -> Array:
    """Sum over what was broadcast."""
    a = a.sum(axis=tuple(range(a.ndim - len(shape))))
    axes = tuple(i for i, n in enumerate(shape) if n == 1 != a.shape[i])
    return np.asarray(a.sum(axis=axes, keepdims=True) if axes else a)


class FunctionSubject(Subject):
    """A function of tensors; several results are laid side by side."""

    def __init__(
        self,
        func: Callable[..., Any],
        inputs: Sequence[Any],
        wanted: Sequence[int],
        create_graph: bool = False,
        dtype: np.dtype[Any] | None = None,
    ) -> None:
        self.func = func
        self.inputs, self.wanted = list(inputs), tuple(wanted)
        self.name = getattr(func, "__name__", type(func).__name__)
        self.names = tuple(f"input {i}" for i in range(len(inputs)))
        self.dtype = dtype
        self.create_graph = create_graph

    def _outputs(self, tensors: Sequence[Any]) -> tuple[Any, ...]:
        # Recorded like the real call: a function may itself ask for gradients.
        with enable_grad():
            out = self.func(*tensors)
        return tuple(out) if isinstance(out, (tuple, list)) else (out,)

    def forward(self, inputs: Sequence[Any]) -> Array:
        """Return the results side by side."""
        outs = self._outputs(tensors_of(inputs, self.wanted))
        return side_by_side([data_of(out) for out in outs])

    def record(
        self, inputs: Sequence[Any], wanted: Sequence[int] | None = None
    ) -> tuple[Array, Pull]:
        """Record the function's graph."""
        wanted = self.wanted if wanted is None else wanted
        tensors = tensors_of(inputs, wanted)
        outs = self._outputs(tensors)
        if not any(isinstance(out, Tensor) and out.requires_grad for out in outs):
            kinds = ", ".join(type(out).__name__ for out in outs) or "nothing"
            raise RuleError(
                f"the function returns nothing differentiable: got {kinds}, none of it computed "
                "from the inputs by recorded operations"
            )
        pull = _puller_of_many(outs, tensors, wanted, self.create_graph)
        return side_by_side([data_of(out) for out in outs]), pull


def _puller_of_many(
    outs: Sequence[Any], tensors: Sequence[Any], wanted: Sequence[int], create_graph: bool
) -> Pull:
    def pull(g: Array) -> list[Any]:
        kept, starts, flat = [], [], np.asarray(g).reshape(-1)
        at = 0
        for out in outs:
            data = data_of(out)
            part = flat[at : at + data.size].reshape(data.shape)
            at += data.size
            if isinstance(out, Tensor) and out.requires_grad:
                kept.append(out)
                starts.append(part.astype(data.dtype, copy=False))
        return go_back(kept, starts, tensors, wanted, create_graph)

    return pull
