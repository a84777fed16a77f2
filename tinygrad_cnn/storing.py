"""Objects as files: tensors in dicts, lists and tuples, with numbers and strings between them.

The suffix says which kind of file. ``.npz`` and ``.safetensors`` hold the arrays by name and, where
that is not all, a text in JSON that says how they belong together. Any other suffix, ``.pt`` and
``.pth`` by custom, is PyTorch's own kind, which PyTorch reads too. None of them is executed when it
is read, and all appear whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np

from tinygrad_cnn.atomic import atomic_file
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.nn.weights import read_arrays, write_arrays
from tinygrad_cnn.pt import read_pt, read_pt_file
from tinygrad_cnn.pt.writing import Leaf, write_pt
from tinygrad_cnn.tensor import Tensor, as_tensor
from tinygrad_cnn.types import Array

__all__ = ["load", "save"]

_OWN = (".npz", ".safetensors")
_TREE = "tinygrad_cnn.json"  # the array that holds the text
_DEEPEST = 200


def save(obj: Any, f: str | os.PathLike[str] | IO[bytes]) -> None:
    """Write an object to a file: a state_dict, a checkpoint, tensors.

    Parameters
    ----------
    obj
        Tensors, arrays, numbers, strings and None, in dicts, lists and tuples to any depth. Whether
        a tensor requires a gradient is kept; a tensor that occurs several times is stored once.
    f
        Ends in ``.npz`` or in ``.safetensors`` (which needs the package of that name); any other
        name, or a file open for writing, is a file as PyTorch writes it.

    Raises
    ------
    TypeError
        If there is something else in it, such as a module; the message says where.
    ValueError
        If it contains itself, or the kind of file has no numbers of a tensor's type.
    ImportError
        If the suffix asks for a package that is not installed.

    Examples
    --------
    >>> import tempfile
    >>> checkpoint = {"epoch": 3, "model": {"weight": Tensor([1.0, 2.0])}, "betas": (0.9, 0.999)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(checkpoint, f"{folder}/checkpoint.npz")
    ...     load(f"{folder}/checkpoint.npz")
    {'epoch': 3, 'model': {'weight': tensor([1., 2.])}, 'betas': (0.9, 0.999)}
    """
    content = _Tree().plain(obj, "obj", 0)
    if not isinstance(f, (str, os.PathLike)):
        write_pt(f, content)
        return
    path = Path(f)
    if path.suffix in _OWN:
        write_arrays(path, _flat(content))
        return
    with atomic_file(path) as file:
        write_pt(file, content, path.stem or "archive")


def load(f: str | os.PathLike[str] | BinaryIO) -> Any:
    """Read what `save` wrote, or ``torch.save``; nothing in the file is executed.

    Parameters
    ----------
    f
        The file; its suffix says of which kind it is, as for `save`. Or a file open for reading.

    Returns
    -------
    The object. Its arrays are tensors, each in memory of its own unless it was one tensor.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged or of another kind, or asks for more than tensors; the message names it.
    """
    if not isinstance(f, (str, os.PathLike)):
        return read_pt_file(f, as_leaf)
    path = Path(f)
    if path.suffix not in _OWN:
        return read_pt(path, as_leaf)
    arrays = read_arrays(path)
    text = arrays.pop(_TREE, None)
    if text is None:
        return {name: as_tensor(array) for name, array in arrays.items()}
    try:
        return _rebuilt(json.loads(text.tobytes()), arrays, {})
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ValueError(f"load: {path} is damaged: {error!r:.100}") from error


def as_leaf(array: Array, requires_grad: bool) -> Tensor:
    """Make a tensor of an array of a file."""
    return as_tensor(array, requires_grad=requires_grad)


# ------------------------------------------------------------------------------- into a file


class _Tree:
    """Objects as plain containers with a `Leaf` for each tensor, the same one for the same."""

    def __init__(self) -> None:
        self._leaves: dict[Any, Leaf] = {}

    def plain(self, value: Any, where: str, depth: int) -> Any:
        """Return a value in the form that files take; `where` is its place in the object."""
        if depth > _DEEPEST:
            raise ValueError(f"save: {where[:80]}… is too deep, or contains itself")
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, (Tensor, np.ndarray)):
            return self._leaf(value, where)
        if isinstance(value, np.generic) and value.dtype.kind in "fiub":
            return value.item()
        if isinstance(value, Mapping):
            return {
                self._key(key, where): self.plain(part, f"{where}[{key!r}]", depth + 1)
                for key, part in value.items()
            }
        if isinstance(value, (tuple, list)):
            parts = [self.plain(p, f"{where}[{i}]", depth + 1) for i, p in enumerate(value)]
            return tuple(parts) if isinstance(value, tuple) else parts
        for kind in (bool, int, float, str):  # of a class of its own: an int that can be called
            if isinstance(value, kind):
                return kind(value)
        raise TypeError(
            f"save: {where} is of type {type(value).__name__}; files hold tensors, numbers, "
            "strings, dicts, lists and tuples"
            + (": save its state_dict()" if hasattr(value, "state_dict") else "")
        )

    def _key(self, key: Any, where: str) -> Any:
        if key is None or isinstance(key, (str, int, float, bool)):
            return key
        raise TypeError(
            f"save: a key of {where} is of type {type(key).__name__}; keys are strings and numbers"
        )

    def _leaf(self, value: Any, where: str) -> Leaf:
        array = value._data if isinstance(value, Tensor) else value
        if array.dtype.kind not in "fiub":
            raise TypeError(f"save: {where} is an array of {array.dtype}; files hold real numbers")
        wants = isinstance(value, Tensor) and value.requires_grad
        parameter = isinstance(value, Parameter)
        address = array.__array_interface__["data"][0]
        same = (address, array.shape, array.strides, array.dtype, wants, parameter)
        if same not in self._leaves:
            self._leaves[same] = Leaf(np.asarray(array, order="C"), wants, parameter)
        return self._leaves[same]


def _flat(content: Any) -> dict[str, Array]:
    """Return the arrays of an object by name, and how they belong together if that is not all."""
    if isinstance(content, dict) and content and _TREE not in content:
        plain = [isinstance(part, Leaf) and not part.requires_grad for part in content.values()]
        if all(plain) and all(isinstance(key, str) for key in content):
            return {name: leaf.array for name, leaf in content.items()}
    arrays: dict[str, Array] = {}
    tree = _described(content, "", arrays, {})
    text = json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return {**arrays, _TREE: np.frombuffer(text, np.uint8)}


def _described(value: Any, name: str, arrays: dict[str, Array], names: dict[int, str]) -> Any:
    """Return a value as JSON has it, and add its arrays by names that tell their places."""
    if isinstance(value, Leaf):
        if id(value) not in names:
            free = name or "tensor"
            while free in arrays or free == _TREE:
                free += "'"
            names[id(value)] = free
            arrays[free] = value.array
        kind = "parameter" if value.parameter else "tensor"
        return {kind: names[id(value)], "requires_grad": value.requires_grad}
    inner = f"{name}/" if name else ""
    if isinstance(value, dict):
        items = value.items()
        return {"dict": [[k, _described(v, f"{inner}{k}", arrays, names)] for k, v in items]}
    if isinstance(value, (list, tuple)):
        parts = [_described(v, f"{inner}{i}", arrays, names) for i, v in enumerate(value)]
        return {"tuple": parts} if isinstance(value, tuple) else parts
    return value


# ------------------------------------------------------------------------------- out of a file


def _rebuilt(tree: Any, arrays: Mapping[str, Array], known: dict[str, Tensor]) -> Any:
    """Return the value that `_described` described."""
    if isinstance(tree, list):
        return [_rebuilt(part, arrays, known) for part in tree]
    if not isinstance(tree, dict):
        return tree
    if "dict" in tree:
        return {key: _rebuilt(part, arrays, known) for key, part in tree["dict"]}
    if "tuple" in tree:
        return tuple(_rebuilt(part, arrays, known) for part in tree["tuple"])
    kind = "parameter" if "parameter" in tree else "tensor"
    name, wants = tree[kind], bool(tree["requires_grad"])
    if name not in known:
        plain = as_tensor(arrays[name])
        known[name] = Parameter(plain, wants) if kind == "parameter" else plain
        if kind == "tensor":
            plain.requires_grad_(wants)
    return known[name]
