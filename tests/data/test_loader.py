"""The DataLoader: batches, orders, threads, errors."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from typing import NamedTuple

import numpy as np
import pytest

from tinygrad_cnn import tensor
from tinygrad_cnn.data import DataLoader, default_collate, digits
from tinygrad_cnn.data.batchwise import RandomHorizontalFlip
from tinygrad_cnn.random import get_rng_state, manual_seed, set_rng_state

X = np.arange(30.0).reshape(10, 3)
Y = np.arange(10)


def rng(seed=0):
    return np.random.default_rng(seed)


class Samples:
    """A data set of single samples that counts how many were asked for."""

    def __init__(self, size=10):
        self.size = size
        self.asked = 0

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        self.asked += 1
        return np.full(2, index), index


def ahead(batches, workers=1):
    """So many batches prepared ahead."""
    return {"num_workers": workers, "prefetch_factor": batches} if batches else {}


def labels_of(loader):
    return [batch[-1].tolist() for batch in loader]


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_batches_in_order(prefetch):
    loader = DataLoader((X, Y), batch_size=4, **ahead(prefetch))
    batches = list(loader)
    assert len(batches) == len(loader) == 3
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), X)
    assert [y.tolist() for _, y in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize(
    ("size", "batch_size", "drop_last", "expected"),
    [(10, 4, True, 2), (10, 5, True, 2), (10, 5, False, 2), (3, 4, True, 0), (3, 4, False, 1)],
)
def test_length(size, batch_size, drop_last, expected):
    loader = DataLoader(np.arange(size), batch_size, drop_last=drop_last)
    batches = list(loader)
    assert len(loader) == len(batches) == expected
    if drop_last:
        assert all(len(batch) == batch_size for batch in batches)


def test_an_empty_data_set_has_no_batches():
    assert list(DataLoader(np.zeros((0, 3)), batch_size=4, shuffle=True)) == []


def test_kinds_of_data_sets():
    (only,) = DataLoader(Y, batch_size=10)
    np.testing.assert_array_equal(only, Y)
    ((only,),) = DataLoader((Y,), batch_size=10)
    np.testing.assert_array_equal(only, Y)
    test = digits().test
    images, labels = next(iter(DataLoader(test, batch_size=8)))
    np.testing.assert_array_equal(images, test.images[:8])
    np.testing.assert_array_equal(labels, test.labels[:8])
    pairs, indices = next(iter(DataLoader(Samples(), batch_size=3)))
    assert pairs.tolist() == [[0, 0], [1, 1], [2, 2]]
    assert indices.tolist() == [0, 1, 2]
    assert [batch.tolist() for batch in DataLoader([5, 6, 7], batch_size=2)] == [[5, 6], [7]]


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_do_not_share_memory_with_the_data(shuffle):
    for x, y in DataLoader((X, Y), batch_size=5, shuffle=shuffle):
        assert not np.shares_memory(x, X)
        assert not np.shares_memory(y, Y)


def test_shuffle_is_a_new_permutation_each_epoch():
    loader = DataLoader((X, Y), batch_size=4, shuffle=True, generator=rng())
    first, second = ([int(y) for _, ys in loader for y in ys] for _ in range(2))
    assert sorted(first) == sorted(second) == Y.tolist()
    assert first != second
    expected = rng()
    assert [first, second] == [expected.permutation(10).tolist() for _ in range(2)]
    for x, y in loader:
        np.testing.assert_array_equal(x, X[y])


def test_default_generator_and_its_state():
    loader = DataLoader((X, Y), batch_size=4, shuffle=True)
    manual_seed(5)
    first = labels_of(loader)
    state = json.dumps(get_rng_state())
    second, third = labels_of(loader), labels_of(loader)
    set_rng_state(json.loads(state))
    assert [labels_of(loader), labels_of(loader)] == [second, third]
    manual_seed(5)
    assert labels_of(loader) == first


def test_prefetch_changes_nothing():
    """Nor does a consumer that draws from the same generator between the batches."""
    images = rng().integers(256, size=(23, 4, 4), dtype=np.uint8)
    epochs = []
    for prefetch in (0, 1, 2, 50):
        generator = rng(1)
        loader = DataLoader(
            (images, np.arange(23)),
            batch_size=4,
            shuffle=True,
            generator=generator,
            **ahead(prefetch),
            transform=RandomHorizontalFlip(),
        )
        epochs.append(
            [(x.tolist(), y.tolist(), generator.random()) for _ in range(2) for x, y in loader]
        )
    assert all(epoch == epochs[0] for epoch in epochs)


def test_two_iterations_at_once_are_independent():
    loader = DataLoader(
        (X, Y), batch_size=5, shuffle=True, generator=rng(), num_workers=1, prefetch_factor=1
    )
    one, two = iter(loader), iter(loader)
    mixed = [next(one)[1], next(two)[1], next(one)[1], next(two)[1]]
    assert sorted(np.concatenate(mixed[::2])) == sorted(np.concatenate(mixed[1::2])) == list(Y)


def test_transform_applies_to_the_inputs():
    def double(inputs, generator):
        assert isinstance(generator, np.random.Generator)
        return inputs * 2

    for x, y in DataLoader((X, Y), batch_size=4, transform=double):
        np.testing.assert_array_equal(x, X[y] * 2)
    for batch in DataLoader(Y, batch_size=10, transform=double):
        np.testing.assert_array_equal(batch, Y * 2)


def test_collate_gets_samples():
    seen = []
    loader = DataLoader(
        (X, Y), batch_size=4, collate_fn=lambda samples: seen.append(samples) or "b"
    )
    assert list(loader) == ["b"] * 3
    assert [len(samples) for samples in seen] == [4, 4, 2]
    np.testing.assert_array_equal(seen[1][2][0], X[6])
    assert seen[1][2][1] == 6
    assert list(DataLoader(Samples(), batch_size=5, collate_fn=len)) == [5, 5]


def test_default_collate_refuses_samples_that_differ():
    with pytest.raises(ValueError, match="default_collate: the samples of a batch differ"):
        default_collate([np.zeros(2), np.zeros(3)])
    with pytest.raises(ValueError, match="pass a collate function of your own"):
        default_collate([(1, 2), (1, 2, 3)])


def test_prefetch_stays_within_its_bound():
    samples = Samples(100)
    batches = iter(DataLoader(samples, batch_size=1, num_workers=1, prefetch_factor=3))
    assert samples.asked == 0
    for taken in range(1, 20):
        next(batches)
        assert samples.asked <= taken + 3
    batches.close()


class Broken(Samples):
    def __getitem__(self, index):
        if index == 6:
            raise RuntimeError("sample 6 is broken")
        return super().__getitem__(index)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_an_error_reaches_the_caller_with_its_traceback(prefetch):
    before = threading.active_count()
    got = []
    with pytest.raises(RuntimeError, match="sample 6 is broken") as caught:
        got.extend(labels.tolist() for _, labels in DataLoader(Broken(), 2, **ahead(prefetch)))
    assert got == [[0, 1], [2, 3], [4, 5]]
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert (frames[-1].name, frames[-1].line) == (
        "__getitem__",
        'raise RuntimeError("sample 6 is broken")',
    )
    assert threading.active_count() == before


def test_leaving_the_loop_ends_the_thread_and_leaks_nothing():
    before = threading.active_count()
    samples = Samples(10_000)
    gc.disable()  # the thread must end without the garbage collector's help
    try:
        for _ in range(20):
            for _batch in DataLoader(samples, batch_size=10, num_workers=1, prefetch_factor=2):
                assert threading.active_count() == before + 1
                break
            assert threading.active_count() == before
    finally:
        gc.enable()
    assert samples.asked <= 20 * 4 * 10


class Slow(Samples):
    def __getitem__(self, index):
        time.sleep(0.005)
        return super().__getitem__(index)


def test_leaving_the_loop_prepares_no_more_batches():
    samples = Slow(200)
    for _batch in DataLoader(samples, num_workers=1, prefetch_factor=200):
        break
    assert samples.asked < 100


def test_an_iterator_never_used_starts_no_thread():
    before = threading.active_count()
    batches = iter(DataLoader((X, Y), batch_size=2, num_workers=1, prefetch_factor=2))
    assert threading.active_count() == before
    del batches


def test_the_whole_loop_ends_the_thread():
    before = threading.active_count()
    assert len(list(DataLoader((X, Y), batch_size=2, num_workers=1, prefetch_factor=2))) == 5
    assert threading.active_count() == before


SCRIPT = """
import signal, sys, threading, time
import numpy as np
from tinygrad_cnn.data import DataLoader

