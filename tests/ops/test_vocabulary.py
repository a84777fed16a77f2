"""The vocabulary of arrays as users meet it: methods, half precision, PyTorch's own samples."""

from __future__ import annotations

import importlib.util
import inspect
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import Tensor, grad, linalg, tensor
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.ops import predicates
from tinygrad_cnn.ops.indexing import along, masked, rows, scattering
from tinygrad_cnn.ops.matrices import factors, inverse, norms, products
from tinygrad_cnn.ops.ordering import quantiles, scan, searching, sorting
from tinygrad_cnn.ops.pointwise import combining, gamma, powers, trigonometry
from tinygrad_cnn.ops.rearranging import cutting, diagonal, repeat
from tinygrad_cnn.verify import Verdict, check_graph

FAMILIES: list[Any] = [
    *(along, masked, rows, scattering, factors, inverse, norms, products, quantiles, scan),
    *(
        predicates,
        searching,
        sorting,
        combining,
        gamma,
        powers,
        trigonometry,
        cutting,
        diagonal,
        repeat,
    ),
]
# Functions that PyTorch has no method for, and those whose first argument is something else.
NO_METHOD = {
    *("cbrt", "xlog1py", "polygamma", "bucketize", "searchsorted", "isin", "vecdot"),
    *("tensordot", "chain_matmul", "solve", "solve_triangular", "column_stack", "dstack"),
    *("hstack", "vstack", "matrix_norm", "vector_norm", "frexp", "ldexp", "square", "flip"),
}


def names() -> list[str]:
    return sorted({name for family in FAMILIES for name in family.__all__} - NO_METHOD)


@pytest.mark.parametrize("name", names())
def test_a_function_is_a_method_too(name: str) -> None:
    assert inspect.getattr_static(Tensor, name) is getattr(F, name)


def test_methods_are_called_as_in_pytorch() -> None:
    x = tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    assert x.sort(descending=True).values.tolist() == [[2.0, 1.0, 0.0], [5.0, 4.0, 3.0]]
    assert x.topk(2, dim=1).indices.tolist() == [[2, 1], [2, 1]]
    assert x.cumsum(0).tolist() == [[0.0, 1.0, 2.0], [3.0, 5.0, 7.0]]
    assert x.cumsum(axis=0).tolist() == x.cumsum(0).tolist()
    assert x.gather(1, tensor([[0], [2]])).tolist() == [[0.0], [5.0]]
    assert x.flip(0).tolist() == x.flip((0,)).tolist() == [[3.0, 4.0, 5.0], [0.0, 1.0, 2.0]]
    assert x.flip(0, 1).tolist() == [[5.0, 4.0, 3.0], [2.0, 1.0, 0.0]]
    assert x.repeat(1, 2).shape == (2, 6)
    assert x.unbind(1)[2].tolist() == [2.0, 5.0]
    assert [part.shape for part in x.chunk(2, dim=1)] == [(2, 2), (2, 1)]
    assert x.masked_fill(x > 3, 0.0).sum().item() == 6.0
    assert x.any().item() is True
    assert x.all(dim=1).tolist() == [False, True]
    assert x.norm().item() == pytest.approx(55**0.5)
    assert isinstance(x.allclose(x), bool)


@pytest.mark.parametrize(
    "name", ["sum", "mean", "cumsum", "cummax", "sort", "median", "norm", "any"]
)
@pytest.mark.parametrize("dim", [0, -1])
def test_a_single_number_has_dimension_0(name: str, dim: int) -> None:
    found = getattr(tensor(3.0), name)(dim=dim)
    values = found[0] if isinstance(found, tuple) else found
    assert values.shape == ()
    assert values.item() == (True if name == "any" else 3.0)
    with pytest.raises(IndexError, match=f"{name}: dim 1 does not exist"):
        getattr(tensor(3.0), name)(dim=1)


def test_half_precision_is_summed_in_single() -> None:
    ones = np.full(4096, 1.0, np.float16)
    assert F.cumsum(ones, 0)[-1] == 4096.0  # in half precision it would end at 2048
    total = F.scatter_add(np.zeros(1, np.float16), 0, np.zeros(4096, int), ones)
    assert total.dtype == np.float16
    assert total[0] == 4096.0
    table = F.embedding(np.zeros(4096, int), tensor(ones[:1, None], requires_grad=True))
    (g,) = grad(table.sum(), [table])
    assert g.dtype == np.float16


@pytest.mark.parametrize(
    "function", [linalg.inv, linalg.det, linalg.cholesky, linalg.svdvals, linalg.eigvalsh]
)
def test_matrices_of_half_and_single_precision_keep_it(function: Callable[..., Any]) -> None:
    for dtype in (np.float16, np.float32):
        assert function(np.eye(2, dtype=dtype) * dtype(2)).dtype == dtype


