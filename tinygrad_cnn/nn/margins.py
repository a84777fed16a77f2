"""More losses as modules: of distributions, margins, pairs, triplets and sequences.

Each calls the function of its name with its settings; `reduction` is as in `loss`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import tinygrad_cnn.functional as F
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.ops.arguments import Reduction, check_reduction
from tinygrad_cnn.ops.losses.likelihoods import KLReduction
from tinygrad_cnn.ops.old_words import takes_old_words
from tinygrad_cnn.tensor import Tensor

__all__ = [
    "CTCLoss",
    "CosineEmbeddingLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "KLDivLoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]


class _Measures(Module):
    """A loss: a function of several inputs, its settings and a reduction."""

    function: ClassVar[Callable[..., Any]]
    settings: ClassVar[tuple[str, ...]] = ()
    reduction: str

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__init__" in cls.__dict__:
            cls.__init__ = takes_old_words(cls.__init__)  # type: ignore[method-assign]

    @takes_old_words
    def __init__(self, reduction: Reduction = "mean") -> None:
        check_reduction(type(self).__name__, reduction)
        self.reduction = reduction

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Apply the function of this name in `functional`."""
        settings = {name: getattr(self, name) for name in self.settings}
        return type(self).function(*inputs, **named, **settings, reduction=self.reduction)

    def extra_repr(self) -> str:
        """Return the settings."""
        shown = [(n, getattr(self, n)) for n in (*self.settings, "reduction")]
        return ", ".join(
            f"{n}={tuple(v.shape) if isinstance(v, Tensor) else repr(v)}"
            for n, v in shown
            if v is not None
        )


