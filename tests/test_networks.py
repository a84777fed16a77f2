"""The five networks on real digits: gradients against loops, losses as expected, memory flat."""

from __future__ import annotations

import copy
import gc
import itertools
import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import tinygrad_cnn.functional as F
from tests.oracles import networks, notebook
from tinygrad_cnn import Tensor, data, nn, no_grad, optim, tensor
from tinygrad_cnn.models import NETWORKS, BatchNorm, Momentum, Sigmoid, Softmax, half_squared_error

Array = npt.NDArray[Any]

TRAIN, TEST = data.digits()
EACH_NETWORK = pytest.mark.parametrize("name", list(NETWORKS))


def images_for(name: str, images: npt.NDArray[np.uint8]) -> Array:
    """Pixels in float64 as the network's notebook scales them, (N, 1, H, W)."""
    x = images[:, np.newaxis] / 255  # (N, 1, 28, 28)
    if NETWORKS[name].image_size == 32:
        x = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))  # (N, 1, 32, 32)
    return x - 0.5 if name == "softmax" else x


def targets_for(name: str, labels: Array) -> Array:
    """Targets (N,): classes, the digits' values, or whether it is the digit 0."""
    kind = NETWORKS[name].target
    if kind == "class":
        return labels
    return labels.astype(float) if kind == "value" else (labels == 0).astype(float)


def loss_of(name: str, model: nn.Module, images: Array, targets: Array) -> Tensor:
    """The network's loss; numbers and probabilities come as columns (N, 1)."""
    if NETWORKS[name].target != "class":
        targets = targets.astype(images.dtype)[:, np.newaxis]  # (N, 1)
    loss = NETWORKS[name].loss(model(images), targets)
    assert isinstance(loss, Tensor)
    return loss


def model_with(name: str, params: networks.Parameters, dtype: npt.DTypeLike) -> nn.Module:
    model = NETWORKS[name].build().to(dtype)
    loaded = model.load_state_dict(params, strict=False)  # strict but for batch norm's buffers
    assert not loaded.unexpected_keys
    assert not set(loaded.missing_keys) & {name for name, _ in model.named_parameters()}
    return model


# ------------------------------------------------------------------------------------ gradients


@pytest.fixture(scope="module", params=list(NETWORKS))
def case(request: pytest.FixtureRequest) -> tuple[Any, ...]:
    """A network with six real digits, 0 among them, and its loss and gradients by loops."""
    name = request.param
    images, labels = TRAIN[:6]
    assert (labels == 0).any()
    params = networks.initial_parameters(name, np.random.default_rng(1))
    x, targets = images_for(name, images), targets_for(name, labels)
    return name, params, x, targets, *networks.loss_and_gradients(name, params, x, targets)


def errors(model: nn.Module, expected: networks.Parameters) -> dict[str, float]:
    """The largest error of each gradient, relative to the largest of its elements."""
    found = {name: p.grad for name, p in model.named_parameters()}
    assert found.keys() == expected.keys()
    for name, grad in found.items():
        assert grad is not None, name
        assert np.abs(expected[name]).max() > 0, name
    return {
        name: float(np.abs(grad.numpy() - expected[name]).max() / np.abs(expected[name]).max())
        for name, grad in found.items()
        if grad is not None
    }


def test_gradients_equal_the_loops(case: tuple[Any, ...]) -> None:
    name, params, x, targets, expected_loss, expected = case
    model = model_with(name, params, np.float64)
    loss = loss_of(name, model, x, targets)
    loss.backward()
    assert loss.item() == pytest.approx(expected_loss, rel=1e-12)
    assert max(errors(model, expected).values()) < 1e-9


def test_float32_gradients_equal_the_loops_to_float32s_accuracy(case: tuple[Any, ...]) -> None:
    name, params, x, targets, expected_loss, expected = case
    model = model_with(name, params, np.float32)
    loss = loss_of(name, model, x.astype(np.float32), targets)
    loss.backward()
    assert loss.dtype == np.float32
    assert loss.item() == pytest.approx(expected_loss, rel=1e-5)
    assert all(p.grad is not None and p.grad.dtype == np.float32 for p in model.parameters())
    assert max(errors(model, expected).values()) < 1e-4


