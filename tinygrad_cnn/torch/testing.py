"""``torch.testing``."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.torch.absent import absent

__all__ = ["assert_close"]

# PyTorch's tolerances, relative and absolute.
_TOLERANCES = {"float16": (1e-3, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)}


def assert_close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_dtype: bool = True,
    msg: Any = None,
    **words: Any,
) -> None:
    """Raise an AssertionError unless two tensors, or sequences of them, are close.

    >>> assert_close(Tensor([1.0]), Tensor([1.0 + 1e-7]))
    """
    if isinstance(actual, (list, tuple)):
        for one, other in zip(actual, expected, strict=True):
            assert_close(one, other, rtol=rtol, atol=atol, equal_nan=equal_nan)
        return
    a, b = (np.asarray(x.detach() if isinstance(x, Tensor) else x) for x in (actual, expected))
    both = isinstance(actual, Tensor) and isinstance(expected, Tensor)
    if both and check_dtype and a.dtype != b.dtype:
        raise AssertionError(msg or f"assert_close: {a.dtype} is not {b.dtype}")
    r, t = _TOLERANCES.get(a.dtype.name, (0.0, 0.0))
    r, t = r if rtol is None else rtol, t if atol is None else atol
    np.testing.assert_allclose(a, b, r, t, equal_nan, str(msg or ""))


__getattr__ = absent("torch.testing")
