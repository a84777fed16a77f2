"""Where a wrong gradient is wrong, and what it looks like."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.verify.probe import Prober
from tinygrad_cnn.verify.report import InputReport, Wrong


def explain(prober: Prober, result: InputReport, rng: np.random.Generator) -> None:
    """Add to a failed result where the gradient is wrong and hints at what it looks like."""
    worst = max(prober.misses, key=lambda m: abs(m.analytic - m.numeric))
    result.wrong = Wrong(None, worst.analytic, worst.numeric, worst.bar, 0, 0, prober.base.size, "")
