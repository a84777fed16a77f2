"""The recorded graph: its nodes, and what is being recorded.

Plain bookkeeping below the operations: `Node` is one recorded operation, and `mode` says whether
(and how) operations are recorded in this thread.
"""

from __future__ import annotations

import itertools
import sys
import threading
import warnings
import weakref
from collections.abc import Callable
from operator import attrgetter
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.types import Array as Array  # parts above take it from here too
from tinygrad_cnn.watching import Watcher

if TYPE_CHECKING:
    from tinygrad_cnn.base import TensorBase
    from tinygrad_cnn.op import Op


# One counter orders everything that happens: nodes being made and arrays being changed. A node's
# inputs always carry smaller numbers, so descending order is an order for the backward pass.
tick: Callable[[], int] = itertools.count(1).__next__


class GraphError(RuntimeError, ValueError):
    """The graph cannot give the gradient that was asked for.

    A ValueError like every other wrong argument here, and the RuntimeError that PyTorch raises.
    """


class GraphWarning(UserWarning):
    """A value was taken out of the graph by the way: no gradient flows back through it."""


class Mode(threading.local):
    """What is recorded in this thread."""

    recording: bool  # no_grad() clears it
    scope: str  # path of the module whose forward is running
    source: bool  # record_source() sets it: each node then keeps its call's file and line
    module: Any  # the nn.Module whose forward is running: it knows the names of those it calls
    watch: Watcher | None  # is told what happens, see modes.detect_anomaly
    noted: bool  # whether source or watch may be set: operations look at one of them
    # Called once the backward pass under way is over, see engine; None where nobody waits.
    finishing: list[Callable[[], None]] | None
    # Who set which attribute, oldest first, and what it was before: see modes.SetMode.
    settings: list[tuple[object, str, bool]]

    def __init__(self) -> None:
        self.recording = True
        self.scope = ""
        self.source = False
        self.module = None
        self.watch = None
        self.noted = False
        self.finishing = None
        self.settings = []

    def set(self, attribute: str, value: Any) -> None:
        """Set an attribute, and work `noted` out again, which follows from two of them."""
        now = self.__dict__
        now[attribute] = value
        now["noted"] = now["source"] or now["watch"] is not None


mode = Mode()


_hook_ids = itertools.count()


class RemovableHook:
    """What `Tensor.register_hook` returns: ``remove()`` takes the hook away."""

    __slots__ = ("_hooks", "_key")

    def __init__(self, hooks: dict[int, Any], key: int) -> None:
        self._hooks = hooks
        self._key = key

    @classmethod
    def added(cls, hooks: dict[int, Any], hook: Any) -> RemovableHook:
        """Add a hook; return what takes it away."""
        key = next(_hook_ids)
        hooks[key] = hook
        return cls(hooks, key)

    def remove(self) -> None:
        """Take the hook away; doing so twice is harmless."""
        self._hooks.pop(self._key, None)


class LeafHooks(dict[int, Callable[[Any], Any]]):
    """Hooks of a leaf; those in ``after`` are called with it once its `grad` is complete."""

    __slots__ = ("after",)

    after: dict[int, Callable[[Any], None]]

    def __init__(self, hooks: dict[int, Callable[[Any], Any]] | None = None) -> None:
        super().__init__(hooks or {})
        self.after = {}


class Notes:
    """What few nodes have, kept apart so that all others need not.

    Attributes
    ----------
    label
        A name given by the user.
    hooks
        Functions that see, and may replace, the gradient of the result.
    retained
        The result itself, weakly, if its gradient is to be kept.
    """

    __slots__ = ("hooks", "label", "retained")

    label: str | None
    hooks: dict[int, Callable[[Any], Any]] | None
    retained: weakref.ref[TensorBase] | None

    def __init__(self) -> None:
        self.label = None
        self.hooks = None
        self.retained = None


