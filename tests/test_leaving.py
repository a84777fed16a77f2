"""Ways in which a value leaves the graph by the way: a warning at the user's line, or an error."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import GraphWarning, Tensor, no_grad, tensor

x = tensor(2.0, requires_grad=True)
v = tensor([1.0, 2.0], requires_grad=True)
array = np.zeros(3)


def put(at: Any, value: Any) -> Any:
    array[at] = value
    return array[at]


WARNED: dict[str, tuple[Callable[[], Any], Any]] = {
    "float": (lambda: float(x), 2.0),
    "of a result": (lambda: float(x * 3), 6.0),
    "of a vector's element": (lambda: float(v[1]), 2.0),
    "int": (lambda: int(x), 2),
    "complex": (lambda: complex(x), 2),
    "into an array": (lambda: put(1, x), 2.0),
    "into an array, a result": (lambda: put(0, (v * 2).sum()), 6.0),
    "a list of them": (lambda: tensor([x, x]).tolist(), [2.0, 2.0]),
    "a nested list with numbers": (lambda: Tensor([[x, 1], [2, x]]).tolist(), [[2, 1], [2, 2]]),
    "a list of rows": (lambda: tensor([v, v]).shape, (2, 2)),
}


@pytest.mark.parametrize(("call", "value"), WARNED.values(), ids=WARNED)
def test_it_warns_at_the_line_that_does_it(call: Callable[[], Any], value: Any) -> None:
    with pytest.warns(GraphWarning, match="requires a gradient, and the graph is left") as caught:
        assert call() == value
    (warning,) = caught
    assert warning.filename == __file__


ERRORS = {
    "np.array": lambda: np.array(x),
    "np.asarray of several": lambda: np.asarray([v, v]),
    "a row into an array": lambda: put(slice(2), v),
}


@pytest.mark.parametrize("call", ERRORS.values(), ids=ERRORS)
def test_where_an_array_is_asked_for_it_is_an_error(call: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match=r"call detach\(\)\.numpy\(\)"):
        call()


def test_said_on_purpose_nothing_is_warned_of() -> None:
    constant = tensor([1.0, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert x.item() == float(x.detach()) == 2.0
        assert f"{x:.1f}" == "2.0"
        assert float(constant[0]) == int(constant[0]) == put(0, constant[0]) == 1
        assert tensor([constant, constant]).shape == (2, 2)
        assert tensor([x.detach(), 1]).tolist() == [2, 1]
        assert bool(x > 1)
        with no_grad():
            assert float(x * 2) == 4
