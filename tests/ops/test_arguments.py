"""Arguments that many functions share."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import Tensor
from tinygrad_cnn.ops.arguments import ntuple, numpy_words
from tinygrad_cnn.ops.batching import takes_one_example


@numpy_words
def spoken(x: Any, dim: Any = None, keepdim: bool = False) -> tuple[Any, bool]:
    assert x is None
    return dim, keepdim


@numpy_words
def required(x: Any, dim: Any) -> Any:
    assert x is None
    return dim


def test_numpys_words_mean_the_same() -> None:
    assert spoken(None) == spoken(None, axis=None) == spoken(None, None, axis=None) == (None, False)
    assert spoken(None, 1) == spoken(None, axis=1) == spoken(None, None, axis=1) == (1, False)
    assert spoken(None, 0) == spoken(None, axis=0) == spoken(None, dim=None, axis=0) == (0, False)
    assert spoken(None, 1, True) == spoken(None, 1, keepdims=True) == (1, True)
    assert spoken(None, axis=(0, 1), keepdims=True) == ((0, 1), True)
    assert spoken(None, keepdims=True) == spoken(None, None, False, keepdims=True) == (None, True)
    assert spoken(None, None, True, keepdims=False) == (None, True)
    assert required(None, axis=0) == required(None, 0) == 0
    assert required(None, axis=None) is None  # the function says what is wrong with it


def test_two_names_of_one_argument_are_not_both_given() -> None:
    for call in (
        lambda: spoken(None, 0, axis=1),
        lambda: spoken(None, 0, axis=0),
        lambda: spoken(None, dim=0, axis=0),
        lambda: required(None, 0, axis=1),
    ):
        with pytest.raises(ValueError, match=r"\w+: dim and axis are two names of one argument"):
            call()
    with pytest.raises(ValueError, match=r"^spoken: keepdim and keepdims are two names"):
        spoken(None, 0, True, keepdims=True)


def test_help_shows_both_words() -> None:
    text = str(inspect.signature(spoken))
    assert text == (
        "(x: 'Any', dim: 'Any' = None, keepdim: 'bool' = False, *, axis=None, keepdims=False) "
        "-> 'tuple[Any, bool]'"
    )


def test_a_function_without_these_words_does_not_ask_for_a_translation() -> None:
    with pytest.raises(TypeError, match=r"^nothing: expects a parameter dim or keepdim"):

        @numpy_words
        def nothing(x: Any) -> Any:
            return x


def test_words_of_required_dims_work_too() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(F.softmax(x, axis=1), F.softmax(x, 1))
    assert np.array_equal(F.argmax(x, axis=1, keepdims=True), [[2], [2]])
    assert F.unsqueeze(x, axis=0).shape == (1, 2, 3)
    for function in (F.concatenate, F.stack):
        with pytest.raises(ValueError, match="two names of one argument"):
            function([x, x], 1, axis=0)


def test_ntuple_names_what_it_expects() -> None:
    assert ntuple("f", "size", 2, 3) == ntuple("f", "size", [2, 2, 2], 3) == (2, 2, 2)
    with pytest.raises(ValueError, match=r"^f: size expects an int >= 1, got \(1, 2\)"):
        ntuple("f", "size", (1, 2), 1)
    with pytest.raises(ValueError, match=r"^f: size expects an int or a pair of ints >= 0, got -1"):
        ntuple("f", "size", -1, 2, smallest=0)
    with pytest.raises(ValueError, match=r"^f: size expects an int or 3 ints >= 1, got 1.5"):
        ntuple("f", "size", 1.5, 3)


def test_one_example_goes_through_a_function_of_batches() -> None:
    @takes_one_example(ndim=3)
    def both(input: Any, scale: float = 2.0) -> tuple[Any, Any]:
        assert input.ndim == 3
        return input * scale, F.amax(input, 2)

    batch = np.arange(12.0).reshape(2, 3, 2)
    for given in (both(batch[1], 3.0), both(input=batch[1], scale=3.0)):
        for one, many in zip(given, both(batch, 3.0), strict=True):
            assert np.array_equal(one, many[1])
    x = Tensor(batch[0], requires_grad=True)
    both(x)[0].sum().backward()
    assert x.grad is not None
    assert np.array_equal(x.grad.numpy(), np.full((3, 2), 2.0))
