"""The subcommand ``onnx``: look at, run, verify, draw and train networks from ONNX files."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.cli.arguments import (
    DATA,
    OPTIMIZERS,
    SCHEDULES,
    Subparsers,
    UsageError,
    check_output,
    integer,
    load_data,
    one_of,
    positive,
)
from tinygrad_cnn.cli.check import has_colours, report_text

if TYPE_CHECKING:
    from tinygrad_cnn.onnx import OnnxModule
    from tinygrad_cnn.tensor import Tensor

__all__ = ["add_onnx"]

_DESCRIPTION = """\
Networks from ONNX files: info says what a file holds, run runs it, check verifies every gradient,
graph draws it, finetune trains it further on your images and writes it back."""

_EXAMPLES = """\
examples:
  tinygrad-cnn onnx info model.onnx
  tinygrad-cnn onnx run model.onnx --input image=image.npy --out answers.npz
  tinygrad-cnn onnx check model.onnx --data FOLDER
  tinygrad-cnn onnx graph model.onnx --depth 2 --out model.svg
  tinygrad-cnn onnx finetune model.onnx --data FOLDER --replace-head 10 --freeze 'features.*'"""

_IMAGES = 4  # of a data set, that a network is run on and verified with


def add_onnx(subparsers: Subparsers) -> None:
    """Add ``onnx`` with what it does."""
    parser = subparsers.add_parser(
        "onnx",
        help="run, verify, draw and train networks from ONNX files",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    described: dict[str, tuple[Callable[[argparse.Namespace], int], str]] = {
        "info": (_info, "say what a file holds"),
        "run": (_run, "run a network on inputs"),
        "check": (_check, "verify every gradient of a network"),
        "graph": (_graph, "draw a network"),
        "finetune": (_finetune, "train a network further and write it back"),
    }
    for name, (function, about) in described.items():
        action = actions.add_parser(name, help=about, description=f"{about.capitalize()}.")
        if name != "finetune":
            action.add_argument("model", metavar="MODEL", type=Path, help="an ONNX file")
        if name in ("run", "check", "graph"):
            _add_inputs(action)
        action.set_defaults(run=lambda arguments, function=function: _said(function, arguments))
        _ADD.get(name, lambda _: None)(action)


def _add_inputs(action: argparse.ArgumentParser) -> None:
    """Add where inputs come from: files, a data set, or numbers drawn at random."""
    action.add_argument(
        "--input",
        metavar="NAME=FILE",
        action="append",
        default=[],
        help="an input of the network from a .npy file; NAME= may be left out for a single one",
    )
    action.add_argument(
        "--data", metavar="NAME|FOLDER", help="images of a data set, made as large as they must be"
    )
    action.add_argument(
        "--batch", metavar="N", type=integer(1), default=_IMAGES, help="images (default: 4)"
    )
    action.add_argument(
        "--size", metavar="N", type=integer(1), help="height and width, where the file is open"
    )
    action.add_argument(
        "--seed", metavar="N", type=integer(0), default=0, help="of random inputs (default: 0)"
    )


def _add_run(action: argparse.ArgumentParser) -> None:
    action.add_argument("--out", metavar="FILE", type=Path, help="write the outputs as .npz")


def _add_check(action: argparse.ArgumentParser) -> None:
    action.add_argument("--train", action="store_true", help="as in training, not in evaluation")
    action.add_argument("--json", metavar="FILE", type=Path, help="write the report as JSON")


def _add_graph(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "--out", metavar="FILE", type=Path, help=".svg, .png, .pdf, .dot, .html (default: text)"
    )
    action.add_argument("--depth", metavar="N", type=integer(1), help="draw blocks as one box")
    action.add_argument("--check", action="store_true", help="verify, and draw the verdicts")


def _add_finetune(action: argparse.ArgumentParser) -> None:
    action.add_argument("model", metavar="MODEL", nargs="?", type=Path, help="an ONNX file")
    action.add_argument(
        "--data",
        metavar="NAME|FOLDER",
        help=f"{', '.join(DATA)}, or a folder: train/CLASS/*.png and test/CLASS/*.png, or idx",
    )
    action.add_argument(
        "--replace-head", metavar="N", type=integer(2), help="draw the last layer for N classes"
    )
    action.add_argument(
        "--freeze",
        metavar="PATTERN",
        action="append",
        default=[],
        help="parameters whose names match stay as they are (* for any letters)",
    )
    action.add_argument("--size", metavar="N", type=integer(1), help="of images, where it is open")
    action.add_argument("--epochs", metavar="N", type=integer(1), help="passes over the data")
    action.add_argument("--batch-size", metavar="N", type=integer(1), help="images in a step")
    action.add_argument("--optimizer", metavar="NAME", type=one_of(OPTIMIZERS))
    action.add_argument("--lr", metavar="RATE", type=positive, help="learning rate")
    action.add_argument("--schedule", metavar="NAME", type=one_of(SCHEDULES))
    action.add_argument("--seed", metavar="N", type=integer(0))
    action.add_argument("--threads", metavar="N", type=integer(1))
    action.add_argument("--out", metavar="FOLDER", help="of the run, new or empty")
    action.add_argument("--resume", metavar="FOLDER", help="go on with the run in this folder")
    action.add_argument("--no-check", action="store_true", help="do not verify gradients before")
    action.add_argument("--quiet", action="store_true", help="print only the result")


_ADD = {"run": _add_run, "check": _add_check, "graph": _add_graph, "finetune": _add_finetune}


def _said(function: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """Do it; what is wrong with a file is said in one line."""
    from tinygrad_cnn.onnx import OnnxError
    from tinygrad_cnn.training import RunError

    try:
        return function(arguments)
    except OnnxError as error:
        raise RunError(str(error)) from error


def _info(arguments: argparse.Namespace) -> int:
    from tinygrad_cnn.onnx import info

    print(info(arguments.model))
    return 0


def _run(arguments: argparse.Namespace) -> int:
    import numpy as np

    from tinygrad_cnn.atomic import atomic_file
    from tinygrad_cnn.autograd import no_grad
    from tinygrad_cnn.onnx import load

    check_output("--out", arguments.out)
    network = load(arguments.model)
    with no_grad():
        out = network(*_inputs(network, arguments))
    outs = out if isinstance(out, tuple) else (out,)
    arrays = {name: o.numpy() for name, o in zip(network.outputs, outs, strict=True)}
    for name, array in arrays.items():
        size = "×".join(map(str, array.shape))
        line = f"{name}: {array.dtype} {size or 'number'}"
        if array.size:
            line += f", from {array.min():.6g} to {array.max():.6g}, mean {array.mean():.6g}"
        print(line)
        if array.ndim == 2 and array.shape[1] > 1:
            print(f"  largest: {', '.join(map(str, array.argmax(1).tolist()))}")
    if arguments.out is not None:
        with atomic_file(arguments.out) as file:
            np.savez(file, allow_pickle=False, **arrays)
    return 0


def _inputs(network: OnnxModule, arguments: argparse.Namespace) -> list[Tensor]:
    """Return the network's inputs: from files, of a data set, or drawn at random."""
    import numpy as np

    from tinygrad_cnn.onnx.examples import from_data, random_inputs
    from tinygrad_cnn.tensor import tensor

    if arguments.input and arguments.data:
        raise UsageError("argument --data: does not go with --input")
    if arguments.data:
        arrays = from_data(network, load_data(arguments.data), arguments.batch, arguments.size)
    else:
        arrays = random_inputs(network, arguments.batch, arguments.size, arguments.seed)
        if not arguments.input:
            print("note: inputs are drawn at random; --input or --data gives real ones")
    for text in arguments.input:
        name, found, path = text.rpartition("=")
        name = name if found else network.inputs[0]
        if name not in network.inputs:
            raise UsageError(f"argument --input: the inputs are {', '.join(network.inputs)}")
        try:
            arrays[name] = np.load(path, allow_pickle=False)
        except ValueError as error:
            raise UsageError(f"argument --input: {path}: {error}") from error
    return [tensor(arrays[name], name=name) for name in network.inputs]


