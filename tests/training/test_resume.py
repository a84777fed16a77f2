"""A run that stops and goes on ends where one that never stopped does, to the last bit."""

from itertools import islice

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.training.small import small_splits, state_of
from tinygrad_cnn import models, nn, no_grad
from tinygrad_cnn.training import RunError, Settings, SettingsError, Trainer
from tinygrad_cnn.training.checkpoint import Checkpoint
from tinygrad_cnn.training.folder import RunFolder

RUNS = {
    "batchnorm": {"batch_size": 32, "epochs": 3},
    "momentum": {"batch_size": 16, "epochs": 2, "optimizer": "adam", "schedule": "step"},
    "regression": {"batch_size": 45, "epochs": 3, "optimizer": "rmsprop", "schedule": "cosine"},
    "sigmoid": {"batch_size": 90, "epochs": 2, "optimizer": "adamw", "schedule": "onecycle"},
    "softmax": {"batch_size": 7, "epochs": 2},
}


def run_through(settings, splits):
    trainer = Trainer(settings, splits)
    for _ in trainer.steps():
        pass
    return trainer


def stop_and_go(settings, splits, folder, stops):
    """Train, but at each of these numbers of steps save, and go on from the file."""
    run = RunFolder(folder)
    trainer = Trainer(settings, splits)
    run.begin(trainer)
    for stop in stops:
        for _ in islice(trainer.steps(), stop - trainer.total_steps):
            pass
        run.save(trainer)
        checkpoint = run.load()
        trainer = Trainer(checkpoint.settings, splits)
        trainer.load_state(checkpoint.values, checkpoint.arrays)
        assert trainer.total_steps == stop
    for _ in trainer.steps():
        pass
    return trainer


@pytest.mark.parametrize("network", RUNS)
def test_stopped_at_any_step(network, splits, tmp_path):
    settings = Settings.of(network, seed=3, threads=2, **RUNS[network])
    whole = run_through(settings, splits)
    last = whole.total_steps
    stops = sorted({1, last // 3, last // 2, last // 2 + 1, last - 1, last} - {0})
    assert state_of(stop_and_go(settings, splits, tmp_path, stops)) == state_of(whole)


def test_every_single_step(splits, tmp_path):
    settings = Settings.of("batchnorm", threads=1, **RUNS["batchnorm"])
    whole = run_through(settings, splits)
    stopped = stop_and_go(settings, splits, tmp_path, range(1, whole.total_steps + 1))
    assert state_of(stopped) == state_of(whole)


def test_one_seed_one_result(splits):
    settings = Settings.of("batchnorm", seed=5, threads=2, **RUNS["batchnorm"])
    first = state_of(run_through(settings, splits))
    assert state_of(run_through(settings, splits)) == first
    other = Settings.of("batchnorm", seed=6, threads=2, **RUNS["batchnorm"])
    assert state_of(run_through(other, splits))[1] != first[1]


class WithDropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(784, 10)

    def forward(self, x):
        return self.linear(F.dropout(F.flatten(x, 1), 0.5, self.training))


def test_dropout_goes_on_with_the_same_masks(splits, tmp_path, monkeypatch):
    network = models.Network(WithDropout, 28, "class", F.cross_entropy, "with dropout")
    monkeypatch.setitem(models.NETWORKS, "softmax", network)
    settings = Settings.of("softmax", epochs=2, batch_size=30)
    stopped = stop_and_go(settings, splits, tmp_path, [2, 5])
    assert state_of(stopped) == state_of(run_through(settings, splits))


def test_each_epoch_has_an_order_of_its_own_and_every_image_once(splits):
    trainer = Trainer(Settings.of("softmax", batch_size=20), splits)
    epochs = []
    for epoch in (0, 1, 0):
        batches = list(trainer.batches(epoch))
        assert [len(images) for images, _ in batches] == [20, 20, 20, 20, 10]
        epochs.append(np.concatenate([images.numpy() for images, _ in batches]))
    assert np.array_equal(epochs[0], epochs[2])
    assert not np.array_equal(epochs[0], epochs[1])
    expected = sorted(image.tobytes() for image in splits.train.images)
    for images in epochs:
        pixels = np.rint((images + 0.5) * 255).astype(np.uint8)
        assert sorted(image.tobytes() for image in pixels) == expected


def test_training_images_are_shifted_anew_each_time(splits):
    """Each is found in a larger one with a border of zeros, at one of nine places."""
    trainer = Trainer(Settings.of("batchnorm", batch_size=90), splits)
    assert trainer.settings.shift == 1
    (images, labels), (again, _), (others, _) = (next(trainer.batches(n)) for n in (0, 0, 1))
    assert np.array_equal(images, again)
    order = np.random.default_rng([0, 0]).permutation(90)
    assert np.array_equal(labels, splits.train.labels[order])
    bordered = np.pad(splits.train.images[order] / np.float32(255), ((0, 0), (1, 1), (1, 1)))
    places = set()
    for image, large in zip(images[:, 0], bordered, strict=True):
        places |= {
            (i, j)
            for i in range(3)
            for j in range(3)
            if np.array_equal(image, large[i : i + 28, j : j + 28])
        }
    assert len(places) == 9
    assert not np.array_equal(images[:, 0], bordered[:, 1:-1, 1:-1])
    assert not np.array_equal(images, others)
    tested = trainer.test()
    trainer.model.eval()
    plain = splits.test.images[:, np.newaxis] / np.float32(255)
    with no_grad():
        answers = trainer.model(plain).numpy()
    np.testing.assert_allclose(tested.answers, answers, rtol=1e-4, atol=1e-5)


def test_means_are_over_images_not_batches(splits):
    """With a rate of almost zero the means of an epoch are those of one big batch."""
    settings = Settings.of("softmax", epochs=1, batch_size=20, lr=1e-30)
    trainer = run_through(settings, splits)
    (row,) = trainer.position.epoch_rows
    tested = trainer.test()
    assert (row.test_loss, row.test_score) == (tested.loss, tested.score)
    images, labels = next(Trainer(Settings.of("softmax", batch_size=90), splits).batches(0))
    logits = trainer.model(images).detach().numpy().astype(float)
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(90), labels]
    assert row.train_loss == pytest.approx(losses.mean(), rel=1e-5)
    assert row.train_score == np.mean(logits.argmax(1) == labels)
    steps = trainer.position.step_rows
    assert [s.step for s in steps] == [1, 2, 3, 4, 5]
    weighted = sum(s.train_loss * n for s, n in zip(steps, [20] * 4 + [10], strict=True)) / 90
    assert weighted == pytest.approx(row.train_loss)


def test_schedule_reaches_its_end(splits):
    trainer = run_through(Settings.of("batchnorm", epochs=2, batch_size=30), splits)
    rates = [row.lr for row in trainer.position.step_rows]
    peak = trainer.settings.lr
    assert max(rates) == pytest.approx(peak, rel=0.2)
    assert rates[-1] == pytest.approx(peak / 25 / 1e4, rel=1e-6)


def test_divergence_is_said(splits):
    trainer = Trainer(Settings.of("regression", optimizer="sgd", lr=1e3, schedule="none"), splits)
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            RunError, match=r"(?s) at step \d+: training diverged\n.* made ∞ .* below 1000"
        ),
    ):
        for _ in trainer.steps():
            pass


