"""Arguments of the subcommands: names, types, and data sets; every mistake said in one line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygrad_cnn.data import Splits

__all__ = [
    "ARCHITECTURES",
    "DATA",
    "FRAMEWORKS",
    "NETWORKS",
    "OPTIMIZERS",
    "SCHEDULES",
    "Subparsers",
    "UsageError",
    "check_output",
    "did_you_mean",
    "integer",
    "load_data",
    "one_of",
    "positive",
]

# Names that the help shows without importing what they stand for; a test compares them.
NETWORKS = ("batchnorm", "momentum", "regression", "sigmoid", "softmax")
ARCHITECTURES = (
    *("lenet5", "alexnet", "vgg11", "vgg16", "resnet20", "resnet18", "resnet34", "resnet50"),
    *("squeezenet", "densenet", "mobilenetv2", "mobilenetv3", "efficientnet-b0", "convnext-tiny"),
)
OPTIMIZERS = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw")
SCHEDULES = ("onecycle", "cosine", "step", "none")
DATA = ("digits", "mnist", "fashion-mnist")
FRAMEWORKS = ("tinygrad", "torch", "jax", "autograd", "numpy")

Subparsers = Any  # argparse keeps the type of what add_subparsers returns private


class UsageError(Exception):
    """Arguments are wrong in a way that shows only when the command runs."""


def one_of(names: Sequence[str]) -> Callable[[str], str]:
    """Return a type of argument: one of these names."""

    def check(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(
                f"expected one of {', '.join(names)}, got {text!r}{did_you_mean(text, names)}"
            )
        return text

    return check


def did_you_mean(text: str, names: Sequence[str]) -> str:
    """Return a question to put behind a message, empty if no name is near.

    >>> did_you_mean("trian", ("train", "check")), did_you_mean("fly", ("train", "check"))
    ("; did you mean 'train'?", '')
    """
    import difflib

    near = difflib.get_close_matches(text, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def check_output(option: str, path: Path | None) -> None:
    """Refuse a file that cannot be written, before the work for it is done.

    Raises
    ------
    UsageError
        If it is a folder, or its folder does not exist or lets nobody write.
    """
    if path is None:
        return
    if path.is_dir():
        raise UsageError(f"argument {option}: {path} is a folder; expected the name of a file")
    if not path.parent.is_dir():
        raise UsageError(f"argument {option}: there is no folder {path.parent} to write {path} to")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"argument {option}: {path.parent} cannot be written to")


def integer(least: int) -> Callable[[str], int]:
    """Return a type of argument: an integer of at least `least`."""

    def check(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"expected an integer of at least {least}, got {text!r}"
            )
        return int(text)

    return check


def positive(text: str) -> float:
    """Parse a positive finite number."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text!r}")
    return value


def load_data(name: str) -> Splits:
    """Load a data set; an unknown name is a wrong argument."""
    from tinygrad_cnn.data import DownloadError, IdxError, load
    from tinygrad_cnn.training import RunError

    try:
        return load(name)
    except (DownloadError, IdxError) as error:
        raise RunError(str(error)) from error
    except (ValueError, ImportError) as error:
        raise UsageError(f"argument --data: {str(error).removeprefix('load: ')}") from error