class Slow:
    def __len__(self):
        return 1000
    def __getitem__(self, index):
        time.sleep(0.02)
        return index

# A parent that ignores Ctrl-C, as a shell's background job does, would pass that on.
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    for batch in DataLoader(Slow(), batch_size=10, num_workers=1, prefetch_factor=2):
        print("ready", flush=True)
except KeyboardInterrupt:
    print("threads:", threading.active_count())
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_does_not_hang():
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)  # the consumer now waits for the second batch
        output, _ = process.communicate(timeout=300)
    finally:
        process.kill()
    assert output.endswith("threads: 1\n")
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("dataset", "options", "error", "message"),
    [
        ((X, Y), {"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ((X, Y), {"batch_size": 2.0}, TypeError, "batch_size must be an integer, got 2.0"),
        ((X, Y), {"num_workers": -1}, ValueError, "num_workers must be at least 0, got -1"),
        ((X, Y), {"num_workers": None}, TypeError, "num_workers must be an integer, got None"),
        ((X, Y), {"prefetch_factor": 2}, ValueError, "prefetch_factor is for num_workers of at le"),
        ((X, Y), {"timeout": -1}, ValueError, "timeout must be at least 0, got -1"),
        ((X, Y), {"generator": 3}, TypeError, "generator must be a numpy.random.Generator, got 3"),
        ((X, Y), {"transform": 3}, TypeError, "transform must be callable, got 3"),
        ((X, Y), {"collate_fn": "x"}, TypeError, "collate_fn must be callable, got 'x'"),
        ((X, Y[:9]), {}, ValueError, r"equally many rows, got shapes \(10, 3\), \(9,\)"),
        ((X, np.array(3)), {}, ValueError, r"equally many rows, got shapes \(10, 3\), \(\)"),
        (np.array(3), {}, ValueError, r"equally many rows, got shapes \(\)"),
        ((X, [1, 2]), {}, TypeError, r"must hold NumPy arrays, got a tuple of \(ndarray, list\)"),
        ((), {}, TypeError, r"must hold NumPy arrays, got a tuple of \(\)"),
        (iter([1]), {}, TypeError, "with __len__ and __getitem__, got list_iterator"),
    ],
)
def test_bad_arguments(dataset, options, error, message):
    with pytest.raises(error, match=f"DataLoader: .*{message}"):
        DataLoader(dataset, **options)


# ------------------------------------------------------------------------------- collating


class Point(NamedTuple):
    x: float
    name: str


def test_dicts_tuples_and_lists_are_collated_by_their_parts():
    samples = [
        {
            "image": np.full((2, 2), i),
            "pair": (i, [i, float(i)]),
            "name": f"n{i}",
            "p": Point(i, "a"),
        }
        for i in range(3)
    ]
    batch = default_collate(samples)
    assert list(batch) == ["image", "pair", "name", "p"]
    assert batch["image"].shape == (3, 2, 2)
    numbers, (first, second) = batch["pair"]
    assert numbers.tolist() == first.tolist() == [0, 1, 2]
    assert second.dtype == np.float64
    assert batch["name"] == ["n0", "n1", "n2"]
    assert type(batch["p"]) is Point
    assert batch["p"].name == ["a", "a", "a"]


def test_tensors_are_collated_to_a_tensor_with_its_graph():
    w = tensor([2.0], requires_grad=True)
    batch = default_collate([w * 1.0, w * 2.0])
    batch.sum().backward()
    assert w.grad.tolist() == [3.0]


def test_views_and_tensors_are_of_one_type():
    whole = tensor(np.arange(6.0).reshape(3, 2))
    batch = default_collate([whole[0], whole[1] * 1, tensor([4.0, 5.0], dtype=float)])
    np.testing.assert_array_equal(batch.numpy(), whole.numpy())
    assert default_collate([True, False]).dtype == bool
    assert default_collate([1, 2.5]).tolist() == [1, 2.5]
    with pytest.raises(TypeError, match="which makes no batch"):
        default_collate([1 << 70, 1])


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        ([None, None], TypeError, "the samples are of type NoneType, which makes no batch; pass a"),
        ([{"x": None}], TypeError, r"the samples\['x'\] are of type NoneType"),
        ([object()], TypeError, "type object"),
        ([(1, 2j)], TypeError, r"samples\[1\] are of type complex"),
        ([{"x": 1}, {"y": 1}], ValueError, "differ in their keys"),
        ([[1, 2], [1]], ValueError, "differ in length"),
        ([(1, "a"), (1, 2)], TypeError, r"samples\[1\] of a batch are of several types, int, str"),
        ([], ValueError, "got no samples"),
        ({1, 2}, TypeError, "expected a list of samples, got set"),
    ],
)
def test_what_makes_no_batch_is_refused(samples, error, message):
    with pytest.raises(error, match=message):
        default_collate(samples)


def test_dicts_as_data_sets():
    loader = DataLoader({0: (1.0, "a"), 1: (2.0, "b"), 2: (3.0, "c")}, batch_size=2)
    assert [names for _, names in loader] == [["a", "b"], ["c"]]
    with pytest.raises(TypeError, match=r"a dict as a data set must have the keys 0, 1, …"):
        DataLoader({"x": X, "y": Y})
    with pytest.raises(TypeError, match="shuffle must be True or False, got 'no'"):
        DataLoader((X, Y), shuffle="no")


def test_what_others_were_made_from_stays():
    loader = DataLoader((X, Y), batch_size=4)
    for name in ("batch_size", "batch_sampler", "dataset", "drop_last", "sampler"):
        with pytest.raises(ValueError, match=f"DataLoader: {name} is given once, to a new"):
            setattr(loader, name, 2)
    loader.num_workers = 1
    assert [len(y) for _, y in loader] == [4, 4, 2]


def test_a_loader_shows_itself():
    assert repr(DataLoader((X, Y), batch_size=4, shuffle=True)) == (
        "DataLoader(tuple of 10 samples, 3 batches, batch_size=4, shuffle=True)"
    )