def _total(network: OnnxModule, arguments: argparse.Namespace) -> Tensor:
    """Run the network and add its outputs up, each number with a weight of its own."""
    import numpy as np

    from tinygrad_cnn.onnx import OnnxError

    out = network(*_inputs(network, arguments))
    rng = np.random.default_rng(arguments.seed)
    total: Any = None
    for o in out if isinstance(out, tuple) else (out,):
        if o.requires_grad:
            weights = rng.uniform(0.5, 1.5, o.shape).astype(o.dtype)
            total = (o * weights).sum() if total is None else total + (o * weights).sum()
    if total is None:
        raise OnnxError("no output depends on a parameter: there is no gradient to verify")
    return total  # type: ignore[no-any-return]


def _check(arguments: argparse.Namespace) -> int:
    from tinygrad_cnn.atomic import atomic_file
    from tinygrad_cnn.onnx import load
    from tinygrad_cnn.verify import check_graph

    check_output("--json", arguments.json)
    network = load(arguments.model).train(arguments.train)
    dict(network.named_parameters())  # which gives them their names
    report = check_graph(_total(network, arguments), seed=arguments.seed)
    print(report_text(report, colours=has_colours()))
    if arguments.json is not None:
        content = {"model": str(arguments.model), "ok": bool(report), **report.to_dict()}
        with atomic_file(arguments.json) as file:
            file.write(json.dumps(content, indent=1, allow_nan=False).encode() + b"\n")
    return 0 if report else 1


