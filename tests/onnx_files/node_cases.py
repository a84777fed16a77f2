"""ONNX's own tests of nodes, run here: outputs, and every gradient on the tests' own inputs.

    python -m tests.onnx_files.node_cases [--gradients] [PATTERN]

prints how many are equal, what differs, and what is left out and why.
"""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import reduce
from operator import add
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn import tensor
from tinygrad_cnn.autograd import no_grad
from tinygrad_cnn.onnx import OnnxError, OnnxModule, load
from tinygrad_cnn.onnx.coding import decode
from tinygrad_cnn.onnx.messages import TensorMessage
from tinygrad_cnn.onnx.tensors import array_of
from tinygrad_cnn.verify import Report, Verdict, check_graph

Array = np.ndarray[Any, Any]

# What is not run, by the start of the test's name, and why.
LEFT_OUT = {
    "test_training_dropout": "compares with random numbers of another generator",
    "test_identity_sequence": "sequences of tensors",
    "test_identity_opt": "optional values",
    "test_quantizelinear_int4": "the 4 bits of an input's type are lost in NumPy",
    "test_quantizelinear_uint2": "the 2 bits of an input's type are lost in NumPy",
    "test_quantizelinear_int2": "the 2 bits of an input's type are lost in NumPy",
    "test_causal_conv_with_state_silu_fp16_expanded": "rounds otherwise in half precision",
    "test_attention_4d_causal_fp16_expanded": "rounds otherwise in half precision",
}
# Whose inputs lie where there is no derivative, and why.
NO_SLOPE = {"test_acosh_example": "the slope at 1 is infinite"}
_SMALL = re.compile(r"^test_castlike_\w+_to_U?INT[24](_expanded)?$|^test_castlike.*_to_BFLOAT16")


class Case(NamedTuple):
    """A test: a file, inputs, and what must come out."""

    name: str
    operators: tuple[str, ...]
    data: bytes
    sets: list[tuple[list[Any], list[Any]]]
    rtol: float
    atol: float


def collect(pattern: str = "") -> Iterator[Case]:
    """All tests that the package onnx carries whose name matches."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    for case in found:
        if re.search(pattern, case.name):
            operators = tuple(n.op_type for n in case.model.graph.node)
            content = case.model.SerializeToString()
            yield Case(case.name, operators, content, case.data_sets, case.rtol, case.atol)


def reason_to_leave_out(case: Case) -> str:
    """Why a test is not run; "" for one that is."""
    for start, reason in LEFT_OUT.items():
        if case.name.startswith(start):
            return reason
    if _SMALL.search(case.name):
        return "the type of what is cast like is lost in NumPy"
    try:
        load(case.data)
        values = [convert(v) for pair in case.sets for side in pair for v in side]
    except OnnxError as error:
        text = str(error).splitlines()
        return text[-1].strip().partition(":")[0] if len(text) > 1 else _kind(text[0])
    if not all(isinstance(v, np.ndarray) and v.dtype.kind in "fiub" for v in values):
        return "values that are no tensors of numbers that NumPy has"
    return ""


def _kind(text: str) -> str:
    return re.sub(r"^(node|tensor) '.*?':? ", "", text)


def convert(value: Any) -> Any:
    """Make an array of a value of the test; sequences and others are left as they are."""
    if hasattr(value, "SerializeToString"):
        return array_of(decode(TensorMessage, value.SerializeToString()))
    return np.asarray(value) if isinstance(value, (np.ndarray, np.generic, float, int)) else value


def compare(case: Case) -> None:
    """Raise unless the outputs are those of the test, in type, shape and value."""
    network = load(case.data)
    for given, expected in case.sets:
        with no_grad():
            out = network(*map(convert, given))
        outs = out if isinstance(out, tuple) else (out,)
        for got, want in zip(outs, map(convert, expected), strict=True):
            assert got.dtype == want.dtype, (got.dtype, want.dtype)
            np.testing.assert_allclose(got.numpy(), want, case.rtol, case.atol, strict=True)


def gradients(case: Case, seed: int = 0) -> Report | None:
    """Verify the gradients on a test's inputs in double precision; None if there are none."""
    network: OnnxModule = load(case.data)
    arrays = list(map(convert, case.sets[0][0]))
    arrays = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    given = [tensor(a, requires_grad=True) if a.dtype.kind == "f" else a for a in arrays]
    out = network(*given)
    outs = [o for o in (out if isinstance(out, tuple) else (out,)) if o.requires_grad]
    if not outs or not all(o.numel() for o in outs):
        return None
    rng = np.random.default_rng(seed)
    sums = [(o * rng.uniform(0.5, 1.5, o.shape)).sum() for o in outs]
    return check_graph(reduce(add, sums), seed=seed)


def main() -> int:
    """Run them all and say what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="?", default="", metavar="PATTERN")
    parser.add_argument("--gradients", action="store_true", help="verify the gradients too")
    arguments = parser.parse_args()
    equal, verdicts = 0, Counter[str]()
    left: dict[str, int] = Counter()
    failed = 0
    for case in collect(arguments.pattern):
        if reason := reason_to_leave_out(case):
            left[reason] += 1
            continue
        try:
            compare(case)
            equal += 1
            report = gradients(case) if arguments.gradients else None
        except Exception as error:  # each is said, and the others go on
            failed += 1
            print(f"{case.name}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
            continue
        if report is not None:
            verdicts[report.verdict.value] += 1
            if report.verdict not in (Verdict.PASS, Verdict.KINK):
                print(case.name, report.text()[:600])
    print(f"{equal} equal, {failed} not; left out {sum(left.values())}:")
    for reason, count in sorted(left.items(), key=lambda pair: -pair[1]):
        print(f"  {count:>4}  {reason}")
    print("gradients:", dict(verdicts))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
