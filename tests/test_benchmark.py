"""The benchmark's own arithmetic, and that it runs without any peer. Nothing asserts a time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import models, tensor
from tinygrad_cnn.graph import nodes_below
from tinygrad_cnn.viz.cost import multiply_adds

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "examples"))

from benchmarks import frameworks, layers, timing, workloads  # noqa: E402  # see the line above
from benchmarks.networks import NETWORKS, weights_of  # noqa: E402
from benchmarks.ours import model_of, operations  # noqa: E402


def test_exponent_of_a_power() -> None:
    assert timing.exponent([1, 2, 4], [3.0, 12.0, 48.0]) == pytest.approx(2.0)


def test_what_is_sampled_in_turn_runs_as_often_as_it_says() -> None:
    calls = {"a": 0, "b": 0}
    order = []

    def sample(name: str) -> timing.Sample:
        def run(repeats: int) -> float:
            calls[name] += repeats
            order.append(name)
            return {"a": 1.0, "b": 2.0}[name]

        return run

    times = timing.interleave({n: sample(n) for n in calls}, seconds=0.0, warm_up=2)
    assert times == {"a": 1.0, "b": 2.0}
    assert order[6:] == ["a", "b"] * 3  # 2 + 1 of each first, then three rounds
    assert calls == {"a": 6, "b": 6}


def test_operations_of_a_network_by_hand() -> None:
    forward, step = operations(NETWORKS["mnist"], 2)
    convolutions = [2 * 26 * 26 * 32 * 9, 2 * 24 * 24 * 64 * 32 * 9]
    products = [*convolutions, 2 * 9216 * 128, 2 * 128 * 10]
    assert forward == 2 * sum(products)
    # the images want no gradient: the first convolution has one of two
    assert step == 2 * (3 * sum(products) - products[0])


@pytest.mark.parametrize("name", layers.SHAPES)
def test_operations_of_a_layer_are_those_of_its_graph(name: str) -> None:
    tensors = {
        k: tensor(np.zeros(s, np.float32), requires_grad=True)
        for k, s in layers.SHAPES[name].items()
    }
    result = layers.forward(name, F, tensors)
    assert result.shape == layers.SHAPES[name]["g"]
    count = sum(multiply_adds(node) or 0 for node in nodes_below(result))
    assert layers.operations(name) in (6.0 * count, None)


def test_the_descriptions_have_the_modules_parameters() -> None:
    class Names:
        """Operations that note the names they are given."""

        def __init__(self) -> None:
            self.names: set[str] = set()

        def conv(self, x: int, name: str, **_: int) -> int:
            self.names.add(name)
            return x

        linear = batch_norm = conv_transpose = conv

        def __getattr__(self, _: str) -> object:
            return lambda x, *_: x

    for network in NETWORKS.values():
        op = Names()
        network.describe(op, 0)
        owners = {name.rpartition(".")[0] for name in weights_of(network)}
        assert op.names == owners
    assert {type(NETWORKS[n].model()) for n in models.NETWORKS} == {
        network.build for network in models.NETWORKS.values()
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_a_description_computes_what_the_module_does(name: str) -> None:
    network = NETWORKS[name]
    x, _ = network.batch(2)
    outputs = [model_of(network, form).eval()(tensor(x)) for form in ("ours", "ours imperative")]
    np.testing.assert_allclose(*(y.detach().numpy() for y in outputs), rtol=1e-4, atol=1e-5)


def test_ratios_are_to_the_better_format() -> None:
    row = workloads.Row("r", {"ours": 2.0, "torch": 8.0, "torch cl": 4.0})
    assert row.ratio == 0.5
    assert row.memory_ratio is None
    assert workloads.Row("r", {"ours": 2.0}).ratio is None
    row.memory = {"ours": 30, "torch": 20, "torch cl": 60}
    assert row.memory_ratio == 1.5
    assert frameworks.best_torch({"jax": 1.0}) is None


COMMAND = [sys.executable, "-W", "error", str(ROOT / "examples" / "benchmark.py")]
COMMAND += ["--against", "none", "--seconds", "0"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}


def run_to_the_end(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.slow
def test_it_runs_without_peers_and_writes_what_it_found(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    done = run_to_the_end(tmp_path, "--only", "softmax 1 inference", "--json", str(out))
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text(encoding="utf-8"))
    names = [row["name"] for row in figures["rows"]]
    assert names == ["softmax 1 inference"]
    assert all(row["seconds"]["ours"] > 0 for row in figures["rows"])
    assert "threads:" in done.stdout
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        assert (f"WARNING: {name}=" in done.stdout) == (name in os.environ)


def test_a_name_that_no_workload_has_is_an_error(tmp_path: Path) -> None:
    done = run_to_the_end(tmp_path, "--only", "nosuch")
    assert done.returncode == 1
    assert done.stderr.endswith("--only expects part of a name of --list, got nosuch\n")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no process groups to interrupt")
def test_stopped_by_ctrl_c_it_keeps_what_it_found(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    process = subprocess.Popen(
        [*COMMAND, "--only", "fan-out,chain of 1000000", "--json", str(out)],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("fan-out"):
                break
        time.sleep(1)  # the next one's worker is at work
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
        _, errors = process.communicate(timeout=300)
    finally:  # nothing is left that makes a test after this one fail
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert errors == f"\nstopped; {out} has the workloads above\n"
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert [row["name"] for row in figures["rows"]] == ["fan-out of 10000"]
