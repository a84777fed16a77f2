"""Damaged ONNX files by the thousand: each is read or refused by `OnnxError`, at once.

    python -m tests.onnx_files.hostile_files [--count 100000] [--seed 0]

No other error, no wait of seconds, no memory beyond a few times the file's own.
"""

from __future__ import annotations

import argparse
import sys
import time
import tracemalloc
import warnings
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tests.onnx_files.build import graph, model, node, value
from tinygrad_cnn import nn
from tinygrad_cnn.onnx import OnnxError, info, load, save
from tinygrad_cnn.onnx.coding import decode, encode
from tinygrad_cnn.onnx.messages import Field, Function, Message, Model, OperatorSet, messages

_LONGEST = 5.0  # seconds, on a machine that others use too
_MOST = 16 << 20  # bytes; the files have some thousand, and their objects a hundred each


def _saved(network: nn.Module, *shape: int) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        save(network, np.ones(shape, np.float32), path)
        return path.read_bytes()


def originals() -> list[bytes]:
    """Sound files: a network, graphs in nodes, functions, quantised numbers, shape arithmetic."""
    then = graph([node("Add", "x one", "t")], [], "t", {"one": np.ones((), np.float32)})
    other = graph([node("Tile", "x two", "e")], [], "e", {"two": np.array([2])})
    branch = node("If", "c", "y", then_branch=then, else_branch=other)
    twice = Function(
        name="Twice",
        domain="mine",
        input=["v"],
        output=["r"],
        node=[node("Add", "v v", "w"), node("ConstantOfShape", "v", "r")],
        opset_import=[OperatorSet(version=17)],
    )
    calls = [node("Twice", "x", "a", domain="mine"), node("Twice", "a", "y", domain="mine")]
    small = {"s": np.array(0.1, np.float32), "z": np.array(3, np.int8), "k": np.array([2, 3, 4])}
    quantised = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "f"),
        node("Reshape", "f k", "r"),
        node("Pad", "r k", "p"),
        node("Expand", "p k", "y"),
    ]
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten())
    return [
        _saved(network, 2, 1, 5, 5),
        model([branch], [value("c", dtype=bool), value("x", 2)], "y"),
        model(calls, [value("x", 2)], "y", functions=[twice]),
        model(quantised, [value("x", 2, 12)], "y", small),
    ]


def mutated(rng: np.random.Generator, files: list[bytes]) -> bytes:
    """One of the files, damaged in one to four places."""
    data = bytearray(files[rng.integers(len(files))])
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(len(data) + 1))
        kind = rng.integers(7)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1 and at < len(data):
            data[at] = int(rng.choice([0, 1, 127, 128, 255]))
        elif kind == 2:
            del data[at : at + int(rng.integers(1, 9))]
        elif kind == 3:
            data[at:at] = rng.bytes(int(rng.integers(1, 9)))
        elif kind == 4:
            del data[at:]
        elif kind == 5:  # a length of gigabytes
            data[at : at + 1] = b"\xff" * int(rng.integers(1, 10)) + b"\x7f"
        else:
            other = files[rng.integers(len(files))]
            start = int(rng.integers(len(other)))
            data[at:at] = other[start : start + int(rng.integers(1, 200))]
    return bytes(data)


def rearranged(rng: np.random.Generator, files: list[bytes]) -> bytes:
    """One of the files, with other values in one to three of its fields: sound to a reader."""
    whole = decode(Model, files[rng.integers(len(files))])
    for _ in range(rng.integers(1, 4)):
        message = _any_of(rng, _within(whole))
        fields = list(type(message).table.values())
        field = fields[rng.integers(len(fields))]
        value = _other(rng, field, getattr(message, field.name), whole)
        setattr(message, field.name, value)
    return encode(whole)


def _within(message: Message) -> list[Message]:
    found = [message]
    for held in vars(message).values():
        for one in held if isinstance(held, list) else (held,):
            if isinstance(one, Message):
                found += _within(one)
    return found


def _any_of(rng: np.random.Generator, found: list[Any]) -> Any:
    return found[rng.integers(len(found))]


def _other(rng: np.random.Generator, field: Field, value: Any, whole: Message) -> Any:
    """Another value for a field: none, another's, an awkward one, or the list otherwise."""
    if field.many and rng.integers(2):
        kept = list(value)
        if kept and rng.integers(2):
            del kept[rng.integers(len(kept))]
        elif kept:
            kept.append(kept[rng.integers(len(kept))])
        return kept
    if field.kind in messages:
        same = [m for m in _within(whole) if type(m).__name__ == field.kind]
        found = _any_of(rng, same) if same and rng.integers(3) else None
        found = decode(messages[field.kind], encode(found)) if found is not None else None
        return ([] if found is None else [found]) if field.many else found
    awkward: dict[str, list[Any]] = {
        "int": [0, 1, 2, 3, 7, 8, 16, 22, -1, -2, 2**31, 2**62, -(2**63)],
        "optional": [None, 0, -1, 2**62],
        "float": [0.0, -1.0, 1e30, float("nan"), float("inf")],
        "double": [0.0, float("nan")],
        "text": ["", "x", "y", "Loop", "Conv", "Resize", "Constant", "ai.onnx", "Range"],
        "bytes": [b"", b"\xff", b"NOTSET", b"linear"],
        "span": [b"", b"1234", bytes(64)],
    }
    chosen = _any_of(rng, awkward[field.kind])
    return [chosen] if field.many else chosen


def try_out(data: bytes) -> str:
    """Read a file; return what came of it."""
    try:
        info(data)
        load(data)
    except OnnxError as error:
        if len(str(error)) > 5000:
            raise AssertionError(f"a message of {len(str(error))} letters") from error
        return "refused"
    return "read"


def attack(count: int, seed: int) -> Counter[str]:
    """Damage and read so many files; AssertionError if one takes too long, or too much."""
    rng = np.random.default_rng(seed)
    files = originals()
    found: Counter[str] = Counter({try_out(data): 1 for data in files})
    for number in range(count):
        data = (rearranged if number % 2 else mutated)(rng, files)
        watched = number % 50 == 0  # which takes a few times as long
        if watched:
            tracemalloc.start()
        began = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found[try_out(data)] += 1
        except Exception as error:
            raise AssertionError(f"file {number} of seed {seed}: {error!r}") from error
        seconds = time.perf_counter() - began
        if watched:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < _MOST, f"file {number} of seed {seed} took {peak:,} bytes"
        assert seconds < _LONGEST, f"file {number} of seed {seed} took {seconds:.1f} s"
    return found


def main() -> Any:
    """Attack, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(dict(attack(arguments.count, arguments.seed)))


if __name__ == "__main__":
    sys.exit(main())
