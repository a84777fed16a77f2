"""Functions, rules and modules of PyTorch, JAX and HIPS autograd, where these are installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_cnn.verify import (
    Verdict,
    assert_gradients,
    check,
    check_autograd,
    check_jax,
    check_torch,
    check_torch_module,
)

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X, Y, W = RNG.standard_normal((3, 4)), RNG.standard_normal((3, 4)), RNG.standard_normal((4, 2))


def codes(report: Any) -> list[tuple[str, list[str]]]:
    return [(r.input, [hint.code for hint in r.hints]) for r in report.failures]


# ---------------------------------------------------------------------------------------- PyTorch


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture
def rules(torch: Any) -> Any:
    class Rules:
        class Product(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any, w: Any) -> Any:
                ctx.save_for_backward(x, w)
                return x @ w

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                x, w = ctx.saved_tensors
                return g @ w.T, -(x.T @ g)

        class Exp(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                y = x.exp()
                ctx.save_for_backward(y)
                return y

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return g * ctx.saved_tensors[0]

        class NoMask(torch.autograd.Function):
            @staticmethod
            def forward(_ctx: Any, x: Any) -> Any:
                return x.clamp(min=0)

            @staticmethod
            def backward(_ctx: Any, g: Any) -> Any:
                return g

    return Rules


def test_functions_of_torch(torch: Any, rules: Any) -> None:
    x, w = torch.tensor(X, dtype=torch.float32), torch.tensor(W, dtype=torch.float32)
    assert check_torch(rules.Exp, x, order=2)
    assert codes(check(rules.Product, x, w)) == [("w", ["sign"])]
    assert codes(check_torch(rules.NoMask, x)) == [("x", ["mask missing"])]
    assert check(torch.relu, torch.zeros(3, 4)).verdict is Verdict.KINK
    assert assert_gradients(torch.nn.functional.dropout, x)
    labels = torch.tensor([0, 1, 2])
    report = check(torch.nn.functional.cross_entropy, x, labels)
    assert report
    assert [(r.input, r.verdict.value) for r in report.results] == [
        ("input", "PASS"),
        ("target", "SKIPPED"),
    ]
    assert codes(check_torch(lambda t: t * t.detach(), x)) == [("t", ["times 1/2"])]
    x.requires_grad_()
    assert check_torch(torch.matmul, x, w).results[0].input == "input 0"
    assert x.grad is None


def test_what_a_function_of_torch_gives_that_cannot_be_checked(torch: Any) -> None:
    x = torch.tensor(X)
    assert "returns no floating-point tensor" in check_torch(lambda t: t > 0, x).text()
    assert "nothing differentiable" in check_torch(lambda t: t.detach() * 2, x).text()
    with pytest.raises(ValueError, match="at least one differentiable input"):
        check_torch(torch.abs, torch.tensor([1, 2]))


def test_a_second_derivative_that_is_not_recorded(torch: Any, rules: Any) -> None:
    class Once(rules.Exp):  # type: ignore[misc, name-defined]
        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0].detach()

    report = check_torch(Once, torch.tensor(X), order=2)
    assert [r.op for r in report.failures] == ["gradient of Once"]


@pytest.fixture
def network(torch: Any, rules: Any) -> Any:
    nn = torch.nn
    torch.manual_seed(0)

    class Act(nn.Module):  # type: ignore[misc, name-defined]
        wrong = False

        def forward(self, x: Any) -> Any:
            return rules.NoMask.apply(x) if self.wrong else torch.relu(x)

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)
            self.act, self.drop, self.unused = Act(), nn.Dropout(0.3), nn.Linear(2, 2)

        def forward(self, x: Any) -> Any:
            return self.drop(self.act(self.bn(self.conv(x)))) + x

    return nn.Sequential(
        nn.Conv2d(1, 2, 3), Block(), Block(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    )


def test_modules_of_torch(torch: Any, network: Any) -> None:
    images = torch.tensor(RNG.standard_normal((2, 1, 6, 6)), dtype=torch.float32)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    report = check(network, images)
    assert report, report.text()
    places = {r.scope for r in report.results}
    assert {"", "0", "1", "1.conv", "1.bn", "1.act", "1.drop", "2", "5"} <= places
    assert {"input", "1.conv.weight", "5.bias"} <= {
        r.input for r in report.results if r.op == "end to end [train]"
    }
    unused = [r for r in report.results if r.input == "1.unused.weight"]
    assert [r.verdict for r in unused] == [Verdict.UNSEEN] * 2
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert network.training
    assert next(network.parameters()).dtype is torch.float32


def test_a_wrong_submodule_of_torch_is_named(torch: Any, network: Any) -> None:
    network[2].act.wrong = True
    images = torch.tensor(np.random.default_rng(0).standard_normal((1, 1, 6, 6)))
    report = check_torch_module(network, images, modes=("eval",))
    first = report.failures[0]
    assert (first.op, first.scope, first.hints[0].code) == ("Act", "2.act", "mask missing")
    assert {r.op for r in report.failures[1:]} == {"end to end"}
    assert "wrong because of Act (in 2.act)" in report.failures[1].text()
    only = check_torch_module(network, images, modes=("eval",), only="1")
    assert {r.scope for r in only.results} == {"", "1", "1.conv", "1.bn", "1.act", "1.drop"}


def test_parameters_of_torch_that_are_detached_or_frozen(torch: Any) -> None:
    class Detached(torch.nn.Linear):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            return torch.nn.functional.linear(x, self.weight.detach(), self.bias)

    report = check(Detached(4, 2), torch.tensor(X), modes=("train",))
    assert {r.input for r in report.failures} == {"weight"}
    frozen = torch.nn.Linear(4, 2)
    frozen.weight.requires_grad_(False)
    report = check(frozen, torch.tensor(X), modes=("train",))
    assert report
    assert [r.input for r in report.results if r.verdict is Verdict.SKIPPED] == ["weight"]
    with pytest.raises(ValueError, match="modes are 'train' and 'eval', got 'test'"):
        check_torch_module(frozen, torch.tensor(X), modes=("test",))


# -------------------------------------------------------------------------------------------- JAX


def test_functions_of_jax() -> None:
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    jnp = jax.numpy
    x, w = jnp.asarray(X, jnp.float32), jnp.asarray(W, jnp.float32)

    @jax.custom_vjp
    def product(x: Any, w: Any) -> Any:
        return x @ w

    product.defvjp(
        lambda x, w: (product(x, w), (x, w)), lambda kept, g: (g @ kept[1].T, -(kept[0].T @ g))
    )

    def loss(params: Any, x: Any) -> Any:
        return (jnp.tanh(x @ params["w"] + params["b"]) ** 2).sum()

    assert codes(check(product, x, w)) == [("w", ["sign"])]
    report = check(jax.jit(loss), {"w": w, "b": jnp.zeros(2)}, x)
    assert report, report.text()
    assert [r.input for r in report.results] == ["params['b']", "params['w']", "x"]
    assert check_jax(jax.nn.relu, jnp.zeros((3, 4))).verdict is Verdict.KINK
    assert jnp.asarray(1.0).dtype == jnp.float32  # as it was


# ----------------------------------------------------------------------------------- HIPS autograd


def test_functions_of_autograd() -> None:
    extend = pytest.importorskip("autograd.extend", reason="HIPS autograd is not installed")

    @extend.primitive
    def product(x: Any, y: Any) -> Any:
        return x * y

    extend.defvjp(product, lambda ans, x, y: lambda g: g * y, lambda ans, x, y: lambda g: g * y)
    assert codes(check(product, X, Y)) == [("y", ["operand"])]
    assert check_autograd(lambda x, n: product(x, x.sum() * 0 + 3.0) ** n, X, 2).results
    assert check_autograd(lambda x: x * x, 3.0)
