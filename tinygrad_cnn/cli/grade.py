"""The subcommand ``grade``: exercises in a user's files, forward and backward."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinygrad_cnn.cli.arguments import (
    Subparsers,
    UsageError,
    check_output,
    integer,
    one_of,
    positive,
)
from tinygrad_cnn.cli.check import write_json
from tinygrad_cnn.cli.grade_apart import Graded, grade_apart

__all__ = ["add_grade"]

_EXERCISES = (
    *("relu", "sigmoid", "tanh", "softmax", "linear", "conv2d", "maxpool2d", "avgpool2d"),
    *("batchnorm", "batchnorm2d", "layernorm", "softmax_cross_entropy", "mse"),
)
_LEVELS = ("none", "place", "hint")

_DESCRIPTION = """\
Grade operations that somebody wrote, forward and backward, against this package's.

An exercise is looked for under its usual names: a class with forward and backward, a pair such as
conv_forward with conv_backward, or a function that returns a loss with its gradient. One point for
the forward pass, one for each gradient. Each file is run in a process of its own, which is ended
when an exercise takes too long; what was graded until then is kept, after Ctrl-C too. Exit status 1
if a point is missing."""

_EXAMPLES = """\
examples:
  tinygrad-cnn grade layers.py --spec conv2d,maxpool2d,batchnorm,softmax_cross_entropy
  tinygrad-cnn grade handed_in/ --spec linear,conv2d=MyConv --level place --json grades.json"""


def add_grade(subparsers: Subparsers) -> None:
    """Add ``grade``."""
    parser = subparsers.add_parser(
        "grade",
        help="grade exercises in backward passes",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "files",
        metavar="FILE|FOLDER",
        type=Path,
        nargs="+",
        help="Python files, or folders of them",
    )
    parser.add_argument(
        "--spec",
        metavar="NAME,…",
        required=True,
        type=_specs,
        help=f"exercises: {', '.join(_EXERCISES)}; NAME=OTHER where it has another name",
    )
    parser.add_argument(
        "--level",
        metavar="LEVEL",
        type=one_of(_LEVELS),
        default="hint",
        help="what is said of mistakes: none, place (where), hint (what it looks like; default)",
    )
    parser.add_argument("--seed", metavar="N", type=integer(0), default=0, help="default: 0")
    parser.add_argument(
        "--max-seconds",
        metavar="S",
        type=positive,
        default=60.0,
        help="an exercise that takes longer gets no points, and the next is graded; default: 60",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the grades as JSON")
    parser.set_defaults(run=run_grade)


def _specs(text: str) -> list[str]:
    specs = [spec.strip() for spec in text.split(",")]
    for spec in specs:
        one_of(_EXERCISES)(spec.partition("=")[0])
    return specs


def run_grade(arguments: argparse.Namespace) -> int:
    """Run ``grade``."""
    from tinygrad_cnn.training import RunError

    check_output("--json", arguments.json)
    files = _files(arguments.files)
    for path in files:
        if not path.is_file():
            raise UsageError(f"there is no file {path}")
    graded: dict[Path, Graded] = {}
    try:
        for path in files:
            graded[path] = Graded()
            if len(files) > 1:
                print(f"{path}:", flush=True)
            grade_apart(
                path,
                arguments.spec,
                arguments.level,
                arguments.seed,
                arguments.max_seconds,
                graded[path],
            )
            if len(files) > 1:
                print(graded[path].error or graded[path].text(), end="\n\n", flush=True)
            elif not graded[path].error:
                print(graded[path].text())
    except KeyboardInterrupt:
        print(graded[path].text(), flush=True)  # what was graded until now
        raise
    finally:
        if arguments.json is not None:
            _write(arguments, files, graded)
    if len(files) == 1 and graded[path].error:
        raise RunError(graded[path].error)
    return 0 if all(one.points == one.of and not one.error for one in graded.values()) else 1


def _write(arguments: argparse.Namespace, files: list[Path], graded: dict[Path, Graded]) -> None:
    """Write the grades, and how many files there were not time for."""
    content = {
        "seed": arguments.seed,
        "level": arguments.level,
        "max_seconds": arguments.max_seconds,
        "not_graded": [str(path) for path in files if path not in graded],
        "files": {str(path): one.to_dict() for path, one in graded.items()},
    }
    write_json(arguments.json, content)


def _files(given: list[Path]) -> list[Path]:
    files: list[Path] = []
    for path in given:
        found = sorted(path.glob("*.py")) if path.is_dir() else [path]
        if not found:
            raise UsageError(f"there are no Python files in {path}")
        files += found
    return files
