"""``torch.special``: functions under their other names."""

from tinygrad_cnn.functional import (
    digamma,
    erf,
    erfc,
    erfinv,
    exp2,
    expm1,
    lgamma as gammaln,
    log1p,
    log_softmax,
    logit,
    logsumexp,
    polygamma,
    round,
    sigmoid as expit,
    sinc,
    softmax,
    xlog1py,
    xlogy,
)
from tinygrad_cnn.torch.absent import absent

psi = digamma

__all__ = [
    "digamma",
    "erf",
    "erfc",
    "erfinv",
    "exp2",
    "expit",
    "expm1",
    "gammaln",
    "log1p",
    "log_softmax",
    "logit",
    "logsumexp",
    "polygamma",
    "psi",
    "round",
    "sinc",
    "softmax",
    "xlog1py",
    "xlogy",
]

__getattr__ = absent("torch.special")
