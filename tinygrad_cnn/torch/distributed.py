"""``torch.distributed``: the functions that training scripts call, over MPI.

The processes are those that ``mpiexec`` started, whatever `init_process_group` is told of backends
and addresses; without it there is one.
"""

from __future__ import annotations

import importlib.util
from enum import Enum
from typing import Any

from tinygrad_cnn import distributed
from tinygrad_cnn.torch.absent import absent

__all__ = [
    "ReduceOp",
    "all_gather",
    "all_reduce",
    "barrier",
    "broadcast",
    "destroy_process_group",
    "get_rank",
    "get_world_size",
    "init_process_group",
    "is_available",
    "is_initialized",
]


class ReduceOp(Enum):
    """How `all_reduce` combines."""

    SUM = "sum"
    AVG = "mean"
    MAX = "max"
    MIN = "min"
    PRODUCT = "prod"


def is_available() -> bool:
    """Return whether mpi4py is installed."""
    return importlib.util.find_spec("mpi4py") is not None


is_initialized = distributed.is_initialized


def init_process_group(backend: Any = None, *args: Any, **kwargs: Any) -> None:
    """Meet the other processes that ``mpiexec`` started."""
    distributed.init()


def destroy_process_group(group: Any = None) -> None:
    """Do nothing: MPI ends with the program."""


def get_rank(group: Any = None) -> int:
    """Return which process this is, from 0."""
    return distributed.rank()


def get_world_size(group: Any = None) -> int:
    """Return how many processes there are."""
    return distributed.world_size()


def barrier(*args: Any, **kwargs: Any) -> None:
    """Wait until every process is here."""
    distributed.barrier()


def broadcast(tensor: Any, src: int = 0, group: Any = None) -> None:
    """Give every process what `src` has, in place."""
    distributed.broadcast(tensor, src)


def all_reduce(tensor: Any, op: ReduceOp = ReduceOp.SUM, group: Any = None) -> None:
    """Combine the tensors of all processes, in place."""
    distributed.all_reduce(tensor, op.value)


def all_gather(tensor_list: list[Any], tensor: Any, group: Any = None) -> None:
    """Write what every process has to the tensors of a list."""
    for place, found in zip(tensor_list, distributed.all_gather(tensor), strict=True):
        place.copy_(found)


__getattr__ = absent("torch.distributed")
