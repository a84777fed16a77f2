"""Where in a network each node stands, as a path: from names, or from what repeats."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tinygrad_cnn.onnx.inlining import Flat

__all__ = ["scopes_of"]

_NUMBERED = re.compile(r"_\d+$")
_DIVIDING = re.compile(r"[./:]+")
_SEPARATOR = re.compile(r"[/:]+")
_SHORTEST, _LONGEST = 3, 200  # nodes of a block that repeats
_MOST = 5000  # nodes in which blocks are looked for


def scopes_of(nodes: Sequence[Flat], weights: Sequence[Sequence[str]]) -> list[str]:
    """Return the path of each node; "" for what stands in the network itself.

    Parameters
    ----------
    nodes
        In order.
    weights
        For each the names of what it has learnt.

    What a file says is used: nodes named as paths (``/layer1/layer1.0/conv1/Conv``), or else
    parameters named so (``layer1.0.conv1.weight``). Where it says nothing, runs of nodes that
    repeat each other are numbered blocks, and each node stands under its own name.
    """
    named = [_from_name(node) for node in nodes]
    if 2 * sum(map(bool, named)) < sum(bool(node.name) for node in nodes) or not any(named):
        # A few slashes make no paths.
        named = [_from_weights(names) for names in weights]
        if any(named):
            named = _between(named)
        else:
            named = _repeated(nodes) if len(nodes) <= _MOST else named
            named = [_joined(path, node.name) for path, node in zip(named, nodes, strict=True)]
    return named


def _joined(path: str, name: str) -> str:
    """Return a path with a node's own name at its end, as a layer has one."""
    own = _DIVIDING.sub("_", name).strip("_")
    return f"{path}.{own}" if path and own else path or own


def _from_name(node: Flat) -> str:
    """Return the path in a node's name, without what only says its operator.

    PyTorch's paths say again what is around: ``/layer1/layer1.0`` is ``layer1.0``.
    """
    parts = [part for part in _SEPARATOR.split(node.name) if part]
    path: list[str] = []
    for part in parts[:-1]:
        if path and part.startswith(f"{path[-1]}."):
            path.pop()
        path.append(part)
    if not path:
        return ""
    last = parts[-1]
    if _NUMBERED.sub("", last) != node.op_type and not path[-1].endswith(last):
        path.append(last)
    return ".".join(path)


def _from_weights(names: Sequence[str]) -> str:
    """Return the path that parameters share, without their own last names."""
    for name in names:
        path, dot, _ = name.rpartition(".")
        if dot:
            return path
    return ""


def _between(paths: list[str]) -> list[str]:
    """Give each node without a path that which the ones before and behind share."""
    behind = ""
    after = [""] * len(paths)
    for at in reversed(range(len(paths))):
        behind = paths[at] or behind
        after[at] = behind
    before = ""
    found = []
    for path, later in zip(paths, after, strict=True):
        before = path or before
        found.append(path or _common(before, later))
    return found


def _common(a: str, b: str) -> str:
    shared = []
    for left, right in zip(a.split("."), b.split("."), strict=False):
        if left != right:
            break
        shared.append(left)
    return ".".join(shared)


def _repeated(nodes: Sequence[Flat]) -> list[str]:
    """Give numbers to the blocks of the longest runs of nodes that repeat each other."""
    signs = [_sign(node) for node in nodes]
    paths = [""] * len(nodes)
    at = blocks = 0
    while at < len(signs):
        length, times = _longest_run(signs, at)
        if not length:
            at += 1
            continue
        blocks += 1
        for turn in range(times):
            for step in range(length):
                paths[at + turn * length + step] = f"block{blocks}.{turn}"
        at += length * times
    return paths


def _longest_run(signs: Sequence[int], at: int) -> tuple[int, int]:
    """Return the length of the block that repeats from a place on, and how often it stands there.

    Of several the one that covers most; of these the shortest.
    """
    best = 0, 0
    for length in range(_SHORTEST, min(_LONGEST, (len(signs) - at) // 2) + 1):
        if signs[at] != signs[at + length]:
            continue
        end = at + length
        while end < len(signs) and signs[end] == signs[end - length]:
            end += 1
        times = (end - at) // length
        if times > 1 and length * times > best[0] * best[1]:
            best = length, times
    return best


def _sign(node: Flat) -> int:
    """Return what nodes of the same operator and settings share."""
    return hash((node.op_type, node.domain, _frozen(node.settings), len(node.inputs)))


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(sorted((key, _frozen(held)) for key, held in value.items()))
    if isinstance(value, list):
        return tuple(value)
    return value if isinstance(value, (int, float, str)) else type(value).__name__
