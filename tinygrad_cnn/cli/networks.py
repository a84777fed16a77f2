"""The subcommand ``networks``: what there is to train."""

from __future__ import annotations

import argparse

from tinygrad_cnn.cli.arguments import ARCHITECTURES, NETWORKS, Subparsers, one_of

__all__ = ["add_networks"]


def add_networks(subparsers: Subparsers) -> None:
    """Add ``networks``."""
    parser = subparsers.add_parser(
        "networks",
        help="list the networks with shapes and parameters",
        description="List the networks. Of the five for digits, or of the one that is named: each\n"
        "operation with the shape of its result for one image (channels × height × width) and\n"
        "its parameters. `tinygrad-cnn train NETWORK` trains one.",
    )
    parser.add_argument(
        "network",
        nargs="?",
        metavar="NETWORK",
        type=one_of((*NETWORKS, *ARCHITECTURES)),
        help=f"only this one of {', '.join((*NETWORKS, *ARCHITECTURES))}",
    )
    parser.set_defaults(run=run_networks)


def run_networks(arguments: argparse.Namespace) -> int:
    """Run ``networks``."""
    from tinygrad_cnn.models import ARCHITECTURES as OTHERS
    from tinygrad_cnn.training.networks import describe_network

    names = NETWORKS if arguments.network is None else (arguments.network,)
    print("\n\n".join(describe_network(name) for name in names))
    if arguments.network is None:
        print("\nfor images of 32×32, of any channels and classes:")
        for name, network in OTHERS.items():
            print(f"  {name:<15}  {network.about}")
    return 0
