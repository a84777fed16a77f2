"""Networks from files in the training session: as one of `models.ARCHITECTURES`, for a time.

A run's folder holds the file that the run began with and what was asked for, so that it can be
resumed, reported and used by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn
from tinygrad_cnn.atomic import atomic_file
from tinygrad_cnn.data import Splits
from tinygrad_cnn.models import ARCHITECTURES, Network
from tinygrad_cnn.onnx.coding import encode
from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.export import save
from tinygrad_cnn.onnx.heads import ends_in_softmax, replace_head
from tinygrad_cnn.onnx.module import OnnxModule, read_model
from tinygrad_cnn.onnx.pictures import Form, form_of, resized
from tinygrad_cnn.random import default_generator
from tinygrad_cnn.training import RunError
from tinygrad_cnn.training.predict import Predictor
from tinygrad_cnn.training.recipes import RECIPES, Recipe

__all__ = ["Tuning", "begun", "fitting", "known", "known_in", "write_results"]

_ORIGINAL, _ASKED = "original.onnx", "onnx.json"
_TINY = 1e-12  # the least probability whose logarithm is taken

# A tenth of the rates that begin from nothing: what is known already should stay.
RECIPE = Recipe(
    epochs=5,
    batch_size=32,
    optimizer="adamw",
    schedule="onecycle",
    lr={
        "sgd": 1e-2,
        "nesterov": 5e-3,
        "momentum": 5e-3,
        "rmsprop": 3e-5,
        "adam": 1e-4,
        "adamw": 1e-4,
    },
    mean=0.5,
    std=0.25,
)
"""How networks from files are trained further, unless the user says otherwise."""


@dataclass(frozen=True)
class Tuning:
    """What was asked for.

    Attributes
    ----------
    name
        Of the file, and of the network in the run.
    head
        Classes of a new last layer; None to keep the one there is.
    freeze
        Patterns of names of parameters that stay.
    size
        Height and width of the images, where the file leaves them open.
    """

    name: str
    head: int | None = None
    freeze: tuple[str, ...] = ()
    size: int | None = None


class Tuned(nn.Module):
    """A network from a file that answers images (N, C, H, W) with logits.

    Of probabilities, which the file's network may end in, the logarithms are taken: their softmax
    is the probabilities again.
    """

    def __init__(self, network: OnnxModule, form: Form) -> None:
        self.network = network
        self.form = form
        self.logarithm = ends_in_softmax(network.model)

    def forward(self, images: Any) -> Any:
        """Compute the logits (N, classes)."""
        y = self.network(self.form.arranged(images))
        y = y[0] if isinstance(y, tuple) else y
        y = F.flatten(y, 1)
        return F.log(F.clamp(y, _TINY)) if self.logarithm else y


@contextmanager
def known(source: Path, tuning: Tuning) -> Iterator[Form]:
    """Let a file's network be one of `models.ARCHITECTURES` meanwhile; give the images it takes.

    Raises
    ------
    OnnxError
        If it is no network for images, or what is asked for does not fit it.
    """
    model, folder = read_model(source)
    form = form_of(model, tuning.size)
    if form.height != form.width:
        raise OnnxError(f"the network takes images of {form.height}×{form.width}, not square ones")
    _refuse_patterns(OnnxModule(read_model(source)[0], folder), tuning.freeze)

    def build(channels: int = form.channels, classes: int = 0) -> nn.Module:
        fresh, _ = read_model(source)
        if tuning.head is not None:
            fresh = replace_head(fresh, tuning.head, default_generator())
        network = OnnxModule(fresh, folder)
        for name, parameter in network.named_parameters():
            if any(fnmatchcase(name, pattern) for pattern in tuning.freeze):
                parameter.requires_grad = False
        tuned = Tuned(network, form)
        _refuse_classes(tuned, classes, channels)
        return tuned

    about = f"{tuning.name}, trained further"
    before = ARCHITECTURES.get(tuning.name), RECIPES.get(tuning.name)
    ARCHITECTURES[tuning.name] = Network(
        *(build, form.height, "class", F.cross_entropy, about),
        any_images=True,
        command=_command(tuning),
    )
    RECIPES[tuning.name] = RECIPE
    try:
        yield form
    finally:
        _put_back(ARCHITECTURES, tuning.name, before[0])  # contexts may stand in each other
        _put_back(RECIPES, tuning.name, before[1])


def _put_back(table: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        del table[name]
    else:
        table[name] = value


def _command(tuning: Tuning) -> tuple[str, ...]:
    words = ["onnx", "finetune", tuning.name]
    if tuning.head is not None:
        words += ["--replace-head", str(tuning.head)]
    for pattern in tuning.freeze:
        words += ["--freeze", pattern]
    return (*words, *(() if tuning.size is None else ("--size", str(tuning.size))))


def _refuse_patterns(network: OnnxModule, patterns: Sequence[str]) -> None:
    names = [name for name, _ in network.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise OnnxError(f"--freeze {pattern}: no parameter has such a name")
    frozen = [n for n in names if any(fnmatchcase(n, pattern) for pattern in patterns)]
    if len(frozen) == len(names):
        raise OnnxError("--freeze: nothing is left to learn")


def _refuse_classes(tuned: Tuned, classes: int, channels: int) -> None:
    """Raise unless the network answers with a number for each class."""
    form = tuned.form
    image = np.zeros((1, form.channels, form.height, form.width), np.float32)
    answers = tuned.eval()(image).shape
    if channels != form.channels:
        raise OnnxError(f"the network takes {form.channels} channels, the images have {channels}")
    if classes and (len(answers) != 2 or answers[1] < classes):
        raise OnnxError(
            f"the network answers with {answers[1]} numbers, and the data have {classes} classes: "
            f"--replace-head {classes} draws its last layer anew"
        )


def begun(folder: Path, source: Path, tuning: Tuning) -> None:
    """Put the file and what was asked for into a run's folder."""
    model, beside = read_model(source)
    network = OnnxModule(model, beside)  # with data of other files in it
    with atomic_file(folder / _ORIGINAL) as file:
        file.write(encode(network.to_message()))
    with atomic_file(folder / _ASKED) as file:
        file.write(json.dumps(asdict(tuning), indent=1).encode() + b"\n")


