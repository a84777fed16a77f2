"""Trees of tensors, and how a function is recorded to be differentiated, once or again."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn import autograd
from tinygrad_cnn.autograd import enable_grad
from tinygrad_cnn.tensor import Tensor

Argnums = int | tuple[int, ...]


class _Depth(threading.local):
    """How many of these functions are running inside of each other in this thread."""

    now = 0


_depth = _Depth()


def leaves_of(tree: Any) -> list[Any]:
    """Return what dicts, lists and tuples hold, in order.

    >>> leaves_of({"a": [1, 2], "b": (3,)})
    [1, 2, 3]
    """
    if isinstance(tree, Mapping):
        return [leaf for value in tree.values() for leaf in leaves_of(value)]
    if isinstance(tree, (list, tuple)):
        return [leaf for value in tree for leaf in leaves_of(value)]
    return [tree]


def rebuilt(tree: Any, leaves: Iterator[Any]) -> Any:
    """Return a tree of the same form with other leaves.

    >>> rebuilt({"a": [1, 2], "b": (3,)}, iter("xyz"))
    {'a': ['x', 'y'], 'b': ('z',)}
    """
    if isinstance(tree, Mapping):
        return {key: rebuilt(value, leaves) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        values = [rebuilt(value, leaves) for value in tree]
        if hasattr(tree, "_fields"):
            return type(tree)(*values)
        return values if isinstance(tree, list) else tuple(values)
    return next(leaves)


@contextmanager
def recorded(trees: Any) -> Iterator[tuple[Any, list[Tensor], bool]]:
    """Give the trees with tensors to differentiate by, those tensors, and whether to go on."""
    found = leaves_of(trees)
    for leaf in found:
        if not isinstance(leaf, Tensor) or leaf._data.dtype.kind != "f":
            kind = leaf.dtype if isinstance(leaf, Tensor) else type(leaf).__name__
            raise TypeError(f"func: expects floating-point tensors to differentiate by, got {kind}")
    again = _depth.now > 0 or any(leaf._requires_grad for leaf in found)
    _depth.now += 1
    try:
        with enable_grad():
            own = [F.clone(t) if t._requires_grad else t.detach().requires_grad_() for t in found]
            yield rebuilt(trees, iter(own)), own, again
    finally:
        _depth.now -= 1


def kept(tree: Any, again: bool) -> Any:
    """Return results as they are if somebody differentiates them again, else without a graph."""
    if again:
        return tree
    parts = [leaf.detach() if isinstance(leaf, Tensor) else leaf for leaf in leaves_of(tree)]
    return rebuilt(tree, iter(parts))


def _zero_filled(gradients: Sequence[Any], of: Sequence[Tensor]) -> list[Any]:
    pairs = zip(gradients, of, strict=True)
    return [Tensor._wrap(np.zeros_like(t._data), None) if g is None else g for g, t in pairs]


def differentiated_by(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], cotangents: Any, again: bool, keep: bool
) -> list[Any]:
    """Return the gradients by the inputs; zeros where there are none."""
    pairs = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if o._requires_grad]
    if not pairs:
        return _zero_filled([None] * len(inputs), inputs)
    found = autograd.grad(
        [o for o, _ in pairs],
        inputs,
        [c for _, c in pairs],
        retain_graph=keep or again,
        create_graph=again,
        allow_unused=True,
    )
    return _zero_filled(found, inputs)


def chosen(args: tuple[Any, ...], argnums: Argnums) -> tuple[Any, ...]:
    """Return the arguments of those numbers."""
    places = (argnums,) if isinstance(argnums, int) else argnums
    return tuple(args[i] for i in places)


def changed(args: tuple[Any, ...], argnums: Argnums, values: Sequence[Any]) -> list[Any]:
    """Return the arguments with others in those places."""
    values_now = list(args)
    places = (argnums,) if isinstance(argnums, int) else argnums
    for place, value in zip(places, values, strict=True):
        values_now[place] = value
    return values_now
