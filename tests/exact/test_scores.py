"""Metrics against values worked out by hand."""

import math

import numpy as np
import pytest

from fpgaml.errors import DataError
from fpgaml.exact.scores import cross_entropy, probabilities, score

# three classes; 6 images; found: 0 0 1 1 2 0
LOGITS = np.array([[5, 1, 0], [4, 3, 0], [0, 2, 1], [1, 6, 2], [0, 0, 3], [2, 1, 0]], float)
LABELS = np.array([0, 0, 1, 0, 2, 2])


def test_counts():
    found = score(LOGITS, LABELS, ("a", "b", "c"))
    assert found.accuracy == 4 / 6
    np.testing.assert_array_equal(found.confusion, [[2, 1, 0], [0, 1, 0], [1, 0, 1]])
    a, b, c = found.classes
    assert (a.images, a.precision, a.recall, a.f1) == (3, 2 / 3, 2 / 3, 2 / 3)
    assert (b.images, b.precision, b.recall, b.f1) == (1, 0.5, 1.0, 2 / 3)
    assert (c.images, c.precision, c.recall, c.f1) == (2, 1.0, 0.5, 2 / 3)
    assert found.macro_f1 == pytest.approx(2 / 3)


def test_areas():
    found = score(LOGITS, LABELS, ("a", "b", "c"))
    chance = probabilities(LOGITS)
    for at, name in enumerate("abc"):
        right, wrong = chance[at == LABELS, at], chance[at != LABELS, at]
        wins = (right[:, None] > wrong).mean() + 0.5 * (right[:, None] == wrong).mean()  # Mann-Whitney
        assert found.curves[name].auc == pytest.approx(wins)
    assert found.curves["macro"].auc == pytest.approx(np.mean([c.auc for c in found.classes]))
    assert 0.5 < found.curves["micro"].auc < 1


def test_one_output():
    found = score(np.array([[-2.0], [0.5], [3.0], [-1.0]]), np.array([0, 1, 1, 1]), ("1", "9"))
    assert found.accuracy == 0.75
    np.testing.assert_array_equal(found.confusion, [[1, 0], [1, 2]])
    assert found.curves["9"].auc == found.curves["1"].auc == 1.0
    expected = (
        math.log1p(math.exp(-2)) + math.log1p(math.exp(-0.5)) + math.log1p(math.exp(-3)) + math.log1p(math.e)
    ) / 4
    assert found.loss == pytest.approx(expected)


def test_a_class_never_found_has_no_precision():
    found = score(np.array([[1.0, 0], [1, 0]]), np.array([0, 1]), ("a", "b"))
    assert (found.classes[1].precision, found.classes[1].recall, found.classes[1].f1) == (0, 0, 0)


def test_cross_entropy():
    assert cross_entropy(np.array([[0.0, 0.0]]), np.array([1])) == pytest.approx(math.log(2))
    assert cross_entropy(np.array([[1000.0, 0.0]]), np.array([1])) == 1000.0
    assert cross_entropy(np.array([[3.0]]), np.array([1])) == pytest.approx(math.log1p(math.exp(-3)))


def test_to_json_is_plain():
    import json

    assert json.loads(json.dumps(score(LOGITS, LABELS, ("a", "b", "c")).to_json()))["classes"][0]["name"] == "a"


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (LOGITS, LABELS[:5], "logits must be (images, outputs) for 5 labels, not of shape (6, 3)"),
        (LOGITS[:, :2], LABELS, "logits must have one column a class, 3, not 2"),
        (LOGITS * np.nan, LABELS, "logits must be finite numbers, not NaN or infinite"),
        (LOGITS, LABELS * 0, "class 'b' must have at least one image to be scored; it has none"),
    ],
)
def test_refused(logits, labels, message):
    with pytest.raises(DataError) as caught:
        score(logits, labels, ("a", "b", "c"))
    assert str(caught.value) == message
