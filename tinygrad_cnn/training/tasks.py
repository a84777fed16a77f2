"""What a network learns: its targets, how well it does, and what its answers mean.

A network answers with one row an image. A `Task` makes targets of the labels, counts what is
right, and says both an answer and a whole test in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.training.errors import RunError
from tinygrad_cnn.types import Array

__all__ = ["DIGIT", "Classify", "Detect", "Estimate", "Task", "task_of"]


_SURE = 0.7  # the least probability that an answer is given with, not only guessed
DIGIT = 0
"""The digit that a network with the target "is_digit" looks for."""


class Task(Protocol):
    """What a network learns; N images, K classes."""

    metric: ClassVar[str]
    """The name of the mean score: "accuracy" (larger is better) or "mean absolute error"."""

    def targets(self, labels: Array, dtype: npt.DTypeLike = np.float32) -> Array:
        """Make of labels (N,) what the loss compares the network's answers with."""

    def score(self, answers: Array, labels: Array) -> float:
        """Return the sum of the images' scores."""

    def table(self, answers: Array, labels: Array, classes: Sequence[str]) -> str:
        """Show a whole test: what was answered to what."""

    def words(self, answers: Array, classes: Sequence[str]) -> list[str]:
        """Say each answer in words."""

    def sure(self, answers: Array) -> Array:
        """Return whether each answer is one to rely on, (N,) of bool."""


class Classify:
    """Which of the K classes: answers are logits (N, K)."""

    metric: ClassVar[str] = "accuracy"

    def targets(self, labels: Array, dtype: npt.DTypeLike = np.float32) -> Array:  # noqa: ARG002
        """Return the labels: classes stay integers."""
        return labels

    def score(self, answers: Array, labels: Array) -> float:
        """Count the images whose largest logit is that of their class."""
        return float(np.count_nonzero(answers.argmax(1) == labels))

    def table(self, answers: Array, labels: Array, classes: Sequence[str]) -> str:
        """Show how many images of each class (row) were taken for each class (column)."""
        names = _every_name(classes, answers.shape[1])
        counts = np.zeros((len(names), len(names)), int)
        np.add.at(counts, (labels, answers.argmax(1)), 1)
        return _counts(counts, names, [str(number) for number in range(len(names))])

    def words(self, answers: Array, classes: Sequence[str]) -> list[str]:
        """Name the likeliest class with its probability.

        >>> Classify().words(np.array([[0.0, np.log(3.0)]]), ["cat", "dog"])
        ['dog (75.0 %)']
        """
        names = _every_name(classes, answers.shape[1])
        return [f"{names[row.argmax()]} ({100 * row.max():.1f} %)" for row in _softmax(answers)]

    def sure(self, answers: Array) -> Array:
        """Tell whether the likeliest class has a probability of 70 % or more."""
        return np.asarray(_softmax(answers).max(1) >= _SURE)


class Detect:
    """Is it the digit: answers are probabilities (N, 1)."""

    metric: ClassVar[str] = "accuracy"

    def targets(self, labels: Array, dtype: npt.DTypeLike = np.float32) -> Array:
        """Return 1 for the digit and 0 for others, (N, 1)."""
        targets: Array = (labels == DIGIT).astype(dtype)[:, np.newaxis]  # (N, 1)
        return targets

    def score(self, answers: Array, labels: Array) -> float:
        """Count the images for which "more likely than not" is the truth."""
        return float(np.count_nonzero((answers[:, 0] > 0.5) == (labels == DIGIT)))

    def table(self, answers: Array, labels: Array, classes: Sequence[str]) -> str:
        """Show how many images of the digit and of others (row) were taken for it (column)."""
        counts = np.zeros((2, 2), int)
        np.add.at(counts, ((labels == DIGIT).astype(int), (answers[:, 0] > 0.5).astype(int)), 1)
        names = [f"not {classes[DIGIT]}", classes[DIGIT]]
        return _counts(counts, names, names)

    def words(self, answers: Array, classes: Sequence[str]) -> list[str]:
        """Say whether it is the digit, with the probability of that.

        >>> Detect().words(np.array([[0.25]]), ["0", "1"])
        ['not 0 (probability of 0: 25.0 %)']
        """
        name = classes[DIGIT]
        return [
            f"{name if p > 0.5 else f'not {name}'} (probability of {name}: {100 * p:.1f} %)"
            for p in answers[:, 0].tolist()
        ]

    def sure(self, answers: Array) -> Array:
        """Tell whether one of the two has a probability of 70 % or more."""
        return np.asarray(np.abs(answers[:, 0] - 0.5) >= _SURE - 0.5)


