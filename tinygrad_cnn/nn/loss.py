"""Losses as modules: each holds settings and calls the function of its name.

``reduction`` is ``"mean"``, ``"sum"`` or ``"none"`` (one loss for each element or sample).
"""

from __future__ import annotations

from typing import Any

import tinygrad_cnn.functional as F
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.ops.arguments import Reduction
from tinygrad_cnn.ops.old_words import takes_old_words
from tinygrad_cnn.tensor import Tensor

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "HuberLoss",
    "L1Loss",
    "MSELoss",
    "NLLLoss",
]


class _Loss(Module):
    """A loss with a reduction."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__init__" in cls.__dict__:
            cls.__init__ = takes_old_words(cls.__init__)  # type: ignore[method-assign]

    @takes_old_words
    def __init__(self, reduction: Reduction = "mean") -> None:
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(
                f"{type(self).__name__}: reduction expects 'mean', 'sum' or 'none', "
                f"got {reduction!r}"
            )
        self.reduction = reduction

    def extra_repr(self) -> str:
        """Return the settings that are not the usual ones."""
        usual = {"reduction": "mean", "ignore_index": -100, "label_smoothing": 0.0, "delta": 1.0}
        values = ((n, getattr(self, n, usual[n])) for n in usual)
        shown = [f"{name}={value!r}" for name, value in values if value != usual[name]]
        for name in ("weight", "pos_weight"):
            tensor = getattr(self, name, None)
            shown += [] if tensor is None else [f"{name}={tuple(tensor.shape)}"]
        return ", ".join(shown)

    def _keep(self, name: str, weight: Any) -> None:
        """Keep weights as a buffer."""
        constant = weight is None or isinstance(weight, Tensor)
        self.register_buffer(name, weight if constant else Tensor(weight))


class CrossEntropyLoss(_Loss):
    """Cross-entropy of logits (N, K, …) with classes (N, …) or with probabilities (N, K, …).

    Parameters
    ----------
    weight
        Shape (K,): a weight for each class, or None.
    ignore_index
        Samples of this class do not count.
    reduction
        ``"mean"`` divides by the weights of the samples that count.
    label_smoothing
        How much of each target is spread evenly over all classes, in [0, 1].

    Raises
    ------
    ValueError
        If `reduction` is unknown.

    >>> import numpy as np
    >>> round(float(CrossEntropyLoss()(np.zeros((1, 4)), np.array([2]))), 4)  # log 4
    1.3863
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Any = None,
        *,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction)
        self._keep("weight", weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.cross_entropy`."""
        return F.cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class NLLLoss(_Loss):
    """Negative log-likelihood of log-probabilities (N, K, …) and classes (N, …).

    Parameters
    ----------
    weight, ignore_index, reduction
        As for `CrossEntropyLoss`.

    Raises
    ------
    ValueError
        If `reduction` is unknown.

    >>> import numpy as np
    >>> float(NLLLoss()(np.array([[-1.0, -2.0]]), np.array([1])))
    2.0
    """

    weight: Tensor | None

    def __init__(
        self, weight: Any = None, *, ignore_index: int = -100, reduction: Reduction = "mean"
    ) -> None:
        super().__init__(reduction)
        self._keep("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.nll_loss`."""
        return F.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class MSELoss(_Loss):
    """Squared error, (input − target)², of two of the same shape.

    >>> import numpy as np
    >>> float(MSELoss()(np.array([1.0, 3.0]), np.array([1.0, 1.0])))
    2.0
    """

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.mse_loss`."""
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """Absolute error, |input − target|, of two of the same shape.

    >>> import numpy as np
    >>> float(L1Loss()(np.array([1.0, 3.0]), np.array([1.0, 1.0])))
    1.0
    """

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.l1_loss`."""
        return F.l1_loss(input, target, reduction=self.reduction)


class HuberLoss(_Loss):
    """Half the squared error up to delta, linear beyond it.

    >>> import numpy as np
    >>> float(HuberLoss(delta=1.0)(np.array([3.0]), np.array([0.0])))
    2.5
    """

    def __init__(self, reduction: Reduction = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        if not delta > 0:
            raise ValueError(f"HuberLoss: delta expects a positive number, got {delta}")
        self.delta = delta

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.huber_loss`."""
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class BCELoss(_Loss):
    """Binary cross-entropy of probabilities with targets in [0, 1], of the same shape.

    `weight` broadcasts against them. From logits, `BCEWithLogitsLoss` is the stable one.

    >>> import numpy as np
    >>> round(float(BCELoss()(np.array([0.5]), np.array([1.0]))), 4)  # log 2
    0.6931
    """

    weight: Tensor | None

    def __init__(self, weight: Any = None, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self._keep("weight", weight)

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.binary_cross_entropy`."""
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """Binary cross-entropy of logits with targets in [0, 1], of the same shape.

    `weight` broadcasts against them; `pos_weight` multiplies the part of the positive targets.

    >>> import numpy as np
    >>> round(float(BCEWithLogitsLoss()(np.array([0.0]), np.array([1.0]))), 4)
    0.6931
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self, weight: Any = None, *, reduction: Reduction = "mean", pos_weight: Any = None
    ) -> None:
        super().__init__(reduction)
        self._keep("weight", weight)
        self._keep("pos_weight", pos_weight)

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.binary_cross_entropy_with_logits`."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )
