"""The network, the data and the call that tests of `check_training` begin with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tests.verify.test_report import fits
from tinygrad_cnn import (
    data,
    nn,
    optim,
    tensor,
)
from tinygrad_cnn.verify import check_training, training

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training_step.md").read_text(encoding="utf-8")
FOLDER = Path(training.__file__).parent
SCHEMA = json.loads((FOLDER / "schema.json").read_text(encoding="utf-8"))

N = 16
IMAGES = data.digits().train.images[:N]
LABELS = data.digits().train.labels[:N]
X = IMAGES[:, None].astype(np.float32) / 255


class Net(nn.Module):
    """A small network with all that can be wrong."""

    def __init__(self, **changes: Any) -> None:
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = changes.get("norm", nn.BatchNorm2d(4))
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(4 * 13 * 13, changes.get("classes", 10))
        self.last = changes.get("last")

    def forward(self, x: Any) -> Any:
        y = F.max_pool2d(F.relu(self.norm(self.conv(x))), 2)
        y = self.fc(self.drop(F.flatten(y, 1)))
        return y if self.last is None else self.last(y)


def bytes_of(model: Any) -> dict[str, bytes]:
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return {name: t.detach().numpy().tobytes() for name, t in tensors}


def codes(model: Any, loss: Any = F.cross_entropy, optimizer: Any = None, **more: Any) -> list[str]:
    batch = more.pop("batch", (tensor(X), tensor(LABELS)))
    optimizer = optimizer or optim.SGD(model.parameters(), lr=more.pop("lr", 0.05))
    report = check_training(model, loss, optimizer, batch, **more)
    plain = json.loads(json.dumps(report.to_dict()))
    assert fits(plain, SCHEMA) == []
    assert all(
        f'<a id="{f["page"].partition("#")[2]}"></a>`{f["code"]}`' in PAGE
        for f in plain["findings"]
    )
    assert bool(report) == (not report.findings)
    return report.codes
