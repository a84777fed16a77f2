"""PyTorch's names, each the same here, different, or absent: the table that a test holds."""

from __future__ import annotations

import importlib
from typing import Any

HEAD = """# PyTorch's names: the same, different, absent

Every public name of PyTorch 2.13 in eight of its modules: {here:,} of {all:,} are here. What is
here takes the same arguments and gives the same values, but for the names under "Different" and for
[what is computed otherwise](pytorch.md#what-is-computed-otherwise). An absent name raises, and says
what stands in the last column. The page is made of the table that tests compare with the package.

| module | here | absent |
|---|---|---|
{counts}

## Different

| name | here it |
|---|---|
{different}
"""


def page() -> str:
    """Return the page in Markdown."""
    from tests.names import table

    counts, parts, here, everything = [], [], 0, 0
    for module, names in table.torch_names().items():
        home = _home(module)
        absent = sorted(name for name in names if not hasattr(home, name))
        same = sorted(names.difference(absent), key=str.lower)
        counts.append(
            f"| [`{module}`](#{module.replace('.', '').lower()}) | {len(same)} | {len(absent)} |"
        )
        parts.append(_module(module, same, absent))
        here += len(same)
        everything += len(names)
    different = [f"| `{name}` | {said} |" for name, said in sorted(table.DIFFERENT.items())]
    head = HEAD.format(
        here=here, all=everything, counts="\n".join(counts), different="\n".join(different)
    )
    return head + "".join(parts)


def _home(module: str) -> Any:
    """Return what holds the names of one of PyTorch's modules."""
    if module == "torch.Tensor":
        return importlib.import_module("tinygrad_cnn.torch").Tensor
    return importlib.import_module(f"tinygrad_cnn.{module}")


def _module(module: str, same: list[str], absent: list[str]) -> str:
    """Return the part of a module: what is here, and what is not by what to write instead."""
    from tinygrad_cnn.torch.absent import reason

    by_reason: dict[str, list[str]] = {}
    for name in absent:
        said = reason(module, name).split(" is not here: ", 1)[1]
        by_reason.setdefault(said.replace("|", "\\|"), []).append(f"`{name}`")
    text = f"\n## {module}\n\nHere: {' · '.join(f'`{name}`' for name in same)}\n"
    if not absent:
        return text + "\nAbsent: nothing.\n"
    rows = "\n".join(f"| {' '.join(names)} | {said} |" for said, names in by_reason.items())
    return f"{text}\n| absent | instead, or nearest |\n|---|---|\n{rows}\n"
