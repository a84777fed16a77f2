"""Batches of tensors from a data set, in order or shuffled, prepared ahead in threads if asked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.data.collate import default_collate, default_convert, fresh
from tinygrad_cnn.data.dataset import IterableDataset, Subset, TensorDataset
from tinygrad_cnn.data.draws import BatchGenerators
from tinygrad_cnn.data.images import ImageDataset
from tinygrad_cnn.data.samplers import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    true_or_false,
    whole_number,
)
from tinygrad_cnn.data.workers import END, Workers
from tinygrad_cnn.random import default_generator, drawing_from
from tinygrad_cnn.tensor import tensor

__all__ = ["DataLoader", "Transform"]

# What the others were made from; PyTorch keeps these too.
_FIXED = {"batch_size", "batch_sampler", "dataset", "drop_last", "sampler"}

Transform = Callable[[npt.NDArray[Any], np.random.Generator], npt.NDArray[Any]]
Indices = npt.NDArray[np.intp]


class DataLoader:
    """Iterate over a data set in batches of tensors.

    What is random in an epoch follows from what is drawn when `iter` is called: the order of the
    samples and, if samples are made one by one or there is a `transform`, a seed. Each batch is
    made with a generator of its own, which stands in for the package's default one meanwhile, so
    an epoch does not depend on `num_workers`, and the state of the generator between two epochs
    (for the default one `tinygrad_cnn.random.get_rng_state`) is all that a checkpoint needs to go
    on with the same batches. Python's `random` and NumPy's global functions know nothing of this:
    in workers they draw in no fixed order.

    Parameters
    ----------
    dataset
        An object with ``__len__`` and ``__getitem__`` that gives single samples, or an
        `IterableDataset`. Of an `ImageDataset`, a `TensorDataset`, their `Subset`, one array or
        arrays in a tuple (with N rows each), batches are taken at once, not sample by sample.
    batch_size
        The number of samples B in a batch; the last may be smaller. None gives single samples.
    shuffle
        Draw a new order for every epoch.
    sampler
        Gives the indices of an epoch, in place of `shuffle`.
    batch_sampler
        Gives lists of indices, in place of `batch_size`, `shuffle`, `sampler` and `drop_last`.
    num_workers
        How many threads prepare batches ahead, in this process; 0 uses none. They pay where
        samples wait for files or NumPy and Pillow work on large arrays: Python itself runs in one
        thread at a time. An error in a thread is raised in the caller, and a loop that is left
        early ends the threads.
    collate_fn
        Makes a batch of a list of samples; None is `default_collate`, and `default_convert` for
        ``batch_size=None``.
    drop_last
        Leave out a last batch that is smaller than the others.
    timeout
        How many seconds to wait for a worker's batch; 0 is for ever.
    worker_init_fn
        Called with the worker's number, in each of the threads, before its first batch.
    generator
        The source of randomness; None is the package's default generator.
    prefetch_factor
        How many batches are prepared ahead for each worker; None is 2.
    pin_memory, persistent_workers, multiprocessing_context, pin_memory_device, in_order
        Taken for PyTorch's sake: there is no other memory to copy to, threads begin at once and
        begin anew with every epoch, and batches always come in order.
    transform
        Called as ``transform(inputs, generator)`` on the batch, as an array, or on its first part
        if it has several; see `tinygrad_cnn.data.batchwise`. PyTorch has no such argument.

    Yields
    ------
    For an `ImageDataset`, a `TensorDataset` or a tuple of arrays, a list of tensors with B rows
    each, in memory of their own; for one array, one such tensor; otherwise what `collate_fn`
    returns.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or excludes another, or arrays differ in their number
        of rows.

    Examples
    --------
    >>> x, y = np.arange(10.0).reshape(5, 2), np.array([0, 1, 0, 1, 1])
    >>> loader = DataLoader((x, y), batch_size=2, shuffle=True, generator=np.random.default_rng(0))
    >>> len(loader)
    3
    >>> [inputs.shape for inputs, targets in loader]
    [(2, 2), (2, 2), (1, 2)]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: np.random.Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
        transform: Transform | None = None,
    ) -> None:
        self.dataset = dataset
        self.num_workers = whole_number("DataLoader", "num_workers", num_workers, least=0)
        if prefetch_factor is not None:
            whole_number("DataLoader", "prefetch_factor", prefetch_factor, least=1)
            if not num_workers:
                raise ValueError("DataLoader: prefetch_factor is for num_workers of at least 1")
        self.prefetch_factor = prefetch_factor
        if timeout < 0:
            raise ValueError(f"DataLoader: timeout must be at least 0, got {timeout}")
        self.timeout = timeout
        if generator is not None and not isinstance(generator, np.random.Generator):
            raise TypeError(
                f"DataLoader: generator must be a numpy.random.Generator, got {generator!r}"
            )
        self.generator = generator
        for name, function in (
            ("transform", transform),
            ("collate_fn", collate_fn),
            ("worker_init_fn", worker_init_fn),
        ):
            if function is not None and not callable(function):
                raise TypeError(f"DataLoader: {name} must be callable, got {function!r}")
        self.worker_init_fn = worker_init_fn
        self.transform = transform
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.persistent_workers = persistent_workers
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        self._choose_samples(batch_size, shuffle, sampler, batch_sampler, drop_last)
        usual = default_convert if self.batch_sampler is None else default_collate
        self.collate_fn = collate_fn or usual
        self._fixed = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and "_fixed" in self.__dict__:
            raise ValueError(f"DataLoader: {name} is given once, to a new DataLoader")
        super().__setattr__(name, value)

    def _choose_samples(
        self,
        batch_size: int | None,
        shuffle: bool | None,
        sampler: Iterable[Any] | None,
        batch_sampler: Iterable[Any] | None,
        drop_last: bool,
    ) -> None:
        """Set `sampler` and `batch_sampler`, which say what samples come when."""
        streamed = isinstance(self.dataset, IterableDataset)
        shuffled = true_or_false("DataLoader", "shuffle", shuffle or False)
        self.drop_last = true_or_false("DataLoader", "drop_last", drop_last)
        if batch_sampler is not None and (
            batch_size != 1 or shuffled or sampler is not None or drop_last
        ):
            raise ValueError(
                "DataLoader: batch_sampler says what batch_size, shuffle, sampler and drop_last say"
            )
        if sampler is not None and shuffled:
            raise ValueError("DataLoader: sampler and shuffle both say in which order samples come")
        if streamed and (shuffled or sampler is not None or batch_sampler is not None):
            raise ValueError(
                "DataLoader: an IterableDataset gives its samples in its own order; it takes no "
                "shuffle, sampler or batch_sampler"
            )
        if batch_size is None and drop_last:
            raise ValueError("DataLoader: batch_size=None makes no batches, so drops no last one")
        if batch_size is not None:
            batch_size = whole_number("DataLoader", "batch_size", batch_size, least=1)
        self.batch_size = batch_size if batch_sampler is None else None
        if not streamed and sampler is None and batch_sampler is None:
            rows = _rows(self.dataset)
            sampler = (
                RandomSampler(rows, generator=self.generator)
                if shuffled
                else SequentialSampler(rows)
            )
        self.sampler: Any = sampler
        if batch_sampler is None and self.batch_size is not None:
            batch_sampler = BatchSampler(
                () if sampler is None else sampler, self.batch_size, self.drop_last
            )
        self.batch_sampler = batch_sampler

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        if isinstance(self.dataset, IterableDataset):
            return len(BatchSampler(self.dataset, self.batch_size or 1, self.drop_last))
        keys: Any = self.sampler if self.batch_sampler is None else self.batch_sampler
        return len(keys)

    def __iter__(self) -> Iterator[Any]:
        """Draw an epoch's randomness and return its batches."""
        if isinstance(self.dataset, IterableDataset):
            return self._stream(self._seed())
        keys = self._keys()
        gather = _at_once(self.dataset) if self.collate_fn is default_collate else None
        plain = gather is not None and self.transform is None  # there is nothing else to draw
        seed = 0 if plain else self._seed()
        load = partial(self._load, gather, BatchGenerators(seed))
        if not self.num_workers:
            return map(load, itertools.count(), keys)
        workers = self._workers(seed)
        return workers.run(map(partial(partial, load), itertools.count(), keys), self._ahead)

    def __repr__(self) -> str:
        shown = {
            "batch_size": self.batch_size,
            "shuffle": isinstance(self.sampler, RandomSampler),
            "drop_last": self.drop_last,
            "num_workers": self.num_workers,
            "transform": self.transform,
        }
        settings = "".join(f", {name}={value}" for name, value in shown.items() if value)
        sizes = ""
        if isinstance(self.sampler, Sized) and self.batch_size is not None:
            sizes = f" of {len(self.sampler)} samples, {len(self)} batches"
        return f"DataLoader({type(self.dataset).__name__}{sizes}{settings})"

    # ------------------------------------------------------------------ what is random

    def _seed(self) -> int:
        # A seed and not the generator itself: the threads and the caller must not share one.
        generator = default_generator() if self.generator is None else self.generator
        return int(generator.integers(np.iinfo(np.int64).max))

    def _keys(self) -> Iterator[Any]:
        """Return what to load for each batch: indices, as an array where the order is our own."""
        sampler = self.sampler
        batches, size = self.batch_sampler, self.batch_size
        own = type(sampler) in (RandomSampler, SequentialSampler) and type(batches) is BatchSampler
        if not own or size is None:
            return iter(sampler if batches is None else batches)
        order = sampler.order()
        return (order[start : start + size] for start in range(0, len(self) * size, size))

    # ------------------------------------------------------------------ batches of indices

    def _load(
        self,
        gather: Callable[[Any], Any] | None,
        generators: BatchGenerators,
        number: int,
        key: Any,
    ) -> Any:
        """Make batch `number` of the samples that `key` names, at once if `gather` is given."""
        if gather is not None and self.transform is None:
            return gather(key)
        generator = generators[number]
        with drawing_from(generator):
            batch = self._gather(key) if gather is None else gather(key)
            return self._transformed(batch, generator)

    def _gather(self, key: Any) -> Any:
        dataset = self.dataset
        if self.batch_sampler is None:
            return self.collate_fn(dataset[key])
        indices = key.tolist() if isinstance(key, np.ndarray) else list(key)
        if isinstance(dataset, tuple):
            samples = [tuple(array[index] for array in dataset) for index in indices]
        elif hasattr(dataset, "__getitems__"):
            samples = dataset.__getitems__(indices)
        else:
            samples = [dataset[index] for index in indices]
        return self.collate_fn(samples)

    def _transformed(self, batch: Any, generator: np.random.Generator) -> Any:
        """Return a batch whose inputs went through the transform, as an array."""
        if self.transform is None:
            return batch
        if isinstance(batch, (list, tuple)):
            return [self._transformed(batch[0], generator), *batch[1:]]
        inputs = np.asarray(batch)  # which refuses to leave a graph silently
        return tensor(self.transform(inputs, generator))  # a copy: it may keep what it returns

    # ------------------------------------------------------------------ streams

    def _stream(self, seed: int) -> Iterator[Any]:
        if not self.num_workers:
            return self._batches(seed, 0)
        streams = [self._batches(seed, worker) for worker in range(self.num_workers)]
        jobs = [partial(next, stream, END) for stream in streams]
        return self._workers(seed).run_streams(jobs, self._ahead)

    def _batches(self, seed: int, worker: int) -> Iterator[Any]:
        """Run through an `IterableDataset`, in the thread that asks for the first batch."""
        generator = BatchGenerators(seed)[worker]
        samples = None
        while True:
            with drawing_from(generator):
                samples = iter(self.dataset) if samples is None else samples
                if self.batch_size is None:
                    part = next(samples, END)
                    if part is END:
                        return
                else:
                    part = list(itertools.islice(samples, self.batch_size))
                    if not part or (self.drop_last and len(part) < self.batch_size):
                        return
                batch = self._transformed(self.collate_fn(part), generator)
            yield batch

    # ------------------------------------------------------------------ threads

    @property
    def _ahead(self) -> int:
        return self.num_workers * (self.prefetch_factor or 2)

    def _workers(self, seed: int) -> Workers:
        return Workers(self.dataset, self.num_workers, seed, self.worker_init_fn, self.timeout)


