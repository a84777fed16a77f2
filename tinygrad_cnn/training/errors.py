"""What a training run can fail of: mistakes and mishaps that one line explains to the user."""

from __future__ import annotations

from tinygrad_cnn.anomaly import AnomalyError

__all__ = ["RunError", "SettingsError", "one_line"]


class SettingsError(ValueError):
    """A setting is out of range, or settings do not go together; the message says what does."""


class RunError(RuntimeError):
    """A run cannot go on: its folder, its checkpoint or its loss is not what it has to be.

    Attributes
    ----------
    anomaly
        Where a NaN or an infinity was made, if that is why.
    """

    def __init__(self, text: str, anomaly: AnomalyError | None = None) -> None:
        super().__init__(text)
        self.anomaly = anomaly


def one_line(error: Exception) -> str:
    """Return an error's kind and the first line of its message.

    >>> one_line(KeyError("lr"))
    "KeyError: 'lr'"
    """
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
