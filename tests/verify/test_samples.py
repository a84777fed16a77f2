"""No false alarm on any sample of any operation, kinks, ties and large networks included."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.cases import each
from tests.op_samples import FIRST, OTHERS, per_op
from tests.samples.base import Sample
from tests.verify.faults import pixels
from tinygrad_cnn import manual_seed, nn, tensor
from tinygrad_cnn.models import MnistExample, ResidualBlock
from tinygrad_cnn.verify import Report, Verdict, check_graph

# The other half is checked as functions, in float64, by `test_checks`.
RECORDED = [s for s in FIRST + OTHERS[1::2] if any(a.dtype.kind == "f" for a in s.inputs)]
# In the two dtypes by turns: where results are rounded to float32, the check takes other steps.
DTYPES = dict(zip(RECORDED, cycle((np.float64, np.float32)), strict=False))


def is_silent(report: Report, sample: Sample, out: Any) -> bool:
    """Whether nothing is said against it: undecided only where numbers are not finite."""
    if report.verdict is Verdict.INCONCLUSIVE:
        arrays = [*sample.inputs, np.asarray(out)]
        kinds = {f.kind for r in report.results for f in r.findings}
        between = sample.note.startswith("ctc")  # paths that cannot be are −∞ on the way
        return kinds <= {"finite", "note"} and (
            between or not all(np.isfinite(a).all() and a.size for a in arrays)
        )
    return report.verdict is not Verdict.FAIL


def check_recorded(sample: Sample) -> None:
    inputs = [
        tensor(a.astype(DTYPES[sample]), requires_grad=True) if a.dtype.kind == "f" else a
        for a in sample.inputs
    ]
    out = sample.function(*inputs)
    if not out.requires_grad:
        return  # indices: nothing is recorded
    report = check_graph(out)
    assert is_silent(report, sample, out.numpy()), report.text()


@pytest.mark.slow
@per_op(RECORDED)
def test_recorded(samples: list[Sample]) -> None:
    each(samples, check_recorded)


def stage() -> nn.Module:
    """What a residual network is made of: a block that halves the image, and one that does not."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.ReLU(),
        ResidualBlock(8, 16, 2),
        ResidualBlock(16, 16),
        nn.Flatten(),
        nn.Linear(16 * 14 * 14, 10),
    )


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("network", [pytest.param(MnistExample, marks=pytest.mark.slow), stage])
def test_larger_networks(network: Any, training: bool) -> None:
    images = pixels(np.random.default_rng(0), (2, 1, 28, 28)).astype(np.float32)
    manual_seed(0)
    model = network().train(training)
    loss = F.cross_entropy(model(tensor(images)), np.array([3, 1]))
    report = check_graph(loss, max_elements=4, model=model)
    assert report, report.text()
    assert not [r for r in report.results if not r.ok]
