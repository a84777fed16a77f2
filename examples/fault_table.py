"""Put hundreds of faults into right backward rules, and count who finds them.

Each pair is an operation of a small graph and a way to be wrong: a sign, a factor, a flipped
filter, a forgotten mask, ties counted twice, one element off by 50 %, everything off by 0.1 %, …
The same rules are put to PyTorch's gradcheck, slow and fast, where torch is installed. A pair
counts as caught when the tool raises an alarm on the wrong rule and is silent on the right one.

Run it in a clone of the repository (the faults live with the tests)::

    python examples/fault_table.py            # a quarter of an hour with torch
    python examples/fault_table.py --only conv
"""

from __future__ import annotations

import argparse
import copy
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tinygrad_cnn import grad, tensor
from tinygrad_cnn.graph import nodes_below
from tinygrad_cnn.op import Op
from tinygrad_cnn.verify.subjects.replay import Replay

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.verify.fault_families import SITES
from tests.verify.faults import (
    Pair,
    Setting,
    Site,
    arrays_of,
    false_alarms,
    faulty,
    try_pair,
)

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

RANDOM, DIGITS = Setting(False, np.float64, 1), Setting(True, np.float64, 4)


def settings_of(site: Site) -> tuple[Setting, ...]:
    """Return on what a site is tried; where every draw is full of ties, beside the digits."""
    return (DIGITS,) if "of ties" in site.name else (RANDOM, DIGITS)


def count_ours(sites: list[Site]) -> Counter[tuple[str, str]]:
    """Verify every pair on random numbers and on digits with `check_graph`."""
    counts: Counter[tuple[str, str]] = Counter()
    for site in tqdm(sites, "check_graph", disable=None):
        counts[site.family, "pairs"] += len(site.faults)
        for setting in settings_of(site):
            counts[site.family, "alarms"] += bool(false_alarms(site, setting))
            counts[site.family, "right"] += 1
            for fault in site.faults:
                outcome = try_pair(Pair(site, fault), setting)
                if not outcome.differs:  # a tie that does not occur among random numbers
                    continue
                counts[site.family, "tried"] += 1
                counts[site.family, "found"] += outcome.detected
                counts[site.family, "named"] += outcome.named
                counts[site.family, "hints"] += bool(fault.hints)
                counts[site.family, "hinted"] += bool(fault.hints) and outcome.hinted
                counts[site.family, setting.name] += 1
    return counts


def as_torch(site: Site, setting: Setting, op: type[Op] | None) -> tuple[Callable[..., Any], Any]:
    """Return the site as a function of torch tensors, its rule replaced by that of ``op``."""
    arrays = arrays_of(site, setting)
    floats = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]

    class Bridge(torch.autograd.Function):
        """Our forward and our rule behind torch's interface."""

        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            """Run the operation, and give its node the other rule."""
            given: list[Any] = list(arrays)
            for i, x in zip(floats, inputs, strict=True):
                given[i] = tensor(x.detach().numpy(), requires_grad=True)
            ctx.y, ctx.leaves = site.function(*given), [given[i] for i in floats]
            if op is not None:
                nodes = nodes_below(ctx.y)
                for node in nodes:
                    if type(node.op) is site.op:
                        node.op = copy.copy(node.op)  # one without settings serves all its calls
                        node.op.__class__ = op
                # Recorded again: the wrong rule may read what the right one did not keep.
                ctx.y = Replay(ctx.y, nodes, copy=False).record()
            return torch.from_numpy(ctx.y.detach().numpy().copy())

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            """Run the rule."""
            gradients = grad(
                ctx.y, ctx.leaves, g.numpy().copy(), retain_graph=True, allow_unused=True
            )
            return tuple(None if a is None else torch.from_numpy(a.numpy()) for a in gradients)

    leaves = tuple(torch.tensor(arrays[i], requires_grad=True) for i in floats)
    return Bridge.apply, leaves


def torch_accepts(site: Site, setting: Setting, op: type[Op] | None, fast: bool) -> bool:
    """Whether torch's gradcheck, with its default settings, is silent."""
    function, leaves = as_torch(site, setting, op)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return bool(torch.autograd.gradcheck(function, leaves, fast_mode=fast))
    except Exception:  # any complaint is an alarm, whatever its type
        return False


def count_torch(sites: list[Site]) -> Counter[tuple[str, str]]:
    """Put the same pairs to torch's gradcheck."""
    counts: Counter[tuple[str, str]] = Counter()
    for site in tqdm(sites, "torch gradcheck", disable=None):
        for setting in settings_of(site):
            silent = {fast: torch_accepts(site, setting, None, fast) for fast in (False, True)}
            for fault in site.faults:
                if not try_pair(Pair(site, fault), setting).differs:
                    continue
                op = faulty(site.op, fault.mutate)
                for fast, name in ((False, "slow"), (True, "fast")):
                    caught = silent[fast] and not torch_accepts(site, setting, op, fast)
                    counts[site.family, f"{name} {setting.name}"] += caught
    return counts


def share(part: int, whole: int) -> str:
    """Say how much of a whole."""
    return f"{100 * part / whole:.0f} %" if whole else "–"


def print_table(ours: Counter[tuple[str, str]], theirs: Counter[tuple[str, str]]) -> None:
    """Print a row for each family, and their sum, as Markdown."""
    families = list(dict.fromkeys(family for family, _ in ours))
    heads = ["family", "pairs", "found", "operation named", "hint given", "false alarms"]
    if theirs:
        heads += ["gradcheck slow: random", "digits, ties", "fast: random", "digits, ties"]
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for name, rows in [*((f, [f]) for f in families), ("**all**", families)]:

        def sum_of(key: str, rows: list[str] = rows, of: Any = ours) -> int:
            return sum(of[family, key] for family in rows)

        tried = sum_of("tried")
        cells = [name, str(sum_of("pairs"))]
        cells += [share(sum_of(key), tried) for key in ("found", "named")]
        cells.append(share(sum_of("hinted"), sum_of("hints")))
        cells.append(f"{sum_of('alarms')} of {sum_of('right')}")
        if theirs:
            for mode in ("slow", "fast"):
                for setting in (RANDOM, DIGITS):
                    caught = sum_of(f"{mode} {setting.name}", of=theirs)
                    cells.append(share(caught, sum_of(setting.name)))
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    """Count and print."""
    families = sorted({site.family for site in SITES})
    parser = argparse.ArgumentParser(description="Count which faults are found, and by whom.")
    parser.add_argument("--only", choices=families, help="one family of operations")
    only = parser.parse_args().only
    sites = [site for site in SITES if only in (None, site.family)]
    ours = count_ours(sites)
    theirs: Counter[tuple[str, str]] = Counter() if torch is None else count_torch(sites)
    print_table(ours, theirs)
    if torch is None:
        print("\npip install torch to see PyTorch's gradcheck beside it")


if __name__ == "__main__":
    main()
