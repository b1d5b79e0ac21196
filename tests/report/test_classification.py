"""The figures show what they are given."""

import numpy as np

from fpgaml.metrics import score
from fpgaml.report.classification import per_class, roc, spread, trade_off

RNG = np.random.default_rng(0)
LABELS = np.arange(30) % 3
SCORES = {
    name: score(RNG.normal(size=(30, 3)) + 2 * np.eye(3)[LABELS], LABELS, ("a", "b", "c"))
    for name in ("float", "C simulation")
}


def test_roc():
    figure, caption = roc(SCORES)
    assert [ax.get_title() for ax in figure.axes] == ["float", "C simulation"]
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert labels[0] == f"a: {SCORES['float'].curves['a'].auc:.4f}"
    assert len(labels) == 5
    assert caption.startswith("ROC curves")


def test_per_class():
    figure, _ = per_class(SCORES)
    recall = figure.axes[1]
    assert recall.get_ylabel() == "recall (%)"
    assert [bar.get_height() for bar in recall.patches[:3]] == [100 * one.recall for one in SCORES["float"].classes]


def test_names_that_are_words_stand_aslant():
    words = score(RNG.normal(size=(30, 3)) + 2 * np.eye(3)[LABELS], LABELS, ("T-shirt/top", "Ankle boot", "Bag"))
    for scores, angle in ((SCORES, 0.0), ({"float": words}, 45.0)):
        ticks = per_class(scores)[0].axes[0].get_xticklabels()
        assert [tick.get_text() for tick in ticks] == [one.name for one in scores["float"].classes]
        assert {tick.get_rotation() for tick in ticks} == {angle}


def test_spread():
    figure, caption = spread({"float": [0.98, 0.97], "hardware": [0.96]}, "fold")
    assert [text.get_text() for text in figure.axes[0].texts] == [" 97.50", " 96.00"]
    assert caption == "Accuracy of each of the folds (dots), with mean and standard deviation (bars)."


def test_trade_off():
    points = [
        {"group": "float", "accuracy": 0.98, "weight_bits": 1000},
        {"group": "QAT", "accuracy": 0.97, "weight_bits": 100},
        {"group": "QAT", "accuracy": 0.96, "weight_bits": 500},
    ]
    figure, _ = trade_off(points)
    assert figure.axes[0].get_legend_handles_labels()[1] == ["float", "QAT"]
