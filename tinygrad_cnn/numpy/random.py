"""``numpy.random``: the same numbers from the same seeds, as tensors."""

from __future__ import annotations

from typing import Any

import numpy
import numpy.random as plain

from tinygrad_cnn.numpy.creation import making, tensors_of
from tinygrad_cnn.op import TensorBase

Seed = Any


class Generator:
    """A generator of NumPy whose arrays are tensors.

    >>> import tinygrad_cnn.numpy as np
    >>> x = np.random.default_rng(0).normal(size=2)
    >>> type(x).__name__, bool((x.numpy() == numpy.random.default_rng(0).normal(size=2)).all())
    ('ndarray', True)
    """

    def __init__(self, generator: Any) -> None:
        self._generator = generator

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._generator, name)
        if callable(value):
            value = self.__dict__[name] = making(value)  # found without a question from now on
        return value

    def permutation(self, x: Any, axis: int = 0) -> Any:
        """Return the parts of x in another order; those of a tensor stay in the graph."""
        if not isinstance(x, TensorBase):
            return tensors_of(self._generator.permutation(x, axis))
        order = self._generator.permutation(x.shape[axis])
        return numpy.take(x, order, axis)  # type: ignore[call-overload]  # asks the tensor

    def shuffle(self, x: Any, axis: int = 0) -> None:
        """Put the parts of x into another order in place."""
        if isinstance(x, TensorBase):
            x[...] = self.permutation(x, axis)  # type: ignore[index]  # a tensor's
        else:
            self._generator.shuffle(x, axis)

    def choice(self, a: Any, *args: Any, **kwargs: Any) -> Any:
        """Draw from a; elements of a tensor stay in the graph."""
        if not isinstance(a, TensorBase):
            return tensors_of(self._generator.choice(a, *args, **kwargs))
        drawn = self._generator.choice(a.shape[0], *args, **kwargs)
        return numpy.take(a, drawn, 0)  # type: ignore[call-overload]  # asks the tensor


class RandomState(Generator):
    """NumPy's older generator, which has no axes."""

    def __init__(self, seed: Seed = None, generator: Any = None) -> None:
        super().__init__(plain.RandomState(seed) if generator is None else generator)

    def permutation(self, x: Any, axis: int = 0) -> Any:
        """Return the parts of x in another order; those of a tensor stay in the graph."""
        if not isinstance(x, TensorBase):
            return tensors_of(self._generator.permutation(x))
        return numpy.take(x, self._generator.permutation(x.shape[0]), 0)  # type: ignore[call-overload]

    def shuffle(self, x: Any, axis: int = 0) -> None:
        """Put the parts of x into another order in place."""
        if isinstance(x, TensorBase):
            x[...] = self.permutation(x)  # type: ignore[index]  # a tensor's
        else:
            self._generator.shuffle(x)


def default_rng(seed: Seed = None) -> Generator:
    """Return a generator of NumPy that makes tensors, seeded."""
    return seed if isinstance(seed, Generator) else Generator(plain.default_rng(seed))


_global = RandomState(generator=plain.mtrand._rand)  # what numpy.random's own functions use

_KEPT: tuple[str, ...] = (
    "bit_generator",
    "BitGenerator",
    "SeedSequence",
    "MT19937",
    "PCG64",
    "PCG64DXSM",
)
_KEPT += ("Philox", "SFC64", "seed", "get_state", "set_state", "get_bit_generator")


def __getattr__(name: str) -> Any:
    """Return a function of ``numpy.random``, drawing from the generator that NumPy itself uses."""
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(plain, name)
    if isinstance(value, type) or name in _KEPT or not callable(value):
        return value
    drawing = getattr(_global, name) if hasattr(_global, name) else making(value)
    globals()[name] = drawing
    return drawing


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(plain)})
