"""The examples run from anywhere, with few steps, and what they print is so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import data, tensor

ROOT = Path(__file__).parents[1]
# the benchmark compares with other frameworks, which a test cannot ask for; the faults are put
# one by one in tests/verify; the death of a rank needs an MPI that bears it, in tests/distributed
ELSEWHERE = {ROOT / "examples" / name for name in ("benchmark.py", "fault_table.py", "ulfm.py")}
EXAMPLES = sorted(set((ROOT / "examples").glob("*.py")) - ELSEWHERE)


def run(name: str, folder: Path, *arguments: str) -> str:
    """Run an example as a user does, in a folder of its own, warnings being errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py"), *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert not list(folder.glob("*.py[co]"))
    return done.stdout


def number(pattern: str, text: str) -> float:
    """The number where the pattern says ``#``."""
    found = re.search(pattern.replace("#", r"\s*(-?[\d.]+(?:e[-+]?\d+)?)"), text, re.MULTILINE)
    assert found, f"{pattern} not in:\n{text}"
    return float(found[1])


def test_every_example_is_tested() -> None:
    tested = set(
        re.findall(r'(?:run\("|examples import )(\w+)', Path(__file__).read_text(encoding="utf-8"))
    )
    assert tested == {path.stem for path in EXAMPLES}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_opens_with_what_it_shows_and_runs_main(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith('"""')
    assert text.endswith('if __name__ == "__main__":\n    main()\n')


@pytest.mark.slow
def test_museum(tmp_path: Path) -> None:
    printed = run("museum", tmp_path, "--peers", "none", "--markdown")
    *rows, _, total = printed.strip().split("\n")
    assert re.match(r"42 mistakes: 42 found, 3\d explained, 0 misleadingly; 0 false alarms", total)
    page = (ROOT / "docs" / "museum.md").read_text(encoding="utf-8")
    for row in rows[2:]:
        mistake, found, explained = row.strip("| ").split(" | ")
        assert f"| {mistake} | {found} | {explained} |" in page


@pytest.mark.slow
def test_one_page_learns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a fifth of the digits."""
    from examples import one_page

    train, test = data.digits()
    few = replace(train, images=train.images[:1000], labels=train.labels[:1000])
    monkeypatch.setattr(one_page.data, "digits", lambda: (few, test))
    one_page.main()
    printed = capsys.readouterr().out
    assert number("epoch 6: .*accuracy#%", printed) > 85
    assert len((ROOT / "examples" / "one_page.py").read_text("utf-8").splitlines()) <= 150


def test_the_gradients_of_the_engine_on_one_page_are_those_of_the_package() -> None:
    from examples import one_page

    rng = np.random.default_rng(1)
    x = rng.integers(-2, 3, (6, 2, 8, 10)).astype(float)  # with ties and kinks
    w, b, v = (rng.standard_normal(shape) for shape in ((3, 2, 3, 3), (3, 1, 1), (36, 5)))
    labels = rng.integers(0, 5, 6)

    page = [one_page.Tensor(array) for array in (x, w, b, v)]
    hidden = one_page.max_pool2d((one_page.conv2d(page[0], page[1]) + page[2]).relu())
    logits = hidden.reshape(6, -1) @ page[3]
    loss = one_page.cross_entropy(logits * logits, labels)  # one tensor, used twice
    loss.backward()

    ours = [tensor(array, requires_grad=True) for array in (x, w, b, v)]
    hidden_of_ours = F.max_pool2d(F.relu(F.conv2d(ours[0], ours[1]) + ours[2]), 2)
    logits_of_ours = hidden_of_ours.reshape(6, -1) @ ours[3]
    expected = F.cross_entropy(logits_of_ours * logits_of_ours, labels)
    expected.backward()

    assert loss.data == pytest.approx(expected.item(), rel=1e-12)
    for mine, theirs in zip(page, ours, strict=True):
        np.testing.assert_allclose(mine.grad, theirs.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_momentum(tmp_path: Path) -> None:
    printed = run("momentum", tmp_path, "--steps", "300")
    rows = [
        list(map(float, row)) for row in re.findall(r"^ *(\d+) +([\d.]+) +([\d.]+)$", printed, re.M)
    ]
    assert [row[0] for row in rows] == [100, 200, 300]
    plain, helped = rows[-1][1:]
    assert plain == pytest.approx(np.log(10), abs=0.02)  # still on the plateau
    assert helped < 1.0
    assert number("gradient. of linear.weight#", printed) < 1e-3
    assert number("momentum 0.95: test accuracy#%", printed) > 75


@pytest.mark.slow
def test_batchnorm(tmp_path: Path) -> None:
    printed = run("batchnorm", tmp_path, "--steps", "3")
    first, last = (
        list(map(float, re.findall(r"[\d.]+", line))) for line in printed.splitlines()[2:4]
    )
    assert [first[0], last[0]] == [0, 2]
    assert first[1:5] == first[5:9]  # before the first update both are the same
    assert last[1] < first[1]
    assert last[5] < first[5]
    assert last[5] < last[1]  # with true gradients the loss falls faster
    lengths = re.findall(r"^([\w.]+(?:weight|bias)) +([\d.]+) +([\d.]+)$", printed, re.M)
    assert len(lengths) == 11
    for name, frozen, true in lengths:
        assert (float(frozen) == 0) == name.startswith(("conv1", "bn1"))
        assert float(true) > 0, name
    company = re.findall(r"^(?:among|with) .* ([\d.]+) +([\d.]+)$", printed, re.M)
    by_batch, by_running = zip(*company, strict=True)
    assert len(set(by_batch)) == 4  # an answer by the batch's statistics depends on the batch
    assert len(set(by_running)) == 1
    assert 0 <= number("by running statistics#%", printed) <= 100


@pytest.mark.slow
def test_regression(tmp_path: Path) -> None:
    printed = run("regression", tmp_path, "--steps", "1000")
    curvature = number("λ =#:", printed)
    assert curvature > 1e3
    assert number(r"2 / λ =#$", printed) == pytest.approx(2 / curvature, rel=0.05)
    rows = [
        line.split()
        for line in printed.splitlines()
        if re.match(r" *\d+ +\S+ +\S+ +\S+ +\S+$", line)
    ]
    assert [row[0] for row in rows] == ["1", "2", "3", "10", "200", "400", "600", "800", "1000"]
    assert len(set(rows[0][1:])) == 1  # all start from the same weights
    assert rows[-1][1] == "diverged"
    plain, rmsprop, adam = map(float, rows[-1][2:])
    assert max(rmsprop, adam) < plain < 0.01 * float(rows[0][1])
    assert number(r"\nAdam +#\n", printed) < number(r"always answering 4.5:#\n", printed)
    means = list(map(float, printed.splitlines()[-1].rpartition(":")[2].split()))
    assert len(means) == 10
    assert np.corrcoef(means, np.arange(10))[0, 1] > 0.7


@pytest.mark.slow
def test_sigmoid(tmp_path: Path) -> None:
    printed = run("sigmoid", tmp_path, "--steps", "800")
    raw, scaled = (
        list(map(float, line.split()[-8:])) for line in printed.splitlines() if "pixels" in line[:6]
    )
    assert raw[0] == pytest.approx(0.5, abs=0.1)
    assert raw[-1] < 0.03
    assert scaled[0] == pytest.approx(0.5, abs=0.01)
    assert 0.4 < scaled[-1] < scaled[0]
    assert number("test accuracy#%", printed) > number("always answering no:#%", printed)
    assert number("zeros found#%", printed) > 70


@pytest.mark.slow
def test_softmax(tmp_path: Path) -> None:
    printed = run("softmax", tmp_path, "--steps", "1000")
    assert number("untrained: loss#", printed) == pytest.approx(2.303, abs=0.01)
    assert 2 <= number(r"10 = 2.303\), accuracy#%", printed) <= 20
    rows = re.findall(r"^ *(\d+) +([\d.]+) +[\d.]+%$", printed, re.M)
    assert [int(n) for n, _ in rows] == [*range(100, 1001, 100), 500, 1000]
    assert float(rows[9][1]) < 1.0 < float(rows[0][1])
    assert number("test accuracy#%", printed) > 65


@pytest.mark.slow
def test_softmax_on_a_folder(tmp_path: Path) -> None:
    train, test = data.digits()
    for name, part in (("train", train[:120]), ("t10k", test[:50])):
        data.write_idx(tmp_path / f"{name}-images-idx3-ubyte", part[0])
        data.write_idx(tmp_path / f"{name}-labels-idx1-ubyte", part[1].astype(np.uint8))
    printed = run("softmax", tmp_path, "--data", str(tmp_path))
    assert number("untrained: loss#", printed) == pytest.approx(2.303, abs=0.02)
    assert number("test accuracy#%", printed) > 10


@pytest.mark.slow
def test_custom_op(tmp_path: Path) -> None:
    printed = run("custom_op", tmp_path)
    assert re.search(r"f''\(x\) +0.001 +0.354 +1.000", printed)
    right, wrong = printed.split("The rule without its root:")
    assert "PASS" in right
    assert "FAIL" not in right
    assert re.search(r"FAIL +forgotten_root\(delta=1.0\) · x .*custom_op.py:\d+", wrong)


@pytest.mark.slow
def test_wrong_operation(tmp_path: Path) -> None:
    drawn = ("--out", "wrong.svg") if shutil.which("dot") else ()
    printed = run("wrong_operation", tmp_path, *drawn)
    assert re.match(r"FAIL +conv2d\(.*\) · x \[8, 4, 13, 13\] \(in conv2\)\n", printed)
    assert "the whole gradient is 0, while the numeric one is not: it is lost" in printed
    losses = list(map(float, printed.splitlines()[-1].rpartition(":")[2].split()))
    assert losses == sorted(losses, reverse=True)  # nobody would notice
    if drawn:
        picture = (tmp_path / "wrong.svg").read_text(encoding="utf-8")
        assert picture.count(">FAIL<") == 1
        assert "WrongConv2d" in picture


@pytest.mark.slow
def test_numpy_loops(tmp_path: Path) -> None:
    printed = run("numpy_loops", tmp_path, "--steps", "3", "--size", "14")
    assert re.search(r"^check_graph: (PASS|KINK) \(", printed, re.MULTILINE)
    assert "FAIL" not in printed
    assert number("differ by at most #", printed) < 1e-12
    assert number("^image 3: loss #", printed) < number("^image 1: loss #", printed)
    text = (tmp_path / "numpy_loops.svg").read_text(encoding="utf-8")
    assert "mul × 144" in text
    assert "write × 36" in text


@pytest.mark.slow
def test_distributed(tmp_path: Path) -> None:
    """Alone; on two ranks in tests/distributed."""
    out = run("distributed", tmp_path)
    assert number("test accuracy # %", out) > 80


@pytest.mark.slow
def test_scaling(tmp_path: Path) -> None:
    out = run("scaling", tmp_path, "--network", "batchnorm", "--batch", "2", "--steps", "1")
    assert number("1 rank:# ms a step", out) > 0
    assert "InfiniBand HDR 200 Gbit/s, tree" in out
