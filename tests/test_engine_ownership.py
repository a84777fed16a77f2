"""What becomes a gradient belongs to whoever gets it: writing to it changes nothing else.

And user code that writes in the middle of a backward pass: an error, or the gradient of the values
from before.
"""

# ruff: noqa: ARG002  # rules take every input: the protocol
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import Tensor, grad, no_grad, tensor
from tinygrad_cnn import functional as F
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.op import Op
from tinygrad_cnn.optim import clip_grad_norm_


def leaf(*values: float) -> Tensor:
    return tensor(np.array(values), requires_grad=True)


def array_of(t: Tensor | None) -> Any:
    assert t is not None
    return t.numpy()


def spoil(t: Tensor | None) -> None:
    array_of(t)[...] = -7.0


# ------------------------------------------------------------------------------- hooks


@pytest.mark.parametrize("as_array", [False, True])
@pytest.mark.parametrize("create_graph", [False, True])
def test_what_a_hook_of_a_leaf_returns_stays_its_own(as_array: bool, create_graph: bool) -> None:
    kept = tensor(np.array([10.0, 10.0]))
    x = leaf(1.0, 2.0)
    x.register_hook(lambda _: kept.numpy() if as_array else kept)
    (x * x).sum().backward(create_graph=create_graph)
    clip_grad_norm_([x], 1.0)
    np.testing.assert_array_equal(kept.numpy(), [10.0, 10.0])
    np.testing.assert_allclose(array_of(x.grad), np.full(2, 0.5**0.5), rtol=1e-6)


@pytest.mark.parametrize("make", [lambda y: y * 1.0, F.neg, F.exp, lambda y: y.reshape(2, 1)])
def test_what_a_hook_of_a_result_returns_stays_its_own(make: Callable[[Tensor], Tensor]) -> None:
    kept = tensor(np.array([10.0, 10.0]))
    x = leaf(1.0, 2.0)
    y = x + 0.0
    y.register_hook(lambda _: kept)
    make(y).sum().backward()
    np.testing.assert_array_equal(array_of(x.grad), [10.0, 10.0])
    spoil(x.grad)
    np.testing.assert_array_equal(kept.numpy(), [10.0, 10.0])


def test_what_a_hook_returns_in_a_large_pass_stays_its_own() -> None:
    x = tensor(np.ones((1 << 17) + 1), requires_grad=True)
    kept = tensor(np.full(x.shape, 10.0))
    y = F.relu(x)
    y.register_hook(lambda _: kept)
    z = F.relu(y + 0.0)
    z.register_hook(lambda _: kept)
    (z + y).sum().backward()
    np.testing.assert_array_equal(array_of(x.grad)[:2], [10.0, 10.0])
    spoil(x.grad)
    np.testing.assert_array_equal(kept.numpy(), 10.0)


def test_what_a_hook_is_shown_may_be_kept() -> None:
    seen: list[Tensor] = []
    x = leaf(1.0, 2.0)
    x.register_hook(seen.append)
    (x * 3.0).sum().backward()
    spoil(x.grad)
    np.testing.assert_array_equal(seen[0].numpy(), [3.0, 3.0])
    spoil(seen[0])
    np.testing.assert_array_equal(array_of(x.grad), [-7.0, -7.0])


def test_what_a_hook_writes_to_its_argument_counts() -> None:
    def double(g: Tensor) -> None:
        g.numpy()[...] *= 2

    x = leaf(1.0, 2.0)
    y = x * 3.0
    x.register_hook(double)
    y.register_hook(double)
    (y + x).sum().backward()
    np.testing.assert_array_equal(array_of(x.grad), [14.0, 14.0])


def test_a_hook_that_writes_to_a_recorded_gradient_is_refused() -> None:
    def double(g: Tensor) -> None:
        g.numpy()[...] *= 2

    x = leaf(1.0, 2.0)
    y = x * x
    y.register_hook(double)
    with pytest.raises(GraphError, match=r"a hook wrote to a gradient that is being recorded"):
        (y * y).sum().backward(create_graph=True)


# ------------------------------------------------------------------------------- rules


CACHE = np.array([5.0, 6.0])


class Cached(Op):
    """A rule that returns an array which it keeps for good."""

    __slots__ = ()

    def forward(self, x: Any) -> Any:
        return x * CACHE

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (CACHE,)


class FromSetting(Op):
    """A rule that returns one of its settings."""

    __slots__ = ("factor",)

    def __init__(self, factor: Any) -> None:
        self.factor = factor

    def forward(self, x: Any) -> Any:
        return x * self.factor

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (self.factor,)


class FromAux(Op):
    """A rule that returns its aux."""

    __slots__ = ()
    has_aux = True

    def __init__(self) -> None:
        pass

    def forward(self, x: Any) -> Any:
        return x * 2.0, np.full_like(x, 2.0)

    def backward(self, g: Any, out: Any, x: Any, *, aux: Any) -> tuple[Any, ...]:
        return (aux,)


