"""The run folder: what a run leaves behind, and how it is read again.

========================  ======================================================================
``config.json``           settings, data, versions: all that determines the run
``checkpoint.npz``        all that is needed to go on
``metrics.csv``           a row an epoch
``steps.csv``             the training loss, twenty rows an epoch
``gradients.npz``         histograms of the gradients, twenty rows an epoch
``graph.dot, graph.svg``  the compute graph of a training step
``curves.png``            loss and score as a picture
``model.npz``             the weights, once the run is finished
``report.html``           the whole run on one page
========================  ======================================================================

A run may be killed at any moment, and ends, once it is resumed, with the files of one that never
was. So ``config.json`` is written first: from it alone a run can begin. Then the checkpoint is the
only truth; everything else here is written again from it when a run is resumed. ``model.npz`` is
the last file of the training, so that where it is, the others are.
"""

from __future__ import annotations

import csv
import io
import json
import platform
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_cnn
from tinygrad_cnn.atomic import atomic_file, holding_folder, is_leftover, remove_leftovers
from tinygrad_cnn.data import Splits
from tinygrad_cnn.npz import require_file
from tinygrad_cnn.training.checkpoint import Checkpoint, check_about
from tinygrad_cnn.training.errors import RunError, one_line
from tinygrad_cnn.training.position import EpochRow, StepRow
from tinygrad_cnn.training.recipes import Settings
from tinygrad_cnn.training.tasks import DIGIT
from tinygrad_cnn.training.trainer import Trainer

__all__ = ["Onlooker", "RunFolder", "holding", "make_folder"]

_CONFIG, _CHECKPOINT = "config.json", "checkpoint.npz"


def make_folder(out: str | None, network: str) -> Path:
    """Make the folder of a new run: `out`, or ``runs/NETWORK-YYYYmmdd-HHMMSS``.

    Raises
    ------
    RunError
        If it exists and is not an empty folder.
    OSError
        If it cannot be made.
    """
    if out is None:
        return _make_dated(network)
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file; --out takes a folder that is new or empty")
    folder.mkdir(parents=True, exist_ok=True)
    if not all(map(is_leftover, folder.iterdir())):
        run = any((folder / name).exists() for name in (_CONFIG, _CHECKPOINT))
        resume = " (--resume goes on with a run)" if run else ""
        raise RunError(f"{folder} is not empty; --out takes a folder that is new or empty{resume}")
    return folder


