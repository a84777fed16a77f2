"""Threads that prepare batches ahead, each with a number, and what is known of them inside."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np

from tinygrad_cnn.random import drawing_from

__all__ = ["END", "WorkerInfo", "Workers", "get_worker_info"]

Job = Callable[[], Any]
END: Any = object()
"""What a stream's job returns when there is no more."""

_here = threading.local()


@dataclass(frozen=True)
class WorkerInfo:
    """Which worker this is: number `id` of `num_workers`, its own `seed`, the loader's data set."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


def get_worker_info() -> WorkerInfo | None:
    """Return which of a loader's workers is running this, None outside of them.

    >>> print(get_worker_info())
    None
    """
    return getattr(_here, "info", None)


class Workers:
    """Threads that run jobs, given out to them in turn; results come in the order of the jobs.

    Each is a pool of one thread, so that it is known which worker runs what.
    """

    def __init__(
        self,
        dataset: Any,
        number: int,
        seed: int,
        begin: Callable[[int], None] | None = None,
        timeout: float = 0,
    ) -> None:
        infos = [WorkerInfo(i, number, seed + i, dataset) for i in range(number)]
        self._timeout = timeout or None
        self._begin = begin
        self._pools = [
            ThreadPoolExecutor(1, f"DataLoader-{info.id}", self._enter, (info,)) for info in infos
        ]

    def _enter(self, info: WorkerInfo) -> None:
        _here.info = info
        _here.begun = False

    def _run(self, job: Job) -> Any:
        info: WorkerInfo = _here.info
        if self._begin is not None and not _here.begun:  # here, where its errors reach the caller
            with drawing_from(np.random.default_rng(info.seed)):
                self._begin(info.id)
        _here.begun = True
        return job()

    def _submit(self, number: int, job: Job) -> Future[Any]:
        return self._pools[number].submit(self._run, job)

    def _result(self, future: Future[Any]) -> Any:
        try:
            return future.result(self._timeout)
        except TimeoutError:
            if future.done():  # it is the job's own
                raise
            raise RuntimeError(f"DataLoader: no batch came within {self._timeout} s") from None

    def run(self, jobs: Iterable[Job], ahead: int) -> Iterator[Any]:
        """Yield the results of jobs, at most `ahead` of them prepared before they are asked for."""
        pending: deque[Future[Any]] = deque()
        try:
            for number, job in zip(cycle(range(len(self._pools))), jobs, strict=False):
                pending.append(self._submit(number, job))
                if len(pending) > ahead:
                    yield self._result(pending.popleft())
            while pending:
                yield self._result(pending.popleft())
        finally:  # also when the consumer leaves its loop or is interrupted
            self._close()

    def run_streams(self, streams: Sequence[Job], ahead: int) -> Iterator[Any]:
        """Yield what each worker's own job returns, again and again until it returns `END`."""
        pending: deque[tuple[int, Future[Any]]] = deque()
        try:
            for _ in range(max(1, ahead // len(streams))):
                pending.extend((i, self._submit(i, job)) for i, job in enumerate(streams))
            while pending:
                number, future = pending.popleft()
                result = self._result(future)
                if result is not END:
                    pending.append((number, self._submit(number, streams[number])))
                    yield result
        finally:
            self._close()

    def _close(self) -> None:
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in self._pools:
            pool.shutdown()
