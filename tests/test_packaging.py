"""The wheel holds all that is needed: built, installed in a clean environment, trained one step."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")

ONE_STEP = """
import numpy as np
from tinygrad_cnn import data, nn, optim
import tinygrad_cnn.functional as F
from tinygrad_cnn.models import NETWORKS

train, test = data.digits()
assert train.images.shape == (5000, 28, 28) and test.images.shape == (1000, 28, 28)
model = NETWORKS["batchnorm"].build()
optimizer = optim.SGD(model.parameters(), lr=0.1)
images = train.images[:32, None].astype(np.float32) / 255
before = F.cross_entropy(model(images), train.labels[:32])
before.backward()
optimizer.step()
after = F.cross_entropy(model(images), train.labels[:32])
assert after.item() < before.item()
print("trained")
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(*PIP, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "tinygrad_cnn/py.typed" in names
    assert sum(name.startswith("tinygrad_cnn/data/digits/") for name in names) >= 4
    assert any(name.endswith("licenses/LICENSE") for name in names)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tinygrad_cnn"}


def test_the_wheel_trains_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "env"
    venv.create(environment)
    python = environment / "bin" / "python"
    run(*PIP, "--python", python, "install", "--quiet", wheel, cwd=tmp_path)
    assert run(python, "-c", ONE_STEP, cwd=tmp_path).strip() == "trained"
    assert "0.1.0" in run(environment / "bin" / "tinygrad-cnn", "--version", cwd=tmp_path)
