"""What is recorded where: no_grad, enable_grad, threads, detach, record_source."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import Tensor, enable_grad, grad, models, nn, no_grad, tensor
from tinygrad_cnn.autograd import is_grad_enabled, record_source, set_grad_enabled
from tinygrad_cnn.graph import GraphError, mode, nodes_below


@pytest.fixture
def x() -> Tensor:
    return tensor(np.array([2.0]), requires_grad=True)


def test_no_grad_records_nothing(x: Tensor) -> None:
    with no_grad():
        assert not is_grad_enabled()
        y = x * 3
    assert is_grad_enabled()
    assert y.is_leaf
    assert not y.requires_grad
    assert y.grad_fn is None
    assert (x * 3).requires_grad


def test_a_tensor_made_under_no_grad_may_still_require_one() -> None:
    with no_grad():
        leaf = tensor([1.0], requires_grad=True)
    (leaf * 2).backward()
    assert leaf.grad is not None


def test_as_a_decorator(x: Tensor) -> None:
    @no_grad()
    def frozen(t: Tensor) -> Tensor:
        """Triple."""
        return t * 3

    assert not frozen(x).requires_grad
    assert not frozen(x).requires_grad  # the same object serves every call
    assert is_grad_enabled()
    assert frozen.__name__ == "frozen"
    assert frozen.__doc__ == "Triple."

    @enable_grad()
    def recorded(t: Tensor) -> Tensor:
        return t * 3

    with no_grad():
        assert recorded(x).requires_grad
        assert not is_grad_enabled()


def test_a_decorated_function_may_call_itself(x: Tensor) -> None:
    @no_grad()
    def countdown(n: int) -> bool:
        return countdown(n - 1) if n else (x * 1).requires_grad

    assert countdown(5) is False
    assert is_grad_enabled()


def test_one_decorated_function_in_two_threads() -> None:
    """Each thread goes back to its own state, whoever enters and leaves first."""
    inside, leave = threading.Barrier(2), threading.Event()
    found: dict[str, list[bool]] = {}
    setting = no_grad()

    @no_grad()
    def wait(first: bool) -> bool:
        inside.wait()
        if not first:
            leave.wait()
        return is_grad_enabled()

    def run(name: str, first: bool) -> None:
        with enable_grad() if first else setting:
            before = is_grad_enabled()
            found[name] = [wait(first), before == is_grad_enabled()]
        if first:
            leave.set()
        found[name].append(is_grad_enabled())

    threads = [threading.Thread(target=run, args=(str(i), not i)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"0": [False, True, True], "1": [False, True, True]}


def test_an_object_is_left_in_the_thread_it_was_entered_in() -> None:
    setting = no_grad()
    errors: list[BaseException] = []

    def leave() -> None:
        try:
            setting.__exit__(None, None, None)
        except GraphError as error:
            errors.append(error)

    with setting:
        thread = threading.Thread(target=leave)
        thread.start()
        thread.join()
        assert not is_grad_enabled()
    assert is_grad_enabled()
    assert "no_grad: left in another thread" in str(errors[0])


def test_modes_left_in_another_order_than_entered() -> None:
    def suspended() -> Iterator[None]:
        with no_grad():
            yield

    steps = suspended()
    next(steps)
    with no_grad():
        assert next(steps, "done") == "done"  # leaves the mode that it entered before
        assert not is_grad_enabled()
        with record_source():
            assert not is_grad_enabled()
    assert is_grad_enabled()
    assert not mode.settings


def test_a_decorated_generator_sets_the_mode_while_it_runs(x: Tensor) -> None:
    @no_grad()
    def steps() -> Generator[bool, str, str]:
        got = yield (x * 1).requires_grad
        try:
            yield is_grad_enabled()
        except ValueError as error:
            got += str(error)
        yield is_grad_enabled()
        return got

    running = steps()
    assert next(running) is False
    assert is_grad_enabled()
    assert running.send("sent ") is False
    assert is_grad_enabled()
    assert running.throw(ValueError("thrown")) is False
    assert is_grad_enabled()
    with pytest.raises(StopIteration, match="sent thrown"):
        next(running)
    assert is_grad_enabled()


def test_a_decorated_generator_is_closed_within_its_mode() -> None:
    closed: list[bool] = []

    @no_grad()
    def steps() -> Iterator[int]:
        try:
            yield 1
        finally:
            closed.append(is_grad_enabled())

    running = iter(steps())
    next(running)
    del running
    assert closed == [False]


def test_a_decorated_coroutine_sets_the_mode_while_it_runs() -> None:
    seen: list[bool] = []

    @no_grad()
    async def work() -> str:
        seen.append(is_grad_enabled())
        await asyncio.sleep(0)
        seen.append(is_grad_enabled())
        return "done"

    async def other() -> None:
        for _ in range(3):
            seen.append(is_grad_enabled())
            await asyncio.sleep(0)

    async def both() -> list[Any]:
        return await asyncio.gather(work(), other())

    assert asyncio.run(both())[0] == "done"
    assert seen == [False, True, False, True, True]


def test_decorating_what_cannot_be_meant() -> None:
    with pytest.raises(TypeError, match=r"^no_grad: decorates functions and generators, got"):

        @no_grad()
        class _Thing:
            pass


def test_a_decorator_without_parentheses(x: Tensor) -> None:
    @no_grad
    def double() -> Tensor:
        """Twice x."""
        return x * 2

    assert not double().requires_grad
    assert double.__doc__ == "Twice x."


def test_set_grad_enabled_called_as_a_function(x: Tensor) -> None:
    set_grad_enabled(False)
    try:
        assert not (x * 2).requires_grad
    finally:
        set_grad_enabled(True)
    assert (x * 2).requires_grad

    @set_grad_enabled(False)
    def double() -> Tensor:
        return x * 2

    assert is_grad_enabled()
    assert not double().requires_grad
    setting = set_grad_enabled(False)
    for _ in range(2):
        with setting:
            assert not is_grad_enabled()
        assert is_grad_enabled()
    with pytest.raises(TypeError, match=r"^set_grad_enabled: expects True or False, got 'no'"):
        set_grad_enabled("no")  # type: ignore[arg-type]


def test_nesting(x: Tensor) -> None:
    with no_grad():
        with enable_grad():
            assert (x * 2).requires_grad
            with no_grad():
                assert not (x * 2).requires_grad
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad


def test_one_object_entered_twice() -> None:
    mode = no_grad()
    with mode:
        with mode:
            assert not is_grad_enabled()
        assert not is_grad_enabled()
    assert is_grad_enabled()


@pytest.mark.parametrize("enabled", [True, False])
def test_set_grad_enabled(x: Tensor, enabled: bool) -> None:
    with set_grad_enabled(enabled):
        assert (x * 2).requires_grad is enabled
    assert is_grad_enabled()


def test_an_exception_restores_the_mode(x: Tensor) -> None:
    with pytest.raises(ZeroDivisionError), no_grad():
        raise ZeroDivisionError
    assert is_grad_enabled()

    @no_grad()
    def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert (x * 2).requires_grad


def test_each_thread_has_its_own_mode(x: Tensor) -> None:
    inside, go_on = threading.Event(), threading.Event()
    seen: list[bool] = []

    def other() -> None:
        seen.append((x * 2).requires_grad)  # while the main thread is inside of no_grad
        with no_grad():
            inside.set()
            go_on.wait(10)
            seen.append((x * 2).requires_grad)

    thread = threading.Thread(target=other)
    with no_grad():
        thread.start()
        inside.wait(10)
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad  # while the other thread is inside of no_grad
    go_on.set()
    thread.join(10)
    assert seen == [True, False]


def test_passes_in_several_threads_do_not_meet() -> None:
    results: dict[int, Any] = {}

    def run(k: int) -> None:
        leaf = tensor(np.array([float(k)]), requires_grad=True)
        for _ in range(50):
            leaf.zero_grad()
            (leaf * leaf * leaf).backward()
        assert leaf.grad is not None
        results[k] = leaf.grad.item()

    threads = [threading.Thread(target=run, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == {k: 3.0 * k**2 for k in range(8)}


def test_backward_inside_no_grad(x: Tensor) -> None:
    y = x * x
    with no_grad():
        y.backward()
        assert not is_grad_enabled()
    assert x.grad is not None
    assert x.grad.item() == 4.0
    assert not x.grad.requires_grad


def test_create_graph_inside_no_grad(x: Tensor) -> None:
    y = x * x * x
    with no_grad():
        y.backward(create_graph=True)
        assert not is_grad_enabled()
    assert x.grad is not None
    assert x.grad.requires_grad


def test_a_plain_pass_records_nothing(x: Tensor) -> None:
    (x * x).backward()
    assert x.grad is not None
    assert not x.grad.requires_grad
    assert x.grad.is_leaf


# ------------------------------------------------------------------------------- detach


def test_detach_cuts_the_graph(x: Tensor) -> None:
    y = x * x
    cut = y.detach()
    assert cut.is_leaf
    assert not cut.requires_grad
    assert cut.numpy() is y.numpy()
    (y * cut).backward()
    assert x.grad is not None
    assert x.grad.item() == 4 * 4.0  # d(x²·c)/dx = 2x·c


def test_detach_of_a_leaf_shares_memory(x: Tensor) -> None:
    cut = x.detach()
    cut.numpy()[0] = 7.0
    assert x.item() == 7.0
    assert x.requires_grad


def test_clone_is_recorded_and_does_not_share_memory(x: Tensor) -> None:
    copy = x.clone()
    assert copy.requires_grad
    assert not np.shares_memory(copy.detach().numpy(), x.data)
    (copy * 5).backward()
    assert x.grad is not None
    assert x.grad.item() == 5.0


# ------------------------------------------------------------------------------- source


def test_source_is_not_kept_by_default(x: Tensor) -> None:
    assert (x * 2).grad_fn.source is None


def test_record_source_keeps_file_and_line(x: Tensor) -> None:
    with record_source():
        y = x * 2
        here = inspect.currentframe()
        assert here is not None
        line = here.f_lineno - 3
        z = y.exp().sum()  # a method that calls a function that calls an op
    assert y.grad_fn.source == (__file__, line)
    assert z.grad_fn.source == (__file__, line + 4)
    assert z.grad_fn.edges[0].source == (__file__, line + 4)
    assert (x * 2).grad_fn.source is None


def test_what_a_rule_records_belongs_to_the_module_of_its_operation() -> None:
    class Squared(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x * x).exp()

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Squared()

        def forward(self, x: Tensor) -> Any:
            return self.inner(x) * 2.0

    x = tensor([0.5], requires_grad=True)
    (g,) = grad(Outer()(x), x, create_graph=True)
    assert g.grad_fn is not None
    assert g.grad_fn.scope == "inner"
    assert mode.scope == ""


def test_the_source_of_a_network_of_the_package_is_the_network() -> None:
    model = models.NETWORKS["softmax"].build()
    with record_source():
        y = model(tensor(np.zeros((1, 1, 28, 28), np.float32)))
    files = {Path(node.source[0]).parent.name for node in nodes_below(y) if node.source}
    assert files == {"models"}
