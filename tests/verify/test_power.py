"""What a check must see beside wrong numbers, and what it must not take for a mistake."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.verify.faults import pixels
from tinygrad_cnn import Tensor, detaching, nn, no_grad
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.op import Op
from tinygrad_cnn.verify import (
    Report,
    Verdict,
    check_backward,
    check_graph,
    check_module,
    gradcheck,
)

pytestmark = pytest.mark.usefixtures("_leave_the_registry_alone")

_rng = np.random.default_rng(8)
_normal = _rng.standard_normal


def leaf(*shape: int) -> Tensor:
    return Tensor(_normal(shape), requires_grad=True)


def check(forward: Any, backward: Any, *inputs: Any) -> Report:
    return check_backward(forward, backward, inputs, raise_exception=False)


# ------------------------------------------------------------------- right code that is not ours


def windows(x: Any) -> Any:
    return np.lib.stride_tricks.sliding_window_view(x, (3, 3))


def conv_relu_linear(x: Any, w: Any, v: Any) -> Any:
    """x (H, W), w (F, 3, 3), v (F, O): one operation, its bias 0."""
    h = np.einsum("ijab,fab->ijf", windows(x), w)
    return np.maximum(h, 0.0).sum((0, 1)) @ v


def conv_relu_linear_backward(g: Any, x: Any, w: Any, v: Any) -> Any:
    h = np.einsum("ijab,fab->ijf", windows(x), w)
    gh = (h > 0) * (v @ g)
    gx = np.zeros_like(x)
    for a in range(3):
        for b in range(3):
            gx[a : a + h.shape[0], b : b + h.shape[1]] += gh @ w[:, a, b]
    gw = np.einsum("ijab,ijf->fab", windows(x), gh)
    return gx, gw, np.outer(np.maximum(h, 0.0).sum((0, 1)), g)


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 3))])
def test_kinks_that_meet_in_one_result_are_no_alarm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrays = pixels(rng, (12, 12)), rng.standard_normal((4, 3, 3)), rng.standard_normal((4, 5))
    report = check(conv_relu_linear, conv_relu_linear_backward, *arrays)
    assert report, report.text()

    def wrong(g: Any, x: Any, w: Any, v: Any) -> Any:
        gx, gw, gv = conv_relu_linear_backward(g, x, w, v)
        return gx, gw[:, ::-1, ::-1], gv

    report = check(conv_relu_linear, wrong, *arrays)
    assert [r.input for r in report.failures] == ["w"]


@pytest.mark.parametrize("seed", range(4))
def test_a_blank_image_is_no_alarm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.concatenate([np.zeros((1, 9)), rng.standard_normal((2, 9))])

    def forward(x: Any, w: Any, v: Any) -> Any:
        return np.maximum(x @ w, 0.0) @ v

    def backward(g: Any, x: Any, w: Any, v: Any) -> Any:
        h = x @ w
        gh = (g @ v.T) * (h > 0)
        return gh @ w.T, x.T @ gh, np.maximum(h, 0.0).T @ g

    report = check(forward, backward, x, rng.standard_normal((9, 6)), rng.standard_normal((6, 3)))
    assert report, report.text()


def test_a_median_with_ties_is_no_alarm() -> None:
    def backward(g: Any, x: Any) -> Any:
        gx = np.zeros_like(x)
        gx[np.arange(len(x)), np.argsort(x, 1, kind="stable")[:, x.shape[1] // 2]] = g
        return (gx,)

    for seed in (14, 16, 18):  # three equal ones in the middle: each alone moves nothing
        x = np.round(np.random.default_rng(seed).standard_normal((6, 7)))
        report = check(lambda x: np.median(x, 1), backward, x)
        assert report, report.text()


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_very_small_numbers_are_compared_in_their_own_measure(factor: float) -> None:
    for forward, slope, x in (
        (np.square, lambda x: 2 * x, np.full(3, 1e-30)),
        (np.log, lambda x: 1 / x, np.array([1e-30])),
        (_sigmoid, lambda x: _sigmoid(x) * _sigmoid(-x), np.array([40.0, -40.0])),
    ):
        report = check(forward, lambda g, x, s=slope: (factor * g * s(x),), x)
        assert bool(report) == (factor == 1.0), report.text(all=True)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def test_nothing_to_compare_is_no_pass() -> None:
    report = check(_sigmoid, lambda g, x: (g * _sigmoid(x) * _sigmoid(-x),), np.array([40.0]))
    assert report.verdict is Verdict.UNSEEN
    assert not report
    assert "nothing to compare" in report.text()


# ------------------------------------------------------------------- what hid behind a PASS


class Scale(Op):
    """Doubles; its rule is right in float64 alone."""

    __slots__ = ()

    def forward(self, x: Any) -> Any:
        return x * 2

    def backward(self, g: Any, _out: Any, _x: Any) -> tuple[Any, ...]:
        return (g * (2 if g.dtype == np.float64 else 3),)


def test_a_rule_that_is_wrong_in_float32_only() -> None:
    x = Tensor(_normal(4), requires_grad=True, dtype=np.float32)
    report = check_graph(F.sum(Scale()(x)))
    assert "float32" in report.failures[0].text()
    assert check_graph(F.sum(Scale()(leaf(4))))


def test_a_rule_that_is_wrong_for_another_subset_of_inputs() -> None:
    class Product(Op):
        __slots__ = ()
        saves = ("a", "b")

        def forward(self, a: Any, b: Any) -> Any:
            return a * b

        def backward(
            self, g: Any, _out: Any, a: Any, b: Any, *, needs: tuple[bool, ...]
        ) -> tuple[Any, ...]:
            return (g * b if all(needs) else g, g * a)

    report = check_graph(F.sum(Product()(leaf(3), leaf(3))))
    assert [f.kind for f in report.failures[0].findings] == ["needs"]
    assert "asked for the gradient of a alone" in report.text()


def test_a_constant_that_an_operation_keeps_from_its_first_call() -> None:
    class Masked(Op):
        def __init__(self) -> None:
            self.mask: Any = None

        def settings(self) -> dict[str, Any]:
            return {}

        def forward(self, x: Any, mask: Any) -> Any:
            if self.mask is None:
                self.mask = mask
            return x * mask

        def backward(self, g: Any, _out: Any, _x: Any, _mask: Any) -> tuple[Any, ...]:
            return g * self.mask, None

    op = Masked()
    for _ in range(2):
        loss = F.sum(op(leaf(6), Tensor(_normal(6))))
    report = check_graph(loss)
    assert [r.op for r in report.failures] == ["masked", "end to end"]


def test_a_saved_result_that_was_overwritten() -> None:
    x = leaf(4)
    y = F.exp(x)
    loss = F.sum(y)
    y.numpy()[:] = 1.0
    with pytest.raises(GraphError, match="changed in place"):
        check_graph(loss)


def test_what_needs_an_exact_zero_or_a_tie_is_found_on_random_numbers() -> None:
    def product(x: Any) -> Any:
        return x.prod(1)

    def by_division(g: Any, x: Any) -> Any:
        with np.errstate(all="ignore"):
            return ((g * x.prod(1))[:, None] / x,)

    report = check(product, by_division, _normal((4, 3)))
    assert "the gradient is NaN or infinite where elements are 0" in report.text()

    def every_largest(g: Any, x: Any) -> Any:
        return (g[:, None] * (x == x.max(1, keepdims=True)),)

    report = check(lambda x: x.max(1), every_largest, _normal((4, 3)))
    assert "but wrong where elements are" in report.text()
    assert {h.code for r in report.failures for h in r.hints} == {"ties"}


def test_parameters_that_nothing_reaches_are_listed() -> None:
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            self.used = nn.Linear(3, 3)
            self.unused = nn.Linear(3, 3)
            self.hidden = nn.Linear(3, 3)
            self.frozen = nn.Linear(3, 3).requires_grad_(False)

        def forward(self, x: Any) -> Any:
            with no_grad():
                extra = self.hidden(x)
            return self.used(x) + extra * self.frozen(x)

    report = check_module(Forgetful(), _normal((2, 3)), modes=("train",))
    by_name = {r.input: r for r in report.results if r.op.startswith("end to end")}
    assert "never reached" in by_name["unused.weight"].text()
    assert by_name["unused.weight"].verdict is Verdict.UNSEEN
    assert by_name["hidden.weight"].verdict is Verdict.FAIL
    assert "frozen" in by_name["frozen.weight"].text()


def test_a_choice_of_nodes_and_a_limit_of_time() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    loss = F.sum(model(Tensor(_normal((3, 4)))))
    scopes = lambda report: {r.scope for r in report.results if r.seq is not None}  # noqa: E731
    assert scopes(check_graph(loss, only="2")) == {"2"}
    assert scopes(check_graph(loss, only="relu")) == {"1", "3"}
    assert len(check_graph(loss, every=3).verdicts()) == 2
    report = check_graph(loss, max_seconds=0.0)
    assert report.counts["SKIPPED"] >= 6
    assert "the time was up" in report.text()
    with pytest.raises(ValueError, match="every expects a positive number"):
        check_graph(loss, every=0)


# ------------------------------------------------------------------------------- the engine


def test_an_engine_that_doubles_is_named_and_no_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    from tinygrad_cnn.engine import BackwardPass

    run = BackwardPass.run

    def doubled(self: Any, starts: Any) -> Any:
        return {
            edge: g * 2 if isinstance(edge, Tensor) else g for edge, g in run(self, starts).items()
        }

    loss = F.sum(F.tanh(leaf(3) * leaf(3)))
    monkeypatch.setattr(BackwardPass, "run", doubled)
    report = check_graph(loss)
    assert {r.op for r in report.failures} == {"engine", "end to end"}
    assert "the fault is the engine's" in report.text()


def test_gradients_that_are_overwritten_instead_of_added(monkeypatch: pytest.MonkeyPatch) -> None:
    x = leaf(3)
    loss = F.sum(x * x)
    backward = Tensor.backward

    def overwriting(self: Any, *args: Any, **kwargs: Any) -> None:
        for node in self._node.edges[0].edges:
            node.grad = None
        backward(self, *args, **kwargs)

    monkeypatch.setattr(Tensor, "backward", overwriting)
    report = check_graph(loss)
    assert "after backward() twice, grad is not the gradient times 2" in report.text()


def test_a_rule_that_reads_what_saves_does_not_name_is_not_the_engines_fault() -> None:
    class Forgets(Op):
        name = "forgets"

        def forward(self, x: Any) -> Any:
            return x**3

        def backward(self, g: Any, _out: Any, x: Any) -> tuple[Any, ...]:
            return (3 * g * x**2,)

    report = gradcheck(Forgets(), np.ones(3), raise_exception=False)
    assert "write saves = ('x',)" in report.text()
    assert "engine" not in {r.op for r in report.results}


def test_equal_numbers_are_a_point_too() -> None:
    """A quotient of zeros where all numbers are one, as those of a blank image."""

    def forward(x: Any) -> Any:
        return (x - x.mean()) * np.exp(-x.var())

    def rule(g: Any, x: Any, safe: bool) -> Any:
        centred, var = x - x.mean(), x.var()
        inner = np.sum(g * centred) / (1.0 if safe else var) * (1.0 if safe else var)
        return ((g - g.mean() - 2 * centred / x.size * inner) * np.exp(-var),)

    def checked(safe: bool) -> Any:
        return check_backward(
            forward, lambda g, x: rule(g, x, safe), [_normal((6, 4))], raise_exception=False
        )

    assert checked(True)
    assert "NaN or infinite where all elements are 0" in checked(False).text()


def test_a_result_that_overflows_in_its_own_dtype_is_no_fault_of_the_rule() -> None:
    x = Tensor(np.full((2, 200), 2.0, np.float32), requires_grad=True)
    with np.errstate(over="ignore"):
        report = check_graph(F.prod(x, 1)[0])
    assert not report.failures, report.text()
    assert "in float32 the result overflows: 2e+60 is beyond" in report.text()


def test_eigenvalues_that_coincide_are_no_fault() -> None:
    """All elements are equal: along the one direction that moves them together nothing adds up."""
    a = _normal((4, 4))
    assert check_backward(
        lambda x: np.linalg.eigvalsh((x + x.T) / 2),
        lambda g, x: ((q := np.linalg.eigh((x + x.T) / 2)[1]) * g @ q.T,),
        [a + a.T],
    )


def test_what_is_detached_from_a_part_that_is_not_in_the_graph_itself() -> None:
    x = Tensor(_normal(4), requires_grad=True)
    h = F.tanh(x)
    report = check_graph((h * F.exp(2 * h).detach()).sum())
    assert [(r.op, [hint.code for hint in r.hints]) for r in report.failures] == [
        ("end to end", ["detached"])
    ]
    assert "b of mul is the result of exp, detached" in report.text()
    other = Tensor(_normal(4), requires_grad=True)
    assert check_graph((h * F.exp(other).detach()).sum())  # of another leaf: a constant here
    kept = F.exp(h).detach()
    kept += 1.0
    assert check_graph((h * kept).sum())  # written to since: nobody knows what it was made from


def test_detached_results_keep_nothing_alive() -> None:
    h = Tensor(_normal(4), requires_grad=True)
    before = len(detaching._origins)
    for _ in range(50):
        h = (h * 2.0).detach()
        h.requires_grad = True
    gc.collect()
    assert len(detaching._origins) <= before + 1
    del h
    assert len(detaching._origins) <= before
