"""What exercises ask for: names, inputs, settings, and this package's own result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tinygrad_cnn.functional as F

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Exercise:
    """An operation that somebody is to write.

    Attributes
    ----------
    names
        Under which it is looked for, in lower case and without underscores.
    shapes
        Of the inputs, then of the parameters, by the names ``x``, ``w``, ``b``, ``y``; ``y`` of
        integers are class labels.
    reference
        ``reference(values, settings)`` is the right result.
    settings
        What constructors and functions may ask for beside, by any of the names in ``SYNONYMS``.
    inputs
        How many of the shapes are inputs; the others a layer holds.
    """

    names: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]
    reference: Callable[[Values, Values], Any]
    settings: Values = field(default_factory=dict)
    inputs: int = 1

    @property
    def points(self) -> int:
        """One for the forward pass, one for each gradient."""
        return 1 + sum(1 for name in self.shapes if name not in ("labels", "y"))

    def values(self, rng: np.random.Generator) -> dict[str, Any]:
        """Draw inputs and parameters."""
        drawn: dict[str, Any] = {
            name: rng.standard_normal(shape) for name, shape in self.shapes.items()
        }
        if "labels" in drawn:
            drawn["labels"] = rng.integers(self.shapes["x"][-1], size=self.shapes["labels"])
        return drawn


SYNONYMS: dict[str, tuple[str, ...]] = {
    "stride": ("stride", "strides", "s"),
    "padding": ("padding", "pad", "p"),
    "kernel_size": (
        *("kernelsize", "kernel", "k", "filtersize", "fsize", "poolsize", "size", "ksize"),
        *("poolheight", "poolwidth", "poolh", "poolw", "kh", "kw", "filterheight", "filterwidth"),
    ),
    "in": (
        *("inchannels", "infeatures", "inputsize", "inputdim", "indim", "nin", "cin", "inputs"),
        *("numinputs", "inputchannels", "nfeatures", "numfeatures", "features", "dim", "channels"),
        *("insize", "ninputs", "indepth", "inputdepth", "normalizedshape", "d", "n", "numchannels"),
    ),
    "out": (
        *("outchannels", "outfeatures", "outputsize", "outputdim", "outdim", "nout", "cout", "m"),
        *("numfilters", "nfilters", "filters", "outsize", "noutputs", "outputs", "units", "depth"),
        *("nneurons", "numoutputs", "outputchannels", "outdepth"),
    ),
    "eps": ("eps", "epsilon"),
    "momentum": ("momentum",),
    "mode": ("mode",),
    "training": ("training", "train", "istraining", "trainflg"),
}
"""Names that people give to settings, in lower case and without underscores."""

_CONV = {"stride": 2, "padding": 1, "kernel_size": 3, "in": 3, "out": 4}
_POOL = {"stride": 2, "padding": 0, "kernel_size": 2}
_NORM = {"eps": 1e-5, "momentum": 0.9, "mode": "train", "training": True}


def _normalised(v: Values, s: Values, axes: tuple[int, ...]) -> Any:
    x = v["x"]
    shape = [1 if i != 1 else -1 for i in range(x.ndim)] if axes[0] == 0 else [*x.shape[1:]]
    centred = x - x.mean(axis=axes, keepdims=True)
    scaled = centred / np.sqrt(x.var(axis=axes, keepdims=True) + s["eps"])
    return np.reshape(v["w"], shape) * scaled + np.reshape(v["b"], shape)


EXERCISES: dict[str, Exercise] = {
    "relu": Exercise(("relu",), {"x": (4, 5)}, lambda v, _: F.relu(v["x"])),
    "sigmoid": Exercise(("sigmoid", "logistic"), {"x": (4, 5)}, lambda v, _: F.sigmoid(v["x"])),
    "tanh": Exercise(("tanh",), {"x": (4, 5)}, lambda v, _: np.tanh(v["x"])),
    "softmax": Exercise(("softmax",), {"x": (4, 5)}, lambda v, _: F.softmax(v["x"], 1)),
    "linear": Exercise(
        ("linear", "affine", "dense", "fullyconnected", "fc", "fullyconnectedlayer"),
        {"x": (4, 5), "w": (5, 3), "b": (3,)},
        lambda v, _: v["x"] @ v["w"] + v["b"],
        {"in": 5, "out": 3},
    ),
    "conv2d": Exercise(
        ("conv2d", "conv", "convolution", "convolutional", "convolution2d"),
        {"x": (2, 3, 7, 7), "w": (4, 3, 3, 3), "b": (4,)},
        lambda v, s: F.conv2d(v["x"], v["w"], v["b"], s["stride"], s["padding"]),
        _CONV,
    ),
    "maxpool2d": Exercise(
        ("maxpool2d", "maxpool", "maxpooling", "maxpooling2d", "pool", "pooling"),
        {"x": (2, 3, 6, 6)},
        lambda v, s: F.max_pool2d(v["x"], s["kernel_size"], s["stride"]),
        _POOL,
    ),
    "avgpool2d": Exercise(
        ("avgpool2d", "avgpool", "averagepool", "averagepooling", "meanpool", "avgpooling"),
        {"x": (2, 3, 6, 6)},
        lambda v, s: F.avg_pool2d(v["x"], s["kernel_size"], s["stride"]),
        _POOL,
    ),
    "batchnorm": Exercise(
        ("batchnorm", "batchnorm1d", "batchnormalization", "batchnormalisation", "bn"),
        {"x": (6, 4), "w": (4,), "b": (4,)},
        lambda v, s: _normalised(v, s, (0,)),
        {**_NORM, "in": 4},
    ),
    "batchnorm2d": Exercise(
        ("batchnorm2d", "spatialbatchnorm", "batchnormalization2d"),
        {"x": (3, 4, 5, 5), "w": (4,), "b": (4,)},
        lambda v, s: _normalised(v, s, (0, 2, 3)),
        {**_NORM, "in": 4},
    ),
    "layernorm": Exercise(
        ("layernorm", "layernormalization", "ln"),
        {"x": (4, 6), "w": (6,), "b": (6,)},
        lambda v, s: _normalised(v, s, (1,)),
        {**_NORM, "in": 6},
    ),
    "softmax_cross_entropy": Exercise(
        (
            *("softmaxcrossentropy", "softmaxloss", "crossentropy", "crossentropyloss"),
            *("softmaxwithloss", "softmaxcrossentropyloss"),
        ),
        {"x": (4, 5), "labels": (4,)},
        lambda v, _: F.cross_entropy(v["x"], v["labels"]),
        inputs=2,
    ),
    "mse": Exercise(
        ("mse", "mseloss", "meansquarederror", "meansquarederrorloss", "l2loss"),
        {"x": (4, 3), "y": (4, 3)},
        lambda v, _: F.mse_loss(v["x"], v["y"]),
        inputs=2,
    ),
}
"""By the names that `grade` takes."""
