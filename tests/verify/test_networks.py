"""The five networks on real digits, whose background ties everywhere, raise no false alarm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import Tensor
from tinygrad_cnn.data import digits
from tinygrad_cnn.models import NETWORKS
from tinygrad_cnn.op import Op, registry
from tinygrad_cnn.training import Settings
from tinygrad_cnn.training.images import ToNetwork
from tinygrad_cnn.training.tasks import task_of
from tinygrad_cnn.verify import Verdict, check_graph, check_module

TRAIN = digits()[0]


def batch(name: str, seed: int, size: int) -> tuple[Any, Any]:
    chosen = np.random.default_rng(seed).integers(0, len(TRAIN), size)
    labels = task_of(NETWORKS[name].target).targets(TRAIN.labels[chosen])
    return ToNetwork(Settings.of(name))(TRAIN.images[chosen]), labels


def loss_of(name: str, module: Any, images: Any, labels: Any, by_images: bool) -> Any:
    target = Tensor(labels) if labels.dtype.kind == "f" else labels
    return NETWORKS[name].loss(module(Tensor(images, requires_grad=by_images)), target)


@pytest.mark.parametrize("seed", [1, pytest.param(0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", NETWORKS)
def test_no_false_alarm_on_digits(name: str, training: bool, seed: int) -> None:
    module = NETWORKS[name].build(np.random.default_rng(seed))
    images, labels = batch(name, seed, 3)
    module(images)
    module.train(training)
    report = check_graph(loss_of(name, module, images, labels, seed == 1), seed=seed)
    assert report, report.text()
    assert {r.verdict for r in report.results} <= {Verdict.PASS, Verdict.KINK}


def test_a_network_as_a_module_with_its_input() -> None:
    module = NETWORKS["sigmoid"].build(np.random.default_rng(0))
    report = check_module(module, batch("sigmoid", 0, 2)[0])
    assert report, report.text()
    assert {r.input for r in report.results if r.op.startswith("end to end")} == {
        "conv.weight",
        "conv.bias",
        "linear.weight",
        "linear.bias",
        "input 0",
    }


def test_a_wrong_operation_in_a_network_is_named_with_its_place() -> None:
    known = dict(registry)

    class Wrong(Op):
        """The mask comes from the gradient's sign."""

        __slots__ = ()
        name = "wrong_relu"

        def forward(self, x: Any) -> Any:
            return np.maximum(x, 0.0)

        def choice(self, x: Any) -> Any:
            return x > 0

        def backward(self, g: Any, _out: Any, _x: Any) -> tuple[Any, ...]:
            return (g * (g > 0),)

    registry.clear()
    registry.update(known)
    module = NETWORKS["batchnorm"].build(np.random.default_rng(0))
    images, labels = batch("batchnorm", 0, 3)
    forward = module.bn3.forward
    module.bn3.forward = lambda x: Wrong()(forward(x))
    report = check_graph(loss_of("batchnorm", module, images, labels, False))
    nodes = [r for r in report.failures if r.seq is not None]
    assert [(r.op, r.scope, r.input) for r in nodes] == [("wrong_relu", "bn3", "_x")]
    assert [h.code for h in nodes[0].hints] == ["wrong mask"]
    assert {r.op for r in report.failures[1:]} == {"end to end"}
