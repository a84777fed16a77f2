"""``torch.accelerator``: there is none here."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.torch.absent import absent
from tinygrad_cnn.torch.cuda import device_count, is_available, synchronize

__all__ = ["current_accelerator", "device_count", "is_available", "synchronize"]


def current_accelerator(check_available: bool = False) -> Any:
    """Return None: there is none."""
    return None


__getattr__ = absent("torch.accelerator")
