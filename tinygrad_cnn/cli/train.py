"""The subcommand ``train``: a network learns, and leaves a run folder."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.cli.arguments import (
    ARCHITECTURES,
    DATA,
    NETWORKS,
    OPTIMIZERS,
    SCHEDULES,
    Subparsers,
    UsageError,
    did_you_mean,
    integer,
    load_data,
    one_of,
    positive,
)
from tinygrad_cnn.cli.report import report_run
from tinygrad_cnn.cli.runs import network_of_run

if TYPE_CHECKING:
    from tinygrad_cnn.anomaly import AnomalyError
    from tinygrad_cnn.data import Splits
    from tinygrad_cnn.nn import Module
    from tinygrad_cnn.tensor import Tensor
    from tinygrad_cnn.training import Settings

__all__ = ["add_train", "resume", "train_in"]

_TRAIN = """\
Train a network, and leave in a run folder what it learnt and how.

Without arguments: the network batchnorm on the 5,000 training digits that come with the package,
tested on 1,000 others, in well under a minute. Before that the gradient of every parameter is
verified numerically. Options not given are chosen for the network (`tinygrad-cnn networks`)."""

_TRAIN_END = """\
Ctrl-C saves and stops; --resume goes on and ends with the same weights, bit for bit, as a run that
was never stopped. The run folder holds config.json, metrics.csv (a row an epoch), steps.csv,
checkpoint.npz, model.npz, curves.png, graph.dot, graph.svg and report.html.

