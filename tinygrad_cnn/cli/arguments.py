"""Arguments of the subcommands: names, types, and data sets; every mistake said in one line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygrad_cnn.data import Splits

__all__ = [
    "DATA",
    "NETWORKS",
    "OPTIMIZERS",
    "SCHEDULES",
    "Subparsers",
    "UsageError",
    "integer",
    "load_data",
    "one_of",
    "positive",
]

# Names that the help shows without importing what they stand for; a test compares them.
NETWORKS = ("batchnorm", "momentum", "regression", "sigmoid", "softmax")
OPTIMIZERS = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw")
SCHEDULES = ("onecycle", "cosine", "step", "none")
DATA = ("digits", "mnist", "fashion-mnist")

Subparsers = Any  # argparse keeps the type of what add_subparsers returns private


class UsageError(Exception):
    """Arguments are wrong in a way that shows only when the command runs."""


def one_of(names: Sequence[str]) -> Callable[[str], str]:
    """Return a type of argument: one of these names."""

    def check(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"expected one of {', '.join(names)}, got {text!r}")
        return text

    return check


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
    except ValueError as error:
        raise UsageError(f"argument --data: {str(error).removeprefix('load: ')}") from error
