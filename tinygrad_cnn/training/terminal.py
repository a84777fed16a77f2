"""What a run says: results on standard output, progress and warnings on standard error."""

from __future__ import annotations

import sys
import time
from typing import Any

from tinygrad_cnn.training.position import EpochRow
from tinygrad_cnn.training.trainer import Step

__all__ = ["Silence", "Terminal", "score_text"]

_REFRESH = 0.1  # seconds between two states of the bar
_LINES = 10.0  # seconds between two lines where there is no bar


def score_text(metric: str, value: float) -> str:
    """Return a mean score with its name.

    >>> score_text("accuracy", 0.98), score_text("mean absolute error", 1.5)
    ('accuracy 98.00 %', 'mean absolute error 1.500')
    """
    return f"{metric} {100 * value:.2f} %" if metric == "accuracy" else f"{metric} {value:.3f}"


class Terminal:
    """Say what happens: a bar where standard error is a terminal, plain lines elsewhere.

    Parameters
    ----------
    epochs, steps
        Epochs of the run and steps of an epoch.
    metric
        The name of the score.
    quiet
        Say nothing but results at the end, warnings and errors.
    """

    def __init__(self, epochs: int, steps: int, metric: str, quiet: bool) -> None:
        self.epochs = epochs
        self.steps = steps
        self.metric = metric
        self.quiet = quiet
        self._bar: Any = None
        self._shown = time.monotonic()

    def note(self, text: str) -> None:
        """Say something that `quiet` leaves out."""
        if not self.quiet:
            self.result(text)

    def result(self, text: str) -> None:
        """Say something in any case."""
        self.close()
        print(text, flush=True)

    def warn(self, text: str) -> None:
        """Warn."""
        self.close()
        print(text, file=sys.stderr, flush=True)

    def step(self, step: Step) -> None:
        """Show how far an epoch is; at its end, its results."""
        if step.epoch_row is not None:
            self.note(self._epoch_text(step.epoch_row))
            return
        now = time.monotonic()
        wait = _REFRESH if sys.stderr.isatty() else _LINES
        if self.quiet or now - self._shown < wait:
            return
        self._shown = now
        loss, score = step.running.means()
        means = f"loss {loss:.4g}, {score_text(self.metric, score)}"
        if not sys.stderr.isatty():
            name = f"epoch {step.epoch}/{self.epochs}"
            print(f"{name}: step {step.in_epoch:,}/{self.steps:,}, {means}", file=sys.stderr)
            return
        if self._bar is None:
            self._bar = self._new_bar(step.epoch)
        self._bar.set_postfix_str(means, refresh=False)
        self._bar.n = step.in_epoch
        self._bar.refresh()

    def _new_bar(self, epoch: int) -> Any:
        from tqdm import tqdm  # slow to import: `--help` can do without

        return tqdm(
            total=self.steps,
            desc=f"epoch {epoch}/{self.epochs}",
            unit="step",
            file=sys.stderr,
            leave=False,
            dynamic_ncols=True,
        )

    def _epoch_text(self, row: EpochRow) -> str:
        width = len(str(self.epochs))
        return (
            f"epoch {row.epoch:>{width}}/{self.epochs}  "
            f"loss {row.train_loss:<8.4g} {score_text(self.metric, row.train_score)}   "
            f"test loss {row.test_loss:<8.4g} {score_text(self.metric, row.test_score)}   "
            f"{row.seconds:.1f} s"
        )

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Silence(Terminal):
    """Say nothing: another process speaks."""

    def result(self, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""

    def step(self, step: Step) -> None:
        """Show nothing."""
