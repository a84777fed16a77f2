"""Where a detached array came from: a constant of a graph may be computed from the graph's leaves.

`detach()` notes it for results of recorded operations, so that verification can tell where a
gradient was left out. Nodes and leaves are known weakly: nothing is kept alive but the operations
of a few nodes and what they had as constants, and these as long as the array.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.graph import Node

if TYPE_CHECKING:
    from tinygrad_cnn.op import Op

_MOST = 32  # nodes of one origin


@dataclass(frozen=True, eq=False)
class Origin:
    """The operation that made an array, and what it was given.

    Attributes
    ----------
    op
        The operation.
    scope, source
        The path of the module, and the file and line, of the call.
    node
        The node, if it is still there.
    inputs
        For each input an `Origin`, a weak reference to a leaf, or a constant; None if not known.
    """

    op: Op
    scope: str
    source: tuple[str, int] | None
    node: weakref.ref[Node]
    inputs: tuple[Any, ...]


_origins: dict[int, tuple[weakref.ref[Any], Origin]] = {}


def note_origin(array: Any, node: Node) -> None:
    """Note that an array that leaves the graph is the result of a node."""
    if array.size < 2 or node.released:
        return
    key = id(array)
    known = weakref.ref(array, lambda _: _origins.pop(key, None) and None)
    _origins[key] = known, _origin_of(node, [_MOST])


def origin_of(array: Any) -> Origin | None:
    """Return where a detached array came from, None if it is not known."""
    found = _origins.get(id(array))
    return found[1] if found is not None and found[0]() is array else None


def _origin_of(node: Node, budget: list[int]) -> Origin:
    budget[0] -= 1
    inputs: list[Any] = []
    for edge, given in zip(node.edges, node.inputs, strict=True):
        if isinstance(edge, Node):
            inputs.append(_origin_of(edge, budget) if budget[0] > 0 else None)
        elif edge is not None:
            inputs.append(weakref.ref(edge))
        else:
            # Of what was itself detached, nothing is held: a chain of steps would grow.
            inputs.append(None if isinstance(given, np.ndarray) and origin_of(given) else given)
    return Origin(node.op, node.scope, node.source, weakref.ref(node), tuple(inputs))
