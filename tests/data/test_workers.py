"""A loader's threads: the same batches however many there are, streams, errors, time limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn.data import DataLoader, Dataset, IterableDataset, get_worker_info
from tinygrad_cnn.random import default_generator, drawing_from, manual_seed


class Noise(Dataset[float]):
    """Samples that are random, and take their time."""

    def __len__(self) -> int:
        return 23

    def __getitem__(self, index: int) -> float:
        time.sleep(0.0005 * (index % 3))
        return index + float(default_generator().random())


@pytest.mark.parametrize("shuffle", [False, True])
def test_an_epoch_does_not_depend_on_the_workers(shuffle: bool) -> None:
    epochs = []
    for workers in (0, 1, 2, 5):
        manual_seed(5)
        loader = DataLoader(Noise(), 4, shuffle, num_workers=workers)
        epochs.append([b.tolist() for _ in range(2) for b in loader])
        epochs[-1].append(float(default_generator().random()))  # nor what is drawn after it
    assert all(epoch == epochs[0] for epoch in epochs)
    assert epochs[0][:6] != epochs[0][6:12]


def test_a_transform_draws_the_same_in_every_thread() -> None:
    def noisy(inputs: Any, generator: np.random.Generator) -> Any:
        assert generator is default_generator()
        return inputs + generator.random(inputs.shape)

    epochs = []
    for workers in (0, 3):
        generator = np.random.default_rng(1)
        loader = DataLoader(
            np.zeros((9, 2)), 2, generator=generator, num_workers=workers, transform=noisy
        )
        epochs.append([b.tolist() for b in loader])
    assert epochs[0] == epochs[1]


def test_each_worker_knows_itself() -> None:
    class Who(Dataset[Any]):
        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> Any:
            info = get_worker_info()
            assert info is not None
            assert info.dataset is self
            return info.id, info.num_workers, info.seed % 1000, threading.get_ident()

    began: list[int] = []
    loader = DataLoader(
        Who(), 1, num_workers=2, worker_init_fn=began.append, collate_fn=lambda samples: samples[0]
    )
    rows = list(loader)
    assert [row[0] for row in rows] == [0, 1, 0, 1, 0, 1]
    assert {row[1] for row in rows} == {2}
    assert len({row[2] for row in rows}) == len({row[3] for row in rows}) == 2
    assert sorted(began) == [0, 1]
    assert get_worker_info() is None


class Stream(IterableDataset[int]):
    """Numbers, shared among the workers if asked."""

    def __init__(self, size: int, shared: bool) -> None:
        self.size, self.shared = size, shared

    def __iter__(self) -> Iterator[int]:
        info = get_worker_info() if self.shared else None
        return iter(range(self.size)[info.id :: info.num_workers] if info else range(self.size))


def rows(loader: DataLoader) -> list[list[int]]:
    return [batch.tolist() for batch in loader]


def test_streams_in_batches() -> None:
    assert rows(DataLoader(Stream(5, False), 2)) == [[0, 1], [2, 3], [4]]
    assert rows(DataLoader(Stream(5, False), 2, drop_last=True)) == [[0, 1], [2, 3]]
    assert list(DataLoader(Stream(2, False), None)) == [0, 1]
    assert rows(DataLoader(Stream(0, False), 2)) == []


def test_streams_among_workers() -> None:
    shared = rows(DataLoader(Stream(7, True), 2, num_workers=2))
    assert shared == [[0, 2], [1, 3], [4, 6], [5]]
    whole = rows(DataLoader(Stream(3, False), 2, num_workers=2))
    assert whole == [[0, 1], [0, 1], [2], [2]]  # each runs through all of it, as in PyTorch


def test_streams_end_their_threads() -> None:
    before = threading.active_count()
    for _batch in DataLoader(Stream(1000, False), 2, num_workers=2):
        break
    assert threading.active_count() == before


class Slow(Dataset[int]):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int:
        time.sleep(0.2 * index)
        return index


def test_a_worker_that_takes_too_long_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"DataLoader: no batch came within 0\.02 s"):
        list(DataLoader(Slow(), num_workers=1, timeout=0.02))
    assert len(list(DataLoader(Slow(), num_workers=1, timeout=30))) == 2


def test_errors_of_a_worker_reach_the_caller() -> None:
    def refuse(number: int) -> None:
        raise OSError(f"worker {number} cannot begin")

    with pytest.raises(OSError, match="worker 0 cannot begin"):
        list(DataLoader(Slow(), num_workers=1, worker_init_fn=refuse))

    class Late(Slow):
        def __getitem__(self, index: int) -> int:
            raise TimeoutError("the network is slow")

    with pytest.raises(TimeoutError, match="the network is slow"):
        list(DataLoader(Late(), num_workers=1, timeout=5))


def test_a_generator_is_lent_within_a_block_only() -> None:
    own, lent = default_generator(), np.random.default_rng(0)
    with drawing_from(lent):
        assert default_generator() is lent
        with drawing_from(own):
            assert default_generator() is own
        manual_seed(1)
        assert default_generator() is lent
    assert default_generator() is own
    assert lent.random() == np.random.default_rng(1).random()
