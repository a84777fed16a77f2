"""Random programs that write: gradients as numeric ones and as PyTorch's, or an error, never wrong.

The law of writes: gradients are those of the same program without in-place operations, or a
GraphError says which operation lost what it needs.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn
from tests.random_programs import SHAPE, Program
from tinygrad_cnn import GraphError, tensor

has_torch = importlib.util.find_spec("torch") is not None


class Ours:
    """What a program asks of this package."""

    no_grad = tinygrad_cnn.no_grad

    @staticmethod
    def constant(array: Any) -> Any:
        return tensor(array)

    @staticmethod
    def index(array: Any) -> Any:
        return array


def leaves_of(seed: int) -> list[Any]:
    random = np.random.default_rng(seed + 10**6)
    return [random.uniform(0.5, 1.5, SHAPE) for _ in range(2)]


def run_ours(seed: int, arrays: list[Any], leaving: bool) -> tuple[Any, list[Any], list[Any]]:
    """Return the number, all tensors, and the leaves' gradients."""
    leaves = [tensor(array, requires_grad=True) for array in arrays]
    program = Program(seed, Ours, leaves, leaving)
    total = program.run()
    total.backward()
    values = [np.array(t.detach().numpy()) for t in program.pool]
    return total.item(), values, [None if x.grad is None else x.grad.numpy() for x in leaves]


def value_at(seed: int, arrays: list[Any]) -> float:
    program = Program(seed, Ours, [tensor(array, requires_grad=True) for array in arrays], False)
    return float(program.run().item())


def agrees_numerically(seed: int, arrays: list[Any], gradients: list[Any]) -> bool:
    """Compare with central differences along a random direction, at two steps.

    A program with a kink between the points says nothing; then the two steps disagree.
    """
    random = np.random.default_rng(seed)
    directions = [random.standard_normal(SHAPE) for _ in arrays]
    rule = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))
    found = []
    for h in (1e-5, 1e-6):
        ends = [
            value_at(seed, [a + s * h * d for a, d in zip(arrays, directions, strict=True)])
            for s in (1, -1)
        ]
        found.append((ends[0] - ends[1]) / (2 * h))
    scale = max(1.0, abs(rule), abs(found[0]))
    if abs(found[0] - found[1]) > 1e-4 * scale:
        return True
    return any(abs(number - rule) < 1e-4 * scale for number in found)


@pytest.mark.parametrize(
    "start",
    [pytest.param(n, marks=[pytest.mark.slow] if n >= 200 else []) for n in range(0, 600, 100)],
)
def test_gradients_are_the_numeric_ones(start: int) -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(start, start + 100):
        arrays = leaves_of(seed)
        with np.errstate(all="ignore"):
            try:
                _, _, gradients = run_ours(seed, arrays, leaving=False)
            except GraphError:
                outcomes["error"] += 1
                continue
            assert agrees_numerically(seed, arrays, gradients), f"seed {seed}"
        outcomes["equal"] += 1
    assert outcomes["equal"] > outcomes["error"]


def run_theirs(seed: int, arrays: list[Any], leaving: bool) -> tuple[Any, list[Any], list[Any]]:
    import torch

    class Theirs:
        no_grad = torch.no_grad
        constant = staticmethod(torch.tensor)
        index = staticmethod(torch.tensor)

    leaves = [torch.tensor(array, requires_grad=True) for array in arrays]
    program = Program(seed, Theirs, leaves, leaving)
    total = program.run()
    total.backward()
    values = [np.array(t.detach().numpy()) for t in program.pool]
    return total.item(), values, [None if x.grad is None else x.grad.numpy() for x in leaves]


def close(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return np.shape(a) == np.shape(b) and bool(np.allclose(a, b, rtol=1e-8, equal_nan=True))


@pytest.mark.skipif(not has_torch, reason="PyTorch is not installed: nothing to compare with")
@pytest.mark.parametrize("leaving", [False, True], ids=["recorded", "with no_grad and detach"])
@pytest.mark.parametrize("start", range(0, 2000, 250))
def test_values_and_gradients_are_pytorchs(start: int, leaving: bool) -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(start, start + 250):
        arrays = leaves_of(seed)
        with np.errstate(all="ignore"):
            try:
                ours = run_ours(seed, arrays, leaving)
            except GraphError:
                outcomes["error here"] += 1
                continue
            try:
                theirs = run_theirs(seed, arrays, leaving)
            except RuntimeError:  # where the old values could have been kept
                outcomes["error there alone"] += 1
                assert leaving or agrees_numerically(seed, arrays, ours[2]), f"seed {seed}"
                continue
        assert close(ours[0], theirs[0]), f"seed {seed}"
        assert len(ours[1]) == len(theirs[1])
        for number, (a, b) in enumerate(zip(ours[1], theirs[1], strict=True)):
            assert close(a, b), f"seed {seed}, tensor {number}"
        for a, b in zip(ours[2], theirs[2], strict=True):
            assert close(a, b), f"seed {seed}"
        outcomes["equal"] += 1
    assert outcomes["equal"] > outcomes["error here"], outcomes
