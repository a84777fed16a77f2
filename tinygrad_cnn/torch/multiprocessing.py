"""``torch.multiprocessing``: Python's own; tensors are copied between processes."""

from __future__ import annotations

from multiprocessing import *
from typing import Any

__all__ = ["set_sharing_strategy"]


def set_sharing_strategy(new_strategy: Any) -> None:
    """Accept: tensors are copied between processes."""
