"""The figures show what they are given."""

import numpy as np

from fpgaml.exact.scores import score
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


def test_of_two_classes_one_curve_says_all():
    pair = {"float": score(RNG.normal(size=(30, 2)), np.arange(30) % 2, ("gamma", "neutron"))}
    figure, caption = roc(pair, "sample")
    assert len(figure.axes[0].get_lines()) == 1
    assert figure.axes[0].get_xscale() == "linear"  # 15 samples: a logarithmic axis would show single ones
    assert "how many of its samples are found" in caption


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


def networks(*rows):
    return [dict(zip(("group", "accuracy", "weight_bits", "label"), row, strict=False)) for row in rows]


def test_trade_off():
    figure, caption = trade_off(
        networks(("float", 0.98, 1000), ("QAT", 0.97, 100), ("QAT", 0.96, 500), ("QAT", 0.1, 9))
    )
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["float", "QAT", "Pareto front"]
    (ax,) = figure.axes
    front = next(line for line in ax.get_lines() if line.get_drawstyle() == "steps-post")
    assert front.get_xydata().tolist() == [[100, 97], [1000, 98], [ax.get_xlim()[1], 98]]
    assert caption == (
        "Accuracy against cost. Upper left is better; no network shown is both cheaper and better than one on the "
        "line. 1 point(s) more than 8 points (percent) below the best are not drawn."
    )


def test_each_group_has_its_color_and_mark():
    groups = ("float", "QAT", "QAP", "distilled", "searched", "other")
    figure, _ = trade_off(networks(*((group, 0.9, 100 + at) for at, group in enumerate(groups))))
    handles = figure.legends[0].legend_handles[:-1]
    for style in ("color", "marker"):
        assert len({getattr(handle, f"get_{style}")() for handle in handles}) == len(groups)


def test_labels_cover_nothing():
    crowd = [("QAT", 0.95 + n / 5000, 1000 + 12 * n, f"network_{n}") for n in range(40)]
    figure, _ = trade_off(networks(("float", 0.98, 90_000, "alone"), *crowd))
    (ax,) = figure.axes
    boxes = {text.get_text(): text.get_window_extent() for text in ax.texts}
    assert "alone" in boxes
    assert 1 < len(boxes) < 41
    written = list(boxes.values())
    assert not [1 for at, box in enumerate(written) for other in written[:at] if box.overlaps(other)]
    marks = ax.transData.transform([(bits, 100 * accuracy) for _, accuracy, bits, _ in crowd])
    assert not [1 for box in written for mark in marks if box.contains(*mark)]


def test_a_single_network_and_several_sets_of_data():
    assert trade_off(networks(("QAT", 0.97, 100, "a")))[0].axes[0].texts[0].get_text() == "a"
    both = [{"data": data, **networks(("QAT", 0.9, 100))[0]} for data in ("mnist", "fashion_mnist")]
    assert [ax.get_title() for ax in trade_off(both)[0].axes] == ["mnist", "fashion_mnist"]
