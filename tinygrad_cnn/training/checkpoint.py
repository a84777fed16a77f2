"""Checkpoints: one file that holds all that a run needs to go on, and no pickle.

The file is NumPy's ``.npz``: the arrays of network and optimiser by name, and one array of bytes,
``json``, with everything else. It replaces the one before it in a single step, so that a run
killed at any moment leaves a whole one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.nn.weights import read_arrays, write_arrays
from tinygrad_cnn.training.errors import RunError, SettingsError
from tinygrad_cnn.training.recipes import Settings

__all__ = ["Checkpoint"]

_FORMAT = 1
_JSON = "json"


@dataclass(frozen=True)
class Checkpoint:
    """A run at a moment.

    Attributes
    ----------
    settings
        Those of the run.
    about
        What is known of the run besides: its data, versions of what it ran on.
    values, arrays
        The trainer's state: what JSON keeps, and arrays by name.
    """

    settings: Settings
    about: dict[str, Any]
    values: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]]

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        text = json.dumps(
            {
                "format": _FORMAT,
                "settings": self.settings.asdict(),
                "about": self.about,
                "state": self.values,
            }
        )
        write_arrays(path, {**self.arrays, _JSON: np.frombuffer(text.encode(), np.uint8)})

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read what `save` wrote.

        Raises
        ------
        RunError
            If there is no such file, or it is damaged or something else.
        OSError
            If it cannot be opened.
        """
        if not path.exists():
            raise RunError(f"there is no checkpoint {path}")
        try:
            arrays = read_arrays(path)
            content = json.loads(arrays.pop(_JSON).tobytes())
            found = content["format"]
            settings = Settings.of(**content["settings"])
            about, values = content["about"], content["state"]
        except OSError:
            raise
        except SettingsError as error:
            raise RunError(f"the checkpoint {path} holds wrong settings: {error}") from error
        except Exception as error:  # of damaged bytes the readers raise all kinds
            raise RunError(f"{path} is damaged or not a checkpoint ({_one_line(error)})") from error
        if found != _FORMAT:
            raise RunError(f"{path} has format {found}; this version reads format {_FORMAT}")
        return cls(settings, about, values, arrays)


def _one_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
