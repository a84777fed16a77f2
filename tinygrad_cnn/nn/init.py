"""Initialisers: fill a tensor in place, outside of the graph, from a random generator or a number.

Random numbers are drawn in float64 and rounded to the tensor's dtype, so that a float32 and a
float64 network made from the same seed have the same weights up to rounding.

The fans are those of a weight of shape (O, C, …): fan_in = C · (product of the rest) inputs reach
an output, fan_out = O · (product of the rest) outputs are reached by an input.
"""

from __future__ import annotations

import math

import numpy as np

from tinygrad_cnn.autograd import no_grad
from tinygrad_cnn.nn.truncated import truncated_normal
from tinygrad_cnn.random import default_generator
from tinygrad_cnn.tensor import Tensor

__all__ = [
    "calculate_fan_in_and_fan_out",
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]


_GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "leaky_relu": math.sqrt(2),
    "selu": 3 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor that keeps the variance through a nonlinearity, as PyTorch has it.

    1 for linear maps and sigmoid, 5/3 for tanh, √2 for relu, √(2 / (1 + param²)) for leaky_relu
    of that negative slope (0.01 if None), 3/4 for selu.

    Raises
    ------
    ValueError
        If the nonlinearity is not one of these.

    >>> calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if nonlinearity not in _GAINS:
        raise ValueError(
            f"calculate_gain: expected one of {', '.join(_GAINS)}, got {nonlinearity!r}"
        )
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    return _GAINS[nonlinearity]


def calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """Return how many inputs reach an output of a weight (O, C, …), and how many the reverse.

    Raises
    ------
    ValueError
        If the tensor has fewer than two dimensions.

    >>> calculate_fan_in_and_fan_out(Tensor(np.zeros((8, 3, 5, 5))))
    (75, 200)
    """
    if tensor.ndim < 2:
        raise ValueError(
            f"init: the fans need a weight of at least 2 dimensions, got shape {tensor.shape}"
        )
    outputs, inputs, *rest = tensor.shape
    return inputs * math.prod(rest), outputs * math.prod(rest)


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: np.random.Generator | None = None
) -> Tensor:
    """Fill with draws from U(a, b); return the tensor.

    >>> uniform_(Tensor(np.zeros(3)), 1, 1)
    tensor([1., 1., 1.], dtype=float64)
    """
    if a > b:
        raise ValueError(f"uniform_: expected a <= b, got {a} and {b}")
    return _fill(tensor, _drawing(generator).uniform(a, b, tensor.shape))


def normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Fill with draws from N(mean, std²); return the tensor.

    >>> normal_(Tensor(np.zeros(3)), 1, 0)
    tensor([1., 1., 1.], dtype=float64)
    """
    if std < 0:
        raise ValueError(f"normal_: expected std >= 0, got {std}")
    return _fill(tensor, _drawing(generator).normal(mean, std, tensor.shape))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with a number; return the tensor.

    >>> constant_(Tensor([1.0, 2.0]), 3)
    tensor([3., 3.])
    """
    return _fill(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0; return the tensor.

    >>> zeros_(Tensor([1.0, 2.0]))
    tensor([0., 0.])
    """
    return _fill(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1; return the tensor.

    >>> ones_(Tensor([3.0, 2.0]))
    tensor([1., 1.])
    """
    return _fill(tensor, 1)


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: np.random.Generator | None = None
) -> Tensor:
    """Fill with draws from U(±gain · √(6 / (fan_in + fan_out))); return the tensor.

    Keeps variances forward and backward alike (Glorot and Bengio 2010, equation 16).

    >>> weight = xavier_uniform_(Tensor(np.zeros((2, 4))))
    >>> bool((abs(weight.numpy()) <= 1).all())
    True
    """
    return _uniform(tensor, _xavier_std(tensor, gain), generator)


