"""The command line: ``tinygrad-cnn`` and ``python -m tinygrad_cnn``.

Exit status: 0 for success; 1 for something that went wrong, in one line; 2 for wrong arguments, in
one line; 130 for Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from tinygrad_cnn.cli.arguments import Subparsers, UsageError, did_you_mean
from tinygrad_cnn.cli.check import add_check
from tinygrad_cnn.cli.convert import add_convert
from tinygrad_cnn.cli.grade import add_grade
from tinygrad_cnn.cli.graph import add_graph
from tinygrad_cnn.cli.networks import add_networks
from tinygrad_cnn.cli.onnx import add_onnx
from tinygrad_cnn.cli.predict import add_predict
from tinygrad_cnn.cli.report import add_report
from tinygrad_cnn.cli.run import add_run
from tinygrad_cnn.cli.train import add_train

__all__ = ["COMMANDS", "main"]


class Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong, and no abbreviations."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs
        )

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with status 2."""
        wrong = re.search(r"invalid choice: '(.*?)'", message)
        if wrong:
            message += did_you_mean(wrong[1], tuple(COMMANDS))
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
    except RuntimeError as error:
        from tinygrad_cnn.training import RunError  # here, so that --help comes at once

        if not isinstance(error, RunError):
            raise
        return _fail(1, f"tinygrad-cnn {arguments.command}: {error}")


def _fail(status: int, message: str) -> int:
    if "tinygrad_cnn.distributed" in sys.modules:  # there may be other processes, which would wait
        from tinygrad_cnn.distributed.world import end_all

        end_all(status, message)
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


COMMANDS: dict[str, Callable[[Subparsers], None]] = {
    "train": add_train,
    "check": add_check,
    "grade": add_grade,
    "graph": add_graph,
    "networks": add_networks,
    "predict": add_predict,
    "report": add_report,
    "convert": add_convert,
    "onnx": add_onnx,
    "run": add_run,
}
"""What adds each subcommand, in the order of the help."""
