"""Numbers of a recorded graph: found again where they were not kept, and described."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.deferring import kept_result
from tinygrad_cnn.graph import Node
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.types import Array

_MOST = 200  # nodes that are computed again, at most, to say more


def all_finite(array: Array) -> bool:
    """Whether there is neither NaN nor infinity.

    The sum of squares is finite only then, and takes three quarters of the time of a look at each
    element; where squares are too large, that look is taken.
    """
    if array.dtype.kind != "f" or not array.size:
        return True
    if array.dtype.itemsize > 2:
        flat = array.ravel("K")  # in the order of memory: mostly no copy
        with np.errstate(all="ignore"):
            if math.isfinite(np.dot(flat, flat)):
                return True
    return bool(np.isfinite(array).all())


def has_nan(array: Any) -> bool:
    """Whether an array, or a number, is or holds NaN."""
    array = np.asarray(array)
    return array.dtype.kind == "f" and bool(np.isnan(array).any())


def first_bad(array: Array) -> tuple[tuple[int, ...], int, str]:
    """Return where the first element that is not finite is, how many there are, what it is."""
    bad = ~np.isfinite(array)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), array.shape))
    return index, int(np.count_nonzero(bad)), named(array[index])


def named(value: Any) -> str:
    """Return a number in words: "NaN", "∞", "−∞", or at most four digits.

    >>> named(np.nan), named(-np.inf), named(0.25), named(-2.0)
    ('NaN', '−∞', '0.25', '−2')
    """
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.4g}".replace("-", "−")


def span(array: Array) -> str:
    """Return the range of the finite elements in words.

    >>> span(np.array([1.0, -3.0, np.inf]))
    'from −3 to 1, and 1 of 3 not finite'
    """
    finite = array[np.isfinite(array)]
    others = array.size - finite.size
    if not finite.size:
        return "nothing finite" if array.size else "empty"
    text = f"from {named(finite.min())} to {named(finite.max())}"
    return text + (f", and {others} of {array.size} not finite" if others else "")


def value_of(edge: Any) -> Array | None:
    """Return the value at an edge of the graph, computed again from what was kept; None if lost."""
    if isinstance(edge, TensorBase):
        return edge._data
    known: dict[Any, Array] = {}
    stack: list[Any] = [edge]
    steps = 0
    while stack:
        node = stack[-1]
        if node in known:
            stack.pop()
            continue
        steps += 1
        if node.released or steps > _MOST:
            return None
        kept = kept_result(node)
        if kept is not None:
            known[node] = kept
            continue
        wanted = [e for e in _not_kept(node) if e not in known]
        if wanted:
            stack += wanted
            continue
        arrays = inputs_of(node, known)
        with np.errstate(all="ignore"):
            out = node.op.forward(*arrays)
        known[node] = np.asarray(out[0] if node.op.has_aux else out)
    return known[edge]


def _not_kept(node: Node) -> list[Node]:
    return [e for x, e in zip(node.inputs, node.edges, strict=True) if x is e and type(e) is Node]


def inputs_of(node: Node, known: Any = None) -> list[Any]:
    """Return what an operation was called with, None where it is lost."""
    found: list[Any] = []
    for kept, edge in zip(node.inputs, node.edges, strict=True):
        if kept is not edge or edge is None:
            found.append(kept)
        elif known is not None and edge in known:
            found.append(known[edge])
        else:
            found.append(value_of(edge))
    return found


def arguments_of(name: str, names: Sequence[str], arrays: Sequence[Any]) -> list[str]:
    """Describe the inputs of an operation: shape, type, range, a line each."""
    lines = []
    for position, array in enumerate(arrays):
        known = position < len(names) and not names[position].startswith("*")
        label = names[position] if known else f"input {position}"
        if isinstance(array, np.ndarray) and array.dtype.kind == "f":
            kind = f"{array.dtype.name}{list(array.shape)}"
            lines.append(f"{name}'s {label}: {kind}, {span(array)}")
        elif isinstance(array, (int, float)):
            lines.append(f"{name}'s {label}: {array}")
    return lines
