"""Ownership of gradients: what becomes `grad`, or is returned, shares memory with nothing else.

So a leaf's gradient may be scaled, clipped or overwritten, and changes nothing but itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.graph import Node
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops.elementwise import clone


def held_elsewhere(result: Any, results: tuple[Any, ...]) -> bool:
    """Whether anybody but the tuple of a rule's results may hold the memory of one of them.

    Be it the node, another gradient, a setting, an aux or a cache of the rule's own: each counts as
    a reference.
    """
    if result.base is not None:
        return True
    return sys.getrefcount(result) > _ALONE[0] or sys.getrefcount(results) > _ALONE[1]


def _count(result: Any, results: tuple[Any, ...]) -> tuple[int, int]:
    """Count the references that `held_elsewhere` finds, the callers' own among them."""
    return sys.getrefcount(result), sys.getrefcount(results)


def _count_new() -> tuple[int, int]:
    results = (np.empty(1),)
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
        return clone(g)  # given by the user as a leaf of its own
    return wrap(np.array(g._data), g._node)
