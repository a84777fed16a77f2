"""``torch.nn.functional``: the functions of layers; those that write end in _."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

import tinygrad_cnn.functional as _core
from tinygrad_cnn.functional import *
from tinygrad_cnn.torch.absent import absent
from tinygrad_cnn.torch.nn.losses import reduction_of
from tinygrad_cnn.writing import update


def _writing(name: str) -> Callable[..., Any]:
    function = getattr(_core, name)

    def write(input: Any, *args: Any, **kwargs: Any) -> Any:
        return update(f"{name}_", input, function, input, *args, **kwargs)

    write.__name__ = write.__qualname__ = f"{name}_"
    write.__doc__ = f"Write the result of `{name}` to the input and return it."
    return write


def _reducing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a loss take ``size_average`` and ``reduce``."""

    @wraps(function)
    def loss(*args: Any, size_average: Any = None, reduce: Any = None, **kwargs: Any) -> Any:
        said = reduction_of(size_average, reduce)
        return function(*args, **kwargs, **({} if said is None else {"reduction": said}))

    return loss


_WRITING: tuple[str, ...] = (
    "relu",
    "elu",
    "selu",
    "celu",
    "leaky_relu",
    "hardtanh",
    "threshold",
    "rrelu",
)
_WRITING += ("dropout", "alpha_dropout", "feature_alpha_dropout")
globals().update({f"{name}_": _writing(name) for name in _WRITING})
globals().update(
    {
        name: _reducing(getattr(_core, name))
        for name in _core.__all__
        if "reduction" in inspect.signature(getattr(_core, name)).parameters
    }
)


def upsample(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: Any = None,
) -> Any:
    """Resize images: the old name of `interpolate`."""
    return _core.interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """Resize images by the nearest pixel."""
    return upsample(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """Resize images linearly, corners on corners."""
    return upsample(input, size, scale_factor, "bilinear", True)


__getattr__ = absent("torch.nn.functional")
