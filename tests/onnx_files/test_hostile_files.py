"""A sample of damaged files; all 100,000: python -m tests.onnx_files.hostile_files."""

from __future__ import annotations

from tests.onnx_files.hostile_files import attack


def test_damaged_files_are_read_or_refused() -> None:
    found = attack(1500, seed=0)
    assert found["read"] > 100
    assert found["refused"] > 500
