"""Losses with the arguments of old: ``size_average`` and ``reduce`` instead of ``reduction``."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import nn as core

__all__: list[str] = []


def reduction_of(size_average: Any, reduce: Any) -> str | None:
    """Return what the old words mean, None if they were not said.

    >>> reduction_of(False, None), reduction_of(None, False), reduction_of(None, None)
    ('sum', 'none', None)
    """
    if size_average is None and reduce is None:
        return None
    if reduce is False:
        return "none"
    return "mean" if size_average is None or size_average else "sum"


# Where the two stand among the positional arguments of old.
_FIRST = {
    **dict.fromkeys(
        (
            "L1Loss",
            "MSELoss",
            "KLDivLoss",
            "SmoothL1Loss",
            "SoftMarginLoss",
            "MultiLabelMarginLoss",
        ),
        0,
    ),
    **dict.fromkeys(
        (
            "BCELoss",
            "BCEWithLogitsLoss",
            "MultiLabelSoftMarginLoss",
            "NLLLoss",
            "CrossEntropyLoss",
            "CosineEmbeddingLoss",
            "HingeEmbeddingLoss",
            "MarginRankingLoss",
        ),
        1,
    ),
    "PoissonNLLLoss": 2,
    "TripletMarginLoss": 4,
    "MultiMarginLoss": 3,
}
# And between them: nll_loss and cross_entropy have ignore_index, poisson_nll_loss eps.
_BETWEEN = {"NLLLoss": "ignore_index", "CrossEntropyLoss": "ignore_index", "PoissonNLLLoss": "eps"}


def _old(name: str) -> type:
    kind: Any = getattr(core, name)
    place, between = _FIRST[name], _BETWEEN.get(name)

    class Loss(kind):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            words = [kwargs.pop("size_average", None), kwargs.pop("reduce", None)]
            if len(args) > place and (args[place] is None or isinstance(args[place], bool)):
                words[0] = args[place]
                rest = list(args[place + 1 :])
                if between is not None and rest:
                    kwargs[between] = rest.pop(0)
                if rest:
                    words[1] = rest.pop(0)
                kwargs.update(zip(("reduction", "label_smoothing"), rest, strict=False))
                args = args[:place]
            said = reduction_of(*words)
            if said is not None:
                kwargs["reduction"] = said
            super().__init__(*args, **kwargs)

    Loss.__name__ = Loss.__qualname__ = name
    Loss.__doc__ = kind.__doc__
    Loss.__module__ = __name__
    return Loss


globals().update({name: _old(name) for name in _FIRST})
__all__ += list(_FIRST)
