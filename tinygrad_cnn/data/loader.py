"""Batches from a data set, in order or shuffled, prepared ahead in a thread if asked."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.data.images import ImageDataset
from tinygrad_cnn.random import default_generator

__all__ = ["DataLoader", "SizedIndexable", "Transform", "default_collate"]

Transform = Callable[[npt.NDArray[Any], np.random.Generator], npt.NDArray[Any]]


class SizedIndexable(Protocol):
    """What a data set of single samples has: a length, and a sample at each index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class DataLoader:
    """Iterate over a data set in batches of NumPy arrays.

    All that is random in an epoch is drawn when `iter` is called, in the caller's thread: the
    order of the samples and, if there is a `transform`, a seed for a generator of its own. So
    neither depends on `prefetch`, and the state of the generator between two epochs (for the
    default one `tinygrad_cnn.random.get_rng_state`) is all that a checkpoint needs to go on with
    the same batches.

    Parameters
    ----------
    dataset
        An `ImageDataset`; or arrays in a tuple, each with N rows; or one array; or any object
        with ``__len__`` and ``__getitem__`` that gives single samples.
    batch_size
        The number of samples B in a batch. The last batch may be smaller.
    shuffle
        Draw a new order for every epoch.
    drop_last
        Leave out a last batch that is smaller than the others.
    generator
        The source of randomness; None is the package's default generator.
    prefetch
        How many batches a background thread may prepare ahead; 0 uses no thread. An error in
        the thread is raised in the caller, and a loop that is left early ends the thread.
        Handing a batch over costs about 50 µs: the thread pays for slow data sets and transforms.
    transform
        Called as ``transform(inputs, generator)`` on the batch, or on its first array if the
        batch is a tuple; see `tinygrad_cnn.data.transforms`.
    collate
        Makes a batch of a list of samples; None is `default_collate` (for arrays, one indexing
        operation in its place).

    Yields
    ------
    For an `ImageDataset` or a tuple of arrays, a tuple of new arrays with B rows each; for one
    array, one such array; otherwise what `collate` returns.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or the arrays differ in their number of rows.

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
        dataset: ImageDataset | tuple[npt.NDArray[Any], ...] | npt.NDArray[Any] | SizedIndexable,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        generator: np.random.Generator | None = None,
        prefetch: int = 0,
        transform: Transform | None = None,
        collate: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        self.dataset = dataset
        self.batch_size = _integer("batch_size", batch_size, least=1)
        for name, value in (("shuffle", shuffle), ("drop_last", drop_last)):
            if not isinstance(value, (bool, np.bool_)):
                raise TypeError(f"DataLoader: {name} must be True or False, got {value!r}")
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.prefetch = _integer("prefetch", prefetch, least=0)
        if generator is not None and not isinstance(generator, np.random.Generator):
            raise TypeError(
                f"DataLoader: generator must be a numpy.random.Generator, got {generator!r}"
            )
        self.generator = default_generator() if generator is None else generator
        for name, function in (("transform", transform), ("collate", collate)):
            if function is not None and not callable(function):
                raise TypeError(f"DataLoader: {name} must be callable, got {function!r}")
        self.transform = transform
        self.collate = collate
        self._size = _number_of_samples(dataset)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        whole, rest = divmod(self._size, self.batch_size)
        return whole if self.drop_last or not rest else whole + 1

    def __iter__(self) -> Iterator[Any]:
        """Draw an epoch's randomness and return its batches."""
        order = self.generator.permutation(self._size) if self.shuffle else np.arange(self._size)
        transform = self.transform
        if transform is not None:
            # A seed and not the generator itself: the thread and the caller must not share one.
            seed = self.generator.integers(np.iinfo(np.int64).max)
            transform = partial(_call_transform, transform, np.random.default_rng(seed))
        load = partial(self._load, transform)
        batches = [
            order[start : start + self.batch_size]
            for start in range(0, len(self) * self.batch_size, self.batch_size)
        ]
        return _prefetched(load, batches, self.prefetch) if self.prefetch else map(load, batches)

    def __repr__(self) -> str:
        shown = {
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
            "prefetch": self.prefetch,
            "transform": self.transform,
            "collate": self.collate,
        }
        settings = "".join(f", {name}={value}" for name, value in shown.items() if value)
        return (
            f"DataLoader({type(self.dataset).__name__} of {self._size} samples, "
            f"{len(self)} batches{settings})"
        )

    def _load(self, transform: Callable[[Any], Any] | None, indices: npt.NDArray[np.intp]) -> Any:
        batch = self._gather(indices)
        if transform is None:
            return batch
        if isinstance(batch, tuple):
            return (transform(batch[0]), *batch[1:])
        return transform(batch)

    def _gather(self, indices: npt.NDArray[np.intp]) -> Any:
        dataset = self.dataset
        if self.collate is None:
            if isinstance(dataset, ImageDataset):
                return dataset[indices]
            if isinstance(dataset, np.ndarray):
                return dataset[indices]
            if isinstance(dataset, tuple):
                return tuple(array[indices] for array in dataset)
        if isinstance(dataset, tuple):
            samples = [tuple(array[index] for array in dataset) for index in indices.tolist()]
        else:
            samples = [dataset[index] for index in indices.tolist()]
        return (self.collate or default_collate)(samples)


