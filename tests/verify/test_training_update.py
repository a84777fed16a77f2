"""check_training: a made case for everything that it finds in the update."""

# Rules and updates take every argument, whether they read it or not.
# ruff: noqa: ARG002

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import tinygrad_cnn.functional as F
from tests.verify.training_steps import (
    FOLDER,
    LABELS,
    PAGE,
    Net,
    X,
    bytes_of,
    codes,
)
from tinygrad_cnn import (
    nn,
    no_grad,
    optim,
    tensor,
)
from tinygrad_cnn.verify import check_training

pytestmark = pytest.mark.usefixtures("seeded")

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
