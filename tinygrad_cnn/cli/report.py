"""The subcommand ``report``: a run's folder as one page, and what ``train`` keeps for it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.cli.arguments import Subparsers

if TYPE_CHECKING:
    from tinygrad_cnn.data import Splits
    from tinygrad_cnn.report import Run
    from tinygrad_cnn.training import Trainer

__all__ = ["add_report", "keep_gradients", "read_run", "report_run", "write_report"]

_DESCRIPTION = """\
Write RUN/report.html: configuration, curves, compute graph, verified gradients, confusion matrix,
worst mistakes, filters, feature maps and gradients of a run, on one page that needs no network.

The pictures need matplotlib (pip install 'tinygrad-cnn[plots]'); without it there are tables."""

_IMAGES = 8  # of the training step that is drawn and verified
_GRADIENTS = "gradients.npz"


def add_report(subparsers: Subparsers) -> None:
    """Add ``report``."""
    parser = subparsers.add_parser(
        "report",
        help="write one page that tells all of a run",
        description=_DESCRIPTION,
        epilog="example:\n  tinygrad-cnn report runs/first",
    )
    parser.add_argument("folder", metavar="RUN", type=Path, help="the run's folder")
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="where to write (default: RUN/report.html)"
    )
    parser.set_defaults(run=run_report)


def run_report(arguments: argparse.Namespace) -> int:
    """Run ``report``."""
    print(write_report(arguments.folder, out=arguments.out))
    return 0


def report_run(folder: Path, splits: Splits | None = None, quiet: bool = False) -> int:
    """Write the page of a run that has just ended, and say where it is; return exit status 0."""
    page = write_report(folder, splits)
    if not quiet:
        print(f"report: {page}")
    return 0


def write_report(folder: Path, splits: Splits | None = None, out: Path | None = None) -> Path:
    """Write the page of a run and return its path.

    Parameters
    ----------
    folder
        The run's folder.
    splits
        The run's data; None loads them.
    out
        The file; None is ``report.html`` in the folder.

    Raises
    ------
    RunError
        If the folder holds no run, its files are damaged, or the data changed.
    OSError
        If files cannot be read or written.
    """
    from tinygrad_cnn.report import save_report

    return save_report(read_run(folder, splits), out or folder / "report.html")


def read_run(folder: Path, splits: Splits | None = None) -> Run:
    """Read a run's folder, and let its network answer to the test images; see `write_report`.

    The package's default generator is left as it was.
    """
    from tinygrad_cnn.random import get_rng_state, set_rng_state

    state = get_rng_state()
    try:
        return _read_run(folder, splits)
    finally:
        set_rng_state(state)


def _read_run(folder: Path, splits: Splits | None) -> Run:
    import copy

    from tinygrad_cnn.cli.arguments import load_data
    from tinygrad_cnn.models import NETWORKS
    from tinygrad_cnn.report import Run
    from tinygrad_cnn.tensor import tensor
    from tinygrad_cnn.training.images import ToNetwork, check_splits
    from tinygrad_cnn.training.predict import Predictor

    predictor = Predictor(folder)
    settings, task = predictor.settings, predictor.task
    config = _config(folder)
    splits = splits or load_data(settings.data)
    check_splits(splits, settings)
    train, test = splits
    network, transform = NETWORKS[settings.network], ToNetwork(settings)
    dict(predictor.model.named_parameters())  # which gives them their names
    model = copy.deepcopy(predictor.model).train()  # a step moves running statistics
    targets = tensor(task.targets(train.labels[:_IMAGES]), name="targets")
    images = tensor(transform(train.images[:_IMAGES]), name="images")
    return Run(
        network=settings.network,
        about=network.about,
        place=str(folder),
        settings=config.pop("settings"),
        facts=config,
        metric=task.metric,
        target=network.target,
        classes=predictor.classes,
        epochs=_columns(folder / "metrics.csv", task.metric),
        steps=_columns(folder / "steps.csv", task.metric),
        images=test.images,
        labels=test.labels,
        answers=predictor.answers(test.images),
        model=model,
        loss=network.loss(model(images), targets),
        example=predictor.model(tensor(transform(test.images[:1]), name="image")),
        gradients=_gradients(folder),
        note=predictor.note,
    )


def _config(folder: Path) -> dict[str, Any]:
    """Return the configuration: the settings, and flat facts about data and versions."""
    import json

    from tinygrad_cnn.training import RunError

    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        facts = {name: config[name] for name in ("target", "train_images", "test_images")}
        facts |= {"steps_per_epoch": config["steps_per_epoch"], "data_crc32": config["data_crc32"]}
        return {"settings": dict(config["settings"]), **facts, **config["versions"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path} is damaged: {error!r}") from error


def _columns(path: Path, metric: str) -> dict[str, list[float]]:
    """Read a table of numbers by columns; the score's are called ``train_score, test_score``."""
    import csv

    from tinygrad_cnn.training import RunError

    metric = metric.replace(" ", "_")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            head, *rows = csv.reader(file)
        names = [name.replace(metric, "score") for name in head]
        columns = {name: [float(row[index]) for row in rows] for index, name in enumerate(names)}
        if not {"epoch", "train_loss", "train_score", "lr"} <= columns.keys():
            raise ValueError(f"its columns are {', '.join(head)}")
        return columns
    except (ValueError, IndexError) as error:
        raise RunError(f"{path} is damaged: {error}") from error


def _gradients(folder: Path) -> Any:
    from tinygrad_cnn.report import GradientLog
    from tinygrad_cnn.training import RunError

    if not (folder / _GRADIENTS).exists():
        return None
    try:
        return GradientLog.load(folder / _GRADIENTS)
    except ValueError as error:
        raise RunError(str(error)) from error


# ---------------------------------------------------------------------------------- while training


def keep_gradients(folder: Path) -> Callable[[Trainer], None]:
    """Return what keeps histograms of the gradients, to be called after each training step.

    They are taken where the run notes its training loss, twenty times an epoch, and written into
    the folder with each epoch and now and then between.
    """
    import time

    from tinygrad_cnn.report import GradientLog

    path = folder / _GRADIENTS
    log: GradientLog | None = None
    rows, saved = -1, time.monotonic()

    def keep(trainer: Trainer) -> None:
        nonlocal log, rows, saved
        if log is None:
            log, rows = _log_until(path, trainer.total_steps - 1), 0
        noted = trainer.position.step_rows
        if len(noted) == rows or not noted or noted[-1].step != trainer.total_steps:
            return
        rows = len(noted)
        log.add(trainer.total_steps, trainer.model.named_parameters())
        if trainer.position.steps == 0 or time.monotonic() - saved > 5:
            log.save(path)
            saved = time.monotonic()

    return keep


def _log_until(path: Path, step: int) -> Any:
    """Return the log of the steps that the run has done, which a run that is resumed goes on."""
    from tinygrad_cnn.report import GradientLog

    try:
        log = GradientLog.load(path)
    except (OSError, ValueError):  # a new run, or one whose log was lost: only pictures need it
        return GradientLog()
    log.drop_after(step)
    return log
