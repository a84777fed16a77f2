"""Small ONNX files, made with the package's own messages."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.onnx.coding import encode
from tinygrad_cnn.onnx.export.writer import attribute as plain
from tinygrad_cnn.onnx.messages import (
    Attribute,
    Dimension,
    Graph,
    Model,
    Node,
    OperatorSet,
    Shape,
    TensorType,
    Type,
    ValueInfo,
)
from tinygrad_cnn.onnx.tensors import NUMBERS, write_tensor

Array = np.ndarray[Any, Any]


def attribute(name: str, value: Any) -> Attribute:
    """An attribute of the type that fits a value."""
    if isinstance(value, Graph):
        return Attribute(name=name, type=5, g=value)
    return plain(name, value)


def node(op_type: str, inputs: str, outputs: str, name: str = "", **settings: Any) -> Node:
    """A node; names of values are separated by blanks, "-" is one that is left out."""
    domain = settings.pop("domain", "")
    return Node(
        op_type=op_type,
        name=name,
        domain=domain,
        input=["" if n == "-" else n for n in inputs.split()],
        output=outputs.split(),
        attribute=[attribute(key, value) for key, value in settings.items()],
    )


def value(name: str, *sizes: int | str, dtype: Any = np.float32) -> ValueInfo:
    """A value with its type."""
    dims = [Dimension(dim_param=s) if isinstance(s, str) else Dimension(dim_value=s) for s in sizes]
    kind = TensorType(elem_type=NUMBERS[np.dtype(dtype)], shape=Shape(dim=dims))
    return ValueInfo(name=name, type=Type(tensor_type=kind))


def graph(
    nodes: list[Node], inputs: list[ValueInfo], outputs: str, tensors: dict[str, Array]
) -> Graph:
    """A graph; outputs are floats of any shape."""
    return Graph(
        name="g",
        node=nodes,
        input=inputs,
        output=[
            ValueInfo(name=name, type=Type(tensor_type=TensorType(elem_type=1)))
            for name in outputs.split()
        ],
        initializer=[write_tensor(name, array) for name, array in tensors.items()],
    )


def model(
    nodes: list[Node],
    inputs: list[ValueInfo],
    outputs: str,
    tensors: dict[str, Array] | None = None,
    opset: int = 17,
    **more: Any,
) -> bytes:
    """A whole file."""
    return encode(
        Model(
            ir_version=8,
            producer_name="tests",
            opset_import=[OperatorSet(version=opset)],
            graph=graph(nodes, inputs, outputs, tensors or {}),
            **more,
        )
    )
