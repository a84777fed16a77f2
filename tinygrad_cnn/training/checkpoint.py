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
from tinygrad_cnn.training.errors import RunError, SettingsError, one_line
from tinygrad_cnn.training.position import Position
from tinygrad_cnn.training.recipes import Settings

__all__ = ["Checkpoint", "check_about"]

_FORMAT = 2
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
            check_about(about)
            Position.from_json(values["position"])
        except OSError:
            raise
        except SettingsError as error:
            raise RunError(f"the checkpoint {path} holds wrong settings: {error}") from error
        except Exception as error:  # of damaged bytes the readers raise all kinds
            raise RunError(f"{path} is damaged or not a checkpoint ({one_line(error)})") from error
        if found != _FORMAT:
            raise RunError(f"{path} has format {found}; this version reads format {_FORMAT}")
        return cls(settings, about, values, arrays)


# What is known of a run besides its settings, and what kind of thing each is.
_ABOUT: dict[str, type] = {
    "about": str,
    "target": str,
    "metric": str,
    "parameters": int,
    "steps_per_epoch": int,
    "channels": int,
    "classes": list,
    "train_images": int,
    "test_images": int,
    "data_crc32": str,
    "versions": dict,
}
_VERSIONS = {"tinygrad_cnn", "numpy", "python", "machine"}


def check_about(about: Any) -> None:
    """Raise a ValueError unless this is what a run notes of itself besides its settings."""
    if not isinstance(about, dict) or about.keys() != _ABOUT.keys():
        raise ValueError(f"expected {', '.join(_ABOUT)}")
    for name, kind in _ABOUT.items():
        if type(about[name]) is not kind:
            raise ValueError(f"{name} is {about[name]!r:.80}")
    versions = about["versions"]
    if versions.keys() != _VERSIONS or not all(isinstance(v, str) for v in versions.values()):
        raise ValueError(f"versions are {versions!r:.80}")
    if not about["classes"] or not all(isinstance(name, str) for name in about["classes"]):
        raise ValueError(f"classes are {about['classes']!r:.80}")
