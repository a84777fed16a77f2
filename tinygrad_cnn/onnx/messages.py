"""ONNX's messages: models, graphs, nodes, attributes and tensors, as tables of fields.

`coding` reads and writes them by these tables. Fields that stand in none (graphs for training,
devices, what a newer ONNX adds) are kept as bytes and written back as they came.

Source: onnx/onnx.proto of onnx 1.23 (IR version 14).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

__all__ = [
    "Attribute",
    "Dimension",
    "Entry",
    "Field",
    "Function",
    "Graph",
    "Message",
    "Model",
    "Node",
    "OperatorSet",
    "Shape",
    "TensorMessage",
    "TensorType",
    "Type",
    "ValueInfo",
    "messages",
]


class Field(NamedTuple):
    """How a field is read and written."""

    name: str
    kind: str
    """int, optional (an int, or None), float, double, text, bytes, span, or a message's name."""
    many: bool = False
    """Whether it may come many times, which makes a list."""


messages: dict[str, type[Message]] = {}
"""Every kind of message by its name."""

_USUAL: dict[str, Any] = {"int": 0, "float": 0.0, "double": 0.0, "text": "", "bytes": b""}


class Message:
    """A message: the fields of its table as attributes, those that are not given at their defaults.

    >>> Node(op_type="Relu", input=["x"], output=["y"]).domain
    ''
    """

    table: ClassVar[Mapping[int, Field]] = {}
    unknown: Sequence[bytes] = ()
    """Fields that are not in the table, as they lie in the file."""

    def __init_subclass__(cls) -> None:
        messages[cls.__name__] = cls
        for field in cls.table.values():
            setattr(cls, field.name, () if field.many else _USUAL.get(field.kind))

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r:.40}" for name, value in vars(self).items())
        return f"{type(self).__name__}({shown})"


class Entry(Message):
    """A key with its value."""

    key: str
    value: str
    table: ClassVar = {1: Field("key", "text"), 2: Field("value", "text")}


class TensorMessage(Message):
    """A tensor: its shape, its type by number, and its elements in one of several fields."""

    dims: Sequence[int]
    data_type: int
    name: str
    raw_data: tuple[bytes, int, int] | bytes | None
    """The bytes; as they were read, the file's content, their start and their end in it."""
    external_data: Sequence[Entry]
    data_location: int
    table: ClassVar = {
        1: Field("dims", "int", many=True),
        2: Field("data_type", "int"),
        4: Field("float_data", "float", many=True),
        5: Field("int32_data", "int", many=True),
        6: Field("string_data", "bytes", many=True),
        7: Field("int64_data", "int", many=True),
        8: Field("name", "text"),
        9: Field("raw_data", "span"),
        10: Field("double_data", "double", many=True),
        11: Field("uint64_data", "int", many=True),
        13: Field("external_data", "Entry", many=True),
        14: Field("data_location", "int"),
    }


class Dimension(Message):
    """The size of a dimension: a number, a name, or neither."""

    dim_value: int | None
    dim_param: str
    table: ClassVar = {1: Field("dim_value", "optional"), 2: Field("dim_param", "text")}

    @property
    def size(self) -> int | None:
        """The number, None for one that is open; some write -1 or 0 for that."""
        value = self.dim_value
        return value if value is not None and value > 0 else None


class Shape(Message):
    """The sizes of a tensor's dimensions."""

    dim: Sequence[Dimension]
    table: ClassVar = {1: Field("dim", "Dimension", many=True)}


class TensorType(Message):
    """The type of a tensor's elements, and its shape if it is known."""

    elem_type: int
    shape: Shape | None
    table: ClassVar = {1: Field("elem_type", "int"), 2: Field("shape", "Shape")}


class Type(Message):
    """The type of a value; only that of tensors is looked into."""

    tensor_type: TensorType | None
    table: ClassVar = {1: Field("tensor_type", "TensorType")}


