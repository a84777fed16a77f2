"""``torch.hub``: files of weights that are there already."""

from __future__ import annotations

from typing import Any, NoReturn

from tinygrad_cnn.torch.absent import absent

__all__ = ["load", "load_state_dict_from_url"]


def load(*args: Any, **kwargs: Any) -> NoReturn:
    """Raise: code from elsewhere is not run; ``nn.Module.load_weights`` reads files of weights."""
    raise NotImplementedError(
        "torch.hub.load runs code from elsewhere, which is not done here; define the model and "
        "load_weights(FILE) on it"
    )


def load_state_dict_from_url(url: str, *args: Any, **kwargs: Any) -> NoReturn:
    """Raise: nothing is downloaded that nobody verified; download the file and load it."""
    raise NotImplementedError(
        f"torch.hub.load_state_dict_from_url: download {url} yourself, and torch.load the file"
    )


__getattr__ = absent("torch.hub")
