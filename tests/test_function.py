"""`Function`, `checkpoint` and the functions of `func`."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import GraphError, Tensor, func, grad, manual_seed, nn, tensor
from tinygrad_cnn.checkpointing import checkpoint, checkpoint_sequential
from tinygrad_cnn.function import Function, once_differentiable
from tinygrad_cnn.verify import check_graph


class Both(Function):
    """x · y · k and exp(x), and a mask without a gradient."""

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any, k: float) -> Any:
        e = x.exp()
        ctx.save_for_backward(x, y, e)
        ctx.k = k
        return x * y * k, e, x > 0

    @staticmethod
    def backward(ctx: Any, a: Any, b: Any, _: Any) -> Any:
        x, y, e = ctx.saved_tensors
        assert ctx.needs_input_grad[2] is False
        return a * y * ctx.k + b * e, a * x * ctx.k, None


class Wrong(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * x  # 2 is missing


class Apart(Function):
    """With setup_context, as newer code has it."""

    @staticmethod
    def forward(x: Any, power: int) -> Any:
        return x**power

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, ctx.power = inputs
        ctx.save_for_backward(x, output)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Any) -> Any:
        x, out = ctx.saved_tensors
        return g * out * ctx.power / x, None


def leaf(*values: float) -> Tensor:
    return tensor(np.array(values), requires_grad=True)


def test_gradients_of_every_order() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    a, b, c = Both.apply(x, y, 2.0)
    assert c.tolist() == [True, True]
    assert not c.requires_grad
    xs, ys = x.detach().numpy(), y.detach().numpy()
    (gx,) = grad((a * b).sum(), x, create_graph=True)
    np.testing.assert_allclose(gx.detach().numpy(), 2 * ys * np.exp(xs) * (1 + xs))
    (gg, gy) = grad(gx.sum(), [x, y])
    np.testing.assert_allclose(gg.numpy(), 2 * ys * np.exp(xs) * (2 + xs))
    np.testing.assert_allclose(gy.numpy(), 2 * np.exp(xs) * (1 + xs))


def test_it_is_verified_like_an_op() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    a, b, _ = Both.apply(x, y, 2.0)
    assert check_graph((a * b).sum())
    report = check_graph(Wrong.apply(x).sum())
    assert not report
    assert "Wrong · input0" in str(report)


def test_newer_form_and_once() -> None:
    x = leaf(2.0)
    (g,) = grad(Apart.apply(x, 3).sum(), x)
    assert g.tolist() == [12.0]
    with pytest.raises(GraphError, match=r"is marked @once_differentiable"):
        grad(Apart.apply(x, 3).sum(), x, create_graph=True)


def test_what_does_not_fit() -> None:
    class Few(Wrong):
        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return ()

    class ForNumber(Both):
        @staticmethod
        def backward(ctx: Any, a: Any, b: Any, _: Any) -> Any:
            return a, a, a

    x = leaf(2.0)
    with pytest.raises(GraphError, match=r"Few.backward: expects a gradient for each of 1"):
        Few.apply(x).sum().backward()
    with pytest.raises(GraphError, match=r"ForNumber.backward: returned a gradient for 2.0"):
        ForNumber.apply(x, x, 2.0)[0].sum().backward()
    with pytest.raises(TypeError, match=r"^Wrong: call Wrong.apply"):
        Wrong()
    y = Wrong.apply(x)
    x.data.add_(1)
    with pytest.raises(GraphError, match=r"was changed in place"):
        y.sum().backward()


def test_only_what_was_saved_is_kept() -> None:
    class Light(Wrong):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    x = leaf(2.0)
    y = Light.apply(x)
    x.data.add_(1)  # nobody reads it
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0]


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)
    )


@pytest.mark.parametrize("segments", [0, 2])
def test_checkpoint_gives_the_same(segments: int) -> None:
    images = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)

    def run(call: Any) -> list[Any]:
        manual_seed(3)
        net = network()
        x = tensor(images, requires_grad=True)
        (call(net, x) ** 2).sum().backward()
        assert x.grad is not None
        return [
            *[p.grad.numpy() for p in net.parameters()],
            x.grad.numpy(),
            *[  # type: ignore[union-attr]
                b.numpy() for b in net.buffers()
            ],
        ]

    plain = run(lambda net, x: net(x))
    if segments:
        found = run(lambda net, x: checkpoint_sequential(net, segments, x))
    else:
        found = run(lambda net, x: checkpoint(net, x, use_reentrant=False))
    for a, b in zip(found, plain, strict=True):
        np.testing.assert_array_equal(a, b)


def test_checkpoint_takes_less_memory_and_any_order() -> None:
    def deep(x: Any) -> Any:
        for _ in range(20):
            x = (x * 1.01).tanh()
        return x

    def held(call: Any) -> int:
        x = tensor(np.ones(20_000), requires_grad=True)
        gc.collect()
        tracemalloc.start()
        y = call(x)
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        y.sum().backward()
        return used

    assert held(lambda x: checkpoint(deep, x)) * 5 < held(deep)
    x = leaf(0.3)
    (g,) = grad(checkpoint(deep, x).sum(), x, create_graph=True)
    (gg,) = grad(g.sum(), x)
    (h,) = grad(deep(x).sum(), x, create_graph=True)
    (hh,) = grad(h.sum(), x)
    np.testing.assert_allclose(gg.numpy(), hh.numpy())
    assert check_graph(checkpoint(deep, x).sum())
    outer = x * 2
    with pytest.raises(GraphError, match=r"^checkpoint: the function uses a result of mul"):
        checkpoint(lambda t: t * outer, x)


def test_functions_of_functions() -> None:
    x, y = tensor(np.array([1.0, 2.0])), tensor(np.array([3.0, 4.0]))

    def f(a: Any, b: Any) -> Any:
        return (a**3 * b).sum()

    assert func.grad(f)(x, y).tolist() == [9.0, 48.0]
    assert func.value_and_grad(f, 1)(x, y)[1].tolist() == [1.0, 8.0]
    assert [g.tolist() for g in func.grad(f, (0, 1))(x, y)] == [[9.0, 48.0], [1.0, 8.0]]
    assert func.hessian(f)(x, y).tolist() == [[18.0, 0.0], [0.0, 48.0]]
    nested = func.jacrev(func.grad(f), argnums=1)(x, y)
    assert nested.tolist() == [[3.0, 0.0], [0.0, 12.0]]
    assert func.hvp(f, (x, y), (x, y))[1][0].tolist() == [18.0 + 9.0, 96.0 + 48.0]
    value, change = func.jvp(lambda a: a**2, (x,), (y,))
    assert (value.tolist(), change.tolist()) == ([1.0, 4.0], [6.0, 16.0])
    _, pull, aux = func.vjp(lambda a: ({"u": a * 2}, "more"), x, has_aux=True)
    assert pull({"u": y})[0].tolist() == [6.0, 8.0]
    assert aux == "more"
    assert not func.grad(f)(x, y).requires_grad
    closed = func.grad(lambda a: func.grad(lambda b: (a * b**2).sum())(y).sum())(x)
    assert closed.tolist() == [6.0, 8.0]  # through what the inner function takes from outside


def test_batches_and_other_parameters() -> None:
    layer = nn.Linear(2, 1)
    params = {name: p.detach() for name, p in layer.named_parameters()}
    batch = tensor(np.arange(6, dtype=np.float32).reshape(3, 2))
    before = dict(vars(layer))

    def loss(p: Any, example: Any) -> Any:
        return (func.functional_call(layer, p, (example,)) ** 2).sum()

    each = func.vmap(func.grad(loss), in_dims=(None, 0))(params, batch)
    assert each["weight"].shape == (3, 1, 2)
    one = func.grad(loss)(params, batch[1])
    np.testing.assert_allclose(each["weight"].numpy()[1], one["weight"].numpy())
    assert vars(layer) == before
    moved = func.vmap(lambda a: (a, a * 2), out_dims=(0, 1))(batch)
    assert moved[1].shape == (2, 3)
    for wrong, message in (
        (lambda: func.functional_call(layer, {"w": batch}, batch), "functional_call: Linear"),
        (lambda: func.vmap(loss, in_dims=(0, 0))(batch, batch[:2]), "vmap: expects batches"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()
    with pytest.raises(TypeError, match=r"^func: expects floating-point tensors"):
        func.grad(lambda t: t)(tensor([1]))
