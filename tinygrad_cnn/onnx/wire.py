"""Protocol buffers as they lie in a file: fields read with every length checked, and written.

A message is a sequence of fields: a key (number of the field, and how long its value is), then the
value. Nothing is allocated but what the file itself holds: strings, bytes and messages are slices
of it, and whatever claims to reach beyond the end of its message is refused.

Source: protobuf.dev, "Encoding".
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from tinygrad_cnn.onnx.errors import OnnxError

__all__ = [
    "BYTES",
    "FIXED32",
    "FIXED64",
    "VARINT",
    "DamagedError",
    "read_fields",
    "signed",
    "varint",
    "varints",
    "written",
]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10  # bytes: 64 bits by seven
_MOST_NUMBER = 1 << 29  # of a field
_SIGN, _RANGE = 1 << 63, 1 << 64
_FEW = 32  # bytes of varints that a loop reads sooner than NumPy


class DamagedError(OnnxError):
    """The bytes are not a message."""


def read_fields(data: bytes, start: int, end: int) -> list[tuple[int, int, Any, int]]:
    """Return the fields between two places: number, kind, value, and the place behind it.

    The value of a varint is an int without sign; of everything else, the place where it starts.

    Raises
    ------
    DamagedError
        If a field reaches beyond the end, or is of a kind that does not exist.

    >>> read_fields(bytes([8, 150, 1, 18, 1, 65]), 0, 6)
    [(1, 0, 150, 3), (2, 2, 5, 6)]
    """
    fields: list[tuple[int, int, Any, int]] = []
    add = fields.append
    at = start
    while at < end:
        key = data[at]
        at += 1
        if key >= 128:
            key, at = _long_varint(data, at - 1, end)
        number, kind = key >> 3, key & 7
        if not 0 < number < _MOST_NUMBER:
            raise DamagedError(f"a field has the number {number} at byte {at}")
        if kind == VARINT:
            value, at = _long_varint(data, at, end)
            add((number, VARINT, value, at))
            continue
        if kind == BYTES:
            length, at = _long_varint(data, at, end)
        elif kind in (FIXED32, FIXED64):
            length = 4 if kind == FIXED32 else 8
        else:
            raise DamagedError(f"field {number} is of kind {kind}, which is none of ONNX's")
        if length > end - at:
            raise DamagedError(
                f"field {number} claims {length:,} bytes, and {end - at:,} are there"
            )
        add((number, kind, at, at + length))
        at += length
    return fields


def _long_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a varint of 64 bits; return it and the place behind it."""
    value = 0
    for shift in range(0, 7 * _LONGEST_VARINT, 7):
        if at >= end:
            raise DamagedError(f"the file ends in a number at byte {at}")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (_RANGE - 1), at
    raise DamagedError(f"a number at byte {at} has more than 64 bits")


def signed(value: int) -> int:
    """Return what a varint means as an int64."""
    return value - _RANGE if value >= _SIGN else value


def varints(data: bytes, start: int, end: int) -> list[int]:
    """Read varints that lie one behind the other, as int64.

    >>> varints(bytes([1, 150, 1]), 0, 3)
    [1, 150]
    """
    values: list[int] = []
    if end - start <= _FEW:
        while start < end:
            value, start = _long_varint(data, start, end)
            values.append(signed(value))
        return values
    bytes_ = np.frombuffer(data, np.uint8, end - start, start)
    last = np.flatnonzero(bytes_ < 128)
    if not len(last) or last[-1] != len(bytes_) - 1:
        raise DamagedError(f"the file ends in a number at byte {end}")
    first = np.concatenate(([0], last[:-1] + 1))
    lengths = last - first + 1
    if lengths.max() > _LONGEST_VARINT:
        raise DamagedError(f"a number between bytes {start} and {end} has more than 64 bits")
    place = np.arange(len(bytes_)) - np.repeat(first, lengths)
    parts = (bytes_ & 127).astype(np.uint64) << (7 * place).astype(np.uint64)
    whole: list[int] = np.add.reduceat(parts, first).view(np.int64).tolist()
    return whole


def varint(value: int) -> bytes:
    r"""Return the bytes of an integer; a negative one takes ten.

    >>> varint(150), len(varint(-1))
    (b'\x96\x01', 10)
    """
    value &= _RANGE - 1
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def written(number: int, value: bytes | int | float) -> bytes:
    r"""Return a field: bytes with their length, an int as a varint, a float in 32 bits.

    >>> written(2, b"A"), written(1, 150)
    (b'\x12\x01A', b'\x08\x96\x01')
    """
    if isinstance(value, bytes):
        return b"".join((varint(number << 3 | BYTES), varint(len(value)), value))
    if isinstance(value, float):
        return varint(number << 3 | FIXED32) + struct.pack("<f", value)
    return varint(number << 3 | VARINT) + varint(value)
