"""check_training: a made case for everything that it finds in parameters, data and loss."""

# Rules and updates take every argument, whether they read it or not.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.verify.training_steps import (
    IMAGES,
    LABELS,
    N,
    Net,
    X,
    codes,
)
from tinygrad_cnn import (
    Op,
    Parameter,
    nn,
    no_grad,
    optim,
    tensor,
)
from tinygrad_cnn.verify import TrainingError, check_training

pytestmark = pytest.mark.usefixtures("seeded")

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
