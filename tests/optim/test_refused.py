"""Arguments of optimisers and clipping that cannot be meant are errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinygrad_cnn import nn, optim, tensor


def _used_up(model):
    iterator = model.parameters()
    list(iterator)
    return iterator


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: optim.SGD(_used_up(m), lr=0.1), ValueError, "SGD: got no parameters .*used up"),
        (lambda m: optim.SGD(set(m.parameters()), lr=0.1), TypeError, "a set has no order"),
        (lambda m: optim.SGD([m], lr=0.1), TypeError, r"got Linear: give its parameters\(\)"),
        (lambda m: optim.SGD(m, lr=0.1), TypeError, "expects a list, got Linear"),
        (lambda m: optim.SGD(m.state_dict(), lr=0.1), TypeError, "expects a list, got"),
        (
            lambda m: optim.SGD(m.parameters(), lr="0.1"),
            TypeError,
            "lr expects a number, got '0.1'",
        ),
        (lambda m: optim.SGD(m.parameters(), lr=True), TypeError, "lr expects a number, got True"),
        (lambda m: optim.SGD(m.parameters(), lr=math.inf), ValueError, "lr expects at least 0"),
        (lambda m: optim.SGD(m.parameters(), lr=math.nan), ValueError, "lr expects at least 0"),
        (lambda m: optim.clip_grad_norm_(_used_up(m), 1.0), ValueError, "clip_grad_norm_: got no"),
        (
            lambda m: optim.clip_grad_value_(_used_up(m), 1.0),
            ValueError,
            "clip_grad_value_: got no",
        ),
        (lambda m: optim.clip_grad_norm_([m], 1.0), TypeError, "expects Tensors, got Linear"),
        (
            lambda m: optim.clip_grad_norm_(set(m.parameters()), 1.0),
            TypeError,
            "a set has no order",
        ),
    ],
)
def test_arguments_that_cannot_be_meant(call, error, message):
    with pytest.raises(error, match=message):
        call(nn.Linear(2, 2))


def test_an_iterator_is_looked_at_once():
    model = nn.Linear(2, 2)
    for p in model.parameters():
        p.grad = np.full(p.shape, 10.0)
    assert optim.clip_grad_norm_(iter(list(model.parameters())), 1.0) == pytest.approx(10 * 6**0.5)
    total = sum(float((p.grad.numpy() ** 2).sum()) for p in model.parameters())
    assert total == pytest.approx(1.0)


def test_a_gradient_named_twice_is_shortened_once():
    p = tensor([1.0], requires_grad=True)
    p.grad = [10.0]
    assert optim.clip_grad_norm_([p, p], 1.0) == 10.0
    assert p.grad.item() == pytest.approx(1.0)
