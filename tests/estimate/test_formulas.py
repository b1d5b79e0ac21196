from dataclasses import replace

import pytest

from fpgaml.estimate.compose import Timing, fifo_blocks, interval_of, latency_terms
from fpgaml.estimate.facts import Kind, LayerFacts, Target
from fpgaml.estimate.formulas import PRIORS, bram_of, cycles_of, dsp_of, ff_terms, lut_terms, regime_of
from fpgaml.target.design import IoType, Strategy
from fpgaml.target.toolchain import Tool

ZYNQ = Target(Tool.VIVADO_HLS, "zynq", 5.0, 4.375, IoType.PARALLEL)
STREAM = replace(ZYNQ, io_type=IoType.STREAM, dataflow=True)
DENSE = LayerFacts("fc", Kind.DENSE, ZYNQ, n_in=32, n_out=16, lanes=32, nonzero=512, light=100, heavy=300, shared=280)


def test_dense_in_latency_strategy():
    # product 4 ns, 5 levels of 4.25 ns: 25.25 / 4.375 = 5.8 cycles
    assert cycles_of(DENSE) == (5.0, 1.0)
    assert dsp_of(DENSE) == 280
    assert bram_of(DENSE) == 0


def test_dense_with_reuse_in_latency_strategy():
    # 512 / 8 = 64 multipliers for 280 products: 5 turns, and 4 more for the depth
    facts = replace(DENSE, reuse=8)
    assert cycles_of(facts) == (7.0, 8.0)
    assert dsp_of(facts) == 64


def test_dense_in_resource_strategy():
    facts = replace(DENSE, reuse=32, strategy=Strategy.RESOURCE)
    assert cycles_of(facts) == (34.0, 32.0)
    assert dsp_of(facts) == 16
    assert bram_of(facts) == 8  # 16 words of 16 bits, 36 bits a block


def test_small_weight_memories_are_not_blocks():
    assert bram_of(replace(DENSE, n_in=8, n_out=4, reuse=8, strategy=Strategy.RESOURCE)) == 0


def test_streamed_convolution():
    conv = LayerFacts(
        "conv", Kind.CONV, STREAM, n_in=9, n_out=4, pixels_in=784, pixels_out=676, channels=1, filters=4, lanes=1,
        window=9, nonzero=36, heavy=30, shared=30,
    )  # fmt: skip
    assert cycles_of(conv) == (784.0, 784.0)  # Vivado HLS, reuse 1: a cycle a pixel
    vitis = replace(conv, target=replace(STREAM, tool=Tool.VITIS_HLS, family="virtexuplus", budget_ns=3.65))
    assert cycles_of(vitis) == (1568.0, 1568.0)
    reused = replace(conv, reuse=9, strategy=Strategy.RESOURCE)
    assert cycles_of(reused) == (784.0 * 17, 784.0 * 17)  # 9 + 2 + round(25 / 4.375)
    assert fifo_blocks([conv]) == 4  # 676 deep: 1024 words of 16 bits, one FIFO a channel


def test_a_pipeline_adds_latencies_and_a_dataflow_takes_the_slowest():
    first, second = Timing(DENSE, 5, 1, 5.8), Timing(DENSE, 3, 2, 3.5)
    assert latency_terms([first, second])["layers"] == 8
    assert interval_of([first, second]) == 2
    flow = replace(DENSE, target=STREAM)
    assert latency_terms([Timing(flow, 100, 100, 1), Timing(flow, 10, 10, 1)]) == {
        "slowest": 100,
        "rest": 10,
        "control": 1.0,
    }
    assert interval_of([Timing(flow, 100, 100, 1), Timing(flow, 10, 10, 1)]) == 101


def test_nothing_costs_nothing():
    empty = replace(DENSE, nonzero=0, light=0, heavy=0, shared=0)
    assert dsp_of(empty) == 0
    assert lut_terms(empty)["adders"] == 0


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("target", [ZYNQ, STREAM])
@pytest.mark.parametrize("strategy", [Strategy.LATENCY, Strategy.RESOURCE])
def test_every_kind_has_terms_with_priors(kind, target, strategy):
    facts = replace(DENSE, kind=kind, target=target, strategy=strategy, reuse=4)
    for metric, terms in (("LUT", lut_terms(facts)), ("FF", ff_terms(facts))):
        assert set(terms) <= set(PRIORS[metric][regime_of(facts)])
        assert min(terms.values()) >= 0
    latency, interval = cycles_of(facts)
    assert latency >= 0
    assert interval >= 1
