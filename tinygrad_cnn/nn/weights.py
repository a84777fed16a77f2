"""Files of named arrays: ``.npz`` (NumPy's own), ``.safetensors``, and PyTorch's ``.pt``, ``.pth``.

Nothing is executed when one is read (see `tinygrad_cnn.pt`). For whole checkpoints there is
`tinygrad_cnn.save`.

A file takes its name only once it is complete, so that an incomplete one never replaces the old.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn.atomic import atomic_file
from tinygrad_cnn.npz import read_npz, require_file, write_npz
from tinygrad_cnn.pt import find_state_dict, read_pt
from tinygrad_cnn.pt.writing import Leaf, write_pt
from tinygrad_cnn.types import Array

__all__ = ["read_arrays", "write_arrays"]

_PYTORCH = (".pt", ".pth")


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write named arrays to a file, whole or not at all; the suffix says which kind.

    Parameters
    ----------
    path
        Ends in ``.npz``, in ``.safetensors`` (which needs the package of that name), or in ``.pt``
        or ``.pth``: a file as PyTorch writes it.
    arrays
        Any shapes; the dtypes of real numbers.

    Raises
    ------
    ValueError
        If the suffix is another, or an array holds Python objects.
    ImportError
        If the suffix asks for a package that is not installed.
    """
    target = _known(path, "save_weights")
    ordered = {name: np.asarray(a, order="C") for name, a in arrays.items()}
    if target.suffix == ".npz":
        with atomic_file(target) as file:
            write_npz(file, ordered)
    elif target.suffix in _PYTORCH:
        with atomic_file(target) as file:
            write_pt(file, {name: Leaf(array) for name, array in ordered.items()}, target.stem)
    else:
        save_file = _safetensors("save_weights").save_file
        with atomic_file(target) as file:
            save_file(ordered, file.name)


def read_arrays(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Read the arrays that `write_arrays` wrote, or the state_dict in a file of ``torch.save``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is cut short, damaged or of another kind, holds Python objects, or its
        compressed arrays would take more than 256 MiB (uncompressed ones may have any size).
    ImportError
        If the suffix asks for a package that is not installed.
    """
    source = _known(path, "load_weights")
    safetensors = _safetensors("load_weights") if source.suffix == ".safetensors" else None
    try:
        require_file(source)
        if safetensors is not None:
            return dict(safetensors.load_file(source))
        return read_npz(source) if source.suffix == ".npz" else find_state_dict(read_pt(source))
    except FileNotFoundError:
        raise FileNotFoundError(f"load_weights: there is no file {source}") from None
    except (OSError, MemoryError):
        raise
    except Exception as error:  # SafetensorError is defined outside of Python's hierarchy
        raise ValueError(f"load_weights: {source} is not a file of weights: {error}") from error


def _known(path: str | os.PathLike[str], function: str) -> Path:
    """Return the path if its suffix is a known one."""
    known = Path(path)
    if known.suffix not in (".npz", ".safetensors", *_PYTORCH):
        raise ValueError(
            f"{function}: expected a name ending in .npz, .safetensors, .pt or .pth, got {known}"
        )
    return known


def _safetensors(function: str) -> Any:
    """Return the module that reads and writes safetensors for NumPy."""
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError(
            f"{function}: .safetensors needs the package safetensors: "
            "pip install 'tinygrad-cnn[safetensors]', or use a name ending in .npz"
        ) from None
    return safetensors.numpy
