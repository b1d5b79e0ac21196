"""What people work with shows itself: one line at a prompt, a table in a notebook, names as text."""

import re

import numpy as np
import pytest

import fpgaml
from fpgaml.estimate.estimator import estimate
from fpgaml.exact.comparison import Comparison, Execution
from fpgaml.frontend.read import Reading
from fpgaml.ir.shown import Shown, Summary
from fpgaml.precision.profile import profile
from fpgaml.target.boards import find_part
from fpgaml.target.design import Backend, Design
from tests.networks import codes_for, mlp

NET, DESIGN = mlp(), Design(Backend.VITIS, "xc7z020clg400-1")


def comparison():
    logits = np.eye(3)
    other = logits.copy()
    other[0, 2] = 5
    return Comparison(np.arange(3), (Execution("emulator", other), Execution("C simulation", logits)))


MADE = {
    "Network": (lambda: NET, "mlp: ", ("fc1", "8 x 5 sum", "5", "45")),
    "RunCard": (
        lambda: fpgaml.RunCard(name="a", training={"epochs": 3}),
        "a: 2 keys that are not as by default",
        ("training.epochs", "3"),
    ),
    "Comparison": (comparison, "3 images, emulator, C simulation", ("emulator", "66.67", "1")),
    "Reading": (
        lambda: Reading(NET, {"fc1": "dense"}, ("softmax is left out",), {"fc1": "rounded"}),
        "of mlp: ",
        ("fc1", "8 x 5 sum", "dense", "rounded"),
    ),
    "Profile": (lambda: profile(NET, codes_for(NET, 9)), "of mlp over 9 images, ", None),
    "Estimate": (
        lambda: estimate(NET, DESIGN, find_part(DESIGN.part)), "of mlp on xc7z020clg400-1: latency ~", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_one_line_and_a_table(name):
    make, line, row = MADE[name]
    made = make()
    assert repr(made).startswith(f"<{name} {line}")
    assert len(repr(made)) < 120
    html = made._repr_html_()
    assert html.startswith(f"<table><caption>{name} ")
    assert len(re.findall("<tr>", html)) == 1 + len(made.summary.rows) > 1
    if row:
        assert row in made.summary.rows
        assert "".join(f"<td>{text}</td>" for text in row) in html


def test_names_are_text():
    class Hostile(Shown):
        @property
        def summary(self):
            return Summary("<b>", ("<i>",), [("<script>",)])

    assert "<b>" not in Hostile()._repr_html_()
    assert "<td>&lt;script&gt;</td>" in Hostile()._repr_html_()
