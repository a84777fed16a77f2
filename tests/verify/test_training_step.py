"""check_training: silence on right programs, and the steps of a loop watched."""

# Rules and updates take every argument, whether they read it or not.

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.verify.training_steps import (
    LABELS,
    ROOT,
    N,
    Net,
    X,
    bytes_of,
    codes,
)
from tinygrad_cnn import (
    Tensor,
    data,
    manual_seed,
    models,
    nn,
    no_grad,
    optim,
    tensor,
)
from tinygrad_cnn.graph import mode
from tinygrad_cnn.random import get_rng_state
from tinygrad_cnn.training import OPTIMIZERS, Settings
from tinygrad_cnn.training.images import ToNetwork
from tinygrad_cnn.training.recipes import make_optimizer
from tinygrad_cnn.training.tasks import task_of
from tinygrad_cnn.verify import check_training, watch_training

pytestmark = pytest.mark.usefixtures("seeded")

# ------------------------------------------------------------------------------- right programs


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam", "LBFGS"])
def test_right_steps_are_silent(kind: str) -> None:
    model = Net()
    for _ in range(2):  # fresh, and with state
        optimizer = getattr(optim, kind)(model.parameters(), lr=0.01)
        assert codes(model, optimizer=optimizer) == []
        if kind == "LBFGS":
            return
        F.cross_entropy(model(tensor(X)), LABELS).backward()
        optimizer.step()


@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01},
        {"maximize": True, "lr": 1e-3},
    ],
    ids=str,
)
def test_options_of_sgd_are_silent(options: dict[str, Any]) -> None:
    model = Net()
    optimizer = optim.SGD(model.parameters(), **{"lr": 0.01, **options})
    assert codes(model, optimizer=optimizer) == []


@pytest.mark.parametrize("network", models.NETWORKS)
def test_recipes_are_silent(network: str) -> None:
    silent_with(network, [Settings.of(network).optimizer])


@pytest.mark.slow
@pytest.mark.parametrize("network", models.NETWORKS)
def test_recipes_are_silent_with_each_optimizer(network: str) -> None:
    silent_with(network, list(OPTIMIZERS))


def silent_with(network: str, optimizers: list[str]) -> None:
    for optimizer in optimizers:
        settings = Settings.of(network, optimizer=optimizer)
        manual_seed(settings.seed)
        model = models.NETWORKS[network].build()
        loader = data.DataLoader(
            data.digits().train, N, transform=ToNetwork(settings, training=True)
        )
        images, labels = next(iter(loader))
        targets = task_of(models.NETWORKS[network].target).targets(LABELS)
        del labels
        report = check_training(
            model,
            models.NETWORKS[network].loss,
            make_optimizer(model.parameters(), settings),
            (images, tensor(targets)),
            gradients=optimizer == "sgd",
        )
        assert report, f"{network} {optimizer}: {report}"
        assert report.steps == 2


def test_everything_is_as_before() -> None:
    model = Net()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    F.cross_entropy(model(tensor(X)), LABELS).backward()
    optimizer.step()
    grads = [p.grad for p in model.parameters()]
    before = bytes_of(model)
    state, numbers = str(optimizer.state_dict()), str(get_rng_state())
    pending = F.cross_entropy(model(tensor(X)), LABELS)
    numbers, before = str(get_rng_state()), bytes_of(model)
    check_training(model, F.cross_entropy, optimizer, (tensor(X), tensor(LABELS)))
    assert bytes_of(model) == before
    assert str(optimizer.state_dict()) == state
    assert str(get_rng_state()) == numbers
    assert all(p.grad is g for p, g in zip(model.parameters(), grads, strict=True))
    assert model.training
    del pending


# ------------------------------------------------------------------------------- watching


def test_watching_a_loop() -> None:
    model = Net()
    optimizer = optim.SGD(model.fc.parameters(), lr=0.01)
    with watch_training() as watched:
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(model(tensor(X)), LABELS).backward()
            optimizer.step()
            with no_grad():
                model(tensor(X))
    report = watched.report()
    assert report.codes == ["missing"]
    assert report.steps == 2
    assert report.findings[0].names[0] == "conv.weight"


def test_a_long_loop_is_left_alone_after_a_while() -> None:
    model = nn.Linear(4, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    with watch_training() as watched:
        for _ in range(20):
            model(np.ones((8, 4), np.float32)).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        assert mode.watch is None
    assert mode.watch is None
    assert watched.report().steps == 2


def test_an_evaluation_between_the_steps_is_no_part_of_them() -> None:
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    with watch_training() as watched:
        for _ in range(3):
            model.train()
            optimizer.zero_grad()
            F.cross_entropy(model(tensor(X)), LABELS).backward()
            optimizer.step()
            model.eval()
            model(tensor(X))  # recorded, and never differentiated
    assert watched.report(), watched.report().text()


def test_watching_two_networks_in_turns() -> None:
    nets = Net(), Net()
    optimizers = [optim.SGD(net.parameters(), lr=0.01) for net in nets]
    with watch_training() as watched:
        for _ in range(3):
            for net, optimizer in zip(nets, optimizers, strict=True):
                F.cross_entropy(net(tensor(X)), LABELS).backward()
                optimizer.step()
                optimizer.zero_grad()
    assert watched.report()
    assert watched.report().steps == 4


# What is found in these is what they show: the notebook's raw pixels, and a rate that is too high.
EXAMPLES = {
    "batchnorm": [],
    "momentum": [],
    "regression": ["dead units"],
    "sigmoid": ["pixels"],
    "softmax": [],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_watching_the_examples(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, "--steps", "100" if name == "softmax" else "3"])
    examples = ROOT / "examples"
    with watch_training(3) as watched:
        runpy.run_path(str(examples / f"{name}.py"), run_name="__main__")
    assert watched.report().codes == EXAMPLES[name], str(watched.report())
    assert watched.report().steps >= 3


def test_watching_nothing() -> None:
    with watch_training() as watched:
        pass
    assert not watched.report()
    assert "no training step was seen" in str(watched.report())


def test_arguments() -> None:
    with pytest.raises(TypeError, match="model expects a Module"):
        check_training(F.relu, F.cross_entropy, None, (X, LABELS))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="batch expects inputs and targets"):
        check_training(Net(), F.cross_entropy, optim.SGD(Net().parameters(), 0.1), (X,))
    with pytest.raises(TypeError, match="an optimizer, or a step that updates by itself"):
        check_training(Net(), F.cross_entropy, None, (X, LABELS))
    assert isinstance(tensor(X), Tensor)
