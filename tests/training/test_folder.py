"""What a run leaves behind, and damaged or foreign folders."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn
from tests.training.small import small_splits, weights_of, write_folder
from tinygrad_cnn.cli import main as cli
from tinygrad_cnn.training import RunError, Settings, Trainer
from tinygrad_cnn.training import folder as run_folder
from tinygrad_cnn.training.checkpoint import Checkpoint
from tinygrad_cnn.training.session import resume_run, start_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of two epochs."""
    folder = tmp_path_factory.mktemp("finished")
    settings = Settings.of("momentum", epochs=2, batch_size=30, threads=1, seed=4)
    assert start_run(settings, small_splits(), folder, quiet=True) == 0
    return folder


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_files(run):
    pytest.importorskip("matplotlib")
    assert sorted(path.name for path in run.iterdir()) == [
        "checkpoint.npz",
        "config.json",
        "curves.png",
        "gradients.npz",
        "metrics.csv",
        "model.npz",
        "steps.csv",
    ]
    picture = (run / "curves.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000


def test_metrics(run):
    metrics = rows(run / "metrics.csv")
    assert list(metrics[0]) == [
        "epoch",
        "step",
        "train_loss",
        "train_accuracy",
        "test_loss",
        "test_accuracy",
        "lr",
        "seconds",
    ]
    assert [(row["epoch"], row["step"]) for row in metrics] == [("1", "3"), ("2", "6")]
    checkpoint = Checkpoint.load(run / "checkpoint.npz")
    trainer = Trainer(checkpoint.settings, small_splits())
    trainer.load_state(checkpoint.values, checkpoint.arrays)
    tested = trainer.test()
    assert float(metrics[-1]["test_loss"]) == pytest.approx(tested.loss, rel=1e-6)
    assert float(metrics[-1]["test_accuracy"]) == pytest.approx(tested.score)
    assert float(metrics[0]["lr"]) == trainer.position.epoch_rows[0].lr
    assert 0 < float(metrics[0]["seconds"]) < float(metrics[1]["seconds"])
    steps = rows(run / "steps.csv")
    assert list(steps[0]) == ["step", "epoch", "train_loss", "train_accuracy", "lr"]
    assert [row["step"] for row in steps] == list("123456")
    losses = [float(row["train_loss"]) for row in steps]
    assert np.mean(losses[3:]) == pytest.approx(float(metrics[1]["train_loss"]), rel=1e-5)


def test_a_network_without_classes_has_another_metric(tmp_path, splits, capsys):
    settings = Settings.of("regression", epochs=1, batch_size=30)
    assert start_run(settings, splits, tmp_path) == 0
    (row,) = rows(tmp_path / "metrics.csv")
    assert float(row["train_mean_absolute_error"]) > 0
    assert "test mean absolute error " in capsys.readouterr().out


def test_config(run):
    config = json.loads((run / "config.json").read_text())
    assert config["settings"] == {
        "network": "momentum",
        "data": "digits",
        "epochs": 2,
        "batch_size": 30,
        "optimizer": config["settings"]["optimizer"],
        "lr": config["settings"]["lr"],
        "momentum": 0.95,
        "schedule": config["settings"]["schedule"],
        "mean": 0.1307,
        "std": 0.3081,
        "shift": 0,
        "seed": 4,
        "threads": 1,
    }
    assert Settings.of(**config["settings"]) == Checkpoint.load(run / "checkpoint.npz").settings
    assert config["versions"]["tinygrad_cnn"] == tinygrad_cnn.__version__
    assert config["versions"]["numpy"] == np.__version__
    assert (config["train_images"], config["test_images"]) == (90, 40)
    assert config["parameters"] == 40 + 148 + 10250
    assert config["metric"] == "accuracy"


def test_weights_are_those_of_the_last_checkpoint(run):
    arrays = Checkpoint.load(run / "checkpoint.npz").arrays
    weights = weights_of(run)
    assert len(weights) == 6
    for name, content in weights.items():
        assert arrays[f"model/{name}"].tobytes() == content


def test_resuming_a_finished_run_says_so(run, capsys):
    def load(_):
        return small_splits()

    assert resume_run(run, load) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{run} is finished: 2 of 2 epochs, test accuracy ")
    assert out.count("\n") == 1


def test_resuming_with_other_data(run):
    with pytest.raises(RunError, match=r"digits does not hold the data that .* began with"):
        resume_run(run, lambda _: small_splits(train=89))


def test_resuming_on_another_numpy_warns(run, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "copy"
    shutil.copytree(run, folder)
    (folder / "model.npz").unlink()
    monkeypatch.setattr(np, "__version__", "1.0")
    assert resume_run(folder, lambda _: small_splits()) == 0
    assert "began with another version of numpy: the last bits" in capsys.readouterr().err


def load_or_message(path):
    try:
        return Checkpoint.load(path), ""
    except RunError as error:
        return None, str(error)


def test_damaged_checkpoints(run, tmp_path):
    """Cut anywhere or with any bit changed: one error that names the file, or nothing lost."""
    content = (run / "checkpoint.npz").read_bytes()
    whole = Checkpoint.load(run / "checkpoint.npz")
    path = tmp_path / "checkpoint.npz"
    for size in (0, 1, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(RunError, match="is damaged or not a checkpoint"):
            Checkpoint.load(path)
    rng = np.random.default_rng(0)
    found = 0
    for where in rng.integers(len(content), size=150).tolist():
        damaged = bytearray(content)
        damaged[where] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        loaded, message = load_or_message(path)
        if loaded is None:
            assert str(path) in message
            assert "\n" not in message
            found += 1
        else:  # in a field of the archive that nothing depends on
            assert loaded.values == whole.values
            assert {n: a.tobytes() for n, a in loaded.arrays.items()} == {
                n: a.tobytes() for n, a in whole.arrays.items()
            }
    assert found > 140


def test_a_checkpoint_from_elsewhere(tmp_path):
    path = tmp_path / "checkpoint.npz"
    np.savez(path, weights=np.zeros(3))
    with pytest.raises(RunError, match=r"not a checkpoint \(KeyError: 'json'\)"):
        Checkpoint.load(path)
    np.savez(path, json=np.array([{}], dtype=object))  # which NumPy pickles
    with pytest.raises(RunError, match="not a checkpoint"):
        Checkpoint.load(path)


def test_a_checkpoint_of_a_later_format(run, tmp_path):
    checkpoint = Checkpoint.load(run / "checkpoint.npz")
    path = tmp_path / "checkpoint.npz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinygrad_cnn.training.checkpoint._FORMAT", 3)
        checkpoint.save(path)
    with pytest.raises(RunError, match="has format 3; this version reads format 2"):
        Checkpoint.load(path)


def test_dated_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Clock:
        @staticmethod
        def now():
            return np.datetime64("2024-05-06T07:08:09").item()

    monkeypatch.setattr(run_folder, "datetime", Clock)
    names = [str(run_folder.make_folder(None, "softmax")) for _ in range(3)]
    first = "runs/softmax-20240506-070809"
    assert names == [first, f"{first}-2", f"{first}-3"]


def test_folders_that_are_taken(tmp_path, run):
    assert run_folder.make_folder(str(tmp_path / "a" / "b"), "softmax").is_dir()
    assert run_folder.make_folder(str(tmp_path / "a" / "b"), "softmax").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file; --out takes a folder that is new or empty"):
        run_folder.make_folder(str(tmp_path / "file"), "softmax")
    with pytest.raises(RunError, match=r"is not empty; --out .* empty$"):
        run_folder.make_folder(str(tmp_path), "softmax")
    with pytest.raises(RunError, match=r"is not empty; .* \(--resume goes on with a run\)$"):
        run_folder.make_folder(str(run), "softmax")


def test_a_folder_with_what_a_killed_run_half_wrote_is_empty(tmp_path, splits):
    leftover = tmp_path / ".config.json.123-abcdef01.part"
    leftover.write_text("{")
    assert run_folder.make_folder(str(tmp_path), "softmax") == tmp_path
    assert start_run(Settings.of("softmax", epochs=1, batch_size=30), splits, tmp_path) == 0
    assert not leftover.exists()


def test_a_folder_has_one_run_at_a_time(run, tmp_path, capsys):
    """A second process is refused, and what the first one is writing stays."""
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    script = (
        "import sys; from pathlib import Path\n"
        "from tinygrad_cnn.atomic import atomic_file\n"
        "from tinygrad_cnn.training.folder import holding\n"
        "folder = Path(sys.argv[1])\n"
        "with holding(folder), atomic_file(folder / 'live') as file:\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    root = str(Path(tinygrad_cnn.__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        env={**os.environ, "PYTHONPATH": root},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        try:
            assert other.stdout.readline() == b"held\n"
            assert cli.main(["train", "--resume", str(folder)]) == 1
            assert capsys.readouterr().err == (
                f"tinygrad-cnn train: another process is training in {folder}: "
                "wait until it has ended\n"
            )
            run_folder.RunFolder(folder).clean()
            assert len(list(folder.glob(".live.*.part"))) == 1
        finally:
            other.kill()
    assert len(list(folder.glob(".live.*.part"))) == 1
    with run_folder.holding(folder):  # the lock died with its holder
        run_folder.RunFolder(folder).clean()
    assert not list(folder.glob(".*"))


def test_without_matplotlib_a_line_says_how_to_get_it(tmp_path, splits, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    settings = Settings.of("momentum", epochs=1, batch_size=30)
    assert start_run(settings, splits, tmp_path) == 0
    assert (
        "curves.png needs matplotlib: pip install 'tinygrad-cnn[plots]'"
        in capsys.readouterr().out.splitlines()
    )
    assert not (tmp_path / "curves.png").exists()
    assert (tmp_path / "model.npz").exists()


def test_learning_that_stops_is_warned_of(tmp_path, splits, capsys):
    """With weights from N(0, 0.01²) and pixels from 0 to 1 every ReLU closes within an epoch."""
    settings = Settings.of("momentum", epochs=3, lr=10.0, mean=0.0, std=1.0)
    assert start_run(settings, splits, tmp_path, quiet=True) == 0
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == 1
    assert warnings[0].startswith("WARNING: in the last step of epoch ")
    assert "the gradient of conv1.weight, conv1.bias" in warnings[0]


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, data_folder, capsys, monkeypatch):
    """An error while writing is one line, and what was saved before stays."""
    out = tmp_path / "run"
    saves = []
    inside = run_folder.RunFolder.save

    def save(self, trainer):
        saves.append(trainer.total_steps)
        if len(saves) == 3:
            raise OSError(28, "No space left on device", str(self.path / "checkpoint.npz"))
        inside(self, trainer)

    monkeypatch.setattr(run_folder.RunFolder, "save", save)
    arguments = ["train", "momentum", "--data", str(data_folder), "--out", str(out)]
    assert cli.main([*arguments, "--epochs", "3"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == f"tinygrad-cnn train: {out}/checkpoint.npz: No space left on device"
    assert Checkpoint.load(out / "checkpoint.npz").values["position"]["epochs"] == 1


def test_a_folder_of_32_by_32_images(tmp_path, capsys):
    """Networks take images of their own size as they are; what does not fit is said."""
    splits = small_splits()
    padded = [
        type(part)(np.pad(part.images, ((0, 0), (2, 2), (2, 2))), part.labels, part.classes)
        for part in splits
    ]
    data = write_folder(tmp_path, type(splits)(*padded))
    common = ["--data", str(data), "--epochs", "1", "--quiet", "--out"]
    assert cli.main(["train", "momentum", *common, str(tmp_path / "a")]) == 0
    small = Settings.of("momentum", epochs=1)
    assert (
        start_run(small, splits, run_folder.make_folder(str(tmp_path / "b"), ""), quiet=True) == 0
    )
    assert weights_of(tmp_path / "a") == weights_of(tmp_path / "b")
    capsys.readouterr()
    assert cli.main(["train", "softmax", *common, str(tmp_path / "c")]) == 1
    assert capsys.readouterr().err == (
        f"tinygrad-cnn train: {data}: the training part has images of 32×32; softmax takes one "
        "channel of 28×28, or smaller by an even number of pixels\n"
    )
    assert not (tmp_path / "c").exists()
