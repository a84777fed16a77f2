"""Tensors of a file as arrays, and arrays as tensors of a file.

The elements stand in the file itself, in one of several fields, or in another file beside it. Their
number is compared with the shape before anything is allocated.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.messages import TensorMessage
from tinygrad_cnn.types import Array

__all__ = [
    "DTYPES",
    "NUMBERS",
    "SMALL",
    "TYPES",
    "array_of",
    "dtype_of",
    "type_name",
    "write_tensor",
]


TYPES = (
    *("undefined", "float", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool"),
    *("float16", "double", "uint32", "uint64", "complex64", "complex128", "bfloat16"),
    *("float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4", "int4"),
    *("float4e2m1", "float8e8m0", "uint2", "int2", "float6e2m3", "float6e3m2"),
)
"""ONNX's names of the types of elements, in order of their numbers."""

DTYPES: dict[int, np.dtype[Any]] = {
    number: np.dtype(name)
    for number, name in {
        1: "f4",
        2: "u1",
        3: "i1",
        4: "u2",
        5: "i2",
        6: "i4",
        7: "i8",
        9: "?",
        10: "f2",
        11: "f8",
        12: "u4",
        13: "u8",
        16: "f4",
    }.items()
}
"""NumPy's types by ONNX's numbers; bfloat16 is widened to float32."""
NUMBERS = {dtype: number for number, dtype in DTYPES.items() if number != 16}
"""ONNX's numbers by NumPy's types."""

BFLOAT16 = 16
"""The number of the type."""
SMALL: dict[int | None, tuple[int, bool]] = {
    21: (4, False),
    22: (4, True),
    25: (2, False),
    26: (2, True),
}
"""Integers that lie several in a byte: their bits, and whether they have a sign."""
_EXTERNAL = 1
_MOST_DIMENSIONS = 32  # as many as every NumPy has

# The field that holds elements where they are not bytes.
_FIELDS = {1: "float_data", 11: "double_data", 7: "int64_data", 12: "uint64_data"}
_FIELDS |= {13: "uint64_data"}


class Place(NamedTuple):
    """Where bytes lie."""

    data: bytes
    start: int
    end: int


def type_name(number: int) -> str:
    """Return ONNX's name of a type of elements.

    >>> type_name(1), type_name(99)
    ('float', 'type 99')
    """
    return TYPES[number] if 0 <= number < len(TYPES) else f"type {number}"


def dtype_of(number: int, what: str) -> np.dtype[Any]:
    """Return NumPy's type for ONNX's number.

    Raises
    ------
    OnnxError
        If NumPy has none.
    """
    if number in SMALL:
        return np.dtype("i1" if SMALL[number][1] else "u1")
    dtype = DTYPES.get(number)
    if dtype is None:
        raise OnnxError(f"{what} is of {type_name(number)}, which NumPy has not")
    return dtype


def array_of(tensor: TensorMessage, folder: Path | None = None) -> Array:
    """Return a tensor's elements, in memory of their own.

    Parameters
    ----------
    tensor
        From a file.
    folder
        The folder of the model, where files with further data may lie; None if there is none.

    Raises
    ------
    OnnxError
        If there are more or fewer elements than the shape says, the type is one that NumPy has
        not, or the data are in a file that lies outside of the folder or is too short.
    """
    what = f"tensor {tensor.name!r}"
    dtype = dtype_of(tensor.data_type, what)
    shape = tuple(tensor.dims)
    if any(size < 0 for size in shape) or len(shape) > _MOST_DIMENSIONS:
        raise OnnxError(f"{what} has the shape {shape}")
    count = math.prod(shape)
    if tensor.data_location not in (0, _EXTERNAL):
        raise OnnxError(f"{what} is at a place {tensor.data_location}, which ONNX has not")
    if tensor.data_location == _EXTERNAL:
        place = _external(tensor, folder, what)
    elif tensor.raw_data is not None:
        raw = tensor.raw_data
        place = Place(*raw) if isinstance(raw, tuple) else Place(raw, 0, len(raw))
    else:
        return _listed(tensor, dtype, shape, count, what)
    return _from_bytes(place, tensor.data_type, dtype, count, what).reshape(shape)