class Estimate:
    """The class's number as a real number: answers are numbers (N, 1)."""

    metric: ClassVar[str] = "mean absolute error"

    def targets(self, labels: Array, dtype: npt.DTypeLike = np.float32) -> Array:
        """Return the numbers, (N, 1)."""
        return labels[:, np.newaxis].astype(dtype)  # (N, 1)

    def score(self, answers: Array, labels: Array) -> float:
        """Add up the absolute errors."""
        return float(np.abs(answers[:, 0].astype(float) - labels).sum())

    def table(self, answers: Array, labels: Array, classes: Sequence[str]) -> str:
        """Show mean and standard deviation of the answers to each class."""
        lines = ["true   images   mean answer   deviation"]
        for label, name in enumerate(classes):
            given = answers[labels == label, 0].astype(float)
            if given.size:
                lines.append(
                    f"{name:<6} {given.size:>6,} {given.mean():>13.2f} {given.std():>11.2f}"
                )
        return "\n".join(lines)

    def words(self, answers: Array, classes: Sequence[str]) -> list[str]:  # noqa: ARG002
        """Return the numbers.

        >>> Estimate().words(np.array([[6.94]]), ["0", "1"])
        ['6.94']
        """
        return [f"{value:.2f}" for value in answers[:, 0].tolist()]

    def sure(self, answers: Array) -> Array:
        """Tell whether the number is near an integer, as all classes are."""
        return np.asarray(np.abs(answers[:, 0] - np.rint(answers[:, 0])) <= 1 - _SURE)


def _softmax(answers: Array) -> Array:
    scaled = np.exp(answers - answers.max(1, keepdims=True))
    probabilities: Array = scaled / scaled.sum(1, keepdims=True)  # (N, K)
    return probabilities


_TASKS: dict[str, Task] = {"class": Classify(), "is_digit": Detect(), "value": Estimate()}


def task_of(target: str) -> Task:
    """Return the task of a network's target: "class", "is_digit" or "value".

    Raises
    ------
    RunError
        If it is none of these.
    """
    if target not in _TASKS:
        raise RunError(f"the target of a network is one of {', '.join(_TASKS)}, got {target!r}")
    return _TASKS[target]


def _every_name(classes: Sequence[str], answers: int) -> list[str]:
    """Return a name for each answer: the data may have fewer classes than the network tells.

    >>> _every_name(["cat", "dog"], 3)
    ['cat', 'dog', '2']
    """
    return [*classes, *(str(number) for number in range(len(classes), answers))]


def _counts(counts: Array, rows: Sequence[str], columns: Sequence[str]) -> str:
    """Lay out a table of counts; zeros are dots, so that mistakes stand out."""
    cells = [[str(n) if n else "·" for n in row] for row in counts.tolist()]
    width = max(len(text) for row in [columns, *cells] for text in row) + 1
    margin = max(len("true"), *map(len, rows))
    lines = [f"{'true':<{margin}}  answered"]
    lines.append(" " * margin + " " + "".join(f"{name:>{width}}" for name in columns))
    for name, row in zip(rows, cells, strict=True):
        lines.append(f"{name:<{margin}} " + "".join(f"{text:>{width}}" for text in row))
    return "\n".join(lines)
