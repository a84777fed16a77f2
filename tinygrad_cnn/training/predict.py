"""Answers of a trained network to images from files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn import nn
from tinygrad_cnn.autograd import no_grad
from tinygrad_cnn.models import network_of
from tinygrad_cnn.nn.weights import read_arrays
from tinygrad_cnn.tensor import tensor
from tinygrad_cnn.training.errors import RunError
from tinygrad_cnn.training.folder import RunFolder
from tinygrad_cnn.training.images import ToNetwork
from tinygrad_cnn.training.pictures import Picture, read_pictures
from tinygrad_cnn.training.recipes import Settings
from tinygrad_cnn.training.tasks import task_of
from tinygrad_cnn.types import Array

__all__ = ["Predictor"]


_BATCH = 250


class Predictor:
    """A run's network with its weights.

    Parameters
    ----------
    folder
        The run's folder.

    Attributes
    ----------
    note
        What to tell of the weights: None, or that the run is not finished.

    Raises
    ------
    RunError
        If the folder holds no run, or its files are damaged.
    OSError
        If they cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.note: str | None = None
        self.settings, about, weights = self._read(folder)
        self.classes: Sequence[str] = about["classes"]
        self.channels: int = about["channels"]
        network = network_of(self.settings.network)
        self.task = task_of(network.target)
        self.model: nn.Module = network.make(self.channels, len(self.classes))
        try:
            self.model.load_state_dict(weights)
        except (TypeError, ValueError) as error:
            raise RunError(f"the weights in {folder} do not fit: {error}") from error
        self.model.eval()
        if not all(np.isfinite(array).all() for array in weights.values()):
            raise RunError(f"the weights in {folder} are not finite: training diverged")

    def _read(self, folder: Path) -> tuple[Settings, dict[str, Any], dict[str, Array]]:
        """Return settings, what is known of the run, and weights.

        Of a run that is not finished, they are the checkpoint's.
        """
        if not (folder / "model.npz").exists():
            checkpoint = RunFolder(folder).load()
            position = checkpoint.values["position"]
            self.note = f"{folder} is not finished: weights after {position['epochs']} epochs"
            prefix = "model/"
            weights = {
                name.removeprefix(prefix): array
                for name, array in checkpoint.arrays.items()
                if name.startswith(prefix)
            }
            return checkpoint.settings, checkpoint.about, weights
        settings, about = RunFolder(folder).load_config()
        try:
            weights = read_arrays(folder / "model.npz")
        except ValueError as error:
            raise RunError(str(error).removeprefix("load_weights: ")) from error
        return settings, about, weights

    def answers(self, images: Array) -> Array:
        """Return the network's answers (N, …) to images (N, 28, 28) of uint8."""
        transform = ToNetwork(self.settings)
        outputs = []
        with no_grad():
            for start in range(0, len(images), _BATCH):
                batch = transform(images[start : start + _BATCH])
                outputs.append(self.model(tensor(batch)).numpy())
        return np.concatenate(outputs)

    def lines(self, files: Sequence[Path]) -> Iterator[str]:
        """Read each file and say the answer to each of its images.

        Raises
        ------
        RunError, OSError
            If a file cannot be read; those before it are answered. If the network learnt from
            images of several channels: pictures are read as the grey ones of digits are.
        """
        if self.channels > 1:
            raise RunError(
                f"{self.settings.network} learnt from images of {self.channels} channels, and "
                "pictures are read as grey ones: load its weights with `load_weights`, and give "
                "it arrays"
            )
        for file in files:
            pictures = read_pictures(file)
            while some := list(islice(pictures, _BATCH)):
                answers = self.answers(np.stack([picture.pixels for picture in some]))
                words = self.task.words(answers, self.classes)
                sure = self.task.sure(answers)
                yield from map(_line, some, words, sure.tolist())


def _line(picture: Picture, text: str, sure: bool) -> str:
    if picture.doubt == "blank":
        return f"{picture.name}: blank"
    notes = [*picture.changes, *([picture.doubt] if picture.doubt else [])]
    doubt = "" if sure and not picture.doubt else "unsure, "
    return f"{picture.name}: {doubt}{text}" + (f"   [{'; '.join(notes)}]" if notes else "")
