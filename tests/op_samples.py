"""All samples of all families: every module of tests/samples that defines SAMPLES and ERRORS."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.cases import together
from tests.samples.base import ErrorSample, Sample

SAMPLES: list[Sample] = []
ERRORS: list[ErrorSample] = []

for _path in sorted((Path(__file__).parent / "samples").glob("*.py")):
    if _path.stem != "base":
        _family = importlib.import_module(f"tests.samples.{_path.stem}")
        SAMPLES += _family.SAMPLES
        ERRORS += _family.ERRORS

# One of each operation, and what is left.
FIRST = list({sample.ops: sample for sample in reversed(SAMPLES)}.values())
OTHERS = [sample for sample in SAMPLES if sample not in set(FIRST)]


def per_op(samples: Iterable[Sample]) -> Any:
    """Call a test with the `samples` of an operation, or of several that are recorded together."""
    return together(
        "samples", samples, lambda s: "+".join(op.__name__ for op in s.ops) or "compositions"
    )
