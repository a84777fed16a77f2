"""Messages out of bytes and into bytes, by the tables of `messages`."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np

from tinygrad_cnn.onnx.messages import Field, Message, messages
from tinygrad_cnn.onnx.wire import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    DamagedError,
    read_fields,
    signed,
    varint,
    varints,
    written,
)

__all__ = ["decode", "encode"]

_DEEPEST = 100  # messages within messages, as protobuf's own readers allow
_PACKED: dict[str, np.dtype[Any]] = {"float": np.dtype("<f4"), "double": np.dtype("<f8")}
_SINGLE = {("float", FIXED32): struct.Struct("<f"), ("double", FIXED64): struct.Struct("<d")}

_M = TypeVar("_M", bound=Message)


def decode(kind: type[_M], data: bytes) -> _M:
    """Read a message that fills the bytes.

    Raises
    ------
    DamagedError
        If they are not such a message.

    >>> from tinygrad_cnn.onnx.messages import Node
    >>> decode(Node, encode(Node(op_type="Relu", input=["x"])))
    Node(input=['x'], op_type='Relu')
    """
    return _decode(kind, data, 0, len(data), 0)


def _decode(kind: type[_M], data: bytes, start: int, end: int, depth: int) -> _M:
    if depth > _DEEPEST:
        raise DamagedError(f"messages stand more than {_DEEPEST} deep in each other")
    message = kind()
    values = message.__dict__
    table = kind.table
    before = start
    for number, form, value, behind in read_fields(data, start, end):
        field = table.get(number)
        if field is None:
            values.setdefault("unknown", []).append(bytes(data[before:behind]))
        elif field.many:
            held = values.get(field.name)
            if held is None:
                held = values[field.name] = []
            if form == BYTES and field.kind in ("int", "float", "double"):
                held.extend(_packed(field, data, value, behind))
            else:
                held.append(_value(field, form, data, value, behind, depth))
        else:
            values[field.name] = _value(field, form, data, value, behind, depth)
        before = behind
    return message


def _value(field: Field, form: int, data: bytes, value: int, behind: int, depth: int) -> Any:
    """Return one value of a field."""
    kind = field.kind
    if form == BYTES:
        if kind == "text":
            try:
                return str(data[value:behind], "utf-8")
            except UnicodeDecodeError:
                raise DamagedError(f"{field.name} is not text at byte {value}") from None
        if kind == "span":
            return data, value, behind
        if kind == "bytes":
            return bytes(data[value:behind])
        if kind in messages:
            return _decode(messages[kind], data, value, behind, depth + 1)
    elif form == VARINT:
        if kind in ("int", "optional"):
            return signed(value)
    elif single := _SINGLE.get((kind, form)):
        return single.unpack_from(data, value)[0]
    raise DamagedError(f"{field.name} at byte {behind} is not {kind}")


def _packed(field: Field, data: bytes, start: int, behind: int) -> list[Any]:
    """Return numbers that lie one behind the other."""
    if field.kind == "int":
        return varints(data, start, behind)
    dtype = _PACKED[field.kind]
    count, rest = divmod(behind - start, dtype.itemsize)
    if rest:
        raise DamagedError(f"{field.name} at byte {start} ends within a number")
    numbers: list[float] = np.frombuffer(data, dtype, count, start).tolist()
    return numbers


def encode(message: Message) -> bytes:
    """Return the bytes of a message; what has its default is left out."""
    return b"".join(_parts(message))


def _parts(message: Message) -> Iterator[bytes]:
    """Iterate over the pieces of a message, in order of the fields' numbers."""
    values = vars(message)
    for number, field in sorted(type(message).table.items()):
        value = values.get(field.name)
        if value is None or (field.many and not len(value)):
            continue
        if field.many:
            yield from _many(number, field, value)
        elif field.kind == "optional" or value != getattr(type(message), field.name):
            yield _one(number, field, value)
    yield from values.get("unknown", ())


def _many(number: int, field: Field, value: Any) -> Iterator[bytes]:
    """Iterate over a list's fields; numbers are packed, which every reader takes."""
    if field.kind in _PACKED:
        yield written(number, np.asarray(value, _PACKED[field.kind]).tobytes())
    elif field.kind == "int":
        yield written(number, b"".join(map(varint, value)))
    else:
        for one in value:
            yield _one(number, field, one)


def _one(number: int, field: Field, value: Any) -> bytes:
    if field.kind in messages:
        return written(number, encode(value))
    if field.kind == "text":
        return written(number, value.encode())
    if field.kind == "span":
        if isinstance(value, tuple):
            data, start, end = value
            value = data[start:end]
        return written(number, bytes(value))
    if field.kind == "float":
        return written(number, float(value))
    return written(number, value)