class FromInput(Op):
    """A rule that returns one of its inputs for the other."""

    __slots__ = ()
    saves = ("a", "b")

    def forward(self, a: Any, b: Any) -> Any:
        return a * b

    def backward(self, g: Any, out: Any, a: Any, b: Any) -> tuple[Any, ...]:
        return b, a


ANSWER = (np.array([3.0, 4.0]),)


class SameTuple(Op):
    """A rule that returns the same tuple every time."""

    __slots__ = ()

    def forward(self, x: Any) -> Any:
        return x * ANSWER[0]

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return ANSWER


@pytest.mark.parametrize(
    "op", [Cached(), FromSetting(np.array([5.0, 6.0])), FromAux(), SameTuple()]
)
def test_what_a_rule_returns_and_keeps(op: Op) -> None:
    x = leaf(1.0, 2.0)
    y = op(x).sum()
    y.backward(retain_graph=True)
    first = array_of(x.grad).copy()
    spoil(x.grad)
    x.zero_grad()
    y.backward()
    np.testing.assert_array_equal(array_of(x.grad), first)


def test_an_input_returned_as_the_gradient_of_the_other() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    FromInput()(a, b).sum().backward()
    spoil(a.grad)
    spoil(b.grad)
    np.testing.assert_array_equal(a.numpy(), [1.0, 2.0])
    np.testing.assert_array_equal(b.numpy(), [3.0, 4.0])


class Fresh(Op):
    """A rule that makes its gradient anew and says where."""

    __slots__ = ("made",)

    def __init__(self, made: list[int]) -> None:
        self.made = made

    def forward(self, x: Any) -> Any:
        return x + 0.0

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        result = g * 2.0
        self.made.append(id(result))
        return (result,)


def test_a_new_gradient_is_not_copied() -> None:
    """Nobody but the rule's tuple holds it: so it becomes the leaf's grad as it is."""
    made: list[int] = []
    x = leaf(1.0, 2.0)
    Fresh(made)(x).sum().backward()
    assert id(array_of(x.grad)) == made[0]


def test_a_new_gradient_in_another_order_is_not_copied() -> None:
    """A view that alone holds its memory is as good as an array."""
    made: list[int] = []

    class Turned(Fresh):
        def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
            memory = np.ascontiguousarray(g.T)
            self.made.append(memory.ctypes.data)
            return (memory.T,)

    x = tensor(np.ones((2, 3)), requires_grad=True)
    Turned(made)(x).sum().backward()
    assert array_of(x.grad).ctypes.data == made[0]


def test_a_view_of_what_the_rule_keeps_is_copied() -> None:
    class Keeping(Fresh):
        def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
            self.made = np.ascontiguousarray(g.T)
            return (self.made.T,)

    x, op = tensor(np.ones((2, 3)), requires_grad=True), Keeping([])
    op(x).sum().backward()
    spoil(x.grad)
    np.testing.assert_array_equal(op.made, np.ones((3, 2)))


# ------------------------------------------------------------------------------- starts and results


LARGE = 1 << 18
Use = Callable[[Tensor, Tensor, Any], Tensor]


def _with_a_hook(x: Tensor, y: Tensor, write: Any) -> Tensor:
    total = x + y
    total.register_hook(write)
    return total + 0.0


def _with_a_hook_of_a_leaf(x: Tensor, y: Tensor, write: Any) -> Tensor:
    y.register_hook(write)
    return (x + 0.0) + y


def _with_a_rule(x: Tensor, y: Tensor, write: Any) -> Tensor:
    class Writing(Op):
        def forward(self, x: Any) -> Any:
            return x + 0.0

        def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
            write(g)
            return (g,)

    return (x + 0.0) + Writing()(y)


@pytest.mark.parametrize("use", [_with_a_hook, _with_a_hook_of_a_leaf, _with_a_rule])
def test_a_large_gradient_given_may_be_written_to_in_the_midst_of_the_pass(use: Use) -> None:
    g = np.ones(LARGE)

    def write(_: Any) -> None:
        g[...] = 5.0

    x, y = (tensor(np.ones(LARGE), requires_grad=True) for _ in range(2))
    use(x, y, write).backward(g)
    for leaf_ in (x, y):
        np.testing.assert_array_equal(array_of(leaf_.grad), np.ones(LARGE))


def test_a_large_gradient_given_stays_the_users() -> None:
    g = np.ones(LARGE)
    x, y = (tensor(np.ones(LARGE), requires_grad=True) for _ in range(2))
    (x + y).backward(g)
    spoil(x.grad)
    x.grad = None
    x.backward(g)
    spoil(x.grad)
    np.testing.assert_array_equal(g, np.ones(LARGE))
    np.testing.assert_array_equal(array_of(y.grad), g)


