"""``torch.nn.parallel``: a module called as it is, and one that several processes train."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import distributed
from tinygrad_cnn.nn import Module
from tinygrad_cnn.torch.absent import absent

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]


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


class DistributedDataParallel(distributed.DataParallel):
    """`tinygrad_cnn.distributed.DataParallel` with PyTorch's arguments: all ranks count the same.

    >>> from tinygrad_cnn.torch import nn
    >>> DistributedDataParallel(nn.Linear(2, 1)).average
    'ranks'
    """

    def __init__(
        self,
        module: Module,
        device_ids: Any = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool = True,
        process_group: Any = None,
        bucket_cap_mb: float | None = None,
        find_unused_parameters: bool = False,
        **words: Any,
    ) -> None:
        super().__init__(
            module,
            average="ranks",
            bucket_cap_mb=25 if bucket_cap_mb is None else bucket_cap_mb,
            broadcast_buffers=broadcast_buffers,
        )


__getattr__ = absent("torch.nn.parallel")