def test_the_second_derivative_of_a_singular_determinant_is_an_error() -> None:
    A = tensor(np.ones((2, 2)), requires_grad=True)
    (g,) = grad(linalg.det(A), [A], create_graph=True)
    np.testing.assert_allclose(g.detach().numpy(), [[1.0, -1.0], [-1.0, 1.0]], rtol=1e-12)
    with pytest.raises(GraphError, match="det: the second derivative at a singular matrix"):
        grad(g.sum(), [A])


def test_what_has_no_gradient_says_so() -> None:
    A = tensor(np.ones((2, 3)), requires_grad=True)
    with pytest.raises(ValueError, match=r"full matrices of shape .* write full_matrices=False"):
        linalg.svd(A)
    assert linalg.svd(A.detach()).U.shape == (2, 2)
    for answer in (A.argsort(), A.isnan(), A.nonzero(), A.unique(), A.histc(3, 0.0, 2.0)):
        assert not answer.requires_grad


def test_searching_equals_numpy() -> None:
    rng = np.random.default_rng(0)
    edges, x = np.sort(rng.standard_normal(7)), rng.standard_normal((3, 4))
    edges[3] = edges[2] = x[0, 0]
    for right in (False, True):
        expected = np.searchsorted(edges, x, "right" if right else "left")
        assert np.array_equal(F.searchsorted(edges, x, right=right), expected)
        assert np.array_equal(F.bucketize(tensor(x), edges, right=right).numpy(), expected)
    several = np.sort(rng.standard_normal((3, 5)))
    expected = np.array([np.searchsorted(a, b) for a, b in zip(several, x, strict=True)])
    assert np.array_equal(F.searchsorted(several, x), expected)
    shuffled = rng.permutation(7)
    assert np.array_equal(
        F.searchsorted(edges[np.argsort(shuffled)], x, sorter=shuffled), F.searchsorted(edges, x)
    )
    counts = np.histogram(x, bins=5, range=(-1.0, 1.0))[0]
    assert np.array_equal(F.histc(x, 5, -1.0, 1.0), counts)
    repeated = np.array([[1, 1], [2, 1], [2, 1], [1, 1]])
    assert np.array_equal(F.unique(repeated, dim=0), np.unique(repeated, axis=0))
    found, places, count = F.unique_consecutive(
        repeated, return_inverse=True, return_counts=True, dim=0
    )
    assert np.array_equal(found[places], repeated)
    assert count.tolist() == [1, 2, 1]
    assert np.array_equal(F.one_hot(np.array([2, 0])), [[0, 0, 1], [1, 0, 0]])


def test_permutations_of_all_lengths_are_sorted() -> None:
    for size in range(6):
        for order in itertools.permutations(range(size)):
            x = np.array(order, float)
            values, indices = F.sort(x)
            assert values.tolist() == sorted(order)
            assert x[indices].tolist() == values.tolist()
            assert F.topk(x, size, largest=False).values.tolist() == values.tolist()


def test_topk_equals_sorting_with_ties_and_nan() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        x = rng.integers(0, 6, (3, 40)).astype(float)
        x[rng.random(x.shape) < 0.1] = np.nan
        for largest in (True, False):
            expected = F.sort(x, descending=largest).indices[:, :5]
            assert np.array_equal(F.topk(x, 5, largest=largest).indices, expected)


def test_rows_of_a_table_without_a_gradient_and_with_shares_of_one() -> None:
    words, rows = np.array([[1, 3, 1], [0, 1, 2]]), np.arange(8.0).reshape(4, 2)
    for words_of, expected in (
        ({"padding_idx": 1}, [1.0, 0.0, 1.0, 1.0]),
        ({"padding_idx": -3, "scale_grad_by_freq": True}, [1.0, 0.0, 1.0, 1.0]),
        ({"scale_grad_by_freq": True}, [1.0, 1.0, 1.0, 1.0]),
        ({}, [1.0, 3.0, 1.0, 1.0]),
    ):
        weight = tensor(rows, requires_grad=True)
        found = F.embedding(words, weight, **words_of)  # type: ignore[arg-type]
        assert np.array_equal(found.detach().numpy(), rows[words])
        found.sum().backward()
        assert weight.grad is not None
        assert weight.grad.numpy()[:, 0].tolist() == pytest.approx(expected)
        assert check_graph(F.embedding(words, weight, **words_of))  # type: ignore[arg-type]


