"""Small grey pictures as PNG, with nothing but the standard library."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["data_uri", "grey_png"]


def grey_png(pixels: npt.NDArray[Any]) -> bytes:
    r"""Encode an image (H, W) of uint8, 0 black and 255 white, as a PNG file.

    Format: PNG specification (W3C, third edition), sections 5 and 11: grey, 8 bits, no filter.

    >>> grey_png(np.zeros((2, 3), np.uint8))[:4]
    b'\x89PNG'
    """
    H, W = pixels.shape
    rows = np.zeros((H, W + 1), np.uint8)  # each row begins with the number of its filter
    rows[:, 1:] = pixels
    header = struct.pack(">IIBBBBB", W, H, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def data_uri(content: bytes, kind: str) -> str:
    """Return a file of a media type as a URI that holds it.

    >>> data_uri(b"hi", "text/plain")
    'data:text/plain;base64,aGk='
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
