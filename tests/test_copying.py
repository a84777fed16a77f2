"""pickle, deepcopy and spawned processes: links, views and layouts are kept, or it is refused."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import Tensor, nn, tensor
from tinygrad_cnn import functional as F
from tinygrad_cnn.data import DataLoader
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.nn import Parameter
from tinygrad_cnn.optim import SGD, Adam, AdamW, CosineAnnealingLR, Optimizer, RMSprop
from tinygrad_cnn.random import default_generator, manual_seed
from tinygrad_cnn.tensor import as_tensor


def pickled(x: Any) -> Any:
    return pickle.loads(pickle.dumps(x))  # made here


WAYS: list[Callable[[Any], Any]] = [copy.deepcopy, pickled]
every_way = pytest.mark.parametrize("way", WAYS, ids=["deepcopy", "pickle"])


def network() -> nn.Module:
    manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)
    )


rng = np.random.default_rng(0)
IMAGES, CLASSES = rng.standard_normal((6, 3, 8, 8), dtype=np.float32), rng.integers(0, 5, 6)


def train(model: nn.Module, optimizer: Optimizer, schedule: Any, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(tensor(IMAGES)), CLASSES).backward()
        optimizer.step()
        schedule.step()


OPTIMIZERS: list[Callable[[Any], Optimizer]] = [
    lambda p: SGD(p, lr=0.1, momentum=0.9),
    lambda p: Adam(p, lr=0.01),
    lambda p: AdamW(p, lr=0.01),
    lambda p: RMSprop(p, lr=0.01, momentum=0.5),
]


@every_way
@pytest.mark.parametrize("make", OPTIMIZERS)
def test_a_copied_model_with_its_optimiser_learns_on(
    way: Callable[[Any], Any], make: Callable[[Any], Optimizer]
) -> None:
    model = network()
    optimizer = make(model.parameters())
    schedule = CosineAnnealingLR(optimizer, 20)
    train(model, optimizer, schedule, 2)
    other = way((model, optimizer, schedule))
    assert other[1].param_groups[0]["params"][0] is next(iter(other[0].parameters()))
    assert other[2].optimizer is other[1]
    train(model, optimizer, schedule, 3)
    before = copy.deepcopy(other[0].state_dict())
    train(*other, 3)
    after = other[0].state_dict()
    assert any((before[name] != after[name]).any() for name in before)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(after[name], value, err_msg=name)


@every_way
def test_views_of_one_memory_stay_views(way: Callable[[Any], Any]) -> None:
    array = np.array(np.arange(12.0).reshape(3, 4))  # NumPy itself copies views one by one
    whole, row, column = as_tensor(array), as_tensor(array[1]), as_tensor(array.T[2])
    same, twins = way((array, (whole, row, column)))
    same[1, 2] = 99.0
    assert [float(t.numpy().max()) for t in twins] == [99.0, 99.0, 99.0]
    assert not (array == 99.0).any()
    w = tensor(np.ones(4), requires_grad=True)
    loss = (w * twins[1]).sum()
    same[1, 0] = 7.0  # the user holds it, in the copy as well
    with pytest.raises(GraphError, match="changed in place"):
        loss.backward()


@every_way
def test_the_order_of_memory_is_kept(way: Callable[[Any], Any]) -> None:
    last = tensor(np.arange(24.0).reshape(1, 2, 3, 4).transpose(0, 3, 1, 2))
    assert not last.numpy().flags.c_contiguous
    view = last.detach()
    one, other = way((last, view))
    np.testing.assert_array_equal(one.numpy(), last.numpy())
    assert one.numpy().strides == last.numpy().strides
    one[0, 0, 0, 0] = -1.0
    assert other.numpy()[0, 0, 0, 0] == -1.0


@every_way
def test_a_memmap_and_a_buffer_become_plain_arrays(
    way: Callable[[Any], Any], tmp_path: Any
) -> None:
    mapped = np.memmap(tmp_path / "values", np.float32, "w+", shape=(3,))
    mapped[...] = [1.0, 2.0, 3.0]
    for array in (mapped, mapped[1:], np.frombuffer(bytearray(b"\0\0\x80?"), np.float32)):
        twin = way(as_tensor(array))
        np.testing.assert_array_equal(twin.numpy(), array)
        assert type(twin.numpy()) is np.ndarray


@every_way
@pytest.mark.parametrize("kind", [Tensor, Parameter])
def test_what_belongs_to_a_tensor(way: Callable[[Any], Any], kind: type[Tensor]) -> None:
    x = kind(np.array([1.0, 2.0]), requires_grad=True, name="x")
    x.grad = np.array([3.0, 4.0])
    twin = way(x)
    assert type(twin) is kind
    assert twin.requires_grad
    assert twin.name == "x"
    if way is copy.deepcopy and kind is Parameter:  # as PyTorch's
        assert twin.grad is None
    else:
        np.testing.assert_array_equal(twin.grad.numpy(), [3.0, 4.0])


def ten_times(g: Tensor) -> Tensor:
    return g * 10


@every_way
@pytest.mark.parametrize("kind", [Tensor, Parameter])
def test_hooks_stay(way: Callable[[Any], Any], kind: type[Tensor]) -> None:
    x = kind(np.array([1.0, 2.0]), requires_grad=True)
    handle = x.register_hook(ten_times)
    twin, its_handle = way((x, handle))
    twin.sum().backward()
    np.testing.assert_array_equal(twin.grad.numpy(), [10.0, 10.0])
    its_handle.remove()
    twin.zero_grad()
    twin.sum().backward()
    np.testing.assert_array_equal(twin.grad.numpy(), [1.0, 1.0])


@every_way
def test_tied_parameters_stay_tied(way: Callable[[Any], Any]) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    twin = way(model)
    assert twin[1].weight is twin[0].weight
    assert twin[0].weight is not model[0].weight


@every_way
def test_a_result_of_the_graph_is_refused(way: Callable[[Any], Any]) -> None:
    x = tensor([1.0], requires_grad=True)
    y = x * 2
    with pytest.raises(GraphError, match=r"^copy: a result of mul is part of a graph.*detach\(\)"):
        way(y)
    with pytest.raises(GraphError, match=r"^copy: the node of mul is part of a graph"):
        way(y.grad_fn)


@every_way
def test_what_holds_the_default_generator_still_does(way: Callable[[Any], Any]) -> None:
    own = np.random.default_rng(0)
    loader = DataLoader((np.arange(4.0), np.arange(4)), 2, shuffle=True)
    twin, dropout, mine = way((loader, nn.Dropout(), DataLoader(np.ones(3), generator=own)))
    assert twin.generator is None  # which is the default one
    assert mine.generator is not default_generator()
    assert isinstance(mine.generator, np.random.Generator)
    manual_seed(3)
    first = [batch[0].tolist() for batch in loader]
    manual_seed(3)
    assert [batch[0].tolist() for batch in twin] == first
    manual_seed(3)
    noise = nn.Dropout()(np.ones(100)).tolist()
    manual_seed(3)
    assert dropout(np.ones(100)).tolist() == noise


def work(model: nn.Module, optimizer: Optimizer, queue: Any) -> None:
    F.cross_entropy(model(tensor(IMAGES)), CLASSES).backward()
    optimizer.step()
    queue.put(model.state_dict())


def test_a_spawned_process_gets_them_too() -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=work, args=(model, optimizer, queue))
    process.start()
    answer = queue.get()
    process.join(60)
    assert process.exitcode == 0
    F.cross_entropy(model(tensor(IMAGES)), CLASSES).backward()
    optimizer.step()
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(answer[name], value, rtol=1e-5, atol=1e-6, err_msg=name)
