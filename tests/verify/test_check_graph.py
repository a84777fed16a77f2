"""Recorded graphs and modules: what is found in them, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.verify.leaves import leaf, normal
from tinygrad_cnn import Tensor, nn, no_grad
from tinygrad_cnn.autograd import record_source
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.op import Op
from tinygrad_cnn.verify import (
    Verdict,
    check_graph,
    check_module,
)

pytestmark = pytest.mark.usefixtures("_leave_the_registry_alone")


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
    report = check_module(module, normal((5, 4)))
    assert report, report.text()
    assert {r.op.rsplit(" ", 1)[1] for r in report.results} == {"[train]", "[eval]"}
    names = {r.input for r in report.results if r.op.startswith("end to end")}
    assert names == {"0.weight", "0.bias", "1.weight", "1.bias", "input 0"}
    assert {r.scope for r in report.results if r.seq is not None} == {"0", "1", "2"}
    with pytest.raises(ValueError, match="modes are 'train' and 'eval', got 'test'"):
        check_module(module, normal((5, 4)), modes=("test",))


def test_what_a_module_computes_beside_the_graph_is_found() -> None:
    class Detour(nn.Module):
        def __init__(self) -> None:
            self.linear = nn.Linear(3, 3)

        def forward(self, x: Any) -> Any:
            y = self.linear(x)
            return y * Tensor(np.tanh(y.numpy()))

    report = check_module(Detour(), normal((2, 3)))
    assert report.verdict is Verdict.FAIL
    assert {r.op.split(" [")[0] for r in report.failures} == {"end to end"}


def test_a_module_with_two_results() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            self.linear = nn.Linear(3, 2)

        def forward(self, x: Any) -> Any:
            y = self.linear(x)
            return y, F.exp(y)

    assert check_module(Two(), normal((2, 3)))