def _graph(arguments: argparse.Namespace) -> int:
    from tinygrad_cnn.onnx import load
    from tinygrad_cnn.verify import check_graph
    from tinygrad_cnn.viz import RendererMissing, graph

    check_output("--out", arguments.out)
    network = load(arguments.model)
    dict(network.named_parameters())
    total = _total(network, arguments)
    report = check_graph(total, seed=arguments.seed) if arguments.check else None
    drawn = graph(total, model=network, verdicts=report)
    out: Path | None = arguments.out
    if out is None:
        print(drawn.view(arguments.depth).text())
    elif out.suffix == ".html":
        drawn.html(out, depth=arguments.depth)
    else:
        try:
            drawn.view(arguments.depth).render(out)
        except RendererMissing as error:
            print(f"tinygrad-cnn onnx graph: {error}", file=sys.stderr)
            return 1
    return 0 if report is None or report else 1


_SETTINGS = ("epochs", "batch_size", "optimizer", "lr", "schedule", "seed", "threads")


def _finetune(arguments: argparse.Namespace) -> int:
    from tinygrad_cnn.cli.train import resume, train_in
    from tinygrad_cnn.onnx.tuning import Tuning, begun, fitting, known, write_results
    from tinygrad_cnn.training import Settings, SettingsError

    if arguments.resume is not None:
        if arguments.model is not None or arguments.out is not None:
            raise UsageError("--resume goes alone: a run keeps its network and its folder")
        status = resume(Path(arguments.resume), {}, arguments.quiet)
        return status or _write_results(Path(arguments.resume), write_results)
    if arguments.model is None or arguments.data is None:
        raise UsageError("expected a MODEL and --data, or --resume FOLDER")
    source: Path = arguments.model
    tuning = Tuning(source.name, arguments.replace_head, tuple(arguments.freeze), arguments.size)
    given = {name: getattr(arguments, name) for name in _SETTINGS}
    data = arguments.data
    given["data"] = str(Path(data).resolve()) if data not in DATA and Path(data).is_dir() else data
    with known(source, tuning) as form:
        try:
            settings = Settings.of(tuning.name, **given)
            folder, status = train_in(
                settings,
                fitting(load_data, form)(settings.data),
                arguments.out,
                check=not arguments.no_check,
                quiet=arguments.quiet,
                prepare=lambda folder: begun(folder, source, tuning),
            )
        except SettingsError as error:
            raise UsageError(str(error)) from error
    return status or _write_results(folder, write_results)


def _write_results(folder: Path, write: Callable[[Path], list[str]]) -> int:
    for line in write(folder):
        print(line)
    return 0
