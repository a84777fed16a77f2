"""check_training: a made case for everything that it finds, and silence on right programs."""

# Rules and updates take every argument, whether they read it or not.
# ruff: noqa: ARG002

# Rules and updates take every argument, whether they read it or not.
# ruff: noqa: ARG002

from __future__ import annotations

import json
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.verify.test_report import fits
from tinygrad_cnn import (
    Op,
    Parameter,
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
from tinygrad_cnn.verify import TrainingError, check_training, training, watch_training

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training_step.md").read_text(encoding="utf-8")
FOLDER = Path(training.__file__).parent
SCHEMA = json.loads((FOLDER / "schema.json").read_text(encoding="utf-8"))

N = 16
IMAGES = data.digits().train.images[:N]
LABELS = data.digits().train.labels[:N]
X = IMAGES[:, None].astype(np.float32) / 255


@pytest.fixture(autouse=True)
def seeded() -> None:
    manual_seed(1)


class Net(nn.Module):
    """A small network with all that can be wrong."""

    def __init__(self, **changes: Any) -> None:
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = changes.get("norm", nn.BatchNorm2d(4))
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(4 * 13 * 13, changes.get("classes", 10))
        self.last = changes.get("last")

    def forward(self, x: Any) -> Any:
        y = F.max_pool2d(F.relu(self.norm(self.conv(x))), 2)
        y = self.fc(self.drop(F.flatten(y, 1)))
        return y if self.last is None else self.last(y)


def bytes_of(model: Any) -> dict[str, bytes]:
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return {name: t.detach().numpy().tobytes() for name, t in tensors}


def codes(model: Any, loss: Any = F.cross_entropy, optimizer: Any = None, **more: Any) -> list[str]:
    batch = more.pop("batch", (tensor(X), tensor(LABELS)))
    optimizer = optimizer or optim.SGD(model.parameters(), lr=more.pop("lr", 0.05))
    report = check_training(model, loss, optimizer, batch, **more)
    plain = json.loads(json.dumps(report.to_dict()))
    assert fits(plain, SCHEMA) == []
    assert all(
        f'<a id="{f["page"].partition("#")[2]}"></a>`{f["code"]}`' in PAGE
        for f in plain["findings"]
    )
    assert bool(report) == (not report.findings)
    return report.codes


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


# ------------------------------------------------------------------------------- parameters


def test_missing_from_the_optimizer() -> None:
    model = Net()
    report = check_training(
        model, F.cross_entropy, optim.SGD(model.fc.parameters(), lr=0.1), (X, LABELS)
    )
    assert report.codes == ["missing"]
    assert report.findings[0].names == ("conv.weight", "conv.bias", "norm.weight", "norm.bias")
    with pytest.raises(TrainingError, match="missing: the optimiser does not have conv"):
        check_training(
            model,
            F.cross_entropy,
            optim.SGD(model.fc.parameters(), lr=0.1),
            (X, LABELS),
            raise_exception=True,
        )


def test_frozen_on_purpose_is_silent() -> None:
    model = Net()
    model.conv.requires_grad_(False)
    optimizer = optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05)
    assert codes(model, optimizer=optimizer) == []


def test_frozen_but_given_to_the_optimizer() -> None:
    model = Net()
    model.conv.requires_grad_(False)
    assert codes(model) == ["frozen"]


def test_given_twice() -> None:
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    optimizer.param_groups[0]["params"].append(model.fc.bias)
    assert codes(model, optimizer=optimizer)[0] == "twice"


def test_a_layer_replaced_after_the_optimizer_was_made() -> None:
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    model.fc = nn.Linear(4 * 13 * 13, 10)
    assert codes(model, optimizer=optimizer) == ["missing", "other parameters"]


def test_never_reached() -> None:
    class Detached(Net):
        def forward(self, x: Any) -> Any:
            y = F.max_pool2d(F.relu(self.norm(self.conv(x))), 2).detach()
            return self.fc(F.flatten(y, 1))

    report = check_training(
        model := Detached(), F.cross_entropy, optim.SGD(model.parameters(), 0.1), (X, LABELS)
    )
    assert report.codes == ["unreached"]
    assert report.findings[0].names == ("conv.weight", "conv.bias", "norm.weight", "norm.bias")


class Lost(Op):
    """The notebook's convolution returned another array than the one that it had filled."""

    def forward(self, x: Any) -> Any:
        return x * 1.0

    def backward(self, g: Any, out: Any, x: Any) -> Any:
        return (g * 0.0,)


def test_a_gradient_of_zeros() -> None:
    class First(Net):
        def forward(self, x: Any) -> Any:
            y = F.max_pool2d(F.relu(self.norm(Lost()(self.conv(x)))), 2)
            return self.fc(F.flatten(y, 1))

    found = codes(First())
    assert found[0] == "zero gradient"
    assert "wrong gradient" in found  # which is what the slope of the loss says


def test_dead_units() -> None:
    model = Net(norm=nn.Identity())
    with no_grad():
        model.conv.bias.fill_(-10.0)
    assert codes(model)[0] == "dead units"


def test_two_parameters_in_one_memory() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            both = np.random.default_rng(0).standard_normal((10, 784)).astype(np.float32) * 0.01
            self.one, self.other = Parameter(both), Parameter(both)
            self.other._data = self.one._data

        def forward(self, x: Any) -> Any:
            y = F.flatten(x, 1)
            return F.linear(y, self.one) + F.linear(y * y, self.other)

    assert "shared memory" in codes(Tied())


# ------------------------------------------------------------------------------- data and loss


@pytest.mark.parametrize("flat", [False, True])
def test_pixels_as_they_are_stored(flat: bool) -> None:
    raw: Any = IMAGES[:, None]
    model: Any = Net(norm=nn.Identity())
    if flat:
        raw, model = raw.reshape(N, -1), nn.Linear(784, 10)
    found = codes(model, batch=(raw.astype(np.float32), LABELS), lr=1e-6)
    assert found == ["pixels"]


def test_a_network_that_scales_pixels_itself_is_silent() -> None:
    class Scaling(Net):
        def forward(self, x: Any) -> Any:
            return super().forward(x / 255.0)

    assert codes(Scaling(), batch=(tensor(IMAGES[:, None].astype(np.float32)), LABELS)) == []


def test_channels_last() -> None:
    assert codes(Net(), batch=(X.transpose(0, 2, 3, 1), LABELS)) == ["NHWC"]
    wide = nn.Sequential(nn.Conv2d(28, 4, (3, 1)), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 26, 10))
    assert codes(wide, batch=(X.transpose(0, 2, 3, 1), LABELS)) == ["NHWC"]


def test_labels_outside() -> None:
    assert codes(Net(), batch=(X, LABELS + 1)) == ["labels outside"]
    model = Net(classes=1, last=nn.Sigmoid())
    targets = LABELS[:, None].astype(np.float32)
    assert "labels outside" in codes(model, F.binary_cross_entropy, batch=(X, targets), lr=1e-4)


def test_a_loss_that_broadcasts() -> None:
    model = Net(classes=1)

    def loss(answers: Any, targets: Any) -> Any:
        return ((answers - targets) ** 2).mean()

    targets = LABELS.astype(np.float32)
    assert codes(model, loss, batch=(X, targets), lr=1e-3) == ["broadcast"]
    assert codes(model, loss, batch=(X, targets[:, None]), lr=1e-3) == []


@pytest.mark.parametrize("how", ["module", "by hand", "sigmoid"])
def test_a_softmax_before_a_loss_that_has_its_own(how: str) -> None:
    if how == "sigmoid":
        model = Net(classes=1, last=nn.Sigmoid())
        targets = (LABELS == 0).astype(np.float32)[:, None]
        found = codes(model, F.binary_cross_entropy_with_logits, batch=(X, targets))
    elif how == "module":
        found = codes(Net(last=nn.Softmax(1)))
    else:

        def last(y: Any) -> Any:
            e = (y - y.max(1, keepdim=True)[0]).exp()
            return e / e.sum(1, keepdim=True)

        found = codes(Net(last=last))
    assert found == ["softmax twice"]


