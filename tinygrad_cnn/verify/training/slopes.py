"""A quick numerical check of every parameter's gradient, before training starts.

For each parameter the gradient is multiplied with a random direction v of signs, and compared with
the slope of the loss along v, in float64 on a small batch::

    g · v  =  d/dt L(p + t v)  ≈  (L(p + h v) − L(p − h v)) / 2h

The slope is measured with h and h/2: extrapolated, they give the slope, and their difference bounds
its error. Where ReLU or max-pooling bend the loss between the two, they disagree, and h shrinks.
A wrong entry anywhere in g shows, unless it is smaller than the tolerance times the whole gradient.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn import nn
from tinygrad_cnn.autograd import no_grad
from tinygrad_cnn.random import get_rng_state, set_rng_state
from tinygrad_cnn.tensor import tensor
from tinygrad_cnn.types import Array

__all__ = ["CheckReport", "ParameterCheck", "check_gradients", "check_slope"]

Loss = Callable[[Any, Any], Any]

_TOLERANCE = 1e-4
_TOLERANCE_FLOAT32 = 2e-2  # a pixel on the other side of a kink is a difference, not a mistake
_SHRINKINGS = 5


@dataclass(frozen=True)
class ParameterCheck:
    """What was found about one parameter.

    Attributes
    ----------
    name
        Its path in the network.
    rule, measured
        The slope of the loss along the direction: by the gradient, and by differences.
    bound
        How far off `measured` may be.
    scale
        The size of the gradient, with which errors are compared.
    zero
        Whether the gradient is exactly zero everywhere.
    float32
        The relative difference between the gradients in float32 and in float64.
    """

    name: str
    rule: float
    measured: float
    bound: float
    scale: float
    zero: bool
    float32: float

    @property
    def error(self) -> float:
        """The relative error."""
        difference = abs(self.rule - self.measured)
        return difference / self.scale if difference else 0.0

    @property
    def wrong(self) -> bool:
        """Whether the gradient differs by more than the tolerance and the error of measuring."""
        difference = abs(self.rule - self.measured)
        # Written so that NaN is wrong.
        return not (
            difference <= _TOLERANCE * self.scale + self.bound
            and self.float32 <= _TOLERANCE_FLOAT32
        )

    def __str__(self) -> str:
        if self.float32 > _TOLERANCE_FLOAT32:
            return (
                f"{self.name}: the gradient in float32 differs from that in float64 "
                f"by {self.float32:.2g} of its size"
            )
        gradient = "is exactly zero, yet" if self.zero else f"promises a slope of {self.rule:.6g};"
        return (
            f"{self.name}: along a random direction its gradient {gradient} "
            f"the loss has a slope of {self.measured:.6g} ± {self.bound:.1g} "
            f"(relative error {self.error:.2g})"
        )


@dataclass(frozen=True)
class CheckReport:
    """What was found about all parameters of a network."""

    checks: tuple[ParameterCheck, ...]

    @property
    def failures(self) -> list[ParameterCheck]:
        """The parameters whose gradients are wrong."""
        return [check for check in self.checks if check.wrong]

    @property
    def never_learns(self) -> list[str]:
        """The parameters with a gradient of exact zeros, rightly so, while others have some."""
        if all(check.zero for check in self.checks):
            return []
        return [check.name for check in self.checks if check.zero and not check.wrong]

    @property
    def worst(self) -> float:
        """The largest relative error."""
        return max((check.error for check in self.checks), default=0.0)


def check_gradients(model: nn.Module, loss_fn: Loss, images: Array, targets: Array) -> CheckReport:
    """Compare the gradient of every parameter with differences of the loss; see the module.

    Parameters
    ----------
    model
        The network; it is copied, and neither it nor the package's random state changes.
    loss_fn
        ``loss_fn(model(images), targets)`` is a number.
    images, targets
        A small batch, as for training; 8 to 16 images are plenty.

    Returns
    -------
    CheckReport
        One entry for each parameter that requires a gradient.

    >>> from tinygrad_cnn import functional as F
    >>> report = check_gradients(nn.Linear(3, 2), F.cross_entropy, np.eye(3), np.array([0, 1, 1]))
    >>> [check.name for check in report.checks], report.failures, report.worst < 1e-6
    (['weight', 'bias'], [], True)
    """
    before = get_rng_state()
    try:
        single = _Replay(model, loss_fn, images, targets, np.float32)
        double = _Replay(model, loss_fn, images, targets, np.float64)
        rough, exact = single.gradients(), double.gradients()
        largest = max((float(np.linalg.norm(g)) for g in exact.values()), default=0.0)
        generator = np.random.default_rng(0)
        checks = []
        for name, g in exact.items():
            direction = generator.choice([-1.0, 1.0], g.shape)
            rule = float((g * direction).sum())
            measured, bound = _slope(*double.along(name, direction))
            norm = float(np.linalg.norm(g))
            # A gradient that is rounding noise beside the others cannot be compared in float32.
            float32 = float(np.linalg.norm(rough[name] - g)) / max(norm, 1e-4 * largest, 1e-300)
            scale = max(norm, abs(measured))
            checks.append(ParameterCheck(name, rule, measured, bound, scale, not g.any(), float32))
        return CheckReport(tuple(checks))
    finally:
        set_rng_state(before)


def check_slope(model: nn.Module, loss_fn: Loss, images: Array, targets: Array) -> bool:
    """Compare the gradient of all parameters together with the slope along one random direction.

    A few forward passes, however many parameters there are; the arguments are those of
    `check_gradients`, which says of which parameter it is not so.

    >>> from tinygrad_cnn import functional as F
    >>> check_slope(nn.Linear(3, 2), F.cross_entropy, np.eye(3), np.array([0, 1, 1]))
    True
    """
    before = get_rng_state()
    try:
        double = _Replay(model, loss_fn, images, targets, np.float64)
        exact = double.gradients()
        generator = np.random.default_rng(0)
        # Of the size of each parameter, so that no layer is lost beside another.
        directions = {}
        for name, g in exact.items():
            size = float(np.abs(double.parameters[name]._data).mean()) if g.size else 0.0
            directions[name] = max(size, 0.01) * generator.choice([-1.0, 1.0], g.shape)
        terms = [float((g * directions[name]).sum()) for name, g in exact.items()]
        sizes = [float(np.linalg.norm(g * directions[name])) for name, g in exact.items()]
        measured, bound = _slope(double.along_all(directions), 1e-5)
        scale = max([abs(measured), *sizes])
        return bool(abs(sum(terms) - measured) <= _TOLERANCE * scale + bound)
    finally:
        set_rng_state(before)


class _Replay:
    """A copy of a network in one type of floats, to compute one batch's loss again and again."""

    def __init__(
        self, model: nn.Module, loss_fn: Loss, images: Array, targets: Array, dtype: type
    ) -> None:
        self.model = copy.deepcopy(model).to(dtype).train()
        self.loss_fn = loss_fn
        self.images = tensor(images.astype(dtype) if images.dtype.kind == "f" else images)
        self.targets = tensor(targets.astype(dtype) if targets.dtype.kind == "f" else targets)
        self.parameters = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.generator_state = get_rng_state()

    def loss(self) -> Any:
        """Compute the loss; what is random, such as dropout, is the same every time."""
        set_rng_state(self.generator_state)
        return self.loss_fn(self.model(self.images), self.targets)

    def gradients(self) -> dict[str, Array]:
        """Return the gradient of each parameter, zeros where none arrives."""
        self.model.zero_grad()
        self.loss().backward()
        return {
            name: np.zeros(p.shape) if p.grad is None else p.grad.numpy().copy()
            for name, p in self.parameters.items()
        }

    def along(self, name: str, direction: Array) -> tuple[Callable[[float], float], float]:
        """Return the loss as a function of a step along a direction, and a step to begin with."""
        parameter = self.parameters[name]
        start = parameter.numpy().copy()

        def loss(step: float) -> float:
            with no_grad():
                parameter.data = start + step * direction
                value = self.loss().item()
                parameter.data = start
            return float(value)

        size = math.sqrt(float(np.mean(start**2))) if start.size else 0.0
        return loss, 1e-5 * max(size, 0.1)

    def along_all(self, directions: dict[str, Array]) -> Callable[[float], float]:
        """Return the loss as a function of a step of all parameters, each along its direction."""
        starts = {name: self.parameters[name].numpy().copy() for name in directions}

        def loss(step: float) -> float:
            with no_grad():
                for name, direction in directions.items():
                    self.parameters[name].data = starts[name] + step * direction
                value = self.loss().item()
                for name, start in starts.items():
                    self.parameters[name].data = start
            return float(value)

        return loss


def _slope(f: Callable[[float], float], h: float) -> tuple[float, float]:
    """Return the derivative of `f` at 0 and a bound of its error: the best of a few steps."""
    middle = f(0.0)
    best = (math.nan, math.inf)
    for _ in range(_SHRINKINGS):
        ahead, behind, near, close = f(h), f(-h), f(h / 2), f(-h / 2)
        coarse, fine = (ahead - behind) / (2 * h), (near - close) / h
        slope = (4 * fine - coarse) / 3
        # The jump of the slope at 0: halves with h where f is smooth, stays where f has a kink.
        jump, half = (ahead - 2 * middle + behind) / h, (near - 2 * middle + close) / (h / 2)
        kink = max(0.0, 2 * abs(half) - abs(jump)) / 2
        rounding = 32 * np.finfo(np.float64).eps * abs(middle) / h
        bound = abs(fine - coarse) + kink + rounding
        if bound < best[1]:
            best = (slope, bound)
        if bound <= 0.1 * _TOLERANCE * abs(slope) + rounding:
            break
        h /= 8
    return best