@EACH_NETWORK
def test_real_digits_have_ties(name: str) -> None:
    """The background is constant, so what these tests compare includes ties in every pool."""
    windows = images_for(name, TRAIN.images[:6]).reshape(6, -1, 2, NETWORKS[name].image_size)
    assert ((windows[:, :, 0] == windows[:, :, 1]).mean(axis=(1, 2)) > 0.5).all()


# --------------------------------------------------------------------------------- as described


@EACH_NETWORK
def test_parameters_have_the_names_and_shapes_of_the_notebook(name: str) -> None:
    model = NETWORKS[name].build()
    expected = networks.initial_parameters(name, np.random.default_rng(0))
    assert {k: p.shape for k, p in model.named_parameters()} == {
        k: value.shape for k, value in expected.items()
    }


@EACH_NETWORK
def test_parameters_are_drawn_as_in_the_notebook(name: str) -> None:
    """Means and deviations of 40 draws: equal where constant, within 5 standard errors else."""
    draws = [NETWORKS[name].build(np.random.default_rng(seed)) for seed in range(40)]
    for parameter in networks.initial_parameters(name, np.random.default_rng(0)):
        values = np.array([dict(m.named_parameters())[parameter].numpy() for m in draws])
        constant = 1.0 if parameter.startswith("bn") and parameter.endswith("weight") else 0.0
        deviation = networks._deviation(name, parameter)
        error = deviation / np.sqrt(values.size)
        assert abs(values.mean(dtype=float) - constant) <= 5 * error, parameter
        assert abs(values.std(dtype=float) - deviation) <= 5 * error, parameter


@EACH_NETWORK
def test_the_same_seed_draws_the_same_weights(name: str) -> None:
    first, second, other = (
        NETWORKS[name].build(np.random.default_rng(seed)).state_dict() for seed in (3, 3, 4)
    )
    assert all((first[k] == second[k]).all() for k in first)
    assert any((first[k] != other[k]).any() for k in first)


@EACH_NETWORK
def test_arrays_and_tensors_are_taken_alike(name: str) -> None:
    model = NETWORKS[name].build(np.random.default_rng(0))
    x = images_for(name, TRAIN.images[:3]).astype(np.float32)
    outputs = 10 if NETWORKS[name].target == "class" else 1
    answer = model(x)
    assert answer.shape == (3, outputs)
    assert answer.dtype == np.float32
    np.testing.assert_array_equal(answer.numpy(), model(tensor(x)).numpy())


@EACH_NETWORK
def test_an_image_of_the_wrong_size_is_an_error_that_names_both_sizes(name: str) -> None:
    with pytest.raises(ValueError, match=r"linear: weight of shape .* expects \d+ input features"):
        NETWORKS[name].build()(np.zeros((2, 1, 20, 20), np.float32))


# --------------------------------------------------------------------------------- they all learn


