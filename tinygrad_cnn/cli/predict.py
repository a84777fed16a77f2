"""The subcommand ``predict``: a trained network's answers to images."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tinygrad_cnn.cli.arguments import Subparsers
from tinygrad_cnn.cli.runs import network_of_run

__all__ = ["add_predict"]


def add_predict(subparsers: Subparsers) -> None:
    """Add ``predict``."""
    parser = subparsers.add_parser(
        "predict",
        help="let a trained network answer to images",
        description="Print a trained network's answer to each image, with its probability.\n"
        "Pictures and photographs are laid out as MNIST's digits were: grey, light on dark,\n"
        "cropped to the ink, scaled to 20 pixels and centred by mass. What holds nothing is\n"
        "called blank; an answer with a probability below 70 %, or to what looks like more\n"
        "or less than a digit, is called unsure.",
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
    from tinygrad_cnn.training.predict import Predictor

    with network_of_run(arguments.folder):
        predictor = Predictor(arguments.folder)
    if predictor.note:
        print(f"note: {predictor.note}", file=sys.stderr)
    for line in predictor.lines(arguments.images):
        print(line)
    return 0
