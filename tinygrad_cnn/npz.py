"""NumPy's ``.npz`` archives of named arrays, read without trust in what they say of themselves.

An archive is a zip file with a member ``NAME.npy`` an array: a short header with type and shape,
then the values. Nothing is allocated for an array before its header, the zip file's directory and
the size of the file agree that it is there. Members that are compressed may together come to
`MOST_INFLATED` bytes: deflate makes a thousand bytes of one, so a small file may ask for any size.
Only plain numbers and text are read; no pickle, no structured types.
"""

from __future__ import annotations

import math
import re
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from tinygrad_cnn.types import Array

__all__ = ["MOST_INFLATED", "read_npz", "require_file", "write_npz"]


MOST_INFLATED = 1 << 28
"""The most bytes that the compressed members of one archive may have when unpacked: 256 MiB."""

_MOST_MEMBERS = 1 << 16
_MOST_HEADER = 1 << 14
_HEADER = re.compile(
    rb"\{'descr': '(?P<type>[<>|=][biufcSU][1-9][0-9]{0,5})', "
    rb"'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>[0-9, ]{0,2000})\), ?\} *\n"
)


def write_npz(file: IO[bytes], arrays: Mapping[str, Array], *, compress: bool = False) -> None:
    """Write named arrays as an archive; the same arrays are the same bytes at any time.

    `numpy.savez` takes the names as keywords, so that an array called "file" could not be saved,
    and notes the hour.

    Raises
    ------
    ValueError
        If an array holds Python objects.
    """
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = method
            with archive.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def require_file(path: Path) -> None:
    """Raise a ValueError if `path` is a folder, a pipe or a device, which may never end.

    Raises
    ------
    ValueError
        If it is something other than a file.
    OSError
        If there is nothing of that name.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path} is not a file")


def read_npz(path: Path) -> dict[str, Array]:
    """Read all arrays of an archive.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is cut short, damaged, of another kind or too large; the message begins with its name.
    """
    require_file(path)
    with path.open("rb") as file:
        size = file.seek(0, 2)
        try:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
                _check_directory(entries, size)
                return {_name(entry): _read_member(archive, entry) for entry in entries}
        except MemoryError:
            raise
        except Exception as error:  # of damaged bytes zipfile raises a dozen kinds
            said = str(error).partition("\n")[0] or type(error).__name__
            raise ValueError(f"{path} is not a sound archive of arrays: {said}") from error


def _name(entry: zipfile.ZipInfo) -> str:
    return entry.filename.removesuffix(".npy")


def _check_directory(entries: list[zipfile.ZipInfo], size: int) -> None:
    """Refuse an archive whose members cannot all lie in a file of this size, or unpack too far."""
    if len(entries) > _MOST_MEMBERS:
        raise ValueError(f"it has {len(entries):,} members, at most {_MOST_MEMBERS:,} are read")
    if len({_name(entry) for entry in entries}) < len(entries):
        raise ValueError("two members have one name")
    if sum(entry.compress_size for entry in entries) > size:
        raise ValueError("its members are longer than the file")
    inflated = 0
    for entry in entries:
        if entry.flag_bits & 1 or entry.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise ValueError(f"{entry.filename} is encrypted or compressed in an unknown way")
        if entry.compress_type == zipfile.ZIP_DEFLATED:
            inflated += entry.file_size
        elif entry.file_size != entry.compress_size:
            raise ValueError(f"{entry.filename} has two different sizes")
    if inflated > MOST_INFLATED:
        raise ValueError(
            f"its compressed members unpack to {inflated:,} bytes, at most {MOST_INFLATED:,} are "
            "read; save what is larger uncompressed"
        )


def _read_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Array:
    with archive.open(entry) as member:
        dtype, fortran, shape, taken = _read_header(member, entry.filename)
        promised = math.prod(shape) * dtype.itemsize
        if taken + promised != entry.file_size:
            raise ValueError(
                f"{entry.filename} promises {promised:,} bytes, and has {entry.file_size - taken:,}"
            )
        array = np.empty(shape, dtype, order="F" if fortran else "C")
        values = array.reshape(-1, order="A").view(np.uint8).data if promised else b""
        done = 0
        while done < promised:
            got = member.readinto(memoryview(values)[done:])  # type: ignore[attr-defined]
            if not got:
                raise ValueError(f"{entry.filename} is cut short")
            done += got
        if member.read(1):
            raise ValueError(f"{entry.filename} goes on after its values")
        return array


def _read_header(member: IO[bytes], name: str) -> tuple[np.dtype[Any], bool, tuple[int, ...], int]:
    """Return type, order and shape of an array, and the length of its header."""
    start = member.read(8)
    width = {b"\1\0": 2, b"\2\0": 4, b"\3\0": 4}.get(start[6:])
    if start[:6] != b"\x93NUMPY" or width is None:
        raise ValueError(f"{name} is not an array")
    length = int.from_bytes(member.read(width), "little")
    if length > _MOST_HEADER:
        raise ValueError(f"{name} has a header of {length:,} bytes")
    found = _HEADER.fullmatch(member.read(length))
    if found is None:
        raise ValueError(f"{name} holds something other than numbers or text, or no array")
    numbers = found["shape"].replace(b" ", b"").split(b",")
    shape = tuple(int(number) for number in numbers if number)
    return np.dtype(found["type"].decode()), found["fortran"] == b"True", shape, 8 + width + length
