"""The command line: ``tinygrad-cnn`` and ``python -m tinygrad_cnn``.

Each subcommand has a function that adds its parser, with the function that runs it as the
parser's default ``run``. What a subcommand needs is imported when it runs, so that ``--help``
comes at once.

Exit status: 0 for success; 1 for something that went wrong, in one line; 2 for wrong arguments, in
one line; 130 for Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tinygrad_cnn.arguments import (
    DATA,
    NETWORKS,
    OPTIMIZERS,
    SCHEDULES,
    Subparsers,
    UsageError,
    integer,
    load_data,
    one_of,
    positive,
)
from tinygrad_cnn.checking import add_check
from tinygrad_cnn.drawing import add_graph
from tinygrad_cnn.reporting import add_report, keep_gradients, report_run

if TYPE_CHECKING:
    from tinygrad_cnn.nn import Module
    from tinygrad_cnn.tensor import Tensor
    from tinygrad_cnn.training import Settings

__all__ = ["main"]


class Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong, and no abbreviations."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs
        )

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with status 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Parameters
    ----------
    argv
        The arguments; those of the process if None.

    Raises
    ------
    SystemExit
        For ``--help``, ``--version`` (status 0) and arguments that do not parse (status 2).
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.error(f"expected a command: {', '.join(COMMANDS)}")
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()  # here, where a closed pipe can be answered
        return status
    except UsageError as error:
        return _fail(2, f"tinygrad-cnn {arguments.command}: {error}")
    except BrokenPipeError:  # such as `tinygrad-cnn networks | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _fail(130, "\ntinygrad-cnn: interrupted")
    except OSError as error:
        return _fail(1, f"tinygrad-cnn {arguments.command}: {_os_error(error)}")


def _fail(status: int, message: str) -> int:
    print(message, file=sys.stderr)
    return status


def _os_error(error: OSError) -> str:
    """Say which file and why; errors that come with a message of their own keep it."""
    if error.filename is not None and error.strerror is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _parser() -> Parser:
    from tinygrad_cnn import __version__

    parser = Parser(
        prog="tinygrad-cnn",
        description="Train small convolutional networks on real digits, with every gradient\n"
        "made by automatic differentiation and verified numerically.",
        epilog="Start with:  tinygrad-cnn train",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for add in COMMANDS.values():
        add(subparsers)
    return parser


# ------------------------------------------------------------------------------------------- train

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
  tinygrad-cnn train --resume runs/first"""


def add_train(subparsers: Subparsers) -> None:
    """Add ``train``."""
    parser = subparsers.add_parser(
        "train", help="train a network on digits", description=_TRAIN, epilog=_TRAIN_END
    )
    parser.add_argument(
        "network",
        nargs="?",
        metavar="NETWORK",  # looked at later: in `--epoch 3` the 3 is not what is wrong
        help=f"one of {', '.join(NETWORKS)} (default: batchnorm)",
    )
    what = parser.add_argument_group("what and how to learn")
    what.add_argument(
        "--data",
        metavar="NAME|FOLDER",
        help=f"{', '.join(DATA)}, or a folder of idx files (default: digits)",
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
    from tinygrad_cnn.training import RunError, Settings, SettingsError
    from tinygrad_cnn.training.folder import make_folder
    from tinygrad_cnn.training.session import resume_run, start_run

    given = {
        name: getattr(arguments, name) for name in _SETTINGS if getattr(arguments, name) is not None
    }
    if "data" in given and given["data"] not in DATA and Path(given["data"]).is_dir():
        given["data"] = str(Path(given["data"]).resolve())  # resuming may start elsewhere
    try:
        if arguments.resume is not None:
            if arguments.out is not None:
                raise UsageError("--out does not go with --resume: a run stays in its folder")
            folder = Path(arguments.resume)
            status = resume_run(
                folder,
                load_data,
                agree=lambda settings: _agree(settings, given),
                watch=keep_gradients(folder),
                quiet=arguments.quiet,
            )
            return status or report_run(folder, quiet=arguments.quiet)
        settings = Settings.of(**given)
        splits = load_data(settings.data)
        folder = make_folder(arguments.out, settings.network)
        try:
            status = start_run(
                settings,
                splits,
                folder,
                check=not arguments.no_check,
                draw=_draw_graph,
                watch=keep_gradients(folder),
                quiet=arguments.quiet,
            )
            return status or report_run(folder, splits, quiet=arguments.quiet)
        finally:
            _remove_if_empty(folder)  # nothing was trained
            if arguments.out is None:
                _remove_if_empty(folder.parent)
    except SettingsError as error:
        raise UsageError(str(error)) from error
    except RunError as error:
        return _fail(1, f"tinygrad-cnn train: {error}")


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


def _draw_graph(loss: Tensor, model: Module, folder: Path) -> list[str]:
    """Write the graph of a training step as DOT and, where a renderer is, as SVG."""
    from tinygrad_cnn.viz import RendererMissing, graph

    picture = graph(loss, model=model)
    (folder / "graph.dot").write_text(picture.dot(), encoding="utf-8")
    try:
        picture.render(folder / "graph.svg")
    except RendererMissing as error:
        return [f"graph.svg is left out: {error}"]
    return []


# ---------------------------------------------------------------------------------------- networks


def add_networks(subparsers: Subparsers) -> None:
    """Add ``networks``."""
    parser = subparsers.add_parser(
        "networks",
        help="list the networks with shapes and parameters",
        description="List the networks: each operation with the shape of its result for one\n"
        "image (channels × height × width) and its parameters.",
    )
    parser.add_argument(
        "network",
        nargs="?",
        metavar="NETWORK",
        type=one_of(NETWORKS),
        help=f"only this one of {', '.join(NETWORKS)}",
    )
    parser.set_defaults(run=run_networks)


def run_networks(arguments: argparse.Namespace) -> int:
    """Run ``networks``."""
    from tinygrad_cnn.training.networks import describe_network

    names = NETWORKS if arguments.network is None else (arguments.network,)
    print("\n\n".join(describe_network(name) for name in names))
    return 0


# ----------------------------------------------------------------------------------------- predict


def add_predict(subparsers: Subparsers) -> None:
    """Add ``predict``."""
    parser = subparsers.add_parser(
        "predict",
        help="let a trained network answer to images",
        description="Print a trained network's answer to each image, with its probability.\n"
        "Pictures are turned grey, scaled to 28×28, and inverted if they are dark on light.",
        epilog="example:\n  tinygrad-cnn predict runs/first three.png t10k-images-idx3-ubyte.gz",
    )
    parser.add_argument("folder", metavar="RUN", type=Path, help="the run's folder")
    parser.add_argument(
        "images",
        metavar="IMAGE",
        nargs="+",
        type=Path,
        help="a picture (PNG, JPEG; needs Pillow) or an idx file of images, gzip-compressed or not",
    )
    parser.set_defaults(run=run_predict)


def run_predict(arguments: argparse.Namespace) -> int:
    """Run ``predict``."""
    from tinygrad_cnn.training import RunError
    from tinygrad_cnn.training.predict import Predictor

    try:
        predictor = Predictor(arguments.folder)
        if predictor.note:
            print(f"note: {predictor.note}", file=sys.stderr)
        for line in predictor.lines(arguments.images):
            print(line)
        return 0
    except RunError as error:
        return _fail(1, f"tinygrad-cnn predict: {error}")


COMMANDS: dict[str, Callable[[Subparsers], None]] = {
    "train": add_train,
    "check": add_check,
    "graph": add_graph,
    "networks": add_networks,
    "predict": add_predict,
    "report": add_report,
}
"""What adds each subcommand, in the order of the help."""
