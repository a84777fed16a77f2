"""`Trainer`: the training loop, which can be left after any step and gone on with exactly.

Everything random comes from two places: the package's default generator (weights, dropout), whose
state is part of the trainer's, and one generator for each epoch's order of the images, made of the
seed and the epoch's number. So the numbers of epochs and steps done say how far a run is.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn import nn
from tinygrad_cnn.anomaly import AnomalyError, all_finite
from tinygrad_cnn.autograd import detect_anomaly, no_grad
from tinygrad_cnn.data import DataLoader, ImageDataset, Splits
from tinygrad_cnn.distributed import rank, shard, world_size
from tinygrad_cnn.kernels.runtime.threads import set_num_threads
from tinygrad_cnn.models import network_of
from tinygrad_cnn.random import get_rng_state, manual_seed, set_rng_state
from tinygrad_cnn.report.gradients import GradientLog
from tinygrad_cnn.tensor import Tensor, tensor
from tinygrad_cnn.training.errors import RunError, SettingsError, one_line
from tinygrad_cnn.training.images import ToNetwork, check_splits
from tinygrad_cnn.training.position import EpochRow, Mean, Position, StepRow
from tinygrad_cnn.training.recipes import Settings, make_optimizer, make_schedule
from tinygrad_cnn.training.tasks import task_of
from tinygrad_cnn.training.together import drawing_on, joined, of_the_first, sums
from tinygrad_cnn.types import Array

__all__ = ["Step", "Tested", "Trainer", "evaluate"]


# Rows of the training loss in an epoch: enough for a curve, whatever the batch.
_ROWS = 20
_TEST_BATCH = 250
_LEAP = 10.0  # losses that grow so much within a few steps are worth a word


class Tested(NamedTuple):
    """A pass over the test images: mean loss, mean score, all answers (N, …)."""

    loss: float
    score: float
    answers: Array


class Step(NamedTuple):
    """What a training step did; `epoch_row` is set at the last step of an epoch."""

    epoch: int
    in_epoch: int
    running: Mean
    epoch_row: EpochRow | None


class Trainer:
    """A network with all that trains it; made of settings and data, the same every time.

    Seeds the package's default generator and sets its number of threads.

    Parameters
    ----------
    settings
        What to train and how.
    splits
        The data, training and test part.

    Attributes
    ----------
    model, optimizer, schedule
        The network and what trains it.
    position
        How far the run is.
    gradients
        How large the gradients were, a row where there is one of the training loss.

    Raises
    ------
    RunError
        If the network cannot take the data.
    SettingsError
        If the last batch of an epoch would have a single image, and the network normalises over
        the batch.
    """

    def __init__(self, settings: Settings, splits: Splits) -> None:
        check_splits(splits, settings)
        set_num_threads(settings.threads)
        manual_seed(settings.seed)
        self.settings = settings
        self.train_set, self.test_set = splits
        self.network = network_of(settings.network)
        self.task = task_of(self.network.target)
        self.channels = self.train_set.images.shape[1] if self.train_set.images.ndim == 4 else 1
        self.model: nn.Module = self.network.make(self.channels, len(self.train_set.classes))
        for _ in self.model.named_parameters():  # gives them their names
            pass
        self.parallel = self.model  # what is called in training
        self.steps_per_epoch = -(-len(self.train_set) // settings.batch_size)
        learning = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = make_optimizer(learning, settings)
        self.schedule = make_schedule(self.optimizer, settings, self.steps_per_epoch)
        self.position = Position()
        self.gradients = GradientLog()
        self._losses: deque[float] = deque(maxlen=4)  # the last few, for the report of a divergence
        self._refuse_single_image()

    def _refuse_single_image(self) -> None:
        size, images = self.settings.batch_size, len(self.train_set)
        if any(isinstance(m, nn.BatchNorm1d) for m in self.model.modules()) and (
            (images % size or size) == 1
        ):
            raise SettingsError(
                f"batch_size {size} leaves one of {images:,} images for a batch of its own, and "
                f"{self.settings.network} normalises over at least 2: choose another batch size"
            )

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.position.epochs >= self.settings.epochs

    @property
    def total_steps(self) -> int:
        """The number of steps done."""
        return self.position.epochs * self.steps_per_epoch + self.position.steps

    # ------------------------------------------------------------------ training

    def batches(self, epoch: int, *, shared: bool = False) -> Iterator[list[Tensor]]:
        """Iterate over an epoch's batches, or this rank's share of each.

        They are images (N, 1, H, W) and labels (N,).
        """
        loader = DataLoader(
            self.train_set,
            self.settings.batch_size,
            shuffle=True,
            generator=np.random.default_rng([self.settings.seed, epoch]),
            transform=ToNetwork(self.settings, training=True),
        )
        return iter(shard(loader) if shared else loader)

    def steps(self) -> Iterator[Step]:
        """Train from where the run is to the end, pausing after each step.

        At a pause everything is in order to be saved: a caller that leaves there and loads what
        it saved goes on with the same steps, to the last bit.

        Raises
        ------
        RunError
            If the loss or a gradient is not finite; what the run is then is not worth saving. The
            message names the operation that made it so, and why; ``anomaly`` has the place.
        """
        position = self.position
        if world_size() > 1 and self.parallel is self.model:
            self.model, self.parallel = joined(self.model, self.settings.threads)
        self.parallel.train()
        while not self.finished:
            batches = self.batches(position.epochs, shared=True)
            for images, labels in islice(batches, position.steps, None):
                began = time.perf_counter()
                self._train_step(images, labels.numpy())
                epoch, done, running = position.epochs + 1, position.steps, position.epoch
                row = self._end_epoch(began) if done == self.steps_per_epoch else None
                position.seconds += time.perf_counter() - began
                yield Step(epoch, done, running, row)

    def _train_step(self, images: Tensor, labels: Array) -> None:
        position = self.position
        state = get_rng_state()
        with drawing_on(self.settings.seed, self.total_steps):
            loss, answers = self._loss(images, labels)
        score = self.task.score(answers.detach().numpy(), labels)
        value, score, count = sums(loss.item(), score, len(images))
        lr = self.optimizer.param_groups[0]["lr"]
        if not math.isfinite(value):
            raise self._divergence("the loss", value, images, labels, state)
        loss.backward()
        for name, parameter in self.model.named_parameters():
            if parameter._grad is not None and not all_finite(parameter._grad._data):
                what = f"the gradient of {name}"
                raise self._divergence(what, "not finite", images, labels, state)
        self._losses.append(value)
        self.optimizer.step()
        self.schedule.step()
        position.epoch.add(value, score, count)
        position.window.add(value, score, count)
        position.steps += 1
        rows, before = (
            n * _ROWS // self.steps_per_epoch for n in (position.steps, position.steps - 1)
        )
        if rows > before:
            part = position.steps / self.steps_per_epoch
            position.step_rows.append(
                StepRow(self.total_steps, position.epochs + part, *position.window.means(), lr)
            )
            position.window = Mean()
            self.gradients.add(self.total_steps, self.model.named_parameters())

    def _loss(self, images: Tensor, labels: Array) -> tuple[Any, Any]:
        """Compute a batch's loss with gradients cleared, and the network's answers."""
        self.model.zero_grad()
        answers = self.parallel(images)
        return self.network.loss(answers, tensor(self.task.targets(labels))), answers

    def _divergence(
        self, what: str, value: object, images: Tensor, labels: Array, state: dict[str, Any]
    ) -> RunError:
        """Return the error of a step whose numbers are not finite: it is computed again, watched.

        So watching costs nothing as long as all is well.
        """
        lr = self.optimizer.param_groups[0]["lr"]
        text = f"{what} is {value} at step {self.total_steps + 1}: training diverged"
        if world_size() > 1:  # the ranks would not fail together
            return RunError(f"{text}; one process, without mpiexec, finds the place")
        found: AnomalyError | None = None
        set_rng_state(state)
        try:
            with detect_anomaly():
                self._loss(images, labels)[0].backward()
        except AnomalyError as anomaly:
            found = anomaly
            text += f"\n{anomaly}"
        before = list(self._losses)
        rose = bool(before) and (before[-1] > _LEAP * before[0] or value == math.inf)
        if rose:
            losses = ", ".join(f"{loss:.3g}" for loss in before)
            text += f"\nthe loss in the steps before, at learning rate {lr:g}: {losses}"
        if rose or found is None:
            text += f"; a learning rate below {self.settings.lr:g} may help"
        return RunError(text, found)

    def _end_epoch(self, began: float) -> EpochRow:
        """Test, add the epoch's row, and move on to the beginning of the next epoch."""
        position = self.position
        lr = position.step_rows[-1].lr
        tested = self.test()
        if not math.isfinite(tested.loss):
            raise RunError(
                f"the loss of the test is {tested.loss} at step {self.total_steps}: training "
                f"diverged; a learning rate below {self.settings.lr:g} may help"
            )
        row = EpochRow(
            position.epochs + 1,
            self.total_steps,
            *position.epoch.means(),
            tested.loss,
            tested.score,
            lr,
            position.seconds + time.perf_counter() - began,
        )
        position.epoch_rows.append(row)
        position.epochs, position.steps, position.epoch = position.epochs + 1, 0, Mean()
        return row

    def silent(self) -> list[str]:
        """Return the parameters whose gradient was exactly zero everywhere in the last step."""
        return [
            name
            for name, parameter in self.model.named_parameters()
            if parameter.requires_grad
            and (parameter.grad is None or not parameter.grad.numpy().any())
        ]

    def test(self) -> Tested:
        """Let the network answer to all test images, without a graph.

        Rank 0 does it, and tells the others how it went.
        """
        if rank() == 0:
            tested = evaluate(self.model, self.settings, self.test_set)
        else:
            tested = Tested(0.0, 0.0, np.empty(0))
        loss, score = of_the_first(tested.loss, tested.score)
        return Tested(loss, score, tested.answers)

    # ------------------------------------------------------------------ state

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return all that changes in training: what JSON keeps, and arrays by name."""
        optimizer = self.optimizer.state_dict()
        values = {
            "position": self.position.to_json(),
            "generator": get_rng_state(),
            "schedule": self.schedule.state_dict(),
            "param_groups": optimizer["param_groups"],
        }
        weights = self.model.state_dict()
        arrays = {f"model/{name}": np.array(weights[name], order="C") for name in weights}
        for number, items in optimizer["state"].items():
            for name, item in items.items():
                arrays[f"optimizer/{number}.{name}"] = np.asarray(item)
        arrays |= {f"gradients/{name}": array for name, array in self.gradients.state().items()}
        return values, arrays

    def load_state(self, values: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Stand where `state` was called.

        Raises
        ------
        RunError
            If the state is not one of this network and optimiser.
        """
        try:
            self._load_position(Position.from_json(values["position"]))
            self.model.load_state_dict(_part(arrays, "model/"))
            self._load_optimizer(values, _part(arrays, "optimizer/"))
            self.gradients.load_state(_part(arrays, "gradients/"))
            set_rng_state(values["generator"])
        except Exception as error:  # of a state that was edited there are all kinds
            raise RunError(
                f"the checkpoint does not fit {self.settings.network}: {one_line(error)}"
            ) from error

    def _load_position(self, position: Position) -> None:
        whole = position.epochs == self.settings.epochs
        if position.epochs > self.settings.epochs or not (
            0 <= position.steps < (1 if whole else self.steps_per_epoch)
        ):
            raise ValueError(
                f"it stands at step {position.steps} of {self.steps_per_epoch} after "
                f"{position.epochs} of {self.settings.epochs} epochs"
            )
        self.position = position

    def _load_optimizer(self, values: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Take over the optimiser's state, whose options follow from settings and position."""
        options = _without_rates(self.optimizer.state_dict()["param_groups"])
        if _without_rates(values["param_groups"]) != options:
            raise ValueError("the optimiser has other options")
        schedule = {**self.schedule.state_dict(), "last_epoch": self.total_steps}
        if values["schedule"] != schedule:
            raise ValueError("the schedule is another, or stands elsewhere")
        state = _by_parameter(arrays)
        self.optimizer.load_state_dict({"param_groups": values["param_groups"], "state": state})
        self.schedule.load_state_dict(schedule)


def _without_rates(groups: Any) -> list[dict[str, Any]]:
    """Return options of an optimiser but the learning rates, which a schedule sets."""
    return [{name: value for name, value in dict(g).items() if name != "lr"} for g in groups]


def evaluate(model: nn.Module, settings: Settings, dataset: ImageDataset) -> Tested:
    """Let a network answer to images in evaluation mode; the mode is put back after it."""
    network = network_of(settings.network)
    task, transform = task_of(network.target), ToNetwork(settings)
    mean = Mean()
    answers = []
    training = model.training
    model.eval()
    with no_grad():
        for images, numbers in DataLoader(dataset, _TEST_BATCH, transform=transform):
            labels = numbers.numpy()
            output = model(images)
            answers.append(output.numpy())
            value = network.loss(output, tensor(task.targets(labels))).item()
            mean.add(value, task.score(answers[-1], labels), len(labels))
    model.train(training)
    return Tested(*mean.means(), np.concatenate(answers))


def _part(arrays: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def _by_parameter(arrays: dict[str, Array]) -> dict[int, dict[str, Array]]:
    """Return the state of an optimiser from arrays named after parameter and item."""
    state: dict[int, dict[str, Array]] = {}
    for key, array in arrays.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = array
    return state
