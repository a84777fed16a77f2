"""Arguments of optimisers and clipping that cannot be meant are errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinygrad_cnn import nn, optim, tensor
from tinygrad_cnn.nn import Parameter
from tinygrad_cnn.optim import (
    LBFGS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    NAdam,
    RMSprop,
    Rprop,
)


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
