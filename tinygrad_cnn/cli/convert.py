"""The subcommand ``convert``: weights from one kind of file to another."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinygrad_cnn.cli.arguments import Subparsers, UsageError

__all__ = ["add_convert"]

_DESCRIPTION = """\
Write the weights of one file as another; the suffixes say which kinds.

Read and written are .pt and .pth (what torch.save writes: a state_dict, or a checkpoint that holds
one; nothing in them is run), .safetensors and .npz."""


def add_convert(subparsers: Subparsers) -> None:
    """Add ``convert``."""
    parser = subparsers.add_parser(
        "convert",
        help="weights from PyTorch's files to .safetensors or .npz, or back",
        description=_DESCRIPTION,
        epilog="example:\n  tinygrad-cnn convert resnet.pth resnet.safetensors",
    )
    parser.add_argument("source", metavar="FROM", type=Path, help="the file to read")
    parser.add_argument("target", metavar="TO", type=Path, help="the file to write")
    parser.set_defaults(run=run_convert)


def run_convert(arguments: argparse.Namespace) -> int:
    """Run ``convert``."""
    from tinygrad_cnn.nn.weights import read_arrays, write_arrays

    source, target = arguments.source, arguments.target
    try:
        arrays = read_arrays(source)
        write_arrays(target, arrays)
    except (FileNotFoundError, ValueError, ImportError) as error:
        raise UsageError(_without_function(error)) from None
    numbers = sum(array.size for array in arrays.values())
    print(f"{target}: {len(arrays)} arrays, {numbers:,} numbers")
    return 0


def _without_function(error: Exception) -> str:
    """Return what an error says, without the name of the Python function that says it."""
    function, colon, text = str(error).partition(": ")
    return text if colon and function in ("load_weights", "save_weights") else str(error)
