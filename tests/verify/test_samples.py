"""No false alarm on any sample of any operation, kinks, ties and large networks included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.op_samples import SAMPLES
from tests.samples.base import Sample
from tests.verify.faults import pixels
from tinygrad_cnn import manual_seed, tensor
from tinygrad_cnn.models import MnistExample, ResNet20
from tinygrad_cnn.verify import Report, Verdict, check_graph, gradcheck

DIFFERENTIABLE = [s for s in SAMPLES if any(a.dtype.kind == "f" for a in s.inputs)]
per_sample = pytest.mark.parametrize("sample", DIFFERENTIABLE, ids=lambda sample: sample.id)


def is_silent(report: Report, sample: Sample, out: Any) -> bool:
    """Whether nothing is said against it: undecided only where numbers are not finite."""
    if report.verdict is Verdict.INCONCLUSIVE:
        arrays = [*sample.inputs, np.asarray(out)]
        kinds = {f.kind for r in report.results for f in r.findings}
        return kinds <= {"finite", "note"} and not all(
            np.isfinite(a).all() and a.size for a in arrays
        )
    return report.verdict is not Verdict.FAIL


@per_sample
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_recorded(sample: Sample, dtype: Any) -> None:
    inputs = [
        tensor(a.astype(dtype), requires_grad=True) if a.dtype.kind == "f" else a
        for a in sample.inputs
    ]
    out = sample.function(*inputs)
    assert is_silent(check_graph(out), sample, out.numpy())


@per_sample
def test_as_a_function(sample: Sample) -> None:
    report = gradcheck(sample.function, list(sample.inputs), raise_exception=False)
    assert is_silent(report, sample, sample.function(*sample.inputs))


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(
    ("network", "shape"), [(MnistExample, (2, 1, 28, 28)), (ResNet20, (2, 3, 32, 32))]
)
def test_larger_networks(network: Any, shape: tuple[int, ...], training: bool) -> None:
    images = pixels(np.random.default_rng(0), (2, 1, *shape[2:])).astype(np.float32)
    manual_seed(0)
    model = network().train(training)
    loss = F.cross_entropy(model(tensor(np.repeat(images, shape[1], axis=1))), np.array([3, 1]))
    report = check_graph(loss, max_elements=4)
    assert report, report.text()
