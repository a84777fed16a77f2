"""The table of names: each of PyTorch's is here, or says what is near."""

from __future__ import annotations

import importlib
import re
from typing import Any

import pytest

from tests.names import table
from tinygrad_cnn.torch.absent import ABSENT, reason


def home_of(module: str) -> Any:
    if module == "torch.Tensor":
        return importlib.import_module("tinygrad_cnn.torch").Tensor
    return importlib.import_module(f"tinygrad_cnn.{module}")


@pytest.mark.parametrize("module", sorted(table.torch_names()))
def test_each_name_is_here_or_says_what_is_near(module: str) -> None:
    home, silent = home_of(module), []
    for name in sorted(table.torch_names()[module]):
        if hasattr(home, name):
            continue
        said = reason(module, name)
        if "dir() of the module" in said:
            silent.append(f"{module}.{name}: write it, or say in torch/absent.py what is near")
        elif module != "torch.Tensor":
            with pytest.raises(AttributeError, match="^" + re.escape(said)):
                getattr(home, name)
    assert not silent, "\n".join(silent)


def test_what_is_absent_is_not_here() -> None:
    names = table.torch_names()
    here = [
        f"{module}.{name}"
        for module in names
        for name in names[module] & ABSENT.keys()
        if hasattr(home_of(module), name) and module != "torch.special"
    ]
    assert not here, here
    for name in table.DIFFERENT:
        module, _, last = name.rpartition(".")
        assert hasattr(home_of(module), last), name


def test_how_many_are_here() -> None:
    names = table.torch_names()
    known = [(m, n) for m in names for n in names[m]]
    here = [n for m, n in known if hasattr(home_of(m), n)]
    assert len(here) >= 0.77 * len(known), f"{len(here)} of {len(known)}"
