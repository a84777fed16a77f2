"""Which results share memory with what they were made of, and which copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import tinygrad_cnn.functional as F
import tinygrad_cnn.numpy as np
from tinygrad_cnn import GraphError, Tensor, tensor

COPIES: dict[str, Callable[[Any], Any]] = {  # in PyTorch
    "flip": lambda x: F.flip(x, 0),
    "flipud": F.flipud,
    "fliplr": F.fliplr,
    "rot90": F.rot90,
    "rot90, not at all": lambda x: F.rot90(x, 0),
    "rot90, twice": lambda x: F.rot90(x, 2),
    "pad by nothing": lambda x: F.pad(x, (0, 0)),
    "pad that crops": lambda x: F.pad(x, (-1, 0)),
    "mirrored by nothing": lambda x: F.pad(x, (0, 0), mode="reflect"),
    "repeat once": lambda x: F.repeat(x, 1, 1),
    "repeat one element": lambda x: F.repeat(x[:1, :1], 3, 1),
    "tile once": lambda x: F.tile(x, 1),
    "diag": F.diag,
}
NUMPY_COPIES: dict[str, Callable[[Any], Any]] = {
    "tile": lambda x: np.tile(x, 1),
    "tile one element": lambda x: np.tile(x[:1, :1], 3),
    "positive": np.positive,
    "plus": lambda x: +x,
    "meshgrid": lambda x: np.meshgrid(x[0], x[1])[0],
    "pad": lambda x: np.pad(x, 0),
}
NUMPY_VIEWS: dict[str, Callable[[Any], Any]] = {
    "flip": np.flip,
    "flipud": np.flipud,
    "fliplr": np.fliplr,
    "rot90": np.rot90,
    "real": np.real,
    "real_if_close": np.real_if_close,
}


def result_of(make: Callable[..., Any]) -> Any:
    w = make(numpy.arange(6.0).reshape(2, 3) + 1)
    w.requires_grad = True
    return w, w * 2


@pytest.mark.parametrize(
    ("make", "function"),
    [
        *[pytest.param(tensor, f, id=f"functional-{name}") for name, f in COPIES.items()],
        *[pytest.param(np.array, f, id=f"numpy-{name}") for name, f in NUMPY_COPIES.items()],
    ],
)
def test_what_is_written_to_a_copy_does_not_show_in_its_source(
    make: Callable[..., Tensor], function: Callable[[Any], Any]
) -> None:
    w, y = result_of(make)
    copy = function(y)
    expected = w.detach().numpy() * 2
    copy *= 0.0
    copy += w[0, 0]
    assert y.tolist() == expected.tolist()
    (y.sum() + copy.sum()).backward()
    counts = numpy.full((2, 3), 2.0)
    counts[0, 0] += copy.numel()
    assert w.grad.tolist() == counts.tolist()


@pytest.mark.parametrize("name", NUMPY_VIEWS)
def test_what_is_written_to_a_view_of_numpys_shows_in_its_source(name: str) -> None:
    w, y = result_of(np.array)
    view = NUMPY_VIEWS[name](y)
    view *= 3.0
    assert y.tolist() == (w.detach() * 6).tolist()
    y.sum().backward()
    assert w.grad.tolist() == numpy.full((2, 3), 6.0).tolist()


def test_flat_writes_to_the_array_however_it_lies_in_memory() -> None:
    w, y = result_of(np.array)
    y.T.flat[1] = w[0, 0] * 100
    y.flat[[0, 2]] = 7.0
    assert y.tolist() == [[7.0, 4.0, 7.0], [100.0, 10.0, 12.0]]
    assert [v.item() for v in y.flat] == y.flat.copy().tolist() == y.ravel().tolist()
    y.sum().backward()
    assert w.grad.tolist() == [[100.0, 2.0, 0.0], [0.0, 2.0, 2.0]]
    _, z = result_of(np.array)
    z.T.flat = 1.0
    assert z.tolist() == numpy.ones((2, 3)).tolist()


def test_ufuncs_at_name_themselves_and_write_to_their_places_only() -> None:
    w, y = result_of(np.array)
    other = y[1] * y[1]
    np.add.at(y[0], [0, 0, 2], w[1])
    np.subtract.at(y, (0, 1), w[0, 0])
    assert y[0].tolist() == [2.0 + 4 + 5, 4.0 - 1, 6.0 + 6]
    (y.sum() + other.sum()).backward()  # y[1] was not written to
    assert w.grad.tolist() == [[1.0, 2.0, 2.0], [35.0, 43.0, 51.0]]
    _, y = result_of(np.array)
    other = y * y
    np.add.at(y, 0, 1.0)
    with pytest.raises(GraphError, match=r"last write was numpy\.add\.at"):
        other.sum().backward()


def test_an_expanded_tensor_says_what_to_write_to() -> None:
    with pytest.raises(ValueError, match=r"was expanded .* write to its clone\(\)"):
        tensor([1.0, 2.0]).expand(2, 2)[0] = 1.0


def test_a_masked_array_takes_no_gradient_away() -> None:
    _, y = result_of(tensor)
    masked = numpy.ma.array(numpy.ones(3), mask=[True, False, False])
    for attempt in (lambda: masked * y, lambda: numpy.ma.add(y, 1.0)):
        with pytest.raises(TypeError, match="without its gradient"):
            attempt()
    assert (masked * y.detach())[0].tolist() == [None, 4.0, 6.0]


def test_text_is_no_tensor() -> None:
    with pytest.raises(TypeError, match="real numbers"):
        tensor([1.0]).to(str)
    assert np.array([1.0]).astype(str).tolist() == ["1.0"]
