"""Several operations computed at once, and recorded as if they had been called one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.graph import Array, Node, mode, record
from tinygrad_cnn.inplace import exposed, refresh
from tinygrad_cnn.op import Op, TensorBase, edge_of, operand, watch_foreign


class Step(NamedTuple):
    """One of the operations."""

    op: Op
    scope: str
    """Path of the module that it belongs to."""


class Made(NamedTuple):
    """What computing them gave."""

    out: Array
    """The last one's result."""
    shapes: Sequence[tuple[int, ...]]
    """Of all results in turn, though the others are never made."""
    aux: Sequence[Any]
    """What each operation keeps as its aux, if they are to be recorded."""


def apply_together(
    compute: Callable[[list[Any], bool], Made], steps: Sequence[Step], inputs: tuple[Any, ...]
) -> Any:
    """Apply the first operation to inputs and each other to the result of the one before.

    ``compute(arrays, recording)`` does all of them at once. Only the last one's rule may read its
    own result, and none but the first one's its input.
    """
    first = steps[0].op
    arrays = [x._data if isinstance(x, TensorBase) else operand(x, first, inputs) for x in inputs]
    tensors = [x for x in inputs if isinstance(x, TensorBase)]
    edges = [edge_of(x) if isinstance(x, TensorBase) and x._requires_grad else None for x in inputs]
    wanted = sum(1 << i for i, edge in enumerate(edges) if edge is not None)
    recording = bool(wanted and mode.recording)
    out, shapes, aux = compute(arrays, recording)
    if not recording:
        return tensors[0]._wrap(out, None) if tensors else out
    drops, _ = first._traits[0][wanted]
    for index in drops:
        arrays[index] = edges[index]
    if exposed:
        refresh([*arrays, out])
    if any(isinstance(x, np.ndarray) for x in inputs):
        watch_foreign(arrays, edges)
    node: Node | None = None
    for (op, scope), shape, own in zip(steps, shapes, aux, strict=True):
        if node is not None:
            edges, arrays, wanted = [node], [node], 1
        _, keeps_out = op._traits[0][wanted]
        kept = out if keeps_out else None
        node = record(op, edges, arrays, kept, own, shape, out.dtype, wanted, scope, mode.source)
    return tensors[0]._wrap(out, node)
