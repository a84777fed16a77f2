"""Weights published for torchvision's networks: fetched, verified, and read as data."""

from __future__ import annotations

import enum
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from tinygrad_cnn import nn
from tinygrad_cnn.data import cache_folder, transforms
from tinygrad_cnn.data.download import download

__all__ = ["WeightsEnum", "weights_enum", "with_weights"]

_MIRRORS = ("https://download.pytorch.org/models/",)
_MOST_BYTES = 1 << 30

Network = TypeVar("Network", bound=nn.Module)


class WeightsEnum(enum.Enum):
    """The published weights of a network; the value is the file's name.

    The name ends in the first eight digits of the file's SHA-256, which is what is verified.
    """

    @property
    def url(self) -> str:
        """Where the file is published."""
        return f"{_MIRRORS[0]}{self.value}"

    def transforms(self) -> transforms.Compose:
        """Return what makes a network's input of an image, as these networks were trained with."""
        return transforms.Compose(
            [
                transforms.Resize(256),
                transforms.CenterCrop(224),
                transforms.ToTensor(),
                transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )

    def file(self, mirrors: Sequence[str] = _MIRRORS) -> Path:
        """Return the path of the file: where PyTorch keeps it, or else in this package's cache.

        Raises
        ------
        ValueError
            If a file of that name is damaged.
        DownloadError
            If it is in neither place, and could not be fetched.
        """
        home = Path(os.environ.get("TORCH_HOME", Path.home() / ".cache" / "torch"))
        kept = home / "hub" / "checkpoints" / str(self.value)
        own = cache_folder() / "weights" / str(self.value)
        for path in (kept, own):
            if path.is_file():
                self.verify(path)
                return path
        download(mirrors, own, self.verify, max_bytes=_MOST_BYTES)
        return own

    def verify(self, path: Path) -> None:
        """Raise a ValueError unless a file's SHA-256 begins as its published name says."""
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
        expected = Path(str(self.value)).stem.rpartition("-")[2]
        if not digest.hexdigest().startswith(expected):
            raise ValueError(
                f"{path} is not the published {self.value}: its SHA-256 begins with "
                f"{digest.hexdigest()[:8]}, expected {expected}"
            )

    @classmethod
    def verified(cls, given: Any) -> Self | str | None:
        """Return what is meant: one of these, by its name too; the path of a file; or None.

        Raises
        ------
        ValueError
            If it is neither.
        """
        if given is None or isinstance(given, cls):
            return given
        name = getattr(given, "name", given)
        if isinstance(given, enum.Enum):
            raise ValueError(f"{given} are weights of another network; {cls.__name__} has these")
        if name in cls.__members__:
            return cls[name]
        if isinstance(given, (str, os.PathLike)):
            return os.fspath(given)
        raise ValueError(
            f"weights: expected None, {', '.join(cls.__members__)} or the path of a file, "
            f"got {given!r}"
        )


def weights_enum(name: str, first: str, second: str | None = None) -> type[WeightsEnum]:
    """Make a network's `WeightsEnum` of the file of its first weights, and of its better ones."""
    files = {"IMAGENET1K_V1": first}
    if second is not None:
        files["IMAGENET1K_V2"] = second
    files["DEFAULT"] = second or first
    functional: Any = WeightsEnum
    made: type[WeightsEnum] = functional(name, files, module=__name__)
    return made


def with_weights(
    network: Network, kind: type[WeightsEnum], weights: Any, pretrained: bool = False
) -> Network:
    """Load published weights, or those of a file, into a network and return it.

    Parameters
    ----------
    network
        The network.
    kind
        Its published weights.
    weights
        None for those that it has; one of `kind`, or its name; or the path of a file.
    pretrained
        The older word for the first of `kind`.

    Raises
    ------
    ValueError
        If the weights do not fit.
    """
    chosen = kind.verified("IMAGENET1K_V1" if pretrained and weights is None else weights)
    if chosen is not None:
        network.load_weights(chosen.file() if isinstance(chosen, WeightsEnum) else chosen)
    return network
