"""The figures of a report, from made-up facts."""

from dataclasses import replace

import numpy as np
import pytest

from fpgaml.report.estimates import cost_by_layer
from fpgaml.report.figures import confusion, disagreements
from fpgaml.report.results import Facts


def facts(labels):
    wrong = {"image": 0, "label": 0, "float": 1, "hardware": 0}
    comparison = {"disagreements": [wrong], "confusion": {"float": [[1, 1], [0, 2]], "C simulation": [[2, 0], [0, 2]]}}
    record = {"labels": labels, "test_images": 4, "comparison": comparison, "noun": "image", "features": ()}
    return Facts(record, {}, np.zeros((4, 3, 3, 1), np.uint8), {})


@pytest.mark.parametrize(
    ("labels", "title"),
    [(("1", "9"), "is 1: 9 → 1"), (("T-shirt/top", "Ankle boot"), "is T-shirt/top:\nAnkle boot\n→ T-shirt/top")],
)
def test_classes_by_number_or_by_word(labels, title):
    assert disagreements(facts(labels))[0].axes[0].get_title() == title
    axes = confusion(facts(labels))[0].axes
    assert [[tick.get_text() for tick in ax.get_xticklabels()] for ax in axes] == [list(labels)] * 2


def table(disagreements):
    own = facts(("gamma", "neutron"))
    named = {"noun": "sample", "features": ("charge", "time"), "comparison": {"disagreements": disagreements}}
    return replace(own, record=own.record | named, images=np.arange(8).reshape(4, 2))


def test_samples_of_a_table_are_drawn_by_the_names_of_their_features():
    figure, caption = disagreements(table([{"image": 2, "label": 0, "float": 1, "hardware": 0}]))
    (ax, *_) = figure.axes
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["charge", "time"]
    assert ax.get_lines()[0].get_ydata().tolist() == [4, 5]
    assert caption.startswith("1 of 4 test samples get another class in hardware than in float")


def test_without_a_disagreement_there_is_a_sentence_instead_of_a_figure():
    assert disagreements(table([])) == (None, "Float and hardware put each of the 4 test samples into the same class.")


def layer(name, **costs):
    values = {"LUT": (0, 0, 0), "FF": (0, 0, 0), "DSP": (0, 0, 0), "BRAM18": (0, 0, 0)} | costs
    return {"layer": name} | {k: dict(zip(("median", "low", "high"), v, strict=True)) for k, v in values.items()}


def test_a_range_does_not_hide_the_layers():
    rows = [
        layer("a", latency=(90, 80, 130_000), LUT=(10, 5, 20)),
        layer("b", latency=(100, 90, 110), LUT=(20, 10, 30)),
    ]
    figure, caption = cost_by_layer({"part": "xc7z020", "layers": rows})
    latency, lut = figure.axes
    assert latency.get_xlim() == (0, 250)
    assert [text.get_text() for text in latency.texts] == ["to 130,000"]
    assert lut.get_xlim() == (0, 1.05 * 30)
    assert caption.endswith("No layer is expected to need FF or DSP or BRAM18.")
