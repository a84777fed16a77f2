"""Optimisers against loops written out element by element, and against PyTorch."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_cnn import tensor
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.kernels.runtime.threads import get_num_threads, set_num_threads
from tinygrad_cnn.nn import Parameter
from tinygrad_cnn.optim import SGD, Adam, AdamW, RMSprop
from tinygrad_cnn.optim import optimizer as machinery


def sgd(p, gradients, lr, momentum=0, dampening=0, weight_decay=0, nesterov=False):
    velocity = None
    for g in gradients:
        g = g + weight_decay * p
        if momentum:
            velocity = g if velocity is None else momentum * velocity + (1 - dampening) * g
            g = g + momentum * velocity if nesterov else velocity
        p = p - lr * g
    return p


def rmsprop(p, gradients, lr, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False):
    square = mean = velocity = 0.0
    for g in gradients:
        g = g + weight_decay * p
        square = alpha * square + (1 - alpha) * g * g
        mean = alpha * mean + (1 - alpha) * g
        size = math.sqrt(square - mean * mean if centered else square) + eps
        velocity = momentum * velocity + g / size
        p = p - lr * (velocity if momentum else g / size)
    return p


def adam(p, gradients, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):
    first = second = 0.0
    for t, g in enumerate(gradients, 1):
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        first = betas[0] * first + (1 - betas[0]) * g
        second = betas[1] * second + (1 - betas[1]) * g * g
        corrected = first / (1 - betas[0] ** t)
        p = p - lr * corrected / (math.sqrt(second / (1 - betas[1] ** t)) + eps)
    return p


def adamw(p, gradients, lr, weight_decay=0.01, **options):
    return adam(p, gradients, lr, weight_decay=weight_decay, decoupled=True, **options)


CASES = [
    (SGD, sgd, {"lr": 0.1}),
    (SGD, sgd, {"lr": 0.1, "weight_decay": 0.3}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.9}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.9, "dampening": 0.4, "weight_decay": 0.2}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.2}),
    (RMSprop, rmsprop, {"lr": 0.1}),
    (RMSprop, rmsprop, {"lr": 0.1, "alpha": 0.7, "eps": 0.1, "weight_decay": 0.2}),
    (RMSprop, rmsprop, {"lr": 0.1, "momentum": 0.9}),
    (RMSprop, rmsprop, {"lr": 0.1, "centered": True, "alpha": 0.9}),
    (RMSprop, rmsprop, {"lr": 0.1, "centered": True, "momentum": 0.5, "weight_decay": 0.1}),
    (Adam, adam, {"lr": 0.1}),
    (Adam, adam, {"lr": 0.1, "betas": (0.5, 0.75), "eps": 0.01, "weight_decay": 0.2}),
    (AdamW, adamw, {"lr": 0.1}),
    (AdamW, adamw, {"lr": 0.1, "betas": (0.5, 0.75), "weight_decay": 0.5}),
]
IDS = [f"{case[0].__name__}-{'-'.join(case[2])}" for case in CASES]


def run(optimizer, p, gradients):
    for g in gradients:
        p.grad = g
        optimizer.step()


def layouts(rng):
    """Parameters of every layout and size class, with gradients of other layouts."""
    plain = rng.normal(size=(3, 4))
    last = rng.normal(size=(2, 5, 6, 3)).transpose(0, 3, 1, 2)
    return {"plain": plain, "fortran": np.asfortranarray(plain), "channels-last": last}


@pytest.mark.parametrize(("cls", "loop", "options"), CASES, ids=IDS)
@pytest.mark.parametrize("layout", ["plain", "fortran", "channels-last"])
def test_steps_equal_a_loop_over_elements(cls, loop, options, layout):
    rng = np.random.default_rng(1)
    start = layouts(rng)[layout]
    gradients = rng.normal(size=(4, *start.shape))
    p = tensor(start, requires_grad=True)
    assert p.numpy().strides == start.strides
    kept = p.numpy()
    optimizer = cls([p], **options)
    run(optimizer, p, [gradients[0], np.asfortranarray(gradients[1]), *gradients[2:]])
    expected = np.empty(start.shape)
    for i in np.ndindex(start.shape):
        expected[i] = loop(start[i], [g[i] for g in gradients], **options)
    np.testing.assert_allclose(p.numpy(), expected, rtol=1e-12)
    assert p.numpy() is kept, "updates are in place"


@pytest.mark.parametrize(("cls", "loop", "options"), CASES, ids=IDS)
def test_blocks_and_threads_change_nothing(cls, loop, options, monkeypatch):
    rng = np.random.default_rng(2)
    start, gradients = rng.normal(size=(50, 7)), rng.normal(size=(3, 50, 7))
    results = []
    threads = get_num_threads()
    for block, number in ((1000, 1), (16, 1), (16, 3)):
        monkeypatch.setattr(machinery, "_BLOCK", block)
        monkeypatch.setattr(machinery, "_GRAIN", 20)
        set_num_threads(number)
        p = tensor(start, requires_grad=True)
        run(cls([p], **options), p, gradients)
        results.append(p.numpy())
    set_num_threads(threads)
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()
    i = (31, 4)
    np.testing.assert_allclose(
        results[0][i], loop(start[i], [g[i] for g in gradients], **options), rtol=1e-12
    )


@pytest.mark.parametrize(("cls", "loop", "options"), CASES, ids=IDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_equal_pytorch(cls, loop, options, dtype):  # noqa: ARG001  # the loop has its test
    torch = pytest.importorskip("torch", reason="PyTorch is compared with where it is installed")
    rng = np.random.default_rng(3)
    start, gradients = rng.normal(size=(4, 5)), rng.normal(size=(6, 4, 5))
    ours = tensor(start.astype(dtype), requires_grad=True)
    theirs = torch.tensor(start.astype(dtype), requires_grad=True)
    optimizer, other = (
        cls([ours], **options),
        getattr(torch.optim, cls.__name__)([theirs], **options),
    )
    for g in gradients:
        ours.grad, theirs.grad = g.astype(dtype), torch.tensor(g.astype(dtype))
        optimizer.step()
        other.step()
    np.testing.assert_allclose(
        ours.numpy(), theirs.detach().numpy(), rtol=1e-12 if dtype == "float64" else 2e-5
    )
    assert ours.dtype == dtype


def test_momentum_accelerates_by_gradients_not_by_the_weight():
    # A hand-written update once added momentum · weight: weights grew by 1.95 at every step.
    p = tensor([1.0, -2.0], requires_grad=True)
    run(SGD([p], lr=0.009, momentum=0.95), p, [[0.0, 0.0]] * 5)
    assert p.tolist() == [1.0, -2.0]


@settings(derandomize=True, deadline=None)
@given(
    curvature=st.floats(0.1, 10),
    rate=st.floats(0.01, 0.5),
    start=st.floats(-5, 5),
    n=st.integers(1, 9),
)
def test_gradient_descent_on_a_parabola_has_a_closed_form(curvature, rate, start, n):
    p = tensor(np.array([start]), requires_grad=True)
    optimizer = SGD([p], lr=rate / curvature)
    for _ in range(n):
        optimizer.zero_grad()
        (p * p * (curvature / 2)).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(p.numpy(), [start * (1 - rate) ** n], rtol=1e-9, atol=1e-12)


@settings(derandomize=True, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, len(CASES) - 1), st.integers(1, 5))
def test_a_loaded_state_goes_on_to_the_last_bit(seed, case, steps):
    cls, _, options = CASES[case]
    rng = np.random.default_rng(seed)
    shapes = [(3, 2), (), (4,)]
    starts = [rng.normal(size=s) for s in shapes]
    gradients = [[rng.normal(size=s) for s in shapes] for _ in range(steps + 3)]

    def make(arrays):
        ps = [tensor(a, requires_grad=True) for a in arrays]
        return ps, cls([{"params": ps[:1], "lr": 0.3}, {"params": ps[1:]}], **options)

    def go(ps, optimizer, part):
        for step in part:
            for i, (p, g) in enumerate(zip(ps, step, strict=True)):
                p.grad = None if i == 2 and step is gradients[0] else g  # one lags behind
            optimizer.step()

    whole, optimizer = make(starts)
    go(whole, optimizer, gradients)
    first, before = make(starts)
    go(first, before, gradients[:steps])
    state = before.state_dict()
    groups = json.loads(json.dumps(state["param_groups"]))
    arrays = dict(reversed(state["state"].items()))
    assert all(isinstance(a, np.ndarray) for a in arrays.values())
    second, after = make([p.numpy() for p in first])
    after.load_state_dict({"param_groups": groups, "state": arrays})
    go(second, after, gradients[steps:])
    assert [p.numpy().tobytes() for p in second] == [p.numpy().tobytes() for p in whole]
    assert after.param_groups[0]["lr"] == 0.3
    for ours, theirs in zip(after.param_groups, before.param_groups, strict=True):
        assert {**ours, "params": 0} == {**theirs, "params": 0}


def test_state_is_a_copy_by_names_of_pytorch():
    p = tensor(np.ones((2, 3)), requires_grad=True)
    optimizer = Adam([p])
    assert optimizer.state_dict()["state"] == {}
    run(optimizer, p, [np.ones((2, 3))])
    state = optimizer.state_dict()
    assert list(state["state"]) == ["0.step", "0.exp_avg", "0.exp_avg_sq"]
    assert state["state"]["0.exp_avg"].shape == (2, 3)
    kept = state["state"]["0.exp_avg"].copy()
    run(optimizer, p, [np.ones((2, 3))])
    np.testing.assert_array_equal(state["state"]["0.exp_avg"], kept)
    assert state["param_groups"] == [
        {"params": [0], "lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s["param_groups"].pop(),
            r"the groups hold \[1\] parameters, those of the state \[\]",
        ),
        (lambda s: s["param_groups"][0].pop("eps"), "expected the options"),
        (lambda s: s["param_groups"][0].update(lr=-1), "lr expects at least 0, got -1"),
        (lambda s: s["state"].update({"1.exp_avg": np.ones(2)}), "unexpected '1.exp_avg'"),
        (lambda s: s["state"].update({"0.velocity": np.ones(2)}), "unexpected '0.velocity'"),
        (
            lambda s: s["state"].update({"0.exp_avg": np.ones(3)}),
            r"0.exp_avg expects .*\(2,\), got",
        ),
        (lambda s: s["state"].update({"0.exp_avg": np.array(["a", "b"])}), "0.exp_avg expects num"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, message):
    p = tensor([1.0, 2.0], requires_grad=True)
    optimizer = Adam([p])
    run(optimizer, p, [[1.0, 1.0]])
    other = Adam([tensor([1.0, 2.0], requires_grad=True)], lr=5.0)
    state = other.state_dict()
    change(state)
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(state)
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    assert after["state"]["0.exp_avg"].tolist() == before["state"]["0.exp_avg"].tolist()


def test_state_follows_a_parameter_to_another_dtype_and_layout():
    rng = np.random.default_rng(4)
    start, gradients = rng.normal(size=(3, 4)), rng.normal(size=(4, 3, 4))
    p = tensor(start.astype(np.float32), requires_grad=True)
    optimizer = SGD([p], lr=0.1, momentum=0.9)
    run(optimizer, p, gradients[:2].astype(np.float32))
    p._data = p._data.astype(np.float64)
    run(optimizer, p, gradients[2:3])
    p.data = np.asfortranarray(p.numpy())
    run(optimizer, p, gradients[3:])
    assert optimizer.state_dict()["state"]["0.momentum_buffer"].dtype == np.float64
    expected = np.vectorize(lambda i, j: sgd(start[i, j], gradients[:, i, j], 0.1, 0.9))(
        *np.indices((3, 4))
    )
    np.testing.assert_allclose(p.numpy(), expected, rtol=1e-5)


def test_parameters_without_a_gradient_stay_and_nan_spreads():
    p, q = tensor([1.0], requires_grad=True), tensor([1.0, 2.0], requires_grad=True)
    optimizer = Adam([p, q], lr=0.5)
    q.grad = [math.nan, 1.0]
    optimizer.step()
    assert p.tolist() == [1.0]
    assert np.isnan(q.numpy()).tolist() == [True, False]
    assert "0.step" not in optimizer.state_dict()["state"]


def test_gradients_are_not_written_to():
    for cls, _, options in CASES:
        p = tensor([1.0, 2.0], requires_grad=True)
        run(cls([p], **options), p, [[3.0, -4.0]])
        assert p.grad.tolist() == [3.0, -4.0]


def test_zero_grad():
    p = tensor([1.0], requires_grad=True)
    optimizer = SGD([p])
    p.grad = [2.0]
    kept = p.grad
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is kept
    assert p.grad.tolist() == [0.0]
    optimizer.zero_grad()
    assert p.grad is None


def test_groups_have_options_of_their_own():
    p, q, r = (tensor([1.0], requires_grad=True) for _ in range(3))
    optimizer = SGD([{"params": p, "lr": 0.5}, {"params": [q]}], lr=0.25)
    optimizer.add_param_group({"params": [r], "lr": 0.0})
    for x in (p, q, r):
        x.grad = [1.0]
    optimizer.step()
    assert [x.item() for x in (p, q, r)] == [0.5, 0.75, 1.0]
    optimizer.param_groups[2]["lr"] = 1.0
    optimizer.step()
    assert [x.item() for x in (p, q, r)] == [0.0, 0.5, 0.0]
    assert repr(optimizer).splitlines()[1] == (
        "  group 0: 1 parameters, lr=0.5, momentum=0.0, dampening=0.0, weight_decay=0.0, "
        "nesterov=False"
    )


def test_a_graph_recorded_before_a_step_notices_it():
    p = tensor([1.0, 2.0], requires_grad=True)
    loss = (p * p).sum()
    p.grad = [1.0, 1.0]
    SGD([p]).step()
    with pytest.raises(GraphError, match="changed in place"):
        loss.backward()


def leaf():
    return tensor([1.0], requires_grad=True)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SGD([]), ValueError, "SGD: got no parameters"),
        (lambda: SGD(leaf()), TypeError, "SGD: expected several parameters, got a single tensor"),
        (lambda: SGD([[1.0]]), TypeError, "SGD: expected tensors, got list"),
        (lambda: SGD([leaf() * 2]), ValueError, "parameter 0 was computed from other tensors"),
        (lambda: SGD([leaf()] * 2), ValueError, "parameter 1 is given twice"),
        (
            lambda: SGD([Parameter([1.0], name="w")] * 2),
            ValueError,
            r"parameter 1 \(w\) is given t",
        ),
        (lambda: SGD([tensor([1])]), TypeError, "parameter 0 is of int64"),
        (lambda: SGD([leaf()], lr=-1), ValueError, "SGD: lr expects at least 0, got -1"),
        (lambda: SGD([leaf()], lr=math.nan), ValueError, "SGD: lr expects at least 0, got nan"),
        (lambda: SGD([leaf()], momentum=-1), ValueError, "momentum expects at least 0, got -1"),
        (lambda: SGD([leaf()], nesterov=True), ValueError, "nesterov needs momentum above 0"),
        (lambda: RMSprop([leaf()], alpha=2), ValueError, "RMSprop: alpha expects 0 to 1, got 2"),
        (lambda: Adam([leaf()], betas=(0.9, 1)), ValueError, "Adam: betas expects two numbers"),
        (lambda: AdamW([leaf()], eps=-1), ValueError, "AdamW: eps expects at least 0, got -1"),
        (lambda: SGD([{"params": []}]), ValueError, "SGD: got no parameters"),
        (lambda: SGD([{"lr": 1.0}]), ValueError, "a group expects 'params' and some of"),
        (
            lambda: SGD([{"params": leaf(), "weight_deacy": 1.0}]),
            ValueError,
            r"a group expects 'params' and some of .* got \['params', 'weight_deacy'\]",
        ),
    ],
)
def test_wrong_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_parameter_with_gaps_in_memory_is_refused():
    from tinygrad_cnn.tensor import as_tensor

    with pytest.raises(ValueError, match="parameter 0 is a view with gaps"):
        SGD([as_tensor(np.zeros(6)[::2], requires_grad=True)])


def test_a_failed_group_is_not_added():
    p, q = leaf(), leaf()
    optimizer = SGD([p])
    with pytest.raises(ValueError, match="given twice"):
        optimizer.add_param_group({"params": [q, p]})
    optimizer.add_param_group({"params": [q]})
    assert len(optimizer.param_groups) == 2
