"""Protocol buffers as they lie in a file: the pieces of fields, read and written.

A message is a sequence of fields: a key (number of the field, and how long its value is), then the
value. `coding` reads messages of them.

Source: protobuf.dev, "Encoding".
"""

from __future__ import annotations

import struct

import numpy as np

from tinygrad_cnn.onnx.errors import OnnxError

__all__ = [
    "BYTES",
    "FIXED32",
    "FIXED64",
    "VARINT",
    "DamagedError",
    "read_varint",
    "signed",
    "varint",
    "varints",
    "written",
]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10  # bytes: 64 bits by seven
_SIGN, _RANGE = 1 << 63, 1 << 64
_FEW = 32  # bytes of varints that a loop reads sooner than NumPy


class DamagedError(OnnxError):
    """The bytes are not a message."""


def read_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a varint of 64 bits that ends before `end`; return it and the place behind it.

    >>> read_varint(bytes([150, 1]), 0, 2)
    (150, 2)
    """
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
            value, start = read_varint(data, start, end)
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
