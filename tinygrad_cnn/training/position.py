"""How far a run is, and the rows of its tables: plain numbers, which JSON keeps bit for bit."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from tinygrad_cnn.training.errors import one_line

__all__ = ["EpochRow", "Mean", "Position", "StepRow"]


@dataclass
class Mean:
    """Loss and score added up over images."""

    loss: float = 0.0
    score: float = 0.0
    images: int = 0

    def add(self, loss: float, score: float, images: int) -> None:
        """Add a batch, of its mean loss and the sum of its scores."""
        self.loss += loss * images
        self.score += score
        self.images += images

    def means(self) -> tuple[float, float]:
        """Return mean loss and mean score, NaN of no images."""
        if not self.images:
            return math.nan, math.nan
        return self.loss / self.images, self.score / self.images


class StepRow(NamedTuple):
    """Training loss and score since the row before, with the rate of the last of these steps."""

    step: int
    epoch: float
    train_loss: float
    train_score: float
    lr: float


class EpochRow(NamedTuple):
    """An epoch: means over its training images as they went by, and the test after it."""

    epoch: int
    step: int
    train_loss: float
    train_score: float
    test_loss: float
    test_score: float
    lr: float
    seconds: float


@dataclass
class Position:
    """How far a run is: whole epochs, steps in the next, the means under way, the rows so far."""

    epochs: int = 0
    steps: int = 0
    seconds: float = 0.0
    epoch: Mean = field(default_factory=Mean)
    window: Mean = field(default_factory=Mean)
    epoch_rows: list[EpochRow] = field(default_factory=list)
    step_rows: list[StepRow] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return dicts, lists and numbers; JSON keeps each bit of a float."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> Position:
        """Return what `to_json` was called on.

        Raises
        ------
        ValueError
            If it is something else.
        """
        try:
            position = cls(
                **{
                    **values,
                    "epoch_rows": [EpochRow(*row) for row in values["epoch_rows"]],
                    "step_rows": [StepRow(*row) for row in values["step_rows"]],
                    "epoch": Mean(**values["epoch"]),
                    "window": Mean(**values["window"]),
                }
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"no position in a run: {one_line(error)}") from error
        means = (vars(position.epoch).values(), vars(position.window).values())
        numbers = (position.epochs, position.steps, position.seconds)
        for value in chain(numbers, *means, *position.epoch_rows, *position.step_rows):
            if type(value) not in (int, float) or not math.isfinite(value):
                raise ValueError(f"no position in a run: {value!r:.40} is no number")
        if type(position.epochs) is not int or type(position.steps) is not int:
            raise ValueError("no position in a run: epochs and steps are integers")
        if len(position.epoch_rows) != position.epochs or min(numbers) < 0:
            raise ValueError("no position in a run: epochs and rows do not fit")
        return position
