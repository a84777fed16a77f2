"""PyTorch's own samples of operators and modules, run on the door, where PyTorch is installed.

Values, gradients of all inputs and parameters, and states are compared in float64.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.torch as ours

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.slow

SAMPLES = 12  # of each operator at most, spread over those that there are

# What is drawn at random, or belongs to memory: nothing to compare.
UNCOMPARED = {
    "empty",
    "empty_like",
    "new_empty",
    "rand_like",
    "randn_like",
    "randint_like",
    "randn",
    "randint",
    "normal",
    "bernoulli",
    "multinomial",
    "uniform",
    "cauchy",
    "exponential",
    "geometric",
    "log_normal",
    "nn.functional.dropout",
    "nn.functional.dropout2d",
    "nn.functional.dropout3d",
    "nn.functional.alpha_dropout",
    "nn.functional.feature_alpha_dropout",
    "nn.functional.rrelu",
    "nn.functional.fractional_max_pool2d",
    "nn.functional.scaled_dot_product_attention",
    "svd",  # vectors whose signs are free
    "linalg.svd",
    "linalg.eigh",
    "qr",
    "linalg.qr",
}
# Called otherwise here or there: types, properties, methods whose sample is another argument.
UNCOMPARED |= {"bool", "double", "float", "half", "int", "long", "short", "real", "where", "einsum"}
UNCOMPARED |= {"T", "H", "mT", "mH", "unfold", "zero_"}
UNCOMPARED |= {"polygamma", "special.polygamma", "gradient"}
UNCOMPARED |= {"nn.functional.embedding", "nn.functional.embedding_bag"}
UNCOMPARED |= {"nn.functional.triplet_margin_with_distance_loss"}
# docs/pytorch.md says what is different.
DIFFERENT = {"nn.functional.ctc_loss", "nn.functional.max_unpool1d", "nn.functional.max_unpool2d"}
DIFFERENT |= {"nn.functional.max_unpool3d"}


def find(name: str) -> Any:
    """The door's function of an operator's name, or None."""
    try:
        return functools.reduce(getattr, name.split("."), ours)
    except AttributeError:
        return getattr(ours.Tensor, name, None)


def infos() -> list[Any]:
    from torch.testing._internal.common_methods_invocations import op_db

    return [info for info in op_db if find(info.name) is not None and torch.float64 in info.dtypes]


class RefusedError(Exception):
    """A sample holds what there is not here: complex numbers, other layouts."""


def converted(value: Any, leaves: list[Any], lift: Any) -> Any:
    if isinstance(value, torch.Tensor):
        if value.is_complex() or value.layout != torch.strided:
            raise RefusedError
        t = lift(value)
        if value.requires_grad:
            leaves.append(t.requires_grad_())
        return t
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, (list, tuple)):
        return type(value)([converted(v, leaves, lift) for v in value])
    if isinstance(value, dict):
        return {k: converted(v, leaves, lift) for k, v in value.items()}
    if isinstance(value, torch.dtype):
        return value if lift is theirs_of else dtype_of(value)
    if isinstance(value, (complex, torch.memory_format, torch.layout)):
        raise RefusedError
    return value


def dtype_of(value: Any) -> Any:
    name = str(value).removeprefix("torch.")
    if not hasattr(ours, name):
        raise RefusedError
    return getattr(ours, name)


def ours_of(t: Any) -> Any:
    if str(t.dtype).removeprefix("torch.") == "bfloat16":
        raise RefusedError
    return ours.from_numpy(t.detach().numpy().copy())


def theirs_of(t: Any) -> Any:
    return t.detach().clone()


def outputs_of(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for v in value:
            yield from outputs_of(v)
    elif isinstance(value, (torch.Tensor, ours.Tensor)):
        yield value


def results(call: Any, sample: Any, lift: Any) -> tuple[list[Any], list[Any]]:
    """The values, and the gradients of a weighted sum of those that have any."""
    leaves: list[Any] = []
    args = [converted(v, leaves, lift) for v in (sample.input, *sample.args)]
    kwargs = converted(sample.kwargs, leaves, lift)
    outs = list(outputs_of(call(*args, **kwargs)))
    rng = np.random.default_rng(0)
    loss = None
    for out in outs:
        weights = rng.uniform(0.5, 1.5, tuple(out.shape))
        if out.requires_grad:
            kind = torch.tensor if isinstance(out, torch.Tensor) else ours.tensor
            part = (out * kind(weights)).sum()
            loss = part if loss is None else loss + part
    if loss is not None:
        loss.backward()
    grads = [np.zeros(tuple(x.shape)) if x.grad is None else x.grad.numpy() for x in leaves]
    return [o.detach().numpy() for o in outs], grads


def compare(sample: Any, theirs: Any, call: Any) -> str:
    """What differs, "" if nothing."""
    try:
        expected = results(theirs, sample, theirs_of)
    except RefusedError:
        return ""
    except Exception:
        return ""  # a sample that PyTorch refuses on this machine
    try:
        found = results(call, sample, ours_of)
    except RefusedError:
        return ""
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:120]}"
    if len(found[0]) != len(expected[0]):
        return f"{len(found[0])} results, PyTorch {len(expected[0])}"
    for what, a, b in zip(("value", "gradient"), found, expected, strict=True):
        for x, y in zip(a, b, strict=True):
            if x.shape != y.shape:
                return f"{what}: shape {x.shape}, PyTorch {y.shape}"
            if not np.allclose(x, y, rtol=1e-6, atol=1e-8, equal_nan=True):
                return f"{what}: {np.abs(x - y).max():.3g} apart"
    return ""


def test_operators(record_property: Any) -> None:
    wrong: dict[str, str] = {}
    passed = total = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for info in infos():
            if info.name in UNCOMPARED | DIFFERENT:
                continue
            torch.manual_seed(0)
            samples = list(
                info.sample_inputs("cpu", torch.float64, requires_grad=info.supports_autograd)
            )
            for sample in samples[:: max(1, len(samples) // SAMPLES)]:
                total += 1
                said = compare(sample, info.op, find(info.name))
                passed += not said
                if said:
                    wrong.setdefault(info.name, said)
    record_property("operators", f"{passed} of {total}")
    print(f"operators: {passed} of {total} samples of {len(infos())}")
    print("\n".join(f"  {name}: {said}" for name, said in wrong.items()))
    assert passed >= 0.98 * total, f"{passed} of {total}"
