"""The default generator: one object, seeded and restored in place."""

import json

import numpy as np
import pytest

from tinygrad_cnn.random import default_generator, get_rng_state, manual_seed, set_rng_state


def test_manual_seed_reseeds_the_one_generator():
    held = default_generator()
    assert manual_seed(3) is held
    expected = np.random.default_rng(3).random(5)
    np.testing.assert_array_equal(held.random(5), expected)
    manual_seed(np.int64(3))
    np.testing.assert_array_equal(default_generator().random(5), expected)


def test_state_passes_through_json():
    held = manual_seed(2**200)
    held.integers(10, size=3, dtype=np.uint32)  # leaves half a 64-bit draw in the state
    text = json.dumps(get_rng_state())
    expected = held.integers(1000, size=7, dtype=np.uint32)
    manual_seed(0)
    set_rng_state(json.loads(text))
    np.testing.assert_array_equal(held.integers(1000, size=7, dtype=np.uint32), expected)


def test_state_is_a_copy():
    manual_seed(1)
    state = get_rng_state()
    before = json.dumps(state)
    default_generator().random(10)
    assert json.dumps(state) == before


@pytest.mark.parametrize("seed", [1.5, "1", None])
def test_seed_must_be_an_integer(seed):
    with pytest.raises(TypeError, match="manual_seed: expected an integer, got"):
        manual_seed(seed)


def test_seed_must_not_be_negative():
    with pytest.raises(ValueError, match="manual_seed: expected a non-negative integer, got -1"):
        manual_seed(-1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.pop("state"),
        lambda state: state.update(bit_generator="MT19937"),
        lambda state: state["state"].update(inc="x"),
        lambda state: state["state"].update(state=1 << 200),
        lambda state: state.update(uinteger=-1),
    ],
)
def test_a_bad_state_is_refused_and_changes_nothing(damage):
    manual_seed(6)
    state = get_rng_state()
    damage(state)
    manual_seed(5)
    with pytest.raises(ValueError, match="set_rng_state: expected the state of a PCG64"):
        set_rng_state(state)
    np.testing.assert_array_equal(default_generator().random(3), np.random.default_rng(5).random(3))


def test_state_of_a_wrong_kind():
    with pytest.raises(ValueError, match="got 'seed'"):
        set_rng_state("seed")
