import numpy as np
import pytest

from fpgaml.errors import ConfigError
from fpgaml.ir.fixed import FixedPoint
from fpgaml.ir.network import Conv, Dense, Input, Network, Weights, matrix_size
from fpgaml.target.design import (
    Design,
    LayerDesign,
    Strategy,
    check_design,
    nearest_reuse_factor,
    valid_reuse_factors,
)
from fpgaml.target.toolchain import Backend, Tool

PART = "xc7z020clg400-1"


def weights(*shape):
    return Weights(np.ones(shape, np.int64), FixedPoint(8, 2))


@pytest.fixture
def network():
    image = Input("image", (), (6, 6, 2), FixedPoint(8, 1))
    conv = Conv("conv", ("image",), weights(3, 3, 2, 4), weights(4), (1, 1), ((0, 0), (0, 0)))
    return Network("small", (image, conv, Dense("fc", ("conv",), weights(4, 5), weights(5))))


def by_the_book(n_in, n_out):
    """Literally the three conditions of hls4ml 1.3."""
    found = []
    for rf in range(1, n_in * n_out + 1):
        limit = -(-n_in * n_out // min(n_in, rf))
        first = limit % n_out == 0 or rf >= n_in
        second = rf % n_in == 0 or rf < n_in
        if first and second and n_in * n_out % rf == 0:
            found.append(rf)
    return tuple(found)


def test_valid_reuse_factors_literal():
    assert valid_reuse_factors(16, 10) == (1, 2, 4, 8, 16, 32, 80, 160)
    assert valid_reuse_factors(1, 1) == (1,)
    assert valid_reuse_factors(7, 3) == (1, 7, 21)


@pytest.mark.parametrize("size", [(16, 64), (9, 4), (54, 8), (72, 10), (13, 7), (1, 12), (12, 1), (30, 42)])
def test_valid_reuse_factors_are_those_of_hls4ml(size):
    assert valid_reuse_factors(*size) == by_the_book(*size)


def test_nearest_reuse_factor():
    assert nearest_reuse_factor(16, 10, 3) == 2  # as near as 4: the smaller
    assert nearest_reuse_factor(16, 10, 57) == 80
    assert nearest_reuse_factor(16, 10, 10**9) == 160


def test_design_layer_exceptions():
    design = Design(Backend.VITIS, PART, per_layer=(LayerDesign("fc", strategy=Strategy.RESOURCE),))
    assert design.tool is Tool.VITIS_HLS
    changed = design.with_reuse({"fc": 4, "conv": 9})
    assert (changed.reuse_of("fc"), changed.reuse_of("conv"), changed.reuse_of("other")) == (4, 9, 1)
    assert (changed.strategy_of("fc"), changed.strategy_of("conv")) == (Strategy.RESOURCE, Strategy.LATENCY)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"clock_ns": 0.0}, "clock of a design must be a period above 0 ns, not 0.0"),
        ({"clock_ns": -5.0}, "clock of a design must be a period above 0 ns, not -5.0"),
        ({"reuse_factor": 0}, "reuse factor of a design must be 1 or more, not 0"),
        ({"per_layer": (LayerDesign("a"), LayerDesign("a"))}, "layer 'a' must be given once in a design, not 2 times"),
    ],
)
def test_bad_designs(values, message):
    with pytest.raises(ConfigError) as caught:
        Design(Backend.VIVADO, PART, **values)
    assert str(caught.value) == message


def test_matrix_size(network):
    assert [matrix_size(layer) for layer in network] == [None, (18, 4), (4, 5)]


@pytest.mark.parametrize(
    ("exception", "message"),
    [
        (
            LayerDesign("conv", 5, Strategy.RESOURCE),
            "layer 'conv': reuse factor 5 is not valid for its 18 x 4 matrix in the resource strategy; "
            "the nearest valid one is 6",
        ),
        (LayerDesign("fc", 21), "layer 'fc': reuse factor must be at most 20, its number of weights, not 21"),
        (
            LayerDesign("fc", 2, Strategy.DISTRIBUTED_ARITHMETIC),
            "layer 'fc': distributed_arithmetic must have reuse factor 1, not 2",
        ),
        (
            LayerDesign("fc", 20, Strategy.RESOURCE_UNROLLED),
            "layer 'fc': resource_unrolled must have a reuse factor below 20, its number of weights",
        ),
        (LayerDesign("fd", 2), "the design names layer 'fd', which network 'small' has not; did you mean 'fc'?"),
    ],
)
def test_check_design_refuses(network, exception, message):
    with pytest.raises(ConfigError) as caught:
        check_design(network, Design(Backend.VITIS, PART, per_layer=(exception,)))
    assert str(caught.value) == message


def test_check_design_accepts(network):
    check_design(network, Design(Backend.VITIS, PART, strategy=Strategy.RESOURCE, per_layer=(LayerDesign("fc", 4),)))
