"""The picture of a network: its boxes, lines and texts."""

import xml.etree.ElementTree as ElementTree

import numpy as np

from fpgaml.ir.diagram import diagram, shape_text, weight_count
from fpgaml.ir.fixed import FixedPoint
from fpgaml.ir.network import Add, Dense, Flatten, Input, Network, Weights

SVG = "{http://www.w3.org/2000/svg}"


def network():
    """x -> flat -> fc -> sum, which reads flat too, past fc."""
    kernel = Weights(np.ones((6, 6)), FixedPoint(2, 2))
    return Network(
        "n",
        (
            Input("x", (), (3, 2), FixedPoint(8, 0, False)),
            Flatten("flat", ("x",)),
            Dense("fc", ("flat",), kernel, Weights(np.zeros(6), FixedPoint(2, 2))),
            Add("sum", ("fc", "flat")),
        ),
    )


def drawn(network):
    return ElementTree.fromstring(diagram(network))


def texts(network):
    return [element.text for element in drawn(network).iter(f"{SVG}text")]


def test_a_box_says_name_kind_size_shape_and_type():
    assert texts(network()) == [
        "x", "Input: 6 values", "3 x 2 of ufixed<8,0>",
        "flat", "Flatten: 6 values", "6 of ufixed<8,0>",
        "fc", "Dense: 6 values, 42 weights", "6 of fixed<12,4>",
        "sum", "Add: 6 values", "6 of fixed<12,4>",
    ]  # fmt: skip


def test_boxes_stand_below_each_other():
    boxes = [one for one in drawn(network()).iter(f"{SVG}rect") if one.get("rx")]
    assert [(one.get("x"), one.get("y"), one.get("height")) for one in boxes] == [
        ("24", "24", "54"), ("24", "100", "54"), ("24", "176", "54"), ("24", "252", "54"),
    ]  # fmt: skip
    assert [one.get("fill") for one in boxes] == ["#e8eef7", "#eef6ec", "#fdebd0", "#eef6ec"]
    assert (drawn(network()).get("width"), drawn(network()).get("height")) == ("446", "330")


def test_neighbours_are_joined_and_others_pass_on_the_right():
    found = drawn(network())
    lines = [tuple(int(one.get(key)) for key in ("x1", "y1", "x2", "y2")) for one in found.iter(f"{SVG}line")]
    assert lines == [(214, 78, 214, 100), (214, 154, 214, 176), (214, 230, 214, 252)]
    assert [one.get("d") for one in found.iter(f"{SVG}path") if one.get("fill") == "none"] == [
        "M404 127 H418 V279 H404"
    ]


def test_a_picture_without_a_passing_line_is_narrower():
    made = Network("straight", network().layers[:3])
    assert drawn(made).get("width") == "428"
    assert drawn(made).find(f"{SVG}title").text == "straight"


def test_equal_networks_give_equal_pictures():
    assert diagram(network()) == diagram(network())


def test_sizes():
    assert weight_count(network()["fc"]) == 42
    assert weight_count(network()["flat"]) == 0
    assert shape_text(network(), "x") == "3 x 2"