def _at_once(dataset: Any) -> Callable[[Any], Any] | None:
    """Return what makes a batch of indices in one indexing operation, where that can be."""
    kind = type(dataset)  # not isinstance: a class derived from one of these may give other samples
    if kind is ImageDataset:
        return lambda indices: [fresh(array) for array in dataset[indices]]
    if kind is TensorDataset:
        return lambda indices: list(dataset[indices])
    if isinstance(dataset, np.ndarray):
        return lambda indices: fresh(dataset[indices])
    if isinstance(dataset, tuple):
        return lambda indices: [fresh(array[indices]) for array in dataset]
    if kind is Subset and (inner := _at_once(dataset.dataset)):
        chosen = np.asarray(dataset.indices)
        return lambda indices: inner(chosen[indices])
    return None


def _rows(dataset: Any) -> Sized:
    """Return what has as many entries as the data set has samples."""
    if isinstance(dataset, Mapping) and dataset.keys() != set(range(len(dataset))):
        raise TypeError(
            "DataLoader: a dict as a data set must have the keys 0, 1, …, one for each sample; for "
            "one that holds columns give a tuple of arrays"
        )
    arrays = (dataset,) if isinstance(dataset, np.ndarray) else dataset
    if isinstance(arrays, tuple):
        if not arrays or not all(isinstance(array, np.ndarray) for array in arrays):
            kinds = ", ".join(type(entry).__name__ for entry in arrays)
            raise TypeError(
                f"DataLoader: a tuple must hold NumPy arrays, got a tuple of ({kinds}); for "
                "tensors write TensorDataset(…), for samples a list"
            )
        shapes = [array.shape for array in arrays]
        if not all(shapes) or len({shape[0] for shape in shapes}) > 1:
            raise ValueError(
                "DataLoader: the arrays of a data set must have equally many rows, "
                f"got shapes {', '.join(map(str, shapes))}"
            )
        return range(shapes[0][0])
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise TypeError(
            "DataLoader: expected arrays or an object with __len__ and __getitem__, "
            f"got {type(dataset).__name__}"
        )
    return dataset  # type: ignore[no-any-return]
