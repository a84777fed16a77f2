"""One call for whatever is given; pairs of functions in three forms."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn, tensor
from tinygrad_cnn.ops.elementwise import Exp
from tinygrad_cnn.verify import GradientError, assert_gradients, check, check_backward

X = np.random.default_rng(0).standard_normal((4, 3))
W = np.random.default_rng(1).standard_normal((3, 2))


class Double:
    def forward(self, x: Any) -> Any:
        return 2 * x

    def backward(self, dout: Any) -> Any:
        return 2 * dout


def affine_forward(x: Any, w: Any, b: Any) -> Any:
    return x @ w + b, (x, w)


def affine_backward(dout: Any, cache: Any) -> Any:
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def loss(x: Any, y: Any) -> Any:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    d = p.copy()
    d[np.arange(len(y)), y] -= 1
    return -np.log(p[np.arange(len(y)), y]).mean(), d / len(y)


@pytest.mark.parametrize(
    ("subject", "inputs", "function"),
    [
        (lambda: F.tanh(tensor(X, requires_grad=True)).sum(), None, "check_graph"),
        (nn.Linear(3, 2), [X], "check_module of Linear"),
        (nn.ReLU, [X], "check_module of ReLU"),
        (Exp, [X], "gradcheck of Exp"),
        (F.tanh, [X], "gradcheck of tanh"),
        (Double(), [X], "check_layer of Double"),
        (Double, [X], "check_layer of Double"),
        ((affine_forward, affine_backward), [X, W, np.ones(2)], "check_backward of affine_forward"),
        ((np.exp, lambda g, x: g * np.exp(x)), [X], "check_backward of exp"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_check_is_chosen_by_what_is_given(subject: Any, inputs: Any, function: str) -> None:
    given, inputs = (subject(), []) if inputs is None else (subject, inputs)
    report = check(given, *inputs)
    assert report, report.text()
    assert report.function == function
    assert assert_gradients(given, *inputs).function == function


def test_values_with_their_gradients() -> None:
    labels = np.array([0, 1, 2, 0])
    report = check(loss, X, labels, framework="numpy")
    assert report, report.text()
    assert [r.input for r in report.results] == ["x", "y"]

    def unaveraged(x: Any, y: Any) -> Any:
        value, gradient = loss(x, y)
        return value, gradient * len(y)

    wrong = check(unaveraged, X, labels, framework="numpy")
    assert [hint.code for hint in wrong.failures[0].hints] == ["times N"]
    named = check_backward(lambda x: ((x**2).sum(), {"dx": 2 * x}), None, [X])
    assert named


def test_a_pair_with_a_cache_is_compared_with_a_reference() -> None:
    inputs = [X, W, np.ones(2)]
    report = check_backward(
        affine_forward, affine_backward, inputs, reference=lambda x, w, b: x @ w + b
    )
    assert [r.input for r in report.results] == ["forward", "x", "w", "b"]
    with pytest.raises(GradientError, match="one gradient for each of 3 inputs, got 4"):
        check_backward(affine_forward, lambda g, c: [*affine_backward(g, c), 0], inputs)
    with pytest.raises(GradientError, match="returned None"):
        check_backward(affine_forward, lambda g, c: None, inputs)


def test_frameworks_that_nobody_imported_are_said() -> None:
    with pytest.raises(ValueError, match=r"framework is one of tinygrad, torch, .* got 'keras'"):
        check(np.exp, X, framework="keras")
    for name, message in (("jax", "JAX's"), ("autograd", "autograd's"), ("torch", "PyTorch's")):
        if name not in sys.modules:
            with pytest.raises(ValueError, match=f"{message} functions need {name}"):
                check(np.exp, X, framework=name)
