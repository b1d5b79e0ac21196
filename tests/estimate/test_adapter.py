import numpy as np
import pytest

from fpgaml.estimate.adapter import facts_of, prepare, signed_digits
from fpgaml.estimate.facts import Kind
from fpgaml.estimate.formulas import cycles_of
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import FixedPoint
from fpgaml.ir.network import Dense, Input, Network, Upsample, Weights
from fpgaml.target.boards import find_part
from fpgaml.target.design import Design, IoType, LayerDesign, Strategy
from fpgaml.target.toolchain import Backend, Tool

PART = find_part("xc7z020clg400-1")


def test_signed_digits():
    # 3 = 4 - 1, 7 = 8 - 1, 11 = 8 + 4 - 1, 45 = 64 - 16 - 4 + 1
    assert signed_digits(np.array([0, 1, -8, 3, 7, 11, -11, 45])).tolist() == [0, 1, 1, 2, 2, 3, 3, 4]


def test_weight_statistics():
    # row 0: 11 and -22 are one product (sign and shift), 13 another; row 1: 11 again, for another input
    kernel = Weights(np.array([[11, -22, 13, 0], [11, 1, 3, 0]]), FixedPoint(6, 6))
    network = Network(
        "two",
        (
            Input("image", (), (2,), FixedPoint(8, 8)),
            Dense("fc", ("image",), kernel, Weights(np.zeros(4, np.int64), FixedPoint(6, 6))),
        ),
    )
    (facts,) = prepare(network)
    assert (facts.nonzero, facts.light, facts.heavy, facts.shared) == (6, 1, 4, 3)
    assert (facts.in_bits, facts.weight_bits, facts.n_in, facts.n_out) == (8, 6, 2, 4)
    assert facts.accum_bits == tensor_types(network)["fc"].width


def test_shapes_of_a_convolutional_network(cnn):
    design = Design(Backend.VITIS, "xc7z020clg400-1", 10.0, IoType.STREAM)
    facts = {one.name: one for one in facts_of(cnn, design, PART)}
    assert "flat" not in facts
    conv = facts["conv2"]
    assert (conv.kind, conv.n_in, conv.n_out, conv.window) == (Kind.CONV, 72, 16, 9)
    assert (conv.pixels_in, conv.pixels_out, conv.channels, conv.filters, conv.lanes) == (169, 121, 8, 16, 8)
    assert (facts["pool1"].window, facts["pool1"].pixels_in, facts["pool1"].pixels_out) == (4, 676, 169)
    assert (facts["logits"].pixels_in, facts["logits"].lanes) == (1, 400)
    assert conv.target.tool is Tool.VITIS_HLS
    assert conv.target.budget_ns == pytest.approx(7.3)
    assert conv.target.dataflow


def test_upsampling_takes_as_long_as_it_has_outputs():
    """Vitis HLS reports 66 cycles for a streamed ``resize_nearest`` to 8 x 8 (layers.csv, ChiRuiCh.AutoEnerhls4ml)."""
    network = Network("n", (Input("x", (), (4, 4, 4), FixedPoint(32, 16)), Upsample("up", ("x",), (2, 2))))
    (facts,) = facts_of(network, Design(Backend.VITIS, "xc7z020clg400-1", 10.0, IoType.STREAM), PART)
    assert (facts.kind, facts.pixels_in, facts.pixels_out, facts.channels) == (Kind.MOVE, 16, 64, 4)
    assert abs(cycles_of(facts)[0] - 66) <= 1


def test_a_design_changes_only_its_choices(jet_mlp):
    design = Design(Backend.VIVADO, "xc7z020clg400-1", 5.0, per_layer=(LayerDesign("fc1", 32, Strategy.RESOURCE),))
    facts = {one.name: one for one in facts_of(jet_mlp, design, PART)}
    assert (facts["fc0"].reuse, facts["fc0"].strategy) == (1, Strategy.LATENCY)
    assert (facts["fc1"].reuse, facts["fc1"].strategy) == (32, Strategy.RESOURCE)
    assert facts["fc0"].target.dataflow  # one layer of the resource strategy makes all of it dataflow
