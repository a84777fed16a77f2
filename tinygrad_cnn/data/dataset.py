"""Data sets of single samples, and what is made of them: parts, sums, columns.

Anything with ``__len__`` and ``__getitem__`` is a data set; `Dataset` is there to be inherited
from, for its ``+`` and its errors.
"""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from tinygrad_cnn.random import default_generator
from tinygrad_cnn.tensor import Tensor, as_tensor

__all__ = [
    "ChainDataset",
    "ConcatDataset",
    "Dataset",
    "IterableDataset",
    "SizedIndexable",
    "StackDataset",
    "Subset",
    "TensorDataset",
    "random_split",
]

T_co = TypeVar("T_co", covariant=True)


class SizedIndexable(Protocol):
    """What a data set of single samples has: a length, and a sample at each index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class Dataset(Generic[T_co]):
    """What a data set inherits from: write ``__getitem__`` and, for a loader, ``__len__``.

    >>> class Squares(Dataset[int]):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, index):
    ...         return index**2
    >>> both = Squares() + Squares()
    >>> len(both), both[4]
    (6, 1)
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(f"{type(self).__name__}: write __getitem__(self, index)")

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """A data set that can only be run through, such as a stream: write ``__iter__``.

    A loader with several workers runs through it once in each: share the work between them with
    `get_worker_info`, or samples come several times, as in PyTorch.
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__}: write __iter__(self)")

    def __add__(self, other: Any) -> Any:
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Columns, each with N rows; sample i is the tuple of their i-th rows.

    Parameters
    ----------
    *tensors
        Tensors, or arrays, whose memory they share; of any shapes that begin with N.

    Raises
    ------
    ValueError
        If there are none, or they differ in their number of rows.

    >>> TensorDataset(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0, 1]))[1]
    (tensor([3., 4.], dtype=float64), tensor(1))
    """

    def __init__(self, *tensors: Any) -> None:
        self.tensors = tuple(as_tensor(tensor) for tensor in tensors)
        shapes = [tuple(tensor.shape) for tensor in self.tensors]
        if not shapes or not all(shapes) or len({shape[0] for shape in shapes}) > 1:
            raise ValueError(
                "TensorDataset: expects tensors with equally many rows, "
                f"got shapes {', '.join(map(str, shapes)) or 'of none'}"
            )

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)


class StackDataset(Dataset[Any]):
    """Data sets side by side: sample i is a tuple, or for keywords a dict, of their i-th samples.

    Raises
    ------
    ValueError
        If there are none, positional and keyword ones are mixed, or their lengths differ.

    >>> StackDataset(image=["a", "b"], label=[0, 1])[1]
    {'image': 'b', 'label': 1}
    """

    def __init__(self, *args: SizedIndexable, **kwargs: SizedIndexable) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError("StackDataset: expects data sets, all by position or all by name")
        self.datasets: Any = kwargs or args
        lengths = [len(dataset) for dataset in (*args, *kwargs.values())]
        if len(set(lengths)) > 1:
            raise ValueError(f"StackDataset: expects data sets of one length, got {lengths}")
        self._length = lengths[0]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)


class ConcatDataset(Dataset[Any]):
    """Data sets one after the other; what ``a + b`` makes of two.

    Raises
    ------
    ValueError
        If there are none.
    TypeError
        If one is an `IterableDataset`, which has no length.

    >>> ConcatDataset([["a", "b"], ["c"]])[-1]
    'c'
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: expects at least one data set")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise TypeError("ConcatDataset: an IterableDataset has no length: use ChainDataset")
        self.cumulative_sizes = list(itertools.accumulate(map(len, self.datasets)))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"ConcatDataset: index {index} of {len(self)} samples")
        number = bisect.bisect_right(self.cumulative_sizes, place)
        return self.datasets[number][place - ([0, *self.cumulative_sizes][number])]


class ChainDataset(IterableDataset[Any]):
    """Streams one after the other; what ``a + b`` makes of two.

    >>> list(ChainDataset([iter("ab"), iter("c")]))
    ['a', 'b', 'c']
    """

    def __init__(self, datasets: Iterable[Iterable[Any]]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self.datasets)


class Subset(Dataset[Any]):
    """Some samples of a data set, in an order of their own.

    >>> list(Subset("abcd", [3, 0]))
    ['d', 'a']
    """

    def __init__(self, dataset: Any, indices: Sequence[Any]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[Any]) -> list[Any]:
        """Return several samples: at once, where the data set can."""
        chosen = [self.indices[index] for index in indices]
        several = getattr(self.dataset, "__getitems__", None)
        samples: list[Any] = several(chosen) if several else [self.dataset[i] for i in chosen]
        return samples


def random_split(
    dataset: SizedIndexable,
    lengths: Sequence[float],
    generator: np.random.Generator | None = None,
) -> list[Subset]:
    """Divide a data set into parts at random.

    Parameters
    ----------
    dataset
        The N samples.
    lengths
        The parts' numbers of samples, which add up to N; or fractions that add up to 1, of which
        what is left by rounding down goes to the first parts, one sample each.
    generator
        Draws the order; None is the package's default generator.

    Raises
    ------
    ValueError
        If the lengths or fractions do not add up.

    >>> [len(part) for part in random_split(range(11), [0.5, 0.3, 0.2])]
    [6, 3, 2]
    """
    total, counts = len(dataset), list(lengths)
    if math.isclose(sum(counts), 1) and sum(counts) <= 1:
        if not all(0 <= fraction <= 1 for fraction in counts):
            raise ValueError(f"random_split: expects fractions from 0 to 1, got {counts}")
        counts = [math.floor(total * fraction) for fraction in counts]
        for i in range(total - int(sum(counts))):
            counts[i % len(counts)] += 1
        for i, count in enumerate(counts):
            if not count:
                warnings.warn(f"random_split: part {i} has no samples", stacklevel=2)
    if sum(counts) != total or any(n != int(n) or n < 0 for n in counts):
        raise ValueError(f"random_split: {list(lengths)} do not add up to {total:,} samples or 1")
    order = (generator or default_generator()).permutation(total).tolist()
    ends = itertools.accumulate(int(n) for n in counts)
    return [Subset(dataset, order[end - int(n) : end]) for n, end in zip(counts, ends, strict=True)]
