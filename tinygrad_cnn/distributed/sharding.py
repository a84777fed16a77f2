"""Each rank's part of the samples: of every batch, or of every epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any

import numpy as np

from tinygrad_cnn import data
from tinygrad_cnn.data import DataLoader, Sampler
from tinygrad_cnn.distributed.world import world

__all__ = ["BatchShards", "DistributedSampler", "shard"]


class DistributedSampler(data.DistributedSampler):
    """As `data.DistributedSampler`, for the ranks that there are if none are given.

    It repeats some samples, or leaves some out, so that all ranks have equally many; `shard` does
    neither.

    >>> list(DistributedSampler("abc", shuffle=False))
    [0, 1, 2]
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        size = world().size if num_replicas is None else num_replicas
        own = world().rank if rank is None else rank
        super().__init__(dataset, size, own, shuffle, seed, drop_last)


class BatchShards(Sampler[list[Any]]):
    """One rank's part of each batch of another sampler, which draws the same on all ranks.

    The parts follow each other in the batch. They are equally long, or the first ones longer by
    one; of a batch with fewer samples than ranks the last ranks get none.

    Parameters
    ----------
    batches
        Gives lists of indices, the joint batches.
    rank, size
        Whose part, of how many; None for this rank and all that there are.

    >>> [list(BatchShards([[0, 1, 2], [3, 4]], rank, 2)) for rank in (0, 1)]
    [[[0, 1], [3]], [[2], [4]]]
    """

    def __init__(
        self, batches: Iterable[Sequence[Any]], rank: int | None = None, size: int | None = None
    ) -> None:
        self.batches = batches
        self.rank = rank
        self.size = size

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[list[Any]]:
        return self._parts(iter(self.batches))  # which draws now, not at the first batch

    def _parts(self, batches: Iterator[Sequence[Any]]) -> Iterator[list[Any]]:
        for batch in batches:
            rank = world().rank if self.rank is None else self.rank
            size = world().size if self.size is None else self.size
            start, end = part_of(len(batch), rank, size)
            yield list(batch[start:end])


def part_of(count: int, rank: int, size: int) -> tuple[int, int]:
    """Return where a rank's part of so many samples begins and ends.

    >>> [part_of(5, rank, 2) for rank in (0, 1)]
    [(0, 3), (3, 5)]
    """
    whole, rest = divmod(count, size)
    start = rank * whole + min(rank, rest)
    return start, start + whole + (rank < rest)


def shard(loader: DataLoader) -> DataLoader:
    """Return a loader that gives this rank's part of each batch of another one.

    Together the parts are the batches that one process would see, the last one too; augmentations
    are drawn for each rank by itself. The order must be drawn alike on all ranks: give the loader a
    ``generator`` of one seed, or call `manual_seed` with one, and draw nothing else in between.

    Raises
    ------
    TypeError
        If the loader makes no batches of indices: of a stream, or with ``batch_size=None``.

    >>> x = np.arange(4.0)
    >>> [batch.tolist() for batch in shard(DataLoader(x, 2))]
    [[0.0, 1.0], [2.0, 3.0]]
    """
    if loader.batch_sampler is None or isinstance(loader.dataset, data.IterableDataset):
        raise TypeError("shard: expects a loader that makes batches of indices")
    if world().size == 1:
        return loader
    return _Shard(
        loader.dataset,
        batch_sampler=BatchShards(loader.batch_sampler),
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        generator=loader.generator,
        prefetch_factor=loader.prefetch_factor,
        transform=loader.transform,
    )


class _Shard(DataLoader):
    """A loader of a rank, whose augmentations differ from those of others."""

    def _seed(self) -> int:
        seed = super()._seed()
        own = np.random.default_rng([seed, world().rank])
        return int(own.integers(np.iinfo(np.int64).max)) if world().rank else seed
