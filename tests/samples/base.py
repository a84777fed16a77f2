"""What a sample of an operation is; each file beside this one defines SAMPLES and ERRORS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.op import Op

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Sample:
    """One call of an operation, and what it must give.

    Attributes
    ----------
    op
        The class of the operation that the call must record, or a tuple of several.
    function
        What is called: takes the inputs, positionally, as arrays or as tensors. It must be pure:
        one that draws random numbers makes its generator inside. Floats that it closes over are
        Python's, since a float64 array would turn float32 inputs into float64; or they are inputs.
    inputs
        float64 arrays are differentiated; integer and boolean arrays are constants.
    oracle
        Independent computation of the result from the arrays.
    note
        What the sample is about; its name in the test's id.
    smooth
        False on a tie or a kink: no numeric differentiation, `gradients` are compared instead.
        Where it is True, the result must be smooth within about 1e-2 of the inputs.
    gradients
        For each input, the expected gradient of the sum of the result, or None.
    rtol, atol
        Of the comparison with the oracle.
    """

    op: type[Op] | tuple[type[Op], ...]
    function: Callable[..., Any]
    inputs: tuple[Array, ...]
    oracle: Callable[..., Any]
    note: str = ""
    smooth: bool = True
    gradients: tuple[Array | None, ...] | None = None
    rtol: float = 1e-12
    atol: float = 1e-12

    def __post_init__(self) -> None:
        if not self.smooth and self.gradients is None:
            raise ValueError(f"sample {self.id}: one that is not smooth needs its gradients")
        for array in self.inputs:
            if not isinstance(array, np.ndarray) or (
                array.dtype != np.float64 and array.dtype.kind not in "iub"
            ):
                raise ValueError(f"sample {self.id}: inputs are float64, int or bool arrays")

    @property
    def ops(self) -> tuple[type[Op], ...]:
        """The operations that the call must record."""
        return self.op if isinstance(self.op, tuple) else (self.op,)

    @property
    def id(self) -> str:
        """A readable name for the test."""
        name = "+".join(op.__name__ for op in self.ops)
        return f"{name}-{self.note.replace(' ', '_')}" if self.note else name


@dataclass(frozen=True, eq=False)
class ErrorSample:
    """A call that must raise, with an error of this type whose message matches the regex."""

    function: Callable[[], Any]
    error: type[Exception]
    message: str
    note: str = ""
