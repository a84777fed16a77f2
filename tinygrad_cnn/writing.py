"""Writing to tensors: recorded, so that gradients are those of a program that writes nothing.

Whatever writes to a tensor ends in one of three functions: `write` (values into the elements that a
key names), `add_to` (values added there), `update` or `put` (the result of an operation in place of
the tensor). A write through a view is a write to the tensor in whose memory the view lies, its
base: the base then has a new node, and views of it look for theirs when they are next read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tinygrad_cnn.base import TensorBase, edge_of
from tinygrad_cnn.graph import GraphError, Node, mode, nodes_since, record, tick
from tinygrad_cnn.inplace import before_writing, changed, owner_of, was_changed
from tinygrad_cnn.ops.elementwise import cast
from tinygrad_cnn.ops.index import Key, Slice, add_at
from tinygrad_cnn.ops.shape import reshape
from tinygrad_cnn.ops.write import AddAt, Path, Write, order_of
from tinygrad_cnn.types import Array

T = TypeVar("T", bound=TensorBase)

EVERYTHING = Key((...,))
"""The key of all elements."""


def write(name: str, target: TensorBase, key: Key, value: Any) -> None:
    """Write ``target[key] = value``, recorded if a gradient is wanted.

    Parameters
    ----------
    name
        Of the operation, for errors.
    target
        A tensor or a view of one.
    key
        As `plain_key` returns it.
    value
        A tensor, an array or a number, of a shape that broadcasts to the elements.

    Raises
    ------
    GraphError
        If the target is a leaf that requires a gradient and operations are recorded, or shares its
        memory with a tensor that could not know of a recorded write.
    TypeError
        If the value is none of these, or a gradient would have to flow through integers.
    IndexError, ValueError
        If the key or the value does not fit.
    """
    if _is_that_view(target, key, value):
        return  # x[key] += y is x[key] taken, written to, and assigned
    _write(Write, name, target, key, value)


def add_to(name: str, target: TensorBase, key: Key, value: Any) -> None:
    """Write ``target[key] += value``, where repeated indices add up; otherwise as `write`."""
    _write(AddAt, name, target, key, value)


def update(name: str, target: T, function: Callable[..., Any], *args: Any, **options: Any) -> T:
    """Write the result of ``function(*args, **options)`` to the tensor and return the tensor.

    The tensor may be one of the arguments: what the rules of the function read of it is kept as it
    was before.

    Raises
    ------
    GraphError, TypeError
        As for `write`; a TypeError also where the result is of a kind that the tensor cannot hold.
    ValueError
        If the result has another shape.
    """
    before = tick()
    return _put(name, target, function(*args, **options), before)


def put(name: str, target: T, result: Any) -> T:
    """Write a result that was computed just now, perhaps of the tensor itself, as `update` does."""
    node = result._node if isinstance(result, TensorBase) else None
    return _put(name, target, result, 0 if node is None else node.seq - _RECENT)


# How many recordings before a value what was made on the way to it may lie. A node that keeps a
# copy of what it would find in memory now is right in any case.
_RECENT = 64


def _put(name: str, target: T, result: Any, since: int) -> T:
    """Write a result, and keep for what was recorded since then what is about to be overwritten."""
    if result is target:
        return target
    data = target._data
    array = result._data if isinstance(result, TensorBase) else np.asarray(result)
    if array.shape != data.shape:
        raise ValueError(
            f"{name}: the result has shape {array.shape}; a tensor that is written to keeps its "
            f"shape {data.shape}"
        )
    if not np.can_cast(array.dtype, data.dtype, "same_kind"):
        raise TypeError(
            f"{name}: the result is {array.dtype}; a tensor that is written to stays {data.dtype}"
        )
    if not isinstance(result, TensorBase) or result._node is None or not mode.recording:
        _write(Write, name, target, EVERYTHING, result)
        return target
    _check_writable(name, whole_of(target)[0])
    if array.dtype != data.dtype:
        result = cast(result, data.dtype)
    _keep_apart(whole_of(target)[0], result._node)
    if result._node.seq <= since or target.follows:  # somebody else's node, or a part only
        _write(Write, name, target, EVERYTHING, result)
        return target
    before_writing(data)
    _assign(Write, name, data, EVERYTHING, result._data)
    changed(data, by=name)
    _take_node(target, result._node)
    return target


def _keep_apart(base: TensorBase, value: Node | None) -> None:
    """Let what is about to be overwritten be kept as it was, where it is known who keeps it.

    These are the operation that made the tensor (``e = exp(z); e /= e.sum()``), and those that the
    value was computed with since (``y[0] = y[0] * y[1]``). Others cannot be found from here: they
    raise in the backward pass.
    """
    made = base._node
    owner = owner_of(base._data)
    if made is not None and made.out is not None and not made.released:
        made.out = _apart(made.out, owner, made)
    if value is None:
        return
    since = value.seq - _RECENT
    for node in nodes_since(value, since if made is None else max(since, made.seq)):
        if not node.released:
            node.inputs = [_apart(kept, owner, node) for kept in node.inputs]


def _apart(kept: Any, owner: Array, node: Node) -> Any:
    """Return what a node keeps, copied if it lies in this memory and is still as it was."""
    inside = isinstance(kept, np.ndarray) and owner_of(kept) is owner
    return np.array(kept) if inside and not was_changed(kept, node.seq) else kept


def _write(kind: type[Write | AddAt], name: str, target: TensorBase, key: Key, value: Any) -> None:
    """Write to the memory, and record it on the base."""
    base, path = whole_of(target)
    array = value._data if isinstance(value, TensorBase) else _plain_value(name, value)
    differentiable = isinstance(value, TensorBase) and value._requires_grad
    recording = mode.recording and (base._requires_grad or differentiable)
    before = None
    if recording:
        _check_writable(name, base)
        if not base._requires_grad:
            before = np.array(base._data)  # the constant it was: to compute the graph again
        _keep_apart(base, value._node if differentiable else None)
    before_writing(base._data)
    _assign(kind, name, target._data, key, array)
    everything = not path and key is EVERYTHING
    changed(base._data, None if everything else path.view, key, name)
    if not recording:
        return
    edge: Any = None
    kept: Any = None
    if differentiable:
        extra = array.ndim - target._data[key].ndim if array.ndim else 0
        if extra > 0:  # NumPy takes leading dimensions of size 1
            value = reshape(value, array.shape[extra:])
        edge = kept = edge_of(value)
    else:
        kept = np.array(array) if isinstance(array, np.ndarray) else array
    old, now = base._node, mode.__dict__
    node = record(
        kind(path, key, order_of(base._data)),
        [old, edge],
        [old or before, kept],
        None,
        None,
        base.shape,
        base.dtype,
        (old is not None) | (edge is not None) << 1,
        now["scope"],
        now["noted"],
    )
    _take_node(base, node)


def _assign(
    kind: type[Write | AddAt], name: str, data: Array, key: Key, value: Array | float
) -> None:
    if not data.flags.writeable:
        raise ValueError(
            f"{name}: the memory of the tensor is not written to, because it was expanded (one "
            "element stands in many places) or comes of an array that is read-only; write to its "
            "clone()"
        )
    try:
        if kind is Write:
            data[key] = value
        else:
            add_at(data, key, value)
    except (IndexError, ValueError) as error:
        raise type(error)(f"{name}: {error}; the tensor has shape {data.shape}") from None


def _plain_value(name: str, value: Any) -> Any:
    """Return an array or a number as it is; lists as arrays."""
    if isinstance(value, (bool, int, float)):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"{name}: expects a tensor, an array or a number to write, got {type(value).__name__}"
        )
    return array


def _check_writable(name: str, base: TensorBase) -> None:
    """Raise where a recorded write would lose a gradient."""
    if base._requires_grad and base._node is None:
        raise GraphError(
            f"{name}: a leaf that requires a gradient is not written to while operations are "
            "recorded: write under no_grad(), or to a clone()"
        )
    if base.dtype.kind != "f":
        raise TypeError(
            f"{name}: a value that requires a gradient is not written to a tensor of {base.dtype}; "
            "use detach() to leave the graph, or a tensor of floats"
        )
    if base._node is None and any(origin() is not None for origin in getattr(base, "_origins", ())):
        raise GraphError(
            f"{name}: a value that requires a gradient is written to a tensor that shares memory "
            "with another, which would show it without its gradient (it comes of detach(), or is a "
            "view taken under no_grad()); write to a clone()"
        )


def _take_node(base: TensorBase, node: Node) -> None:
    """Make a node the one of a tensor that was written to."""
    move_notes(base, base._node, node)
    base._node = node
    base._requires_grad = True


def move_notes(tensor: TensorBase, old: Node | None, new: Node) -> None:
    """Let a name, and the wish to keep the gradient, follow the tensor to another node."""
    if tensor._name is not None:
        new.note().label = tensor._name
    notes = None if old is None else old.notes
    if notes is not None and notes.retained is not None and notes.retained() is tensor:
        new.note().retained, notes.retained = notes.retained, None


def whole_of(target: TensorBase) -> tuple[TensorBase, Path]:
    """Return the tensor in whose memory a view lies, and the way from it to the view."""
    if not target.follows:
        return target, _NOWHERE
    base = target._base
    if owner_of(base._data) is not owner_of(target._data):
        raise GraphError(
            "a view of a tensor whose data were replaced is not written to: take the view again"
        )
    steps = []
    while target is not base:
        steps.append(target._step)
        target = target._source
    return base, Path(reversed(steps))


_NOWHERE = Path()


def _is_that_view(target: TensorBase, key: Key, value: Any) -> bool:
    """Whether a value is the very view of the target that the key names."""
    return (
        isinstance(value, TensorBase)
        and value.follows
        and value._source is target
        and type(value._step) is Slice
        and not any(isinstance(part, np.ndarray) for part in key)
        and value._step.key == key
    )
