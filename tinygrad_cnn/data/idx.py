"""Read and write idx files, the format of MNIST.

An idx file is two zero bytes, a byte for the type of the values, a byte for the number of
dimensions, each dimension as a big-endian 32-bit integer, then the values, big-endian, the last
dimension running fastest. Files are often gzip-compressed; that is seen from their content.

The header is never trusted: what it promises is compared with the size of the file before
anything of that size is allocated.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.atomic import atomic_file
from tinygrad_cnn.npz import require_file

__all__ = ["MOST_BYTES", "IdxError", "idx_digest", "read_idx", "write_idx"]

_DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(np.uint8),
    0x09: np.dtype(np.int8),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_CODES = {dtype.newbyteorder("="): code for code, dtype in _DTYPES.items()}
_NAMES = ", ".join(str(dtype) for dtype in _CODES)

_GZIP_MAGIC = b"\x1f\x8b"
# DEFLATE cannot do better than 258 bytes out of two bits, which is 1032 to 1.
_MAX_GZIP_RATIO = 1032
_CHUNK = 1 << 20
MOST_BYTES = 1 << 30
"""The most bytes of values that are read unless the caller says otherwise: 1 GiB."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class IdxError(ValueError):
    """A file is not a whole, sound idx file; the message names the file and what is wrong."""


def read_idx(path: str | os.PathLike[str], *, max_bytes: int = MOST_BYTES) -> npt.NDArray[Any]:
    """Read an idx file, gzip-compressed or not, into an array of its own shape and type.

    Parameters
    ----------
    path
        The file. Whether it is compressed is seen from its content, never from its name.
    max_bytes
        Refuse, before reading the values, a file that promises more bytes of them than this,
        which is 1 GiB where nothing is said.

    Returns
    -------
    A writable array in the machine's byte order, of type uint8, int8, int16, int32, float32 or
    float64.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    IdxError
        If it is no file (a folder, a pipe) or not idx, is truncated, holds more than its header
        promises, promises more than `max_bytes`, or is a corrupted gzip file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_idx(f"{folder}/labels.gz", np.array([5, 0, 4], dtype=np.uint8))
    ...     read_idx(f"{folder}/labels.gz")
    array([5, 0, 4], dtype=uint8)
    """
    path = Path(path)
    try:
        require_file(path)
        raw = path.open("rb")
    except FileNotFoundError:
        raise FileNotFoundError(f"read_idx: there is no file {path}") from None
    except ValueError as error:
        raise IdxError(f"read_idx: {error}") from None
    with raw:
        compressed = raw.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        raw.seek(0)
        file_size = os.fstat(raw.fileno()).st_size
        if not compressed:
            return _read_stream(raw, path, file_size, max_bytes)
        try:
            with gzip.GzipFile(fileobj=raw) as stream:
                return _read_stream(stream, path, file_size * _MAX_GZIP_RATIO, max_bytes)
        except EOFError:
            raise IdxError(f"read_idx: {path}: the gzip file is truncated") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise IdxError(f"read_idx: {path}: the gzip file is corrupted ({error})") from error


def _read_stream(
    stream: _Readable, path: Path, most_possible: int, max_bytes: int
) -> npt.NDArray[Any]:
    """Read header and values; `most_possible` bounds the bytes that the file can contain."""
    dtype, shape = _read_header(stream, path)
    size = math.prod(shape) * dtype.itemsize
    promise = f"the header promises {size:,} bytes of values, shape {shape} of {dtype.name}"
    if size > most_possible:
        raise IdxError(f"read_idx: {path}: truncated: {promise}, more than the file can contain")
    if size > max_bytes:
        raise IdxError(f"read_idx: {path}: {promise}; at most {max_bytes:,} were expected")
    # One byte more than promised: it shows trailing bytes, and takes gzip to its checksum.
    values = _read_at_most(stream, size + 1)
    if len(values) < size:
        raise IdxError(f"read_idx: {path}: truncated: {promise}, the file holds {len(values):,}")
    if len(values) > size:
        raise IdxError(f"read_idx: {path}: {promise}, the file holds more than that")
    array = np.frombuffer(values, dtype)
    try:
        array = array.reshape(shape)
    except ValueError as error:  # dimensions with a zero among them may still be out of range
        raise IdxError(f"read_idx: {path}: impossible shape {shape} in the header") from error
    return array.astype(dtype.newbyteorder("="), copy=False)


