"""The public checks of functions: what they accept, what they say, and what they refuse."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.verify.leaves import leaf, normal, quiet
from tinygrad_cnn import Tensor, nn
from tinygrad_cnn.op import Op
from tinygrad_cnn.verify import (
    GradientError,
    Verdict,
    assert_gradients,
    check_backward,
    check_graph,
    gradcheck,
    gradgradcheck,
)

pytestmark = pytest.mark.usefixtures("_leave_the_registry_alone")


# ------------------------------------------------------------------------------- gradcheck


def test_a_single_input_and_several() -> None:
    assert gradcheck(F.exp, leaf(3))
    assert gradcheck(lambda a, b: (a * b, a + b), [leaf(3), leaf(3)]).counts["PASS"] == 2


def test_only_tensors_that_want_a_gradient_are_differentiated() -> None:
    report = gradcheck(lambda a, b: a * b, [leaf(3), Tensor(normal(3))])
    assert [r.verdict.value for r in report.results] == ["PASS", "SKIPPED"]
    assert "without requires_grad" in report.text()


def test_float32_is_checked_in_float64() -> None:
    x = Tensor(normal((3, 4)), requires_grad=True, dtype=np.float32)
    report = gradcheck(lambda x: F.softmax(x, 1), x)
    assert report.verdict is Verdict.PASS
    assert x.dtype == np.float32


def test_the_report_as_data_and_as_text() -> None:
    report = quiet(F.tanh, leaf(2, 2))
    data = json.loads(json.dumps(report.to_dict()))
    assert data["verdict"] == "PASS"
    assert data["counts"]["PASS"] == 1
    assert data["results"][0]["counts"]["elements"] == 4
    assert str(report) == "gradcheck of tanh: PASS (1 PASS)"
    assert "tanh · input 0 [2, 2]" in report.text(all=True)


def test_a_given_step() -> None:
    assert gradcheck(F.exp, leaf(3), eps=1e-3)


def test_a_forward_that_computes_in_float32_inside() -> None:
    """Its results move in steps: larger ones are taken, and a rule in float32 is right."""

    class Inside(Op):
        __slots__ = ("factor",)
        saves = ("x",)

        def __init__(self, factor: float) -> None:
            self.factor = factor

        def forward(self, x: Any) -> Any:
            return np.tanh(x.astype(np.float32)).astype(np.float64) / 3.0

        def backward(self, g: Any, _out: Any, x: Any) -> tuple[Any, ...]:
            return (self.factor * g * (1 - np.tanh(x.astype(np.float32)) ** 2) / 3.0,)

    assert quiet(Inside(1.0), leaf(6)).verdict is Verdict.PASS
    assert quiet(Inside(1.05), leaf(6)).verdict is Verdict.FAIL


def test_too_uncertain_is_inconclusive() -> None:
    class Inexact(Op):
        """Computes in half precision: its differences are too coarse for a verdict."""

        __slots__ = ()

        def forward(self, x: Any) -> Any:
            return x.astype(np.float16).astype(np.float64) * 1.0

        def backward(self, g: Any, _out: Any, _x: Any) -> tuple[Any, ...]:
            return (g,)

    report = quiet(Inexact(), leaf(6))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "too uncertain" in report.text() or "kinks are everywhere" in report.text()


def test_the_order_must_be_positive() -> None:
    with pytest.raises(ValueError, match="order expects a positive number, got 0"):
        gradcheck(F.exp, leaf(2), order=0)


def test_second_derivatives_that_are_wrong() -> None:
    class Square(Op):
        """Its rule hides the input from the second derivative."""

        __slots__ = ()
        saves = ("x",)

        def forward(self, x: Any) -> Any:
            return x * x

        def backward(self, g: Any, _out: Any, x: Any) -> tuple[Any, ...]:
            constant = x.detach() if isinstance(x, Tensor) else x
            return (g * 2.0 * constant,)

    assert gradcheck(Square(), leaf(3))
    report = gradgradcheck(Square(), leaf(3), raise_exception=False)
    assert report.verdict is Verdict.FAIL
    assert report.failures[0].op.startswith("gradient of")


# ------------------------------------------------------------------------------- bad input


def test_no_differentiable_input() -> None:
    with pytest.raises(ValueError, match="got a int64 array"):
        gradcheck(F.exp, np.arange(3))
    with pytest.raises(ValueError, match="got no inputs"):
        gradcheck(lambda: None, [])
    with pytest.raises(ValueError, match="float64 tensor without requires_grad"):
        gradcheck(F.exp, Tensor(normal(3)))


def test_an_integer_input_is_a_constant() -> None:
    report = gradcheck(lambda x, i: x[i], [leaf(4), np.array([0, 0, 2])])
    assert [r.verdict.value for r in report.results] == ["PASS", "SKIPPED"]
    assert "a constant (a int64 array): it has no gradient" in report.text()


@pytest.mark.parametrize(
    "func",
    [
        lambda x: None,
        lambda x: x.detach() * 2,
        lambda x: x.numpy().sum(),
        lambda x: 3.0,
        lambda x: F.argmax(x),
    ],
)
def test_nothing_differentiable_is_returned(func: Any) -> None:
    with pytest.raises(GradientError, match="returns nothing differentiable"):
        gradcheck(func, leaf(3))


def test_a_random_function() -> None:
    rng = np.random.default_rng(0)
    report = quiet(lambda x: x * rng.random(3), leaf(3))
    assert report.verdict is Verdict.FAIL
    assert report.results[0].findings[0].kind == "random"


def test_inputs_that_share_memory() -> None:
    data = normal(4)
    report = gradcheck(lambda a, b: a * a * b, [data, data[::-1]])
    assert report.counts["PASS"] == 2
    assert "inputs 0 and 1 share memory" in report.text()
    x = leaf(3)
    assert gradcheck(lambda a, b: a * b, [x, x])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite_going_in(value: float) -> None:
    report = quiet(F.tanh if np.isnan(value) else F.log, np.array([1.0, value, 2.0]))
    assert not report or np.isinf(value)
    if np.isnan(value):
        assert "NaN or infini" in report.text()


def test_a_mask_of_minus_infinity_is_decided() -> None:
    mask = np.where(np.tri(4) > 0, 0.0, -np.inf)
    report = check_graph(F.sum(F.softmax(leaf(4, 4) + Tensor(mask), 1) * Tensor(normal((4, 4)))))
    assert report.verdict is Verdict.PASS, report.text()
    assert assert_gradients(lambda x: F.softmax(x + Tensor(mask), 1), leaf(4, 4))

    def wrong(g: Any, x: Any) -> Any:
        y = masked(x)
        return (y * (g - (g * y).sum(1)),)

    def masked(x: Any) -> Any:
        e = np.exp(x + mask)
        return e / e.sum(1, keepdims=True)

    assert check_backward(masked, wrong, [normal((4, 4))], raise_exception=False).failures


def test_not_finite_in_the_gradient() -> None:
    class Root(Op):
        __slots__ = ()
        saves = ("out",)

        def forward(self, x: Any) -> Any:
            return np.sqrt(np.abs(x))

        def backward(self, g: Any, out: Any, _x: Any) -> tuple[Any, ...]:
            return (g / (2 * out),)

    report = quiet(Root(), np.array([1.0, 0.0]))
    assert report.verdict is Verdict.FAIL
    assert "the gradient is NaN or infinite in 1 of 2 elements, first at [1]" in report.text()


def test_no_elements() -> None:
    report = quiet(F.exp, np.empty((0, 3)))
    assert report.verdict is Verdict.SKIPPED
    assert not report
    assert "has no elements" in report.text()


def test_a_function_that_raises() -> None:
    report = quiet(lambda x: x @ x, leaf(2, 3))
    assert report.verdict is Verdict.FAIL
    assert "forward raised ValueError" in report.text()


def test_what_is_not_a_tensor() -> None:
    with pytest.raises(TypeError, match="expects a recorded tensor, got float"):
        check_graph(3.0)


# ------------------------------------------------------------------------------- arrays, tests


def test_python_floats() -> None:
    def power(x: float, y: float) -> float:
        return x**y

    def power_backward(g: float, x: float, y: float) -> tuple[float, float]:
        assert isinstance(x, float)
        return g * y * x ** (y - 1), g * np.log(x) * x**y

    assert check_backward(power, power_backward, [1.5, 2.5])
    report = check_backward(power, lambda g, x, y: (g * x, 0.0), [1.5, 2.5], raise_exception=False)
    assert [r.verdict.value for r in report.results] == ["FAIL", "FAIL"]


def test_a_function_that_changes_its_input() -> None:
    def scale(x: Any) -> Any:
        x *= 2.0
        return x

    report = check_backward(scale, lambda g, x: (2 * g,), [normal(3)], raise_exception=False)
    assert report.verdict is Verdict.FAIL
    assert "forward changes its input x" in report.text()


def test_the_wrong_number_of_gradients() -> None:
    report = check_backward(
        lambda a, b: a * b, lambda g, a, b: g * b, [1.0, 2.0], raise_exception=False
    )
    assert "one gradient for each of 2 inputs, got 1" in report.text()


def test_assert_gradients_takes_all() -> None:
    x = leaf(3)
    assert assert_gradients(F.sum(x * x))
    assert assert_gradients(nn.Linear(2, 2), normal((1, 2)))
    assert assert_gradients(F.exp, x)
    with pytest.raises(AssertionError, match="no elements"):
        assert_gradients(F.exp, np.empty(0))


@pytest.mark.parametrize("seed", [0, 1])
def test_data_from_a_generator_of_the_same_seed_raise_no_alarm(seed: int) -> None:
    """A gradient equal to the data, less its mean, would be all rounding behind this rule."""
    x = np.random.default_rng(seed).standard_normal((40, 6))
    norm = nn.BatchNorm1d(6)
    loss = (norm(Tensor(x, requires_grad=True)) ** 2).sum()
    report = check_graph(loss, seed=seed)
    assert report, report


@pytest.mark.parametrize("seed", range(10))
def test_what_is_flat_and_curved_raises_no_alarm(seed: int) -> None:
    """One-sided slopes of x³ at 0 are h², however small the step h."""
    report = gradcheck(F.pow, [np.zeros(4), np.arange(4.0)], seed=seed, raise_exception=False)
    assert report.verdict is Verdict.KINK


@pytest.mark.parametrize("seed", [1, 5, 6, 9, 14])
def test_a_tie_with_another_value_near_it_is_a_kink(seed: int) -> None:
    """At the first steps the farther values win, and slopes come out blurred."""
    x = np.zeros((1, 20, 2, 2))
    x[:, :, 1] = -np.geomspace(1e-6, 1e-4, 20).reshape(1, 20, 1)
    report = gradcheck(F.max_pool2d, [x, 2], seed=seed, raise_exception=False)
    assert report.verdict is Verdict.KINK


@pytest.mark.parametrize("seed", range(20))
def test_a_small_loss_computed_from_large_numbers_raises_no_alarm(seed: int) -> None:
    """After training: sums of exponentials near 1 are rounded, and the loss is what is left."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, 8)
    logits = rng.normal(size=(8, 10)) * 4
    logits[np.arange(8), labels] += 14
    report = gradcheck(F.cross_entropy, [logits, labels], seed=seed, raise_exception=False)
    assert report.verdict is Verdict.PASS, report
