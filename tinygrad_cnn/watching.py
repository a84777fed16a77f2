"""`Watcher`: what looks at operations, gradients and updates while a thread's mode holds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Watcher:
    """Is told what happens in its thread; `graph.mode.watch` is one, or None.

    Without one nothing is told, and nothing lost. A watcher may raise, and changes nothing.
    """

    def forward(self, op: Any, inputs: Sequence[Any], result: Any) -> None:
        """Look at an operation that was applied to tensors."""

    def called(self, module: Any, inputs: Any, result: Any) -> None:
        """Look at a module that was called from outside of any module."""

    def started(self, root: Any) -> None:
        """Look at a tensor that a backward pass begins with."""

    def backward(self, node: Any, g: Any, results: Sequence[Any]) -> None:
        """Look at gradients that a rule returned."""

    def before_update(self, optimizer: Any) -> None:
        """Look at an optimiser that is about to update its parameters."""

    def after_update(self, optimizer: Any) -> None:
        """Look at an optimiser that has updated its parameters."""
