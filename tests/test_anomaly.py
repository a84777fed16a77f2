"""detect_anomaly names the operation that made a NaN or an infinity, and why."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.op_samples import SAMPLES
from tinygrad_cnn import (
    AnomalyError,
    Tensor,
    detect_anomaly,
    is_anomaly_enabled,
    nn,
    no_grad,
    optim,
    set_detect_anomaly,
    tensor,
)
from tinygrad_cnn.verify import check_graph
from tinygrad_cnn.viz import graph

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def leaf(*values: Any) -> Tensor:
    return tensor(np.array(values, np.float32), requires_grad=True)


def found(function: Callable[[], Any]) -> AnomalyError:
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        function()
    return caught.value


LOGITS = np.zeros((4, 8), np.float32)
LOGITS[2, 1] = 213

FORWARD: list[tuple[Callable[[], Any], str, str, tuple[int, ...]]] = [
    (lambda: leaf(1.0, 0.0).log(), "log of 0 at [1]", "−∞", (1,)),
    (lambda: leaf(1.0, -2.0).log(), "log of −2 at [1]", "NaN", (1,)),
    (lambda: leaf(-1.0).sqrt(), "square root of −1 at [0]", "NaN", (0,)),
    (lambda: leaf(92.0).exp(), "exp of 92 at [0]: float32's exp ends at 88.72", "∞", (0,)),
    (lambda: leaf(0.0) / leaf(0.0), "0 / 0 at [0]", "NaN", (0,)),
    (lambda: 1.5 / leaf(1.0, 0.0), "1.5 / 0 at [1]", "∞", (1,)),
    (lambda: leaf(0.0) ** -1, "0 to the power −1 at [0]", "∞", (0,)),
    (lambda: leaf(3e20) * leaf(2e20), "3e+20 · 2e+20 at [0] is too large", "∞", (0,)),
    (lambda: leaf(3e38) - leaf(-3e38), "3e+38 − −3e+38 at [0] is too large", "∞", (0,)),
    (lambda: leaf(0.0) * float("inf"), "0 · ∞", "NaN", (0,)),
    (lambda: leaf(1.0).var(), "variance of one value with a correction of 1", "NaN", ()),
    (
        lambda: F.softmax(tensor(LOGITS, requires_grad=True), 1).log(),
        "the result of a softmax whose logits span 213",
        "−∞",
        (2, 0),
    ),
    (lambda: F.sigmoid(leaf(-120.0)).log(), "the sigmoid of −120: write logsigmoid", "−∞", (0,)),
    (
        lambda: (leaf([1e30, 1.0]) @ leaf([1e30], [1.0])).sum(),
        "matmul of numbers up to 1e+30 and 1e+30 is too large",
        "∞",
        (0, 0),
    ),
    (
        lambda: F.softmax(leaf([-np.inf, -np.inf]), 1),
        "every logit of a row is −∞",
        "NaN",
        (0, 0),
    ),
    (lambda: leaf(np.nan) * 2, "a holds NaN already", "NaN", (0,)),
    (lambda: F.acos(leaf(1.5)), "acos of 1.5 at [0]: it is defined from −1 to 1", "NaN", (0,)),
]


@pytest.mark.parametrize("case", FORWARD, ids=lambda case: case[1])
def test_a_result_that_is_not_finite(case: Any) -> None:
    function, why, made, index = case
    error = found(function)
    assert error.phase == "forward"
    assert why in error.why
    assert error.why in str(error)
    assert (error.made, error.index) == (made, index)
    assert error.source is not None
    assert error.source[0] == __file__
    # Nothing is said outside of the context.
    function()


BACKWARD: list[tuple[Callable[[], Any], str]] = [
    (lambda: leaf(1.0, 0.0).sqrt().sum(), "sqrt at 0 is infinite at [1], times a gradient of 1"),
    (
        lambda: (leaf(1.0, 0.0).sqrt() * leaf(1.0, 0.0)).sum(),
        "sqrt at 0 is infinite at [1], times a gradient of 0: 0 · ∞",
    ),
    (lambda: (leaf(0.0) ** 0.5).sum(), "to the power 0.5 at 0 is infinite at [0]"),
    (lambda: F.acos(leaf(1.0)).sum(), "the derivative of acos at 1 is infinite at [0]"),
    (lambda: (leaf(1e-25) ** -1).sum(), "the derivative of pow at 1e−25, times a gradient of 1"),
]


@pytest.mark.parametrize("case", BACKWARD, ids=lambda case: case[1])
def test_a_gradient_that_is_not_finite(case: Any) -> None:
    function, why = case
    with detect_anomaly():
        loss = function()
        line = inspect.currentframe().f_lineno  # type: ignore[union-attr]
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        loss.backward()
    error = caught.value
    assert line
    assert error.phase == "backward"
    assert why in error.why, error.why
    assert error.source is not None
    assert error.source[0] == __file__  # where the operation was called
    assert error.result is loss


def test_the_module_and_the_line_are_named() -> None:
    class Log(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.log()

    model = nn.Sequential(nn.ReLU(), Log())
    error = found(lambda: model(leaf(-1.0)))
    assert error.scope == "1"
    assert "in 1, " in str(error)
    line = inspect.getsourcelines(Log.forward)[1] + 1
    assert error.source == (__file__, line)


def test_layers_computed_at_once_are_told_apart() -> None:
    x = tensor(np.full((8, 4, 32, 32), 1e30, np.float32))
    model = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.MaxPool2d(2))
    with no_grad():
        model[0].weight.fill_(1e30)
    error = found(lambda: model(x))
    assert error.op.startswith("conv2d")
    assert error.scope == "0"
    norm = nn.Sequential(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    images = np.random.default_rng(0).standard_normal((8, 4, 32, 32)).astype(np.float32)
    with no_grad():
        norm[1].weight.fill_(3e38)
    error = found(lambda: norm(tensor(images)))
    assert error.op.startswith("batch_norm")
    assert error.scope == "1"


def test_infinities_that_were_given_are_left_alone() -> None:
    scores, mask = leaf([1.0, 2.0, 3.0]), np.array([[0.0, -np.inf, 0.0]], np.float32)
    with detect_anomaly():
        F.softmax(scores + tensor(mask), 1).sum().backward()
        F.softmax(F.masked_fill(scores, np.isinf(mask), -np.inf), 1).sum().backward()


def test_an_infinity_that_reaches_the_loss() -> None:
    x = leaf(1.0, 2.0)
    with detect_anomaly():
        loss = (x * tensor(np.array([1.0, np.inf], np.float32))).sum()
    with (
        pytest.raises(AnomalyError, match="an infinity that was given") as caught,
        detect_anomaly(),
    ):
        loss.backward()
    assert caught.value.made == "∞"
    assert caught.value.result is loss


def test_the_forward_may_have_been_outside() -> None:
    """Then a ReLU and its pool were computed together, and only the pool's result is there."""
    norm = nn.BatchNorm2d(4)
    x = tensor(np.random.default_rng(0).normal(size=(8, 4, 32, 32)).astype(np.float32))
    y = F.max_pool2d(F.relu(norm(x)), 2)
    g = np.ones(y.shape, np.float32)
    g[3, 1, 2, 2] = np.inf
    error = found(lambda: y.backward(g))
    assert "the rule of max_pool2d made ∞" in str(error)
    assert "it was given to backward() so" in error.why


