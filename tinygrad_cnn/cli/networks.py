"""The subcommand ``networks``: what there is to train."""

from __future__ import annotations

import argparse

from tinygrad_cnn.cli.arguments import NETWORKS, Subparsers, one_of

__all__ = ["add_networks"]


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
