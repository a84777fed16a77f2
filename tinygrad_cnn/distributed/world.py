"""The processes that work together: who they are, how they wait, and how they end together.

They are started by MPI's launcher, ``mpiexec -n N python train.py``, and each knows its `rank`,
from 0. A program started without it is a world of one process, and needs no MPI.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import traceback
from types import TracebackType
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array

__all__ = ["DistributedError", "init", "is_initialized", "rank", "set_timeout", "world_size"]

# What the launchers of MPICH, Intel MPI, Open MPI and Slurm set for each process.
_LAUNCHED = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK")
_SPINNING = 0.002  # seconds of waiting in which most messages come: a sleep would take longer
_NAP = 0.0002
_BETWEEN_RANKS = 0.3  # seconds: of one fault on all ranks, the first says it and ends the others


class DistributedError(RuntimeError):
    """Processes do not agree, or one does not come."""


class World:
    """The processes that work together.

    Parameters
    ----------
    comm
        MPI's communicator, None for a single process.

    Attributes
    ----------
    rank, size
        Which process this is, from 0, and how many there are.
    timeout
        How many seconds to wait for the others before a `DistributedError`.
    under_way
        Owners of memory that MPI still reads and writes. After an error they stay here.
    """

    def __init__(self, comm: Any) -> None:
        self.comm = comm
        self.rank: int = 0 if comm is None else comm.Get_rank()
        self.size: int = 1 if comm is None else comm.Get_size()
        self.timeout = 300.0
        self.under_way: list[Any] = []
        self._calls = 0
        # A word of its own for those who wait, which no collective operation mixes up with.
        self._notes: Any = None if comm is None else comm.Dup()

    def wait(self, request: Any, what: str) -> None:
        """Wait until a collective operation is done.

        Raises
        ------
        DistributedError
            If that takes longer than `timeout`; it names the ranks that did not come.
        """
        self._calls += 1
        began = time.monotonic()
        has_warned = False
        while not request.Test():
            waited = time.monotonic() - began
            if waited > self.timeout:
                raise DistributedError(self._missing(what))
            if waited > _SPINNING:
                if not has_warned and waited > self.timeout / 2:
                    self._tell()
                    has_warned = True
                time.sleep(_NAP)
            else:
                time.sleep(0)  # lets another process have the processor

    def _tell(self) -> None:
        """Tell the others that this rank waits, and in which call."""
        note = np.array(self._calls)
        # Kept until the process ends: nobody may ever ask for it.
        self._sent = [
            (note, self._notes.Isend(note, dest=other))
            for other in range(self.size)
            if other != self.rank
        ]

    def _missing(self, what: str) -> str:
        waiting = {self.rank}
        note = np.array(0)
        for other in range(self.size):
            while other != self.rank and self._notes.Iprobe(source=other):
                self._notes.Recv(note, source=other)
                if int(note) == self._calls:
                    waiting.add(other)
        missing = sorted({*range(self.size)} - waiting)
        who = f"rank {', '.join(map(str, missing))} did not come" if missing else "all ranks wait"
        return (
            f"{what}: rank {self.rank} waited {self.timeout:g} s in its call {self._calls}, and "
            f"{who}: a process hangs, has left, or called something else; "
            "distributed.set_timeout(seconds) waits longer"
        )

    def texts(self, value: Any) -> list[Any]:
        """Return what every rank gave, something that JSON holds, in the order of ranks."""
        if self.size == 1:
            return [value]
        sent = np.frombuffer(json.dumps(value).encode(), np.uint8)
        sizes = np.empty(self.size, np.int64)
        self.wait(self.comm.Iallgather(np.array([sent.size]), sizes), "all_gather")
        received = np.empty(int(sizes.sum()), np.uint8)
        self.wait(self.comm.Iallgatherv(sent, [received, sizes]), "all_gather")
        parts: list[Array] = np.split(received, np.cumsum(sizes)[:-1])
        return [json.loads(part.tobytes()) for part in parts]


# The last one counts. Those before it are kept for what MPI may still write to.
_worlds: list[World] = []


def world() -> World:
    """Return the processes that work together; MPI begins with the first call."""
    if not _worlds:
        _enter(_launched())
    return _worlds[-1]


def _enter(here: World) -> None:
    if _worlds:
        here.timeout = _worlds[-1].timeout
    if here.size > 1 and all(before.size == 1 for before in _worlds):
        _end_together()
    _worlds.append(here)


def _launched() -> World:
    """Return the world of all processes that the launcher started."""
    if not any(name in os.environ for name in _LAUNCHED):
        return World(None)
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError(
            "distributed: started by mpiexec, but mpi4py is not installed: "
            "pip install 'tinygrad-cnn[mpi]'"
        ) from error
    if MPI.COMM_WORLD.Get_size() == 1:
        return World(None)
    return World(MPI.COMM_WORLD.Dup())


def init(comm: Any = None) -> None:
    """Begin, where that was not done: meet the other processes that `mpiexec` started.

    The other functions do it by themselves. Without `mpiexec` it is a world of one process. From
    then on an exception that is not caught on one rank ends all, with that traceback.

    Parameters
    ----------
    comm
        An `mpi4py.MPI.Intracomm` of the processes that work together from now on, called on each of
        them: a part of those that were started, or those that an MPI with fault tolerance has left.
        It is used itself, not a copy, so that revoking it ends what waits on it. `DataParallel` and
        `DistributedSampler` are to be made anew after it. None: all that were started, where no
        other was given before.

    Raises
    ------
    TypeError
        If `comm` is something else.
    ImportError
        If `mpiexec` started the process, and mpi4py is not installed.

    >>> init()
    >>> rank(), world_size()
    (0, 1)
    """
    if comm is None:
        world()
        return
    from mpi4py import MPI

    if not isinstance(comm, MPI.Intracomm):
        raise TypeError(f"init: comm must be an mpi4py.MPI.Intracomm, got {type(comm).__name__}")
    _enter(World(comm if comm.Get_size() > 1 else None))


def is_initialized() -> bool:
    """Return whether this process has met the others; a single one has nobody to meet."""
    return bool(_worlds) and world().size > 1


def rank() -> int:
    """Return which of the processes this is, from 0."""
    return world().rank


def world_size() -> int:
    """Return how many processes there are."""
    return world().size


def set_timeout(seconds: float) -> None:
    """Say how long to wait for the others, 300 seconds at first.

    Raises
    ------
    ValueError
        If it is not more than 0.
    """
    if not seconds > 0:
        raise ValueError(f"set_timeout: expects more than 0 seconds, got {seconds}")
    world().timeout = float(seconds)


def end_all(status: int, message: str) -> None:
    """End all ranks with this status, if there are others; the first that fails says why."""
    here = world()
    if here.size > 1:
        time.sleep(_BETWEEN_RANKS * min(here.rank, 10))
        sys.stderr.write(f"{message}\n")
        sys.stderr.flush()
        here.comm.Abort(status)


def _end_together() -> None:
    """Let an exception that nobody catches end all processes, and be shown once."""
    from mpi4py import MPI

    shown = sys.excepthook

    def end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        here = world()
        # Where all failed alike, the first to speak ends the others before they do.
        time.sleep(_BETWEEN_RANKS * min(here.rank, 10))
        if shown is sys.__excepthook__:
            text = "".join(traceback.format_exception(kind, error, trace))
            sys.stderr.write(f"rank {here.rank} of {here.size} failed, which ends all:\n{text}")
        else:
            shown(kind, error, trace)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        MPI.COMM_WORLD.Abort(130 if issubclass(kind, KeyboardInterrupt) else 1)

    sys.excepthook = end
