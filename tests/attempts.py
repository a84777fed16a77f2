"""Attempts at a silent wrong gradient: what is written, how, when, and which operation holds it.

``python -m tests.attempts`` makes all of them for every sample of every operation and says what
came of them; ``--every 50`` makes each fiftieth, as the test does. An attempt fails if a gradient
comes out that is not that of the values from before: right are that gradient itself, and an error
that says what was changed in place.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tests.op_samples import SAMPLES
from tests.samples.base import Sample
from tinygrad_cnn import Tensor, grad, no_grad, tensor
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.optim import SGD
from tinygrad_cnn.random import manual_seed
from tinygrad_cnn.tensor import as_tensor

Array = np.ndarray[Any, Any]


class _Subclass(np.ndarray):  # type: ignore[type-arg]
    """As np.memmap and users' own."""


# ------------------------------------------------------------------------------- how


def _other(array: Array) -> Any:
    """Return values that an array of this type does not hold."""
    if array.dtype == np.bool_:
        return np.logical_not(array)
    return np.zeros_like(array) if array.dtype.kind in "iu" else np.asarray(array * 0.5 - 3.25)


def _through_numpy(t: Tensor) -> None:
    t.detach().numpy()[...] = _other(t._data)


def _through_data(t: Tensor) -> None:
    t.data[...] = tensor(_other(t._data))


def _through_data_augmented(t: Tensor) -> None:
    t.data -= 1


def _through_a_view(t: Tensor) -> None:
    array = t.detach().numpy()
    view = array.reshape(-1)
    if np.shares_memory(view, array):
        view[:1] = _other(view[:1])
    else:
        array[:1] = _other(array[:1])


def _through_an_old_view(t: Tensor) -> None:
    t.detach().T.numpy()[...] = _other(t._data).T


def _through_out(t: Tensor) -> None:
    array = t.detach().numpy()
    np.copyto(array, _other(array))


def _through_setitem(t: Tensor) -> None:
    with no_grad():
        t[...] = tensor(_other(t._data))


def _through_setitem_of_a_detached(t: Tensor) -> None:
    t.detach()[...] = tensor(_other(t._data))


def _through_copy(t: Tensor) -> None:
    with no_grad():
        t.copy_(tensor(_other(t._data)))


def _through_an_optimiser(t: Tensor) -> None:
    leaf = t.detach().requires_grad_()  # the same memory
    leaf.grad = np.full(leaf.shape, 3.0)
    SGD([leaf], lr=0.5).step()


HOW: list[Callable[[Tensor], None]] = [
    _through_numpy,
    _through_data,
    _through_data_augmented,
    _through_a_view,
    _through_an_old_view,
    _through_out,
    _through_setitem,
    _through_setitem_of_a_detached,
    _through_copy,
    _through_an_optimiser,
]


# ------------------------------------------------------------------------------- what and when

# How an input is given: as a leaf, as a result, as a constant, or as memory that the user holds.
GIVEN = ["leaf", "result", "constant", "array", "subclass", "shared", "view"]
WHEN = ["before the pass", "between two passes", "in a hook", "before a recorded pass"]


class Attempt(NamedTuple):
    """One attempt."""

    sample: Sample
    place: int  # which input, -1 for the result
    given: str
    how: Callable[[Tensor], None]
    when: str

    def __str__(self) -> str:
        place = "the result" if self.place < 0 else f"input {self.place} ({self.given})"
        how = self.how.__name__.strip("_").replace("_", " ")
        return f"{self.sample.id}: {place} written {how}, {self.when}"


def attempts(samples: list[Sample]) -> Iterator[Attempt]:
    """Iterate over all attempts."""
    for sample in samples:
        places = range(len(sample.inputs))
        whats = [*itertools.product(places, GIVEN), (-1, "leaf")]
        for (place, given), how, when in itertools.product(whats, HOW, WHEN):
            yield Attempt(sample, place, given, how, when)


def _prepare(attempt: Attempt) -> tuple[list[Any], list[Tensor], Callable[[], None]]:
    """Return the arguments, the leaves among them, and a function that writes to the input."""
    arguments: list[Any] = []
    leaves: list[Tensor] = []
    target: Any = None
    for place, values in enumerate(attempt.sample.inputs):
        given = attempt.given if place == attempt.place else "leaf"
        array = np.array(values)
        if given in ("leaf", "result") and array.dtype.kind == "f":
            leaf = tensor(array, requires_grad=True)
            leaves.append(leaf)
            x: Any = leaf if given == "leaf" else leaf + 0.0
            held: Any = x
        elif given in ("leaf", "result", "constant"):
            x = held = tensor(array)
        else:
            if given == "subclass":
                array = array.view(_Subclass)
            elif given == "view":
                around = np.stack([array, array])
                array = around[1]
            x = as_tensor(array) if given == "shared" else array
            held = as_tensor(array)  # writes to the user's own memory
        arguments.append(x)
        if place == attempt.place:
            target = held

    def write() -> None:
        attempt.how(target)

    return arguments, leaves, write


def _tensors_in(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result] if result.requires_grad else []
    return [t for part in result for t in _tensors_in(part)] if isinstance(result, tuple) else []


def _gradients(attempt: Attempt, writes: bool) -> list[Any] | str | None:
    """Return the gradients, what an error said, or None where there is nothing to try."""
    manual_seed(0)
    arguments, leaves, write = _prepare(attempt)
    results = _tensors_in(attempt.sample.function(*arguments))
    if not results or not leaves:
        return None
    if attempt.place < 0:
        write = lambda: attempt.how(results[0])  # noqa: E731  # in place of the input's
    rng = np.random.default_rng(1)
    gs = [rng.standard_normal(r.shape) for r in results]
    kept = attempt.when == "between two passes"
    recorded = attempt.when == "before a recorded pass"
    try:
        if kept:
            grad(results, leaves, gs, retain_graph=True, allow_unused=True)
        if attempt.when == "in a hook":
            for result in results:
                result.register_hook(lambda _: write() if writes else None)
        elif writes:
            write()
        found = grad(results, leaves, gs, create_graph=recorded, allow_unused=True)
    except (GraphError, ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return [None if g is None else g.detach().numpy() for g in found]


def outcome(attempt: Attempt) -> str:
    """Return what came of an attempt: "right", "refused", "nothing to try", or what is wrong."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = _gradients(attempt, writes=False)
        if wanted is None or isinstance(wanted, str):
            return "nothing to try"
        found = _gradients(attempt, writes=True)
    if isinstance(found, str):
        return "refused"
    assert found is not None
    same = all(
        (w is None and f is None)
        or (w is not None and f is not None and np.array_equal(w, f, equal_nan=True))
        for w, f in zip(wanted, found, strict=True)
    )
    return "right" if same else f"WRONG, without a word: {attempt}"


def main() -> None:
    """Make the attempts and print what came of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.attempts", description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="make only each so manieth attempt")
    chosen = itertools.islice(attempts(SAMPLES), None, None, parser.parse_args().every)
    counts: Counter[str] = Counter()
    for attempt in chosen:
        found = outcome(attempt)
        if found.startswith("WRONG"):
            print(found, flush=True)
        counts[found.split(",")[0]] += 1
    print(", ".join(f"{count} {name}" for name, count in counts.most_common()))
    raise SystemExit(1 if counts["WRONG"] else 0)


if __name__ == "__main__":
    main()
