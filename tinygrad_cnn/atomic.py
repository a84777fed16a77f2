"""Files that appear whole or not at all, and locks that die with their holder.

A file is written under another name in the same folder, brought to the disk, and renamed: at any
moment, also that of a power failure, the name stands for the old content or the new one. A process
that is killed leaves the other name behind, which ends in ``.part``; `remove_leftovers` takes those
away that no living process is writing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed, and browsers
    fcntl = None

__all__ = ["atomic_file", "holding_folder", "is_leftover", "remove_leftovers"]

# Systems that cannot bring a folder to the disk, or lock one, say so in one of these ways.
_NOT_HERE = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.ENOSYS, errno.ENOLCK, errno.EACCES}


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a new binary file that takes the name `path` when the block ends without an error.

    Until then it is in the same folder under another name, so that processes writing the
    same file do not meet; an error, Ctrl-C included, removes it and leaves `path` as it was.
    It is open for reading too. An error in making it names `path`.

    When the block has ended the file is on the disk, not only on its way there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.part")
    try:
        try:
            file = temporary.open("x+b")
        except OSError as error:  # of a name that the user never gave
            raise type(error)(error.errno, error.strerror, str(path)) from None
        with file:
            _lock(file.fileno())  # so that no other process takes it for a leftover
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can do that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
    finally:
        os.close(descriptor)


def is_leftover(path: Path) -> bool:
    """Whether a file has a name that `atomic_file` gives to what is not yet whole."""
    return path.name.startswith(".") and path.name.endswith(".part")


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left half written in a folder."""
    for path in folder.iterdir():
        if is_leftover(path):
            with path.open("rb") as file:
                free = _lock(file.fileno())
            if free:
                path.unlink(missing_ok=True)


@contextmanager
def holding_folder(folder: Path) -> Iterator[bool]:
    """Hold a folder for this process alone; give False if another process holds it.

    The lock is the system's: it ends with the process, however that ends, and leaves no file.
    Where the system knows no such locks (Windows, some network drives) the folder is not locked.
    """
    if fcntl is None or not hasattr(os, "O_DIRECTORY"):
        yield True
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; return False if another process has locked it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
    return True
