"""Copies of tensors: `copy.deepcopy`, `pickle`, processes that are spawned.

What belongs together stays together: tensors that share memory share it in the copy too, in the
same order of memory. A result of the graph is refused, for its graph is not copied.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.inplace import expose, exposed, give_name, owner_of
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.types import Array

State = tuple[bool, Any, Any, str | None, dict[str, Any] | None]


class _Memory:
    """Memory whose order of dimensions NumPy's own copies would change, one object for all."""

    __slots__ = ("__weakref__", "flat")

    def __init__(self, flat: Array) -> None:
        self.flat = flat


_memories: weakref.WeakValueDictionary[int, _Memory] = weakref.WeakValueDictionary()


def reduced(tensor: TensorBase) -> tuple[Any, tuple[Any, ...], State]:
    """Return what a copy is made from: a function, its arguments, and a state.

    Raises
    ------
    GraphError
        If the tensor is a result of the graph.
    """
    if tensor._node is not None:
        raise GraphError(
            f"copy: a result of {tensor._node.op.name} is part of a graph, which is not copied or "
            "pickled: detach() it, or copy the leaves and compute it again"
        )
    data = tensor._data
    owner = owner_of(data)
    held = id(owner) in exposed  # by the user, who may write to it
    memory: Any = owner
    if not (owner.flags.c_contiguous or owner.flags.f_contiguous):
        memory = _memories.get(id(owner))
        if memory is None:
            memory = _memories[id(owner)] = _Memory(owner.ravel("K"))
    offset = _address(data) - _address(owner)
    state = (
        tensor._requires_grad,
        tensor._grad,
        tensor._hooks,
        tensor._name,
        getattr(tensor, "__dict__", None) or None,  # of a subclass
    )
    arguments = (type(tensor), memory, data.dtype, data.shape, data.strides, offset, held)
    return rebuilt, arguments, state


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def rebuilt(
    kind: type[TensorBase],
    memory: Any,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
    held: bool,
) -> Any:
    """Make a tensor on memory that others may share; its state is set afterwards."""
    owner = memory.flat if isinstance(memory, _Memory) else np.asarray(memory)
    same = (owner.dtype, owner.shape, owner.strides, 0) == (dtype, shape, strides, offset)
    data = owner
    if not same:
        flat = owner if owner.flags.c_contiguous else owner.T  # np.ndarray takes C order only
        data = np.ndarray(shape, dtype, flat, offset, strides)
    tensor = kind.__new__(kind)
    tensor._data = expose(data) if held else data
    tensor._node = tensor._grad = tensor._hooks = tensor._name = None
    tensor._requires_grad = False
    return tensor


def set_state(tensor: TensorBase, state: State) -> None:
    """Give a rebuilt tensor what else belongs to it."""
    tensor._requires_grad, tensor._grad, tensor._hooks, tensor._name, attributes = state
    if tensor._name is not None:
        give_name(tensor._data, tensor._name)
    if attributes is not None:
        vars(tensor).update(attributes)
