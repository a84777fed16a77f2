"""No false alarm on any sample of any operation, kinks, ties and large networks included."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.cases import each
from tests.op_samples import FIRST, OTHERS, SAMPLES, per_op
from tests.samples.base import Sample
from tests.verify.faults import pixels
from tinygrad_cnn import manual_seed, nn, tensor
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.models import MnistExample, ResidualBlock
from tinygrad_cnn.verify import Report, Verdict, check_graph, gradcheck, gradgradcheck

# ------------------------------------------------------------------------------- as functions

# As in PyTorch, the least variance is put in place unrecorded: the gradient is not the derivative.
NOT_THE_DERIVATIVE = ("Log-gaussian,_least_variance",)


def check_as_function(sample: Sample) -> None:
    """Right rules pass, at ties and kinks too; what has no number is never called right."""
    floats = [x for x in sample.inputs if x.dtype.kind == "f"]
    if not floats:
        with pytest.raises(ValueError, match="expects at least one differentiable input"):
            gradcheck(sample.function, sample.inputs, raise_exception=False)
        return
    try:
        report = gradcheck(sample.function, sample.inputs, raise_exception=False)
    except GraphError:
        return  # nothing is recorded
    out = np.asarray(sample.function(*sample.inputs))
    if sample.id in NOT_THE_DERIVATIVE:
        assert report.failures
        return
    assert not report.failures, report.text()
    if not any(x.size for x in floats) or not out.size or out.dtype.kind != "f":
        assert report.verdict is Verdict.SKIPPED
    elif np.isnan(out).any() or any(np.isnan(x).any() for x in floats):
        assert report.verdict is Verdict.INCONCLUSIVE
        assert "NaN or infini" in report.text()
    elif np.isinf(out).any() or any(np.isinf(x).any() for x in floats):
        assert report or "NaN or infini" in report.text()  # a mask of −∞ is decided
    else:
        assert report or report.verdict is Verdict.UNSEEN, report.text()


@per_op(FIRST)
def test_a_sample_of_every_operation(samples: list[Sample]) -> None:
    each(samples, check_as_function)


@pytest.mark.slow
@per_op(OTHERS[::2])  # the other half is recorded below
def test_every_other_sample(samples: list[Sample]) -> None:
    each(samples, check_as_function)


SMOOTH = [s for s in SAMPLES if s.smooth and s.inputs[0].size < 40][::30]


@pytest.mark.parametrize(
    "sample",
    [pytest.param(s, id=s.id, marks=[pytest.mark.slow] * (i % 2)) for i, s in enumerate(SMOOTH)],
)
def test_second_derivatives_of_samples(sample: Sample) -> None:
    if not any(x.dtype.kind == "f" and x.size for x in sample.inputs):
        pytest.skip("no gradient")
    if not np.isfinite(sample.function(*sample.inputs)).all():
        pytest.skip("not finite")
    report = gradgradcheck(sample.function, sample.inputs, raise_exception=False)
    assert not report.failures, report.text()


# ------------------------------------------------------------------------------- recorded

# The other half is checked as functions, in float64.
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


# ------------------------------------------------------------------------------- networks


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
