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
    read_varint,
    signed,
    varint,
    varints,
    written,
)

__all__ = ["decode", "encode"]

_NUMBERS = ("int", "float", "double")
_FEW = 64  # numbers that are a list, as those of settings are
_MOST_NUMBER = 1 << 29  # of a field
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
    """Read a message between two places.

    Every length is compared with the end of the message before anything is made of it. This loop
    reads all of a file, so what is short stands in it.
    """
    if depth > _DEEPEST:
        raise DamagedError(f"messages stand more than {_DEEPEST} deep in each other")
    message = kind()
    values = message.__dict__
    keys = kind.table
    at = start
    while at < end:
        before = at
        key = data[at]
        at += 1
        if key >= 128:
            key, at = read_varint(data, before, end)
        form = key & 7
        if form == BYTES:
            if at < end and data[at] < 128:
                length = data[at]
                at += 1
            else:
                length, at = read_varint(data, at, end)
            behind = at + length
            if behind > end:
                raise DamagedError(f"field {key >> 3} claims {length:,} bytes of {end - at:,}")
            value: Any = at
            at = behind
        elif form == VARINT:
            value, at = read_varint(data, at, end)
        else:
            value, at = at, _behind_fixed(key, at, end)
        field = keys.get(key >> 3)
        if field is None:
            _keep_unknown(values, key, data[before:at])
            continue
        name = field.name
        if form == BYTES and field.kind in messages:
            value = _decode(messages[field.kind], data, value, at, depth + 1)
        elif form == BYTES and field.many and field.kind in _NUMBERS:
            values[name] = _joined(values.get(name), _packed(field, data, value, at))
            continue
        else:
            value = _value(field, form, data, value, at)
        if not field.many:
            values[name] = value
        elif name in values:
            values[name] = _extended_by_one(values[name], value)
        else:
            values[name] = [value]
    return message


def _behind_fixed(key: int, at: int, end: int) -> int:
    """Return the place behind a number of a fixed length."""
    form = key & 7
    if form not in (FIXED32, FIXED64):
        raise DamagedError(f"field {key >> 3} is of kind {form}, which is none of ONNX's")
    behind = at + (4 if form == FIXED32 else 8)
    if behind > end:
        raise DamagedError(f"the file ends in field {key >> 3}")
    return behind


def _keep_unknown(values: dict[str, Any], key: int, content: bytes) -> None:
    if not 0 < key >> 3 < _MOST_NUMBER:
        raise DamagedError(f"a field has the number {key >> 3}")
    values.setdefault("unknown", []).append(content)


def _joined(held: Any, more: Any) -> Any:
    """Return numbers with more of them; the first that lie together stay an array if many."""
    if held is None:
        return more if len(more) > _FEW or isinstance(more, list) else more.tolist()
    return _extended(held if type(held) is list else held.tolist(), more)


def _extended_by_one(held: Any, value: Any) -> list[Any]:
    found = held if type(held) is list else held.tolist()
    found.append(value)
    return found


def _extended(held: list[Any], more: Any) -> list[Any]:
    held.extend(more if isinstance(more, list) else more.tolist())
    return held


def _value(field: Field, form: int, data: bytes, value: int, behind: int) -> Any:
    """Return one value of a field that holds no message."""
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
            return data[value:behind]
    elif form == VARINT:
        if kind in ("int", "optional"):
            return signed(value)
    elif single := _SINGLE.get((kind, form)):
        return single.unpack_from(data, value)[0]
    raise DamagedError(f"{field.name} at byte {behind} is not {kind}")


def _packed(field: Field, data: bytes, start: int, behind: int) -> Any:
    """Return numbers that lie one behind the other: integers as a list, others as an array."""
    if field.kind == "int":
        return varints(data, start, behind)
    dtype = _PACKED[field.kind]
    count, rest = divmod(behind - start, dtype.itemsize)
    if rest:
        raise DamagedError(f"{field.name} at byte {start} ends within a number")
    return np.frombuffer(data, dtype, count, start)


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
