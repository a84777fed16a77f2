"""What a training run can fail of: mistakes and mishaps that one line explains to the user."""

from __future__ import annotations

__all__ = ["RunError", "SettingsError"]


class SettingsError(ValueError):
    """A setting is out of range, or settings do not go together; the message says what does."""


class RunError(RuntimeError):
    """A run cannot go on: its folder, its checkpoint or its loss is not what it has to be."""
