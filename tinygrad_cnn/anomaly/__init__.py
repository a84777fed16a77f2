"""Where NaN and infinity are born, and why: what `autograd.detect_anomaly` uses.

`watch` looks at the results of operations and rules while somebody asks for it; `reasons` says of
one that is not finite what made it so; `values` finds again what a recorded operation had as input.
"""

from tinygrad_cnn.anomaly.values import all_finite
from tinygrad_cnn.anomaly.watch import AnomalyError, Watch

__all__ = ["AnomalyError", "Watch", "all_finite"]
