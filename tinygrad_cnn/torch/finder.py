"""`stand_in`: ``import torch`` finds this door, in this process, until it is taken back."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["stand_in", "step_back"]

_DOORS = ("torch", "torchvision")
_PACKAGE = "tinygrad_cnn"


class _Finder(MetaPathFinder, Loader):
    """Finds ``torch.nn`` at ``tinygrad_cnn.torch.nn``: the same module under a second name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in _DOORS:
            return None
        with suppress(ModuleNotFoundError):
            if importlib.util.find_spec(f"{_PACKAGE}.{fullname}") is not None:
                return ModuleSpec(fullname, self)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(f"{_PACKAGE}.{spec.name}")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        state: Any = module.__spec__
        module.__spec__ = state.loader_state  # it was run when it was imported by its own name


_finder = _Finder()


def stand_in() -> None:
    """Let ``import torch`` and ``import torchvision`` find these doors in this process.

    Raises
    ------
    RuntimeError
        If PyTorch itself was imported before.
    """
    for name in _DOORS:
        found = sys.modules.get(name)
        if found is not None and not found.__name__.startswith(_PACKAGE):
            raise RuntimeError(f"{name} itself is imported already; the door cannot take its place")
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def step_back() -> None:
    """Undo `stand_in`."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    for name in [n for n in sys.modules if n.partition(".")[0] in _DOORS]:
        del sys.modules[name]
