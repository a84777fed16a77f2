"""Samples of concatenate and stack."""

from __future__ import annotations

import numpy as np

from tests.samples.base import ErrorSample, Sample
from tinygrad_cnn.ops.join import Concatenate, Stack, cat, concatenate, stack

_rng = np.random.default_rng(4)
_a = _rng.standard_normal((2, 3))
_b = _rng.standard_normal((1, 3))
_c = _rng.standard_normal((2, 3))
_x = _rng.standard_normal((2, 2, 3, 4))
_y = _rng.standard_normal((2, 1, 3, 4))
_ints = np.array([[1, 2, 3]])

SAMPLES = [
    Sample(Concatenate, lambda a, b: concatenate([a, b]), (_a, _b), lambda a, b: np.r_[a, b], "2"),
    Sample(
        Concatenate,
        lambda a, b: cat((a, b, a), dim=-1),
        (_a, _c),
        lambda a, b: np.hstack([a, b, a]),
        "one of them twice",
    ),
    Sample(
        Concatenate,
        lambda x, y: concatenate([x, y], axis=1),
        (_x, _y),
        lambda x, y: np.append(x, y, axis=1),
        "channels",
    ),
    Sample(
        Concatenate,
        lambda a, i: concatenate([i, a, [[7.0, 8.0, 9.0]]]),
        (_a, _ints),
        lambda a, i: np.vstack([i, a, [[7.0, 8.0, 9.0]]]),
        "integers and lists",
    ),
    Sample(
        Concatenate,
        lambda a, b: concatenate([a, b]),
        (_a, np.zeros((0, 3))),
        lambda a, _: a,
        "nothing",
    ),
    Sample(Concatenate, lambda a: concatenate([a]), (_a,), lambda a: a, "one"),
    Sample(Stack, lambda a, b: stack([a, b]), (_a, _c), lambda a, b: np.array([a, b]), "new first"),
    Sample(
        Stack,
        lambda a, b: stack((a, b), dim=-1),
        (_a, _c),
        lambda a, b: np.array([[[a[i, j], b[i, j]] for j in range(3)] for i in range(2)]),
        "new last",
    ),
    Sample(
        Stack,
        lambda a, b: stack([a, b, 1.0], axis=0),
        (np.array(2.0), np.array(3.0)),
        lambda a, b: np.array([a, b, 1.0]),
        "numbers",
    ),
]

ERRORS = [
    ErrorSample(lambda: concatenate([]), ValueError, "concatenate: got no tensors"),
    ErrorSample(
        lambda: concatenate([_a, _b], dim=1),
        ValueError,
        r"equal sizes except along dim 1, got shapes \(2, 3\) and \(1, 3\)",
    ),
    ErrorSample(lambda: concatenate([_a, _x]), ValueError, "concatenate: expects equal sizes"),
    ErrorSample(lambda: concatenate([_a], dim=2), IndexError, "concatenate: dim 2 does not exist"),
    ErrorSample(
        lambda: concatenate([1.0, 2.0]), IndexError, "concatenate: dim 0 .* of 0 dimensions"
    ),
    ErrorSample(lambda: concatenate(["a"]), TypeError, "concatenate: expects tensors.*got str"),
    ErrorSample(lambda: stack([]), ValueError, "stack: got no tensors"),
    ErrorSample(
        lambda: stack([_a, _b]),
        ValueError,
        r"stack: expects equal shapes, got \(2, 3\) and \(1, 3\)",
    ),
    ErrorSample(lambda: stack([_a], dim=3), IndexError, "stack: dim 3 does not exist .* 3 dim"),
]
