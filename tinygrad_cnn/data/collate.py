"""Batches out of lists of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.ops.join import stack
from tinygrad_cnn.tensor import Tensor, as_tensor
from tinygrad_cnn.types import Array

__all__ = ["default_collate", "default_convert", "fresh"]


def fresh(array: Array) -> Tensor:
    """Make a tensor of an array that nobody else holds: there is nothing to watch or copy.

    Raises
    ------
    TypeError
        If the array does not hold real numbers.
    """
    if type(array) is np.ndarray and array.dtype.kind in "fiub":
        return Tensor._wrap(array, None)
    return as_tensor(array)


def default_collate(batch: Sequence[Any]) -> Any:
    """Make a batch of samples, as PyTorch's: numbers and arrays become tensors, the rest by parts.

    Parameters
    ----------
    batch
        B samples, alike: arrays, tensors or numbers of one shape; strings; or dicts, tuples
        (named ones too) and lists of these, nested to any depth.

    Returns
    -------
    For arrays, tensors and numbers a tensor with B rows, for strings a list; for a dict or a named
    tuple one of the same kind and for a tuple or a list a list, whose parts are batches.

    Raises
    ------
    ValueError
        If the samples differ in their shapes, keys or numbers of parts, or there are none.
    TypeError
        If a sample, or a part of it, is something else, such as None.

    Examples
    --------
    >>> default_collate([(np.zeros(2), 0), (np.ones(2), 1)])
    [tensor([[0., 0.],
            [1., 1.]], dtype=float64), tensor([0, 1])]
    >>> default_collate([{"x": 1.5, "name": "a"}, {"x": 2.5, "name": "b"}])
    {'x': tensor([1.5, 2.5], dtype=float64), 'name': ['a', 'b']}
    """
    if not isinstance(batch, Sequence):
        raise TypeError(f"default_collate: expected a list of samples, got {type(batch).__name__}")
    if not batch:
        raise ValueError("default_collate: got no samples")
    return _collated(list(batch), "samples")


def _collated(parts: list[Any], where: str) -> Any:
    """Make a batch of the parts at one place of all samples."""
    first = parts[0]
    name, own = type(first).__name__, "pass a collate function of your own"
    if not (_are(Tensor, parts) or _are_numbers(parts)) and any(
        type(part) is not type(first) for part in parts
    ):
        kinds = ", ".join(sorted({type(part).__name__ for part in parts}))
        raise TypeError(
            f"default_collate: the {where} of a batch are of several types, {kinds}; {own}"
        )
    if isinstance(first, (str, bytes)):
        return parts
    if isinstance(first, Mapping):
        if any(part.keys() != first.keys() for part in parts):
            raise ValueError(f"default_collate: the {where} of a batch differ in their keys; {own}")
        return {key: _collated([p[key] for p in parts], f"{where}[{key!r}]") for key in first}
    if isinstance(first, (tuple, list)):
        if any(len(part) != len(first) for part in parts):
            raise ValueError(f"default_collate: the {where} of a batch differ in length; {own}")
        columns = zip(*parts, strict=True)
        batches = [_collated([*c], f"{where}[{i}]") for i, c in enumerate(columns)]
        kind: Any = type(first)
        return kind(*batches) if hasattr(first, "_fields") else batches
    try:
        if isinstance(first, Tensor):
            if any(part.requires_grad for part in parts):
                return stack(parts)  # which records
            parts = [part._data for part in parts]
        numbers = isinstance(first, (int, float, np.number))  # of which this is ten times as quick
        batch = np.array(parts) if numbers else np.stack(parts)
    except ValueError as error:
        raise ValueError(
            f"default_collate: the {where} of a batch differ and cannot be stacked ({error}); {own}"
        ) from error
    if batch.dtype.kind not in "fiub":
        raise TypeError(
            f"default_collate: the {where} are of type {name}, which makes no batch; {own}"
        )
    return fresh(batch)


def _are(kind: type, parts: list[Any]) -> bool:
    return all(isinstance(part, kind) for part in parts)


def _are_numbers(parts: list[Any]) -> bool:
    return all(isinstance(part, (int, float, np.generic, np.ndarray)) for part in parts)


def default_convert(data: Any) -> Any:
    """Make tensors of the arrays in a sample, and leave the rest as it is.

    >>> default_convert({"x": np.ones(2), "name": "a"})
    {'x': tensor([1., 1.], dtype=float64), 'name': 'a'}
    """
    if isinstance(data, (np.ndarray, np.generic)) and data.dtype.kind in "fiub":
        return as_tensor(np.asarray(data))
    if isinstance(data, Mapping):
        return {key: default_convert(value) for key, value in data.items()}
    if isinstance(data, (tuple, list)):
        parts = [default_convert(part) for part in data]
        kind: Any = type(data)
        return kind(*parts) if hasattr(data, "_fields") else parts
    return data
