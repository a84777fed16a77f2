"""Optimisers against loops written out element by element, and against PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.optim.loops import CASES, IDS, run
from tests.threads import num_threads
from tinygrad_cnn import tensor
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.optim import (
    ASGD,
    SGD,
    Adam,
    NAdam,
)
from tinygrad_cnn.optim import optimizer as machinery


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
    for block, number in ((1000, 1), (16, 1), (16, 3)):
        monkeypatch.setattr(machinery, "_BLOCK", block)
        monkeypatch.setattr(machinery, "_GRAIN", 20)
        p = tensor(start, requires_grad=True)
        with num_threads(number):
            run(cls([p], **options), p, gradients)
        results.append(p.numpy())
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


def test_named_parameters_and_words_of_ones_own():
    from tinygrad_cnn import nn

    layer = nn.Linear(2, 3)
    optimizer = SGD(layer.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["params"] == [layer.weight, layer.bias]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    other = SGD([{"params": layer.parameters(), "name": "all", "lr_scale": 0.3}], foreach=False)
    other.load_state_dict(other.state_dict())
    assert other.param_groups[0]["lr_scale"] == 0.3


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


def test_a_graph_recorded_before_a_step_notices_it():
    p = tensor([1.0, 2.0], requires_grad=True)
    loss = (p * p).sum()
    p.grad = [1.0, 1.0]
    SGD([p]).step()
    with pytest.raises(GraphError, match="changed in place"):
        loss.backward()
