"""PyTorch's old words for `reduction`: what they mean, and that they are warned of."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import nn

WORDS = [
    ({"size_average": True}, "mean"),
    ({"size_average": False}, "sum"),
    ({"reduce": False}, "none"),
    ({"reduce": True, "size_average": False}, "sum"),
    ({"reduce": False, "size_average": True}, "none"),
]
X, T = np.array([[1.0, 2.0], [3.0, 5.0]]), np.zeros((2, 2))


@pytest.mark.parametrize(("words", "reduction"), WORDS)
def test_they_are_translated(words, reduction):
    classes, ones = np.array([0, 1]), np.ones(2)
    calls = [
        (F.mse_loss, (X, T)),
        (F.cross_entropy, (X, classes)),
        (F.binary_cross_entropy_with_logits, (X, T)),
        (F.margin_ranking_loss, (X[0], T[0], ones)),
        (F.cosine_embedding_loss, (X, X, ones)),
        (F.multi_margin_loss, (X, classes)),
    ]
    for function, inputs in calls:
        with pytest.warns(
            UserWarning, match=f"{function.__name__}: .*write reduction='{reduction}"
        ):
            found = function(*inputs, **words)
        np.testing.assert_array_equal(found, function(*inputs, reduction=reduction))
    for layer in (nn.MSELoss, nn.CrossEntropyLoss, nn.KLDivLoss, nn.TripletMarginLoss):
        with pytest.warns(UserWarning, match=f"{layer.__name__}: size_average and reduce are"):
            assert layer(**words).reduction == reduction


def test_they_may_come_first():
    with pytest.warns(UserWarning, match="write reduction='none'"):
        assert nn.MSELoss(None, False).reduction == "none"
    assert nn.MSELoss(None, None, "sum").reduction == "sum"
    assert nn.MSELoss("sum").reduction == "sum"
    assert nn.CrossEntropyLoss(size_average=None, reduce=None).reduction == "mean"
