"""Pages of `graph` and of `report`, made anew, that guides show inside of themselves."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

import tinygrad_cnn.functional as F
from tinygrad_cnn import data, manual_seed
from tinygrad_cnn.models import BatchNorm
from tinygrad_cnn.viz import graph


def pages(folder: Path) -> None:
    """Write graph.html and report.html."""
    from tinygrad_cnn.cli.main import main

    folder.mkdir(exist_ok=True)
    manual_seed(0)
    train, _ = data.digits()
    model = BatchNorm()
    loss = F.cross_entropy(
        model(train.images[:16, None].astype("float32") / 255), train.labels[:16]
    )
    graph(loss, model=model).html(folder / "graph.html")
    target = folder.resolve() / "report.html"
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        run = Path("runs/batchnorm")
        main(["train", "batchnorm", "--epochs", "1", "--out", str(run), "--no-check", "--quiet"])
        shutil.copyfile(run / "report.html", target)
