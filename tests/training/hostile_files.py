"""Damage files of every kind that is read, and see that each is refused in the documented way.

    python tests/training/hostile_files.py

A hundred thousand files: archives of weights, checkpoints (bytes and, within, values that were
edited), what `save` writes, PyTorch's files, configurations, tables, logs of gradients, idx files,
plain and compressed, folders of them, CIFAR's archives, and pictures. Each is a sound file with a
few bytes changed, cut, doubled, or with a number made huge. Reading one must give what was asked
for, or raise the documented error with the file's name in it; a checkpoint that is accepted has to
train a step. Nothing else may be raised, and the process is held by the system to twice the largest
of the stated limits above what it had at first.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import io
import json
import random
import resource
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.data.small_cifar import cifar_archive, source_of
from tests.training.small import small_splits, write_folder
from tinygrad_cnn import load, save
from tinygrad_cnn.cli.report import _columns
from tinygrad_cnn.data import IdxError, load_folder, read_idx
from tinygrad_cnn.data.datasets import open_image
from tinygrad_cnn.data.folder import PARTS
from tinygrad_cnn.data.idx import MOST_BYTES
from tinygrad_cnn.nn.weights import read_arrays, write_arrays
from tinygrad_cnn.npz import read_npz
from tinygrad_cnn.report import GradientLog
from tinygrad_cnn.training import RunError, Settings, Trainer
from tinygrad_cnn.training.checkpoint import Checkpoint
from tinygrad_cnn.training.folder import RunFolder
from tinygrad_cnn.training.pictures import read_pictures
from tinygrad_cnn.training.predict import Predictor

SPLITS = small_splits(20, 10)
HUGE = (0, 1, 0x7FFF, 0xFFFF, 1 << 20, (1 << 31) - 1, (1 << 32) - 1)
VALUES: tuple[Any, ...] = (
    *(None, True, "", "x", [], {}, [[]], {"a": 1}, -1, 0, 1, 3, 1.5, -0.0, 1e400, -1e400),
    *(float("nan"), 10**30, -(10**30), "9" * 50, [1, "x"], "\ud800"),
)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return bytes with one to four changes."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if not out:
            break
        at = rng.randrange(len(out))
        if rng.random() < 0.5:
            at = rng.choice((at % min(len(out), 64), len(out) - 1 - at % min(len(out), 200)))
        kind = rng.randrange(7)
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 2:
            order = rng.choice("<>")
            out[at : at + 4] = struct.pack(f"{order}I", rng.choice(HUGE))
        elif kind == 3:
            del out[at:]
        elif kind == 4:
            del out[at : at + rng.randint(1, 20)]
        elif kind == 5:
            out[at:at] = out[at : at + rng.randint(1, 200)]
        else:
            out[at:at] = rng.randbytes(rng.randint(1, 9))
    return bytes(out)


def edited(value: Any, rng: random.Random) -> Any:
    """Return JSON with one of its parts changed, removed or added."""
    value = copy.deepcopy(value)
    places: list[tuple[Any, Any]] = []

    def collect(part: Any) -> None:
        keys = part.keys() if isinstance(part, dict) else range(len(part))
        for key in list(keys):
            places.append((part, key))
            if isinstance(part[key], (dict, list)):
                collect(part[key])

    collect(value)
    for _ in range(rng.randint(1, 2)):
        part, key = rng.choice(places)
        try:
            if rng.random() < 0.15:
                del part[key]
            elif rng.random() < 0.1 and isinstance(part, dict):
                part["other"] = rng.choice(VALUES)
            elif rng.random() < 0.3 and type(part[key]) in (int, float):
                part[key] = part[key] * rng.choice((-1, 2, 10**6, 0.5, 10**20))
            else:
                part[key] = rng.choice(VALUES)
        except (KeyError, IndexError):
            pass  # gone with the change before
    return value


class Kind:
    """Files of one kind: how one is made, and how it is read.

    Parameters
    ----------
    name
        What is told of it.
    make
        Writes a hostile file and returns its path.
    read
        Reads it.
    error
        The one error that may be raised.
    share
        How many of a hundred files are of this kind.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[random.Random], Path],
        read: Callable[[Path], object],
        error: type[Exception],
        share: int,
    ) -> None:
        self.name, self.make, self.read, self.error, self.share = name, make, read, error, share

    def trial(self, rng: random.Random) -> str | None:
        """Make and read one file; return what went wrong, None if nothing did."""
        path = self.make(rng)
        try:
            self.read(path)
        except self.error as error:
            if path.name not in str(error) and path.parent.name not in str(error):
                return f"the file is not named: {error}"
        except Exception:
            return traceback.format_exc(limit=-4)
        return None


