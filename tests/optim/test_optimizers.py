"""Optimisers against loops written out element by element, and against PyTorch."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_cnn import no_grad, tensor
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.kernels.runtime.threads import get_num_threads, set_num_threads
from tinygrad_cnn.nn import Parameter
from tinygrad_cnn.optim import (
    ASGD,
    LBFGS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
)
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


def with_amsgrad(p, gradients, lr, amsgrad):
    assert amsgrad
    first = second = greatest = 0.0
    for t, g in enumerate(gradients, 1):
        first = 0.9 * first + 0.1 * g
        second = 0.999 * second + 0.001 * g * g
        greatest = max(greatest, second)
        size = math.sqrt(greatest / (1 - 0.999**t)) + 1e-8
        p = p - lr * first / (1 - 0.9**t) / size
    return p


def adamax(p, gradients, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    first = greatest = 0.0
    for t, g in enumerate(gradients, 1):
        g = g + weight_decay * p
        first = betas[0] * first + (1 - betas[0]) * g
        greatest = max(betas[1] * greatest, abs(g) + eps)
        p = p - lr / (1 - betas[0] ** t) * first / greatest
    return p


def nadam(p, gradients, lr, weight_decay=0.0, momentum_decay=4e-3, decoupled_weight_decay=False):
    first = second = 0.0
    product = 1.0
    for t, g in enumerate(gradients, 1):
        if decoupled_weight_decay:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        now = 0.9 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
        after = 0.9 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
        product *= now
        first = 0.9 * first + 0.1 * g
        second = 0.999 * second + 0.001 * g * g
        look = (1 - now) / (1 - product) * g + after / (1 - product * after) * first
        p = p - lr * look / (math.sqrt(second / (1 - 0.999**t)) + 1e-8)
    return p


def radam(p, gradients, lr, betas=(0.9, 0.999), weight_decay=0.0, decoupled_weight_decay=False):
    first = second = 0.0
    limit = 2 / (1 - betas[1]) - 1
    for t, g in enumerate(gradients, 1):
        if decoupled_weight_decay:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        first = betas[0] * first + (1 - betas[0]) * g
        second = betas[1] * second + (1 - betas[1]) * g * g
        step = first / (1 - betas[0] ** t)
        length = limit - 2 * t * betas[1] ** t / (1 - betas[1] ** t)
        if length > 5:
            grown = (length - 4) * (length - 2) * limit
            step *= math.sqrt(grown / ((limit - 4) * (limit - 2) * length))
            step *= math.sqrt(1 - betas[1] ** t) / (math.sqrt(second) + 1e-8)
        p = p - lr * step
    return p


def adagrad(p, gradients, lr, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10):
    total = initial_accumulator_value
    for t, g in enumerate(gradients):
        g = g + weight_decay * p
        total += g * g
        p = p - lr / (1 + t * lr_decay) * g / (math.sqrt(total) + eps)
    return p


def adadelta(p, gradients, lr, rho=0.9, eps=1e-6, weight_decay=0):
    square = moved = 0.0
    for g in gradients:
        g = g + weight_decay * p
        square = rho * square + (1 - rho) * g * g
        step = math.sqrt(moved + eps) / math.sqrt(square + eps) * g
        moved = rho * moved + (1 - rho) * step * step
        p = p - lr * step
    return p


def asgd(p, gradients, lr, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0):
    assert t0 >= 1  # the average beside it is looked at in a test of its own
    rate = lr
    for t, g in enumerate(gradients, 1):
        g = g + weight_decay * p
        p = p * (1 - lambd * rate) - rate * g
        rate = lr / (1 + lambd * lr * t) ** alpha
    return p


def lion(p, gradients, lr, betas=(0.9, 0.99), weight_decay=0):
    mean = 0.0
    for g in gradients:
        step = math.copysign(1, betas[0] * mean + (1 - betas[0]) * g)
        p = p * (1 - lr * weight_decay) - lr * step
        mean = betas[1] * mean + (1 - betas[1]) * g
    return p


def rprop(p, gradients, lr, etas=(0.5, 1.2), step_sizes=(1e-6, 50)):
    length, before = lr, 0.0
    for g in gradients:
        agreement = g * before
        factor = etas[1] if agreement > 0 else etas[0] if agreement < 0 else 1
        length = min(max(length * factor, step_sizes[0]), step_sizes[1])
        if agreement < 0:
            g = 0.0
        p = p - (length if g > 0 else -length if g < 0 else 0)
        before = g
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
    (Adam, with_amsgrad, {"lr": 0.1, "amsgrad": True}),
    (Adamax, adamax, {"lr": 0.1}),
    (Adamax, adamax, {"lr": 0.1, "betas": (0.5, 0.75), "eps": 0.1, "weight_decay": 0.2}),
    (NAdam, nadam, {"lr": 0.1}),
    (NAdam, nadam, {"lr": 0.1, "momentum_decay": 0.1, "weight_decay": 0.2}),
    (NAdam, nadam, {"lr": 0.1, "weight_decay": 0.2, "decoupled_weight_decay": True}),
    (RAdam, radam, {"lr": 0.1}),
    (RAdam, radam, {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.2}),
    (RAdam, radam, {"lr": 0.1, "weight_decay": 0.2, "decoupled_weight_decay": True}),
    (Adagrad, adagrad, {"lr": 0.1}),
    (Adagrad, adagrad, {"lr": 0.1, "lr_decay": 0.5, "weight_decay": 0.2, "eps": 0.1}),
    (Adagrad, adagrad, {"lr": 0.1, "initial_accumulator_value": 0.3}),
    (Adadelta, adadelta, {"lr": 0.5}),
    (Adadelta, adadelta, {"lr": 1.0, "rho": 0.5, "eps": 0.1, "weight_decay": 0.2}),
    (ASGD, asgd, {"lr": 0.1}),
    (ASGD, asgd, {"lr": 0.1, "lambd": 0.5, "alpha": 0.9, "t0": 1, "weight_decay": 0.2}),
    (Lion, lion, {"lr": 0.1}),
    (Lion, lion, {"lr": 0.1, "betas": (0.5, 0.75), "weight_decay": 0.5}),
    (Rprop, rprop, {"lr": 0.1}),
    (Rprop, rprop, {"lr": 0.1, "etas": (0.25, 3.0), "step_sizes": (0.05, 0.2)}),
]
CASES += [
    (
        cls,
        lambda p, gradients, loop=loop, maximize=True, **o: loop(p, [-g for g in gradients], **o),
        {**options, "maximize": True},
    )
    for cls, loop, options in CASES
    if len(options) == 1
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
    if not hasattr(torch.optim, cls.__name__):
        pytest.skip("PyTorch has no such optimiser")
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
        ours.numpy(),
        theirs.detach().numpy(),
        # PyTorch keeps what NAdam and ASGD count in single precision.
        rtol=2e-5 if dtype == "float32" else 1e-6 if cls in (NAdam, ASGD) else 1e-12,
    )
    assert ours.dtype == dtype


def test_momentum_accelerates_by_gradients_not_by_the_weight():
    # A hand-written update once added momentum · weight: weights grew by 1.95 at every step.
    p = tensor([1.0, -2.0], requires_grad=True)
    run(SGD([p], lr=0.009, momentum=0.95), p, [[0.0, 0.0]] * 5)
    assert p.tolist() == [1.0, -2.0]


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
    assert list(state["state"]) == [0]
    assert list(state["state"][0]) == ["step", "exp_avg", "exp_avg_sq"]
    assert state["state"][0]["exp_avg"].shape == (2, 3)
    kept = state["state"][0]["exp_avg"].copy()
    run(optimizer, p, [np.ones((2, 3))])
    np.testing.assert_array_equal(state["state"][0]["exp_avg"], kept)
    assert state["param_groups"] == [
        {
            "params": [0],
            "lr": 1e-3,
            "betas": [0.9, 0.999],
            "eps": 1e-8,
            "weight_decay": 0.0,
            "amsgrad": False,
            "maximize": False,
        }
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
        (
            lambda s: s["state"].update({1: {"exp_avg": np.ones(2)}}),
            "of parameter 1 is unexpected",
        ),
        (lambda s: s["state"].update({"0": {"step": 1}}), "'step' of parameter '0' is unexpected"),
        (
            lambda s: s["state"].update({0: {"velocity": np.ones(2)}}),
            "'velocity' of parameter",
        ),
        (
            lambda s: s["state"].update({0: {"exp_avg": np.ones(3)}}),
            r"'exp_avg' of parameter 0 expects .*\(2,\), got",
        ),
        (lambda s: s["state"].update({0: {"exp_avg": np.array(["a", "b"])}}), "expects numbers of"),
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
    assert after["state"][0]["exp_avg"].tolist() == before["state"][0]["exp_avg"].tolist()


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
    assert optimizer.state_dict()["state"][0]["momentum_buffer"].dtype == np.float64
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
    assert list(optimizer.state_dict()["state"]) == [1]


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
            r"a group has 'weight_deacy', which is no option; did you mean 'weight_decay'\?",
        ),
        (
            lambda: SGD([{"params": leaf(), "learning_rate": 1.0}]),
            ValueError,
            r"a group has 'learning_rate', which is no option; did you mean 'lr'\?",
        ),
        (lambda: Adam([leaf()], differentiable=True), ValueError, "differentiable is not support"),
        (lambda: SGD([leaf()], forech=True), TypeError, r"unknown arguments \['forech'\]"),
        (lambda: NAdam([leaf()], momentum_decay=-1), ValueError, "momentum_decay expects at least"),
        (lambda: Adagrad([leaf()], lr_decay=-1), ValueError, "lr_decay expects at least 0, got -1"),
        (lambda: Adadelta([leaf()], rho=2), ValueError, "rho expects 0 to 1, got 2"),
        (lambda: Rprop([leaf()], etas=(2, 3)), ValueError, "etas expects 0 < "),
        (lambda: Rprop([leaf()], step_sizes=(2, 1)), ValueError, "step_sizes expects the short"),
        (lambda: LBFGS([leaf()], line_search_fn="x"), ValueError, "line_search_fn expects None or"),
        (lambda: LBFGS([leaf()], max_iter=0), ValueError, "max_iter expects at least 1"),
        (lambda: LBFGS([{"params": leaf()}] * 2), ValueError, "one group of parameters"),
        (lambda: LBFGS([leaf()]).step(), TypeError, "step expects a closure"),
        (lambda: SGD(iter(())), ValueError, "an iterator that was used up"),
        (
            lambda: SGD([{"lr": 1.0}, {"params": leaf()}]),
            ValueError,
            "a group expects 'params' and some of",
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


def test_asgd_averages_the_weights_from_t0_on():
    p = tensor(np.array([1.0]), requires_grad=True)
    optimizer = ASGD([p], lr=0.1, lambd=0.0, t0=2)
    seen = []
    for _ in range(6):
        run(optimizer, p, [[1.0]])
        seen.append(p.item())
    average = optimizer.state[p]["ax"].item()
    # While μ is 1 the average is the weight; then 1/2, 1/3, …: the mean of what came since.
    np.testing.assert_allclose(average, np.mean(seen[3:5] + seen[5:]))


def rosenbrock(p):
    x, y = p[0], p[1]
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2


def descend(optimizer, p, steps):
    def closure():
        optimizer.zero_grad()
        loss = rosenbrock(p)
        loss.backward()
        return loss

    return [optimizer.step(closure).item() for _ in range(steps)]


def test_lbfgs_finds_the_end_of_a_curved_valley():
    p = tensor(np.array([-1.2, 1.0]), requires_grad=True)
    losses = descend(LBFGS([p], line_search_fn="strong_wolfe"), p, 8)
    assert losses[0] == rosenbrock(np.array([-1.2, 1.0]))
    np.testing.assert_allclose(p.numpy(), [1.0, 1.0], atol=1e-4)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_goes_on_exactly_from_a_state(search):
    def made(at):
        p = tensor(np.array(at), requires_grad=True)
        return p, LBFGS([p], lr=0.1, max_iter=3, history_size=2, line_search_fn=search)

    whole, optimizer = made([-1.2, 1.0])
    descend(optimizer, whole, 5)
    first, before = made([-1.2, 1.0])
    descend(before, first, 2)
    second, after = made(first.tolist())
    after.load_state_dict(before.state_dict())
    descend(after, second, 3)
    assert second.tolist() == whole.tolist()


def test_lbfgs_takes_its_steps_under_no_grad_and_refuses_a_state_of_others():
    p = tensor(np.array([-1.2, 1.0]), requires_grad=True)
    optimizer = LBFGS([p])
    with no_grad():
        descend(optimizer, p, 1)
    state = optimizer.state_dict()
    state["state"][0]["d"] = np.ones(3)
    with pytest.raises(ValueError, match="'d' of parameter 0 expects vectors of 2 elements"):
        optimizer.load_state_dict(state)


def test_a_closure_is_called_and_its_loss_returned():
    p = tensor([1.0], requires_grad=True)
    optimizer = SGD([p], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 1.0
    assert p.tolist() == [0.0]


def test_named_parameters_and_words_of_ones_own():
    from tinygrad_cnn import nn

    layer = nn.Linear(2, 3)
    optimizer = SGD(layer.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["params"] == [layer.weight, layer.bias]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    other = SGD([{"params": layer.parameters(), "name": "all", "lr_scale": 0.3}], foreach=False)
    other.load_state_dict(other.state_dict())
    assert other.param_groups[0]["lr_scale"] == 0.3


def test_the_state_is_for_reading():
    p = tensor([1.0], requires_grad=True)
    optimizer = SGD([p], momentum=0.9)
    run(optimizer, p, [[2.0]])
    assert optimizer.state[p]["momentum_buffer"].tolist() == [2.0]
    optimizer.state[p]["momentum_buffer"].copy_(0)
    assert optimizer.state_dict()["state"][0]["momentum_buffer"].tolist() == [0.0]
    with pytest.raises(TypeError):
        optimizer.state[p] = {}


@pytest.mark.parametrize(("cls", "loop", "options"), CASES, ids=IDS)
def test_a_state_of_pytorch_is_taken(cls, loop, options):  # noqa: ARG001  # the loop has its test
    torch = pytest.importorskip("torch", reason="PyTorch is compared with where it is installed")
    if not hasattr(torch.optim, cls.__name__):
        pytest.skip("PyTorch has no such optimiser")
    rng = np.random.default_rng(9)
    gradients = rng.normal(size=(4, 3))
    theirs = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    other = getattr(torch.optim, cls.__name__)([theirs], **options)
    for g in gradients[:2]:
        theirs.grad = torch.tensor(g)
        other.step()
    ours = tensor(theirs.detach().numpy().copy(), requires_grad=True)
    optimizer = cls([ours])
    optimizer.load_state_dict(other.state_dict())
    for g in gradients[2:]:
        theirs.grad = torch.tensor(g)
        other.step()
        run(optimizer, ours, [g])
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=1e-6)