class ValueInfo(Message):
    """A value of a graph: its name and type."""

    name: str
    type: Type | None
    table: ClassVar = {1: Field("name", "text"), 2: Field("type", "Type")}


class Attribute(Message):
    """A setting of a node, in the field that belongs to its type."""

    name: str
    type: int
    ref_attr_name: str
    f: float
    i: int
    s: bytes
    t: TensorMessage | None
    g: Graph | None
    floats: Sequence[float]
    ints: Sequence[int]
    strings: Sequence[bytes]
    table: ClassVar = {
        1: Field("name", "text"),
        2: Field("f", "float"),
        3: Field("i", "int"),
        4: Field("s", "bytes"),
        5: Field("t", "TensorMessage"),
        6: Field("g", "Graph"),
        7: Field("floats", "float", many=True),
        8: Field("ints", "int", many=True),
        9: Field("strings", "bytes", many=True),
        20: Field("type", "int"),
        21: Field("ref_attr_name", "text"),
    }


class Node(Message):
    """An operation on values that it names."""

    input: Sequence[str]
    output: Sequence[str]
    name: str
    op_type: str
    domain: str
    overload: str
    attribute: Sequence[Attribute]
    table: ClassVar = {
        1: Field("input", "text", many=True),
        2: Field("output", "text", many=True),
        3: Field("name", "text"),
        4: Field("op_type", "text"),
        5: Field("attribute", "Attribute", many=True),
        7: Field("domain", "text"),
        8: Field("overload", "text"),
    }


class Graph(Message):
    """Nodes in order, what goes in and out, and constants."""

    name: str
    node: Sequence[Node]
    initializer: Sequence[TensorMessage]
    sparse_initializer: Sequence[bytes]
    input: Sequence[ValueInfo]
    output: Sequence[ValueInfo]
    value_info: Sequence[bytes]
    """Types of values on the way, which nobody here reads: kept as they came."""
    table: ClassVar = {
        1: Field("node", "Node", many=True),
        2: Field("name", "text"),
        5: Field("initializer", "TensorMessage", many=True),
        11: Field("input", "ValueInfo", many=True),
        12: Field("output", "ValueInfo", many=True),
        13: Field("value_info", "bytes", many=True),
        15: Field("sparse_initializer", "bytes", many=True),
    }


class OperatorSet(Message):
    """A version of a set of operators; the domain "" is ONNX's own."""

    domain: str
    version: int
    table: ClassVar = {1: Field("domain", "text"), 2: Field("version", "int")}


class Function(Message):
    """A function made of nodes, called as an operator is."""

    name: str
    domain: str
    overload: str
    input: Sequence[str]
    output: Sequence[str]
    attribute: Sequence[str]
    attribute_proto: Sequence[Attribute]
    node: Sequence[Node]
    opset_import: Sequence[OperatorSet]
    table: ClassVar = {
        1: Field("name", "text"),
        4: Field("input", "text", many=True),
        5: Field("output", "text", many=True),
        6: Field("attribute", "text", many=True),
        7: Field("node", "Node", many=True),
        9: Field("opset_import", "OperatorSet", many=True),
        10: Field("domain", "text"),
        11: Field("attribute_proto", "Attribute", many=True),
        13: Field("overload", "text"),
    }


class Model(Message):
    """A whole file."""

    ir_version: int
    producer_name: str
    producer_version: str
    domain: str
    model_version: int
    graph: Graph | None
    opset_import: Sequence[OperatorSet]
    metadata_props: Sequence[Entry]
    functions: Sequence[Function]
    table: ClassVar = {
        1: Field("ir_version", "int"),
        2: Field("producer_name", "text"),
        3: Field("producer_version", "text"),
        4: Field("domain", "text"),
        5: Field("model_version", "int"),
        7: Field("graph", "Graph"),
        8: Field("opset_import", "OperatorSet", many=True),
        14: Field("metadata_props", "Entry", many=True),
        25: Field("functions", "Function", many=True),
    }