def test_equals_keep_their_order_and_ranks_their_conventions() -> None:
    x = np.array([[2.0, 1.0, 2.0, 1.0], [3.0, 3.0, 0.0, 3.0]])
    assert F.sort(x).indices.tolist() == [[1, 3, 0, 2], [2, 0, 1, 3]]
    assert F.sort(x, descending=True).indices.tolist() == [[0, 2, 1, 3], [0, 1, 3, 2]]
    assert F.argsort(x).tolist() == [[1, 3, 0, 2], [2, 0, 1, 3]]
    assert F.argsort(np.array(3.0)).shape == ()
    assert F.cummax(np.array([1.0, 3.0, 3.0, 2.0, 3.0]), 0).indices.tolist() == [0, 1, 2, 2, 4]
    t = tensor(x, requires_grad=True)
    values, places = F.mode(t, 1)
    assert (values.tolist(), places.tolist()) == ([1.0, 3.0], [3, 3])
    values.sum().backward()
    assert t.grad is not None
    assert t.grad.tolist() == [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]]
    assert F.mode(tensor(2.0)).values.shape == ()


@pytest.mark.parametrize(
    "function", [lambda x: F.sort(x).values, lambda x: F.topk(x, 3).values, lambda x: F.median(x)]
)
def test_the_verification_leaves_the_order_of_equals_alone(function: Any) -> None:
    x = tensor([0.0, 2.0, 0.0, 0.0, 2.0, 2.0, 2.0, 1.0], requires_grad=True)
    assert check_graph(function(x)).verdict is not Verdict.FAIL


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_norms_do_not_overflow(dtype: Any) -> None:
    large = np.finfo(dtype).max / 100
    for function in (F.norm, lambda x: F.hypot(x[0], x[1])):
        x = tensor(np.array([3.0, 4.0], dtype) * large, requires_grad=True)
        y = function(x)
        y.backward()
        assert y.item() == pytest.approx(5 * large)
        assert x.grad is not None
        np.testing.assert_allclose(x.grad.numpy(), [0.6, 0.8], rtol=1e-6)


# ------------------------------------------------------------------------------- PyTorch


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize(
    "name",
    [
        *("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin", "sort", "topk", "kthvalue"),
        *("median", "nanmedian", "quantile", "gather", "scatter_add", "index_add", "index_copy"),
        *("masked_fill", "masked_select", "masked_scatter", "take_along_dim", "roll", "rot90"),
        *("tril", "triu", "diagonal", "kron", "cross", "tensordot", "addmm", "baddbmm"),
        *("atan2", "hypot", "logaddexp", "xlogy", "lerp", "fmod", "remainder", "copysign"),
        *("linalg.det", "linalg.inv", "linalg.solve", "linalg.cholesky", "linalg.pinv"),
        *("linalg.svdvals", "linalg.matrix_norm", "linalg.vector_norm", "linalg.norm"),
    ],
)
@pytest.mark.filterwarnings("ignore:Using torch.cross without")
def test_pytorchs_own_samples(name: str) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("expecttest")
    methods = importlib.import_module("torch.testing._internal.common_methods_invocations")
    (info, *_) = [op for op in methods.op_db if op.name == name and not op.variant_test_name]
    ours = getattr(linalg, name[7:]) if name.startswith("linalg.") else getattr(F, name)
    torch.manual_seed(0)
    samples = list(info.sample_inputs("cpu", torch.float64, requires_grad=True))
    for sample in samples[:: max(1, len(samples) // 12)]:
        words = {k: v for k, v in sample.kwargs.items() if k != "dtype"}
        if words != sample.kwargs:
            continue
        theirs = [sample.input, *sample.args]
        mine = [
            tensor(x.detach().numpy().copy(), requires_grad=x.requires_grad)
            if isinstance(x, torch.Tensor)
            else x
            for x in theirs
        ]
        pairs = list(
            zip(_flat(ours(*mine, **words)), _flat(info.op(*theirs, **words)), strict=True)
        )
        for got, expected in pairs:
            np.testing.assert_allclose(
                got.detach().numpy(), expected.detach().numpy(), rtol=1e-9, atol=1e-10
            )
        losses = [(g.sum(), e.sum()) for g, e in pairs if e.requires_grad]
        sum(g for g, _ in losses).backward()
        leaves = [x for x in theirs if isinstance(x, torch.Tensor) and x.requires_grad]
        found = torch.autograd.grad(sum(e for _, e in losses), leaves, allow_unused=True)
        wanted = [x for x in mine if isinstance(x, Tensor) and x.requires_grad]
        for x, g in zip(wanted, found, strict=True):
            expected = np.zeros(x.shape) if g is None else g.numpy()
            actual = np.zeros(x.shape) if x.grad is None else x.grad.numpy()
            np.testing.assert_allclose(actual, expected, rtol=1e-7, atol=1e-9)


def _flat(found: Any) -> list[Any]:
    return list(found) if isinstance(found, tuple) else [found]