def _make_dated(network: str) -> Path:
    stem = f"{network}-{datetime.now():%Y%m%d-%H%M%S}"
    number = 1
    while True:  # two runs may start in the same second
        folder = Path("runs") / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Keep a run's folder from other processes; see `atomic.holding_folder`.

    Raises
    ------
    RunError
        If another process trains there.
    """
    with holding_folder(folder) as held:
        if not held:
            raise RunError(f"another process is training in {folder}: wait until it has ended")
        yield


class RunFolder:
    """The files of a run.

    Parameters
    ----------
    path
        The folder, which exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._about: dict[str, Any] = {}

    def __str__(self) -> str:
        return str(self.path)

    # ------------------------------------------------------------------ writing

    def begin(self, trainer: Trainer) -> None:
        """Write the configuration, then the first checkpoint."""
        self._about = _about(trainer)
        self._write_config(trainer.settings)
        self.save(trainer)

    def _write_config(self, settings: Settings) -> None:
        config = {"settings": settings.asdict(), **self._about}
        self._write(_CONFIG, json.dumps(config, indent=2, ensure_ascii=False) + "\n")

    def save(self, trainer: Trainer) -> None:
        """Write a checkpoint and the rows so far."""
        values, arrays = trainer.state()
        checkpoint = Checkpoint(trainer.settings, self._about, values, arrays)
        checkpoint.save(self.path / _CHECKPOINT)
        self._write_tables(trainer)

    def restore(self, trainer: Trainer) -> None:
        """Write again what follows from the checkpoint that a trainer was loaded from."""
        if not (self.path / _CONFIG).exists():
            self._write_config(trainer.settings)
        self._write_tables(trainer)

    def _write_tables(self, trainer: Trainer) -> None:
        score = trainer.task.metric.replace(" ", "_")
        self._write_rows("metrics.csv", EpochRow._fields, score, trainer.position.epoch_rows)
        self._write_rows("steps.csv", StepRow._fields, score, trainer.position.step_rows)
        trainer.gradients.save(self.path / "gradients.npz")

    def save_model(self, trainer: Trainer) -> None:
        """Write the weights."""
        trainer.model.save_weights(self.path / "model.npz")

    def _write_rows(
        self, name: str, fields: Sequence[str], score: str, rows: Iterable[Sequence[Any]]
    ) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([field.replace("score", score) for field in fields])
        writer.writerows([[_short(value) for value in row] for row in rows])
        self._write(name, text.getvalue())

    def _write(self, name: str, text: str) -> None:
        with atomic_file(self.path / name) as file:
            file.write(text.encode())

    def clean(self) -> None:
        """Remove what writes that were cut short by a kill left over."""
        remove_leftovers(self.path)

    # ------------------------------------------------------------------ reading

    def has_only_begun(self) -> bool:
        """Whether the run was killed before its first checkpoint: its configuration is all."""
        return not (self.path / _CHECKPOINT).exists() and (self.path / _CONFIG).exists()

    def load(self) -> Checkpoint:
        """Read the checkpoint.

        Raises
        ------
        RunError
            If this is not the folder of a run, or its checkpoint is damaged.
        """
        if not self.path.is_dir():
            raise RunError(f"there is no folder {self.path}")
        if not (self.path / _CHECKPOINT).exists():
            raise RunError(f"{self.path} is not the folder of a run: it has no {_CHECKPOINT}")
        checkpoint = Checkpoint.load(self.path / _CHECKPOINT)
        self._about = checkpoint.about
        return checkpoint

    def load_config(self) -> tuple[Settings, dict[str, Any]]:
        """Read the configuration: the settings, and what else is known of the run.

        Raises
        ------
        RunError
            If it is damaged.
        OSError
            If it cannot be read.
        """
        path = self.path / _CONFIG
        try:
            require_file(path)
            content = dict(json.loads(path.read_text(encoding="utf-8")))
            settings = Settings.of(**content.pop("settings"))
            check_about(content)
        except OSError:
            raise
        except Exception as error:  # of damaged text there are all kinds
            raise RunError(f"{path} is damaged: {one_line(error)}") from error
        return settings, content


class Onlooker(RunFolder):
    """The files of a run that another process writes."""

    def begin(self, trainer: Trainer) -> None:
        """Write nothing."""

    def save(self, trainer: Trainer) -> None:
        """Write nothing."""

    def restore(self, trainer: Trainer) -> None:
        """Write nothing."""

    def save_model(self, trainer: Trainer) -> None:
        """Write nothing."""

    def clean(self) -> None:
        """Remove nothing."""


def _about(trainer: Trainer) -> dict[str, Any]:
    """Return what there is to know about a run besides its settings, ready for JSON."""
    splits = Splits(trainer.train_set, trainer.test_set)
    return {
        "about": trainer.network.about,
        "target": trainer.network.target
        + (f": {DIGIT}" if "digit" in trainer.network.target else ""),
        "metric": trainer.task.metric,
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
        "steps_per_epoch": trainer.steps_per_epoch,
        "channels": trainer.channels,
        "classes": list(trainer.train_set.classes),
        "train_images": len(trainer.train_set),
        "test_images": len(trainer.test_set),
        "data_crc32": data_checksum(splits),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Return the versions that can change the last bits of a run."""
    return {
        "tinygrad_cnn": tinygrad_cnn.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }


def data_checksum(splits: Splits) -> str:
    """Return a checksum of all images and labels, in hexadecimal."""
    checksum = 0
    for dataset in splits:
        for array in (dataset.images, dataset.labels):
            checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return f"{checksum:08x}"


def _short(value: float) -> float | str:
    """Return a float with the digits that mean something."""
    return f"{value:.7g}" if isinstance(value, float) else value