@pytest.mark.parametrize(
    "start", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in range(1, 5))]
)
def test_right_operations_are_silent(start: int) -> None:
    """Whatever is finite in the end, of all samples of all operations; a fifth at once."""
    alarms = []
    for sample in SAMPLES[start::5]:
        with np.errstate(all="ignore"):
            result, leaves = run(sample)
            if result is None or not all(np.isfinite(a).all() for a in [result._data, *leaves]):
                continue
            try:
                with detect_anomaly():
                    run(sample)
            except AnomalyError as error:
                alarms.append(f"{sample.id}: {error}")
    assert not alarms, "\n".join(alarms)


def run(sample: Any) -> tuple[Any, list[Any]]:
    """A sample's result and its gradients."""
    inputs = [tensor(a, requires_grad=True) if a.dtype.kind == "f" else a for a in sample.inputs]
    if not all(np.isfinite(a).all() for a in sample.inputs if a.dtype.kind == "f"):
        return None, []
    result = sample.function(*inputs)
    if not isinstance(result, Tensor) or not result.requires_grad:
        return None, []
    result.sum().backward()
    return result, [x.grad._data for x in inputs if isinstance(x, Tensor) and x.grad is not None]


def test_an_update_that_goes_too_far() -> None:
    p = leaf(1.0)
    optimizer = optim.SGD([p], lr=1e30)
    (p * 1e20).sum().backward()
    error = found(optimizer.step)
    assert error.phase == "update"
    assert "a step from learning rate 1e+30" in error.why


