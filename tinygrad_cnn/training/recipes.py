"""How each network is trained unless the user says otherwise, and the settings of a run."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tinygrad_cnn import optim
from tinygrad_cnn.kernels.runtime.threads import get_num_threads
from tinygrad_cnn.models import ARCHITECTURES, NETWORKS, network_of
from tinygrad_cnn.optim import Optimizer, Schedule
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.training.errors import SettingsError

__all__ = [
    "OPTIMIZERS",
    "RECIPES",
    "SCHEDULES",
    "Recipe",
    "Settings",
    "make_optimizer",
    "make_schedule",
]


@dataclass(frozen=True)
class Recipe:
    """What trains a network well on the embedded digits.

    Attributes
    ----------
    epochs, batch_size, optimizer, schedule
        The defaults of the options of these names.
    lr
        The learning rate for each optimiser; the peak, under ``onecycle``.
    momentum
        The momentum of the optimisers ``momentum`` and ``nesterov``.
    mean, std
        The pixels p, from 0 to 1, are fed in as (p − mean) / std.
    shift
        Each time a training image comes by, it is moved by up to so many pixels in each direction.
    """

    epochs: int
    batch_size: int
    optimizer: str
    schedule: str
    lr: Mapping[str, float]
    momentum: float = 0.9
    mean: float = 0.0
    std: float = 1.0
    shift: int = 0


# The usual mean and standard deviation of MNIST's pixels. Fed from 0 to 1, the networks that start
# from N(0, 0.01²) die for most seeds: before the images' faint signal has grown, the noise of the
# biases' gradients closes every ReLU.
_MEAN, _STD = 0.1307, 0.3081

RECIPES: dict[str, Recipe] = {
    "momentum": Recipe(
        epochs=10,
        batch_size=32,
        optimizer="momentum",
        schedule="none",
        lr={
            "sgd": 0.1,
            "nesterov": 0.009,
            "momentum": 0.009,
            "rmsprop": 1e-3,
            "adam": 2e-3,
            "adamw": 2e-3,
        },
        momentum=0.95,
        mean=_MEAN,
        std=_STD,
    ),
    "batchnorm": Recipe(
        epochs=8,
        batch_size=50,
        optimizer="nesterov",
        schedule="onecycle",
        lr={
            "sgd": 1.0,
            "nesterov": 0.3,
            "momentum": 0.3,
            "rmsprop": 5e-3,
            "adam": 1e-2,
            "adamw": 1e-2,
        },
        shift=1,
    ),
    # Weights from N(0, 1) make outputs of hundreds: steps of the gradient's own size stay small
    # for long, steps of a given size do not.
    "regression": Recipe(
        epochs=40,
        batch_size=50,
        optimizer="rmsprop",
        schedule="cosine",
        lr={
            "sgd": 3e-5,
            "nesterov": 3e-6,
            "momentum": 3e-6,
            "rmsprop": 1e-2,
            "adam": 3e-2,
            "adamw": 3e-2,
        },
    ),
    "sigmoid": Recipe(
        epochs=6,
        batch_size=25,
        optimizer="sgd",
        schedule="cosine",
        lr={
            "sgd": 0.5,
            "nesterov": 0.02,
            "momentum": 0.02,
            "rmsprop": 1e-3,
            "adam": 3e-3,
            "adamw": 3e-3,
        },
        mean=_MEAN,
        std=_STD,
    ),
    "softmax": Recipe(
        epochs=3,
        batch_size=1,
        optimizer="sgd",
        schedule="none",
        lr={
            "sgd": 0.005,
            "nesterov": 5e-4,
            "momentum": 5e-4,
            "rmsprop": 1e-4,
            "adam": 1e-4,
            "adamw": 1e-4,
        },
        mean=0.5,
    ),
}
"""The five recipes by the networks' names."""

