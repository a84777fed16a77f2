"""Idioms of tutorials: each runs on the door, and gives there what PyTorch gives."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tests.torch_door.idioms import IDIOMS, SETUP
from tinygrad_cnn.torch.finder import stand_in, step_back

LINES = [line for line in IDIOMS.splitlines() if line.strip()]


def answers() -> list[Any]:
    """What each idiom gives, or the error that it raises."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for line in LINES:
            space: dict[str, Any] = {}
            exec(SETUP, space)
            try:
                found.append(plain(value_of(line, space)))
            except Exception as error:
                found.append(error)
    return found


def value_of(line: str, space: dict[str, Any]) -> Any:
    try:
        code = compile(line, line, "eval")
    except SyntaxError:
        exec(compile(line, line, "exec"), space)
        return space["r"]
    return eval(code, space)


def plain(value: Any) -> Any:
    """Arrays for tensors, lists for sequences, names for what cannot be compared."""
    if hasattr(value, "detach"):
        return np.asarray(value.detach().numpy())
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, (bool, int, float, str, np.ndarray, np.generic)) or value is None:
        return value
    return type(value).__name__


def same(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (np.ndarray, float)) and isinstance(b, (np.ndarray, float)):
        a, b = np.asarray(a), np.asarray(b)
        kinds = a.dtype.kind == b.dtype.kind and a.shape == b.shape
        return kinds and np.allclose(a, b, rtol=1e-5, atol=3e-6, equal_nan=True)
    return bool(a == b)


@pytest.fixture(scope="module")
def ours() -> Any:
    stand_in()
    try:
        yield answers()
    finally:
        step_back()


def test_there_are_enough() -> None:
    assert len(LINES) > 400
    assert len(set(LINES)) == len(LINES)


def test_each_runs(ours: list[Any]) -> None:
    wrong = [
        f"{line}: {a!r}" for line, a in zip(LINES, ours, strict=True) if isinstance(a, Exception)
    ]
    assert not wrong, "\n".join(wrong)


def test_each_gives_what_pytorch_gives(ours: list[Any]) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    wrong = [
        f"{line}: {a!r}, PyTorch {b!r}"
        for line, a, b in zip(LINES, ours, answers(), strict=True)
        if not isinstance(b, Exception) and not same(a, b)
    ]
    assert not wrong, "\n".join(wrong)
