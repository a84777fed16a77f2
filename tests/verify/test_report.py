"""A report as data has the form that its schema says; each hint has a row on the page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
import tinygrad_cnn.verify as verify
from tests.verify.real_bugs import TUNED
from tinygrad_cnn import tensor
from tinygrad_cnn.verify import check_backward, check_graph
from tinygrad_cnn.verify.hints.catalogue import HINTS, VERDICTS, anchor, page

HERE = Path(verify.__file__).parent
SCHEMA = json.loads((HERE / "schema.json").read_text())
KINDS = {
    "object": dict,
    "array": list,
    "string": str,
    "null": type(None),
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}


def fits(value: Any, schema: dict[str, Any], place: str = "report") -> list[str]:
    """What of a value does not fit; of JSON schema what the file uses."""
    if "$ref" in schema:
        return fits(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], place)
    if "const" in schema:
        return [] if value == schema["const"] else [f"{place}: {value!r}"]
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{place}: {value!r}"]
    if "anyOf" in schema:
        tries = [fits(value, s, place) for s in schema["anyOf"]]
        return min(tries, key=len)
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(isinstance(value, KINDS[kind]) for kind in kinds):
        return [f"{place}: {value!r} is not of {kinds}"]
    wrong = []
    if isinstance(value, dict):
        known, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
        wrong += [f"{place}: lacks {key}" for key in schema.get("required", []) if key not in value]
        for key, item in value.items():
            if key in known:
                wrong += fits(item, known[key], f"{place}.{key}")
            elif rest is False:
                wrong.append(f"{place}: {key} is unknown")
            elif isinstance(rest, dict):
                wrong += fits(item, rest, f"{place}.{key}")
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            wrong += fits(item, schema["items"], f"{place}[{index}]")
    return wrong


def reports() -> list[verify.Report]:
    x = tensor(np.linspace(-1.0, 1.0, 6), requires_grad=True)
    bug = TUNED[0]
    arrays = bug.draw(np.random.default_rng(0), lambda rng, s: rng.standard_normal(s))
    wrong = check_backward(
        bug.forward, lambda g, *a: bug.rule(g, *a, wrong=True), arrays, raise_exception=False
    )
    odd = check_backward(np.log, lambda g, x: (g / x,), [np.array([0.0])], raise_exception=False)
    return [check_graph(F.sum(F.relu(x))), wrong, odd]


def test_reports_fit_the_schema() -> None:
    for report in reports():
        data = json.loads(json.dumps(report.to_dict()))
        assert fits(data, SCHEMA) == []
    assert fits({**data, "more": 1}, SCHEMA)
    assert fits({**data, "seed": "x"}, SCHEMA)


def test_a_failure_links_to_its_rows() -> None:
    report = reports()[1]
    assert "what it means: docs/verdicts.md#fail" in report.text()
    data = report.to_dict()
    pages = [h["page"] for r in data["results"] for h in r["hints"]]
    assert pages == ["docs/verdicts.md#flipped"]
    assert f"next, flipped: {HINTS['flipped'].next}" in report.text()


def test_every_hint_and_verdict_has_a_row() -> None:
    codes = set()
    for path in HERE.rglob("*.py"):
        text = path.read_text()
        codes |= set(re.findall(r'Hint\(\s*"([a-zA-Z /0-9]+)"', text))
        codes |= set(re.findall(r'yield "([a-z]+)", ', text))
    assert {"sign", "overlap", "shifted", "detached"} <= codes
    assert codes <= HINTS.keys()
    assert set(VERDICTS) == {v.value for v in verify.Verdict}


def test_the_page_is_the_catalogue() -> None:
    path = Path(__file__).parent.parent.parent / "docs" / "verdicts.md"
    if not path.exists():
        pytest.skip("not a clone of the repository")
    text = path.read_text()
    assert text.startswith(page()), "its beginning is catalogue.page(): write it anew"
    assert text.removeprefix(page()).lstrip().startswith("## What was tried")
    for code in (*HINTS, *VERDICTS):
        assert f'<a id="{anchor(code)}">' in page()
