"""Every public function of NumPy is recorded, has no derivative, or says what to use instead."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn
import tinygrad_cnn.functional as F
from tinygrad_cnn import Tensor, no_grad, tensor
from tinygrad_cnn.dispatch import INSTEAD, PLAIN, RECORDED
from tinygrad_cnn.dispatch.protocol import named, refusal


def dispatched(place: Any, prefix: str) -> list[str]:
    """Names of the functions that ask their arguments: ufuncs, and those of NumPy's NEP 18."""
    return [
        prefix + name
        for name in dir(place)
        if not name.startswith("_")
        and (
            isinstance(getattr(place, name), np.ufunc)
            or hasattr(getattr(place, name), "_implementation")
        )
    ]


NAMES = [
    *dispatched(np, ""),
    *dispatched(np.linalg, "linalg."),
    *dispatched(np.fft, "fft."),
    "lib.stride_tricks.sliding_window_view",
]
_recorded = {named(name) for name in RECORDED}
_plain = {named(name) for name in PLAIN}
REFUSED = [n for n in NAMES if named(n) not in _recorded and named(n) not in _plain]


def test_the_tables_name_functions_of_numpy_once() -> None:
    known = {named(name) for name in NAMES}
    for table in (RECORDED, PLAIN, INSTEAD):
        assert not [n for n in table if named(n) is not None and named(n) not in known]
    assert not _recorded & _plain - {None}
    assert not {named(name) for name in INSTEAD} & (_recorded | _plain) - {None}


def test_most_functions_are_recorded() -> None:
    assert len(NAMES) > 300
    assert len(REFUSED) < 40, REFUSED


def exists(name: str) -> bool:
    """Whether a name in an error message is one that can be written."""
    name = name.split("(")[0]
    if name.startswith("numpy."):
        return named(name.removeprefix("numpy.")) in _recorded
    if name.startswith("F."):
        return hasattr(F, name.removeprefix("F."))
    return hasattr(Tensor, name) or hasattr(tinygrad_cnn, name)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_names_what_exists(name: str) -> None:
    told = re.findall("`(.*?)`", refusal(named(name)))
    assert told
    assert told[-1] == "detach()"
    assert all(map(exists, told)), told


def _call(name: str, x: Any) -> Any:
    """Call with as many arrays as the function needs."""
    function = named(name)
    if isinstance(function, np.ufunc):
        return function(*[x] * function.nin)
    for count in (1, 2, 3):
        try:
            return function(*[x] * count)
        except TypeError as error:
            if "missing" not in str(error):
                raise
    raise AssertionError(name)


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_are_raised_where_a_gradient_is_wanted(name: str) -> None:
    x = tensor(np.array([[2.0, 0.5], [0.5, 1.0]]), requires_grad=True)
    with pytest.raises(TypeError, match="has no rule, the gradient would be lost"):
        _call(name, x)


@pytest.mark.parametrize("name", ["nextafter", "fft.fft", "linalg.eigvals", "spacing"])
def test_what_is_refused_works_without_gradients(name: str) -> None:
    x = np.array([[2.0, 0.5], [0.5, 1.0]])
    expected = _call(name, x)
    with no_grad():
        found = _call(name, tensor(x, requires_grad=True))
    np.testing.assert_array_equal(getattr(found, "_data", found), expected)
    constant = _call(name, tensor(x))
    np.testing.assert_array_equal(getattr(constant, "_data", constant), expected)


UNARY = """
    isfinite isinf isnan signbit logical_not all any argmax argmin argsort argwhere nonzero
    flatnonzero count_nonzero nanargmax isneginf isreal iscomplexobj shape ndim size zeros_like
    ones_like linalg.matrix_rank array2string array_repr
"""


@pytest.mark.parametrize("name", UNARY.split())
def test_what_has_no_derivative_gives_numpys_values_without_a_graph(name: str) -> None:
    x = np.array([[2.0, -0.5], [0.0, 1.0]])
    expected, found = named(name)(x), named(name)(tensor(x, requires_grad=True))
    pairs = zip(expected, found, strict=True) if isinstance(found, tuple) else [(expected, found)]
    for value, out in pairs:
        if isinstance(value, (np.ndarray, np.generic)):
            assert isinstance(out, Tensor)
            assert not out.requires_grad
            np.testing.assert_array_equal(out.numpy(), value)
        else:
            assert out == value


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.greater(x, 1.0),
        lambda x: np.logical_and(x, x > 0),
        lambda x: np.isclose(x, 2.0),
        lambda x: np.searchsorted(np.array([0.0, 1.0]), x),
        lambda x: np.digitize(x, [0.0, 1.0]),
        lambda x: np.isin(x, [2.0]),
        lambda x: np.histogram_bin_edges(x, 3),
        lambda x: np.histogram(x, 3)[0],
        lambda x: np.where(x > 0)[0],
        lambda x: np.bincount(np.astype(x > 0, int)),
    ],
)
def test_more_without_derivative(call: Any) -> None:
    x = np.array([2.0, -0.5, 0.0, 1.0])
    out = call(tensor(x, requires_grad=True))
    assert isinstance(out, Tensor)
    assert not out.requires_grad
    np.testing.assert_array_equal(out.numpy(), call(x))


def test_whole_numbers_have_numpys_functions_of_bits() -> None:
    a, b = np.array([6, 12]), np.array([4, 8])
    for function in (np.bitwise_and, np.bitwise_xor, np.left_shift, np.gcd, np.lcm):
        np.testing.assert_array_equal(function(tensor(a), b).numpy(), function(a, b))
    with pytest.raises(TypeError, match="not supported for the input types"):
        np.bitwise_and(tensor([1.5]), tensor([1.5]))
