"""The figures of a report, from made-up facts."""

import numpy as np
import pytest

from fpgaml.report.figures import confusion, disagreements
from fpgaml.report.results import Facts


def facts(labels):
    wrong = {"image": 0, "label": 0, "float": 1, "hardware": 0}
    comparison = {"disagreements": [wrong], "confusion": {"float": [[1, 1], [0, 2]], "C simulation": [[2, 0], [0, 2]]}}
    record = {"labels": labels, "test_images": 4, "comparison": comparison}
    return Facts(record, {}, np.zeros((4, 3, 3, 1), np.uint8), {})


@pytest.mark.parametrize(
    ("labels", "title"),
    [(("1", "9"), "is 1: 9 → 1"), (("T-shirt/top", "Ankle boot"), "is T-shirt/top:\nAnkle boot\n→ T-shirt/top")],
)
def test_classes_by_number_or_by_word(labels, title):
    assert disagreements(facts(labels))[0].axes[0].get_title() == title
    axes = confusion(facts(labels))[0].axes
    assert [[tick.get_text() for tick in ax.get_xticklabels()] for ax in axes] == [list(labels)] * 2