def picture(rng: random.Random) -> bytes:
    from PIL import Image

    mode = rng.choice(("L", "RGB", "RGBA", "P", "1", "I;16", "LA"))
    size = rng.choice(((28, 28), (61, 40), (1, 900), (300, 200)))
    image = Image.frombytes(
        "L", size, bytes(rng.choice((0, 255)) for _ in range(size[0] * size[1]))
    ).convert(mode)
    out = io.BytesIO()
    if rng.random() < 0.3:
        image.convert("RGB").save(out, "JPEG")
    else:
        image.save(out, "PNG")
    return out.getvalue()


def kinds(place: Path) -> list[Kind]:
    """Make a sound file of each kind, and what damages and reads it."""
    run = place / "run"
    run.mkdir()
    trainer = Trainer(Settings.of("softmax", epochs=2, batch_size=10, threads=1), SPLITS)
    folder = RunFolder(run)
    folder.begin(trainer)
    for step in trainer.steps():
        if step.in_epoch == 1 and step.epoch == 2:
            break
    folder.save(trainer)
    folder.save_model(trainer)
    sound = {path.name: path.read_bytes() for path in run.iterdir()}
    data = write_folder(place, SPLITS)
    idx = [(data / part).read_bytes() for part in PARTS]
    with np.load(run / "checkpoint.npz") as archive:
        arrays = dict(archive)
    content = json.loads(arrays["json"].tobytes())
    small = place / "small.npz"
    write_arrays(small, {"w": np.arange(6.0).reshape(2, 3), "b": np.arange(3)})
    np.savez_compressed(place / "packed.npz", a=np.zeros((50, 50)), b=np.arange(9))
    archives = [small.read_bytes(), (place / "packed.npz").read_bytes()]
    whole = {"epoch": 3, "w": np.ones((2, 3)), "s": [(0.5, None), {0: np.arange(3)}, "x"]}
    stored: dict[str, bytes] = {}
    for suffix in ("npz", "pt"):
        save(whole, small.with_suffix(f".{suffix}"))
        stored[suffix] = small.with_suffix(f".{suffix}").read_bytes()
    with np.load(io.BytesIO(stored["npz"])) as archive:
        members = dict(archive)
    tree = json.loads(members["tinygrad_cnn.json"].tobytes())
    tar = gzip.decompress(cifar_archive())
    pictures = [picture(random.Random(seed)) for seed in range(40)]
    target = place / "hostile"
    target.mkdir()

    def bytes_of(name: str, *contents: bytes) -> Callable[[random.Random], Path]:
        def make(rng: random.Random) -> Path:
            path = target / name
            path.write_bytes(damaged(rng.choice(contents), rng))
            return path

        return make

    def edited_config(rng: random.Random) -> Path:
        path = target / "config.json"
        path.write_text(json.dumps(edited(json.loads(sound["config.json"]), rng)))
        return path

    def edited_checkpoint(rng: random.Random) -> Path:
        path = target / "checkpoint.npz"
        changed = dict(arrays)
        if rng.random() < 0.8:
            text = json.dumps(edited(content, rng)).encode()
            changed["json"] = np.frombuffer(text, np.uint8)
        else:
            name = rng.choice(sorted(changed))
            strange = (
                np.zeros(3),
                np.array(np.nan),
                np.zeros((2, 2), "U3"),
                np.full(changed[name].shape, -1),
            )
            changed[name] = rng.choice(strange)
        write_arrays(path, changed)
        return path

    def edited_tree(rng: random.Random) -> Path:
        path = target / "stored.npz"
        text = json.dumps(edited(tree, rng)).encode("utf-8", "surrogatepass")
        write_arrays(path, {**members, "tinygrad_cnn.json": np.frombuffer(text, np.uint8)})
        return path

    def damaged_cifar(rng: random.Random) -> Path:
        path = target / source_of(b"").archive
        packed = gzip.compress(damaged(tar, rng), 1)
        path.write_bytes(damaged(packed, rng) if rng.random() < 0.5 else packed)
        return path

    def read_cifar(path: Path) -> None:
        source_of(path.read_bytes()).read(path.parent, train=True)

    def compressed(rng: random.Random) -> Path:
        path = target / "images.gz"
        inside = damaged(rng.choice(idx), rng) if rng.random() < 0.5 else rng.choice(idx)
        packed = gzip.compress(inside, 1)
        path.write_bytes(damaged(packed, rng) if rng.random() < 0.7 else packed)
        return path

    def damaged_folder(rng: random.Random) -> Path:
        for part, good in zip(PARTS, idx, strict=True):
            (target / part).write_bytes(damaged(good, rng) if rng.random() < 0.5 else good)
        return target / PARTS[0]

    def resume(path: Path) -> None:
        checkpoint = Checkpoint.load(path)
        if len(SPLITS.train) != checkpoint.about["train_images"]:
            raise RunError(f"{path}: other data")
        try:
            again = Trainer(checkpoint.settings, SPLITS)
            again.load_state(checkpoint.values, checkpoint.arrays)
            next(again.steps(), None)
        except (RunError, ValueError) as error:  # SettingsError is a ValueError
            raise RunError(f"{path.name}: {error}") from error

    def predict(path: Path) -> None:
        (path.parent / "model.npz").write_bytes(sound["model.npz"])
        Predictor(path.parent).answers(SPLITS.test.images[:1])

    return [
        Kind("weights", bytes_of("w.npz", *archives), read_arrays, ValueError, 20),
        Kind("archive", bytes_of("a.npz", *archives), read_npz, ValueError, 5),
        Kind(
            "gradients", bytes_of("g.npz", sound["gradients.npz"]), GradientLog.load, ValueError, 3
        ),
        Kind(
            "checkpoint", bytes_of("checkpoint.npz", sound["checkpoint.npz"]), resume, RunError, 4
        ),
        Kind("edited checkpoint", edited_checkpoint, resume, RunError, 6),
        Kind("stored", bytes_of("stored.npz", stored["npz"]), load, ValueError, 4),
        Kind("edited stored", edited_tree, load, ValueError, 4),
        Kind("PyTorch's", bytes_of("stored.pt", stored["pt"]), load, ValueError, 4),
        Kind("CIFAR's archive", damaged_cifar, read_cifar, ValueError, 2),
        Kind("image", bytes_of("image.png", *pictures, idx[0]), open_image, ValueError, 3),
        Kind("config", bytes_of("config.json", sound["config.json"]), predict, RunError, 4),
        Kind("edited config", edited_config, predict, RunError, 5),
        Kind(
            "table",
            bytes_of("metrics.csv", sound["metrics.csv"]),
            lambda path: _columns(path, "accuracy"),
            RunError,
            5,
        ),
        Kind("idx", bytes_of("images", *idx), read_idx, IdxError, 20),
        Kind("compressed idx", compressed, read_idx, IdxError, 12),
        Kind("data folder", damaged_folder, lambda path: load_folder(path.parent), IdxError, 4),
        Kind(
            "picture",
            bytes_of("picture.png", *pictures, idx[0]),
            lambda path: [next(read_pictures(path), None)],
            RunError,
            12,
        ),
    ]


def hold_memory() -> None:
    """Let the system refuse what would take more than twice the largest stated limit."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 2 * MOST_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=100_000, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rng = random.Random(options.seed)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        every = kinds(Path(place))
        if Path("/proc/self/statm").exists():
            hold_memory()
        counts: Counter[str] = Counter()
        wrong: Counter[str] = Counter()
        chosen = rng.choices(every, [kind.share for kind in every], k=options.files)
        for number, kind in enumerate(chosen):
            counts[kind.name] += 1
            said = kind.trial(random.Random(f"{options.seed} {number}"))
            if said:
                wrong[kind.name] += 1
                if wrong[kind.name] <= 3:
                    print(f"file {number}, {kind.name}: {said}\n", flush=True)
    for name, count in counts.items():
        print(f"{name:<18} {count:>7,} files, {wrong[name]} undocumented")
    total = wrong.total()
    print(f"{options.files:,} files in {time.perf_counter() - began:.0f} s, {total} undocumented")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
