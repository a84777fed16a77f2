"""``torch.compiler``: there is none."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.torch.absent import absent

__all__ = ["disable", "is_compiling"]


def is_compiling() -> bool:
    """Return False."""
    return False


def disable(fn: Any = None, recursive: bool = True) -> Any:
    """Return the function."""
    return (lambda function: function) if fn is None else fn


__getattr__ = absent("torch.compiler")
