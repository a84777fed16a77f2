"""What a run's answers come to: confusions and the worst mistakes, counted by hand."""

import io

import numpy as np
import pytest

from tinygrad_cnn.report.picture import grey_png
from tinygrad_cnn.report.run import Run


def run_of(target, answers, labels, classes):
    others = ("settings", "facts", "epochs", "steps", "model", "loss", "example")
    return Run(
        network="net",
        about="",
        place="",
        metric="mean absolute error" if target == "value" else "accuracy",
        target=target,
        classes=classes,
        images=np.zeros((len(labels), 2, 2), np.uint8),
        labels=np.array(labels),
        answers=np.array(answers, np.float32),
        **dict.fromkeys(others),
    )


def test_classes():
    logits = np.log([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.1, 0.1, 0.8]])
    run = run_of("class", logits, [0, 1, 2, 2], ["cat", "dog", "cow"])
    assert run.score == 0.5
    assert run.confusion().counts.tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 1]]
    first, second = run.mistakes(9)
    assert (first.index, first.truth, first.answer) == (2, "cow", "cat")
    assert first.detail == "50.0 % for cat, 10.0 % for cow"
    assert second.index == 1
    assert [mistake.index for mistake in run.mistakes(1)] == [2]


def test_answers_beyond_the_classes_of_the_data_are_numbers():
    run = run_of("class", np.eye(4)[[0, 3]], [0, 1], ["cat", "dog"])
    assert list(run.confusion().answers) == ["cat", "dog", "2", "3"]
    assert run.mistakes(9)[0].answer == "3"


def test_detection():
    run = run_of("is_digit", [[0.9], [0.8], [0.3], [0.9999]], [0, 3, 0, 7], list("0123456789"))
    assert run.score == 0.25
    found = run.confusion()
    assert list(found.truths) == ["not 0", "0"]
    assert found.counts.tolist() == [[0, 2], [1, 1]]
    assert [mistake.index for mistake in run.mistakes(9)] == [3, 1, 2]
    assert run.mistakes(1)[0].detail == "> 99.9 % for 0, < 0.1 % for not 0"


def test_values():
    run = run_of("value", [[1.4], [5.0], [-3.0], [12.0]], [1, 3, 0, 9], list("0123456789"))
    assert run.score == pytest.approx((0.4 + 2 + 3 + 3) / 4)
    counts = run.confusion().counts
    assert [counts[1, 1], counts[3, 5], counts[0, 0], counts[9, 9]] == [1, 1, 1, 1]
    worst = run.mistakes(3)
    assert [mistake.index for mistake in worst] == [2, 3, 1]
    assert (worst[0].answer, worst[0].detail) == ("-3.00", "off by -3.00")


def test_values_that_are_not_numbers_are_the_worst():
    run = run_of("value", [[1.0], [np.nan]], [3, 1], list("0123"))
    assert run.mistakes(1)[0].index == 1
    assert run.confusion().counts.sum() == 2


def test_pictures_can_be_read_by_others():
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7), dtype=np.uint8)
    with image.open(io.BytesIO(grey_png(pixels))) as read:
        assert read.mode == "L"
        assert np.array_equal(np.asarray(read), pixels)
