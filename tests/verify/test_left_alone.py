"""Checking leaves every state of the process as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import Tensor, is_grad_enabled, nn, no_grad, tensor
from tinygrad_cnn import functional as F
from tinygrad_cnn.graph import mode
from tinygrad_cnn.random import get_rng_state
from tinygrad_cnn.verify import check_backward, check_graph, check_module, gradcheck

MODEL = nn.Sequential(
    nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.3), nn.ReLU(), nn.Linear(3, 2)
)
MODEL[2].eval()
CALLED: list[Tensor] = []
MODEL[0].weight.register_hook(CALLED.append)
MODEL[0].weight.grad = np.ones((3, 4))
POINTS = np.random.default_rng(0).standard_normal((6, 4))
LOSS = (MODEL.double()(tensor(POINTS)) ** 2).sum()


def state() -> dict[str, Any]:
    return {
        "generator": str(get_rng_state()),
        "weights": {
            name: np.asarray(value).tobytes() for name, value in MODEL.state_dict().items()
        },
        "objects": [id(t._data) for t in (*MODEL.parameters(), *MODEL.buffers())],
        "grads": [None if p.grad is None else p.grad.tolist() for p in MODEL.parameters()],
        "training": [module.training for module in MODEL.modules()],
        "attributes": [sorted(vars(module)) for module in MODEL.modules()],
        "hooks called": len(CALLED),
        "mode": (is_grad_enabled(), dict(vars(mode))),
    }


def random_function(x: Tensor) -> Tensor:
    return F.dropout(x, 0.5) * x


def of_the_model(x: Tensor) -> Any:
    return MODEL(x)


def closure() -> None:
    model = MODEL
    gradcheck(lambda x: model(x), (POINTS,), raise_exception=False)


CHECKS: dict[str, Callable[[], object]] = {
    "check_module": lambda: check_module(MODEL, POINTS),
    "gradcheck of a module": lambda: gradcheck(MODEL, (POINTS,), raise_exception=False),
    "gradcheck of its method": lambda: gradcheck(MODEL.forward, (POINTS,), raise_exception=False),
    "gradcheck of a closure": closure,
    "gradcheck, random": lambda: gradcheck(random_function, (POINTS,), raise_exception=False),
    "gradcheck, order 2": lambda: gradcheck(MODEL, (POINTS,), order=2, raise_exception=False),
    "check_backward": lambda: check_backward(lambda x: x * 2, lambda g, _: (g * 2,), [POINTS]),
    "check_graph": lambda: check_graph(LOSS),
}


@pytest.mark.parametrize("recording", [True, False])
@pytest.mark.parametrize("check", CHECKS)
def test_a_check_leaves_everything_as_it_was(check: str, recording: bool) -> None:
    MODEL.double()
    if recording:
        before = state()
        CHECKS[check]()
        assert state() == before
    else:
        with no_grad():
            before = state()
            CHECKS[check]()
            assert state() == before


def test_also_after_an_error() -> None:
    before = state()
    with pytest.raises(ValueError, match=r"matmul|linear|shape"):
        check_module(MODEL, np.ones((2, 9)))
    assert state() == before
