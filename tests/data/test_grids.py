"""Many images as one, and images as files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from tinygrad_cnn import tensor
from tinygrad_cnn.data import make_grid, save_image

Image = pytest.importorskip("PIL.Image")
X = np.random.default_rng(0).random((5, 3, 4, 6)).astype(np.float32)


def test_images_stand_in_rows() -> None:
    grid = make_grid(tensor(X), nrow=2, padding=3, pad_value=0.5).numpy()
    assert grid.shape == (3, 3 * 7 + 3, 2 * 9 + 3)
    for i in range(5):
        row, column = divmod(i, 2)
        window = grid[:, 3 + 7 * row : 7 + 7 * row, 3 + 9 * column : 9 + 9 * column]
        np.testing.assert_array_equal(window, X[i])
    assert grid[:, 17:21, 12:18].min() == grid[:, 17:21, 12:18].max() == 0.5


def test_what_is_taken() -> None:
    w = tensor(X, requires_grad=True)
    grid = make_grid(w)
    assert not grid.requires_grad
    for same in (X, list(tensor(X)), [*X]):
        np.testing.assert_array_equal(make_grid(same).numpy(), grid.numpy())
    assert make_grid(X[0]).shape == make_grid(X[:1]).shape == (3, 4, 6)
    assert make_grid(X[0, 0]).shape == (3, 4, 6)
    assert make_grid(X[:, :1]).shape == (3, 8, 42)
    with pytest.raises(ValueError, match=r"of 1 or 3 channels, got shape \(5, 2, 4, 6\)"):
        make_grid(X[:, :2])
    with pytest.raises(TypeError, match="make_grid: expects tensors or arrays, got str"):
        make_grid("x")


def test_values_are_normalised() -> None:
    shifted = 3 * X - 7
    whole = make_grid(shifted, normalize=True).numpy()
    assert whole[:, 2:6, 2:8].max() <= 1
    np.testing.assert_allclose(whole.max(), 1, rtol=1e-5)
    each = make_grid(shifted, normalize=True, scale_each=True).numpy()
    assert each[:, 2:6, 2:8].min() == 0
    given = make_grid(shifted, normalize=True, value_range=(-7, -4)).numpy()
    np.testing.assert_allclose(given[:, 2:6, 2:8], X[0], atol=1e-5)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "grid.png"
    save_image(tensor(X), path, nrow=2)
    expected = np.clip(make_grid(X, nrow=2).numpy() * 255 + 0.5, 0, 255).astype(np.uint8)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image).transpose(2, 0, 1), expected)
    buffer = io.BytesIO()
    save_image(X, buffer, format="png", nrow=2)
    assert buffer.getvalue() == path.read_bytes()
    with pytest.raises(ValueError, match=r"is not known: end it in \.png or \.jpg"):
        save_image(X, tmp_path / "grid.what")
    assert list(tmp_path.iterdir()) == [path]
