"""What a recorded node knows of its inputs and keeps for its rule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.graph import Array, Node
from tinygrad_cnn.inplace import name_of


class Constant(NamedTuple):
    """What a picture needs to know of an input that takes no gradient."""

    key: int  # the id of the array: the same for all its uses in one graph
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    name: str | None


def constants_of(node: Node) -> list[Any]:
    """Return, for each input, a `Constant`, a number, or None where a gradient is wanted."""
    return [
        None if edge is not None else _described(item)
        for edge, item in zip(node.edges, node.inputs, strict=True)
    ]


def _described(item: Any) -> Any:
    if not isinstance(item, np.ndarray):
        return item
    return Constant(id(item), item.shape, item.dtype, name_of(item))


def kept_arrays(node: Node) -> Iterator[Array]:
    """Iterate over the arrays that a node keeps for its rule."""
    pending: list[Any] = [*node.saved, node.out, node.aux]
    while pending:
        item = pending.pop()
        if isinstance(item, np.ndarray):
            yield item
        elif isinstance(item, (tuple, list)):
            pending.extend(item)
