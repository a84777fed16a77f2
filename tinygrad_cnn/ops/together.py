"""Several operations computed at once, and recorded as if they had been called one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tinygrad_cnn.graph import Node, mode, record
from tinygrad_cnn.inplace import exposed, refresh
from tinygrad_cnn.op import Op, TensorBase, edge_of, operand, watch_foreign
from tinygrad_cnn.types import Array

Compute = Callable[[list[Any], bool], tuple[Array, Sequence[Any]]]
"""``compute(arrays, recording)`` returns the last result, and the aux of each operation."""


class Step(NamedTuple):
    """One of the operations."""

    op: Op
    scope: str
    """Path of the module that it belongs to."""
    shape: tuple[int, ...]
    """Of its result."""


def apply_together(
    compute: Compute,
    steps: Sequence[Step],
    inputs: tuple[Any, ...],
    addend: TensorBase | None = None,
) -> Any:
    """Apply the first operation to inputs and each other to the result of the one before.

    ``compute`` does all of them at once. Only the last one's rule may read its own result, and none
    but the first one's its input. The second may add another tensor. The aux are not looked at if
    nothing is recorded.
    """
    first, given = steps[0].op, addend
    arrays: list[Any] = []
    edges: list[Any] = []
    wanted, tensor, foreign = 0, None, False
    for index, x in enumerate(inputs):
        edge = None
        if isinstance(x, TensorBase):
            tensor = x
            if x._requires_grad:
                edge = edge_of(x)
                wanted |= 1 << index
            x = x._data
        elif x is not None:
            x = operand(x, first, inputs)
            foreign = True
        arrays.append(x)
        edges.append(edge)
    recording = bool(wanted and mode.recording)
    out, aux = compute(arrays, recording)
    if tensor is None:
        return out
    if not recording:
        return _looked_at(steps, inputs, given, tensor._wrap(out, None))
    drops, _ = first._traits[0][wanted]
    for index in drops:
        arrays[index] = edges[index]
    if exposed:
        keeps = [*arrays, out]
        if addend is not None and not addend._requires_grad:
            keeps.append(addend._data)
        refresh(keeps)
    if foreign:
        watch_foreign(arrays, edges, first)
    node: Node | None = None
    for (op, scope, shape), own in zip(steps, aux, strict=True):
        if node is not None:
            edges, arrays, wanted = [node], [node], 1
            if addend is not None:
                edge = edge_of(addend) if addend._requires_grad else None
                edges.append(edge)
                arrays.append(addend._data if edge is None else edge)
                wanted, addend = 1 if edge is None else 3, None
        _, keeps_out = op._traits[0][wanted]
        kept = out if keeps_out else None
        node = record(op, edges, arrays, kept, own, shape, out.dtype, wanted, scope, mode.source)
    return _looked_at(steps, inputs, given, tensor._wrap(out, node))


def _looked_at(
    steps: Sequence[Step], inputs: tuple[Any, ...], addend: TensorBase | None, result: Any
) -> Any:
    """Return the result, shown to who watches."""
    if mode.watch is not None:
        mode.watch.together(steps, inputs, addend, result)
    return result
