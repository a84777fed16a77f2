"""The network of a run's folder, also one that began as an ONNX file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tinygrad_cnn.cli.arguments import load_data

if TYPE_CHECKING:
    from tinygrad_cnn.data import Splits

__all__ = ["network_of_run"]

_OF_ONNX = "onnx.json"  # which stands in the folders of such runs


@contextmanager
def network_of_run(folder: Path) -> Iterator[Callable[[str], Splits]]:
    """Let the network of a run be known meanwhile; give what loads data as the run does."""
    if not (folder / _OF_ONNX).is_file():
        yield load_data
        return
    from tinygrad_cnn.onnx.tuning import fitting, known_in

    with known_in(folder) as form:
        yield load_data if form is None else fitting(load_data, form)
