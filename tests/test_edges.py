"""Single numbers, powers of 0 and of integers: as PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import Tensor, grad, tensor
from tinygrad_cnn import functional as F


def number(value: float = 2.0) -> Tensor:
    return tensor(np.array(value), requires_grad=True)


# What each makes of a single number, named by its dimension 0 or -1.
OF_A_NUMBER: dict[str, tuple[Callable[[Any, int], Any], float]] = {
    "sum": (F.sum, 2.0),
    "mean": (F.mean, 2.0),
    "prod": (F.prod, 2.0),
    "amax": (F.amax, 2.0),
    "amin": (F.amin, 2.0),
    "max": (lambda x, d: F.max(x, d).values, 2.0),
    "min": (lambda x, d: F.min(x, d).values, 2.0),
    "logsumexp": (F.logsumexp, 2.0),
    "softmax": (F.softmax, 1.0),
    "log_softmax": (F.log_softmax, 0.0),
    "squeeze": (F.squeeze, 2.0),
    "transpose": (lambda x, d: F.transpose(x, d, d), 2.0),
    "cumsum": (F.cumsum, 2.0),
    "var without correction": (lambda x, d: F.var(x, d, 0), 0.0),
    "sum, kept": (lambda x, d: F.sum(x, d, keepdim=True), 2.0),
}


@pytest.mark.parametrize("dim", [0, -1])
@pytest.mark.parametrize("name", OF_A_NUMBER)
def test_a_single_number_has_dimension_0(name: str, dim: int) -> None:
    function, wanted = OF_A_NUMBER[name]
    x = number()
    y = function(x, dim)
    assert y.shape == ()
    assert y.item() == wanted
    y.backward()
    assert x.grad is not None
    assert x.grad.item() == {2.0: 1.0, 1.0: 0.0, 0.0: 0.0}[wanted]
    assert function(np.array(2.0), dim) == wanted
    for beyond in (1, -2):
        with pytest.raises(IndexError, match="does not exist in a tensor of"):
            function(number(), beyond)


@pytest.mark.parametrize("dim", [0, -1])
def test_the_others_take_it_too(dim: int) -> None:
    assert F.argmax(number(), dim).shape == ()
    assert F.flatten(number(), dim, dim).shape == (1,)
    assert F.unsqueeze(number(), dim).shape == (1,)


def test_zero_to_negative_powers() -> None:
    x = tensor(np.array([-1.0, 0.0, 2.0]), requires_grad=True)
    with np.errstate(divide="ignore"):
        y = 0.0**x
    np.testing.assert_array_equal(y.detach().numpy(), [np.inf, 1.0, 0.0])
    (by_x,) = grad(y.sum(), x, retain_graph=True)
    np.testing.assert_array_equal(by_x.numpy(), [-np.inf, 0.0, 0.0])
    with np.errstate(divide="ignore", invalid="ignore"):
        (recorded,) = grad(y.sum(), x, create_graph=True)
    np.testing.assert_array_equal(recorded.detach().numpy(), [-np.inf, 0.0, 0.0])


@pytest.mark.parametrize(
    ("exponent", "dtype"),
    [(2, np.int64), (2.0, np.float32), (0.5, np.float32), (-1, np.float32), (3, np.int64)],
)
def test_integers_to_powers(exponent: float, dtype: Any) -> None:
    x = tensor([1, 2, 3])
    y = x**exponent
    assert y.dtype == dtype
    np.testing.assert_allclose(y.numpy(), np.array([1.0, 2.0, 3.0]) ** exponent, rtol=1e-6)
    assert F.pow(np.array([1, 2, 3]), exponent).dtype == dtype


def test_clipping_between_equal_limits_gives_the_gradient_to_the_input() -> None:
    x, low, high = (tensor(np.array([1.0]), requires_grad=True) for _ in range(3))
    found = grad(F.clamp(x, low, high), (x, low, high), np.array([5.0]))
    assert [g.item() for g in found] == [5.0, 0.0, 0.0]  # as PyTorch's
