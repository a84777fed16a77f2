"""Half precision, long doubles and small integers: every operation and every loss.

All samples of the registry are computed in float64 and again in the other type, forward and
backward; and half precision over so many elements that a sum of it would overflow.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from tests.cases import each
from tests.op_samples import SAMPLES, per_op
from tests.samples.base import Sample
from tinygrad_cnn import Tensor, grad, tensor
from tinygrad_cnn import functional as F

HALF, LONG = np.dtype(np.float16), np.dtype(np.longdouble)
NEAR = {HALF: 2e-2, LONG: 1e-10}


def tensors_in(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    return [t for part in result for t in tensors_in(part)] if isinstance(result, tuple) else []


def computed(sample: Sample, arrays: list[Any]) -> list[Any]:
    """Return results and gradients of the inputs."""
    inputs = [tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    results = tensors_in(sample.function(*inputs))
    rng = np.random.default_rng(1)
    for result in results:
        if result.requires_grad:
            g = rng.standard_normal(result.shape).astype(result.dtype)
            result.backward(g, retain_graph=True)
    grads = [x.grad for x in inputs if x.grad is not None]
    return [t.detach().numpy() for t in (*results, *grads)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # overflow of what half cannot hold
@per_op(SAMPLES)
def test_every_sample_in_other_precisions(samples: list[Sample]) -> None:
    with np.errstate(all="ignore"):
        for dtype in (HALF, LONG):
            each(samples, partial(compare_with_float64, dtype=dtype))


def compare_with_float64(sample: Sample, dtype: np.dtype[Any]) -> None:
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in sample.inputs]
    rounded = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    try:
        wanted = computed(sample, rounded)
    except (ValueError, ZeroDivisionError):
        return  # rounded to this type the sample is not legal
    try:
        results = computed(sample, arrays)
    except TypeError as error:
        assert dtype == LONG
        assert "takes no long doubles" in str(error)  # noqa: PT017  # refused by name
        return
    near = NEAR[dtype]
    for found, value in zip(results, wanted, strict=True):
        assert found.shape == value.shape
        expected = value.astype(found.dtype).astype(np.float64)
        largest = np.abs(value[np.isfinite(value)]).max(initial=1.0)
        np.testing.assert_allclose(
            found.astype(np.float64),
            expected,
            rtol=near,
            atol=near * largest / 10,
            err_msg=f"in {dtype}: if a step leaves that precision, set `widens = True`",
        )


MANY = 90_000
OVER_MANY: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": F.mean,
    "mean of rows": lambda x: F.mean(x.reshape(300, 300), 0).mean(),
    "var": F.var,
    "std": F.std,
    "layer_norm": lambda x: (F.layer_norm(x, MANY) * 0.5).mean(),
    "batch_norm": lambda x: (
        F.batch_norm(x.reshape(300, 1, 300), None, None, training=True) ** 2
    ).mean(),
    "mse_loss": lambda x: F.mse_loss(x, np.zeros(MANY)),
    "l1_loss": lambda x: F.l1_loss(x, np.zeros(MANY)),
    "huber_loss": lambda x: F.huber_loss(x, np.zeros(MANY)),
    "with logits": lambda x: F.binary_cross_entropy_with_logits(x, np.zeros(MANY)),
    "cross_entropy": lambda x: F.cross_entropy(x.reshape(-1, 2), np.zeros(MANY // 2, int)),
    "nll_loss": lambda x: F.nll_loss(-x.reshape(-1, 1), np.zeros(MANY, int)),
    "probabilities": lambda x: F.cross_entropy(x.reshape(-1, 2), np.ones((MANY // 2, 2))),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x.reshape(1, 1, 300, 300), 1),
    "avg_pool2d": lambda x: F.avg_pool2d((x * 100.0).reshape(1, 100, 30, 30), 30),
    "logsumexp": F.logsumexp,
    "softmax": lambda x: (F.softmax(x, 0) * x).sum(),
    "log_softmax": lambda x: F.log_softmax(x, 0).mean(),
}


@pytest.mark.parametrize("name", OVER_MANY)
def test_half_precision_over_many_elements(name: str) -> None:
    function = OVER_MANY[name]
    values = (2.0 + np.random.default_rng(0).standard_normal(MANY)).astype(np.float16)
    found, wanted = [], []
    for dtype, into in ((np.float16, found), (np.float64, wanted)):
        x = tensor(values.astype(dtype), requires_grad=True)
        y = function(x)
        assert y.dtype == dtype
        (g,) = grad(y, x, np.full(y.shape, 1000.0))  # 1000, for 1 / n would vanish
        into += [y.detach().numpy().astype(np.float64), g.numpy().astype(np.float64)]
    np.testing.assert_allclose(found[0], wanted[0], rtol=2e-3, atol=1e-3)
    np.testing.assert_allclose(found[1], wanted[1], rtol=2e-2, atol=1e-3)


@pytest.mark.parametrize("function", [F.mean, F.var, F.logsumexp, lambda x: F.softmax(x, 0).sum()])
def test_second_derivatives_of_half_precision(function: Callable[[Tensor], Tensor]) -> None:
    values = np.random.default_rng(0).standard_normal(20).astype(np.float16)
    found = []
    for dtype in (np.float16, np.float64):
        x = tensor(values.astype(dtype), requires_grad=True)
        (g,) = grad(function(x * x), x, create_graph=True)
        (h,) = grad((g * values.astype(dtype)).sum(), x)
        found.append(h.numpy().astype(np.float64))
    np.testing.assert_allclose(found[0], found[1], rtol=2e-2, atol=5e-3)


@pytest.mark.parametrize(
    ("values", "mean"),
    [([300.0, *[0.0] * 999], 90.0), ([255.875] * 1000, 65472.0), ([256.0] * 1000, np.inf)],
)
def test_a_loss_of_half_precision_is_infinite_only_if_its_value_is(
    values: list[float], mean: float
) -> None:
    x = tensor(np.array(values, np.float16), requires_grad=True)
    loss = F.mse_loss(x, np.zeros(1000, np.float16))
    assert loss.dtype == np.float16
    assert loss.item() == mean
    loss.backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), np.array(values) * 2 / 1000, rtol=2e-3)


def test_half_precision_of_the_error_function() -> None:
    x = tensor(np.array([3.0, -3.0, 5.0, -5.0], np.float16), requires_grad=True)
    np.testing.assert_array_equal(F.erf(x).detach().numpy(), [1, -1, 1, -1])
    y = F.gelu(x)
    np.testing.assert_allclose(y.detach().numpy(), [2.996, -0.00405, 5, 0], atol=2e-3)
    y.backward(np.ones(4))
    assert x.grad is not None
    assert np.isfinite(x.grad.numpy()).all()


SMALL = [np.uint8, np.int8]
a, b = np.array([10, 120, 7, 0]), np.array([20, 100, 7, 1])
OF_INTEGERS: dict[str, Callable[[Any, Any], Any]] = {
    "mse_loss": F.mse_loss,
    "l1_loss": F.l1_loss,
    "huber_loss": F.huber_loss,
    "bce": lambda x, y: F.binary_cross_entropy(x // 100 * 1, y // 100),
    "with logits": F.binary_cross_entropy_with_logits,
    "cross_entropy": lambda x, _: F.cross_entropy(x, np.array(1)),
    "nll_loss": lambda x, _: F.nll_loss(x, np.array(1)),
    "layer_norm": lambda x, _: F.layer_norm(x, 4),
    "batch_norm": lambda x, _: F.batch_norm(x.reshape(4, 1), None, None, training=True),
    "normalised": lambda x, _: F.batch_norm(x.reshape(4, 1), np.ones(1), np.full(1, 2.0)),
    "lerp": lambda x, y: F.lerp(x, y, 0.25),
    "mean": lambda x, _: F.mean(x),
    "var": lambda x, _: F.var(x),
    "softmax": lambda x, _: F.softmax(x, 0),
    "logsumexp": lambda x, _: F.logsumexp(x),
    "sigmoid": lambda x, _: F.sigmoid(x),
    "power": lambda x, _: x**2.0,
}


@pytest.mark.parametrize("dtype", SMALL)
@pytest.mark.parametrize("as_tensors", [True, False])
@pytest.mark.parametrize("name", OF_INTEGERS)
def test_small_integers_become_the_default_float(name: str, as_tensors: bool, dtype: Any) -> None:
    function = OF_INTEGERS[name]
    make: Callable[[Any], Any] = tensor if as_tensors else np.array
    y = function(make(a.astype(dtype)), make(b.astype(dtype)))
    wanted = function(tensor(a.astype(np.float64)), tensor(b.astype(np.float64)))
    if as_tensors or name != "power":  # of arrays the power is NumPy's own
        assert y.dtype == np.float32
    found = y.numpy() if as_tensors else y
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-5, atol=1e-6)


def test_dropout_of_integers() -> None:
    y = F.dropout(tensor(np.full(1000, 100, np.uint8)), 0.5)
    assert y.dtype == np.float32
    assert set(y.tolist()) == {0.0, 200.0}
