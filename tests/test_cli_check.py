"""The subcommand check: tables, findings, exit status, colours, JSON."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tinygrad_cnn
from tests.training.small import write_folder
from tests.verify.fault_kinds import double
from tests.verify.faults import faulty
from tinygrad_cnn import verify
from tinygrad_cnn.cli import check as checking
from tinygrad_cnn.cli import main as cli
from tinygrad_cnn.models import NETWORKS, notebooks
from tinygrad_cnn.ops import linalg
from tinygrad_cnn.ops.conv import trilinear as conv
from tinygrad_cnn.verify import Report, check_graph

Command = Callable[..., tuple[Any, str, str]]
SMALL = ("softmax", "--batch", "2")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> tuple[Any, str, str]:
        try:
            status: Any = cli.main(["check", *arguments])
        except SystemExit as error:
            status = error.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


REPORTS: list[Report] = []


@pytest.fixture
def checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first who asks checks for all: how it is printed is what they test."""

    def check(loss: Any, seed: int) -> Report:
        if not REPORTS:
            REPORTS.append(check_graph(loss, seed=seed))
        return REPORTS[0]

    monkeypatch.setattr(verify, "check_graph", check)


@pytest.fixture
def wrong_conv(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolutions with a flipped weight gradient, as one of the notebooks has it."""
    right = conv.Conv2d.backward

    def backward(*given: Any, **extra: Any) -> tuple[Any, ...]:
        gx, gw, gb = right(*given, **extra)
        return gx, None if gw is None else gw[:, :, ::-1, ::-1], gb

    monkeypatch.setattr(conv.Conv2d, "backward", backward)


def rows(out: str) -> list[list[str]]:
    """The cells of the table's rows."""
    return [re.split(r"\s{2,}", line.strip()) for line in out.splitlines() if line[:2] == "  "]


def test_every_gradient_has_its_row(command: Command) -> None:
    status, out, err = command(*SMALL)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "softmax: 2 images of digits, in training, seed 0"
    assert lines[-1] == "KINK: 10 gradients, 9 PASS, 1 KINK"
    head, *table = rows(out)
    assert head[:5] == ["verdict", "operation", "module", "input", "shape"]
    assert ["PASS", "linear", "linear", "x", "2×1352"] in [row[:5] for row in table]
    assert ["PASS", "conv2d", "conv", "w", "8×1×3×3"] in [row[:5] for row in table]
    assert ["PASS", "end to end", "conv.weight", "8×1×3×3"] in [row[:4] for row in table]
    assert len(table) == 10
    errors = [float(row[-2 - (not row[-2].isdigit())]) for row in table if row[1] == "linear"]
    assert errors
    assert "\x1b" not in out


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "softmax" else [pytest.mark.slow])
        for name in sorted(NETWORKS)
    ],
)
def test_every_network_in_training_and_evaluation(command: Command, name: str) -> None:
    for mode in ((), ("--eval",)):
        status, out, _ = command(name, "--batch", "2", "--seed", "5", *mode)
        assert status == 0, out
        assert f"in {'evaluation' if mode else 'training'}, seed 5" in out


def test_all_networks_one_after_the_other(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "NETWORKS", ("softmax", "sigmoid"))
    status, out, _ = command("all", "--batch", "2", "--json", "all.json")
    assert status == 0
    assert [line.split(":")[0] for line in out.splitlines() if " images of " in line] == [
        "softmax",
        "sigmoid",
    ]
    assert list(json.loads(Path("all.json").read_text())["networks"]) == ["softmax", "sigmoid"]


def test_seed_and_data_choose_what_is_checked(command: Command, tmp_path: Path) -> None:
    folder = str(write_folder(tmp_path))
    status, out, _ = command(*SMALL, "--data", folder)
    assert status == 0
    assert f"2 images of {folder}" in out
    contents = []
    for seed in ("1", "1", "2"):
        assert command(*SMALL, "--seed", seed, "--json", "report.json")[0] == 0
        report = json.loads(Path("report.json").read_text())["networks"]["softmax"]
        contents.append([result["counts"] for result in report["results"]])
    assert contents[0] == contents[1] != contents[2]


