"""Depth and memory: no recursion, arrays released on the way, nothing kept by cycles or caches."""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.processes import printed
from tinygrad_cnn import Tensor, grad, tensor
from tinygrad_cnn.inplace import _watched


def leaf(*values: float) -> Tensor:
    return tensor(np.array(values), requires_grad=True)


def grad_of(t: Tensor) -> Any:
    assert t.grad is not None
    return t.grad.numpy()


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Whatever is freed inside is freed by reference counts alone."""
    gc.disable()
    yield
    gc.enable()


# ------------------------------------------------------------------------------- depth, memory


def chain(x: Tensor, length: int) -> Tensor:
    y = x
    for _ in range(length):
        y = y + 1.0
    return y


@pytest.mark.parametrize("length", [10_000, pytest.param(40_000, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("no_collector")
def test_a_long_chain_gives_its_memory_back(length: int) -> None:
    x = leaf(0.0)
    chain(x, 100).backward()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        y = chain(x, length)
        y.backward()
        node = weakref.ref(y.grad_fn)
        held, _ = tracemalloc.get_traced_memory()
        del y
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert node() is None
    assert held - before > 100 * length  # the nodes were there …
    assert after - before < 10 * length + 500_000  # … and are gone, but for Python's own free lists
    np.testing.assert_array_equal(grad_of(x), [2.0])


@pytest.mark.usefixtures("no_collector")
def test_a_dropped_chain_is_freed_without_a_backward_pass() -> None:
    x = leaf(0.0)
    y = chain(x, 30_000)
    node = weakref.ref(y.grad_fn)
    del y
    assert node() is None


@pytest.mark.slow
def test_many_additions() -> None:
    x = leaf(0.0)
    y = chain(x, 300_000)
    assert y.item() == 300_000.0
    y.backward()
    np.testing.assert_array_equal(grad_of(x), [1.0])
    node = weakref.ref(y.grad_fn)
    del y
    assert node() is None


def test_a_deep_chain_on_a_small_stack() -> None:
    """Neither the walk nor the freeing recurses: a thread of 256 KB of stack does both."""
    program = (
        "import sys, threading\n"
        "import numpy as np\n"
        "from tinygrad_cnn import tensor\n"
        "def run():\n"
        "    x = tensor(np.zeros(1), requires_grad=True)\n"
        "    y = x\n"
        "    for _ in range(20_000):\n"
        "        y = y + 1.0\n"
        "    y.backward()\n"
        "    del y\n"
        "    print(x.grad.item())\n"
        "threading.stack_size(256 * 1024)\n"
        "sys.setrecursionlimit(150)\n"
        "thread = threading.Thread(target=run)\n"
        "thread.start()\n"
        "thread.join()\n"
    )
    assert printed(program) == "1.0\n"


def test_a_deep_chain_under_create_graph() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(5_000):
        y = y * 1.0
    (g,) = grad(y, x, create_graph=True)
    assert g.item() == 1.0


def saved_arrays(t: Tensor) -> list[weakref.ref[Any]]:
    """Weak references to the arrays that the graph below a tensor holds."""
    found = []
    stack = [t.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or isinstance(node, Tensor):
            continue
        found += [weakref.ref(a) for a in (*node.saved, node.out) if isinstance(a, np.ndarray)]
        stack += node.edges
    return found


def build(x: Tensor) -> Tensor:
    return ((x * 2.0).exp() * (x + 1.0).log()).sum()


@pytest.mark.usefixtures("no_collector")
def test_a_dropped_graph_is_freed_at_once() -> None:
    x = leaf(1.0, 2.0)
    loss = build(x)
    arrays = [r for r in saved_arrays(loss) if r() is not x._data]
    node = weakref.ref(loss.grad_fn)
    assert len(arrays) >= 3
    assert all(r() is not None for r in arrays)
    del loss
    assert node() is None
    assert all(r() is None for r in arrays)


@pytest.mark.usefixtures("no_collector")
def test_arrays_are_released_while_the_result_lives_on() -> None:
    x = leaf(1.0, 2.0)
    loss = build(x)
    arrays = [r for r in saved_arrays(loss) if r() is not x._data]
    loss.backward()
    assert all(r() is None for r in arrays)
    assert loss.grad_fn is not None
    assert loss.grad_fn.released


@pytest.mark.usefixtures("no_collector")
def test_retain_graph_keeps_the_arrays() -> None:
    x = leaf(1.0, 2.0)
    loss = build(x)
    arrays = saved_arrays(loss)
    loss.backward(retain_graph=True)
    assert all(r() is not None for r in arrays)
    once = grad_of(x).copy()
    loss.backward()
    np.testing.assert_allclose(grad_of(x), 2 * once)


@pytest.mark.usefixtures("no_collector")
def test_a_recorded_backward_pass_leaves_no_cycle() -> None:
    x = leaf(1.0, 2.0)
    loss = build(x)
    (g,) = grad(loss, x, create_graph=True)
    (h,) = grad(g.sum(), x)
    nodes = [weakref.ref(loss.grad_fn), weakref.ref(g.grad_fn)]
    del loss, g, h
    assert all(node() is None for node in nodes)


@pytest.mark.usefixtures("no_collector")
def test_grad_with_create_graph_kept_in_leaf_is_freed_with_the_leaf() -> None:
    x = leaf(1.0)
    (x * x * x).sum().backward(create_graph=True)
    assert x.grad is not None
    node = weakref.ref(x.grad.grad_fn)
    x.zero_grad()
    assert node() is None


def test_only_what_a_rule_reads_is_kept() -> None:
    x = leaf(1.0, 2.0)
    assert (x + x.exp()).grad_fn.saved in ((), [None, None])
    assert (x + 1.0).grad_fn.saved == [None, 1.0]  # constants stay, for the verification
    assert (x.reshape(2, 1)).grad_fn.saved in ((), [None])
    constant = tensor(np.array([3.0, 4.0]))
    saved = (x * constant).grad_fn.saved
    assert saved[0] is None  # the gradient of the constant is not wanted
    assert saved[1] is constant._data
    assert x.exp().grad_fn.saved in ((), [None])


def test_thousands_of_steps_leave_memory_flat() -> None:
    w, b = leaf(0.1, -0.2, 0.3), leaf(0.0)
    x = np.random.default_rng(0).standard_normal((8, 3))
    y = x.sum(axis=1)

    def steps(count: int) -> None:
        for _ in range(count):
            loss = (((w * x).sum(dim=1).exp().log() + b - y) ** 2).mean()
            w.zero_grad()
            b.zero_grad()
            loss.backward()
            w.data -= 0.01 * grad_of(w)
            b.data -= 0.01 * grad_of(b)

    steps(3_000)  # Python keeps up to 2,000 freed tuples of each length
    watched, blocks = len(_watched), sys.getallocatedblocks()
    steps(1_500)
    assert sys.getallocatedblocks() - blocks < 750  # a block at each step would be 1,500
    assert len(_watched) <= watched


def test_the_watch_forgets_arrays_that_are_gone() -> None:
    before = len(_watched)
    for _ in range(100):
        t = tensor(np.zeros(3))
        t.data[0] = 1.0
        t[1] = 2.0
        (leaf(1.0) * np.ones(1)).backward()
    del t
    assert len(_watched) <= before
