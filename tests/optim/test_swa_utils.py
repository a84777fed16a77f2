"""Averages of weights: against the mean of what was seen, and running statistics against theirs."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from tinygrad_cnn import nn, tensor
from tinygrad_cnn.optim import SGD, swa_utils


def model(seed):
    rng = np.random.default_rng(seed)
    made = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    for p in made.parameters():
        p.data = rng.normal(size=p.shape)
    return made


def test_all_updates_weigh_the_same():
    followed = model(0)
    averaged = swa_utils.AveragedModel(followed)
    seen = []
    for seed in range(1, 5):
        followed.load_state_dict(model(seed).state_dict())
        averaged.update_parameters(followed)
        seen.append(copy.deepcopy(followed.state_dict()))
    for name, array in averaged.module.state_dict().items():
        wanted = np.mean([state[name].numpy() for state in seen], 0)
        np.testing.assert_allclose(array, wanted, rtol=1e-5, atol=1e-7)
    assert averaged.n_averaged.item() == 4
    assert averaged.state_dict().keys() == {
        "n_averaged",
        *(f"module.{name}" for name in followed.state_dict()),
    }
    x = tensor(np.ones((2, 3)))
    np.testing.assert_array_equal(averaged(x).numpy(), averaged.module(x).numpy())


def test_a_moving_average_forgets_and_may_take_buffers_along():
    followed = model(0)
    averaged = swa_utils.AveragedModel(followed, swa_utils.get_ema_avg_fn(0.75), use_buffers=True)
    averaged.update_parameters(followed)
    before = followed.state_dict()
    with_other = model(1)
    with_other[1].running_mean.copy_(8.0)
    averaged.update_parameters(with_other)
    after = averaged.module.state_dict()
    np.testing.assert_allclose(
        after["0.weight"],
        0.75 * before["0.weight"] + 0.25 * with_other[0].weight.numpy(),
        rtol=1e-6,
    )
    np.testing.assert_allclose(after["1.running_mean"], np.full(4, 2.0))


def test_another_model_is_refused():
    with pytest.raises(ValueError, match="names or shapes are not those of the copy"):
        swa_utils.AveragedModel(model(0)).update_parameters(nn.Linear(3, 4))


def test_update_bn_takes_the_mean_over_the_batches_and_leaves_the_rest():
    network = model(0).eval()
    rng = np.random.default_rng(3)
    batches = rng.normal(size=(3, 6, 3)).astype(np.float32)
    swa_utils.update_bn([(tensor(b), None) for b in batches], network)
    hidden = [network[0](tensor(b)).detach().numpy() for b in batches]
    np.testing.assert_allclose(
        network[1].running_mean.numpy(), np.mean([h.mean(0) for h in hidden], 0), rtol=1e-5
    )
    np.testing.assert_allclose(
        network[1].running_var.numpy(), np.mean([h.var(0, ddof=1) for h in hidden], 0), rtol=1e-5
    )
    assert network[1].momentum == 0.1
    assert not network[1].training


def test_swalr_moves_to_its_rate():
    optimizer = SGD([tensor([1.0], requires_grad=True)], lr=1.0)
    schedule = swa_utils.SWALR(optimizer, 0.2, anneal_epochs=2)
    rates = []
    for _ in range(4):
        rates += schedule.get_last_lr()
        schedule.step()
    np.testing.assert_allclose(rates, [1, 0.6, 0.2, 0.2])
    with pytest.raises(ValueError, match="anneal_strategy expects 'cos' or 'linear'"):
        swa_utils.SWALR(optimizer, 0.2, anneal_strategy="x")
    with pytest.raises(ValueError, match="decay expects 0 to 1"):
        swa_utils.get_ema_avg_fn(2)
