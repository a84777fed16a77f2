"""A graph run again for other leaves, whole or from where they enter."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import tensor
from tinygrad_cnn.graph import nodes_below
from tinygrad_cnn.verify.subjects.replay import Replay


def leaves(*shapes):
    rng = np.random.default_rng(0)
    return [tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]


def branches(x, w, v, b):
    """A shortcut, a leaf used twice, and one that enters last."""
    y = F.relu(F.conv2d(x, w, padding=1))
    y = F.conv2d(y, v, padding=1) + y
    return ((y * v.sum()).mean((0, 2, 3)) * b).sum()


def replay_of(found):
    replay = Replay(found, nodes_below(found))
    replay.record()
    return replay


@pytest.mark.parametrize("moved", [(0,), (1,), (2,), (3,), (0, 3), (1, 2), ()])
def test_from_where_leaves_enter_it_gives_the_bits_of_the_whole(moved):
    made = leaves((2, 3, 5, 5), (4, 3, 3, 3), (4, 4, 3, 3), (4,))
    replay = replay_of(branches(*made))
    rng = np.random.default_rng(1)
    arrays = {x: replay.copies[x]._data for x in made}
    for index in moved:
        arrays[made[index]] = rng.standard_normal(made[index].shape)
    whole = replay.run(arrays)
    replay.reuses = True
    for _ in range(2):  # nothing of a first run is left in a second
        assert np.array_equal(replay.run(arrays), whole)


def test_only_what_a_leaf_reaches_runs(monkeypatch):
    made = leaves((2, 3, 5, 5), (4, 3, 3, 3), (4, 4, 3, 3), (4,))
    replay = replay_of(branches(*made))
    arrays = {made[3]: np.ones(4)}
    ran = []
    for node in replay.nodes:
        cls = type(node.op)
        forward = cls.forward

        def counted(self, *inputs, _forward=forward):
            ran.append(self.name)
            return _forward(self, *inputs)

        monkeypatch.setattr(cls, "forward", counted)
    replay.run(arrays)
    assert len(set(ran)) > 4
    ran.clear()
    replay.reuses = True
    replay.run(arrays)
    assert set(ran) == {"mul", "sum"}
    assert ran[0] == "mul"


def test_values_that_were_detached_are_run_again():
    x, w = leaves((3,), (3,))
    y = x * 2.0
    replay = replay_of((y.detach() * w + y * w).sum())
    assert replay.detached
    arrays = {x: np.ones(3)}
    whole = replay.run(arrays)
    replay.reuses = True
    assert replay.run(arrays) == whole
    assert whole == 4 * w.numpy().sum()


def test_a_detached_value_that_was_written_to_is_no_longer_the_result() -> None:
    (w,) = leaves((3,))
    y = (w * w).exp()
    untouched = replay_of((y * y.detach()).sum())
    assert untouched.detached
    y[0] = w[1] * 2.0
    written = replay_of((y * y.detach()).sum())
    assert not written.detached
    assert np.isclose(written.run({})[()], (y.detach() ** 2).sum().item())