class Node:
    """One recorded operation.

    Attributes
    ----------
    op
        The operation with its settings; holds the backward rule.
    edges
        For each input, where its gradient goes: the `Node` that made it, the leaf tensor itself,
        or None where no gradient is wanted.
    inputs
        What the rule is called with: for each input the array if the rule reads it or if it is a
        constant, else its edge, which has shape and dtype too.
    out
        The result, if the rule needs it; or a `deferring.Unkept`, which can compute it.
    aux
        What `forward` kept beside its result, for operations with ``has_aux``.
    shape, dtype
        Of the result.
    wanted
        A bit for each input that has an edge.
    released
        Whether a backward pass has gone through and dropped the arrays.
    scope
        The path of the module that called the operation, "" outside of modules.
    source
        ``(file, line)`` of the call, where it was asked for.
    seq
        The node's place in time.
    notes
        What few nodes have, or None.
    """

    __slots__ = (
        "__weakref__",
        "aux",
        "dtype",
        "edges",
        "inputs",
        "notes",
        "op",
        "out",
        "released",
        "scope",
        "seq",
        "shape",
        "source",
        "wanted",
    )

    op: Op
    edges: list[Node | TensorBase | None]
    inputs: list[Any]
    out: Any
    aux: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    wanted: int
    scope: str
    source: tuple[str, int] | None
    seq: int
    released: bool
    notes: Notes | None

    @property
    def ndim(self) -> int:
        """Number of dimensions of the result."""
        return len(self.shape)

    @property
    def saved(self) -> list[Any]:
        """For each input, the array or number that is kept, else None."""
        return [
            None if item is edge else item
            for item, edge in zip(self.inputs, self.edges, strict=True)
        ]

    @property
    def label(self) -> str | None:
        """A name given by the user."""
        return None if self.notes is None else self.notes.label

    def note(self) -> Notes:
        """Return the notes of the node, to be written to."""
        if self.notes is None:
            self.notes = Notes()
        return self.notes

    def release(self) -> None:
        """Drop the arrays kept for the rule; structure and constants stay, for pictures."""
        self.released = True
        self.out = self.aux = None
        if self.wanted + 1 == 1 << len(self.edges):
            self.inputs = self.edges
        else:
            self.inputs = [
                item if edge is None else edge
                for item, edge in zip(self.inputs, self.edges, strict=True)
            ]

    def __reduce_ex__(self, _: Any) -> Any:
        raise GraphError(
            f"copy: the node of {self.op.name} is part of a graph, which is not copied or pickled: "
            "copy the leaves, and compute again"
        )

    def __repr__(self) -> str:
        where = f" in {self.scope}" if self.scope else ""
        return f"<Node {self.op.describe()} -> {self.dtype.name}{list(self.shape)}{where}>"


_new: Callable[[type[Node]], Node] = object.__new__


def record(
    op: Op,
    edges: list[Any],
    inputs: list[Any],
    out: Array | None,
    aux: Any,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    wanted: int,
    scope: str,
    noted: bool,
) -> Node:
    """Make a node (a third quicker than through ``Node.__init__``)."""
    node = _new(Node)
    node.op = op
    node.edges = edges
    node.inputs = inputs
    node.out = out
    node.aux = aux
    node.shape = shape
    node.dtype = dtype
    node.wanted = wanted
    node.scope = scope
    node.source = call_site() if noted and mode.source else None
    node.seq = tick()
    node.released = False
    node.notes = None
    return node


_PACKAGE = __name__.partition(".")[0] + "."
_MODELS = _PACKAGE + "models."  # networks written as users write theirs


def call_site() -> tuple[str, int] | None:
    """File and line of the nearest caller that only uses the package."""
    frame, _ = _caller()
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno)


def warn_left(what: str, instead: str) -> None:
    """Warn, at the user's line, that a value leaves the graph."""
    text = f"{what}: the tensor requires a gradient, and the graph is left here; {instead}"
    warnings.warn(text, GraphWarning, stacklevel=_caller()[1])


def _caller() -> tuple[FrameType | None, int]:
    """Return the frame of the nearest caller that only uses the package, and how far up it is."""
    frame: FrameType | None = sys._getframe(1)
    depth = 1
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith(_PACKAGE) or name.startswith(_MODELS):
            break
        frame = frame.f_back
        depth += 1
    return frame, depth


def discover(roots: list[TensorBase], stop: set[Any]) -> tuple[list[Node], dict[TensorBase, int]]:
    """Return the nodes below the roots, newest first, and how many edges lead to each leaf."""
    for tensor in roots:
        tensor._data  # noqa: B018  # so that the nodes have what their rules read
    order: list[Node] = []
    uses: dict[TensorBase, int] = {}
    stack = list(dict.fromkeys([t._node for t in roots if t._node is not None]))
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
    order.sort(key=attrgetter("seq"), reverse=True)
    return order, uses


def nodes_below(*roots: TensorBase) -> list[Node]:
    """Return the nodes that the tensors were computed from, oldest first."""
    return discover(list(roots), set())[0][::-1]


def nodes_since(node: Node, when: int) -> list[Node]:
    """Return a node and those it was made of that were recorded after a time."""
    found: list[Node] = []
    stack = [node]
    seen = {node}
    while stack:
        node = stack.pop()
        if node.seq > when:
            found.append(node)
            for edge in node.edges:
                if isinstance(edge, Node) and edge not in seen:
                    seen.add(edge)
                    stack.append(edge)
    return found
