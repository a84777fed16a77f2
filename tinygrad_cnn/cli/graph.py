"""The subcommand ``graph``: a network's compute graph as picture, page, text or table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.cli.arguments import (
    NETWORKS,
    Subparsers,
    UsageError,
    check_output,
    integer,
    one_of,
)

if TYPE_CHECKING:
    from tinygrad_cnn.nn import Module
    from tinygrad_cnn.tensor import Tensor
    from tinygrad_cnn.verify import Report
    from tinygrad_cnn.viz import Graph

__all__ = ["add_graph"]

FORMATS = ("dot", "svg", "png", "pdf", "html", "text")
_PRINTED = ("dot", "svg", "text")

_DESCRIPTION = """\
Draw the compute graph of a training step, from the images to the loss: as text, as DOT, as a
picture (with Graphviz's dot or graphviz-pure), or as an interactive page that needs no network.

Of a trained network, give its run's folder in place of the name."""

_EXAMPLES = """\
examples:
  tinygrad-cnn graph batchnorm
  tinygrad-cnn graph batchnorm --summary
  tinygrad-cnn graph momentum --depth 1 --out momentum.svg
  tinygrad-cnn graph runs/first --check --backward --out first.html"""


def add_graph(subparsers: Subparsers) -> None:
    """Add ``graph``."""
    parser = subparsers.add_parser(
        "graph",
        help="draw the compute graph of a network",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "network", metavar="NETWORK|RUN", help=f"one of {', '.join(NETWORKS)}, or a run's folder"
    )
    parser.add_argument(
        "--format",
        metavar="NAME",
        type=one_of(FORMATS),
        help=f"{', '.join(FORMATS)} (default: what the file's name ends in, or text)",
    )
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="where to write (default for text: the terminal)"
    )
    parser.add_argument(
        "--depth", metavar="N", type=integer(1), help="draw modules of this depth as one box each"
    )
    parser.add_argument(
        "--backward", action="store_true", help="draw the backward pass beside the forward pass"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="verify the gradients and draw the verdicts; exit status 1 if one is wrong",
    )
    parser.add_argument(
        "--summary", action="store_true", help="print a table of the modules and what they cost"
    )
    parser.add_argument(
        "--batch", metavar="N", type=integer(1), default=8, help="images in the step (default: 8)"
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=integer(0),
        default=0,
        help="of the weights and of the check (default: 0)",
    )
    parser.set_defaults(run=run_graph)


def run_graph(arguments: argparse.Namespace) -> int:
    """Run ``graph``; the package's default generator is left as it was."""
    from tinygrad_cnn.random import get_rng_state, set_rng_state

    state = get_rng_state()
    try:
        return _run_graph(arguments)
    finally:
        set_rng_state(state)


def _run_graph(arguments: argparse.Namespace) -> int:
    from tinygrad_cnn.viz import RendererMissing

    kind = _kind(arguments)
    check_output("--out", arguments.out)
    try:
        name, model, settings = _network(arguments)
        if name == "batchnorm" and arguments.batch == 1:
            raise UsageError(
                "argument --batch: batchnorm in training expects at least 2 images: a batch of one "
                "has no statistics to normalise by"
            )
        if arguments.summary:
            _print_summary(name, model)
            if arguments.out is None and arguments.format is None:
                return 0
        loss = _loss(name, model, settings, arguments.batch)
        report = _checked(loss, arguments.seed) if arguments.check else None
        drawn = _drawn(loss, model, report, arguments, kind)
        _write(drawn, kind, arguments)
    except RendererMissing as error:
        print(f"tinygrad-cnn graph: {error}", file=sys.stderr)
        return 1
    return 0 if report is None or report else 1


