"""Data sets of samples, their parts and sums, and samplers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import Tensor, tensor
from tinygrad_cnn.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
)
from tinygrad_cnn.random import manual_seed

X = np.arange(20.0).reshape(10, 2)
Y = np.arange(10)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


class Squares(Dataset[int]):
    def __init__(self, size: int = 4) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> int:
        return index**2


def test_columns_share_memory_and_give_rows() -> None:
    data = TensorDataset(tensor(X), Y)
    x, y = data[3]
    assert (len(data), x.tolist(), y.item()) == (10, [6, 7], 3)
    assert np.shares_memory(data.tensors[1].numpy(), Y)
    x, y = data[2:4]
    assert (x.shape, y.tolist()) == ((2, 2), [2, 3])


@pytest.mark.parametrize("columns", [(), (X, Y[:3]), (np.array(1),)])
def test_columns_of_several_lengths_are_refused(columns: Any) -> None:
    with pytest.raises(ValueError, match="TensorDataset: expects tensors with equally many rows"):
        TensorDataset(*columns)


def test_a_sum_is_one_after_the_other() -> None:
    both = Squares(3) + Squares(0) + Squares(2)
    assert isinstance(both, ConcatDataset)
    assert [both[i] for i in range(-5, 5)] == [0, 1, 4, 0, 1] * 2
    assert both.cumulative_sizes == [3, 5]
    for outside in (5, -6):
        with pytest.raises(IndexError, match=f"index {outside} of 5 samples"):
            both[outside]
    with pytest.raises(ValueError, match="at least one data set"):
        ConcatDataset([])
    with pytest.raises(TypeError, match="an IterableDataset has no length: use ChainDataset"):
        Squares() + Stream(3)


def test_what_is_not_written_says_so() -> None:
    with pytest.raises(NotImplementedError, match="Dataset: write __getitem__"):
        Dataset()[0]
    with pytest.raises(NotImplementedError, match="IterableDataset: write __iter__"):
        iter(IterableDataset())
    with pytest.raises(NotImplementedError, match="Sampler: write __iter__"):
        iter(Sampler())


def test_data_sets_side_by_side() -> None:
    assert StackDataset(Squares(), "abcd")[2] == (4, "c")
    named = StackDataset(a=Squares(), b="abcd")
    assert (named[1], len(named)) == ({"a": 1, "b": "b"}, 4)
    with pytest.raises(ValueError, match="of one length, got"):
        StackDataset(Squares(), "abc")
    with pytest.raises(ValueError, match="all by position or all by name"):
        StackDataset(Squares(), b="abcd")


class Stream(IterableDataset[int]):
    def __init__(self, size: int) -> None:
        self.size = size

    def __iter__(self) -> Any:
        return iter(range(self.size))


def test_streams_follow_each_other() -> None:
    chained = Stream(2) + Stream(3)
    assert isinstance(chained, ChainDataset)
    assert list(chained) == list(chained) == [0, 1, 0, 1, 2]


def test_a_part_is_in_its_own_order_and_can_be_cut_again() -> None:
    part = Subset(Subset(Squares(10), [9, 7, 5, 3]), [3, 0])
    assert [part[i] for i in range(len(part))] == [9, 81]
    assert part.__getitems__([1, 0]) == [81, 9]
    assert Subset(TensorDataset(Y), [4, 6])[[1, 0]][0].tolist() == [6, 4]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [([7, 3], [7, 3]), ([0.5, 0.3, 0.2], [6, 3, 2]), ([1.0], [11]), ([0.9, 0.1], [10, 1])],
)
def test_random_split(lengths: list[float], expected: list[int]) -> None:
    size = sum(expected)
    parts = random_split(range(size), lengths, generator=rng())
    assert [len(part) for part in parts] == expected
    order = [part[i] for part in parts for i in range(len(part))]
    assert order == rng().permutation(size).tolist()


def test_random_split_of_what_does_not_add_up() -> None:
    for lengths in ([3, 3], [0.5, 0.6], [11, -1]):
        with pytest.raises(ValueError, match="do not add up to 10 samples or 1"):
            random_split(range(10), lengths)
    with pytest.warns(UserWarning, match="part 1 has no samples"):
        random_split(range(1), [0.9, 0.1])


# ------------------------------------------------------------------------------- samplers


def test_the_default_generator_orders_samples() -> None:
    manual_seed(3)
    orders = [list(RandomSampler(X)) for _ in range(2)]
    manual_seed(3)
    assert [list(RandomSampler(X)) for _ in range(2)] == orders
    assert orders[0] != orders[1]
    assert list(SequentialSampler(X)) == list(range(10))


def test_more_and_fewer_samples_than_there_are() -> None:
    sampler = RandomSampler(X, num_samples=25, generator=rng())
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == 25
    assert sorted(drawn[:10]) == sorted(drawn[10:20]) == list(range(10))
    assert len(set(RandomSampler(X, num_samples=4))) == 4
    again = list(RandomSampler(X, replacement=True, num_samples=1000))
    assert set(again) == set(range(10))


def test_weights_are_probabilities() -> None:
    drawn = Counter(WeightedRandomSampler([1.0, 0.0, 3.0], 4000, generator=rng()))
    assert drawn[1] == 0
    assert drawn[2] / drawn[0] == pytest.approx(3, rel=0.15)
    once = WeightedRandomSampler(tensor([1.0, 2.0, 0.0]), 2, replacement=False)
    assert sorted(once) == [0, 1]
    for weights in ([1.0, -1.0, 1.0], [[1.0]], [1.0, 0.0], [float("nan"), 1.0, 1.0]):
        with pytest.raises(ValueError, match="WeightedRandomSampler: expects weights"):
            WeightedRandomSampler(weights, 2, replacement=False)


@pytest.mark.parametrize("size", [0, 1, 7, 12])
@pytest.mark.parametrize("drop_last", [False, True])
def test_processes_share_an_epoch(size: int, drop_last: bool) -> None:
    samplers = [DistributedSampler(range(size), 3, rank, drop_last=drop_last) for rank in range(3)]
    parts = [list(sampler) for sampler in samplers]
    assert {len(part) for part in parts} == {len(samplers[0])}
    drawn = Counter(i for part in parts for i in part)
    if drop_last:
        assert sum(drawn.values()) == size - size % 3
        assert set(drawn.values()) <= {1}
    else:
        assert sorted(drawn) == list(range(size))
    if size == 12:
        for sampler in samplers:
            sampler.set_epoch(1)
        assert [list(sampler) for sampler in samplers] != parts
    with pytest.raises(ValueError, match="expects num_replicas, the number of processes, and rank"):
        DistributedSampler(range(size))


def test_batches_of_a_sampler() -> None:
    batches = BatchSampler(SubsetRandomSampler("abcde", generator=rng()), 2, drop_last=True)
    drawn = list(batches)
    assert len(drawn) == len(batches) == 2
    assert [len(batch) for batch in drawn] == [2, 2]
    assert set(sum(drawn, [])) < set("abcde")  # noqa: RUF017
    with pytest.raises(ValueError, match="BatchSampler: batch_size must be at least 1, got 0"):
        BatchSampler([], 0, False)
    with pytest.raises(TypeError, match="RandomSampler: replacement must be True or False, got 3"):
        RandomSampler(X, 3)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------- in a loader


def test_a_loader_takes_samplers() -> None:
    assert [b.tolist() for b in DataLoader(Y, 2, sampler=[3, 1, 4])] == [[3, 1], [4]]
    loader = DataLoader(Y, batch_sampler=[[3], [1, 4]])
    assert ([b.tolist() for b in loader], len(loader)) == ([[3], [1, 4]], 2)
    assert [b.item() for b in DataLoader(Squares(), None, collate_fn=tensor)] == [0, 1, 4, 9]
    assert list(DataLoader(Squares(), batch_size=None, shuffle=False)) == [0, 1, 4, 9]
    keyed = DataLoader({"a": 1.0, "b": 2.0}, 2, sampler="ba")
    assert [b.tolist() for b in keyed] == [[2, 1]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": [1], "shuffle": True}, "sampler and shuffle both say"),
        ({"batch_sampler": [[1]], "batch_size": 2}, "batch_sampler says what batch_size, shuffle"),
        ({"batch_size": None, "drop_last": True}, "batch_size=None makes no batches"),
    ],
)
def test_arguments_that_exclude_each_other(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataLoader(Y, **options)
    with pytest.raises(ValueError, match="an IterableDataset gives its samples in its own order"):
        DataLoader(Stream(3), shuffle=True)


class Numbers(Sampler[Any]):
    """Indices as tensors, as scripts have them."""

    def __iter__(self) -> Any:
        return iter(tensor([3, 1, 4]))

    def __len__(self) -> int:
        return 3


@pytest.mark.parametrize(
    "dataset",
    [(X, Y), TensorDataset(X, Y), Subset(TensorDataset(X, Y), range(10)), StackDataset(X, Y)],
    ids=lambda dataset: type(dataset).__name__,
)
def test_indices_may_be_tensors(dataset: Any) -> None:
    batches = list(DataLoader(dataset, 2, sampler=Numbers()))
    assert [labels.tolist() for _, labels in batches] == [[3, 1], [4]]
    assert batches[0][0].tolist() == [[6, 7], [2, 3]]


def test_columns_with_gradients_keep_them_in_batches() -> None:
    w = tensor(X, requires_grad=True)
    for (batch,) in DataLoader(TensorDataset(w), 4):
        batch.sum().backward()
    assert isinstance(w.grad, Tensor)
    np.testing.assert_array_equal(w.grad.numpy(), np.ones_like(X))


class Doubled(TensorDataset):
    def __getitem__(self, index: Any) -> Any:
        return tuple(2 * column for column in super().__getitem__(index))


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_derived_data_set_is_asked_itself(wrapped: bool) -> None:
    data: Any = Doubled(Y)
    if wrapped:
        data = Subset(data, range(10))
    ((batch,),) = DataLoader(data, 10)
    assert batch.tolist() == (2 * Y).tolist()


def test_parts_of_columns_are_taken_at_once() -> None:
    taken: list[Any] = []

    class Watched(np.ndarray):
        def __getitem__(self, index: Any) -> Any:
            taken.append(index)
            return super().__getitem__(index)

    part = Subset((Y.view(Watched), X), [8, 6, 4])
    (labels, rows), (more, _) = DataLoader(part, 2)
    assert (labels.tolist(), rows.tolist(), more.tolist()) == ([8, 6], [[16, 17], [12, 13]], [4])
    assert len(taken) == 2