examples:
  tinygrad-cnn train
  tinygrad-cnn train momentum --epochs 3 --seed 7 --out runs/first
  tinygrad-cnn train --data fashion-mnist --optimizer adam
  tinygrad-cnn train resnet18 --data FOLDER --epochs 5
  tinygrad-cnn train --resume runs/first
  mpiexec -n 2 tinygrad-cnn train"""


def add_train(subparsers: Subparsers) -> None:
    """Add ``train``."""
    parser = subparsers.add_parser(
        "train", help="train a network on digits", description=_TRAIN, epilog=_TRAIN_END
    )
    parser.add_argument(
        "network",
        nargs="?",
        metavar="NETWORK",  # looked at later: in `--epoch 3` the 3 is not what is wrong
        help=f"one of {', '.join((*NETWORKS, *ARCHITECTURES))} (default: batchnorm)",
    )
    what = parser.add_argument_group("what and how to learn")
    what.add_argument(
        "--data",
        metavar="NAME|FOLDER",
        help=f"{', '.join(DATA)}, or a folder of idx files or of pictures, train/CLASS/*.png and "
        "test/CLASS/*.png (default: digits)",
    )
    what.add_argument("--epochs", metavar="N", type=integer(1), help="passes over the data")
    what.add_argument("--batch-size", metavar="N", type=integer(1), help="images in a step")
    what.add_argument(
        "--optimizer", metavar="NAME", type=one_of(OPTIMIZERS), help=", ".join(OPTIMIZERS)
    )
    what.add_argument(
        "--lr", metavar="RATE", type=positive, help="learning rate; the peak with onecycle"
    )
    what.add_argument(
        "--schedule",
        metavar="NAME",
        type=one_of(SCHEDULES),
        help=f"{', '.join(SCHEDULES)}: how the learning rate changes from step to step",
    )
    what.add_argument(
        "--seed", metavar="N", type=integer(0), help="of weights and order of images (default: 0)"
    )
    run = parser.add_argument_group("the run")
    run.add_argument(
        "--threads", metavar="N", type=integer(1), help="threads to use (default: all processors)"
    )
    run.add_argument(
        "--out", metavar="FOLDER", help="new or empty (default: runs/NETWORK-DATE-TIME)"
    )
    run.add_argument(
        "--resume", metavar="FOLDER", help="go on with the run in this folder, as it was set up"
    )
    run.add_argument(
        "--no-check", action="store_true", help="do not verify the gradients before training"
    )
    run.add_argument("--quiet", action="store_true", help="print only the result")
    parser.set_defaults(run=run_train)


_SETTINGS = (
    "network",
    "data",
    "epochs",
    "batch_size",
    "optimizer",
    "lr",
    "schedule",
    "seed",
    "threads",
)


def run_train(arguments: argparse.Namespace) -> int:
    """Run ``train``."""
    from tinygrad_cnn.distributed import init
    from tinygrad_cnn.training import SettingsError

    init()
    given = {
        name: getattr(arguments, name) for name in _SETTINGS if getattr(arguments, name) is not None
    }
    known = (*NETWORKS, *ARCHITECTURES)
    if given.get("network", "batchnorm") not in known:
        raise UsageError(
            f"network must be one of {', '.join(known)}, got {given['network']!r}"
            + did_you_mean(given["network"], known)
        )
    if "data" in given and given["data"] not in DATA and Path(given["data"]).is_dir():
        given["data"] = str(Path(given["data"]).resolve())  # resuming may start elsewhere
    try:
        return (
            _resume(arguments, given) if arguments.resume is not None else _start(arguments, given)
        )
    except SettingsError as error:
        raise UsageError(str(error)) from error


def _resume(arguments: argparse.Namespace, given: dict[str, Any]) -> int:
    if arguments.out is not None:
        raise UsageError("--out does not go with --resume: a run stays in its folder")
    return resume(Path(arguments.resume), given, arguments.quiet)


def resume(folder: Path, given: dict[str, Any], quiet: bool) -> int:
    """Go on with a run, whose settings agree with what is given; return the exit status."""
    from tinygrad_cnn.distributed import rank
    from tinygrad_cnn.training import RunError
    from tinygrad_cnn.training.folder import holding
    from tinygrad_cnn.training.session import resume_run

    if not folder.is_dir():
        raise RunError(f"there is no folder {folder}")
    first = rank() == 0  # the one that writes
    with holding(folder) if first else nullcontext(), network_of_run(folder) as load:
        status = resume_run(
            folder,
            load,
            agree=lambda settings: _agree(settings, given),
            draw=_draw_graph,
            quiet=quiet,
        )
        return status or (report_run(folder, quiet=quiet) if first else 0)


def _start(arguments: argparse.Namespace, given: dict[str, Any]) -> int:
    from tinygrad_cnn.distributed import barrier, rank
    from tinygrad_cnn.training import Settings

    settings = Settings.of(**given)
    processors = os.cpu_count() or 1
    if settings.threads > processors:
        print(
            f"warning: --threads {settings.threads} on {processors} processors: threads beyond "
            "these wait for each other",
            file=sys.stderr,
        )
    if rank():  # what is downloaded is there by then
        barrier()
    splits = load_data(settings.data)
    if not rank():
        barrier()
    check = not arguments.no_check
    return train_in(settings, splits, arguments.out, check=check, quiet=arguments.quiet)[1]


def train_in(
    settings: Settings,
    splits: Splits,
    out: str | None,
    *,
    check: bool,
    quiet: bool,
    prepare: Callable[[Path], None] | None = None,
) -> tuple[Path, int]:
    """Train in a new folder; return it and the exit status.

    `prepare` puts into the folder what the network of the run is made of, once it is the run's.
    """
    from tinygrad_cnn.distributed import rank
    from tinygrad_cnn.training.folder import holding, make_folder
    from tinygrad_cnn.training.session import start_run

    if rank():  # the folder is that of rank 0
        nowhere = Path()
        return nowhere, start_run(settings, splits, nowhere, check=False, quiet=True)
    folder = make_folder(out, settings.network)
    try:
        with holding(folder):
            make_folder(str(folder), settings.network)  # still empty, now that it is ours
            if prepare is not None:
                prepare(folder)
            status = start_run(settings, splits, folder, check=check, draw=_draw_graph, quiet=quiet)
            return folder, status or report_run(folder, splits, quiet=quiet)
    finally:
        _remove_if_empty(folder)  # nothing was trained
        if out is None:
            _remove_if_empty(folder.parent)


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()


def _agree(settings: Settings, given: dict[str, Any]) -> None:
    """Refuse options that say otherwise than the settings of the run that is resumed."""
    for name, value in given.items():
        kept = getattr(settings, name)
        if value != kept:
            option = "NETWORK" if name == "network" else f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{option} {value} does not go with --resume: the run has {kept}, and keeps it"
            )


def _draw_graph(
    loss: Tensor, model: Module, folder: Path, anomaly: AnomalyError | None = None
) -> list[str]:
    """Write the graph of a training step as DOT and, where a renderer is, as SVG.

    With an anomaly, its place is coloured, and the files are called so.
    """
    from tinygrad_cnn.atomic import atomic_file
    from tinygrad_cnn.viz import RendererMissing, graph

    picture = graph(loss, model=model, verdicts=anomaly)
    name = "graph" if anomaly is None else "anomaly"
    with atomic_file(folder / f"{name}.dot") as file:
        file.write(picture.dot().encode())
    try:
        picture.render(folder / f"{name}.svg")
    except RendererMissing as error:
        return [f"{name}.svg is left out: {error}"]
    return [] if anomaly is None else [f"the place is coloured in {folder / name}.svg"]
