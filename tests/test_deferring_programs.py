"""Random programs, deferred and at once: the same values and gradients, whoever reads when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.deferral import one_by_one
from tinygrad_cnn import Tensor, nn, no_grad, tensor

pytestmark = pytest.mark.usefixtures("everything_waits")

CHANNELS = 3


class Program:
    """A program drawn from a seed: the same steps, whether results wait or not."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.values: list[Any] = []  # tensors, or None once they were dropped
        self.seen: list[Any] = []  # what was read on the way
        numbers = np.random.default_rng(seed + 1)

        def leaf(*shape: int) -> Tensor:
            array = numbers.standard_normal(shape).astype(np.float32)
            return tensor(array, requires_grad=bool(self.rng.random() < 0.8))

        self.leaves = [leaf(2, CHANNELS, 8, 8) for _ in range(2)]
        self.weights = [leaf(CHANNELS, CHANNELS, 3, 3) for _ in range(3)]
        self.biases = [leaf(CHANNELS) for _ in range(2)]
        self.norms = [nn.BatchNorm2d(CHANNELS) for _ in range(2)]
        for norm in self.norms:
            norm.train(bool(self.rng.random() < 0.7))
        self.values += self.leaves

    def pick(self, things: list[Any]) -> Any:
        return things[self.rng.integers(len(things))]

    def value(self) -> Any:
        return self.pick([v for v in self.values if v is not None])

    # ------------------------------------------------------------------ steps

    def conv(self) -> None:
        bias = self.pick([None, *self.biases])
        self.values.append(F.conv2d(self.value(), self.pick(self.weights), bias, padding=1))

    def norm(self) -> None:
        x = self.value()
        if x.ndim == 4 and x.shape[2] > 1:
            self.values.append(self.pick(self.norms)(x))

    def activate(self) -> None:
        functions = [F.relu, F.relu, F.relu6, F.sigmoid, F.silu, lambda x: F.leaky_relu(x, 0.1)]
        self.values.append(self.pick(functions)(self.value()))

    def pool(self) -> None:
        x = self.value()
        if x.shape[2] >= 4:
            self.values.append(self.pick([F.max_pool2d, F.max_pool2d, F.avg_pool2d])(x, 2))

    def add(self) -> None:
        a = self.value()
        alike = [v for v in self.values if v is not None and v.shape == a.shape]
        b = self.pick(alike)
        if self.rng.random() < 0.25 and not a.is_leaf:
            a += b
        else:
            self.values.append(a + b)

    def chain(self) -> None:
        """What people write in a line: nothing in between is held."""
        y = F.conv2d(self.value(), self.pick(self.weights), None, padding=1)
        if self.rng.random() < 0.5:
            y = self.pick(self.norms)(y)
        if self.rng.random() < 0.7:
            y = F.relu(y)
        if self.rng.random() < 0.5 and y.shape[2] >= 4:
            y = F.max_pool2d(y, 2)
        if self.rng.random() < 0.3:
            y = F.relu(y)
        self.values.append(y)

    def read(self) -> None:
        self.seen.append(self.value().detach().numpy().copy())

    def drop(self) -> None:
        places = range(len(self.leaves), len(self.values))
        if places:
            self.values[self.pick(list(places))] = None

    def hook(self) -> None:
        x = self.value()
        if x.requires_grad:
            factor = float(self.rng.integers(1, 3))
            x.register_hook(lambda g, factor=factor: g * factor)

    def write(self) -> None:
        with no_grad():
            target = self.pick([*self.weights, *self.biases, *self.leaves])
            target *= 0.5

    def leave(self) -> None:
        with no_grad():
            self.values.append(F.relu(self.value()))

    def steps(self) -> Iterator[Any]:
        kinds = [self.conv, self.norm, self.activate, self.pool, self.add, self.read, self.drop]
        kinds += [self.chain, self.chain, self.chain, self.hook, self.leave]
        writes = self.rng.random() < 0.3  # most backward passes would refuse what was overwritten
        for _ in range(self.rng.integers(4, 14)):
            yield self.write if writes and self.rng.random() < 0.2 else self.pick(kinds)

    def run(self) -> list[Any]:
        for step in self.steps():
            step()
        found = [v.detach().numpy().copy() for v in self.values if v is not None]
        total = sum((v * v).sum() for v in self.values if v is not None)
        if total.requires_grad:
            try:
                total.backward()
            except RuntimeError as error:
                return [*self.seen, *found, type(error).__name__]
        gradients = [t.grad for t in (*self.leaves, *self.weights, *self.biases)]
        for norm in self.norms:
            gradients += [norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var]
        return [*self.seen, *found, *(None if g is None else g.numpy() for g in gradients)]


def alike(mine: list[Any], expected: list[Any]) -> bool:
    """Whether results are equal up to rounding: folding and pooled sums take another way."""
    if len(mine) != len(expected):
        return False
    for a, b in zip(mine, expected, strict=True):
        if isinstance(b, np.ndarray):
            scale = max(1.0, float(np.abs(b).max(initial=0)))
            if a is None or not np.allclose(a, b, rtol=1e-3, atol=1e-3 * scale, equal_nan=True):
                return False
        elif type(a) is not type(b) or a != b:
            return False
    return True


def differing(seeds: range) -> list[int]:
    """Return the seeds of programs that give something else when results wait."""
    wrong = []
    for seed in seeds:
        with np.errstate(all="ignore"):
            mine = Program(seed).run()
            with one_by_one():
                expected = Program(seed).run()
        if not alike(mine, expected):
            wrong.append(seed)
    return wrong


def test_random_programs() -> None:
    assert differing(range(60)) == []


@pytest.mark.slow
def test_many_random_programs() -> None:
    assert differing(range(1000, 1500)) == []


def test_programs_do_wait() -> None:
    """What is compared is not the same twice: operations are computed together."""
    from unittest import mock

    from tinygrad_cnn import joining

    with mock.patch.object(joining, "join", wraps=joining.join) as join:
        for seed in range(10):
            with np.errstate(all="ignore"):
                Program(seed).run()
    assert join.call_count > 20
