"""C++ on symbols: a tiny network is proved in all four forms, and faults planted in its project are found."""

import re

import pytest

from fpgaml.backend.explore import explore
from fpgaml.backend.hls4ml import convert
from fpgaml.exact.prove import Method, judge
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import (
    Activation,
    Add,
    Affine,
    ArgMax,
    AveragePool,
    Concatenate,
    Dense,
    DepthwiseConv,
    Flatten,
    Function,
    Input,
    MaxPool,
    Multiply,
    Network,
    Pad,
    Reshape,
    Table,
    Weights,
)
from fpgaml.target.design import Backend, Design, IoType
from tests.conftest import PROJECTS


def verdicts(network, project, tmp_path):
    return {v.layer: v for v in judge(network, explore(network, project, log=tmp_path / "explore.log"))}


@pytest.mark.parametrize(("backend", "io_type"), PROJECTS)
def test_a_network_is_proved_in_every_form(tiny, converted, tmp_path, backend, io_type):
    found = verdicts(tiny, converted(backend, io_type), tmp_path)
    assert {name: (v.method, v.reason) for name, v in found.items()} == {
        "c1": (Method.AFFINE, ""),
        "r1": (Method.EXHAUSTIVE, ""),
        "p1": (Method.ORDER, ""),
        "fl": (Method.AFFINE, ""),
        "d1": (Method.AFFINE, ""),
        "": (Method.AFFINE, ""),
    }
    assert found["c1"].covers == "16 outputs, 64 coefficients"


RELU = FixedPoint(5, 2, False, Rounding.RND_CONV, Overflow.SAT)
SIGNED = FixedPoint(5, 3, True, Rounding.RND_CONV, Overflow.SAT_SYM)


def every_kind():
    """Each kind of layer that the tiny network has not, in io_parallel: 4 x 4 x 2 images."""
    square = Table("t", ("sum",), FixedPoint(5, 5), Weights([abs(n) for n in range(-16, 16)], FixedPoint(6, 6, False)))
    valid = ((0, 0), (0, 0))
    return Network(
        "kinds",
        (
            Input("x", (), (4, 4, 2), FixedPoint(5, 1)),
            Pad("pad", ("x",), ((1, 0), (0, 1))),
            AveragePool("mean", ("pad",), (2, 2), (2, 2), ((0, 1), (0, 1)), FixedPoint(7, 2, True, Rounding.RND_CONV)),
            Activation("leaky", ("mean",), Function.RELU, SIGNED, 0.25),
            Activation("cast", ("mean",), Function.LINEAR, RELU),
            Add("sum", ("leaky", "cast")),
            square,
            Multiply("product", ("t", "cast")),
            Concatenate("both", ("product", "leaky")),
            DepthwiseConv("dw", ("both",), Weights([[[1, -2, 3, 1]], [[2, 2, -1, -3]]], FixedPoint(3, 2)),
                          Weights([1, 0, -1, 2], FixedPoint(3, 2)), (1, 1), valid),
            Affine("scale", ("dw",), Weights([3, -2, 1, 1], FixedPoint(3, 3)), Weights([1, 1, 0, 0], FixedPoint(2, 2))),
            Reshape("turn", ("scale",), (3, 2, 4)),
            MaxPool("largest", ("turn",), (2, 2), (1, 1), valid),
            Flatten("flat", ("largest",)),
            Dense("logits", ("flat",), Weights([[n % 5 - 2, n % 3 - 1, 1] for n in range(8)], FixedPoint(3, 3)),
                  Weights([1, 0, 0], FixedPoint(2, 2))),
            ArgMax("which", ("logits",)),
        ),
    )  # fmt: skip


def test_every_other_kind_of_layer_is_proved(tmp_path):
    network = every_kind()
    design = Design(Backend.VITIS, "xc7z020clg400-1", io_type=IoType.PARALLEL)
    convert(network, design, tmp_path / "hls", log=tmp_path / "convert.log")
    found = verdicts(network, tmp_path / "hls", tmp_path)
    assert [(name, v.reason) for name, v in found.items() if not v.proved] == []
    methods = {name: v.method for name, v in found.items()}
    assert [name for name, method in methods.items() if method is Method.EXHAUSTIVE] == ["mean", "leaky", "cast", "t"]
    assert [name for name, method in methods.items() if method is Method.ORDER] == ["largest", "which"]
    assert found["which"].covers == "all 4 outcomes of its comparisons"


def edit(path, pattern, replacement):
    text = path.read_text(encoding="utf-8")
    changed = re.sub(pattern, replacement, text, count=1, flags=re.MULTILINE)
    assert changed != text
    path.write_text(changed, encoding="utf-8")


FAULTS = {
    "an accumulator two bits narrower": (
        "defines.h",
        r"ap_fixed<16,3> c1_accum_t",
        "ap_fixed<14,1> c1_accum_t",
        "c1",
        "an assignment to fixed<14,1> can lose bits to the right, or values beyond -8192 to 8191",
    ),
    "a cast that rounds otherwise": (
        "defines.h",
        r"ap_ufixed<6,2,AP_RND_CONV,AP_SAT,0>",
        "ap_ufixed<6,2,AP_RND,AP_SAT,0>",
        "r1",
        "14 of 32,672 input codes give another output; the first, 256, gives 0.0625, not 0",
    ),
    "a maximum that is none": (
        "nnet_utils/nnet_common.h",
        r"return a >= b \? a : b;",
        "return a <= b ? a : b;",
        "p1",
        "",
    ),
    "a weight that only synthesis reads": (
        "weights/w6.h",
        r"= \{[-0-9.]+",
        "= {0.53125",
        "d1",
        "value 0 differs between .txt and .h",
    ),
    "a line buffer that is not shifted": (
        "nnet_utils/nnet_conv_stream.h",
        r"^ +pop_elem; // Popped",
        "in_elem[i_ic]; // Popped",
        "c1",
        "16 of 16 outputs differ: output 0 takes value 0 of 'x' times",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_in_its_layer(tiny, project, tmp_path, name):
    file, pattern, replacement, layer, reason = FAULTS[name]
    edit(project / "firmware" / file, pattern, replacement)
    found = verdicts(tiny, project, tmp_path)
    first = next(v for v in found.values() if not v.proved)
    assert first.layer == layer
    assert reason in first.reason
