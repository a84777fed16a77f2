"""L-BFGS on Rosenbrock's valley: its steps, its line search, its state."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_cnn import no_grad, tensor
from tinygrad_cnn.optim import (
    LBFGS,
)


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