_SMALL_IMAGES = Recipe(
    epochs=10,
    batch_size=64,
    optimizer="adamw",
    schedule="onecycle",
    lr={
        "sgd": 0.1,
        "nesterov": 0.05,
        "momentum": 0.05,
        "rmsprop": 3e-4,
        "adam": 1e-3,
        "adamw": 1e-3,
    },
    mean=0.5,
    std=0.25,
    shift=2,
)


def recipe_of(network: str) -> Recipe:
    """Return a network's recipe; `models.ARCHITECTURES` share one."""
    return RECIPES.get(network, _SMALL_IMAGES)


_ENDLESS = 10**12
_INTEGERS = {
    "epochs": (1, _ENDLESS),
    "batch_size": (1, _ENDLESS),
    "seed": (0, 2**128),
    "threads": (1, 256),  # more than processors only wait for each other
    "shift": (0, 28),
}


@dataclass(frozen=True)
class Settings:
    """All that determines a run besides its data: the same settings give the same weights.

    Attributes
    ----------
    network
        A key of `models.NETWORKS` or of `models.ARCHITECTURES`.
    data
        A name or a folder, as `data.load` takes it.
    epochs, batch_size
        At least 1.
    optimizer, schedule
        One of `OPTIMIZERS`, one of `SCHEDULES`.
    lr
        The learning rate, positive; the peak, under ``onecycle``.
    momentum
        Used by the optimisers ``momentum`` and ``nesterov`` only.
    mean, std, shift
        What is done to the images, as in `Recipe`.
    seed
        Of the weights and of the order of the images.
    threads
        How many threads the kernels use.
    """

    network: str
    data: str
    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    momentum: float
    schedule: str
    mean: float
    std: float
    shift: int
    seed: int
    threads: int

    @classmethod
    def of(cls, network: str = "batchnorm", **given: Any) -> Settings:
        """Return the network's recipe with what is given in its place; None is not given.

        Raises
        ------
        SettingsError
            If something is out of range; the message names it and says what is allowed.

        >>> settings = Settings.of("softmax", epochs=1, threads=2)
        >>> settings.epochs, settings.batch_size, settings.optimizer, settings.lr
        (1, 1, 'sgd', 0.005)
        """
        _check_name("network", network, (*NETWORKS, *ARCHITECTURES))
        recipe = recipe_of(network)
        chosen = {name: value for name, value in given.items() if value is not None}
        optimizer = chosen.setdefault("optimizer", recipe.optimizer)
        _check_name("optimizer", optimizer, OPTIMIZERS)
        defaults: dict[str, Any] = {
            "data": "digits",
            "epochs": recipe.epochs,
            "batch_size": recipe.batch_size,
            "lr": recipe.lr[optimizer],
            "momentum": recipe.momentum,
            "schedule": recipe.schedule,
            "mean": recipe.mean,
            "std": recipe.std,
            "shift": recipe.shift,
            "seed": 0,
            "threads": get_num_threads(),
        }
        settings = cls(network, **(defaults | chosen))
        settings._check()
        return settings

    def _check(self) -> None:
        _check_name("schedule", self.schedule, SCHEDULES)
        if not isinstance(self.data, str):
            raise SettingsError(f"data must be a name or a folder, got {self.data!r}")
        for name, (least, most) in _INTEGERS.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                limit = f"from {least} to {most}" if most < _ENDLESS else f"of at least {least}"
                raise SettingsError(f"{name} must be an integer {limit}, got {value!r}")
        for name in ("lr", "momentum", "mean", "std"):
            value = getattr(self, name)
            number = type(value) in (int, float) and math.isfinite(value)
            if not number or (name in ("lr", "std") and value <= 0):
                kind = "a positive number" if name in ("lr", "std") else "a number"
                raise SettingsError(f"{name} must be {kind}, got {value!r}")
        if not 0 <= self.momentum < 1:
            raise SettingsError(f"momentum must be at least 0 and below 1, got {self.momentum}")

    def command(self) -> str:
        """Return the command that trains the same again.

        >>> Settings.of("softmax", lr=0.25, seed=7, threads=2).command()
        'tinygrad-cnn train softmax --lr 0.25 --seed 7 --threads 2'
        """
        usual = Settings.of(self.network, optimizer=self.optimizer)
        own = network_of(self.network).command
        words = ["tinygrad-cnn", *(own or ("train", self.network))]
        if self.optimizer != recipe_of(self.network).optimizer:
            words += ["--optimizer", self.optimizer]
        for name in ("data", "epochs", "batch_size", "lr", "schedule", "seed", "threads"):
            value = getattr(self, name)
            said = ("seed", "threads", "data") if own else ("seed", "threads")
            if value != getattr(usual, name) or name in said:
                words += [f"--{name.replace('_', '-')}", f"{value}"]
        return shlex.join(words)

    def asdict(self) -> dict[str, Any]:
        """Return the settings by name, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        epochs = "1 epoch" if self.epochs == 1 else f"{self.epochs} epochs"
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        schedule = "constant" if self.schedule == "none" else self.schedule
        shift = f"shifts of {self.shift} pixel, " if self.shift else ""
        return (
            f"{epochs}, batch {self.batch_size}, {self.optimizer}, lr {self.lr:g} {schedule}, "
            f"{shift}seed {self.seed}, {threads}"
        )


def _check_name(what: str, name: str, known: Iterable[str]) -> None:
    if not isinstance(name, str) or name not in known:
        raise SettingsError(f"{what} must be one of {', '.join(known)}, got {name!r}")


# ---------------------------------------------------------------------------------------------

Parameters = Iterable[Tensor]

OPTIMIZERS: dict[str, Callable[[Parameters, Settings], Optimizer]] = {
    "sgd": lambda parameters, s: optim.SGD(parameters, s.lr),
    "momentum": lambda parameters, s: optim.SGD(parameters, s.lr, momentum=s.momentum),
    "nesterov": lambda parameters, s: optim.SGD(
        parameters, s.lr, momentum=s.momentum, nesterov=True
    ),
    "rmsprop": lambda parameters, s: optim.RMSprop(parameters, s.lr),
    "adam": lambda parameters, s: optim.Adam(parameters, s.lr),
    "adamw": lambda parameters, s: optim.AdamW(parameters, s.lr),
}
"""What makes each optimiser, by the names that the command line knows."""


def _constant(optimizer: Optimizer, _settings: Settings, _steps: int) -> Schedule:
    return optim.StepLR(optimizer, 1, gamma=1.0)


def _step(optimizer: Optimizer, settings: Settings, steps: int) -> Schedule:
    """Divide the rate by 10 after each third of the epochs."""
    return optim.StepLR(optimizer, steps * -(-settings.epochs // 3), gamma=0.1)


def _cosine(optimizer: Optimizer, settings: Settings, steps: int) -> Schedule:
    return optim.CosineAnnealingLR(optimizer, settings.epochs * steps)


def _onecycle(optimizer: Optimizer, settings: Settings, steps: int) -> Schedule:
    return optim.OneCycleLR(optimizer, settings.lr, settings.epochs * steps, cycle_momentum=False)


SCHEDULES: dict[str, Callable[[Optimizer, Settings, int], Schedule]] = {
    "onecycle": _onecycle,
    "cosine": _cosine,
    "step": _step,
    "none": _constant,
}
"""What makes each schedule of an optimiser, the settings and the steps of an epoch."""


def make_optimizer(parameters: Parameters, settings: Settings) -> Optimizer:
    """Make the optimiser that the settings name."""
    return OPTIMIZERS[settings.optimizer](parameters, settings)


def make_schedule(optimizer: Optimizer, settings: Settings, steps_per_epoch: int) -> Schedule:
    """Make the schedule that the settings name; it goes a step on with each batch."""
    return SCHEDULES[settings.schedule](optimizer, settings, steps_per_epoch)
