"""Methods that write to a tensor, each with its result and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.test_updating import UPDATES
from tinygrad_cnn import Tensor, tensor

METHODS: dict[str, Any] = {
    "add_": lambda t: t.add_(2.0, alpha=3),
    "sub_": lambda t: t.sub_(2.0, alpha=3),
    "mul_": lambda t: t.mul_(2.0),
    "div_": lambda t: t.div_(2.0),
    "pow_": lambda t: t.pow_(3),
    "square_": lambda t: t.square_(),
    "neg_": lambda t: t.neg_(),
    "abs_": lambda t: t.abs_(),
    "exp_": lambda t: t.exp_(),
    "log_": lambda t: t.log_(),
    "log1p_": lambda t: t.log1p_(),
    "sqrt_": lambda t: t.sqrt_(),
    "sign_": lambda t: t.sign_(),
    "floor_": lambda t: t.floor_(),
    "ceil_": lambda t: t.ceil_(),
    "trunc_": lambda t: t.trunc_(),
    "round_": lambda t: t.round_(),
    "floor_divide_": lambda t: t.floor_divide_(0.7),
    "remainder_": lambda t: t.remainder_(0.7),
    "clip_": lambda t: t.clip_(0.5, 1.5),
    "clamp_": lambda t: t.clamp_(min=0.5),
    "relu_": lambda t: t.relu_(),
    "sigmoid_": lambda t: t.sigmoid_(),
    "tanh_": lambda t: t.tanh_(),
    "lerp_": lambda t: t.lerp_(np.array(3.0), 0.25),
    "addcmul_": lambda t: t.addcmul_(t, t, value=2),
    "addcdiv_": lambda t: t.addcdiv_(2.0, t, value=2),
    "fill_": lambda t: t.fill_(4.0),
    "zero_": lambda t: t.zero_(),
    "copy_": lambda t: t.copy_(np.array([3.0, 4.0, 5.0])),
    "masked_fill_": lambda t: t.masked_fill_(np.array([True, False, True]), 9.0),
    "index_fill_": lambda t: t.index_fill_(0, [0, 2], 9.0),
    "index_copy_": lambda t: t.index_copy_(0, [2, 0], np.array([7.0, 8.0])),
    "index_add_": lambda t: t.index_add_(0, [2, 2], np.array([7.0, 8.0]), alpha=2),
    "index_put_": lambda t: t.index_put_(([0, 1],), 3.0, accumulate=True),
    "scatter_": lambda t: t.scatter_(0, [1, 2], [7.0, 8.0]),
    "scatter_add_": lambda t: t.scatter_add_(0, [1, 1], [7.0, 8.0]),
    "normal_": lambda t: t.normal_(2.0, 0.5, generator=np.random.default_rng(1)),
    "uniform_": lambda t: t.uniform_(1.0, 2.0, generator=np.random.default_rng(1)),
    "bernoulli_": lambda t: t.bernoulli_(0.5, generator=np.random.default_rng(1)),
}

RESULTS: dict[str, Any] = {
    "add_": lambda x: x + 6,
    "sub_": lambda x: x - 6,
    "mul_": lambda x: x * 2,
    "div_": lambda x: x / 2,
    "pow_": lambda x: x**3,
    "square_": np.square,
    "neg_": np.negative,
    "abs_": np.abs,
    "exp_": np.exp,
    "log_": np.log,
    "log1p_": np.log1p,
    "sqrt_": np.sqrt,
    "sign_": np.sign,
    "floor_": np.floor,
    "ceil_": np.ceil,
    "trunc_": np.trunc,
    "round_": np.round,
    "floor_divide_": lambda x: x // 0.7,
    "remainder_": lambda x: x % 0.7,
    "clip_": lambda x: np.clip(x, 0.5, 1.5),
    "clamp_": lambda x: np.maximum(x, 0.5),
    "relu_": lambda x: np.maximum(x, 0),
    "sigmoid_": lambda x: 1 / (1 + np.exp(-x)),
    "tanh_": np.tanh,
    "lerp_": lambda x: 0.75 * x + 0.75,
    "addcmul_": lambda x: x + 2 * x * x,
    "addcdiv_": lambda x: x + 4 / x,
    "fill_": lambda x: np.full(3, 4.0),
    "zero_": np.zeros_like,
    "copy_": lambda x: np.array([3.0, 4.0, 5.0]),
    "masked_fill_": lambda x: np.array([9.0, x[1], 9.0]),
    "index_fill_": lambda x: np.array([9.0, x[1], 9.0]),
    "index_copy_": lambda x: np.array([8.0, x[1], 7.0]),
    "index_add_": lambda x: x + np.array([0, 0, 30]),
    "index_put_": lambda x: x + np.array([3, 3, 0]),
    "scatter_": lambda x: np.array([x[0], 7.0, 8.0]),
    "scatter_add_": lambda x: x + np.array([0, 15, 0]),
    "normal_": lambda x: np.random.default_rng(1).normal(2.0, 0.5, 3),
    "uniform_": lambda x: np.random.default_rng(1).uniform(1.0, 2.0, 3),
    "bernoulli_": lambda x: np.random.default_rng(1).random(3) < 0.5,
}


def test_every_method_is_tested() -> None:
    found = {n for n in dir(Tensor) if n.endswith("_") and not n.startswith("_")}
    others = {"requires_grad_", "detach_", "share_memory_", "apply_", "map_"}  # with converting
    assert found == METHODS.keys() | others | UPDATES.keys()  # test_updating
    assert METHODS.keys() == RESULTS.keys()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("through", [lambda t: t, lambda t: t.reshape(3, 1)[:, 0]])
def test_a_method_writes_and_its_gradient_is_numeric(name: str, through: Any) -> None:
    start = np.array([0.4, 1.3, 2.2])

    def run(array: Any) -> tuple[Tensor, Tensor]:
        x = tensor(array, requires_grad=True)
        y = x * 1.0
        t = through(y)
        memory = y._data
        assert METHODS[name](t) is t
        assert y._data is memory
        return x, y

    x, y = run(start)
    np.testing.assert_allclose(y.detach().numpy(), RESULTS[name](start), rtol=1e-12)
    direction, h = np.array([0.3, -0.2, 0.5]), 1e-6
    (y * y).sum().backward()
    assert x.grad is not None
    ends = [(run(start + s * h * direction)[1].detach().numpy() ** 2).sum() for s in (1, -1)]
    np.testing.assert_allclose(
        (x.grad.numpy() * direction).sum(), (ends[0] - ends[1]) / (2 * h), rtol=1e-6, atol=1e-6
    )
