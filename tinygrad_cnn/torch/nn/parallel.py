"""``torch.nn.parallel``: on a processor, a module called as it is."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.nn import Module
from tinygrad_cnn.torch.absent import absent

__all__ = ["DataParallel", "data_parallel"]


class DataParallel(Module):
    """Call the module inside, as PyTorch does where there is no graphics card.

    >>> from tinygrad_cnn.nn import Linear
    >>> list(DataParallel(Linear(1, 1)).state_dict())
    ['module.weight', 'module.bias']
    """

    def __init__(self, module: Module, *args: Any, **kwargs: Any) -> None:
        self.module = module

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Call the module."""
        return self.module(*inputs, **kwargs)


def data_parallel(module: Module, inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """Call the module."""
    return module(*inputs) if isinstance(inputs, tuple) else module(inputs)


__getattr__ = absent("torch.nn.parallel")
