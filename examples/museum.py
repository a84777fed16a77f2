"""Real mistakes in gradients, and who finds them: this project's verifier and three others.

Each exhibit is a gradient that a public project had wrong, written afresh in a few lines on digits,
activations with their zeros, and labels. It is put to `check_backward`, and, where they are
installed, to PyTorch's gradcheck and to the check_grads of JAX and of HIPS autograd, with their
default settings. A checker catches a mistake when it raises an alarm on the wrong rule and is
silent on the right one. Explained means that a hint, or where the wrong elements lie, says what is
wrong, and that no hint says something else.

    python examples/museum.py            # a minute with all three, seconds without
    python examples/museum.py --only pool --verbose
    python examples/museum.py --markdown
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent))

from exhibits import EXHIBITS, Exhibit, functions, layers, losses
from exhibits.peers import PEERS, accepts

from tinygrad_cnn.verify import Report, check_backward

ROOMS = (layers, functions, losses)

# How large an error is: measured, and true of any mistake that has it.
MEASURED = {"factor", "times N", "times 1/N", "times 2", "times 1/2", "ratios"}


@dataclass
class Outcome:
    """What came of an exhibit.

    Attributes
    ----------
    found, alarm
        Whether the wrong rule was found, and the right one accused.
    said
        The hints that were given, and what else was noticed.
    explained, misleading
        Whether one of them is true, and whether a hint is not.
    peers
        What each of the others said: "caught", "missed", or "alarm" for one on the right rule.
    """

    found: bool
    alarm: bool
    said: list[str]
    explained: bool
    misleading: bool
    peers: dict[str, str] = field(default_factory=dict)


def verify(exhibit: Exhibit, wrong: bool, seed: int = 0) -> Report:
    """Put the right or the wrong rule to the verifier."""
    arrays = exhibit.draw(np.random.default_rng(seed))
    return check_backward(
        exhibit.forward,
        lambda g, *inputs: exhibit.rule(g, *inputs, wrong=wrong),
        arrays,
        raise_exception=False,
        seed=seed,
    )


def outcome_of(exhibit: Exhibit, peers: list[str], seed: int = 0) -> Outcome:
    """Put an exhibit to everybody."""
    right, report = verify(exhibit, False, seed), verify(exhibit, True, seed)
    codes = {hint.code for result in report.failures for hint in result.hints}
    noticed = {f.kind for result in report.failures for f in result.findings} - {"value"}
    places = {r.wrong.where for r in report.failures if r.wrong is not None}
    outcome = Outcome(
        found=bool(report.failures),
        alarm=not all(result.ok for result in right.results),
        said=sorted(codes) + sorted((noticed | places) & exhibit.true),
        explained=bool(exhibit.true & (codes | noticed | places)),
        misleading=bool(codes - exhibit.true - MEASURED),
    )
    inputs = exhibit.draw(np.random.default_rng(seed))
    for peer in peers:

        def silent(wrong: bool, peer: str = peer) -> bool:
            def rule(g: Any, *given: Any) -> Any:
                return exhibit.rule(g, *given, wrong=wrong)

            return accepts(peer, exhibit.forward, rule, inputs)

        if not silent(False):
            outcome.peers[peer] = "alarm"
        else:
            outcome.peers[peer] = "missed" if silent(True) else "caught"
    return outcome


def table(outcomes: dict[Exhibit, Outcome], peers: list[str], markdown: bool) -> str:
    """Lay the outcomes out, a line an exhibit."""
    head = ["mistake", "found", "explained by", *peers]
    rows = []
    for exhibit, outcome in outcomes.items():
        name = f"[{exhibit.name}]({exhibit.source})" if markdown else exhibit.name
        found = "alarm" if outcome.alarm else "yes" if outcome.found else "no"
        said = ", ".join(outcome.said) or "–"
        said += " (misleading)" if outcome.misleading else ""
        rows.append([name, found, said, *(outcome.peers[peer] for peer in peers)])
    if markdown:
        lines = [head, ["---"] * len(head), *rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    )


def summary(outcomes: dict[Exhibit, Outcome], peers: list[str]) -> str:
    """Count."""
    values = list(outcomes.values())
    explained = sum(o.explained and not o.misleading for o in values)
    found, misleading = sum(o.found for o in values), sum(o.misleading for o in values)
    text = (
        f"{len(values)} mistakes: {found} found, {explained} explained, {misleading} misleadingly"
    )
    lines = [f"{text}; {sum(o.alarm for o in values)} false alarms on right rules"]
    for peer in peers:
        counted = Counter(o.peers[peer] for o in values)
        lines.append(
            f"{peer}: {counted['caught']} caught, {counted['missed']} missed, "
            f"{counted['alarm']} alarms on right rules"
        )
    return "\n".join(lines)


def main() -> None:
    """Put all exhibits to everybody, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="exhibits whose name has this in it")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs")
    parser.add_argument("--peers", default=",".join(PEERS), help="of those installed; or none")
    parser.add_argument("--markdown", action="store_true", help="as a table for a page")
    parser.add_argument("--verbose", action="store_true", help="print each report, too")
    options = parser.parse_args()
    peers = [name for name in PEERS if name in options.peers.split(",")]
    chosen = [exhibit for exhibit in EXHIBITS if options.only in exhibit.name]
    if not chosen:
        parser.error(f"no exhibit has {options.only!r} in its name")
    outcomes = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a peer may warn of what it is given
        for exhibit in tqdm(chosen, "museum", disable=None):
            outcomes[exhibit] = outcome_of(exhibit, peers, options.seed)
    print(table(outcomes, peers, options.markdown))
    print()
    print(summary(outcomes, peers))
    if options.verbose:
        for exhibit in chosen:
            print(f"\n{exhibit.name}\n{exhibit.source}\n{verify(exhibit, True, options.seed)}")


if __name__ == "__main__":
    main()
