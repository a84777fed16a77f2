"""What optimisers remember: saved, loaded, taken from PyTorch, refused where it does not fit."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.optim.loops import CASES, IDS, run, sgd
from tinygrad_cnn import tensor
from tinygrad_cnn.optim import (
    SGD,
    Adam,
)


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
