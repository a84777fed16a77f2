"""All samples of all families: every module of tests/samples that defines SAMPLES and ERRORS."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.samples.base import ErrorSample, Sample

SAMPLES: list[Sample] = []
ERRORS: list[ErrorSample] = []

for _path in sorted((Path(__file__).parent / "samples").glob("*.py")):
    if _path.stem != "base":
        _family = importlib.import_module(f"tests.samples.{_path.stem}")
        SAMPLES += _family.SAMPLES
        ERRORS += _family.ERRORS
