"""The guides in `docs/`: their Python runs, block after block, in the order of reading."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

GUIDES = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_the_code_of_a_guide_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = path.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "guide"}
    for found in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        line = text.count("\n", 0, found.start(1))
        exec(compile("\n" * line + found[1], str(path), "exec"), names)
