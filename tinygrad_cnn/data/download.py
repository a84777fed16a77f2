"""Fetch one file from the first of several mirrors that serves it whole and sound."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from tinygrad_cnn.atomic import atomic_file

__all__ = ["DownloadError", "download"]

_CHUNK = 1 << 16
_PATIENCE = 900.0  # seconds for a whole file, however steadily its bytes drip in


class DownloadError(OSError):
    """A file could not be had; the message gives each mirror's address and reason."""


def download(
    mirrors: Sequence[str],
    destination: Path,
    verify: Callable[[Path], object],
    *,
    max_bytes: int,
    timeout: float = 30.0,
    progress: bool = True,
) -> None:
    """Download ``mirror + destination.name`` to `destination`, trying mirror after mirror.

    The file takes its name only when it has arrived whole and `verify` has passed it. Until
    then, and after an error or Ctrl-C, whatever was there before is there still. Processes
    that download the same file at once do not disturb each other.

    Parameters
    ----------
    mirrors
        Addresses of folders, tried in this order.
    destination
        The file to write; its folder is made if need be.
    verify
        Called with the path of the downloaded file; raises ValueError if the content is wrong.
    max_bytes
        The largest file to accept.
    timeout
        Seconds to wait for a connection, and for each piece of data. A whole file has 900.
    progress
        Show a progress bar, where standard error is a terminal.

    Raises
    ------
    DownloadError
        If no mirror served the file.
    """
    from http.client import HTTPException  # costs a third of the package's import: on request only

    destination.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{destination.name}"
        try:
            with atomic_file(destination) as file:
                _fetch(url, file, max_bytes, timeout, progress)
                file.flush()
                verify(Path(file.name))
            return
        # URLError and time-outs are OSErrors; a malformed address or a refused file is a
        # ValueError.
        except (OSError, ValueError, HTTPException) as error:
            failures.append(f"\n  {url}: {_printable(error)}")
    raise DownloadError(
        f"{destination.name} could not be downloaded from any mirror:"
        + ("".join(failures) or " the list of mirrors is empty")
    )


def _printable(error: Exception) -> str:
    """Return a message that may quote a server's bytes, in one short line of plain characters."""
    text = str(error) or type(error).__name__
    return text[:200] if text.isprintable() else ascii(text[:100])


def _fetch(url: str, file: IO[bytes], max_bytes: int, timeout: float, progress: bool) -> None:
    """Copy the body behind `url` to `file`; raise if it is cut short or too long."""
    import urllib.request

    from tqdm import tqdm

    with urllib.request.urlopen(url, timeout=timeout) as response:
        length = response.headers.get("Content-Length")
        total = int(length) if length is not None and length.isdecimal() else None
        if total is not None and total > max_bytes:
            raise ValueError(f"the server offers {total:,} bytes, expected at most {max_bytes:,}")
        received, until = 0, time.monotonic() + _PATIENCE
        with tqdm(
            desc=url.rpartition("/")[2],
            total=total,
            unit="B",
            unit_scale=True,
            disable=None if progress else True,  # None: only where there is a terminal
        ) as bar:
            while chunk := response.read1(_CHUNK):  # what has come, and does not wait for more
                received += len(chunk)
                if time.monotonic() > until:
                    raise ValueError(f"the server took more than {_PATIENCE:.0f} seconds")
                if received > max_bytes:
                    raise ValueError(f"the server sends more than the {max_bytes:,} bytes expected")
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and received < total:
        raise ValueError(f"the connection was cut after {received:,} of {total:,} bytes")
