"""The picture of a run: loss and score over the epochs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from tinygrad_cnn.atomic import atomic_file
from tinygrad_cnn.training.position import EpochRow, StepRow

__all__ = ["draw_curves"]


def draw_curves(
    path: Path,
    title: str,
    metric: str,
    step_rows: Sequence[StepRow],
    epoch_rows: Sequence[EpochRow],
) -> None:
    """Draw the training loss and score as lines and those of the tests as points, to a PNG file.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    # Imported here, since it takes a second; the figure is made without pyplot's global state.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(title)
    steps = [row.epoch for row in step_rows]
    epochs = [row.epoch for row in epoch_rows]
    panels = (
        ("loss", [r.train_loss for r in step_rows], [r.test_loss for r in epoch_rows]),
        (metric, [r.train_score for r in step_rows], [r.test_score for r in epoch_rows]),
    )
    for axes, (label, train, test) in zip(figure.subplots(1, 2), panels, strict=True):
        axes.plot(steps, train, color="C0", linewidth=1, label="training")
        axes.plot(epochs, test, color="C1", marker="o", label="test")
        axes.set(xlabel="epoch", ylabel=label)
        values = [*train, *test]
        if label == "loss" and min(values) > 0 and max(values) > 20 * min(values):
            axes.set_yscale("log")
        axes.grid(alpha=0.3)
        axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    with atomic_file(path) as file:
        file.write(picture.getvalue())
