"""Samplers: which samples come when. A sampler is anything to iterate over that gives indices.

What is random is drawn when `iter` is called, all at once, from the sampler's generator or from
the package's default one.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.random import default_generator

__all__ = [
    "BatchSampler",
    "DistributedSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
    "whole_number",
]

T_co = TypeVar("T_co", covariant=True)
Indices = npt.NDArray[np.intp]


class Sampler(Generic[T_co]):
    """What a sampler inherits from: write ``__iter__`` and, if it is known, ``__len__``."""

    def __init__(self, data_source: Sized | None = None) -> None:
        pass

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__}: write __iter__(self)")


class SequentialSampler(Sampler[int]):
    """All samples in order.

    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __len__(self) -> int:
        return len(self.data_source)

    def order(self) -> Indices:
        """Return the epoch's indices."""
        return np.arange(len(self.data_source))

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))


class RandomSampler(Sampler[int]):
    """Samples in random order, each once, or drawn with replacement.

    Parameters
    ----------
    data_source
        What has N samples.
    replacement
        Draw each index anew from all.
    num_samples
        How many indices an epoch has; None is N. Without replacement more than N are several
        orders, one after the other.
    generator
        Draws; None is the package's default generator.

    >>> sorted(RandomSampler("abcd"))
    [0, 1, 2, 3]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = true_or_false("RandomSampler", "replacement", replacement)
        if num_samples is not None:
            num_samples = whole_number("RandomSampler", "num_samples", num_samples, least=1)
        self._num_samples = num_samples
        self.generator = generator

    @property
    def num_samples(self) -> int:
        """How many indices an epoch has."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __len__(self) -> int:
        return self.num_samples

    def order(self) -> Indices:
        """Draw the epoch's indices."""
        generator = default_generator() if self.generator is None else self.generator
        size, count = len(self.data_source), self.num_samples
        if self.replacement:
            return generator.integers(size, size=count)
        if count == size:
            return generator.permutation(size)
        orders = [generator.permutation(size) for _ in range(-(-count // size))]
        return np.concatenate(orders)[:count]

    def __iter__(self) -> Iterator[int]:
        return iter(self.order().tolist())


class SubsetRandomSampler(Sampler[Any]):
    """Given indices, in random order.

    >>> sorted(SubsetRandomSampler([7, 3]))
    [3, 7]
    """

    def __init__(
        self, indices: Sequence[Any], generator: np.random.Generator | None = None
    ) -> None:
        self.indices = indices
        self.generator = generator

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Any]:
        generator = default_generator() if self.generator is None else self.generator
        order = generator.permutation(len(self.indices)).tolist()
        return (self.indices[i] for i in order)


class WeightedRandomSampler(Sampler[int]):
    """Indices 0 … N − 1, drawn with probabilities that are proportional to weights.

    Parameters
    ----------
    weights
        N numbers of at least 0, not all 0.
    num_samples
        How many indices an epoch has.
    replacement
        Whether an index may be drawn more than once.
    generator
        Draws; None is the package's default generator.

    Raises
    ------
    ValueError
        If the weights are not of shape (N,), or too few are not 0.

    >>> list(WeightedRandomSampler([0, 1, 0], 4))
    [1, 1, 1, 1]
    """

    def __init__(
        self,
        weights: Any,
        num_samples: int,
        replacement: bool = True,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.weights = np.asarray(weights, np.float64)
        self.num_samples = whole_number(
            "WeightedRandomSampler", "num_samples", num_samples, least=1
        )
        self.replacement = true_or_false("WeightedRandomSampler", "replacement", replacement)
        self.generator = generator
        known = self.weights.ndim == 1 and np.isfinite(self.weights).all()
        possible = np.count_nonzero(self.weights)
        least = 1 if self.replacement else self.num_samples
        if not known or (self.weights < 0).any() or possible < least:
            raise ValueError(
                "WeightedRandomSampler: expects weights of shape (N,) that are at least 0, and "
                f"{least} of them greater, got shape {self.weights.shape} with {possible}"
            )

    def __len__(self) -> int:
        return self.num_samples

    def __iter__(self) -> Iterator[int]:
        generator = default_generator() if self.generator is None else self.generator
        drawn = generator.choice(
            len(self.weights),
            self.num_samples,
            replace=self.replacement,
            p=self.weights / self.weights.sum(),
        )
        return iter(drawn.tolist())


class DistributedSampler(Sampler[int]):
    """One process's part of every epoch, where several train on one data set.

    All processes draw the same order, of `seed` and the epoch's number, and each takes every
    `num_replicas`-th index of it. So that the parts are of one length, the order begins again at
    its end, or with `drop_last` its last indices are left out.

    Parameters
    ----------
    dataset
        What has N samples.
    num_replicas, rank
        How many processes there are, and which this is, from 0.
    shuffle
        Whether the order is random; call `set_epoch` before each epoch for a new one.
    seed
        The same in all processes.
    drop_last
        Whether parts are shorter rather than longer.

    Raises
    ------
    ValueError
        If `num_replicas` and `rank` are not given or do not fit.

    >>> parts = [list(DistributedSampler("abcde", 2, rank, shuffle=False)) for rank in (0, 1)]
    >>> parts
    [[0, 2, 4], [1, 3, 0]]
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
        if num_replicas is None or rank is None or not 0 <= rank < num_replicas:
            raise ValueError(
                "DistributedSampler: expects num_replicas, the number of processes, and rank, this "
                f"one's from 0, got {num_replicas} and {rank}"
            )
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes, so that it has an order of its own."""
        self.epoch = epoch

    def __len__(self) -> int:
        whole, rest = divmod(len(self.dataset), self.num_replicas)
        return whole if self.drop_last or not rest else whole + 1

    def __iter__(self) -> Iterator[int]:
        order = np.arange(len(self.dataset))
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(len(order))
        repeated = np.resize(order, len(self) * self.num_replicas)
        return iter(repeated[self.rank :: self.num_replicas].tolist())


class BatchSampler(Sampler[list[Any]]):
    """Lists of `batch_size` indices of another sampler; the last may be shorter, or is left out.

    >>> list(BatchSampler(range(5), 2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[Any], batch_size: int, drop_last: bool) -> None:
        self.sampler = sampler
        self.batch_size = whole_number("BatchSampler", "batch_size", batch_size, least=1)
        self.drop_last = true_or_false("BatchSampler", "drop_last", drop_last)

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.batch_size)  # type: ignore[arg-type]
        return whole if self.drop_last or not rest else whole + 1

    def __iter__(self) -> Iterator[list[Any]]:
        return self._batches(iter(self.sampler))  # which draws now, not at the first batch

    def _batches(self, indices: Iterator[Any]) -> Iterator[list[Any]]:
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch


def whole_number(owner: str, name: str, value: Any, *, least: int) -> int:
    """Return an argument as an integer, or say what is wrong with it."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{owner}: {name} must be an integer, got {value!r}") from None
    if number < least:
        raise ValueError(f"{owner}: {name} must be at least {least}, got {number}")
    return number


def true_or_false(owner: str, name: str, value: Any) -> bool:
    """Return an argument as True or False, or say what is wrong with it."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{owner}: {name} must be True or False, got {value!r}")
    return bool(value)