def default_collate(samples: Sequence[Any]) -> Any:
    """Make a batch of samples, as PyTorch's: arrays stacked, dicts, tuples and lists by parts.

    Parameters
    ----------
    samples
        B samples, alike: arrays, tensors or numbers of one shape; strings; or dicts, tuples
        (named ones too) and lists of these, nested to any depth.

    Returns
    -------
    For arrays and numbers an array with B rows, for tensors a tensor, for strings a list; for a
    dict, a tuple or a list one of the same kind, whose parts are batches.

    Raises
    ------
    ValueError
        If the samples differ in their shapes, keys or numbers of parts, or there are none.
    TypeError
        If a sample, or a part of it, is something else, such as None.

    Examples
    --------
    >>> default_collate([(np.zeros(2), 0), (np.ones(2), 1)])
    (array([[0., 0.],
           [1., 1.]]), array([0, 1]))
    >>> default_collate([{"x": 1.5, "name": "a"}, {"x": 2.5, "name": "b"}])
    {'x': array([1.5, 2.5]), 'name': ['a', 'b']}
    """
    if not isinstance(samples, Sequence):
        raise TypeError(
            f"default_collate: expected a list of samples, got {type(samples).__name__}"
        )
    if not samples:
        raise ValueError("default_collate: got no samples")
    return _collated(list(samples), "samples")


def _collated(parts: list[Any], where: str) -> Any:
    """Make a batch of what stands at one place of all samples."""
    first = parts[0]
    name, own = type(first).__name__, "pass a collate function of your own"
    if any(type(part) is not type(first) for part in parts) and not _are_numbers(parts):
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
        return kind(*batches) if hasattr(first, "_fields") else kind(batches)
    try:
        batch = np.stack(parts)  # which records, where the samples are tensors
    except ValueError as error:
        raise ValueError(
            f"default_collate: the {where} of a batch differ and cannot be stacked ({error}); {own}"
        ) from error
    if batch.dtype.kind not in "fiub":
        raise TypeError(
            f"default_collate: the {where} are of type {name}, which makes no batch; {own}"
        )
    return batch


def _are_numbers(parts: list[Any]) -> bool:
    return all(isinstance(part, (int, float, np.generic, np.ndarray)) for part in parts)


def _prefetched(load: Callable[[Any], Any], batches: Sequence[Any], depth: int) -> Iterator[Any]:
    """Yield ``load(batch)`` for each batch, made in one thread, at most `depth` of them ahead."""
    pending: deque[Future[Any]] = deque()
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="DataLoader")
    try:
        for batch in batches:
            pending.append(pool.submit(load, batch))
            if len(pending) > depth:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:  # also when the consumer leaves its loop or is interrupted
        pool.shutdown(cancel_futures=True)


def _call_transform(transform: Transform, generator: np.random.Generator, inputs: Any) -> Any:
    return transform(inputs, generator)


def _integer(name: str, value: int, *, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"DataLoader: {name} must be an integer, got {value!r}") from None
    if number < least:
        raise ValueError(f"DataLoader: {name} must be at least {least}, got {number}")
    return number


def _number_of_samples(dataset: Any) -> int:
    if isinstance(dataset, Mapping) and dataset.keys() != set(range(len(dataset))):
        raise TypeError(
            "DataLoader: a dict as a data set must have the keys 0, 1, …, one for each sample; for "
            "one that holds columns give a tuple of arrays"
        )
    arrays = (dataset,) if isinstance(dataset, np.ndarray) else dataset
    if isinstance(arrays, tuple):
        if not arrays or not all(isinstance(array, np.ndarray) for array in arrays):
            kinds = ", ".join(type(entry).__name__ for entry in arrays)
            raise TypeError(f"DataLoader: a tuple must hold NumPy arrays, got a tuple of ({kinds})")
        shapes = [array.shape for array in arrays]
        if not all(shapes) or len({shape[0] for shape in shapes}) > 1:
            raise ValueError(
                "DataLoader: the arrays of a data set must have equally many rows, "
                f"got shapes {', '.join(map(str, shapes))}"
            )
        return int(shapes[0][0])
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise TypeError(
            "DataLoader: expected arrays or an object with __len__ and __getitem__, "
            f"got {type(dataset).__name__}"
        )
    return len(dataset)
