from dataclasses import replace

import pytest

from fpgaml.errors import ConfigError
from fpgaml.estimate.facts import Kind, LayerFacts, Multipliers, Speed, Target, memory_blocks, needs_dataflow, slices_of
from fpgaml.target.design import IoType, Strategy
from fpgaml.target.toolchain import Tool

ZYNQ = Target(Tool.VITIS_HLS, "zynq", 5.0, 3.65, IoType.PARALLEL)
DENSE = LayerFacts("fc", Kind.DENSE, ZYNQ, n_in=32, n_out=16, nonzero=400, heavy=100, shared=90)


@pytest.mark.parametrize(
    ("depth", "width", "blocks"),
    [(512, 36, 1), (1024, 18, 1), (3360, 10, 3), (16384, 1, 1), (20480, 8, 10), (100, 576, 16)],
)
def test_memory_blocks(depth, width, blocks):
    assert memory_blocks(depth, width) == blocks


@pytest.mark.parametrize(
    ("in_bits", "weight_bits", "family", "slices"),
    [
        (16, 16, "zynq", 1),
        (8, 8, "zynq", 0),
        (10, 10, "virtexuplus", 0),
        (11, 5, "virtexuplus", 1),
        (27, 18, "virtexuplus", 1),
        (27, 18, "zynq", 2),
        (20, 20, "virtex7", 2),
        (32, 32, "zynq", 4),
    ],
)
def test_slices(in_bits, weight_bits, family, slices):
    target = replace(ZYNQ, family=family)
    assert slices_of(replace(DENSE, target=target, in_bits=in_bits, weight_bits=weight_bits)) == slices


def test_slices_where_the_tool_is_told():
    fabric = replace(DENSE, target=replace(ZYNQ, multipliers=Multipliers.FABRIC))
    forced = replace(DENSE, target=replace(ZYNQ, multipliers=Multipliers.DSP), in_bits=8, weight_bits=8)
    assert (slices_of(fabric), slices_of(forced)) == (0, 1)


def test_multipliers():
    assert DENSE.multipliers == 90  # unrolled: the products that differ
    assert replace(DENSE, reuse=8).limit == 50  # ceil(512 / 8) - 112 zeros // 8
    assert replace(DENSE, reuse=8).multipliers == 50
    assert replace(DENSE, reuse=8, strategy=Strategy.RESOURCE).multipliers == 64


def test_speed_classes():
    assert [Speed.of(f) for f in ("zynq", "artix7", "virtex7", "zynquplus")] == [
        Speed.SLOW,
        Speed.SLOW,
        Speed.MIDDLE,
        Speed.FAST,
    ]


def test_dataflow():
    assert not needs_dataflow([DENSE])
    assert needs_dataflow([DENSE, replace(DENSE, strategy=Strategy.RESOURCE)])
    assert needs_dataflow([replace(DENSE, target=replace(ZYNQ, io_type=IoType.STREAM))])


@pytest.mark.parametrize("budget", [0.0, -1.0, 6.0])
def test_usable_period(budget):
    with pytest.raises(ConfigError) as caught:
        Target(Tool.VITIS_HLS, "zynq", 5.0, budget, IoType.PARALLEL)
    assert str(caught.value) == f"usable period must be above 0 and at most 5.0 ns, not {budget}"