@contextmanager
def known_in(folder: Path) -> Iterator[Form | None]:
    """Let the network of a run's folder be known meanwhile, if the run began with a file.

    Raises
    ------
    RunError
        If the folder's description is damaged.
    """
    if not (folder / _ASKED).is_file():
        yield None
        return
    try:
        asked = json.loads((folder / _ASKED).read_text(encoding="utf-8"))
        tuning = Tuning(**{**asked, "freeze": tuple(asked["freeze"])})
    except (TypeError, KeyError, ValueError) as error:
        raise RunError(f"{folder / _ASKED} is damaged: {error}") from error
    with known(folder / _ORIGINAL, tuning) as form:
        yield form


def write_results(folder: Path) -> list[str]:
    """Write the trained network as ONNX and safetensors; return what is to be printed."""
    with known_in(folder):
        tuned = Predictor(folder).model
    assert isinstance(tuned, Tuned)
    save(tuned.network, None, folder / "model.onnx")
    lines = [f"{folder / 'model.onnx'}"]
    try:
        tuned.network.save_weights(folder / "model.safetensors")
        lines.append(f"{folder / 'model.safetensors'}")
    except ImportError as error:
        lines.append(f"model.safetensors is left out: {error}")
    return lines


def fitting(load: Any, form: Form) -> Any:
    """Return what loads data sets, with their images as a network takes them."""

    def load_fitting(name: str) -> Splits:
        return resized(load(name), form)

    return load_fitting
