"""The subcommand ``report``: a run's folder as one page."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.cli.arguments import Subparsers, check_output
from tinygrad_cnn.cli.runs import network_of_run

if TYPE_CHECKING:
    from tinygrad_cnn.data import Splits
    from tinygrad_cnn.report import Run

__all__ = ["add_report", "read_run", "report_run", "write_report"]

_DESCRIPTION = """\
Write RUN/report.html: configuration, curves, compute graph, verified gradients, confusion matrix,
worst mistakes, filters, feature maps and gradients of a run, on one page that needs no network.

The pictures need matplotlib (pip install 'tinygrad-cnn[plots]'); without it there are tables."""

_IMAGES = 8  # of the training step that is drawn and verified
_IMAGES_OF_LARGE = 2  # of networks with more than a million parameters: it took minutes
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
    check_output("--out", arguments.out)
    print(write_report(arguments.folder, out=arguments.out))
    return 0


def report_run(folder: Path, splits: Splits | None = None, quiet: bool = False) -> int:
    """Write the page of a run that has just ended, and say where it is; return exit status 0."""
    if not quiet:
        print("verifying every gradient for the report, which takes seconds", flush=True)
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
        with network_of_run(folder) as load:
            return _read_run(folder, splits, load)
    finally:
        set_rng_state(state)


def _read_run(folder: Path, splits: Splits | None, load: Callable[[str], Splits]) -> Run:
    import copy

    from tinygrad_cnn.models import network_of
    from tinygrad_cnn.report import Run
    from tinygrad_cnn.tensor import tensor
    from tinygrad_cnn.training.folder import RunFolder
    from tinygrad_cnn.training.images import ToNetwork, check_splits
    from tinygrad_cnn.training.predict import Predictor

    predictor = Predictor(folder)
    task = predictor.task
    settings, about = RunFolder(folder).load_config()
    splits = splits or load(settings.data)
    check_splits(splits, settings)
    train, test = splits
    network, transform = network_of(settings.network), ToNetwork(settings)
    dict(predictor.model.named_parameters())  # which gives them their names
    model = copy.deepcopy(predictor.model).train()  # a step moves running statistics
    count = _IMAGES_OF_LARGE if about["parameters"] > 1_000_000 else _IMAGES
    targets = tensor(task.targets(train.labels[:count]), name="targets")
    images = tensor(transform(train.images[:count]), name="images")
    return Run(
        network=settings.network,
        about=network.about,
        place=str(folder),
        settings=settings.asdict(),
        command=settings.command(),
        facts=_facts(about),
        metric=task.metric,
        target=network.target,
        classes=predictor.classes,
        epochs=_columns(folder / "metrics.csv", task.metric),
        steps=_columns(folder / "steps.csv", task.metric),
        images=_grey(test.images),
        labels=test.labels,
        answers=predictor.answers(test.images),
        model=model,
        loss=network.loss(model(images), targets),
        example=predictor.model(tensor(transform(test.images[:1]), name="image")),
        gradients=_gradients(folder),
        note=predictor.note,
    )


def _grey(images: Any) -> Any:
    """Return images (N, H, W), the mean of the channels where there are several."""
    return images if images.ndim == 3 else images.mean(1).astype(images.dtype)


def _facts(about: dict[str, Any]) -> dict[str, Any]:
    """Return flat facts about a run's data and versions."""
    kept = ("target", "train_images", "test_images", "steps_per_epoch", "data_crc32")
    return {**{name: about[name] for name in kept}, **about["versions"]}


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
