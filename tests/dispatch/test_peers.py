"""What MyGrad and HIPS autograd differentiate of NumPy is differentiated here as well.

Neither is needed: these tests are left out where they are not installed.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.dispatch.samples import CALLS, Call
from tests.dispatch.test_calls import leaves, weighted
from tinygrad_cnn import grad
from tinygrad_cnn.dispatch import PLAIN, RECORDED
from tinygrad_cnn.dispatch.protocol import named

# Complex numbers are refused by name in this package: what makes or takes them, and their parts.
COMPLEX = {
    *(f"fft.{name}" for name in "fft ifft fft2 ifft2 fftn ifftn".split()),  # noqa: SIM905
    *(f"fft.{name}" for name in "rfft irfft rfft2 irfft2 rfftn irfftn".split()),  # noqa: SIM905
    "linalg.eig",
}

# NumPy does not ask the value here: `tinygrad_cnn.numpy.full` records it.
IN_THE_DOOR = {"full"}


def peer(name: str) -> ModuleType:
    return pytest.importorskip(name, reason=f"{name} is not installed")


def known(name: str) -> bool:
    """Whether a function of NumPy is answered here, whatever name it has."""
    answered = {named(n) for n in (*RECORDED, *PLAIN)}
    return named(name) in answered


def test_all_that_autograd_differentiates_is_differentiated_here() -> None:
    peer("autograd")
    core = importlib.import_module("autograd.core")
    importlib.import_module("autograd.numpy")
    names = set()
    for primitive in core.primitive_vjps:
        function = getattr(primitive, "fun", primitive)
        place = getattr(function, "__module__", "") or "numpy"
        if place in ("numpy", "numpy.linalg", "numpy.fft"):
            names.add(f"{place}.{function.__name__}".removeprefix("numpy."))
    assert len(names) > 100
    missing = {name for name in names if named(name) is not None and not known(name)} - COMPLEX
    missing -= IN_THE_DOOR
    assert not missing, missing


def test_all_that_mygrad_differentiates_is_differentiated_here() -> None:
    peer("mygrad")
    base = importlib.import_module("mygrad.tensor_base")
    functions = [
        *base._REGISTERED_UFUNC,
        *base._REGISTERED_DIFFERENTIABLE_NUMPY_FUNCS,
        *base._REGISTERED_CONST_ONLY_UFUNC,
        *base._REGISTERED_BOOL_ONLY_UFUNC,
        *base._REGISTERED_NO_DIFF_NUMPY_FUNCS,
    ]
    answered = {named(n) for n in (*RECORDED, *PLAIN)}
    assert len(functions) > 80
    assert not [f.__name__ for f in functions if f not in answered]


def in_mygrad(sample: Call, mygrad: ModuleType) -> list[Any] | None:
    """The gradients that MyGrad gives for a call, None where it has not all of it."""
    inputs = [mygrad.tensor(x.copy()) for x in sample.inputs]
    try:
        weighted(sample.function(*inputs)).backward()
    except Exception:  # whatever it raises for what it lacks
        return None
    found = [x.grad for x in inputs]
    return None if any(g is None for g in found) else found


def test_gradients_are_mygrads() -> None:
    mygrad = peer("mygrad")
    compared = set()
    for sample in CALLS:
        expected = in_mygrad(sample, mygrad)
        if expected is None:
            continue
        inputs = leaves(sample)
        found = grad(weighted(sample.function(*inputs)), inputs)
        for gradient, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(
                gradient.numpy(), other, rtol=1e-9, atol=1e-12, err_msg=sample.id
            )
        compared.add(sample.name)
    assert len(compared) > 60, compared
