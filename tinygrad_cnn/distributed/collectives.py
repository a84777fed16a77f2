"""What all processes do together, on arrays and tensors.

Every rank calls the same functions in the same order, with arrays of one shape and dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.base import TensorBase
from tinygrad_cnn.distributed.world import DistributedError, world
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.inplace import before_writing, changed
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.types import Array

__all__ = ["all_gather", "all_reduce", "barrier", "broadcast"]

_REDUCTIONS = {"sum": "SUM", "mean": "SUM", "max": "MAX", "min": "MIN", "prod": "PROD"}


def barrier() -> None:
    """Wait until every rank is here."""
    here = world()
    if here.size > 1:
        here.wait(here.comm.Ibarrier(), "barrier")


def broadcast(value: Any, src: int = 0) -> Any:
    """Give every rank what rank `src` has, in place; return it.

    Parameters
    ----------
    value
        An array or a tensor, of one shape and dtype on all ranks. It is written to.
    src
        Whose values count.

    Raises
    ------
    ValueError
        If there is no rank `src`.
    GraphError
        If the tensor is a result of the graph.

    >>> broadcast(np.array([1.0, 2.0]))
    array([1., 2.])
    """
    here = world()
    if not 0 <= src < here.size:
        raise ValueError(f"broadcast: src must be a rank below {here.size}, got {src}")
    array = _memory("broadcast", value)
    if here.size > 1:
        buffer = np.array(array, order="C")
        here.wait(here.comm.Ibcast(_bytes(buffer), root=src), "broadcast")
        _write(array, buffer)
    return value


def all_reduce(value: Any, op: str = "sum") -> Any:
    """Combine the values of all ranks element by element, in place; return them.

    ``value ← Σ_r value_r``, and every rank gets the same bits.

    Parameters
    ----------
    value
        An array or a tensor, of one shape and dtype on all ranks. It is written to.
    op
        "sum", "mean", "max", "min" or "prod".

    Raises
    ------
    ValueError
        If `op` is none of these.
    TypeError
        If the mean of integers is asked for.
    GraphError
        If the tensor is a result of the graph.

    >>> all_reduce(np.array([1.0, 2.0]), "mean")
    array([1., 2.])
    """
    if op not in _REDUCTIONS:
        raise ValueError(f"all_reduce: op must be one of {', '.join(_REDUCTIONS)}, got {op!r}")
    array = _memory("all_reduce", value)
    if op == "mean" and array.dtype.kind not in "fc":
        raise TypeError(f"all_reduce: the mean of {array.dtype} is none; reduce floats")
    here = world()
    if here.size > 1:
        # MPI has no half precision: such sums are held in float32.
        wide = np.float32 if array.dtype == np.float16 else array.dtype
        buffer = np.array(array, wide, order="C")
        start_all_reduce(buffer, op)
        if op == "mean":
            buffer /= here.size
        _write(array, buffer)
    return value


def start_all_reduce(buffer: Array, op: str = "sum") -> None:
    """Combine a contiguous buffer over all ranks in place, and wait for it."""
    from mpi4py import MPI

    here = world()
    request = here.comm.Iallreduce(MPI.IN_PLACE, buffer, getattr(MPI, _REDUCTIONS[op]))
    here.wait(request, "all_reduce")


def all_gather(value: Any) -> list[Any]:
    """Return what every rank has, in the order of ranks: arrays of arrays, tensors of tensors.

    Parameters
    ----------
    value
        An array or a tensor. Ranks may differ in its first dimension, and in nothing else.

    Raises
    ------
    DistributedError
        If dtypes or other dimensions differ, on every rank.

    >>> all_gather(np.array([1.0, 2.0]))
    [array([1., 2.])]
    """
    is_tensor = isinstance(value, TensorBase)
    array = np.ascontiguousarray(value._data if is_tensor else value)
    here = world()
    parts = [np.array(array)]
    if here.size > 1:
        known = here.texts([array.dtype.str, *array.shape])
        if any(
            len(k) != len(known[0]) or k[2:] != known[0][2:] or k[0] != known[0][0] for k in known
        ):
            raise DistributedError(f"all_gather: arrays differ beyond their rows: {known}")
        parts = [np.empty(shape, array.dtype) for _, *shape in known]
        sizes = [part.nbytes for part in parts]
        received = np.empty(sum(sizes), np.uint8)
        here.wait(here.comm.Iallgatherv(_bytes(array), [received, sizes]), "all_gather")
        ends = np.cumsum(sizes)
        for part, end in zip(parts, ends, strict=True):
            _bytes(part)[...] = received[end - part.nbytes : end]
    return [Tensor(part) for part in parts] if is_tensor else parts


def _memory(function: str, value: Any) -> Array:
    """Return the array to write to."""
    if isinstance(value, TensorBase):
        if value._node is not None:
            raise GraphError(
                f"{function}: a result of {value._node.op.name} is part of a graph, which would "
                "not know of it: write detach()"
            )
        return value._data
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{function}: expects an array or a tensor, got {type(value).__name__}")
    return value


def _bytes(array: Array) -> Array:
    """Return the memory of a contiguous array."""
    return array.reshape(-1).view(np.uint8)


def _write(array: Array, values: Array) -> None:
    before_writing(array)
    array[...] = values
    changed(array)
