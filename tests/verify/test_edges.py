"""Edges of domains, flat points and vertical ones: smoothness is no kink, and neither a fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn.op import Op
from tinygrad_cnn.verify import Verdict, gradcheck

Function = Callable[[Any], Any]

SMOOTH: dict[str, Function] = {
    "x**1.5": lambda x: x**1.5,
    "x**2.5": lambda x: x**2.5,
    "x**3": lambda x: x**3,
    "x**7": lambda x: x**7,
    "|x|**1.5": lambda x: F.abs(x) ** 1.5,
    "x|x|": lambda x: x * F.abs(x),
    "relu(x)**2": lambda x: F.relu(x) ** 2,
    "x - sin(x)": lambda x: x - F.sin(x),
    "sum of cubes": lambda x: (x**3).sum(),
}


class Broken(Op):
    """A function whose rule is off by a little everywhere, at 0 too."""

    __slots__ = ("function", "slope")
    saves = ("x",)

    def __init__(self, function: Function, slope: Function) -> None:
        self.function, self.slope = function, slope

    def forward(self, x: Any) -> Any:
        return self.function(x)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:  # noqa: ARG002  # the protocol
        return (g * (self.slope(x) + 0.02),)


def verdict_of(function: Any, x: Any) -> Verdict:
    return gradcheck(function, np.array(x), raise_exception=False).verdict


@pytest.mark.parametrize("name", SMOOTH)
def test_flat_points_are_no_kinks(name: str) -> None:
    """A gradient of 0 is right there; one twice as large would be the same."""
    assert verdict_of(SMOOTH[name], 0.0) is Verdict.UNSEEN
    assert verdict_of(SMOOTH[name], [0.0, 0.0]) is Verdict.UNSEEN
    assert verdict_of(SMOOTH[name], [0.0, 0.25, 0.75]) is Verdict.PASS


@pytest.mark.parametrize("function", [F.abs, F.relu], ids=["abs", "relu"])
def test_kinks_are(function: Function) -> None:
    assert verdict_of(function, [0.0, 0.25]) is Verdict.KINK


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (lambda x: x**1.5, lambda x: 1.5 * x**0.5),
        (lambda x: x**3, lambda x: 3 * x**2),
        (lambda x: x * np.abs(x), lambda x: 2 * np.abs(x)),
        (np.sqrt, lambda x: 0.5 / x**0.5),
        (np.abs, lambda _: 1.5),
    ],
    ids=["x**1.5", "x**3", "x|x|", "sqrt", "abs"],
)
@pytest.mark.parametrize("x", [[0.0], [0.0, 0.25, 0.75]], ids=["alone", "among others"])
def test_what_is_wrong_there_is_found(function: Function, slope: Function, x: list[float]) -> None:
    assert verdict_of(Broken(function, slope), x) is Verdict.FAIL


@pytest.mark.parametrize("function", [F.sqrt, lambda x: x**0.75], ids=["sqrt", "x**0.75"])
def test_an_infinite_slope_is_one_where_the_function_is_vertical(function: Function) -> None:
    assert verdict_of(function, [0.0, 0.25]) is Verdict.KINK


def test_no_number_at_the_edge_of_a_domain_is_said_and_no_fault() -> None:
    report = gradcheck(lambda x: x * F.sqrt(x), np.array([0.0, 0.25]), raise_exception=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "NaN or infinite in 1 of 2 elements" in report.text()
    assert "defined to one side only" in report.text()


class Sign(Op):
    """|x| whose rule divides by what may be 0."""

    saves = ("x",)

    def forward(self, x: Any) -> Any:
        return np.abs(x)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:  # noqa: ARG002  # the protocol
        return (g * np.abs(x) / x,)


class Squared(Op):
    """x² whose rule is infinite at 0, where all is smooth."""

    saves = ("x",)

    def forward(self, x: Any) -> Any:
        return x * x

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:  # noqa: ARG002  # the protocol
        return (g * np.where(x == 0, np.inf, 2 * x),)


class Downwards(Op):
    """The root, whose rule has the wrong sign at 0."""

    saves = ("x",)

    def forward(self, x: Any) -> Any:
        return np.sqrt(np.abs(x)) * np.sign(x)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:  # noqa: ARG002  # the protocol
        return (g * np.where(x == 0, -np.inf, 0.5 / np.sqrt(np.abs(x))),)


@pytest.mark.parametrize("op", [Sign, Squared, Downwards])
def test_other_infinities_are_faults(op: type[Op]) -> None:
    assert verdict_of(op(), [0.0, 0.25]) is Verdict.FAIL
