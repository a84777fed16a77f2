"""`tinygrad-cnn graph`: what it draws, prints and writes, and what it says of mistakes."""

import os
import re
import shutil

import pytest

from tests.threads import num_threads
from tests.training.small import write_folder
from tinygrad_cnn.cli import main as cli
from tinygrad_cnn.models import NETWORKS
from tinygrad_cnn.ops.conv.trilinear import Conv2d
from tinygrad_cnn.random import get_rng_state, manual_seed
from tinygrad_cnn.viz import RendererMissing, render, summary

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")


@pytest.fixture
def command(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            status = cli.main(["graph", *arguments])
        except SystemExit as error:
            status = error.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.mark.parametrize("name", NETWORKS)
def test_text_of_every_network(command, name):
    status, out, err = command(name)
    assert (status, err) == (0, "")
    assert "conv2d" in out
    assert out.splitlines()[0].endswith("kept for the backward pass")


def test_dot_is_the_same_each_time_and_the_same_in_a_file(command, tmp_path):
    first = command("softmax", "--format", "dot")
    assert first == command("softmax", "--format", "dot")
    assert first[1].startswith('digraph "Softmax" {')
    assert command("softmax", "--out", "softmax.gv") == (0, "", "")
    assert (tmp_path / "softmax.gv").read_text("utf-8") == first[1]


def test_depth_collapses_modules(command):
    whole, closed = (command("batchnorm", "--format", "dot", *d)[1] for d in ((), ("--depth", "1")))
    assert "batch_norm" in whole
    assert "batch_norm" not in closed
    assert "BatchNorm2d" in closed


def test_backward_draws_the_rules(command):
    assert "conv2d.backward" in command("softmax", "--backward")[1]
    assert "conv2d.backward" not in command("softmax")[1]


def test_check_draws_verdicts_and_says_what_was_found(command):
    status, out, err = command("softmax", "--check", "--format", "dot", "--batch", "2")
    assert status == 0
    assert "FAIL 0" in out
    assert re.fullmatch(r"check_graph: (?:PASS|KINK) \(.*\)\n", err)


def test_check_of_a_wrong_rule_ends_with_one_and_draws_it(command, monkeypatch):
    right = Conv2d.backward

    def wrong(self, g, out, x, w, b, *, needs):
        return tuple(
            None if part is None else -part for part in right(self, g, out, x, w, b, needs=needs)
        )

    monkeypatch.setattr(Conv2d, "backward", wrong)
    status, out, err = command("softmax", "--check", "--format", "dot", "--batch", "2")
    assert status == 1
    assert "FAIL 1" in out
    assert "FAIL         conv2d" in err


def test_summary_is_the_table_of_viz(command):
    model = NETWORKS["momentum"].build()
    assert command("momentum", "--summary") == (0, f"{summary(model, (1, 1, 32, 32))}\n", "")
    status, out, _ = command("momentum", "--summary", "--format", "text")
    assert status == 0
    assert out.startswith(f"{summary(model, (1, 1, 32, 32))}\n")
    assert "cross_entropy" in out


@needs_dot
@pytest.mark.parametrize(
    ("kind", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_pictures(command, tmp_path, kind, magic):
    assert command("sigmoid", "--depth", "1", "--out", f"drawn.{kind}") == (0, "", "")
    assert (tmp_path / f"drawn.{kind}").read_bytes().startswith(magic)


@needs_dot
def test_the_format_holds_whatever_the_file_is_called(command, tmp_path):
    assert command("sigmoid", "--format", "svg", "--out", "picture") == (0, "", "")
    assert (tmp_path / "picture").read_bytes().startswith(b"<?xml")
    assert command("sigmoid", "--format", "svg")[1].startswith("<?xml")


def test_the_page_shows_values_and_gradients(command, tmp_path):
    assert command("softmax", "--out", "page.html", "--backward") == (0, "", "")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "conv2d backward" in text


@pytest.mark.slow
def test_a_trained_network(command, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    write_folder(data)
    options = ("--epochs", "1", "--batch-size", "30", "--no-check", "--quiet")
    with num_threads():
        assert cli.main(["train", "softmax", "--data", str(data), "--out", "run", *options]) == 0
    capsys.readouterr()
    status, out, err = command("run", "--format", "dot")
    assert (status, err) == (0, "")
    assert out.startswith('digraph "Softmax" {')


def test_drawing_leaves_the_random_state(command):
    manual_seed(3)
    before = get_rng_state()
    command("momentum")
    assert get_rng_state() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "softmax --format gif",
            "argument --format: expected one of dot, svg, png, pdf, html, text",
        ),
        ("softmax --out softmax.gif", "argument --out: the name ends in none of .dot, .svg, .png"),
        ("softmax --out softmax", "argument --out: the name ends in none of .dot, .svg, .png"),
        ("softmax --format png", "argument --format: png needs --out FILE"),
        ("softmax --format html", "argument --format: html needs --out FILE"),
        ("softmax --depth 0", "argument --depth: expected an integer of at least 1, got '0'"),
        ("lenet", "argument NETWORK|RUN: expected one of batchnorm, momentum, regression, sigmoid"),
        ("batchnorm --batch 1", "argument --batch: batchnorm in training expects at least 2"),
        ("", "the following arguments are required: NETWORK|RUN"),
    ],
)
def test_wrong_arguments(command, tmp_path, arguments, message):
    status, out, err = command(*arguments.split())
    assert (status, out) == (2, "")
    assert err.startswith("tinygrad-cnn graph: ")
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_without_a_run(command, tmp_path):
    (tmp_path / "empty").mkdir()
    status, out, err = command("empty")
    assert (status, out) == (1, "")
    assert "empty is not the folder of a run" in err


@pytest.mark.parametrize("kind", ["dot", "html", "txt"])
def test_a_file_that_cannot_be_written(command, kind):
    status, out, err = command("softmax", "--out", os.path.join("nowhere", f"graph.{kind}"))  # noqa: PTH118  # as typed
    assert (status, out) == (2, "")
    assert "argument --out: there is no folder nowhere to write nowhere" in err
    assert err.count("\n") == 1


def test_no_renderer(command, tmp_path, monkeypatch):
    def missing(kind):
        raise RendererMissing(f"drawing {kind.upper()} needs Graphviz's dot or graphviz-pure")

    monkeypatch.setattr(render, "find_renderer", missing)
    status, out, err = command("softmax", "--out", "graph.svg")
    assert (status, out) == (1, "")
    assert err == (
        "tinygrad-cnn graph: drawing SVG needs Graphviz's dot or graphviz-pure; "
        "the graph's text is in graph.dot\n"
    )
    assert (tmp_path / "graph.dot").read_text("utf-8").startswith("digraph")
    assert command("softmax", "--format", "svg") == (
        *(1, ""),
        "tinygrad-cnn graph: drawing SVG needs Graphviz's dot or graphviz-pure\n",
    )
