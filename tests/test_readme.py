"""What the README quotes from examples is what they print, and what it counts is what there is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.verify.fault_families import SITES
from tests.verify.test_faults import PAIRS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rounded(text: str) -> list[str]:
    """Lines whose numbers keep three digits: machines differ in the last ones."""
    lines = re.sub(r"\d\.\d+", lambda found: f"{float(found[0]):.2f}", text).splitlines()
    return [" ".join(line.split()) for line in lines]


def test_the_finding_at_the_top_is_what_the_example_prints() -> None:
    quoted = re.search(r"^```\n(FAIL .*?)^```", README, re.DOTALL | re.MULTILINE)
    assert quoted is not None
    printed = subprocess.run(
        [sys.executable, "examples/wrong_operation.py"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = rounded(printed)
    assert [line for line in rounded(quoted[1]) if line not in lines] == []


def test_the_faults_that_the_table_counts_are_there() -> None:
    pairs: Counter[str] = Counter()
    for site in SITES:  # what the example puts in
        pairs[site.family] += len(site.faults)
    table = (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (\w+) \| (\d+) \| \d+ % \|", table, re.MULTILINE)
    rows = {family: int(count) for family, count in found}
    assert rows == pairs
    assert f"put {len(PAIRS)} faults into operations" in README
    assert sum(rows.values()) == len(PAIRS)
    (whole,) = re.findall(r"^\| \*\*all\*\* .*$", table, re.MULTILINE)
    assert whole.startswith(f"| **all** | {sum(rows.values())} |")
    assert whole in README


def test_the_number_of_tests_is_about_what_it_says(request: pytest.FixtureRequest) -> None:
    """Held where everything is collected: by the README's own command, and with the slow ones."""
    found = re.search(r"More than ([\d,]+) tests", README)
    assert found is not None
    said = int(found[1].replace(",", ""))
    config = request.config
    whole = {(config.rootpath / arg).name for arg in config.args} == set(config.getini("testpaths"))
    chosen = config.option.markexpr
    if not whole or config.option.keyword or chosen not in ("not slow", "slow or not slow"):
        pytest.skip("only a part of the tests is run")
    there = sum(item.get_closest_marker("slow") is None for item in request.session.items)
    assert said <= there <= 1.2 * said, f"README: more than {there // 1000},000 tests, not {said:,}"
