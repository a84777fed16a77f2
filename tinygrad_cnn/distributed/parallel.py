"""`DataParallel`: one model on every rank, each with its part of a batch, that learn as one."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np

from tinygrad_cnn.base import TensorBase
from tinygrad_cnn.distributed.collectives import broadcast
from tinygrad_cnn.distributed.reducer import Reducer
from tinygrad_cnn.distributed.sync_norm import SyncBatchNorm
from tinygrad_cnn.distributed.world import DistributedError, world
from tinygrad_cnn.graph import mode
from tinygrad_cnn.nn import Module
from tinygrad_cnn.nn import SyncBatchNorm as AloneBatchNorm

__all__ = ["DataParallel"]

_AVERAGES = ("samples", "ranks")


class DataParallel(Module):
    """A model on every rank, which after each backward pass hold the same gradients.

    At the start parameters and buffers become those of rank 0. In a backward pass the gradients of
    all ranks are added up, in buckets and while it goes on; ``grad`` then is that of the mean loss
    over the joint batch, ``Σ_r n_r·g_r / Σ_r n_r`` for n_r samples on rank r, whose own loss is the
    mean over them. So optimisers, clipping and logs of gradients need no other word. A parameter
    that a rank did not use counts there as zeros; one that none used keeps ``grad`` None.

    Parameters
    ----------
    module
        The model, alike on all ranks.
    average
        "samples": a rank counts as much as the samples it passed forward, the first dimension of
        the first array or tensor in the call. "ranks": all count the same, as in PyTorch.
    bucket_cap_mb
        Megabytes of gradients in a bucket. All together are as large as the gradients.
    broadcast_buffers
        Whether buffers (running statistics) become those of rank 0 before each forward pass in
        training.

    Raises
    ------
    DistributedError
        If names, shapes or dtypes of parameters and buffers differ between ranks, on every rank.
    ValueError
        If an argument is none of these, or nothing learns.

    >>> from tinygrad_cnn import nn
    >>> model = DataParallel(nn.Linear(2, 1))
    >>> model(np.ones((3, 2), np.float32)).shape
    (3, 1)
    """

    def __init__(
        self,
        module: Module,
        *,
        average: str = "samples",
        bucket_cap_mb: float = 4,
        broadcast_buffers: bool = True,
    ) -> None:
        if average not in _AVERAGES:
            raise ValueError(
                f"DataParallel: average must be one of {', '.join(_AVERAGES)}, got {average!r}"
            )
        if not bucket_cap_mb > 0:
            raise ValueError(f"DataParallel: bucket_cap_mb must be above 0, got {bucket_cap_mb}")
        self.module = module
        self.average = average
        self.broadcast_buffers = broadcast_buffers
        learning = [p for p in module.parameters() if p.requires_grad]
        if not learning:
            raise ValueError("DataParallel: no parameter of the module requires a gradient")
        _check_alike(module)
        self._reducer: Reducer | None = None
        self._world = world()
        if world().size == 1:
            return
        for layer in module.modules():
            if type(layer) is AloneBatchNorm:
                raise ValueError(
                    "DataParallel: nn.SyncBatchNorm normalises over this rank alone: write "
                    "SyncBatchNorm.convert_sync_batchnorm(model) of tinygrad_cnn.distributed"
                )
            if isinstance(layer, SyncBatchNorm):
                layer.average = average
        for tensor in chain(module.parameters(), module.buffers()):
            broadcast(tensor)
        self._reducer = reducer = Reducer(learning, int(bucket_cap_mb * 2**20))
        ours = weakref.ref(reducer)

        def complete(parameter: Any) -> None:
            if (found := ours()) is not None:
                found.complete(parameter)

        for parameter in learning:
            parameter.register_post_accumulate_grad_hook(complete)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module."""
        if self._world is not world():
            raise ValueError(
                "DataParallel: init was given other processes since: make DataParallel anew, of "
                "model.module"
            )
        reducer = self._reducer
        if reducer is not None and self.training:
            if not all(id(p) in reducer.places for p in self.parameters() if p.requires_grad):
                raise ValueError(
                    "DataParallel: a parameter that learns was added, or unfrozen, after the model "
                    "was given: make DataParallel anew"
                )
            if self.broadcast_buffers and reducer.wanted:
                _broadcast_together(self.module)
            if mode.recording and self.average == "samples":
                rows = _rows((*args, *kwargs.values()))
                if rows is not None:
                    reducer.weight = rows + (reducer.weight or 0)
        return self.module(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> DataParallel:
        raise TypeError("DataParallel: a copy would learn alone: copy model.module")

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Let backward passes inside of the block add to this rank's gradients alone.

        The first pass after it adds all of them up over the ranks.
        """
        reducer = self._reducer
        before = True
        if reducer is not None:
            before, reducer.wanted = reducer.wanted, False
        try:
            yield
        finally:
            if reducer is not None:
                reducer.wanted = before


def _rows(arguments: tuple[Any, ...]) -> int | None:
    """Return how many samples go forward, None where no array says it."""
    for argument in arguments:
        if isinstance(argument, (TensorBase, np.ndarray)) and argument.ndim:
            return int(argument.shape[0])
    return None


def _check_alike(module: Module) -> None:
    """Raise on every rank where the models of two differ."""
    own = [
        [name, list(tensor.shape), str(tensor.dtype), tensor.requires_grad]
        for name, tensor in chain(module.named_parameters(), module.named_buffers())
    ]
    first, *others = world().texts(own)
    for number, other in enumerate(others, 1):
        if other == first:
            continue
        for a, b in zip(chain(first, [None]), chain(other, [None]), strict=False):
            if a != b:
                raise DistributedError(
                    f"DataParallel: the models differ: rank 0 has {_said(a)}, rank {number} "
                    f"{_said(b)}"
                )


def _said(entry: list[Any] | None) -> str:
    if entry is None:
        return "no more"
    name, shape, dtype, learns = entry
    return f"{name} of shape {tuple(shape)}, {dtype}{'' if learns else ', without gradient'}"


def _broadcast_together(module: Module) -> None:
    """Give every rank the running statistics of rank 0, in one message for each dtype."""
    kept = {
        id(buffer)
        for layer in module.modules()
        if isinstance(layer, SyncBatchNorm)
        for buffer in layer.buffers()
    }
    groups: dict[Any, list[Any]] = {}
    for buffer in module.buffers():
        if id(buffer) not in kept:  # those are alike on all ranks
            groups.setdefault(buffer.dtype, []).append(buffer)
    for buffers in groups.values():
        joined = broadcast(np.concatenate([buffer._data.ravel() for buffer in buffers]))
        if world().rank:
            ends = np.cumsum([buffer.numel() for buffer in buffers])
            for buffer, end in zip(buffers, ends, strict=True):
                buffer.copy_(joined[end - buffer.numel() : end].reshape(buffer.shape))
