"""A run as plain data, and what its answers come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn import nn
from tinygrad_cnn.report.gradients import GradientLog
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.types import Array

__all__ = ["Confusion", "Mistake", "Rows", "Run"]

Rows = Mapping[str, Sequence[float]]
"""A table by columns."""


@dataclass(frozen=True)
class Mistake:
    """An image that was answered wrongly: its place among the test images, and both answers."""

    index: int
    truth: str
    answer: str
    detail: str


@dataclass(frozen=True)
class Confusion:
    """How many images of each class (rows) were taken for each class (columns)."""

    counts: Array  # (R, C) of integers
    truths: Sequence[str]
    answers: Sequence[str]


@dataclass(frozen=True)
class Run:
    """All that the page tells of.

    Attributes
    ----------
    network, about
        Name of the network, and what it is in a few words.
    place
        The run's folder, as text.
    settings, facts
        What the run was asked for; what else is known (data, versions). Text or numbers by name.
    metric
        "accuracy" or "mean absolute error".
    target
        What is learnt: "class" (answers are logits (N, K)), "is_digit" (probabilities (N, 1) of
        the first class) or "value" (numbers (N, 1)).
    classes
        Names of the K classes.
    epochs, steps
        Columns "epoch", "step", "train_loss", "train_score", "lr"; of epochs also "test_loss",
        "test_score", "seconds".
    images, labels, answers
        The test: uint8 (N, H, W), integers (N,), and the network's answers.
    model
        The network with the weights of the run.
    loss
        The recorded loss of a few training images, computed in training mode by a copy of it.
    example
        The recorded answer to one test image, the first.
    gradients
        Histograms in the course of training, where they were kept.
    note
        What to tell of the weights, such as that the run is not finished.
    command
        What repeats the run, "" if it is not known.
    """

    network: str
    about: str
    place: str
    settings: Mapping[str, Any]
    facts: Mapping[str, Any]
    metric: str
    target: str
    classes: Sequence[str]
    epochs: Rows
    steps: Rows
    images: Array
    labels: Array
    answers: Array
    model: nn.Module
    loss: Tensor
    example: Tensor
    gradients: GradientLog | None = None
    note: str | None = None
    command: str = ""

    @property
    def score(self) -> float:
        """The metric over all test images."""
        if self.target == "value":
            return float(np.abs(self.answers[:, 0].astype(float) - self.labels).mean())
        return float((self._answered() == self._truth()).mean())

    def _answered(self) -> Array:
        """Return the class of each answer (N,); of a detector 1 is the digit, 0 others."""
        single = self.target == "is_digit"
        answered: Array = self.answers[:, 0] > 0.5 if single else self.answers.argmax(1)  # (N,)
        return answered.astype(int)

    def _truth(self) -> Array:
        return self.labels if self.target == "class" else (self.labels == 0).astype(int)

    def _names(self) -> list[str]:
        if self.target == "class":
            names = [str(name) for name in self.classes]
            return names + [str(i) for i in range(len(names), self.answers.shape[1])]
        return [f"not {self.classes[0]}", str(self.classes[0])]

    def confusion(self) -> Confusion:
        """Return how often each class was taken for each; for numbers, the nearest class."""
        names = [str(name) for name in self.classes] if self.target == "value" else self._names()
        counts = np.zeros((len(names), len(names)), int)
        if self.target == "value":
            values = np.nan_to_num(self.answers[:, 0].astype(float))
            nearest = np.clip(np.rint(values), 0, len(names) - 1).astype(int)
            np.add.at(counts, (self.labels, nearest), 1)
        else:
            np.add.at(counts, (self._truth(), self._answered()), 1)
        return Confusion(counts, names, names)

    def mistakes(self, most: int) -> list[Mistake]:
        """Return what was most wrong, the worst first.

        The worst are those where the truth was given the least probability; for numbers, those
        furthest off.
        """
        if self.target == "value":
            return self._furthest(most)
        truth, answered, names = self._truth(), self._answered(), self._names()
        probabilities = self.probabilities()
        rows = np.arange(len(truth))
        of_truth = probabilities[rows, truth]
        wrong = np.flatnonzero(answered != truth)
        worst = wrong[np.argsort(of_truth[wrong], kind="stable")][:most]
        return [
            Mistake(
                int(i),
                names[truth[i]],
                names[answered[i]],
                f"{_percent(probabilities[i, answered[i]])} for {names[answered[i]]}, "
                f"{_percent(of_truth[i])} for {names[truth[i]]}",
            )
            for i in worst
        ]

    def _furthest(self, most: int) -> list[Mistake]:
        errors = np.nan_to_num(self.answers[:, 0].astype(float) - self.labels, nan=np.inf)
        worst = np.argsort(-np.abs(errors), kind="stable")[:most]
        return [
            Mistake(
                int(i),
                str(self.classes[self.labels[i]]),
                f"{self.answers[i, 0]:.2f}",
                f"off by {errors[i]:+.2f}",
            )
            for i in worst
        ]

    def probabilities(self) -> Array:
        """Return the probability of each class (N, K); of a detector (N, 2)."""
        answers = self.answers.astype(np.float64)
        if self.target == "is_digit":
            return np.concatenate([1 - answers, answers], axis=1)  # (N, 2)
        scaled = np.exp(answers - answers.max(1, keepdims=True))
        probabilities: Array = scaled / scaled.sum(1, keepdims=True)  # (N, K)
        return probabilities


def _percent(share: float) -> str:
    """Return a probability as text that never says 0 or 100 % of what is not.

    >>> _percent(0.9996), _percent(0.25), _percent(1e-7)
    ('> 99.9 %', '25.0 %', '< 0.1 %')
    """
    if share < 0.001:
        return "< 0.1 %"
    if share > 0.999:
        return "> 99.9 %"
    return f"{100 * share:.1f} %"
