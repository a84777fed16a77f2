"""`Generator`: a source of random numbers of one's own, with PyTorch's methods and NumPy's."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tinygrad_cnn.devices import CPU, check_device, device

__all__ = ["Generator"]


class Generator(np.random.Generator):
    """A source of random numbers: NumPy's generator that can be seeded again.

    Everything random takes one, as ``generator=``.

    Parameters
    ----------
    device
        The processor.

    >>> one, other = Generator().manual_seed(3), Generator().manual_seed(3)
    >>> one.random() == other.random()
    True
    """

    def __init__(self, device: Any = None) -> None:
        check_device(device)
        super().__init__(np.random.PCG64())
        self._seed = 0
        self.seed()

    @property
    def device(self) -> device:
        """Where it draws: the processor."""
        return CPU

    def manual_seed(self, seed: int) -> Generator:
        """Begin anew with a seed, a whole number of 0 or more; return the generator."""
        self._seed = operator.index(seed)
        self.bit_generator.state = np.random.PCG64(self._seed).state
        return self

    def seed(self) -> int:
        """Begin anew with a seed of the operating system's; return it."""
        seed = int(np.random.SeedSequence().entropy % (1 << 63))  # type: ignore[operator]
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """Return the seed that it began with."""
        return self._seed

    def get_state(self) -> dict[str, Any]:
        """Return where it stands, for `set_state`."""
        return dict(self.bit_generator.state)

    def set_state(self, new_state: dict[str, Any]) -> None:
        """Go back to where it stood."""
        self.bit_generator.state = new_state

    def __reduce__(self) -> Any:
        return _rebuilt, (self._seed, self.get_state())


def _rebuilt(seed: int, state: dict[str, Any]) -> Generator:
    generator = Generator().manual_seed(seed)
    generator.set_state(state)
    return generator
