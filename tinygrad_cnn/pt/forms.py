"""The two forms of files: the archive since PyTorch 1.6, and the stream before."""

from __future__ import annotations

import io
import zipfile
from typing import Any, BinaryIO

import numpy as np

from tinygrad_cnn.pt.machine import Machine, Refused, Storage, Wrap, as_storage, itemsize
from tinygrad_cnn.types import Array

__all__ = ["read_archive", "read_stream"]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def read_archive(file: BinaryIO, wrap: Wrap | None) -> Any:
    """Read the form since PyTorch 1.6: a zip archive, stored without compression."""
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in members if name.endswith("/data.pkl") or name == "data.pkl"]
        if len(pickles) != 1:
            raise Refused("the archive holds no data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}constants.pkl" in members:
            raise Refused("it is a TorchScript program; save model.state_dict() instead")
        size = file.seek(0, io.SEEK_END)
        if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
            raise Refused("its members are compressed, which torch.save never does")
        if sum(info.file_size for info in members.values()) > size:
            raise Refused("its members would be larger than the file")

        def member(name: str) -> bytearray:
            info = members.get(folder + name)
            if info is None:
                raise Refused(f"the archive holds no {name}")
            return bytearray(archive.read(info))

        big = f"{folder}byteorder" in members and bytes(member("byteorder")) == b"big"
        kept: dict[str, tuple[str, Storage]] = {}

        def storage(dtype: str, key: str, count: int) -> Storage:
            if key not in kept:
                kept[key] = (dtype, as_storage(dtype, member(f"data/{key}"), big))
            if kept[key][0] != dtype or kept[key][1].array.size < count:
                raise Refused(f"storage {key} does not hold {count} numbers of {dtype}")
            return kept[key][1]

        return Machine(storage, wrap, big).run(io.BytesIO(member("data.pkl")))


def read_stream(file: BinaryIO, size: int, wrap: Wrap | None) -> Any:
    """Read the form before: pickles, the last of which is followed by the storages.

    The storages come last, but tensors are put together from them: their memory is taken first,
    once the file has shown that it is large enough, and filled at the end.
    """
    pickles = io.BytesIO(file.read(min(size, 1 << 30)))
    plain = Machine(_no_storage, None)
    if plain.run(pickles) != _MAGIC:
        raise Refused("it begins with neither of the two forms")
    if plain.run(pickles) != _PROTOCOL:
        raise Refused("its protocol is unknown")
    system = plain.run(pickles)
    big = isinstance(system, dict) and system.get("little_endian") is False
    wanted: dict[str, tuple[str, int, Array]] = {}
    total = 0

    def storage(dtype: str, key: str, count: int) -> Storage:
        nonlocal total
        if key not in wanted:
            total += count * itemsize(dtype)
            if total > size:
                raise Refused("its storages would be larger than the file")
            wide = "float32" if dtype == "bfloat16" else dtype
            wanted[key] = dtype, count, np.empty(count, wide)
        if wanted[key][:2] != (dtype, count):
            raise Refused(f"storage {key} is described twice, and differently")
        return Storage(dtype, wanted[key][2])

    machine = Machine(storage, wrap, big)
    content = machine.run(pickles)
    keys = plain.run(pickles)
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(wanted):
        raise Refused("the list of its storages is not that of its tensors")
    file.seek(pickles.tell())
    order = ">" if big else "<"
    for key in keys:
        dtype, count, array = wanted[str(key)]
        header, need = file.read(8), count * itemsize(dtype)
        if len(header) < 8 or int(np.frombuffer(header, f"{order}i8")[0]) != count:
            raise Refused(f"storage {key} is not as long as its tensors need")
        raw = bytearray(file.read(need))
        if len(raw) < need:
            raise Refused("it is cut short")
        array[...] = as_storage(dtype, raw, big).array
    return content


def _no_storage(dtype: str, key: str, count: int) -> Storage:
    raise Refused(f"a storage of {count} {dtype} ({key}) where there can be none")
