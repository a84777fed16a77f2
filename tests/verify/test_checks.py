"""The public checks: what they accept, what they say, and what they refuse."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.cases import each
from tests.op_samples import FIRST, OTHERS, SAMPLES, per_op
from tests.samples.base import Sample
from tinygrad_cnn import Tensor, nn, no_grad
from tinygrad_cnn.autograd import record_source
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.op import Op, registry
from tinygrad_cnn.verify import (
    GradientError,
    Report,
    Verdict,
    assert_gradients,
    check_backward,
    check_graph,
    check_module,
    gradcheck,
    gradgradcheck,
)

_rng = np.random.default_rng(3)
_normal = _rng.standard_normal


@pytest.fixture(autouse=True)
def _leave_the_registry_alone() -> Any:
    """Operations that tests define are none of the package's."""
    known = dict(registry)
    yield
    registry.clear()
    registry.update(known)


def leaf(*shape: int, name: str | None = None) -> Tensor:
    return Tensor(_normal(shape), requires_grad=True, name=name)


def quiet(func: Any, inputs: Any, **settings: Any) -> Report:
    return gradcheck(func, inputs, raise_exception=False, **settings)


# ------------------------------------------------------------------------------- no false alarm


# As in PyTorch, the least variance is put in place unrecorded: the gradient is not the derivative.
NOT_THE_DERIVATIVE = ("Log-gaussian,_least_variance",)


def check_sample(sample: Sample) -> None:
    """Right rules pass, at ties and kinks too; what has no number is never called right."""
    floats = [x for x in sample.inputs if x.dtype.kind == "f"]
    if not floats:
        with pytest.raises(ValueError, match="expects at least one differentiable input"):
            quiet(sample.function, sample.inputs)
        return
    try:
        report = quiet(sample.function, sample.inputs)
    except GraphError:
        return  # nothing is recorded
    out = np.asarray(sample.function(*sample.inputs))
    if sample.id in NOT_THE_DERIVATIVE:
        assert report.failures
        return
    assert not report.failures, report.text()
    if not any(x.size for x in floats) or not out.size or out.dtype.kind != "f":
        assert report.verdict is Verdict.SKIPPED
    elif np.isnan(out).any() or any(np.isnan(x).any() for x in floats):
        assert report.verdict is Verdict.INCONCLUSIVE
        assert "NaN or infini" in report.text()
    elif np.isinf(out).any() or any(np.isinf(x).any() for x in floats):
        assert report or "NaN or infini" in report.text()  # a mask of −∞ is decided
    else:
        assert report or report.verdict is Verdict.UNSEEN, report.text()


@per_op(FIRST)
def test_a_sample_of_every_operation(samples: list[Sample]) -> None:
    each(samples, check_sample)


@pytest.mark.slow
@per_op(OTHERS[::2])  # the other half is recorded in `test_samples`
def test_every_other_sample(samples: list[Sample]) -> None:
    each(samples, check_sample)


@pytest.mark.parametrize(
    "sample", [s for s in SAMPLES if s.smooth and s.inputs[0].size < 40][::30], ids=lambda s: s.id
)
def test_second_derivatives_of_samples(sample: Sample) -> None:
    if not any(x.dtype.kind == "f" and x.size for x in sample.inputs):
        pytest.skip("no gradient")
    if not np.isfinite(sample.function(*sample.inputs)).all():
        pytest.skip("not finite")
    report = gradgradcheck(sample.function, sample.inputs, raise_exception=False)
    assert not report.failures, report.text()


# ------------------------------------------------------------------------------- gradcheck


def test_a_single_input_and_several() -> None:
    assert gradcheck(F.exp, leaf(3))
    assert gradcheck(lambda a, b: (a * b, a + b), [leaf(3), leaf(3)]).counts["PASS"] == 2


def test_only_tensors_that_want_a_gradient_are_differentiated() -> None:
    report = gradcheck(lambda a, b: a * b, [leaf(3), Tensor(_normal(3))])
    assert [r.verdict.value for r in report.results] == ["PASS", "SKIPPED"]
    assert "without requires_grad" in report.text()


