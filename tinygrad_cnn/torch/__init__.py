"""PyTorch's names and layout: ``import tinygrad_cnn.torch as torch``.

A script whose imports of ``torch`` name this door runs with this package; ``tinygrad-cnn run
script.py`` does it without a change. Everything of use is found in the core too; in here are names
and thin adapters, and nothing below imports them. What PyTorch has and this package has not is an
AttributeError that says what is nearest.

>>> import tinygrad_cnn.torch as torch
>>> x = torch.arange(3.0, requires_grad=True)
>>> torch.nn.functional.relu(x).pow(2).sum().backward()
>>> x.grad
tensor([0., 2., 4.])
"""

from __future__ import annotations

import warnings as _warnings
from collections.abc import Callable
from typing import Any

from tinygrad_cnn import *
from tinygrad_cnn import __version__ as _own_version
from tinygrad_cnn import linalg
from tinygrad_cnn.creation import range
from tinygrad_cnn.dtypes import bool, float, int
from tinygrad_cnn.generators import Generator
from tinygrad_cnn.modes import detect_anomaly, set_detect_anomaly
from tinygrad_cnn.random import default_generator as _default
from tinygrad_cnn.sizes import Size
from tinygrad_cnn.storing import load as _load
from tinygrad_cnn.storing import save as _save
from tinygrad_cnn.tensor import Tensor as _Tensor

del func, nn, optim  # noqa: F821  # the core's: the door's own come next

import tinygrad_cnn.torch.accelerator as accelerator
import tinygrad_cnn.torch.amp as amp
import tinygrad_cnn.torch.autograd as autograd
import tinygrad_cnn.torch.backends as backends
import tinygrad_cnn.torch.compiler as compiler
import tinygrad_cnn.torch.cuda as cuda
import tinygrad_cnn.torch.distributed as distributed
import tinygrad_cnn.torch.func as func
import tinygrad_cnn.torch.fx as fx
import tinygrad_cnn.torch.hub as hub
import tinygrad_cnn.torch.jit as jit
import tinygrad_cnn.torch.mps as mps
import tinygrad_cnn.torch.multiprocessing as multiprocessing
import tinygrad_cnn.torch.nn as nn
import tinygrad_cnn.torch.onnx as onnx
import tinygrad_cnn.torch.optim as optim
import tinygrad_cnn.torch.random as random
import tinygrad_cnn.torch.special as special
import tinygrad_cnn.torch.testing as testing
import tinygrad_cnn.torch.utils as utils
import tinygrad_cnn.torch.version as version
import tinygrad_cnn.torch.xpu as xpu
from tinygrad_cnn.torch.absent import absent as _absent
from tinygrad_cnn.torch.amp import autocast, is_autocast_enabled
from tinygrad_cnn.torch.legacy import *
from tinygrad_cnn.torch.words import *

__version__ = f"2.13.0+tinygrad_cnn.{_own_version}"


def save(obj: Any, f: Any, *args: Any, **kwargs: Any) -> None:
    """Write an object to a file: as `tinygrad_cnn.storing.save`; how it is pickled is no choice.

    Of a whole module the state_dict is written, with a warning: files hold no code here.
    """
    if isinstance(obj, nn.Module):
        _warnings.warn(
            f"torch.save: of {type(obj).__name__} its state_dict is saved, for files hold no code; "
            "load it with model.load_state_dict(torch.load(FILE))",
            stacklevel=2,
        )
        obj = obj.state_dict()
    _save(obj, f)


def load(f: Any, map_location: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Read what `save` or PyTorch wrote, with nothing in it executed, onto the processor."""
    return _load(f)


def _called(name: str) -> Callable[..., Any]:
    method = getattr(_Tensor, name)

    def function(input: Any, *args: Any, **kwargs: Any) -> Any:
        return method(input, *args, **kwargs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"As ``input.{name}(…)``."
    return function


# Methods that PyTorch has as functions too; those that write have names that end in _.
_METHODS = ["detach", "detach_", "split_with_sizes", "index_put_", "fill_", "zero_", "index_fill_"]
_METHODS += [n for n in dir(_Tensor) if n.endswith("_") and not n.startswith("_")]
globals().update({name: _called(name) for name in dict.fromkeys(_METHODS)})

adjoint = transpose  # type: ignore[name-defined]
row_stack = vstack  # type: ignore[name-defined]
concat = cat  # type: ignore[name-defined]
ger = outer  # type: ignore[name-defined]
trapz = trapezoid  # type: ignore[name-defined]
svd = linalg.svd
celu_, rrelu_, selu_, threshold_ = (
    getattr(nn.functional, name)  # type: ignore[attr-defined]
    for name in ("celu_", "rrelu_", "selu_", "threshold_")
)
dropout_, alpha_dropout_, feature_alpha_dropout_ = (
    getattr(nn.functional, name)  # type: ignore[attr-defined]
    for name in ("dropout_", "alpha_dropout_", "feature_alpha_dropout_")
)
default_generator = _default()

__getattr__ = _absent("torch")