def _read_header(stream: _Readable, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES:
        raise IdxError(
            f"read_idx: {path} is not an idx file: expected it to begin with two zero bytes and "
            f"a type code of {', '.join(f'{code:02x}' for code in _DTYPES)}, "
            f"got {magic.hex(' ') or 'an empty file'}"
        )
    ndim = magic[3]
    dimensions = stream.read(4 * ndim)
    if len(dimensions) < 4 * ndim:
        raise IdxError(f"read_idx: {path}: truncated within the header's {ndim} dimensions")
    return _DTYPES[magic[2]], struct.unpack(f">{ndim}I", dimensions)


def _read_at_most(stream: _Readable, size: int) -> bytearray:
    """Read up to `size` bytes, with memory growing with what arrives and not with `size`."""
    data = bytearray()
    while len(data) < size:
        chunk = stream.read(min(_CHUNK, size - len(data)))
        if not chunk:
            break
        data += chunk
    return data


def write_idx(path: str | os.PathLike[str], array: npt.ArrayLike) -> None:
    """Write an array as an idx file, gzip-compressed if the name ends in ``.gz``.

    The bytes depend on the array alone (the gzip header holds neither time nor name), and the
    file appears whole or not at all: it is written beside its place and renamed.

    Parameters
    ----------
    path
        The file to write; one that exists is replaced.
    array
        An array of any shape, of type uint8, int8, int16, int32, float32 or float64.

    Raises
    ------
    TypeError
        If idx has no code for the array's type.
    ValueError
        If a dimension does not fit 32 bits.

    Examples
    --------
    >>> write_idx("labels.idx", np.array([1, 2]))
    Traceback (most recent call last):
        ...
    TypeError: write_idx: idx holds uint8, int8, int16, int32, float32, float64, got int64
    """
    path = Path(path)
    values = np.asarray(array)
    content: Any = _encode(values)
    if path.suffix == ".gz":
        buffer = io.BytesIO()
        with gzip.GzipFile("", "wb", compresslevel=9, fileobj=buffer, mtime=0) as stream:
            for part in content:
                stream.write(part)
        content = [buffer.getvalue()]
    with atomic_file(path) as file:
        for part in content:
            file.write(part)


def idx_digest(array: npt.NDArray[Any], algorithm: str) -> str:
    """Return a checksum, in hexadecimal, of the uncompressed idx file that holds `array`.

    An array has exactly one idx file, so this identifies the file that it was read from.
    `algorithm` is a name that `hashlib.new` knows.

    >>> idx_digest(np.zeros(3, dtype=np.uint8), "md5")
    '4746b2ac82b10c4a0c9531be9f072ff6'
    """
    digest = hashlib.new(algorithm, usedforsecurity=False)
    for part in _encode(array):
        digest.update(part)
    return digest.hexdigest()


def _encode(array: npt.NDArray[Any]) -> tuple[bytes, memoryview]:
    """Return the header and the values, big-endian, as bytes; uint8 values are not copied."""
    code = _CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        raise TypeError(f"write_idx: idx holds {_NAMES}, got {array.dtype}")
    if any(dimension >= 1 << 32 for dimension in array.shape):
        raise ValueError(f"write_idx: each dimension must fit 32 bits, got shape {array.shape}")
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    values = np.ascontiguousarray(array, _DTYPES[code]).reshape(-1)
    return header, values.view(np.uint8).data
