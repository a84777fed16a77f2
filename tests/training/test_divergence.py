"""What the command says of a step that is wrong, and of a training that diverges."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinygrad_cnn.cli.main import main


def test_a_step_is_looked_at_before_it_trains(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--optimizer", "sgd", "--lr", "0.01", "--epochs", "1", "--quiet"]
    out = str(tmp_path / "run")
    main(["train", "regression", "--data", str(data_folder), *given, "--out", out])
    assert "WARNING: learning rate: at the learning rate 0.01 the loss" in capsys.readouterr().err


def test_the_operation_that_diverges_is_named(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    given = ["--lr", "1e9", "--no-check", "--out", str(folder), "--quiet"]
    assert main(["train", "softmax", "--data", str(data_folder), *given]) == 1
    said = capsys.readouterr().err
    assert "training diverged" in said
    assert "out of finite numbers" in said
    assert "learning rate 1e+09" in said
    assert "models" in said  # the line of the network
    assert "FAIL" in (folder / "anomaly.dot").read_text(encoding="utf-8")
