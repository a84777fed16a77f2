"""``torch.fx``: the graph here is the recorded one; `viz.graph` shows it."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.torch.absent import absent

__all__ = ["Proxy", "wrap"]


class Proxy:
    """What PyTorch's tracing hands to a function; nothing here is one."""


def wrap(fn_or_name: Any) -> Any:
    """Return the function: nothing traces it."""
    return fn_or_name


__getattr__ = absent("torch.fx")