def test_a_loss_that_leaves_the_targets_out() -> None:
    assert codes(Net(), lambda y, _: (y**2).mean(), lr=1e-3) == ["targets unused"]

    class SquaredError(Op):
        """The notebook's gradient of the squared error was 2 y."""

        saves = ("y", "t")

        def forward(self, y: Any, t: Any) -> Any:
            return ((y - t) ** 2).mean()

        def backward(self, g: Any, out: Any, y: Any, t: Any) -> Any:
            return g * 2 * y / y.size, None

    targets = LABELS[:, None].astype(np.float32)
    found = codes(Net(classes=1), lambda y, t: SquaredError()(y, t), batch=(X, targets), lr=1e-3)
    assert found[0] == "targets unused"
    assert codes(Net(classes=1), F.l1_loss, batch=(X, targets), lr=1e-3) == []


def test_a_loss_divided_differently_for_layers() -> None:
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        model.fc.weight.grad = model.fc.weight.grad / N
        model.fc.bias.grad = model.fc.bias.grad / N
        optimizer.step()

    model.drop.p = 0.0
    report = check_training(model, F.cross_entropy, optimizer, (tensor(X), LABELS), step=step)
    assert report.codes == ["divided differently"]
    assert report.findings[0].names == ("fc.weight", "fc.bias")


def test_clipped_gradients_are_silent() -> None:
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optim.clip_grad_norm_(list(model.parameters()), 0.1)
        optimizer.step()

    assert codes(model, optimizer=optimizer, step=step) == []


class Averaged(Op):
    """A rule that divides by the batch once more."""

    def forward(self, x: Any) -> Any:
        return x * 1.0

    def backward(self, g: Any, out: Any, x: Any) -> Any:
        return (g / N,)


def test_a_wrong_gradient() -> None:
    class Dividing(Net):
        def forward(self, x: Any) -> Any:
            y = F.max_pool2d(F.relu(Averaged()(self.conv(x))), 2)
            return self.fc(F.flatten(y, 1))

    model = Dividing(norm=nn.Identity())
    report = check_training(model, F.cross_entropy, optim.SGD(model.parameters(), 0.1), (X, LABELS))
    assert report.codes[0] == "wrong gradient"
    assert "divided by 16, the size of the batch" in report.findings[0].text


# ------------------------------------------------------------------------------- the step


def test_gradients_that_are_not_cleared() -> None:
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> None:
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    assert codes(model, optimizer=optimizer, step=step) == ["not cleared"]


def test_gradients_of_several_batches_are_silent() -> None:
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> None:
        optimizer.zero_grad()
        for part in (slice(0, 8), slice(8, 16)):
            (F.cross_entropy(model(x[part]), y[part]) / 2).backward()
        optimizer.step()

    assert codes(model, optimizer=optimizer, step=step) == []


class Notebook(optim.SGD):
    """The founding notebook's momentum: its coefficient times the weight goes to the weight."""

    def _update(self, p: Any, g: Any, state: Any, scratch: Any, numbers: Any) -> None:
        p += numbers[1] * p - numbers[0] * g


class Upwards(optim.SGD):
    def _update(self, p: Any, g: Any, state: Any, scratch: Any, numbers: Any) -> None:
        p += numbers[0] * g


class NoRate(optim.SGD):
    def _update(self, p: Any, g: Any, state: Any, scratch: Any, numbers: Any) -> None:
        p -= g


class Still(optim.Adam):
    def _update(self, p: Any, g: Any, state: Any, scratch: Any, numbers: Any) -> None:
        pass


class Uncorrected(optim.Adam):
    """Adam without the correction of its averages."""

    def _numbers(self, slot: Any, group: Any) -> Any:
        slot.step += 10**6  # so late, the correction is none
        try:
            return super()._numbers(slot, group)
        finally:
            slot.step -= 10**6