def xavier_normal_(
    tensor: Tensor, gain: float = 1.0, generator: np.random.Generator | None = None
) -> Tensor:
    """Fill with draws from N(0, gain² · 2 / (fan_in + fan_out)); return the tensor.

    >>> bool(xavier_normal_(Tensor(np.zeros((2, 4)))).numpy().all())
    True
    """
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Fill with draws from U(±gain · √(3 / fan)); return the tensor.

    Keeps the variance through layers followed by a rectifier (He et al. 2015, section 2.2).

    Parameters
    ----------
    tensor
        A weight of shape (O, C, …).
    a
        The negative slope of the rectifier, for the gain of leaky_relu.
    mode
        ``"fan_in"`` keeps variances forward, ``"fan_out"`` backward.
    nonlinearity
        A name that `calculate_gain` knows.
    generator
        Where to draw from; the package's default generator if None.

    Raises
    ------
    ValueError
        If the tensor has fewer than two dimensions, or a name is unknown.

    >>> weight = kaiming_uniform_(Tensor(np.zeros((2, 6))))
    >>> bool((abs(weight.numpy()) <= 1).all())
    True
    """
    return _uniform(tensor, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Fill with draws from N(0, gain² / fan); return the tensor. Arguments of `kaiming_uniform_`.

    >>> bool(kaiming_normal_(Tensor(np.zeros((2, 6)))).numpy().all())
    True
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Fill with draws from N(mean, std²) that lie in [a, b]; return the tensor.

    Raises
    ------
    ValueError
        If `a` is not below `b`, or `std` is not positive.

    >>> weight = trunc_normal_(Tensor(np.zeros(1000)), std=3.0)
    >>> bool((abs(weight.numpy()) <= 2).all())
    True
    """
    if not (a < b and std > 0):
        raise ValueError(f"trunc_normal_: expected a < b and std > 0, got {a}, {b} and {std}")
    low, high = (a - mean) / std, (b - mean) / std
    draws = truncated_normal(_drawing(generator), low, high, tensor.shape)
    if draws is None:
        raise ValueError(
            f"trunc_normal_: [{a}, {b}] is so far from N({mean}, {std}²) that nothing falls there"
        )
    values = mean + std * draws
    return _fill(tensor, np.clip(values, a, b))


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with ones on the diagonal and zeros elsewhere; return the tensor.

    Raises
    ------
    ValueError
        If the tensor has not two dimensions.

    >>> eye_(Tensor(np.ones((2, 3)))).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    if tensor.ndim != 2:
        raise ValueError(f"eye_: expects a matrix, got shape {tensor.shape}")
    rows, columns = tensor.shape
    return _fill(tensor, np.eye(rows, columns))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill the weight of a convolution so that it passes its input on; return the tensor.

    Output channel i of a group is input channel i of the group, further ones are 0.

    Parameters
    ----------
    tensor
        A weight of shape (O, C, …) of 3 to 5 dimensions.
    groups
        The convolution's groups.

    Raises
    ------
    ValueError
        If the shape is another one, or O is not a multiple of the groups.

    >>> weight = dirac_(Tensor(np.zeros((1, 1, 3, 3))))
    >>> weight[0, 0].tolist()
    [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    if not 3 <= tensor.ndim <= 5 or tensor.shape[0] % groups:
        raise ValueError(
            f"dirac_: expects a weight (O, C, …) of 3 to 5 dimensions with O a multiple of "
            f"{groups} groups, got shape {tensor.shape}"
        )
    values = np.zeros(tensor.shape)
    outputs, inputs, *kernel = tensor.shape
    centre = [size // 2 for size in kernel]
    for start in range(0, outputs, outputs // groups):
        for i in range(min(outputs // groups, inputs)):
            values[(start + i, i, *centre)] = 1
    return _fill(tensor, values)


def orthogonal_(
    tensor: Tensor, gain: float = 1.0, generator: np.random.Generator | None = None
) -> Tensor:
    """Fill with a random orthogonal matrix of (O, C · …) times the gain; return the tensor.

    Its rows are orthogonal, or its columns where there are fewer. Source: Saxe et al. 2014.

    Raises
    ------
    ValueError
        If the tensor has fewer than two dimensions.

    >>> w = orthogonal_(Tensor(np.zeros((2, 3)))).numpy()
    >>> np.round(abs(w @ w.T), 6).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: expects at least 2 dimensions, got shape {tensor.shape}")
    if not tensor.size:
        return tensor
    rows, columns = tensor.shape[0], tensor.size // tensor.shape[0]
    draws = _drawing(generator).normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(draws)
    q *= np.sign(np.diagonal(r))  # makes every orthogonal matrix equally likely
    return _fill(tensor, gain * (q.T if rows < columns else q).reshape(tensor.shape))


def sparse_(
    tensor: Tensor,
    sparsity: float,
    std: float = 0.01,
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Fill a matrix with draws from N(0, std²), a part of each column with 0; return the tensor.

    Source: Martens 2010.

    Parameters
    ----------
    tensor
        A matrix.
    sparsity
        The part of each column that is 0, rounded up to whole elements.
    std
        Of the rest.
    generator
        Where to draw from; the package's default generator if None.

    Raises
    ------
    ValueError
        If the tensor has not two dimensions, or the part is not in [0, 1].

    >>> (sparse_(Tensor(np.zeros((4, 2))), 0.5).numpy() == 0).sum(0).tolist()
    [2, 2]
    """
    if tensor.ndim != 2 or not 0 <= sparsity <= 1:
        raise ValueError(
            f"sparse_: expects a matrix and a part in [0, 1], got shape {tensor.shape} and "
            f"{sparsity}"
        )
    rows, columns = tensor.shape
    drawing = _drawing(generator)
    values = drawing.normal(0, std, (rows, columns))
    zeros = math.ceil(sparsity * rows)
    for column in range(columns):
        values[drawing.permutation(rows)[:zeros], column] = 0
    return _fill(tensor, values)


def _drawing(generator: np.random.Generator | None) -> np.random.Generator:
    return default_generator() if generator is None else generator


def _fill(tensor: Tensor, values: object) -> Tensor:
    with no_grad():
        return tensor.copy_(values)


def _uniform(tensor: Tensor, std: float, generator: np.random.Generator | None) -> Tensor:
    bound = math.sqrt(3) * std  # U(±b) has the variance b² / 3
    return uniform_(tensor, -bound, bound, generator)


def _xavier_std(tensor: Tensor, gain: float) -> float:
    return gain * math.sqrt(2 / max(1, sum(calculate_fan_in_and_fan_out(tensor))))


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fans = calculate_fan_in_and_fan_out(tensor)
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"init: expected mode 'fan_in' or 'fan_out', got {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(max(1, fans[mode == "fan_out"]))