def test_float32_is_checked_in_float64() -> None:
    x = Tensor(_normal((3, 4)), requires_grad=True, dtype=np.float32)
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
        gradcheck(F.exp, Tensor(_normal(3)))


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
    data = _normal(4)
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
    report = check_graph(F.sum(F.softmax(leaf(4, 4) + Tensor(mask), 1) * Tensor(_normal((4, 4)))))
    assert report.verdict is Verdict.PASS, report.text()
    assert assert_gradients(lambda x: F.softmax(x + Tensor(mask), 1), leaf(4, 4))

    def wrong(g: Any, x: Any) -> Any:
        y = masked(x)
        return (y * (g - (g * y).sum(1)),)

    def masked(x: Any) -> Any:
        e = np.exp(x + mask)
        return e / e.sum(1, keepdims=True)

    assert check_backward(masked, wrong, [_normal((4, 4))], raise_exception=False).failures


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


# ------------------------------------------------------------------------------- graphs


def test_a_graph_node_by_node() -> None:
    x, w = leaf(4, 3, name="x"), leaf(3, 2, name="w")
    with record_source():
        loss = F.mean(F.relu(x @ w) ** 2)
    report = check_graph(loss)
    assert report
    assert [r.op for r in report.results[-2:]] == ["end to end"] * 2
    assert report.results[0].op.startswith("mean")
    assert report.results[0].source is not None
    assert report.results[0].source[0] == __file__
    assert set(report.verdicts()) == {r.seq for r in report.results if r.seq is not None}
    loss.backward()  # the check has released nothing


def test_a_released_graph() -> None:
    loss = F.sum(leaf(3) * leaf(3))
    loss.backward()
    with pytest.raises(GraphError, match=r"released.*check it before backward\(\), or .*retain"):
        check_graph(loss)


def test_a_graph_that_was_not_recorded() -> None:
    with pytest.raises(GraphError, match="was not recorded"):
        check_graph(leaf(3))
    with no_grad(), pytest.raises(GraphError, match="was not recorded"):
        check_graph(leaf(3) * 2)


def test_a_leaf_changed_in_place() -> None:
    x = leaf(3)
    loss = F.sum(x * x)
    x.data[0] = 5.0
    with pytest.raises(GraphError, match="changed in place"):
        check_graph(loss)


def test_a_leaf_used_twice_and_a_result_used_twice() -> None:
    x = leaf(3)
    y = F.exp(x)
    assert check_graph(F.sum(x * x + y * y + y))


def test_a_detached_value_is_found() -> None:
    x = leaf(4, name="x")
    gate = F.sigmoid(x)
    report = check_graph(F.sum(gate.detach() * x + gate))
    assert report.verdict is Verdict.FAIL
    assert [r.op for r in report.failures] == ["end to end"]
    assert report.failures[0].hints[0].code == "detached"
    assert "the result of sigmoid, detached" in report.text()


def test_a_detached_leaf_is_found() -> None:
    x = leaf(4, name="x")
    report = check_graph(F.sum(x.detach() * x))
    assert [r.findings[0].kind for r in report.failures] == ["detached"]


def test_lost_accumulation_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from tinygrad_cnn.engine import BackwardPass

    def add(self: Any, edge: Any, g: Any) -> None:
        self.grads[edge] = g

    x = leaf(3, name="x")
    y = F.exp(x)
    loss = F.sum(y * 2.0 + y * 3.0)
    monkeypatch.setattr(BackwardPass, "_add", add)
    report = check_graph(loss)
    assert [r.findings[0].kind for r in report.failures] == ["accumulation"]


def test_a_long_chain() -> None:
    x = leaf(2)
    y = x
    for _ in range(40):
        y = F.tanh(y)
    assert len(check_graph(F.sum(y)).results) == 42


