"""What a trainer does with the trainers of other ranks; alone, nothing of it costs anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from tinygrad_cnn import nn
from tinygrad_cnn.distributed import (
    DataParallel,
    SyncBatchNorm,
    all_reduce,
    broadcast,
    rank,
    world_size,
)
from tinygrad_cnn.kernels.runtime.threads import set_num_threads
from tinygrad_cnn.random import drawing_from

__all__ = ["agreed", "drawing_on", "joined", "of_the_first", "resume_command", "sums"]

# How many ranks are on this machine, as MPICH, Open MPI and Slurm say it.
_LOCAL = ("MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE", "SLURM_NTASKS_PER_NODE")


def joined(model: nn.Module, threads: int) -> tuple[nn.Module, nn.Module]:
    """Return the model with statistics of the joint batch, and what to call in training.

    The ranks of a machine share its threads.
    """
    local = next((os.environ[name] for name in _LOCAL if name in os.environ), "1")
    set_num_threads(max(1, threads // (int(local) if local.isdigit() else 1)))
    model = SyncBatchNorm.convert_sync_batchnorm(model)
    return model, DataParallel(model)


def sums(loss: float, score: float, images: int) -> tuple[float, float, int]:
    """Return mean loss, sum of scores and number of images of the joint batch."""
    if world_size() == 1:
        return loss, score, images
    own = np.array([loss * images if images else 0.0, score, images])
    total, scores, count = all_reduce(own).tolist()
    return total / count, scores, int(count)


def agreed(number: int) -> int:
    """Return the largest number that a rank has, such as the signal that one of them got."""
    if world_size() == 1:
        return number
    return int(all_reduce(np.array([number]), "max")[0])


@contextmanager
def drawing_on(*seed: int) -> Iterator[None]:
    """Let each rank but the first draw from a generator of its own, made of rank and seed."""
    if rank() == 0:
        yield
        return
    with drawing_from(np.random.default_rng([*seed, rank()])):
        yield


def resume_command(folder: str) -> str:
    """Return the command that goes on with a run."""
    launcher = f"mpiexec -n {world_size()} " if world_size() > 1 else ""
    return f"{launcher}tinygrad-cnn train --resume {folder}"


def of_the_first(*numbers: float) -> list[float]:
    """Return the numbers of rank 0."""
    received: list[float] = broadcast(np.array(numbers, np.float64)).tolist()
    return received
