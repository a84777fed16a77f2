"""The subcommand ``run``: a PyTorch script, unchanged, on this package."""

from __future__ import annotations

import argparse
import re
import runpy
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinygrad_cnn.cli.arguments import Subparsers, UsageError

__all__ = ["add_run"]

_DESCRIPTION = """\
Run a script written for PyTorch, unchanged: in this process, and in no other program, "import
torch" and "import torchvision" find this package's names for them. PyTorch need not be installed.

What comes after the script's name is the script's."""


def add_run(subparsers: Subparsers) -> None:
    """Add ``run``."""
    parser = subparsers.add_parser(
        "run",
        help="run a PyTorch script on this package",
        description=_DESCRIPTION,
        epilog="example:\n  tinygrad-cnn run --check main.py --epochs 1",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="verify the first backward's graph, and look at the first training steps",
    )
    parser.add_argument("--picture", metavar="FILE", type=Path, help="draw the graph to a file")
    parser.add_argument("script", metavar="SCRIPT", type=Path, help="the Python file")
    parser.add_argument("args", nargs=argparse.REMAINDER, help="its arguments")
    parser.set_defaults(run=run_script)


def run_script(arguments: argparse.Namespace) -> int:
    """Run ``run``."""
    from tinygrad_cnn import autograd
    from tinygrad_cnn.torch.finder import stand_in, step_back

    script: Path = arguments.script
    if not script.is_file():
        raise UsageError(f"there is no file {script}")
    try:
        stand_in()
    except RuntimeError as error:
        raise UsageError(str(error)) from None
    say = sys.stderr
    print("tinygrad-cnn run: torch and torchvision are tinygrad_cnn's, in this process", file=say)
    look = _First(arguments.check, arguments.picture)
    before = sys.argv, sys.path[:], autograd.backward
    sys.argv = [str(script), *arguments.args]
    sys.path.insert(0, str(script.resolve().parent))
    if look.wanted:
        autograd.backward = look.around(autograd.backward)
    try:
        with _steps_of(arguments.check, look):
            runpy.run_path(str(script), run_name="__main__")
    except SystemExit:
        raise
    except Exception as error:
        _show(error, script)
        return 1
    finally:
        sys.argv, sys.path[:], autograd.backward = before
        step_back()
    if look.wanted:
        print("tinygrad-cnn run: the script called backward() nowhere", file=say)
        return 1
    return 0 if look.ok else 1


@contextmanager
def _steps_of(check: bool, look: _First) -> Iterator[None]:
    """Look at the script's first training steps, and say what was found, however it ends."""
    from tinygrad_cnn.verify import watch_training

    if not check:
        yield
        return
    try:
        with watch_training() as watched:
            yield
    finally:
        report = watched.report()
        look.ok = look.ok and not report.findings
        print(report, file=sys.stderr)


class _First:
    """What is done with the graph of the first ``backward()``."""

    def __init__(self, check: bool, picture: Path | None) -> None:
        self.check, self.picture = check, picture
        self.wanted = check or picture is not None
        self.ok = True

    def around(self, backward: Any) -> Any:
        """Return the function that looks at the graph before it calls the other."""

        def looked_at(tensor: Any, *args: Any, **kwargs: Any) -> Any:
            if self.wanted:
                self.wanted = False
                self.look(tensor)
            return backward(tensor, *args, **kwargs)

        return looked_at

    def look(self, tensor: Any) -> None:
        """Draw and verify the graph of a tensor."""
        from tinygrad_cnn import viz
        from tinygrad_cnn.autograd import set_detect_anomaly
        from tinygrad_cnn.verify import check_graph

        loss = tensor if tensor.numel() == 1 else tensor.sum()
        if self.picture is not None:
            viz.graph(loss).save(self.picture)
            print(f"tinygrad-cnn run: the graph is in {self.picture}", file=sys.stderr)
        if self.check:
            with set_detect_anomaly(False):  # nobody is told of what the check computes
                report = check_graph(loss)
            self.ok = bool(report)
            print(report, file=sys.stderr)


def _show(error: Exception, script: Path) -> None:
    """Print the traceback from the script on, and what is known of a name that is not here."""
    from tinygrad_cnn.tensor import Tensor
    from tinygrad_cnn.torch.absent import reason

    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != str(script):
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace or error.__traceback__)
    found = re.search(r"cannot import name '(\w+)' from '(?:tinygrad_cnn\.)?([\w.]+)'", str(error))
    module, name = (found[2], found[1]) if found else ("", "")
    if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("torch"):
        module, _, name = (error.name or "").rpartition(".")
    if isinstance(error, AttributeError) and isinstance(error.obj, Tensor):
        module, name = "torch.Tensor", error.name or ""
    if module.startswith("torch"):
        print(f"tinygrad-cnn run: {reason(module, name)}", file=sys.stderr)
