"""``torch.distributed``: one process computes here, and scripts that ask are told so."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.torch.absent import absent

__all__ = ["barrier", "get_rank", "get_world_size", "is_available", "is_initialized"]


def is_available() -> bool:
    """Return False."""
    return False


is_initialized = is_available


def get_rank(group: Any = None) -> int:
    """Return 0, the only process's."""
    return 0


def get_world_size(group: Any = None) -> int:
    """Return 1."""
    return 1


def barrier(*args: Any, **kwargs: Any) -> None:
    """Do nothing: there is nobody to wait for."""


__getattr__ = absent("torch.distributed")
