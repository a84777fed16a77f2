"""The subcommand ``grade``: exercises in somebody's files, forward and backward."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tinygrad_cnn.cli.arguments import Subparsers, UsageError, check_output, integer, one_of
from tinygrad_cnn.cli.check import write_json
from tinygrad_cnn.cli.user_file import load_file

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
the forward pass, one for each gradient. The files are run. Exit status 1 if a point is missing."""

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
    from tinygrad_cnn.verify.grading import grade

    check_output("--json", arguments.json)
    files = _files(arguments.files)
    graded: dict[str, Any] = {}
    passed = True
    for path in files:
        if len(files) > 1:
            print(f"{path}:")
        try:
            grades = grade(load_file(path), arguments.spec, arguments.seed)
        except RunError as error:
            if len(files) == 1:
                raise
            print(f"{error}\n")
            graded[str(path)] = {"error": str(error)}
            passed = False
            continue
        print(grades.text(arguments.level), end="\n\n" if len(files) > 1 else "\n")
        graded[str(path)] = grades.to_dict(arguments.level)
        passed = passed and bool(grades)
    if arguments.json is not None:
        content = {"seed": arguments.seed, "level": arguments.level, "files": graded}
        write_json(arguments.json, content)
    return 0 if passed else 1


def _files(given: list[Path]) -> list[Path]:
    files: list[Path] = []
    for path in given:
        found = sorted(path.glob("*.py")) if path.is_dir() else [path]
        if not found:
            raise UsageError(f"there are no Python files in {path}")
        files += found
    return files
