"""Tables of rows that are learned: `Embedding` and `EmbeddingBag`."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

import tinygrad_cnn.functional as F
from tinygrad_cnn.dtypes import factory
from tinygrad_cnn.nn import init
from tinygrad_cnn.nn.linear import positive
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.types import Operand

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """A weight of one row an entry, N(0, 1); the row of the padding index is 0."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        scale_grad_by_freq: bool,
        sparse: bool,
        generator: np.random.Generator | None,
        dtype: npt.DTypeLike,
    ) -> None:
        name = type(self).__name__
        self.num_embeddings = positive(name, "num_embeddings", num_embeddings)
        self.embedding_dim = positive(name, "embedding_dim", embedding_dim)
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(
                    f"{name}: padding_idx {padding_idx} does not exist in {num_embeddings} rows"
                )
            padding_idx = int(padding_idx) % self.num_embeddings
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        shape = self.num_embeddings, self.embedding_dim
        self.weight = Parameter(np.zeros(shape, dtype))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: np.random.Generator | None = None) -> None:
        """Draw the weight anew."""
        init.normal_(self.weight, generator=generator)
        if self.padding_idx is not None:
            values = self.weight.numpy()
            values[self.padding_idx] = 0
            self.weight.data = values

    @classmethod
    def _around(cls, embeddings: Any, freeze: bool, settings: dict[str, Any]) -> Self:
        values = embeddings.numpy() if isinstance(embeddings, Tensor) else np.asarray(embeddings)
        if values.ndim != 2:
            raise ValueError(
                f"{cls.__name__}: embeddings expects shape (entries, width), got {values.shape}"
            )
        table = cls(*values.shape, **{"dtype": values.dtype, **settings})
        table.weight = Parameter(values, requires_grad=not freeze)
        return table

    def extra_repr(self) -> str:
        """Return the settings."""
        given = {"padding_idx": self.padding_idx, "max_norm": self.max_norm}
        words = "".join(f", {name}={value}" for name, value in given.items() if value is not None)
        return f"{self.num_embeddings}, {self.embedding_dim}{words}"


class Embedding(_Table):
    """Look up rows of a table that is learned.

    Parameters
    ----------
    num_embeddings, embedding_dim
        V and D.
    padding_idx
        An entry whose row is 0 and gets no gradient.
    max_norm, norm_type
        Before they are looked up, rows whose `norm_type`-norm is greater than `max_norm` are
        shortened to it in the weight itself, without a gradient.
    scale_grad_by_freq
        Divide the gradient of a row by the number of times that it is looked up.
    sparse
        Taken for PyTorch's sake; gradients are dense.
    generator
        Draws the weight, N(0, 1); the package's default generator if None.
    dtype
        Of the weight.

    Attributes
    ----------
    weight
        Shape (V, D).

    Raises
    ------
    ValueError
        If a number is less than 1 or the padding index does not exist.

    Notes
    -----
    Integers of any shape (…), result (…, D).

    >>> Embedding(10, 3)(np.array([[1, 2, 4], [4, 3, 2]])).shape
    (2, 3, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        *,
        generator: np.random.Generator | None = None,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
    ) -> None:
        dtype = factory(dtype, device)
        sizes = num_embeddings, embedding_dim, padding_idx, max_norm, norm_type
        super().__init__(*sizes, scale_grad_by_freq, sparse, generator, dtype)

    @classmethod
    def from_pretrained(cls, embeddings: Operand, freeze: bool = True, **settings: Any) -> Self:
        """Make a layer of a given table, which is not learned any further if it is frozen.

        >>> Embedding.from_pretrained(np.array([[1.0, 2.0], [3.0, 4.0]]))(np.array([1])).numpy()
        array([[3., 4.]])
        """
        return cls._around(embeddings, freeze, settings)

    def forward(self, input: Any) -> Any:
        """Apply `functional.embedding`."""
        return F.embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
        )


class EmbeddingBag(_Table):
    """Look up rows of a table that is learned, and reduce them bag by bag.

    Parameters
    ----------
    num_embeddings, embedding_dim, max_norm, norm_type, scale_grad_by_freq, sparse, padding_idx
        As for `Embedding`; the padding index does not count in its bag.
    mode
        "sum", "mean" or "max".
    include_last_offset
        Whether the offsets end with the number of indices.
    generator, dtype
        As for `Embedding`.

    Attributes
    ----------
    weight
        Shape (V, D).

    Raises
    ------
    ValueError
        As for `Embedding`, or if the mode is another.

    Notes
    -----
    Integers (bags, n), or a vector with offsets; result (bags, D).

    >>> EmbeddingBag(10, 3)(np.array([1, 2, 4, 5, 4]), np.array([0, 2])).shape
    (2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        *,
        generator: np.random.Generator | None = None,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
    ) -> None:
        dtype = factory(dtype, device)
        sizes = num_embeddings, embedding_dim, padding_idx, max_norm, norm_type
        super().__init__(*sizes, scale_grad_by_freq, sparse, generator, dtype)
        if mode not in ("sum", "mean", "max"):
            raise ValueError(f"EmbeddingBag: mode expects 'sum', 'mean' or 'max', got {mode!r}")
        self.mode = mode
        self.include_last_offset = include_last_offset

    @classmethod
    def from_pretrained(cls, embeddings: Operand, freeze: bool = True, **settings: Any) -> Self:
        """Make a layer of a given table, which is not learned any further if it is frozen.

        >>> table = EmbeddingBag.from_pretrained(np.array([[1.0, 2.0], [3.0, 4.0]]))
        >>> table(np.array([[0, 1]])).numpy()
        array([[2., 3.]])
        """
        return cls._around(embeddings, freeze, settings)

    def forward(self, input: Any, offsets: Any = None, per_sample_weights: Any = None) -> Any:
        """Apply `functional.embedding_bag`."""
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            mode=self.mode,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"{super().extra_repr()}, mode={self.mode!r}"
