"""The subcommand ``check``: every gradient of a network on real digits, or of a user's code."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.cli.arguments import (
    DATA,
    FRAMEWORKS,
    NETWORKS,
    Subparsers,
    UsageError,
    check_output,
    integer,
    load_data,
    one_of,
)
from tinygrad_cnn.cli.check_file import check_file, is_file_target
from tinygrad_cnn.cli.inputs import given

if TYPE_CHECKING:
    from tinygrad_cnn.data import Splits
    from tinygrad_cnn.verify import InputReport, Report

__all__ = ["add_check", "has_colours", "report_text"]

_DESCRIPTION = """\
Verify every gradient of a network on real digits, or of what a Python file defines.

Of a network, the graph of a training step is recorded. Each operation is replayed in float64 on
its recorded inputs, and its backward rule compared with numeric differentiation; then the gradient
of every parameter is, from end to end. FILE.py:NAME is a function, a pair of functions, a module,
a class with forward and backward, an operation or a loss, of NumPy, of this package, of PyTorch,
JAX or HIPS autograd; the file is run. Exit status 1 if a gradient is wrong or undecided."""

_EXAMPLES = """\
examples:
  tinygrad-cnn check batchnorm
  tinygrad-cnn check all --batch 2 --seed 7 --json gradients.json
  tinygrad-cnn check momentum --data fashion-mnist --eval
  tinygrad-cnn check layers.py:Linear(3,2) --input 4x3
  tinygrad-cnn check layers.py:conv_forward,conv_backward --input 2x3x8x8 4x3x3x3 4
  tinygrad-cnn check losses.py:cross_entropy --input 4x10 4:10 --framework torch"""

_MANY = 64
_COLOURS = {"PASS": "32", "KINK": "36", "FAIL": "1;31", "INCONCLUSIVE": "33"}
_COLOURS |= {"UNSEEN": "2", "SKIPPED": "2"}


def add_check(subparsers: Subparsers) -> None:
    """Add ``check``."""
    parser = subparsers.add_parser(
        "check",
        help="verify every gradient of a network",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "network",
        metavar="NETWORK|FILE.py:NAME",
        type=_network_or_file,
        help=f"one of {', '.join(NETWORKS)}, or all of them; or a name in a Python file",
    )
    parser.add_argument(
        "--input",
        metavar="SHAPE",
        type=given,
        nargs="+",
        help="of FILE.py:NAME: 4x3 (random numbers), 4:10 (4 integers below 10), number, x.npy; "
        "found by trying if it is not given",
    )
    parser.add_argument(
        "--framework",
        metavar="NAME",
        type=one_of(FRAMEWORKS),
        help=f"of FILE.py:NAME: {', '.join(FRAMEWORKS)} (told by what it is)",
    )
    parser.add_argument(
        "--data",
        metavar="NAME|FOLDER",
        default="digits",
        help=f"{', '.join(DATA)}, or a folder of idx files (default: digits)",
    )
    parser.add_argument(
        "--batch", metavar="N", type=integer(1), default=8, help="images (default: 8)"
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=integer(0),
        default=0,
        help="of the weights, the choice of images and the check (default: 0)",
    )
    parser.add_argument(
        "--eval", action="store_true", help="check the network in evaluation, not in training"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the reports as JSON")
    parser.set_defaults(run=run_check)


def _network_or_file(text: str) -> str:
    return text if is_file_target(text) else one_of((*NETWORKS, "all"))(text)


def run_check(arguments: argparse.Namespace) -> int:
    """Run ``check``."""
    if is_file_target(arguments.network):
        return _run_check_file(arguments)
    for option in ("input", "framework"):
        if getattr(arguments, option) is not None:
            raise UsageError(f"argument --{option}: expected with FILE.py:NAME only")
    names = NETWORKS if arguments.network == "all" else (arguments.network,)
    if not arguments.eval and arguments.batch == 1 and "batchnorm" in names:
        raise UsageError(
            "argument --batch: batchnorm in training expects at least 2 images: a batch of one has "
            "no statistics to normalise by"
        )
    check_output("--json", arguments.json)
    splits = load_data(arguments.data)
    found: dict[str, Report] = {}
    for name in names:
        if found:
            print()
        found[name] = _check_network(name, splits, arguments)
    if arguments.json is not None:
        _write_json(arguments.json, found, arguments)
    return 0 if all(found.values()) else 1


def _run_check_file(arguments: argparse.Namespace) -> int:
    check_output("--json", arguments.json)
    report, about = check_file(arguments)
    shapes = ", ".join(about["inputs"]) or "none"
    guessed = " (found by trying; --input says otherwise)" if about["guessed"] else ""
    print(f"{about['target']}: {about['framework']}, inputs {shapes}{guessed}")
    print(report_text(report, colours=has_colours()))
    if arguments.json is not None:
        content = {**about, "seed": arguments.seed, "ok": bool(report), "report": report.to_dict()}
        write_json(arguments.json, content)
    return 0 if report else 1


def _check_network(name: str, splits: Splits, arguments: argparse.Namespace) -> Report:
    """Check one network and print what was found."""
    import numpy as np

    from tinygrad_cnn.autograd import record_source
    from tinygrad_cnn.models import NETWORKS
    from tinygrad_cnn.tensor import tensor
    from tinygrad_cnn.training import Settings
    from tinygrad_cnn.training.images import ToNetwork, check_splits
    from tinygrad_cnn.training.tasks import task_of
    from tinygrad_cnn.verify import check_graph

    settings = Settings.of(name, data=arguments.data)
    check_splits(splits, settings)
    network, train = NETWORKS[name], splits.train
    rng = np.random.default_rng(arguments.seed)
    model = network.build(rng).train(not arguments.eval)
    dict(model.named_parameters())  # which gives them their names
    chosen = rng.permutation(len(train))[: arguments.batch]
    images = tensor(ToNetwork(settings)(train.images[chosen]), name="images")
    targets = task_of(network.target).targets(train.labels[chosen])
    with record_source():
        output = model(images)
    loss = network.loss(output, tensor(targets, name="targets"))
    mode = "evaluation" if arguments.eval else "training"
    print(
        f"{name}: {len(chosen)} images of {arguments.data}, in {mode}, seed {arguments.seed}",
        flush=True,
    )
    if len(chosen) > _MANY:
        print(
            f"note: each of {len(chosen):,} images is computed some thousand times, which takes "
            "minutes; 8 tell as much",
            file=sys.stderr,
        )
    report = check_graph(loss, seed=arguments.seed)
    print(report_text(report, colours=has_colours()))
    return report


# ---------------------------------------------------------------------------------------- printing


def has_colours() -> bool:
    """Whether to colour: in a terminal that can, unless the user does not want it."""
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def report_text(report: Report, colours: bool = False) -> str:
    """Return a table with a row for each gradient, what is wrong below it, and a last line.

    Parameters
    ----------
    report
        From `check_graph` or another check.
    colours
        Whether verdicts are coloured by ANSI escape sequences.

    >>> from tinygrad_cnn import tensor
    >>> from tinygrad_cnn.verify import check_graph
    >>> x = tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> print(report_text(check_graph(x.exp().sum())))  # doctest: +ELLIPSIS
      verdict  operation   module  input  shape  worst error  elements  directions  kinks
      PASS     sum                 x      2      ...
      PASS     exp                 x      2      ...
      PASS     end to end          x      2      ...
    PASS: 3 gradients, 3 PASS
    """
    rows: list[tuple[str, ...]] = [_HEAD]
    before: int | None = None
    for result in report.results:
        same = result.seq is not None and result.seq == before
        rows.append(_row(result, same))
        before = result.seq
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            f"{cell:>{width}}" if index >= _NUMBERS else f"{cell:<{width}}"
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        cells[0] = _coloured(cells[0], row[0], colours)
        lines.append(f"  {'  '.join(cells)}".rstrip())
    wrong = [result for result in report.results if not result.ok]
    if not report and not wrong:  # nothing was compared: each says why
        wrong = list(report.results)
    for result in wrong:
        head, _, rest = result.text().partition("\n")
        verdict = result.verdict.value
        lines += ["", _coloured(verdict, verdict, colours) + head.removeprefix(verdict)]
        lines += [rest] if rest else []
    if wrong:
        lines.append("")
    lines += [f"note: {note}" for note in report.notes]
    lines += report.advice()
    counted = ", ".join(f"{n} {name}" for name, n in report.counts.items() if n)
    verdict = report.verdict.value
    lines.append(
        f"{_coloured(verdict, verdict, colours)}: {len(report.results)} gradients, {counted}"
    )
    return "\n".join(lines)


_HEAD = (
    *("verdict", "operation", "module", "input", "shape"),
    *("worst error", "elements", "directions", "kinks"),
)
_NUMBERS = 5  # from this column on


def _row(result: InputReport, same: bool) -> tuple[str, ...]:
    """Return the cells of a gradient; the operation's name stands in its first row only."""
    shape = "×".join(map(str, result.shape)) or "number"
    operation = result.op.partition("(")[0]  # settings stand in the findings
    if result.op.endswith("(under create_graph)"):
        operation += " (under create_graph)"
    counts = result.counts
    error = "" if counts.worst_error is None else f"{counts.worst_error:.0e}"
    error = "0" if counts.worst_error == 0 else error
    return (
        result.verdict.value,
        "" if same else operation,
        "" if same else result.scope,
        result.input,
        shape,
        error,
        *(f"{n:,}" if n else "" for n in (counts.elements, counts.directions, counts.kinks)),
    )


def _coloured(text: str, verdict: str, colours: bool) -> str:
    colour = _COLOURS.get(verdict)
    return f"\x1b[{colour}m{text}\x1b[0m" if colours and colour else text


# -------------------------------------------------------------------------------------------- JSON


def _write_json(path: Path, reports: dict[str, Report], arguments: argparse.Namespace) -> None:
    """Write the reports of all networks."""
    content: dict[str, Any] = {
        "data": arguments.data,
        "batch": arguments.batch,
        "seed": arguments.seed,
        "mode": "eval" if arguments.eval else "train",
        "ok": all(reports.values()),
        "networks": {name: report.to_dict() for name, report in reports.items()},
    }
    write_json(path, content)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write plain data and the package's version into a file, whole or not at all."""
    from tinygrad_cnn import __version__
    from tinygrad_cnn.atomic import atomic_file

    with atomic_file(path) as file:
        text = json.dumps({"version": __version__, **content}, indent=1, allow_nan=False)
        file.write(text.encode() + b"\n")