def test_a_last_batch_of_one(splits):
    with pytest.raises(SettingsError, match="batch_size 89 leaves one of 90 images"):
        Trainer(Settings.of("batchnorm", batch_size=89), splits)
    with pytest.raises(SettingsError, match="batch_size 1 leaves one"):
        Trainer(Settings.of("batchnorm", batch_size=1), splits)
    Trainer(Settings.of("softmax", batch_size=89), splits)


def test_data_that_do_not_fit():
    train, test = small_splits()
    none = type(train)(train.images[:0], train.labels[:0], train.classes)
    large = type(train)(np.zeros((2, 64, 64), np.uint8), train.labels[:2], train.classes)
    colour = type(train)(np.zeros((2, 3, 28, 28), np.uint8), train.labels[:2], train.classes)
    many = type(train)(train.images, train.labels, tuple(map(str, range(11))))
    for part, message in (
        (none, "the training part has no images"),
        (large, r"images of 64×64; batchnorm takes one channel of 28×28"),
        (colour, r"images of 3×28×28; batchnorm takes one channel"),
        (many, "has 11 classes; batchnorm takes 10"),
    ):
        with pytest.raises(RunError, match=message):
            Trainer(Settings.of("batchnorm"), type(small_splits())(part, test))


def test_state_of_another_network(splits, tmp_path):
    RunFolder(tmp_path).begin(Trainer(Settings.of("momentum"), splits))
    checkpoint = Checkpoint.load(tmp_path / "checkpoint.npz")
    trainer = Trainer(Settings.of("softmax"), splits)
    with pytest.raises(RunError, match="does not fit softmax: ValueError: load_state_dict"):
        trainer.load_state(checkpoint.values, checkpoint.arrays)
