"""Arguments beside PyTorch's and torchvision's: the same names in the same order."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from tinygrad_cnn import data
from tinygrad_cnn.data import datasets, transforms
from tinygrad_cnn.data.transforms import functional


def arguments(function: Any) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def shared(ours: Any, theirs: Any) -> list[str]:
    names = {name for name in set(dir(ours)) & set(dir(theirs)) if not name.startswith("_")}
    return [n for n in sorted(names) if callable(getattr(ours, n)) and callable(getattr(theirs, n))]


def compare(ours: Any, theirs: Any, least: int) -> None:
    names = shared(ours, theirs)
    assert len(names) >= least
    for name in names:
        expected = arguments(getattr(theirs, name))
        assert arguments(getattr(ours, name))[: len(expected)] == expected, name


def test_arguments_of_data_sets_and_loaders() -> None:
    compare(data, pytest.importorskip("torch.utils.data"), 17)


def test_arguments_of_transforms_and_data_sets() -> None:
    try:
        import torchvision.datasets
        import torchvision.transforms.functional
        import torchvision.utils
    except Exception as error:  # of another build than PyTorch's it raises what it likes
        pytest.skip(f"torchvision cannot be imported: {error}")
    compare(transforms, torchvision.transforms, 30)
    compare(functional, torchvision.transforms.functional, 25)
    compare(datasets, torchvision.datasets, 10)
    compare(data, torchvision.utils, 2)
