"""NumPy's names with gradients: ``import tinygrad_cnn.numpy as np`` under code as it stands.

What makes arrays makes tensors here (`ndarray`), and NumPy's functions are NumPy's own: they take
arrays, numbers and tensors, and record where a tensor wants a gradient. With arrays alone they cost
nothing more.

>>> import tinygrad_cnn.numpy as np
>>> w = np.array([1.0, 2.0])
>>> w.requires_grad = True
>>> out = np.zeros(2)
>>> out[0] = np.sum(w * w)
>>> np.max(out).backward()
>>> w.grad
tensor([2., 4.], dtype=float64)

``array`` and `creation` say what is made, `random` draws. Nothing below imports this door, and it
holds no mathematics: the rules are in `ops`, the adapters in `dispatch`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy

from tinygrad_cnn.dispatch.without import tensors_in
from tinygrad_cnn.numpy import creation, random
from tinygrad_cnn.numpy.array import ndarray
from tinygrad_cnn.numpy.creation import array, asarray


def _of_lists(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function take a list of tensors where it takes an array: ``np.mean(losses)``."""

    @functools.wraps(function)
    def taking(*args: Any, **kwargs: Any) -> Any:
        if args and type(args[0]) in (list, tuple) and any(True for _ in tensors_in(args[0])):
            args = (array(args[0]), *args[1:])
        return function(*args, **kwargs)

    return taking


_OWN: dict[str, Any] = {
    **creation.MADE,
    **{
        name: _of_lists(getattr(numpy, name))
        for name in (
            "sum prod mean std var median average max min amax amin ptp argmax argmin argsort sort "
            "any all cumsum cumprod diff dot reshape ravel squeeze transpose where clip round"
        ).split()
    },
    "array": array,
    "asarray": asarray,
    "asanyarray": asarray,
    "ascontiguousarray": asarray,
    "asfortranarray": asarray,
    "asarray_chkfinite": asarray,
    "full": creation.full,
    "require": creation.require,
    "fromfunction": creation.fromfunction,
    "ndenumerate": creation.ndenumerate,
    "r_": creation.r_,
    "c_": creation.c_,
    "mgrid": creation.mgrid,
    "ogrid": creation.ogrid,
    "ndarray": ndarray,
    "random": random,
}


def __getattr__(name: str) -> Any:
    """Return one of the names above, or else NumPy's own."""
    if name.startswith("__") and name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = _OWN[name] if name in _OWN else getattr(numpy, name)
    globals()[name] = value  # found without a question from now on
    return value


def __dir__() -> list[str]:
    return sorted({*_OWN, *(name for name in dir(numpy) if not name.startswith("_"))})