class ByHand:
    """An optimiser that derives from nothing."""

    def __init__(self, params: Any, rate: float, momentum: float) -> None:
        self.params, self.rate, self.momentum = list(params), rate, momentum

    def step(self) -> None:
        with no_grad():
            for p in self.params:
                p += self.momentum * p - self.rate * p.grad


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: Notebook(p, lr=0.01, momentum=0.95), "the weight itself is added"),
        (lambda p: ByHand(p, 0.01, 0.95), "it adds 0.95 times the weight to the weight"),
        (lambda p: Upwards(p, lr=0.01), "it goes up the gradient"),
        (lambda p: NoRate(p, lr=0.01), "the learning rate is missing"),
        (lambda p: Still(p, lr=0.01), "nothing moves"),
        (lambda p: Uncorrected(p, lr=0.001), "it goes 3.162 times as far"),
    ],
)
def test_an_update_that_is_not_the_formula(make: Callable[[Any], Any], said: str) -> None:
    model = Net()
    report = check_training(
        model, F.cross_entropy, make(model.parameters()), (tensor(X), tensor(LABELS))
    )
    assert "update" in report.codes
    text = report.findings[report.codes.index("update")].text
    assert said in text, text


@pytest.mark.parametrize("momentum", [0.0, 0.95])
def test_a_step_that_updates_by_itself(momentum: float) -> None:
    model = Net()
    before = bytes_of(model)

    def step(x: Any, y: Any) -> None:
        model.zero_grad()
        F.cross_entropy(model(x), y).backward()
        with no_grad():
            for p in model.parameters():
                p += momentum * p - 0.01 * p.grad

    report = check_training(model, F.cross_entropy, None, (tensor(X), tensor(LABELS)), step=step)
    assert report.steps == 2
    assert bytes_of(model) == before
    assert report.codes[:1] == (["update"] if momentum else []), report.text()
    assert not momentum or "0.95 times the weight to the weight" in report.findings[0].text


def test_an_optimizer_by_hand_is_silent() -> None:
    model = Net()
    before = bytes_of(model)
    assert codes(model, optimizer=ByHand(model.parameters(), 0.01, 0.0)) == []
    assert bytes_of(model) == before


def test_a_learning_rate_that_throws_the_loss_up() -> None:
    assert "learning rate" in codes(Net(norm=nn.Identity()), lr=300.0)


def test_left_in_evaluation() -> None:
    assert codes(Net().eval()) == ["left in evaluation"]
    model = Net()
    model.norm.requires_grad_(False)
    model.norm.eval()  # as fine-tuning does
    optimizer = optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    assert codes(model, optimizer=optimizer) == []


def test_statistics_that_never_move() -> None:
    assert codes(Net(norm=nn.BatchNorm2d(4, momentum=0.0))) == ["fixed statistics"]


def test_statistics_of_the_batch_in_evaluation() -> None:
    model = Net(norm=nn.BatchNorm2d(4, track_running_stats=False))
    assert codes(model) == ["batch leaks"]
    assert codes(Net(norm=nn.InstanceNorm2d(4))) == []


def test_random_in_evaluation() -> None:
    assert codes(Net(last=lambda y: F.dropout(y, 0.5))) == ["random in evaluation"]


def test_a_loss_that_is_not_finite() -> None:
    report = check_training(
        model := Net(last=lambda y: F.softmax(y * 1e4, 1).log()),
        F.nll_loss,
        optim.SGD(model.parameters(), lr=0.1),
        (X, LABELS),
        gradients=False,
    )
    assert "not finite" in report.codes
    assert "softmax whose logits span" in str(report)


def test_a_step_that_raises() -> None:
    assert codes(Net(), lambda y, t: F.mse_loss(y, t)) == ["error"]
    assert codes(Net(), lambda y, t: F.cross_entropy(y, t).detach()) == ["error"]


def test_a_loss_without_targets() -> None:
    model = Net()
    report = check_training(
        model, lambda y, _: (y**2).mean(), optim.SGD(model.parameters(), lr=1e-3), (X, None)
    )
    assert report, report.text()
    assert [note.split(":")[0] for note in report.notes] == [
        "the targets are no numbers",
        "gradients were not compared with slopes",
    ]


def test_every_code_has_a_row_on_the_page() -> None:
    written = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py"))
    codes = set(re.findall(r'report\.say\(\s*"([^"]+)"', written))
    assert len(codes) >= 24
    assert set(re.findall(r'^\| <a id="[\w-]+"></a>`([^`]+)`', PAGE, re.MULTILINE)) == codes


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
    monkeypatch.setattr(sys, "argv", [name, *([] if name == "softmax" else ["--steps", "3"])])
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