@pytest.mark.usefixtures("wrong_conv")
def test_a_wrong_rule_is_named_with_its_line_and_look(command: Command) -> None:
    status, out, err = command("sigmoid", "--batch", "2", "--json", "report.json")
    assert (status, err) == (1, "")
    line = 1 + next(
        number
        for number, text in enumerate(Path(notebooks.__file__).read_text().splitlines())
        if "F.max_pool2d(F.relu(self.conv(x)), 2)" in text
    )
    findings = out[out.index("\nFAIL") :]
    assert re.search(
        rf"FAIL +conv2d\(.*\) · w \[1, 1, 5, 5\] \(in conv, .*notebooks\.py:{line}\)", findings
    )
    assert re.search(r"at \[0, 0, \d, \d\]: analytic \S+, numeric \S+ ± \S+", findings)
    assert re.search(r"wrong: \d+ of 25 elements", findings)
    assert "hint: it is flipped spatially" in findings
    assert "FAIL: 17 gradients" in out.splitlines()[-1]
    report = json.loads(Path("report.json").read_text())
    assert report["ok"] is False
    found = [r for r in report["networks"]["sigmoid"]["results"] if r["verdict"] == "FAIL"]
    assert found[0]["hints"][0]["code"] == "flipped"
    assert found[0]["source"][1] == line


def test_wrong_and_right_networks_together_fail(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "NETWORKS", ("softmax", "regression"))
    monkeypatch.setattr(linalg, "_linear", faulty(linalg.Linear, double(2).mutate)())
    status, out, _ = command("all", "--batch", "2")
    assert status == 1
    assert out.count("hint: it is twice too large") >= 2


def test_json_says_what_the_report_says(command: Command) -> None:
    assert command(*SMALL, "--json", "report.json")[0] == 0
    report = json.loads(Path("report.json").read_text())
    assert report["ok"] is True
    assert (report["batch"], report["seed"], report["mode"]) == (2, 0, "train")
    assert report["networks"]["softmax"]["counts"] == {
        "PASS": 9,
        "KINK": 1,
        "FAIL": 0,
        "INCONCLUSIVE": 0,
        "UNSEEN": 0,
        "SKIPPED": 0,
    }
    assert [path.name for path in Path().iterdir()] == ["report.json"]


def test_a_file_that_cannot_be_written_is_said_in_one_line(command: Command) -> None:
    status, _, err = command(*SMALL, "--json", "nowhere/report.json")
    assert status == 2
    assert "--json: there is no folder nowhere to write nowhere/report.json to" in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("checked_once")
@pytest.mark.parametrize(
    ("variable", "value", "coloured"),
    [(None, "", True), ("NO_COLOR", "1", False), ("NO_COLOR", "", True), ("TERM", "dumb", False)],
)
def test_colours_only_where_they_are_wanted(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
    value: str,
    coloured: bool,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    if variable:
        monkeypatch.setenv(variable, value)
    _, out, _ = command(*SMALL)
    assert ("\x1b[32mPASS" in out) is coloured
    assert ("\x1b[36mKINK" in out) is coloured


@pytest.mark.usefixtures("wrong_conv")
def test_what_is_wrong_is_red_and_columns_stay_straight() -> None:
    x = tinygrad_cnn.tensor([[[[1.0, 2.0], [3.0, 4.0]]]], requires_grad=True)
    w = tinygrad_cnn.tensor([[[[1.0, 2.0], [3.0, 4.0]]]], requires_grad=True)
    report = check_graph(tinygrad_cnn.functional.conv2d(x, w))
    text, plain = (checking.report_text(report, colours) for colours in (True, False))
    assert "\x1b[1;31mFAIL\x1b[0m" in text
    assert re.sub(r"\x1b\[[\d;]*m", "", text) == plain


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "the following arguments are required: NETWORK|FILE.py:NAME"),
        ("lenet", "argument NETWORK|FILE.py:NAME: expected one of batchnorm, momentum, regression"),
        ("softmax --batch 0", "argument --batch: expected an integer of at least 1, got '0'"),
        ("softmax --seed x", "argument --seed: expected an integer of at least 0, got 'x'"),
        ("softmax --data nowhere", "argument --data: "),
        ("batchnorm --batch 1", "argument --batch: batchnorm in training expects at least 2"),
        ("all --batch 1", "argument --batch: batchnorm in training expects at least 2"),
        ("softmax --input 3x3", "argument --input: expected with FILE.py:NAME only"),
        ("softmax --verbose", "unrecognized arguments: --verbose"),
    ],
)
def test_wrong_arguments_are_said_in_one_line(
    command: Command, arguments: str, message: str
) -> None:
    status, out, err = command(*arguments.split())
    assert status == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_one_image_can_be_checked_in_evaluation(command: Command) -> None:
    assert command("batchnorm", "--batch", "1", "--eval")[0] == 0
