"""Files that ``torch.save`` wrote, ``.pt`` and ``.pth``, read without running anything.

Such a file is a pickle: a program for a small machine that can call any function of Python. Here
the machine is one of our own. It builds dicts, lists, tuples, numbers and strings, and of all
functions it knows only those that put a tensor together from its storage; a file that asks for
another is refused by that name. Both forms are read: the archive (since PyTorch 1.6) and the older
stream.

`machine` runs the pickle, `forms` knows how it and the numbers lie in the file. Every size is
checked against the file before memory is taken, and tensors of one storage share it.
"""

from __future__ import annotations

import errno
import io
import os
import struct
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tinygrad_cnn.npz import require_file
from tinygrad_cnn.pt.forms import read_archive, read_stream
from tinygrad_cnn.pt.machine import Refused, Wrap
from tinygrad_cnn.types import Array

__all__ = ["find_state_dict", "read_pt", "read_pt_file"]

_DEEPEST = 100  # dicts within dicts that are searched for a state_dict
_LONGEST_MESSAGE = 300

# The names under which people keep a model's state in a checkpoint, most usual first.
_USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "module", "params", "ema")


# What Python's own readers raise for damaged bytes.
_DAMAGED = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
    EOFError,
    NotImplementedError,
    RuntimeError,  # of encrypted members
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
)


def read_pt(path: str | os.PathLike[str], wrap: Wrap | None = None) -> Any:
    """Read what ``torch.save`` wrote: dicts, lists, tuples, numbers, strings and tensors.

    Parameters
    ----------
    path
        The file.
    wrap
        Makes something of each tensor's array, given whether it required a gradient; by default
        the array is left as it is.

    Returns
    -------
    The object that was saved. Tensors that shared memory share it here. bfloat16 becomes float32.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or of another kind, asks for a function or class that is not needed
        to rebuild tensors (a whole model, for example), or holds complex, quantised or sparse
        numbers; the message names it.
    """
    source = Path(path)
    require_file(source)
    with source.open("rb") as file:
        return read_pt_file(file, wrap, str(source))


def read_pt_file(file: BinaryIO, wrap: Wrap | None = None, source: str = "the file") -> Any:
    """Read what ``torch.save`` wrote from an open file that can be sought in; see `read_pt`.

    `source` is what messages call it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged text, which is refused below
            size = file.seek(0, io.SEEK_END)
            if zipfile.is_zipfile(file):
                file.seek(0)
                return read_archive(file, wrap)
            file.seek(0)
            return read_stream(file, size, wrap)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place outside of the file
            raise
        raise ValueError(f"{source} is damaged: it points outside of itself") from None
    except (Refused, *_DAMAGED) as error:
        text = str(error)[:_LONGEST_MESSAGE]
        raise ValueError(f"{source} is not read as a file of torch.save: {text}") from None


def find_state_dict(content: Any) -> dict[str, Array]:
    """Return the arrays by name in what `read_pt` returned: a state_dict, or a checkpoint with one.

    Raises
    ------
    ValueError
        If there is none, or there are several and none has a usual name.

    >>> checkpoint = {"epoch": 3, "state_dict": {"weight": np.ones(2)}}
    >>> find_state_dict(checkpoint)
    {'weight': array([1., 1.])}
    """
    level, seen = {"": content}, set()
    for _ in range(_DEEPEST):
        dicts = {n: d for n, d in level.items() if isinstance(d, dict) and id(d) not in seen}
        seen |= {id(d) for d in dicts.values()}
        states = {n: d for n, d in dicts.items() if _is_state(d)}
        if states:
            usual = [n for word in _USUAL for n in states if n.rpartition("/")[2] == word]
            if len(states) > 1 and not usual:
                raise ValueError(f"holds several sets of arrays: {', '.join(sorted(states))}")
            return dict(states[usual[0] if usual else next(iter(states))])
        level = {
            f"{n}/{key}".lstrip("/"): value for n, d in dicts.items() for key, value in d.items()
        }
    raise ValueError("holds no arrays by name")


def _is_state(found: dict[Any, Any]) -> bool:
    """Whether a dict is a state_dict: names, and arrays alone."""
    return bool(found) and all(
        isinstance(k, str) and isinstance(v, np.ndarray) for k, v in found.items()
    )
