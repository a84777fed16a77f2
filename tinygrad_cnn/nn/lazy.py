"""Layers that learn the number of their input's channels or features from the first input."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from tinygrad_cnn.nn.conv import Conv1d, Conv2d, Conv3d
from tinygrad_cnn.nn.conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from tinygrad_cnn.nn.group_norm import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from tinygrad_cnn.nn.linear import Linear
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.norm import BatchNorm1d, BatchNorm2d, BatchNorm3d

__all__ = [
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
    "LazyLinear",
]


class _Lazy(Module):
    """A layer whose first input says how many channels there are; it becomes the plain layer then.

    Until then it has no parameters: call it once before an optimiser gets them.
    """

    _becomes: ClassVar[Any]
    _channels: ClassVar[int] = 1  # the dimension of the channels
    _awaits_input = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        signature = inspect.signature(self._becomes.__init__)
        try:
            signature.bind(self, 1, *args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}: {error}") from None
        self._arguments = args, kwargs
        self._wide: Any = None  # the dtype, if it was converted

    def forward(self, input: Any) -> Any:
        """Make the parameters, and become the plain layer."""
        args, kwargs = self._arguments
        if self._wide is not None:
            kwargs = {**kwargs, "dtype": self._wide}
        made = self._becomes(input.shape[self._channels], *args, **kwargs)
        made.train(self.training)
        own = vars(self)
        for name in ("_arguments", "_wide"):
            del own[name]
        own.update({**vars(made), **own})
        self.__class__ = self._becomes
        return type(self).forward(self, input)

    def extra_repr(self) -> str:
        """Return the settings."""
        args, kwargs = self._arguments
        words = [f"{name}={value!r}" for name, value in kwargs.items()]
        return ", ".join([*map(repr, args), *words])


class LazyLinear(_Lazy):
    """`Linear` whose in_features are those of the first input.

    >>> import numpy as np
    >>> layer = LazyLinear(2)
    >>> layer(np.ones((5, 3), np.float32)).shape, layer
    ((5, 2), Linear(in_features=3, out_features=2, bias=True))
    """

    _becomes = Linear
    _channels = -1


class LazyConv1d(_Lazy):
    """`Conv1d` whose in_channels are those of the first input."""

    _becomes = Conv1d
    _channels = -2


class LazyConv2d(_Lazy):
    """`Conv2d` whose in_channels are those of the first input.

    >>> import numpy as np
    >>> LazyConv2d(4, kernel_size=3)(np.ones((1, 2, 5, 5), np.float32)).shape
    (1, 4, 3, 3)
    """

    _becomes = Conv2d
    _channels = -3


class LazyConv3d(_Lazy):
    """`Conv3d` whose in_channels are those of the first input."""

    _becomes = Conv3d
    _channels = -4


class LazyConvTranspose1d(_Lazy):
    """`ConvTranspose1d` whose in_channels are those of the first input."""

    _becomes = ConvTranspose1d
    _channels = -2


class LazyConvTranspose2d(_Lazy):
    """`ConvTranspose2d` whose in_channels are those of the first input."""

    _becomes = ConvTranspose2d
    _channels = -3


class LazyConvTranspose3d(_Lazy):
    """`ConvTranspose3d` whose in_channels are those of the first input."""

    _becomes = ConvTranspose3d
    _channels = -4


class LazyBatchNorm1d(_Lazy):
    """`BatchNorm1d` whose num_features are the channels of the first input."""

    _becomes = BatchNorm1d


class LazyBatchNorm2d(_Lazy):
    """`BatchNorm2d` whose num_features are the channels of the first input."""

    _becomes = BatchNorm2d


class LazyBatchNorm3d(_Lazy):
    """`BatchNorm3d` whose num_features are the channels of the first input."""

    _becomes = BatchNorm3d


class LazyInstanceNorm1d(_Lazy):
    """`InstanceNorm1d` whose num_features are the channels of the first input."""

    _becomes = InstanceNorm1d


class LazyInstanceNorm2d(_Lazy):
    """`InstanceNorm2d` whose num_features are the channels of the first input."""

    _becomes = InstanceNorm2d


class LazyInstanceNorm3d(_Lazy):
    """`InstanceNorm3d` whose num_features are the channels of the first input."""

    _becomes = InstanceNorm3d