def train(
    name: str, model: nn.Module, images: Array, optimizer: optim.Optimizer, steps: int, batch: int
) -> list[float]:
    """The losses of batches of the training digits taken in order, over and over."""
    x, targets = images.astype(np.float32), targets_for(name, TRAIN.labels[: len(images)])
    losses = []
    for step in range(steps):
        chosen = np.arange(step * batch, (step + 1) * batch) % len(x)
        loss = loss_of(name, model, x[chosen], targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def accuracy(model: nn.Module, images: Array) -> float:
    with no_grad():
        answers = model(images.astype(np.float32)).numpy()
    return float((answers.argmax(1) == TEST.labels).mean())


def test_momentum_leaves_the_plateau_of_its_small_weights() -> None:
    """N(0, 0.01²) makes every class equally likely: log 10, until momentum gets it going.

    On pixels of mean 0 and deviation 1; on pixels / 255 it is still there after 40 epochs.
    """
    train_images, test_images = (
        (images_for("momentum", part.images) - 0.1) / 0.28 for part in (TRAIN, TEST)
    )
    model = Momentum(np.random.default_rng(0))
    optimizer = optim.SGD(model.parameters(), lr=0.009, momentum=0.95)
    losses = train("momentum", model, train_images, optimizer, 500, 32)
    assert losses[0] == pytest.approx(np.log(10), abs=0.01)
    assert np.mean(losses[-50:]) < 0.6
    assert accuracy(model, test_images) > 0.8


@pytest.mark.parametrize(
    ("optimizer", "lr", "falls_to"),
    [(optim.SGD, 1e-6, 0.5), (optim.RMSprop, 1e-2, 0.1), (optim.Adam, 3e-2, 0.1)],
)
def test_regression_learns_by_each_optimiser(
    optimizer: type[optim.Optimizer], lr: float, falls_to: float
) -> None:
    model = NETWORKS["regression"].build(np.random.default_rng(0))
    images = images_for("regression", TRAIN.images[:1000])
    losses = train("regression", model, images, optimizer(model.parameters(), lr=lr), 100, 50)
    assert np.mean(losses[-10:]) < falls_to * losses[0]


def test_regression_learns_towards_its_target_and_not_towards_0() -> None:
    """The notebook's loss gradient was 2·y, which pulls every prediction to 0."""
    model = NETWORKS["regression"].build(np.random.default_rng(0))
    optimizer = optim.Adam(model.parameters(), lr=0.03)
    x = images_for("regression", TRAIN.images[:1]).astype(np.float32)
    for _ in range(200):
        optimizer.zero_grad()
        F.mse_loss(model(x), np.array([[7.5]], np.float32)).backward()
        optimizer.step()
    assert model(x).item() == pytest.approx(7.5, abs=0.05)


def test_sigmoid_on_one_raw_image_falls_as_in_the_notebook() -> None:
    """From about ½ towards the target 0 in 50 steps, on random integers as the notebook had."""
    rng = np.random.default_rng(0)
    model = Sigmoid(rng)
    image = rng.integers(1, 255, (1, 1, 32, 32)).astype(np.float32)
    optimizer = optim.SGD(model.parameters(), lr=0.001)
    answers = []
    for _ in range(50):
        answer = model(image)
        answers.append(answer.item())
        optimizer.zero_grad()
        half_squared_error(answer, np.zeros((1, 1), np.float32)).backward()
        optimizer.step()
    assert answers[0] == pytest.approx(0.5, abs=0.2)
    assert answers[-1] < 0.03
    assert all(later < sooner for sooner, later in itertools.pairwise(answers))


def test_softmax_starts_at_chance_and_learns_image_by_image() -> None:
    """Untrained, the first 1,000 test images have a loss of log 10 and are right one in ten."""
    x = images_for("softmax", TEST.images).astype(np.float32)
    accuracies = []
    for seed in range(5):
        model = Softmax(np.random.default_rng(seed))
        with no_grad():
            logits = model(x)
        assert F.cross_entropy(logits, TEST.labels).item() == pytest.approx(2.303, abs=0.02)
        accuracies.append((logits.numpy().argmax(1) == TEST.labels).mean())
    assert np.mean(accuracies) == pytest.approx(0.1, abs=0.04)
    train_images = images_for("softmax", TRAIN.images[:1000])
    optimizer = optim.SGD(model.parameters(), lr=0.005)
    losses = train("softmax", model, train_images, optimizer, 1000, 1)
    assert np.mean(losses[-200:]) < 0.9
    assert accuracy(model, x) > 0.65


# ------------------------------------------------------- batchnorm, as its notebook trained it


def full_batch_training(
    params: networks.Parameters,
    iterations: int,
    freeze_first: bool,
    count: int = 1000,
    dtype: type[np.floating[Any]] = np.float64,
) -> Iterator[tuple[BatchNorm, float, float]]:
    """Gradient descent at rate 0.5 on the first digits.

    Before each update it gives the model, and its loss and accuracy on these digits.
    """
    model = model_with("batchnorm", params, dtype)
    assert isinstance(model, BatchNorm)
    if freeze_first:
        model.conv1.requires_grad_(False)
        model.bn1.requires_grad_(False)
    optimizer = optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    images, labels = images_for("batchnorm", TRAIN.images[:count]), TRAIN.labels[:count]
    images = images.astype(dtype)
    for _ in range(iterations):
        logits = model(images)
        loss = F.cross_entropy(logits, labels)
        yield model, loss.item(), float((logits.numpy().argmax(1) == labels).mean())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def by_own_statistics(model: BatchNorm, count: int = 1000) -> tuple[float, float]:
    """Loss and accuracy on test digits in training mode, by a copy: it updates statistics."""
    images, labels = images_for("batchnorm", TEST.images[:count]), TEST.labels[:count]
    images = images.astype(model.conv1.weight.dtype)
    with no_grad():
        logits = copy.deepcopy(model)(images)
    return F.cross_entropy(logits, labels).item(), float(
        (logits.numpy().argmax(1) == labels).mean()
    )


@pytest.mark.slow
@pytest.mark.parametrize(("freeze_first", "iterations"), [(True, 4), (False, 2)])
def test_batchnorm_training_follows_the_notebooks_own_code(
    freeze_first: bool, iterations: int
) -> None:
    """Frozen as by the notebook's mistake, and with the gradients as they should have been."""
    params = networks.initial_parameters("batchnorm", np.random.default_rng(0))
    digits = [
        (images_for("batchnorm", part.images[:200]), part.labels[:200]) for part in (TRAIN, TEST)
    ]
    expected = notebook.train(params, *digits[0], *digits[1], iterations, 0.5, freeze_first)
    records = [
        (*scores, *by_own_statistics(model, 200))
        for model, *scores in full_batch_training(params, iterations, freeze_first, 200)
    ]
    np.testing.assert_allclose(records, expected, rtol=0, atol=1e-9)
    assert records[-1][0] < records[0][0]


@pytest.mark.slow
def test_batchnorm_ends_as_described_with_true_gradients() -> None:
    """Before the last of 50 updates; every layer has moved, the first one too."""
    params = networks.initial_parameters("batchnorm", np.random.default_rng(0))
    losses, accuracies = [], []
    for model, loss, right in full_batch_training(params, 50, False, dtype=np.float32):
        losses.append(loss)
        accuracies.append(right)
        if len(losses) == 50:
            test_accuracy = by_own_statistics(model)[1]
    assert losses[0] == pytest.approx(2.3, abs=0.2)
    assert all(later < sooner for sooner, later in itertools.pairwise(losses[:10]))
    assert losses[-1] < 0.15
    assert accuracies[-1] >= 0.98
    assert test_accuracy >= 0.87
    for name, parameter in model.named_parameters():
        assert np.abs(parameter.numpy() - params[name]).max() > 1e-3, name


# --------------------------------------------------------------------------------------- memory


@pytest.mark.slow
def test_thousands_of_training_steps_leave_memory_flat() -> None:
    """By counts of Python's blocks, which every array has, and for a while by bytes."""
    model = Sigmoid(np.random.default_rng(0))
    optimizer = optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    image = images_for("sigmoid", TRAIN.images[:1]).astype(np.float32)
    target = np.zeros((1, 1), np.float32)

    def steps(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            half_squared_error(model(image), target).backward()
            optimizer.step()

    gc.collect()
    gc.disable()  # what is freed, is freed by reference counts alone
    try:
        steps(2_500)  # Python keeps up to 2,000 freed tuples of each length
        blocks = sys.getallocatedblocks()
        steps(1_500)
        assert sys.getallocatedblocks() - blocks < 100
        tracemalloc.start()
        steps(50)
        before, _ = tracemalloc.get_traced_memory()
        steps(300)
        after, _ = tracemalloc.get_traced_memory()
        assert after - before < 7_000
    finally:
        tracemalloc.stop()
        gc.enable()
