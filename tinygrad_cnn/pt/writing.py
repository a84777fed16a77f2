"""Files as ``torch.save`` writes them, since PyTorch 1.6: what `read_pt` reads, and PyTorch too.

An archive, stored without compression: ``data.pkl`` tells how the object is put together, and a
member for each storage holds its numbers. The pickle is written instruction by instruction, and
asks for three names only: the function that rebuilds a tensor, the one for parameters, and
`OrderedDict`.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from tinygrad_cnn.types import Array

__all__ = ["Leaf", "write_pt"]

_STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}


@dataclass(frozen=True)
class Leaf:
    """An array in an object that is saved, whether it wants a gradient, and is a parameter."""

    array: Array
    requires_grad: bool = False
    parameter: bool = False


def write_pt(file: IO[bytes], content: Any, name: str = "archive") -> None:
    """Write dicts, lists, tuples, strings, numbers, None and `Leaf` as PyTorch's archive.

    Parameters
    ----------
    file
        Open for writing.
    content
        What to save. A `Leaf` that occurs twice is stored once.
    name
        The folder within the archive.

    Raises
    ------
    ValueError
        If PyTorch's files have no numbers of an array's type.
    """
    pickle = _Pickle()
    pickle.add(content)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:

        def member(path: str, data: Any) -> None:
            # A fixed hour, so that the same object is the same bytes.
            with archive.open(zipfile.ZipInfo(f"{name}/{path}"), "w", force_zip64=True) as stream:
                stream.write(data)

        member("data.pkl", pickle.finished())
        member("byteorder", b"little")
        for key, array in enumerate(pickle.storages):
            order = array.astype(array.dtype.newbyteorder("<"), copy=False)
            member(f"data/{key}", order.reshape(-1).view(np.uint8).data if array.size else b"")
        member("version", b"3\n")


class _Pickle:
    """The instructions of a pickle, protocol 2, and the storages that it refers to."""

    def __init__(self) -> None:
        self._parts = [b"\x80\x02"]
        self._keys: dict[int, int] = {}
        self.storages: list[Array] = []

    def finished(self) -> bytes:
        """Return the whole pickle."""
        return b"".join([*self._parts, b"."])

    def add(self, value: Any) -> None:
        """Add the instructions that build a value."""
        if isinstance(value, Leaf):
            self._tensor(value)
        else:
            _BUILDERS[type(value)](self, value)

    def _put(self, *parts: bytes) -> None:
        self._parts += parts

    def _whole(self, value: int) -> None:
        if -(1 << 31) <= value < 1 << 31:
            self._put(b"J" + struct.pack("<i", value))
        else:
            raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            self._put(b"\x8a" + bytes([len(raw)]) + raw)

    def _text(self, value: str) -> None:
        raw = value.encode("utf-8", "surrogatepass")
        self._put(b"X" + struct.pack("<I", len(raw)) + raw)

    def _items(self, values: Any) -> None:
        for value in values:
            self.add(value)

    def _dict(self, value: dict[Any, Any]) -> None:
        self._put(b"}", b"(")
        self._items(part for item in value.items() for part in item)
        self._put(b"u")

    def _list(self, value: list[Any]) -> None:
        self._put(b"]", b"(")
        self._items(value)
        self._put(b"e")

    def _tuple(self, value: tuple[Any, ...]) -> None:
        self._put(b"(")
        self._items(value)
        self._put(b"t")

    def _name(self, module: str, name: str) -> None:
        self._put(f"c{module}\n{name}\n".encode())

    def _tensor(self, leaf: Leaf) -> None:
        if leaf.parameter:
            self._name("torch._utils", "_rebuild_parameter")
            self._put(b"(")
        array = leaf.array
        key = self._keys.setdefault(id(array), len(self.storages))
        if key == len(self.storages):
            self.storages.append(np.ascontiguousarray(array))
        kind = _STORAGES.get(array.dtype.name)
        if kind is None:
            raise ValueError(
                f"PyTorch's files have no numbers of {array.dtype}; save as .npz, or convert them"
            )
        self._name("torch._utils", "_rebuild_tensor_v2")
        self._put(b"((")
        self._text("storage")
        self._name("torch", kind)
        self._items([str(key), "cpu", array.size])
        self._put(b"tQ")
        strides = [1]
        for size in array.shape[:0:-1]:
            strides.insert(0, strides[0] * max(size, 1))
        self._items([0, array.shape, tuple(strides[: array.ndim]), leaf.requires_grad])
        self._hooks()
        self._put(b"tR")
        if leaf.parameter:
            self.add(leaf.requires_grad)
            self._hooks()
            self._put(b"tR")

    def _hooks(self) -> None:
        self._name("collections", "OrderedDict")
        self._put(b")R")


_BUILDERS: dict[type, Callable[[_Pickle, Any], None]] = {
    type(None): lambda pickle, _: pickle._put(b"N"),
    bool: lambda pickle, value: pickle._put(b"\x88" if value else b"\x89"),
    int: _Pickle._whole,
    float: lambda pickle, value: pickle._put(b"G" + struct.pack(">d", value)),
    str: _Pickle._text,
    dict: _Pickle._dict,
    list: _Pickle._list,
    tuple: _Pickle._tuple,
}
