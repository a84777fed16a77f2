"""Every function that records: NumPy's values, and gradients by differences of NumPy's own."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.cases import each, together
from tests.dispatch.samples import CALLS, TINY, Array, Call
from tinygrad_cnn import Tensor, grad, no_grad, tensor
from tinygrad_cnn.dispatch import RECORDED
from tinygrad_cnn.dispatch.protocol import named

per_function = together("samples", CALLS, lambda s: s.name)
per_function_and_tiny_ones = together("samples", [*CALLS, *TINY], lambda s: s.name)


def leaves(sample: Call) -> list[Tensor]:
    return [tensor(x, requires_grad=True) for x in sample.inputs]


def parts(result: Any) -> Iterator[Any]:
    """Everything in a result that may be a tuple or a list."""
    if isinstance(result, (list, tuple)):
        for part in result:
            yield from parts(part)
    else:
        yield result


def check_values_are_numpys(sample: Call) -> None:
    expected = list(parts(sample.function(*[x.copy() for x in sample.inputs])))
    found = list(parts(sample.function(*leaves(sample))))
    assert len(found) == len(expected)
    for out, value in zip(found, expected, strict=True):
        plain = out.detach().numpy() if isinstance(out, Tensor) else out
        assert plain.shape == np.shape(value)
        np.testing.assert_allclose(plain, value, rtol=1e-12, atol=1e-12)
    inputs = leaves(sample)
    with no_grad():
        for out in parts(sample.function(*inputs)):
            assert not getattr(out, "requires_grad", False) or any(out is x for x in inputs)


@per_function_and_tiny_ones
def test_values_are_numpys(samples: list[Call]) -> None:
    each(samples, check_values_are_numpys)


def weighted(result: Any) -> Any:
    """A number made of all results: what is differentiated."""
    rng = np.random.default_rng(3)
    total: Any = 0.0
    for part in parts(result):
        weights = rng.standard_normal(np.shape(part))
        total = total + (part * weights).sum()
    return total


def by_differences(sample: Call, index: int, h: float = 1e-6) -> Array:
    """The gradient of an input, from NumPy's own function."""
    arrays = [x.copy() for x in sample.inputs]
    found = np.zeros_like(arrays[index])
    for place in np.ndindex(found.shape):
        here = arrays[index][place]
        sides = []
        for step in (h, -h):
            arrays[index][place] = here + step
            sides.append(float(weighted(sample.function(*[x.copy() for x in arrays]))))
        arrays[index][place] = here
        found[place] = (sides[0] - sides[1]) / (2 * h)
    return found


def check_gradients_are_those_of_differences(sample: Call) -> None:
    inputs = leaves(sample)
    gradients = grad(weighted(sample.function(*inputs)), inputs)
    for index, gradient in builtins.enumerate(gradients):
        assert isinstance(gradient, Tensor)
        np.testing.assert_allclose(
            gradient.numpy(), by_differences(sample, index), rtol=1e-6, atol=1e-7
        )


@per_function
def test_gradients_are_those_of_differences(samples: list[Call]) -> None:
    each(samples, check_gradients_are_those_of_differences)


def test_every_recorded_function_has_a_call() -> None:
    called = {named(sample.name) for sample in [*CALLS, *TINY]}
    missing = [name for name in RECORDED if named(name) not in {None, *called}]
    assert not missing, f"no call for {missing}"
    unknown = [sample.name for sample in CALLS if sample.name not in RECORDED]
    assert not unknown, f"calls of {unknown}, which are not recorded"