def test_the_gradient_given_under_create_graph_stays_the_users() -> None:
    given = tensor(np.array([1.0, 2.0]), requires_grad=True)
    x = leaf(3.0, 4.0)
    (x + 0.0).backward(given, create_graph=True)
    assert x.grad is not None
    assert x.grad.requires_grad
    (by_given,) = grad(x.grad.sum(), given, retain_graph=True)  # still connected to it
    np.testing.assert_array_equal(by_given.numpy(), [1.0, 1.0])
    with no_grad():
        spoil(x.grad.detach())
    np.testing.assert_array_equal(given.numpy(), [1.0, 2.0])


@pytest.mark.parametrize("create_graph", [False, True])
def test_two_leaves_share_no_gradient(create_graph: bool) -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    ((a + b) ** 2).sum().backward(create_graph=create_graph)
    assert a.grad is not None
    assert b.grad is not None
    before = b.grad.detach().numpy().copy()
    spoil(a.grad.detach())
    np.testing.assert_array_equal(b.grad.detach().numpy(), before)


@pytest.mark.parametrize("create_graph", [False, True])
def test_results_of_grad_are_the_callers_alone(create_graph: bool) -> None:
    x, g = leaf(1.0, 2.0), tensor(np.array([5.0, 6.0]))
    y = x + 0.0
    answers = grad(y, [x, x, y, y], g, create_graph=create_graph)
    for index, answer in enumerate(answers):
        others = [a.detach().numpy().copy() for a in answers[index + 1 :]]
        spoil(answer.detach())
        for other, before in zip(answers[index + 1 :], others, strict=True):
            np.testing.assert_array_equal(other.detach().numpy(), before)
    np.testing.assert_array_equal(g.numpy(), [5.0, 6.0])


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_retained_gradient_is_not_shared(create_graph: bool) -> None:
    x = leaf(1.0, 2.0)
    y = x + 0.0
    y.retain_grad()
    (y * y).sum().backward(create_graph=create_graph)
    assert y.grad is not None
    spoil(y.grad.detach())
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.detach().numpy(), [2.0, 4.0])


def test_accumulation_after_create_graph() -> None:
    given = tensor(np.array([1.0, 2.0]))
    x = leaf(3.0, 4.0)
    for _ in range(2):
        (x + 0.0).backward(given, create_graph=True)
    np.testing.assert_array_equal(array_of(x.grad), [2.0, 4.0])
    spoil(x.grad)
    np.testing.assert_array_equal(given.numpy(), [1.0, 2.0])


# ------------------------------------------------------------------------------- writes in between


def write_everywhere(*tensors: Tensor) -> Callable[[Tensor], None]:
    def hook(_: Tensor) -> None:
        for t in tensors:
            t.detach().numpy()[...] = -1.0

    return hook


def gradient_with(hook: bool, size: int) -> Any:
    """Return x's gradient, the ReLU's result being written to between its rule and the next."""
    rng = np.random.default_rng(0)
    x = tensor(rng.standard_normal((2, 8, 1, size // 16)), requires_grad=True)
    other = leaf(2.0)
    normal = F.batch_norm(x, None, None, training=True)
    side = other * 3.0  # between the two: its hook runs while the ReLU's gradient is pending
    y = F.relu(normal)
    if hook:
        side.register_hook(write_everywhere(y))
    loss = (y + rng.standard_normal(y.shape)).sum() + (y * rng.standard_normal(y.shape)).sum()
    (loss + side.sum()).backward()
    return array_of(x.grad)


@pytest.mark.parametrize("size", [64, 1 << 17, 1 << 18])
def test_a_hook_that_writes_to_what_a_pending_gradient_reads(size: int) -> None:
    np.testing.assert_array_equal(gradient_with(True, size), gradient_with(False, size))


class Meddling(Op):
    """A rule that writes to an array that another rule has still to read."""

    __slots__ = ("target",)

    def __init__(self, target: Any) -> None:
        self.target = target

    def forward(self, x: Any) -> Any:
        return x + 0.0

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        self.target()
        return (g,)


def test_a_rule_of_the_users_that_writes_to_what_a_pending_gradient_reads() -> None:
    def run(meddle: bool) -> Any:
        rng = np.random.default_rng(0)
        x = tensor(rng.standard_normal((2, 8, 64, 128)), requires_grad=True)
        normal = F.batch_norm(x, None, None, training=True)
        todo: list[Callable[[Tensor], None]] = []
        side = Meddling(lambda: [do(x) for do in todo])(leaf(2.0))
        y = F.relu(normal)
        if meddle:
            todo.append(write_everywhere(y))
        ((y * rng.standard_normal(y.shape)).sum() + side.sum()).backward()
        return array_of(x.grad)

    np.testing.assert_array_equal(run(True), run(False))


def test_a_hook_that_writes_to_what_a_later_rule_reads() -> None:
    x = leaf(1.0, 2.0)
    y = x * x
    z = y * y
    z.register_hook(write_everywhere(y))
    with pytest.raises(GraphError, match="changed in place"):
        z.sum().backward()
