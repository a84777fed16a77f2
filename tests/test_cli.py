"""The command line: what it accepts, what it says, and with which status it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_cnn
from tests.processes import python
from tests.threads import num_threads
from tests.training.small import write_folder
from tinygrad_cnn.cli import arguments as names
from tinygrad_cnn.cli import main as cli
from tinygrad_cnn.cli import train
from tinygrad_cnn.models import ARCHITECTURES, NETWORKS
from tinygrad_cnn.ops.conv.trilinear import Conv2d
from tinygrad_cnn.training import OPTIMIZERS, SCHEDULES
from tinygrad_cnn.training.recipes import RECIPES

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Runs land in a folder of the test's own; the number of threads is put back."""
    monkeypatch.chdir(tmp_path)
    with num_threads():
        yield


@pytest.fixture(autouse=True)
def without_report(request, monkeypatch):
    """Leave out the page at the end of a run, but where a test asks for it: it takes seconds."""
    if "with_report" not in request.fixturenames:
        monkeypatch.setattr(train, "report_run", lambda *_, **__: 0)


@pytest.fixture
def with_report():
    """Asks for the page."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return str(write_folder(tmp_path_factory.mktemp("data")))


def ended(*arguments):
    """Run the command and return its exit status, also where the parser exits."""
    try:
        return cli.main(arguments)
    except SystemExit as error:
        return error.code


@pytest.fixture
def command(capsys):
    def run(*arguments):
        status = ended(*arguments)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


NAMES = "batchnorm, momentum, regression, sigmoid, softmax"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "tinygrad-cnn: expected a command: train, "),
        ("trian", "; did you mean 'train'? (see tinygrad-cnn --help)"),
        ("train batchnrom", "got 'batchnrom'; did you mean 'batchnorm'?"),
        ("networks softmx", "got 'softmx'; did you mean 'softmax'?"),
        ("train --threads 1000", "threads must be an integer from 1 to 256, got 1000"),
        ("check softmax --json no/x.json", "--json: there is no folder no to write no/x.json to"),
        ("check softmax --json .", "argument --json: . is a folder; expected the name of a file"),
        ("graph softmax --out no/x.svg", "--out: there is no folder no to write no/x.svg to"),
        ("report x --out .", "argument --out: . is a folder; expected the name of a file"),
        ("fly", "tinygrad-cnn: argument COMMAND: invalid choice: 'fly' (choose from "),
        ("train lenet", "train: network must be one of batchnorm, momentum, regression, sig"),
        ("networks lenet", f"networks: argument NETWORK: expected one of {NAMES}, lenet5, "),
        ("train --epochs 0", "--epochs: expected an integer of at least 1, got '0'"),
        ("train --epochs 1.5", "--epochs: expected an integer of at least 1, got '1.5'"),
        ("train --epochs ²", "--epochs: expected an integer of at least 1, got '²'"),
        ("train --batch-size x", "--batch-size: expected an integer of at least 1, got 'x'"),
        ("train --seed -1", "--seed: expected an integer of at least 0, got '-1'"),
        ("train --threads 0", "--threads: expected an integer of at least 1, got '0'"),
        ("train --lr 0", "--lr: expected a positive number, got '0'"),
        ("train --lr nan", "--lr: expected a positive number, got 'nan'"),
        ("train --lr much", "--lr: expected a positive number, got 'much'"),
        (
            "train --optimizer lion",
            "expected one of sgd, momentum, nesterov, rmsprop, adam, adamw, got 'lion'",
        ),
        (
            "train --schedule x",
            "--schedule: expected one of onecycle, cosine, step, none, got 'x'",
        ),
        (
            "train --data x",
            "--data: expected digits, mnist, fashion-mnist or a folder of data, got 'x'",
        ),
        ("train --frobnicate", "unrecognized arguments: --frobnicate"),
        ("train --epoch 3", "unrecognized arguments: --epoch ("),
        ("train --epochs", "argument --epochs: expected one argument"),
        ("train --batch-size 1", "batch_size 1 leaves one of 5,000 images for a batch of its own"),
        ("train --resume a --out b", "--out does not go with --resume: a run stays in its folder"),
        ("predict run", "the following arguments are required: IMAGE"),
    ],
)
def test_wrong_arguments(arguments, message, command):
    status, out, err = command(*arguments.split())
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train --resume nowhere", "tinygrad-cnn train: there is no folder nowhere\n"),
        (
            "train --resume .",
            "tinygrad-cnn train: . is not the folder of a run: it has no checkpoint.npz\n",
        ),
        ("predict nowhere x.png", "tinygrad-cnn predict: there is no folder nowhere\n"),
        ("train --out /dev/null/x", "tinygrad-cnn train: /dev/null/x: Not a directory\n"),
        ("train --out /dev/null", "/dev/null is a file; --out takes a folder that is new or"),
        ("train --data .", "tinygrad-cnn train: load_folder: "),
    ],
)
def test_files_and_folders_that_are_not_there(arguments, message, command):
    status, out, err = command(*arguments.split())
    assert (status, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1
    assert not list(Path().iterdir())


def test_divergence_is_one_line_without_numpys_warnings(data):
    arguments = ["train", "softmax", "--data", data, "--lr", "1e9", "--no-check", "--epochs", "9"]
    done = subprocess.run(
        [sys.executable, "-m", "tinygrad_cnn", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "training diverged" in done.stderr
    assert "out of finite numbers" in done.stderr  # which operation, and why
    assert "Warning" not in done.stderr.replace("WARNING", "")


def test_many_threads_are_warned_of(data, command, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    arguments = ("train", "softmax", "--data", data, "--epochs", "1", "--no-check", "--quiet")
    status, _, err = command(*arguments, "--threads", "3")
    assert (status, err) == (
        0,
        "warning: --threads 3 on 1 processors: threads beyond these wait for each other\n",
    )


def test_a_folder_that_cannot_be_written(command, monkeypatch):
    def refuse(self, *_args, **_kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert command("train", "--out", "x") == (1, "", "tinygrad-cnn train: x: Permission denied\n")


def test_version(command):
    assert command("--version") == (0, f"tinygrad-cnn {tinygrad_cnn.__version__}\n", "")


@pytest.mark.parametrize("arguments", [["--help"], *([c, "--help"] for c in cli.COMMANDS)])
def test_help(arguments, command):
    status, out, err = command(*arguments)
    assert (status, err) == (0, "")
    assert out.startswith("usage: tinygrad-cnn")
    assert max(map(len, out.splitlines())) <= 100


def test_help_names_what_there_is():
    assert sorted(names.NETWORKS) == sorted(NETWORKS) == sorted(RECIPES)
    assert list(names.ARCHITECTURES) == list(ARCHITECTURES)
    assert set(names.OPTIMIZERS) == set(OPTIMIZERS)
    assert set(names.SCHEDULES) == set(SCHEDULES)


def test_help_comes_at_once():
    script = (
        "import sys\n"
        "from tinygrad_cnn.cli.main import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'matplotlib', 'tqdm', 'graphviz', 'PIL', 'tinygrad_cnn.training'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    assert python("-c", script).stderr == "[]\n"


def test_networks(command):
    status, out, err = command("networks")
    assert (status, err) == (0, "")
    for name in NETWORKS:
        assert f"\n{name}: " in f"\n{out}"
    assert "  65,910 parameters\n" in out
    assert command("networks", "softmax")[1].splitlines()[-1] == "  13,602 parameters"
    assert "\n  resnet18         eight residual blocks (2016)\n" in out
    lines = command("networks", "lenet5")[1].splitlines()
    assert lines[2].split() == ["input", "3×32×32"]
    assert lines[-1] == "  62,006 parameters"


@pytest.mark.slow
@pytest.mark.usefixtures("with_report")
def test_train_says_what_happens(data, command):
    status, out, err = command(
        "train", "--data", data, "--epochs", "2", "--batch-size", "30", "--out", "run"
    )
    assert status == 0
    said = out.splitlines()
    assert said[0] == "batchnorm: two convolutions with batch normalisation"
    assert said[1] == f"{data}: 90 training and 40 test images"
    assert said[2].startswith("2 epochs, batch 30, nesterov, lr 0.3 onecycle, shifts of 1 pixel, ")
    assert said[3].startswith("gradients of 11 parameters verified (worst relative error ")
    assert said[4].startswith("epoch 1/2  loss ")
    assert said[5].startswith("epoch 2/2  loss ")
    assert said[6] == "true  answered"
    assert said[-4].startswith("test accuracy ")
    assert said[-4].endswith(" s of training")
    assert said[-3:] == [
        "saved in run",
        "verifying every gradient for the report, which takes seconds",
        "report: run/report.html",
    ]
    assert err == ""
    assert Path("run/graph.dot").read_text().startswith("digraph")


def test_quiet(data, command):
    status, out, err = command("train", "--data", data, "--epochs", "1", "--quiet")
    assert (status, err) == (0, "")
    first, second = out.splitlines()
    assert first.startswith("test accuracy ")
    assert second.startswith("saved in runs/batchnorm-")


def test_resume_refuses_other_settings(data, command):
    command("train", "momentum", "--data", data, "--epochs", "1", "--out", "run", "--quiet")
    for option, message in (
        (["softmax"], "NETWORK softmax does not go with --resume: the run has momentum, "),
        (["--epochs", "7"], "--epochs 7 does not go with --resume: the run has 1, and keeps it"),
        (["--data", "digits"], f"--data digits does not go with --resume: the run has {data}, "),
        (["--batch-size", "7"], "--batch-size 7 does not go with --resume: the run has "),
    ):
        status, out, err = command("train", "--resume", "run", *option)
        assert (status, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1
    same = ["momentum", "--data", data, "--epochs", "1", "--no-check"]
    status, out, _ = command("train", "--resume", "run", *same)
    assert (status, out.splitlines()[0][:15]) == (0, "run is finished")


def test_a_folder_in_use_is_refused(data, command):
    command("train", "momentum", "--data", data, "--epochs", "1", "--out", "run", "--quiet")
    status, out, err = command("train", "--out", "run")
    assert (status, out) == (1, "")
    assert err == (
        "tinygrad-cnn train: run is not empty; --out takes a folder that is new or empty "
        "(--resume goes on with a run)\n"
    )


def test_wrong_gradients_stop_it(data, command, monkeypatch):
    rule = Conv2d.backward

    def wrong(self, g, out, x, w, b, *, needs):
        gx, gw, gb = rule(self, g, out, x, w, b, needs=needs)
        return None if gx is None else gx * 0, gw, gb

    monkeypatch.setattr(Conv2d, "backward", wrong)
    status, _, err = command("train", "--data", data, "--epochs", "1")
    assert status == 1
    said = err.splitlines()
    assert said[0] == (
        "tinygrad-cnn train: the gradients of 3 of 11 parameters are wrong, so nothing was "
        "trained (--no-check trains all the same)"
    )
    assert [line.split(":")[0] for line in said[1:]] == [
        "  conv1.weight",
        "  bn1.weight",
        "  bn1.bias",
    ]
    assert not list(Path().iterdir())
    arguments = ["train", "--data", data, "--epochs", "1", "--no-check", "--quiet"]
    assert command(*arguments)[0] == 0


def test_what_never_learns_is_warned_of(data, command, monkeypatch):
    build = NETWORKS["momentum"].build

    class Dead(build):
        def __init__(self, generator=None):
            super().__init__(generator)
            self.conv1.bias.data = self.conv1.bias.data - 100.0

    monkeypatch.setitem(
        NETWORKS, "momentum", __import__("dataclasses").replace(NETWORKS["momentum"], build=Dead)
    )
    status, _, err = command("train", "momentum", "--data", data, "--epochs", "1")
    assert status == 0
    assert "WARNING: the gradient of conv1.weight is exactly zero everywhere: it will not " in err


def test_interrupted_before_training(command, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tinygrad_cnn.data.load", interrupt)
    assert command("train") == (130, "", "\ntinygrad-cnn: interrupted\n")


def test_a_pipe_that_is_closed():
    script = "import sys; from tinygrad_cnn.cli.main import main; sys.exit(main(['networks']))"
    reader, writer = os.pipe()
    os.close(reader)
    done = python("-c", script, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_python_m():
    done = python("-m", "tinygrad_cnn", "--version")
    assert done.stdout == f"tinygrad-cnn {tinygrad_cnn.__version__}\n"


def test_a_terminal_gets_a_bar(data, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("tinygrad_cnn.training.terminal._REFRESH", 0.0)
    arguments = ["train", "softmax", "--data", data, "--epochs", "1", "--batch-size", "30"]
    assert ended(*arguments, "--no-check") == 0
    err = capsys.readouterr().err
    assert "epoch 1/1:" in err
    assert "loss" in err
    assert "accuracy" in err


def test_elsewhere_long_epochs_get_lines(data, monkeypatch, capsys):
    monkeypatch.setattr("tinygrad_cnn.training.terminal._LINES", 0.0)
    arguments = ["train", "softmax", "--data", data, "--epochs", "1", "--batch-size", "30"]
    assert ended(*arguments, "--no-check") == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(", loss")[0] for line in lines] == [
        "epoch 1/1: step 1/3",
        "epoch 1/1: step 2/3",
    ]
