"""Initialisers: the spread of their draws, their gains, their errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinygrad_cnn import nn
from tinygrad_cnn.nn import init


def draws(seed):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("fill", "std", "bound"),
    [
        (lambda w, g: init.uniform_(w, -2, 2, g), 2 / math.sqrt(3), 2),
        (lambda w, g: init.normal_(w, 0, 3, g), 3, None),
        (lambda w, g: init.xavier_uniform_(w, 2.0, g), 2 * math.sqrt(2 / 700), None),
        (lambda w, g: init.xavier_normal_(w, 2.0, g), 2 * math.sqrt(2 / 700), None),
        (lambda w, g: init.kaiming_uniform_(w, generator=g), math.sqrt(2 / 200), None),
        (lambda w, g: init.kaiming_uniform_(w, math.sqrt(5), generator=g), 0, 1 / math.sqrt(200)),
        (
            lambda w, g: init.kaiming_normal_(w, mode="fan_out", generator=g),
            math.sqrt(2 / 500),
            None,
        ),
        (
            lambda w, g: init.kaiming_normal_(w, nonlinearity="tanh", generator=g),
            5 / 3 / math.sqrt(200),
            None,
        ),
    ],
)
def test_draws_have_the_spread_that_the_fans_say(fill, std, bound):
    weight = nn.Parameter(np.zeros((50, 20, 5, 2), np.float32))
    assert fill(weight, draws(3)) is weight
    values = weight.numpy()
    assert abs(values.mean()) < 0.03 * values.std()
    if bound is None:
        np.testing.assert_allclose(values.std(), std, rtol=0.02)
    else:
        assert np.abs(values).max() <= bound
        np.testing.assert_allclose(np.abs(values).max(), bound, rtol=0.01)
    again = fill(nn.Parameter(np.zeros((50, 20, 5, 2), np.float32)), draws(3))
    np.testing.assert_array_equal(values, again.numpy())
    assert weight.is_leaf
    assert weight.requires_grad


def test_constants_and_the_mean():
    w = nn.Parameter([1.0, 2.0])
    assert init.constant_(w, 3).tolist() == [3.0, 3.0]
    assert init.zeros_(w).tolist() == [0.0, 0.0]
    assert init.ones_(w).tolist() == [1.0, 1.0]
    assert abs(init.normal_(nn.Parameter(np.zeros(10000)), 5, 1).numpy().mean() - 5) < 0.1


@pytest.mark.parametrize(
    ("name", "param", "gain"),
    [
        ("linear", None, 1),
        ("conv2d", None, 1),
        ("sigmoid", None, 1),
        ("tanh", None, 5 / 3),
        ("relu", None, math.sqrt(2)),
        ("leaky_relu", None, math.sqrt(2 / 1.0001)),
        ("leaky_relu", 0.5, math.sqrt(1.6)),
        ("selu", None, 0.75),
    ],
)
def test_gains(name, param, gain):
    assert init.calculate_gain(name, param) == pytest.approx(gain, rel=1e-15)


def test_wrong_initialisations_are_named():
    with pytest.raises(
        ValueError, match=r"need a weight of at least 2 dimensions, got shape \(3,\)"
    ):
        init.xavier_normal_(nn.Parameter(np.zeros(3)))
    with pytest.raises(ValueError, match=r"calculate_gain: expected one of linear, .* got 'swish'"):
        init.kaiming_uniform_(nn.Parameter(np.zeros((3, 3))), nonlinearity="swish")
    with pytest.raises(ValueError, match="expected mode 'fan_in' or 'fan_out', got 'fan'"):
        init.kaiming_uniform_(nn.Parameter(np.zeros((3, 3))), mode="fan")
    with pytest.raises(ValueError, match="uniform_: expected a <= b, got 1 and 0"):
        init.uniform_(nn.Parameter([0.0]), 1, 0)
    with pytest.raises(ValueError, match="normal_: expected std >= 0, got -1"):
        init.normal_(nn.Parameter([0.0]), 0, -1)
