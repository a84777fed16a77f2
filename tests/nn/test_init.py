"""Initialisers: the spread of their draws, their gains, their errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_cnn.functional as F
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


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [
        (0, 1, -2, 2),
        (0.5, 0.7, -1, 1),
        (0, 0.02, -2, 2),
        (0, 1, 6, 9),
        (0, 1, -9, -6),
        (3, 1, -9, 0),
    ],
)
def test_a_truncated_normal_has_the_moments_of_its_distribution(mean, std, a, b):
    from scipy.stats import truncnorm

    values = init.trunc_normal_(
        nn.Parameter(np.zeros(20000)), mean, std, a, b, generator=draws(4)
    ).numpy()
    assert a <= values.min() <= values.max() <= b
    wanted = truncnorm((a - mean) / std, (b - mean) / std, mean, std)
    np.testing.assert_allclose(values.mean(), wanted.mean(), atol=0.03 * wanted.std())
    np.testing.assert_allclose(values.std(), wanted.std(), rtol=0.03)


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (5, 5), (8, 3, 3, 3), (3, 0)])
def test_orthogonal_rows_or_columns(shape):
    w = init.orthogonal_(nn.Parameter(np.zeros(shape)), 1.5, draws(5)).numpy()
    w = w.reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 2.25 * np.eye(len(product)), atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("ndim", [1, 2])
def test_a_dirac_weight_passes_its_input_on(groups, ndim):
    x = draws(6).normal(size=(2, 4, *(7,) * ndim))
    weight = init.dirac_(nn.Parameter(np.ones((4, 4 // groups, *(3,) * ndim))), groups)
    conv = F.conv1d if ndim == 1 else F.conv2d
    np.testing.assert_allclose(conv(x, weight.numpy(), padding=1, groups=groups), x)


def test_sparse_columns():
    w = init.sparse_(nn.Parameter(np.zeros((50, 40))), 0.21, 0.3, draws(7)).numpy()
    assert ((w == 0).sum(0) == 11).all()
    assert len({tuple(column) for column in (w == 0).T.tolist()}) > 30, "each its own rows"
    np.testing.assert_allclose(w[w != 0].std(), 0.3, rtol=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: init.trunc_normal_(w, a=1, b=1), "trunc_normal_: expected a < b and std > 0"),
        (lambda w: init.trunc_normal_(w, a=90, b=91), "nothing falls there"),
        (lambda w: init.sparse_(w, 2), "sparse_: expects a matrix and a part in"),
        (lambda w: init.dirac_(w), r"dirac_: expects a weight \(O, C"),
        (lambda _: init.eye_(nn.Parameter([1.0])), r"eye_: expects a matrix, got shape \(1,\)"),
        (lambda _: init.orthogonal_(nn.Parameter([1.0])), "orthogonal_: expects at least 2 dim"),
    ],
)
def test_wrong_arguments_of_initialisers_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(nn.Parameter(np.zeros((2, 3))))


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
