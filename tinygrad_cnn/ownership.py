"""Ownership of gradients: what becomes `grad`, or is returned, shares memory with nothing else.

So a leaf's gradient may be scaled, clipped or overwritten, and changes nothing but itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_cnn.graph import Node
from tinygrad_cnn.op import TensorBase, adapters

LARGE = 1 << 17
"""Elements from which it is worth a look whether a copy may be saved."""


def held_elsewhere(result: Any, results: tuple[Any, ...]) -> bool:
    """Whether anybody but the tuple of a rule's results may hold the memory of one of them.

    Be it the node, another gradient, a setting, an aux or a cache of the rule's own: each counts as
    a reference.
    """
    base = result.base
    if base is not None and (
        type(base) is not np.ndarray
        or base.base is not None
        or base.size != result.size
        or sys.getrefcount(base) > _ALONE[2]
    ):
        return True
    return sys.getrefcount(result) > _ALONE[0] or sys.getrefcount(results) > _ALONE[1]


def _count(result: Any, results: tuple[Any, ...]) -> tuple[int, int, int]:
    """Count the references that `held_elsewhere` finds, the callers' own among them."""
    base = result.base
    return sys.getrefcount(result), sys.getrefcount(results), sys.getrefcount(base)


def _count_new() -> tuple[int, int, int]:
    results = (np.empty((1, 1)).T,)  # a view that alone holds its memory
    result = results[0]
    return _count(result, results)


_ALONE = _count_new()


def own(g: Any, wrap: Callable[[Any, Node | None], Any]) -> Any:
    """Return a gradient as a tensor whose memory belongs to nobody else, at its place in the graph.

    Whoever gets it may write to it.
    """
    if not isinstance(g, TensorBase):
        return wrap(np.array(g), None)
    if g._requires_grad and g._node is None:
        return adapters["clone"](g)  # given by the user as a leaf of its own
    return wrap(np.array(g._data), g._node)


def asks_users(order: Iterable[Node], leaves: Iterable[TensorBase]) -> bool:
    """Whether a pass over these nodes calls what users wrote: hooks, or operations of their own."""
    return any(node.notes is not None or node.op._outside for node in order) or any(
        leaf._hooks for leaf in leaves
    )
