"""An archive in CIFAR-10's form with four images a batch."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import tarfile
from typing import Any

import numpy as np

from tinygrad_cnn.data.datasets import CIFAR10

RECORDS = {
    name: np.random.default_rng(i).integers(10, size=(4, 1 + 3072), dtype=np.uint8)
    for i, name in enumerate((*CIFAR10.source.train, *CIFAR10.source.test))
}
NAMES = b"airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n"


def cifar_archive(change: Any = None) -> bytes:
    """An archive of four images a batch, after a change of its members."""
    members: dict[str, Any] = {f"cifar-10-batches-bin/{n}": r.tobytes() for n, r in RECORDS.items()}
    members["cifar-10-batches-bin/batches.meta.txt"] = NAMES
    members["cifar-10-batches-bin/readme.html"] = b"<html>"
    if change is not None:
        change(members)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)


def source_of(content: bytes) -> Any:
    return dataclasses.replace(
        CIFAR10.source,
        size=len(content),
        md5=hashlib.md5(content).hexdigest(),
        images=dict.fromkeys(RECORDS, 4),
    )
