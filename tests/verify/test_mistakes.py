"""Each mistake of the hand-written networks is found and explained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.verify import mistakes as m
from tinygrad_cnn.verify import GradientError, Report, Verdict, check_backward

_rng = np.random.default_rng(5)
_normal = _rng.standard_normal

X, W = _normal((6, 7)), _normal((4, 3, 3))
IMAGES = _normal((4, 6, 3))


def check(*arguments: Any, **settings: Any) -> Report:
    return check_backward(*arguments, raise_exception=False, **settings)


def hints(report: Report, name: str) -> set[str]:
    return {h.code for r in report.results if r.input == name for h in r.hints}


def kinds(report: Report, name: str) -> set[str]:
    return {f.kind for r in report.results if r.input == name for f in r.findings}


def verdicts(report: Report) -> dict[str, str]:
    return {r.input: r.verdict.value for r in report.results}


RIGHT = [
    (m.convolve, m.convolve_backward, (X, W)),
    (m.relu, m.relu_backward, (IMAGES,)),
    (m.max_pool, m.max_pool_backward, (IMAGES,)),
    (m.max_pool, m.max_pool_backward, (np.zeros((4, 6, 2)),)),
    (m.softmax, m.softmax_backward, (_normal(5),)),
    (m.softmax, m.softmax_backward, (np.array([900.0, 0.0, 901.0]),)),
    (m.mean_squared_error, m.mean_squared_error_backward, (_normal(5), _normal(5))),
]


@pytest.mark.parametrize(("forward", "backward", "inputs"), RIGHT)
def test_what_is_right_passes(forward: Any, backward: Any, inputs: Any) -> None:
    report = check_backward(forward, backward, inputs)
    assert report
    assert report.verdict in (Verdict.PASS, Verdict.KINK)


def test_filter_gradient_assigned_at_each_window() -> None:
    report = check(m.convolve, m.convolve_backward_last_window, (X, W))
    assert verdicts(report) == {"x": "PASS", "w": "FAIL"}
    assert hints(report, "w") == {"last window"}
    assert "= for +=?" in report.text()


def test_relu_mask_of_the_gradient() -> None:
    report = check(m.relu, m.relu_backward_mask_of_gradient, (_normal((5, 6)),))
    assert hints(report, "x") == {"wrong mask"}
    assert "the sign of the incoming gradient" in report.text()


def test_momentum_times_the_weight_itself() -> None:
    # An update is a function too, but its backward pass tells nothing of what was meant.
    arrays = (_normal(4), _normal(4), _normal(4))

    def backward(g: Any, *_: Any) -> Any:
        return 1.95 * g, 0.0 * g, -0.009 * g

    assert check(m.momentum_step, backward, arrays)
    report = check(m.momentum_step, backward, arrays, reference=m.right_momentum_step)
    assert report.results[0].verdict is Verdict.FAIL
    assert "forward differs from the reference in 4 of 4 values" in report.text()


def test_softmax_without_the_maximum() -> None:
    small = _normal(5)
    assert check(m.softmax_without_maximum, m.softmax_backward_without_maximum, (small,))
    large = np.array([720.0, 0.0, 1.0])
    report = check(m.softmax_without_maximum, m.softmax_backward_without_maximum, (large,))
    assert not report
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "forward gives NaN or infinity in 1 of 3 results" in report.text()
    report = check(
        m.softmax_without_maximum,
        m.softmax_backward_without_maximum,
        (large,),
        reference=m.softmax,
    )
    assert report.verdict is Verdict.FAIL


def test_a_name_that_does_not_exist() -> None:
    report = check(m.convolve, m.convolve_backward_misspelt, (X, W))
    assert verdicts(report) == {"x": "FAIL", "w": "FAIL"}
    assert "the rule raised NameError: name 'gradient' is not defined" in report.text()


def test_input_gradient_in_another_array() -> None:
    report = check(m.convolve, m.convolve_backward_other_array, (X, W))
    assert verdicts(report) == {"x": "FAIL", "w": "PASS"}
    assert "zero" in kinds(report, "x")
    assert "the whole gradient is 0, while the numeric one is not" in report.text()


def test_input_gradient_cropped() -> None:
    report = check(m.convolve, m.convolve_backward_cropped, (X, W))
    assert "the gradient of x has shape (4, 5), expected (6, 7)" in report.text()


def test_max_pool_gives_to_every_tie() -> None:
    tied = np.maximum(_normal((4, 6, 3)), 0.0)
    tied[:2, :2] = 0.0
    report = check(m.max_pool, m.max_pool_backward_every_tie, (tied,))
    assert report.verdict is Verdict.FAIL
    assert hints(report, "x") == {"ties"}
    assert "up to 4 equal elements" in report.text()
    distinct = _normal((4, 6, 3))
    report = check(m.max_pool, m.max_pool_backward_every_tie, (distinct,))
    assert "right where it was recorded, but wrong where elements are 0 or equal" in report.text()
    assert hints(report, "x") == {"ties"}


def test_batch_norm_of_test_images_depends_on_the_batch() -> None:
    # Not a matter of gradients: the answer for the first image changes with the second.
    batch = _normal((3, 2))
    mean, var = batch.mean(0), batch.var(0)

    def backward(g: Any, x: Any) -> Any:
        s = np.sqrt(x.var(0) + 1e-5)
        n = (x - x.mean(0)) / s
        return ((g - g.mean(0) - n * (g * n).mean(0)) / s,)

    def with_running_statistics(x: Any) -> Any:
        return (x - mean) / np.sqrt(var + 1e-5)

    assert check(m.batch_norm_of_test_images, backward, (batch,))
    other = np.concatenate([batch[:1], _normal((2, 2))])
    report = check(
        m.batch_norm_of_test_images, backward, (other,), reference=with_running_statistics
    )
    assert report.results[0].verdict is Verdict.FAIL


def test_loss_gradient_without_the_target() -> None:
    report = check(
        m.mean_squared_error, m.mean_squared_error_backward_without_target, (_normal(5), _normal(5))
    )
    assert verdicts(report) == {"prediction": "FAIL", "target": "PASS"}
    assert report.failures[0].wrong is not None
    assert report.failures[0].wrong.where == "every element"


def test_some_gradients_divided_by_the_batch() -> None:
    report = check(
        m.linear_loss,
        m.linear_loss_backward_partly_divided,
        (_normal((8, 3)), _normal(3), _normal(1), _normal(8).round().astype(int)),
    )
    assert verdicts(report) == {"x": "PASS", "w": "FAIL", "b": "PASS", "target": "SKIPPED"}
    assert hints(report, "w") == {"times N"}
    assert "8 times too large: the batch, the length of x" in report.text()


def test_forward_over_the_size_of_the_filter() -> None:
    report = check(m.convolve_over_filter_size, m.convolve_backward, (X, W))
    assert verdicts(report) == {"x": "FAIL", "w": "FAIL"}
    report = check(m.convolve_over_filter_size, m.convolve_backward, (X, W), reference=m.convolve)
    assert "forward differs from the reference" in report.text()


def test_filter_gradient_flipped() -> None:
    report = check(m.convolve, m.convolve_backward_flipped, (X, W))
    assert verdicts(report) == {"x": "PASS", "w": "FAIL"}
    assert hints(report, "w") == {"flipped"}
    assert "flipped spatially" in report.text()


def test_pool_with_sides_exchanged() -> None:
    square = _normal((4, 4, 3))
    assert check(m.max_pool_sides_exchanged, m.max_pool_backward, (square,), reference=m.max_pool)
    report = check(m.max_pool_sides_exchanged, m.max_pool_backward, (IMAGES,), reference=m.max_pool)
    assert verdicts(report) == {"forward": "FAIL", "x": "FAIL"}
    assert "forward raised ValueError: zero-size array" in report.text()


def test_gradients_never_written() -> None:
    report = check(m.convolve, m.convolve_backward_unwritten, (X, W))
    assert verdicts(report) == {"x": "FAIL", "w": "FAIL"}
    assert "backward returned None" in report.text()


def test_a_mistake_raises_with_the_report() -> None:
    with pytest.raises(GradientError, match="hint: it is flipped spatially"):
        check_backward(m.convolve, m.convolve_backward_flipped, (X, W))
