"""Somebody's methods: which they are, what they take, and the same draws at each call."""

from __future__ import annotations

import inspect
import random
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn.verify.subjects.subject import RuleError

FORWARD = ("forward", "__call__", "forward_pass", "forward_propagation", "forward_prop", "fprop")
BACKWARD = ("backward", "backward_pass", "backward_propagation", "backprop", "back_prop", "bprop")
RATES = frozenset(("lr", "learning_rate", "eta", "alpha", "step_size", "learn_rate", "lrate"))


def method_of(owner: Any, names: Iterable[str]) -> str | None:
    """Return the first of these methods that an object, or a class, defines."""
    kind = owner if isinstance(owner, type) else type(owner)
    return next((name for name in names if callable(getattr(kind, name, None))), None)


def required(function: Any) -> list[str]:
    """Return the names of arguments without a default."""
    return [
        name
        for name, p in parameters_of(function).items()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]


def parameters_of(function: Any) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a function; none where they cannot be told."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


_STATE = random.Random(0).getstate()
_NUMPY_STATE = np.random.RandomState(0).get_state()  # theirs


@contextmanager
def same_draws() -> Iterator[None]:
    """Let whoever draws from NumPy's or Python's global generator draw the same each time."""
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002  # theirs
    random.setstate(_STATE)
    np.random.set_state(_NUMPY_STATE)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002


@contextmanager
def said_by(name: str) -> Iterator[None]:
    """Let whatever somebody's method raises say which it was, and where."""
    try:
        yield
    except RuleError:
        raise
    except Exception as error:
        trace = traceback.extract_tb(error.__traceback__)[-1]
        where = f" ({Path(trace.filename).name}:{trace.lineno})"
        said = f"{name} raised {type(error).__name__}: {error}{where}"
        raise RuleError(said) from error
