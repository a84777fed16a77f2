"""Tables of rows: layers against PyTorch where it is, and rows shortened in the table itself."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn, tensor
from tinygrad_cnn.graph import GraphError


@pytest.fixture
def peer():
    return pytest.importorskip("torch", reason="PyTorch is compared with where it is installed")


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_embedding_layers(peer):
    words, weight = np.array([[1, 0, 2], [2, 2, 4]]), numbers(5, 3)
    for settings in ({}, {"padding_idx": 2}, {"padding_idx": -1, "scale_grad_by_freq": True}):
        ours, theirs = nn.Embedding(5, 3, **settings), peer.nn.Embedding(5, 3, **settings)
        assert ours.padding_idx is None or not ours.weight.numpy()[ours.padding_idx].any()
        ours.weight = nn.Parameter(weight)
        theirs.weight = peer.nn.Parameter(peer.tensor(weight))
        a, b = ours(words), theirs(peer.tensor(words))
        np.testing.assert_array_equal(a.numpy(), b.detach().numpy())
        (a * numbers(*a.shape)).sum().backward()
        (b * peer.tensor(numbers(*a.shape))).sum().backward()
        np.testing.assert_allclose(ours.weight.grad.numpy(), theirs.weight.grad.numpy())
    for mode in ("sum", "mean", "max"):
        ours = nn.EmbeddingBag.from_pretrained(weight, freeze=False, mode=mode, padding_idx=0)
        theirs = peer.nn.EmbeddingBag.from_pretrained(
            peer.tensor(weight), freeze=False, mode=mode, padding_idx=0
        )
        a, b = ours(words), theirs(peer.tensor(words))
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-12)


def test_embedding_layers_refuse():
    with pytest.raises(ValueError, match="Embedding: padding_idx 5 does not exist in 5 rows"):
        nn.Embedding(5, 3, padding_idx=5)
    with pytest.raises(ValueError, match="EmbeddingBag: mode expects"):
        nn.EmbeddingBag(5, 3, mode="min")
    with pytest.raises(ValueError, match=r"embeddings expects shape \(entries, width\)"):
        nn.Embedding.from_pretrained(np.ones(3))
    assert not nn.Embedding.from_pretrained(np.ones((2, 3))).weight.requires_grad


# ------------------------------------------------------------------------------- max_norm


def shortened(weight, index, most, power):
    rows = weight.copy()
    for i in set(np.ravel(index)):
        norm = (np.abs(rows[i]) ** power).sum() ** (1 / power)
        if norm > most:
            rows[i] *= most / (norm + 1e-7)
    return rows


@pytest.mark.parametrize("power", [2.0, 1.0, 3.0])
@pytest.mark.parametrize("function", ["embedding", "embedding_bag"])
def test_rows_looked_up_are_shortened_in_the_table(function, power):
    before, index = 3 * numbers(6, 4), np.array([[4, 1, 4], [0, 1, 5]])
    weight = tensor(before.copy(), requires_grad=True)
    out = getattr(F, function)(index, weight, max_norm=2.5, norm_type=power)
    rows = shortened(before, index, 2.5, power)
    assert not np.array_equal(rows, before)
    np.testing.assert_allclose(weight.numpy(), rows, rtol=1e-12)
    looked_up = rows[index]
    np.testing.assert_allclose(
        out.detach().numpy(), looked_up.mean(1) if "bag" in function else looked_up, rtol=1e-12
    )
    out.sum().backward()
    share = 1 / 3 if "bag" in function else 1.0
    count = np.bincount(index.reshape(-1), minlength=6)[:, None] * share
    np.testing.assert_allclose(weight.grad.numpy(), np.broadcast_to(count, (6, 4)), rtol=1e-12)


def test_rows_that_are_short_enough_stay_and_nothing_counts_as_written():
    weight = tensor(numbers(6, 4), requires_grad=True)
    before = weight.numpy().copy()
    product = (weight * weight).sum()
    F.embedding(np.array([1, 2]), weight, max_norm=100.0)
    product.backward()
    np.testing.assert_array_equal(weight.numpy(), before)


def test_who_kept_the_table_before_it_was_shortened_is_told():
    weight = tensor(10 * np.ones((3, 2)), requires_grad=True)
    product = (weight * weight).sum()
    F.embedding(np.array([0]), weight, max_norm=1.0)
    with pytest.raises(GraphError, match="embedding's max_norm"):
        product.backward()


@pytest.mark.usefixtures("everything_waits")
def test_what_is_computed_later_reads_the_table_from_before():
    images, table = numbers(2, 4, 6, 6).astype(np.float32), 10 * np.ones((4, 4), np.float32)
    expected = F.conv2d(images, table.reshape(4, 4, 1, 1))
    weight = tensor(table)
    y = F.conv2d(tensor(images), weight.reshape(4, 4, 1, 1))  # waits
    F.embedding(np.arange(4), weight, max_norm=1.0)
    np.testing.assert_array_equal(y.numpy(), expected)
    np.testing.assert_allclose(weight.numpy(), 0.5, rtol=1e-6)


@pytest.mark.parametrize("name", ["Embedding", "EmbeddingBag"])
def test_layers_with_max_norm(peer, name):
    weight, index = 3 * numbers(5, 3), np.array([[1, 0, 2], [2, 2, 4]])
    ours, theirs = (
        module(5, 3, max_norm=1.5, norm_type=2.5, padding_idx=1)
        for module in (getattr(nn, name), getattr(peer.nn, name))
    )
    ours.weight = nn.Parameter(weight.copy())
    theirs.weight = peer.nn.Parameter(peer.tensor(weight.copy()))
    a, b = ours(index), theirs(peer.tensor(index))
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(ours.weight.numpy(), theirs.weight.detach().numpy(), rtol=1e-12)
    a.sum().backward()
    b.sum().backward()
    np.testing.assert_allclose(ours.weight.grad.numpy(), theirs.weight.grad.numpy(), rtol=1e-12)
    assert "max_norm=1.5" in repr(ours)
