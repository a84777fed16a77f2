"""A graph being written: nodes, constants and the names of values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from tinygrad_cnn.graph import Node as Recorded
from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.messages import Attribute, Node, TensorMessage
from tinygrad_cnn.onnx.tensors import write_tensor
from tinygrad_cnn.op import Op
from tinygrad_cnn.types import Array

__all__ = ["WRITERS", "Write", "Writer", "attribute", "writes"]

Write: TypeAlias = Callable[["Writer", "Pair", list[str]], str]
"""Writes an operation, given it and the names of its inputs; returns the name of the result."""

WRITERS: dict[type[Op], Write] = {}
"""What writes each operation."""


def writes(*ops: type[Op]) -> Callable[[Write], Write]:
    """Enter a function as what writes these operations."""

    def enter(function: Write) -> Write:
        for op in ops:
            WRITERS[op] = function
        return function

    return enter


@dataclass(frozen=True)
class Pair:
    """An operation as it was recorded with two batches: what differs belongs to the batch."""

    one: Recorded
    other: Recorded

    @property
    def op(self) -> Any:
        """The operation, as it was recorded first."""
        return self.one.op

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first input."""
        return tuple(self.one.inputs[0].shape)

    def shapes(self, index: int = 0) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the shape of an input with each batch."""
        return tuple(self.one.inputs[index].shape), tuple(self.other.inputs[index].shape)


@dataclass
class Writer:
    """A graph being written.

    Attributes
    ----------
    opset
        The version of the operators.
    batch
        The sizes of the two batches.
    source
        The name of the first input, whose first size is the batch.
    nodes, tensors
        What there is so far.
    scope
        The path of what is being written.
    """

    opset: int
    batch: tuple[int, int]
    source: str
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, TensorMessage] = field(default_factory=dict)
    scope: str = ""
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float32))
    _taken: set[str] = field(default_factory=set)
    _constants: dict[Any, str] = field(default_factory=dict)

    def name(self, wanted: str) -> str:
        """Return a name that no other value has."""
        name, number = wanted, 0
        while name in self._taken or not name:
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        return name

    def tensor(self, name: str, array: Array) -> str:
        """Add a tensor under its own name."""
        name = self.name(name)
        self.tensors[name] = write_tensor(name, array)
        return name

    def constant(self, array: Any, hint: str = "constant") -> str:
        """Add a tensor that is no parameter, the same one once; return its name."""
        found = np.asarray(array)
        key = (found.dtype.str, found.shape, found.tobytes())
        if key not in self._constants:
            self._constants[key] = self.tensor(hint, found)
        return self._constants[key]

    def number(self, value: float) -> str:
        """Return the name of a number in the type of what is being written."""
        return self.constant(np.asarray(value, self.dtype))

    def integers(self, values: Sequence[int], hint: str = "sizes") -> str:
        """Return the name of a list of integers."""
        return self.constant(np.asarray(values, np.int64).reshape(-1), hint)

    def emit(self, op_type: str, *inputs: str, unread: int = 0, **settings: Any) -> str:
        """Add a node; return the name of its first result, behind which some are not read."""
        place = f"{self.scope.replace('.', '/')}/{op_type}" if self.scope else op_type
        name = self.name(f"/{place}")
        result = self.name(f"{name}_output")
        given = list(inputs)
        while given and not given[-1]:
            given.pop()
        self.nodes.append(
            Node(
                op_type=op_type,
                name=name,
                input=given,
                output=[result, *(self.name(f"{result}_unread") for _ in range(unread))],
                attribute=[attribute(k, v) for k, v in settings.items() if v is not None],
            )
        )
        return result

    def reduce(self, op_type: str, x: str, axes: Sequence[int], keep: bool) -> str:
        """Add a reduction: the axes are an input since opset 18, of the sum since 13."""
        keepdims = int(keep)
        if not len(axes):
            return x
        if self.opset >= (13 if op_type == "ReduceSum" else 18):
            return self.emit(op_type, x, self.integers(axes, "axes"), keepdims=keepdims)
        return self.emit(op_type, x, axes=list(axes), keepdims=keepdims)

    def sizes(self, one: Sequence[int], other: Sequence[int], what: str) -> str:
        """Return the name of a shape, some sizes of which may be the batch's.

        Raises
        ------
        OnnxError
            If another size differs between the two batches.
        """
        if tuple(one) == tuple(other):
            return self.integers(one)
        parts = []
        for sizes in zip(one, other, strict=True):
            if sizes[0] == sizes[1]:
                parts.append(self.integers([sizes[0]]))
            elif sizes == self.batch:
                shape = self.emit("Shape", self.source)
                parts.append(self.emit("Gather", shape, self.integers([0], "first"), axis=0))
            else:
                raise OnnxError(f"{what}: a size is {sizes[0]} or {sizes[1]}, as the batch is")
        return self.emit("Concat", *parts, axis=0) if len(parts) > 1 else parts[0]

    def along(self, x: str, ndim: int, axis: int, matrix: Array) -> str:
        """Multiply an axis by a matrix (out, in)."""
        turned = list(range(ndim))
        turned[axis], turned[-1] = turned[-1], turned[axis]
        last = axis == ndim - 1
        x = x if last else self.emit("Transpose", x, perm=turned)
        weights = self.constant(matrix.T.astype(self.dtype), "weights")
        y = self.emit("MatMul", x, weights)
        return y if last else self.emit("Transpose", y, perm=turned)


def attribute(name: str, value: Any) -> Attribute:
    """Return a setting as a message, of the type that fits the value.

    >>> attribute("axis", 1).i
    1
    """
    if isinstance(value, (bool, int, np.integer)):
        return Attribute(name=name, type=2, i=int(value))
    if isinstance(value, float):
        return Attribute(name=name, type=1, f=value)
    if isinstance(value, str):
        return Attribute(name=name, type=3, s=value.encode())
    if isinstance(value, TensorMessage):
        return Attribute(name=name, type=4, t=value)
    return Attribute(name=name, type=7, ints=[int(one) for one in value])