def _kind(arguments: argparse.Namespace) -> str:
    """Return what to make: what was asked for, or what the file's name says."""
    out: Path | None = arguments.out
    kind: str | None = arguments.format
    if kind is None and out is not None:
        ending = out.suffix.lower().lstrip(".")
        kind = {"gv": "dot", "txt": "text", "htm": "html"}.get(ending, ending)
        if kind not in FORMATS:
            raise UsageError(
                f"argument --out: the name ends in none of .{', .'.join(FORMATS[:-1])}, .txt; "
                f"give --format, one of {', '.join(FORMATS)}"
            )
    kind = kind or "text"
    if out is None and kind not in _PRINTED:
        raise UsageError(f"argument --format: {kind} needs --out FILE")
    return kind


def _network(arguments: argparse.Namespace) -> tuple[str, Module, Any]:
    """Return name, network and settings: a new network, or a run's."""
    import numpy as np

    from tinygrad_cnn import models
    from tinygrad_cnn.training import Settings
    from tinygrad_cnn.training.predict import Predictor

    name: str = arguments.network
    if name in NETWORKS:
        model = models.NETWORKS[name].build(np.random.default_rng(arguments.seed))
        return name, model.train(), Settings.of(name)
    if not Path(name).is_dir():
        raise UsageError(
            f"argument NETWORK|RUN: expected one of {', '.join(NETWORKS)}, or a run's folder, "
            f"got {name!r}"
        )
    predictor = Predictor(Path(name))
    if predictor.note:
        print(f"note: {predictor.note}", file=sys.stderr)
    return predictor.settings.network, predictor.model.train(), predictor.settings


def _loss(name: str, model: Module, settings: Any, batch: int) -> Tensor:
    """Record a training step on the first of the digits that come with the package."""
    from tinygrad_cnn import data
    from tinygrad_cnn.models import NETWORKS as MODELS
    from tinygrad_cnn.tensor import tensor
    from tinygrad_cnn.training.images import ToNetwork
    from tinygrad_cnn.training.tasks import task_of

    dict(model.named_parameters())  # which gives them their names
    train, _ = data.digits()
    images = tensor(ToNetwork(settings)(train.images[:batch]), name="images")
    targets = task_of(MODELS[name].target).targets(train.labels[:batch])
    loss: Tensor = MODELS[name].loss(model(images), tensor(targets, name="targets"))
    return loss


def _checked(loss: Tensor, seed: int) -> Report:
    """Verify the gradients and say what was found, where it does not mix with the graph."""
    from tinygrad_cnn.verify import check_graph

    report = check_graph(loss, seed=seed)
    print(report.text(), file=sys.stderr)
    return report


def _drawn(
    loss: Tensor, model: Module, report: Report | None, arguments: argparse.Namespace, kind: str
) -> Graph:
    """Collect the graph; the page also shows values and gradients, after a backward pass."""
    from tinygrad_cnn.viz import graph

    page = kind == "html"
    if page:
        loss.backward(retain_graph=True)
    drawn = graph(loss, model=model, verdicts=report, backward=arguments.backward, statistics=page)
    return drawn if page else drawn.view(arguments.depth)  # in the page modules open and close


def _write(drawn: Graph, kind: str, arguments: argparse.Namespace) -> None:
    """Write the file, or print what can be printed."""
    from tinygrad_cnn.atomic import atomic_file
    from tinygrad_cnn.viz import RendererMissing, render

    out: Path | None = arguments.out
    if kind == "html" and out is not None:
        drawn.html(out, depth=arguments.depth)
        return
    if kind in ("text", "dot"):
        text = drawn.text() if kind == "text" else drawn.dot()
        content = (text.rstrip("\n") + "\n").encode()
    else:
        try:
            content = render.draw(drawn, kind)
        except RendererMissing as missing:
            if out is None:
                raise
            beside = out.with_suffix(".dot")
            with atomic_file(beside) as file:
                file.write(drawn.dot().encode())
            raise RendererMissing(f"{missing}; the graph's text is in {beside}") from None
    if out is None:
        print(content.decode(), end="")
        return
    with atomic_file(out) as file:
        file.write(content)


def _print_summary(name: str, model: Module) -> None:
    from tinygrad_cnn.models import NETWORKS as MODELS
    from tinygrad_cnn.viz import summary

    side = MODELS[name].image_size
    print(summary(model, (1, 1, side, side)))