def _from_bytes(place: Place, number: int, dtype: np.dtype[Any], count: int, what: str) -> Array:
    length = place.end - place.start
    bits = (
        SMALL[number][0] if number in SMALL else 8 * (2 if number == BFLOAT16 else dtype.itemsize)
    )
    if length != -(-count * bits // 8):
        raise OnnxError(f"{what} has {length:,} bytes, and its shape needs {count * bits / 8:,.0f}")
    if number in SMALL:
        packed = np.frombuffer(place.data, np.uint8, length, place.start)
        return _unpacked(packed, bits, SMALL[number][1], count)
    stored = "<u2" if number == BFLOAT16 else dtype.newbyteorder("<")
    found = np.frombuffer(place.data, stored, count, place.start)
    return _widened(found) if number == BFLOAT16 else found.astype(dtype)


def _widened(bits: Array) -> Array:
    """Return bfloat16 as float32: the upper half of its bits."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _unpacked(packed: Array, bits: int, signed: bool, count: int) -> Array:
    """Return integers of few bits, the first in the lowest bits of each byte."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    values = ((packed[:, None] >> shifts) & ((1 << bits) - 1)).ravel()[:count]
    return wrapped(values, bits, signed).astype(np.int8 if signed else np.uint8)


def wrapped(values: Array, bits: int, signed: bool) -> Array:
    """Return what the lowest bits of integers mean.

    >>> wrapped(np.array([7, 8, -9]), 4, True)
    array([ 7, -8,  7])
    """
    sign = 1 << (bits - 1) if signed else 0
    low = values.astype(np.int64) & ((1 << bits) - 1)
    return (low ^ sign) - sign


def nearest_bfloat16(values: Array) -> Array:
    """Return float32 rounded to what bfloat16 holds, halves to even.

    >>> nearest_bfloat16(np.array([1.001], np.float32))
    array([1.], dtype=float32)
    """
    bits = values.view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return np.where(np.isfinite(values), rounded.view(np.float32), values)


def _listed(
    tensor: TensorMessage, dtype: np.dtype[Any], shape: tuple[int, ...], count: int, what: str
) -> Array:
    """Return elements that stand one by one in the field for their type."""
    number = tensor.data_type
    values = getattr(tensor, _FIELDS.get(number, "int32_data"))
    if number in SMALL:
        bits = SMALL[number][0]
        if len(values) != -(-count * bits // 8):
            raise OnnxError(f"{what} has {len(values):,} bytes for its shape {shape}")
        packed = (np.asarray(values, np.int64) & 255).astype(np.uint8)
        return _unpacked(packed, bits, SMALL[number][1], count).reshape(shape)
    if len(values) != count:
        raise OnnxError(f"{what} has {len(values):,} elements, and its shape needs {count:,}")
    if number in (BFLOAT16, 10):  # their bits as integers
        bits16 = (np.asarray(values, np.int64) & 0xFFFF).astype(np.uint16)
        found = _widened(bits16) if number == BFLOAT16 else bits16.view(np.float16)
        return found.reshape(shape)
    if dtype.kind in "iu":
        return np.asarray(values, np.int64).astype(dtype).reshape(shape)
    return np.asarray(values).astype(dtype).reshape(shape)


def _external(tensor: TensorMessage, folder: Path | None, what: str) -> Place:
    """Read the bytes of a tensor that lie in another file of the model's folder."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if folder is None:
        raise OnnxError(f"{what} is in the file {location!r}: give load the model's path")
    if "\0" in location:
        raise OnnxError(f"{what} is in a file whose name has a byte 0")
    path = folder / location
    inside = path.resolve().is_relative_to(folder.resolve())
    if not location or Path(location).is_absolute() or not inside:
        raise OnnxError(f"{what} is in {location!r}, which is outside of the model's folder")
    try:
        offset, length = int(entries.get("offset") or 0), int(entries.get("length") or -1)
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise OnnxError(f"{what}: its data in {location!r} cannot be read: {error}") from None
    if not path.is_file():
        raise OnnxError(f"{what} is in {location!r}, which is no file")
    length = size - offset if length < 0 else length
    if offset < 0 or length < 0 or offset + length > size:
        raise OnnxError(
            f"{what} is {length:,} bytes from {offset:,} on in {location!r}, which has {size:,}"
        )
    with path.open("rb") as file:
        file.seek(offset)
        return Place(file.read(length), 0, length)


def write_tensor(name: str, array: Array, number: int | None = None) -> TensorMessage:
    """Return a tensor that holds an array's elements as bytes.

    Parameters
    ----------
    name, array
        What it is called, and holds.
    number
        ONNX's type to write it in; the array's own if None.

    Raises
    ------
    OnnxError
        If ONNX has no such type.

    >>> write_tensor("w", np.zeros((2, 3), np.float32)).dims
    [2, 3]
    """
    if number is None:
        number = NUMBERS.get(array.dtype.newbyteorder("="))
        if number is None:
            raise OnnxError(f"tensor {name!r} is of {array.dtype}, which ONNX has not")
    if number == BFLOAT16:
        bits = nearest_bfloat16(array.astype(np.float32)).view(np.uint32) >> 16
        content = bits.astype("<u2").tobytes()
    else:
        content = array.astype(DTYPES[number].newbyteorder("<")).tobytes()
    return TensorMessage(name=name, dims=list(array.shape), data_type=number, raw_data=content)
