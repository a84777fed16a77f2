"""``torch.backends.cudnn``: switches that may be set, and change nothing."""

from __future__ import annotations

benchmark = False
deterministic = True
enabled = False
allow_tf32 = False

__all__ = ["allow_tf32", "benchmark", "deterministic", "enabled", "is_available", "version"]


def is_available() -> bool:
    """Return False."""
    return False


def version() -> None:
    """Return None: there is none."""
