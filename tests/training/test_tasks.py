"""Scores, tables and words of the three targets; settings and recipes."""

import numpy as np
import pytest

from tinygrad_cnn import optim
from tinygrad_cnn.models import NETWORKS
from tinygrad_cnn.training import OPTIMIZERS, RECIPES, SCHEDULES, RunError, Settings, SettingsError
from tinygrad_cnn.training.recipes import make_optimizer, make_schedule
from tinygrad_cnn.training.tasks import task_of

LOGITS = np.array([[2.0, 0, 0], [0, 1, 3], [0, 5, 0], [0, 0, 1]])


def test_classify():
    task = task_of("class")
    labels = np.array([0, 1, 1, 2])
    assert task.targets(labels) is labels
    assert task.score(LOGITS, labels) == 3
    assert task.table(LOGITS, labels, ["cat", "dog", "owl"]).splitlines() == [
        "true  answered",
        "      0 1 2",
        "cat   1 · ·",
        "dog   · 1 1",
        "owl   · · 1",
    ]
    assert task.words(LOGITS[1:2] * 1e4, ["cat", "dog", "owl"]) == ["owl (100.0 %)"]


def test_detect():
    task = task_of("is_digit")
    labels, answers = np.array([0, 0, 7, 3]), np.array([[0.9], [0.4], [0.5], [0.6]])
    assert task.targets(labels).tolist() == [[1], [1], [0], [0]]
    assert task.score(answers, labels) == 2
    assert task.table(answers, labels, list("0123456789")).splitlines() == [
        "true   answered",
        "       not 0     0",
        "not 0      1     1",
        "0          1     1",
    ]
    assert task.words(answers[:1], list("01")) == ["0 (probability of 0: 90.0 %)"]


def test_estimate():
    task = task_of("value")
    labels, answers = np.array([0, 7, 7]), np.array([[0.5], [6.0], [9.0]], np.float32)
    assert task.targets(labels).tolist() == [[0], [7], [7]]
    assert task.targets(labels).dtype == np.float32
    assert task.score(answers, labels) == 3.5
    assert task.table(answers, labels, list("01234567")).splitlines()[1:] == [
        "0           1          0.50        0.00",
        "7           2          7.50        1.50",
    ]


def test_another_target():
    with pytest.raises(RunError, match="one of class, is_digit, value, got 'colour'"):
        task_of("colour")


def test_every_network_has_a_whole_recipe():
    assert RECIPES.keys() == NETWORKS.keys()
    for name, recipe in RECIPES.items():
        assert recipe.lr.keys() == OPTIMIZERS.keys()
        for optimizer in OPTIMIZERS:
            assert Settings.of(name, optimizer=optimizer).lr == recipe.lr[optimizer]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"network": "x"}, "network must be one of momentum, batchnorm, .*, got 'x'"),
        ({"optimizer": "x"}, "optimizer must be one of sgd, .*, got 'x'"),
        ({"schedule": "x"}, "schedule must be one of onecycle, .*, got 'x'"),
        ({"epochs": 0}, "epochs must be an integer of at least 1, got 0"),
        ({"batch_size": -1}, "batch_size must be an integer of at least 1, got -1"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"threads": 0}, "threads must be an integer from 1 to 256, got 0"),
        ({"lr": 0.0}, "lr must be a positive number, got 0.0"),
        ({"lr": float("inf")}, "lr must be a positive number, got inf"),
        ({"lr": float("nan")}, "lr must be a positive number, got nan"),
    ],
)
def test_settings_out_of_range(given, message):
    with pytest.raises(SettingsError, match=message):
        Settings.of(**given)


def rates(schedule, steps=4, epochs=6):
    settings = Settings.of("softmax", schedule=schedule, lr=1.0, epochs=epochs)
    model = NETWORKS["softmax"].build()
    optimizer = make_optimizer(model.parameters(), settings)
    made = make_schedule(optimizer, settings, steps)
    found = []
    for _ in range(steps * epochs):
        found.append(optimizer.param_groups[0]["lr"])
        made.step()
    return found


def test_schedules():
    assert SCHEDULES.keys() == {"onecycle", "cosine", "step", "none"}
    assert rates("none") == [1.0] * 24
    assert rates("step") == pytest.approx([1.0] * 8 + [0.1] * 8 + [0.01] * 8)
    assert rates("cosine") == pytest.approx([(1 + np.cos(np.pi * t / 24)) / 2 for t in range(24)])
    onecycle = rates("onecycle")
    assert onecycle[0] == pytest.approx(0.04)
    assert max(onecycle) == pytest.approx(1.0, rel=0.01)
    assert onecycle[-1] == pytest.approx(4e-6)


def test_optimizers():
    model = NETWORKS["softmax"].build()

    def made(name):
        settings = Settings.of("momentum", optimizer=name)
        return make_optimizer(model.parameters(), settings)

    assert made("sgd").param_groups[0]["momentum"] == 0
    assert made("momentum").param_groups[0]["momentum"] == 0.95
    assert not made("momentum").param_groups[0]["nesterov"]
    assert made("nesterov").param_groups[0]["nesterov"]
    kinds = {"rmsprop": optim.RMSprop, "adam": optim.Adam, "adamw": optim.AdamW}
    for name, kind in kinds.items():
        assert type(made(name)) is kind