def test_an_overflow_after_a_leap_tells_of_the_leap() -> None:
    p = leaf(1.0)
    p.name = "weight"
    optimizer = optim.SGD([p], lr=30.0)

    def steps() -> None:
        for _ in range(20):
            optimizer.zero_grad()
            (p**4).sum().backward()
            optimizer.step()

    error = found(steps)
    assert "the last step of SGD (learning rate 30) took weight from" in error.why


def test_a_picture_colours_the_place(tmp_path: Path) -> None:
    x = leaf(1.0, 0.0)
    error = found(lambda: (x * 2).log().sum())
    picture = graph(error.result, verdicts=error)
    assert "FAIL 1" in picture.dot()
    picture.html(tmp_path / "place.html")
    assert "log of 0 at [1]" in (tmp_path / "place.html").read_text(encoding="utf-8")
    with detect_anomaly():
        loss = x.sqrt().sum()
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        loss.backward(retain_graph=True)
    assert "FAIL" in graph(loss, verdicts=caught.value).dot()


def test_switched_on_and_off() -> None:
    assert not is_anomaly_enabled()
    set_detect_anomaly(True)
    try:
        assert is_anomaly_enabled()
        with set_detect_anomaly(False):
            assert not is_anomaly_enabled()
            leaf(0.0).log()
        with pytest.raises(RuntimeError):  # as PyTorch's
            leaf(0.0).log()
        seen: list[bool] = []
        thread = threading.Thread(target=lambda: seen.append(is_anomaly_enabled()))
        thread.start()
        thread.join()
        assert seen == [False]
    finally:
        set_detect_anomaly(False)
    assert not is_anomaly_enabled()
    leaf(0.0).log()
    with detect_anomaly(), detect_anomaly(check_nan=False):
        y = leaf(0.0).log()
    assert y.grad_fn is not None
    with pytest.raises(TypeError, match="detect_anomaly: expects True or False"):
        detect_anomaly(check_nan=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="set_detect_anomaly: expects True or False"):
        set_detect_anomaly(None)  # type: ignore[arg-type]


@detect_anomaly()
def decorated(x: Tensor) -> Tensor:
    return x.log()


def test_as_a_decorator() -> None:
    with pytest.raises(AnomalyError):
        decorated(leaf(0.0))
    assert not is_anomaly_enabled()


def test_verification_looks_at_edges_undisturbed() -> None:
    with detect_anomaly():
        loss = (leaf(0.5, 1e-30).log() * 2).sum()
        check_graph(loss)
        loss.backward()


def test_second_derivatives_are_looked_at() -> None:
    x = leaf(0.0)
    with detect_anomaly():
        y = (x**1.5).sum()
    y.backward(create_graph=True)
    assert x.grad is not None
    slope = x.grad.sum()
    with pytest.raises(AnomalyError), detect_anomaly():
        slope.backward()