def test_several_wrong_nodes_nearest_the_loss_first() -> None:
    class Wrong(Op):
        __slots__ = ("factor",)

        def __init__(self, factor: float) -> None:
            self.factor = factor

        def forward(self, x: Any) -> Any:
            return x * 3.0

        def backward(self, g: Any, _out: Any, _x: Any) -> tuple[Any, ...]:
            return (g * self.factor,)

    x = leaf(3)
    report = check_graph(F.sum(Wrong(-3.0)(F.exp(Wrong(6.0)(x)))))
    nodes = [r for r in report.failures if r.seq is not None]
    assert [r.hints[0].code for r in nodes] == ["sign", "times 2"]
    assert report.failures[-1].op == "end to end"


def test_a_wrong_reference_is_found() -> None:
    class Fused(Op):
        __slots__ = ()
        saves = ("x",)

        def forward(self, x: Any) -> Any:
            return x * x

        def backward(self, g: Any, _out: Any, x: Any) -> tuple[Any, ...]:
            return (g * 2.0 * x,)

        def reference(self, x: Any) -> Any:
            return x * x * 1.5

    report = check_graph(F.sum(Fused()(leaf(3))))
    assert report.failures[0].op == "fused (under create_graph)"


def test_a_rule_that_raises_or_has_the_wrong_shape() -> None:
    class Broken(Op):
        __slots__ = ("shape",)

        def __init__(self, shape: tuple[int, ...]) -> None:
            self.shape = shape

        def forward(self, x: Any) -> Any:
            return x * 1.0

        def backward(self, _g: Any, _out: Any, _x: Any) -> tuple[Any, ...]:
            if not self.shape:
                raise KeyError("nothing")
            return (np.ones(self.shape),)

    for shape, text in ((), "the rule raised KeyError"), ((5,), "gradient of shape"):
        report = check_graph(F.sum(Broken(shape)(leaf(3))))
        assert report.verdict is Verdict.FAIL
        assert text in report.text()


def test_nothing_is_changed_by_a_check() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Dropout(0.5))
    x = leaf(3, 1, 6, 6)
    loss = F.sum(module(x))
    state = {k: v.clone() for k, v in module.state_dict().items()}
    assert check_graph(loss)
    assert check_module(module, x)
    for key, value in module.state_dict().items():
        np.testing.assert_array_equal(value, state[key])
    assert module.training
    assert x.grad is None
    assert all(p.grad is None for p in module.parameters())
    assert all(p.dtype == np.float32 for p in module.parameters())


# ------------------------------------------------------------------------------- modules


def test_a_module_in_both_modes() -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU())
    report = check_module(module, _normal((5, 4)))
    assert report, report.text()
    assert {r.op.rsplit(" ", 1)[1] for r in report.results} == {"[train]", "[eval]"}
    names = {r.input for r in report.results if r.op.startswith("end to end")}
    assert names == {"0.weight", "0.bias", "1.weight", "1.bias", "input 0"}
    assert {r.scope for r in report.results if r.seq is not None} == {"0", "1", "2"}
    with pytest.raises(ValueError, match="modes are 'train' and 'eval', got 'test'"):
        check_module(module, _normal((5, 4)), modes=("test",))


def test_what_a_module_computes_beside_the_graph_is_found() -> None:
    class Detour(nn.Module):
        def __init__(self) -> None:
            self.linear = nn.Linear(3, 3)

        def forward(self, x: Any) -> Any:
            y = self.linear(x)
            return y * Tensor(np.tanh(y.numpy()))

    report = check_module(Detour(), _normal((2, 3)))
    assert report.verdict is Verdict.FAIL
    assert {r.op.split(" [")[0] for r in report.failures} == {"end to end"}


def test_a_module_with_two_results() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            self.linear = nn.Linear(3, 2)

        def forward(self, x: Any) -> Any:
            y = self.linear(x)
            return y, F.exp(y)

    assert check_module(Two(), _normal((2, 3)))


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

    report = check_backward(scale, lambda g, x: (2 * g,), [_normal(3)], raise_exception=False)
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
    assert assert_gradients(nn.Linear(2, 2), _normal((1, 2)))
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
