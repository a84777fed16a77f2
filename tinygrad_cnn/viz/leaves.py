"""What goes into a graph: parameters, buffers, inputs and constants, each with one box."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_cnn.graph import Node
from tinygrad_cnn.inplace import owner_of
from tinygrad_cnn.nn import Module, Parameter
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.viz.data import GraphNode
from tinygrad_cnn.viz.recorded import Constant

_UNTELLING = frozenset({"x", "y", "a", "b", "w"})  # arguments that say nothing of what they are


def parameters_of(model: Module) -> Iterator[tuple[str, Parameter]]:
    """Iterate over the parameters with their paths; unlike the model's own, names none of them."""
    seen = set()
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, Parameter) and id(value) not in seen:
                seen.add(id(value))
                yield f"{path}.{name}" if path else name, value


class Leaves:
    """The boxes of leaves, made as they are met.

    Attributes
    ----------
    ids
        Names of the boxes by the id of the array.
    scopes
        Paths of the modules that made operations.
    parameters
        Ids of the arrays that parameters own: memory that is there without any graph.
    """

    def __init__(self, model: Module | None, inputs: Any, boxes: dict[str, GraphNode]) -> None:
        self._boxes = boxes
        self._given = _given_inputs(inputs)
        self._known: dict[int, tuple[str, str]] = {}
        self.ids: dict[int, str] = {}
        self._counts: dict[str, int] = {}
        self.scopes: Collection[str] = ()
        self.parameters: set[int] = set()
        if model is not None:
            found: list[tuple[str, str, TensorBase]] = []
            found += (("parameter", path, tensor) for path, tensor in parameters_of(model))
            found += (("buffer", path, tensor) for path, tensor in model.named_buffers())
            for kind, path, tensor in found:
                self._known[id(tensor._data)] = (kind, path)
                if kind == "parameter":
                    self.parameters.add(id(owner_of(tensor._data)))

    def tensor(self, tensor: TensorBase, user: Node | None) -> str:
        """Return the id of the box of a tensor that takes a gradient."""
        key = id(tensor._data)
        kind, path = self._known.get(key, ("", None))
        if not kind:
            kind = "parameter" if isinstance(tensor, Parameter) else "input"
        if kind == "parameter":
            self.parameters.add(id(owner_of(tensor._data)))
        grad = tensor._grad
        norm = None if grad is None else float(np.linalg.norm(grad._data))
        name = self._given.get(key) or path or tensor._name
        return self._add(key, kind, name, tensor, user, True, norm)

    def constant(self, constant: Constant, user: Node, index: int) -> str:
        """Return the id of the box of an array that takes no gradient: input ``index`` of a node.

        Where nobody says which arrays are inputs, those are that stand first or outside of all
        modules (images, targets); others are constants.
        """
        key = constant.key
        kind, path = self._known.get(key, ("", None))
        if not kind:
            at_large = not self._given and (index == 0 or not user.scope)
            kind = "input" if at_large or key in self._given else "constant"
        name = self._given.get(key) or path or constant.name
        arguments = user.op._arguments
        if name is None and arguments and arguments[index] not in _UNTELLING:
            name = arguments[index]
        return self._add(key, kind, name, constant, user, False, None)

    def _add(
        self,
        key: int,
        kind: str,
        name: str | None,
        value: TensorBase | Constant,
        user: Node | None,
        requires_grad: bool,
        norm: float | None,
    ) -> str:
        if key in self.ids:
            return self.ids[key]
        scope = "" if kind == "input" else self._scope(key, name or "", user)
        if name is None:
            count = self._counts[kind] = self._counts.get(kind, 0) + 1
            name = kind if count == 1 else f"{kind} {count}"
        size = math.prod(value.shape)
        box = self.ids[key] = f"v{len(self.ids) + 1}"
        self._boxes[box] = GraphNode(
            box,
            kind,
            name,
            scope=scope,
            shape=value.shape,
            dtype=value.dtype.name,
            nbytes=size * value.dtype.itemsize,
            size=size if kind == "parameter" else 0,
            requires_grad=requires_grad,
            grad_norm=norm,
        )
        return box

    def _scope(self, key: int, name: str, user: Node | None) -> str:
        """Return the module that a leaf belongs to: its path's, or else its first user's."""
        path = name.rpartition(".")[0]
        if key in self._known or path in self.scopes:
            return path
        return "" if user is None else user.scope


def _given_inputs(inputs: Any) -> dict[int, str]:
    """Return the names of the inputs by the ids of their arrays."""
    if inputs is None:
        return {}
    if isinstance(inputs, Mapping):
        named = [(str(name), value) for name, value in inputs.items()]
    elif isinstance(inputs, (list, tuple)):
        named = [(getattr(x, "_name", None) or f"input {i + 1}", x) for i, x in enumerate(inputs)]
    else:
        named = [(getattr(inputs, "_name", None) or "input", inputs)]
    given = {}
    for name, value in named:
        array = value._data if isinstance(value, TensorBase) else value
        if not isinstance(array, np.ndarray):
            raise TypeError(
                f"graph: inputs expects tensors or arrays, got {type(value).__name__} for {name!r}"
            )
        given[id(array)] = name
    return given