class SmoothL1Loss(_Measures):
    """Half the squared error over beta up to beta, linear beyond it.

    >>> import numpy as np
    >>> SmoothL1Loss()(np.array([3.0]), np.array([0.0]))
    array(2.5)
    """

    function = staticmethod(F.smooth_l1_loss)
    settings = ("beta",)

    def __init__(
        self,
        reduction: Reduction = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(reduction)
        if not beta >= 0:
            raise ValueError(f"SmoothL1Loss: beta expects a number >= 0, got {beta}")
        self.beta = beta


class KLDivLoss(Module):
    """Divergence of log-probabilities from target probabilities (their logarithms: `log_target`).

    `reduction` may also be ``"batchmean"``, which gives the divergence proper.

    >>> import numpy as np
    >>> KLDivLoss("batchmean")(np.log([[0.5, 0.5]]), np.array([[1.0, 0.0]])).round(4)
    np.float64(0.6931)
    """

    @takes_old_words
    def __init__(self, reduction: KLReduction = "mean", log_target: bool = False) -> None:
        if reduction != "batchmean":
            check_reduction("KLDivLoss", reduction)
        self.reduction = reduction
        self.log_target = log_target

    def forward(self, input: Any, target: Any) -> Any:
        """Apply `functional.kl_div`."""
        return F.kl_div(input, target, self.reduction, self.log_target)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"reduction={self.reduction!r}, log_target={self.log_target}"


class PoissonNLLLoss(_Measures):
    """Negative log-likelihood of counts whose rate, or its logarithm, is the input.

    >>> import numpy as np
    >>> PoissonNLLLoss()(np.array([0.0]), np.array([2.0]))
    array(1.)
    """

    function = staticmethod(F.poisson_nll_loss)
    settings = (
        "log_input",
        "full",
        "eps",
    )

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        eps: float = 1e-8,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps


class GaussianNLLLoss(_Measures):
    """Negative log-likelihood of normal targets: called with means, targets and variances.

    >>> import numpy as np
    >>> GaussianNLLLoss()(np.array([1.0]), np.array([3.0]), np.array([1.0]))
    array(2.)
    """

    function = staticmethod(F.gaussian_nll_loss)
    settings = (
        "full",
        "eps",
    )

    def __init__(
        self,
        full: bool = False,
        eps: float = 1e-6,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        if not eps > 0:
            raise ValueError(f"GaussianNLLLoss: eps expects a positive number, got {eps}")
        self.full = full
        self.eps = eps


class SoftMarginLoss(_Measures):
    """Logistic loss of scores with targets of 1 and -1.

    >>> import numpy as np
    >>> SoftMarginLoss()(np.array([0.0]), np.array([1.0])).round(4)
    np.float64(0.6931)
    """

    function = staticmethod(F.soft_margin_loss)


class HingeEmbeddingLoss(_Measures):
    """Keep distances small for targets of 1, above a margin for -1.

    >>> import numpy as np
    >>> HingeEmbeddingLoss()(np.array([0.25]), np.array([-1]))
    array(0.75)
    """

    function = staticmethod(F.hinge_embedding_loss)
    settings = ("margin",)

    def __init__(
        self,
        margin: float = 1.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.margin = margin


class MarginRankingLoss(_Measures):
    """Rank two scores by a margin: the first greater for targets of 1, the second for -1.

    >>> import numpy as np
    >>> MarginRankingLoss()(np.array([1.0]), np.array([3.0]), np.array([1.0]))
    array(2.)
    """

    function = staticmethod(F.margin_ranking_loss)
    settings = ("margin",)

    def __init__(
        self,
        margin: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.margin = margin


class MultiMarginLoss(_Measures):
    """Keep the right class's score above all others by a margin.

    >>> import numpy as np
    >>> MultiMarginLoss()(np.array([[0.0, 0.5]]), np.array([0]))
    array(0.75)
    """

    function = staticmethod(F.multi_margin_loss)
    settings = (
        "p",
        "margin",
        "weight",
    )
    weight: Tensor | None

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Any = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: p expects 1 or 2, got {p}")
        self.p = p
        self.margin = margin
        self.register_buffer(
            "weight", weight if weight is None or isinstance(weight, Tensor) else Tensor(weight)
        )


class MultiLabelMarginLoss(_Measures):
    """Keep the scores of several right classes above all others; -1 ends the targets.

    >>> import numpy as np
    >>> MultiLabelMarginLoss()(np.array([[0.0, 0.5]]), np.array([[0, -1]]))
    array(0.75)
    """

    function = staticmethod(F.multilabel_margin_loss)


class MultiLabelSoftMarginLoss(_Measures):
    """Binary cross-entropy of logits, averaged over the classes.

    >>> import numpy as np
    >>> MultiLabelSoftMarginLoss()(np.array([[0.0]]), np.array([[1.0]])).round(4)
    np.float64(0.6931)
    """

    function = staticmethod(F.multilabel_soft_margin_loss)
    settings = ("weight",)
    weight: Tensor | None

    def __init__(
        self,
        weight: Any = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.register_buffer(
            "weight", weight if weight is None or isinstance(weight, Tensor) else Tensor(weight)
        )


class CosineEmbeddingLoss(_Measures):
    """Turn vectors towards each other for targets of 1, apart for -1.

    >>> import numpy as np
    >>> CosineEmbeddingLoss()(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), np.array([1]))
    array(1.)
    """

    function = staticmethod(F.cosine_embedding_loss)
    settings = ("margin",)

    def __init__(
        self,
        margin: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.margin = margin


class TripletMarginLoss(_Measures):
    """Keep an anchor nearer to its like than to others: called with anchor, positive, negative.

    >>> import numpy as np
    >>> TripletMarginLoss(eps=0.0)(np.zeros((1, 1)), np.zeros((1, 1)), np.array([[0.5]]))
    array(0.5)
    """

    function = staticmethod(F.triplet_margin_loss)
    settings = (
        "margin",
        "p",
        "eps",
        "swap",
    )

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        if not margin > 0:
            raise ValueError(f"TripletMarginLoss: margin expects a positive number, got {margin}")
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap


class TripletMarginWithDistanceLoss(_Measures):
    """`TripletMarginLoss` with a distance of your own, `pairwise_distance` if None.

    >>> import numpy as np
    >>> loss = TripletMarginWithDistanceLoss(distance_function=lambda x, y: abs(x - y))
    >>> loss(np.zeros((1, 1)), np.zeros((1, 1)), np.array([[0.5]]))
    array(0.5)
    """

    function = staticmethod(F.triplet_margin_with_distance_loss)
    settings = ("distance_function", "margin", "swap")

    def __init__(
        self,
        *,
        distance_function: Callable[[Any, Any], Any] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        if not margin > 0:
            raise ValueError(
                f"TripletMarginWithDistanceLoss: margin expects a positive number, got {margin}"
            )
        self.distance_function = distance_function
        self.margin = margin
        self.swap = swap


class CTCLoss(_Measures):
    """Negative log-likelihood of label sequences over all their alignments in time.

    >>> import numpy as np
    >>> CTCLoss()(np.full((2, 1, 2), np.log(0.5)), np.array([[1]]), [2], [1]).round(4)
    np.float64(0.2877)
    """

    function = staticmethod(F.ctc_loss)
    settings = (
        "blank",
        "zero_infinity",
    )

    def __init__(
        self,
        blank: int = 0,
        reduction: Reduction = "mean",
        zero_infinity: bool = False,
    ) -> None:
        super().__init__(reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity
