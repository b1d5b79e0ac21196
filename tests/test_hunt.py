"""A handful of what `make hunt` does for hours, and every network in which a hunt found something."""

from importlib.util import find_spec

import numpy as np
import pytest

from fpgaml.errors import ConfigError
from fpgaml.ir.network import Conv, DepthwiseConv, Input, Network
from fpgaml.target.design import Design, IoType, Strategy, check_design, reuse_factors
from fpgaml.target.toolchain import Backend
from tests.hunt import PART, Spec, check, draw_specs, precompiled_header
from tests.networks import RELU, VALID, weights

FOUND = {
    # ap_fixed reads beyond its highest bit when a cast drops more bits than there are (27 bits to a step of 8)
    "more bits dropped than there are": Spec(
        (6, 5, 4),
        (
            ("GlobalMaxPooling2D", {}),
            ("QDense", {"units": 2, "kernel_quantizer": "quantized_bits(12,0,alpha=1)", "use_bias": False}),
            ("QActivation", {"activation": "quantized_bits(2,20,alpha=1)"}),
            ("QActivation", {"activation": "binary()"}),
        ),
        "ufixed<8,-10>",
        "Vivado",
    ),
    # hls4ml wants distributed arithmetic of every layer if the model's default says so
    "distributed arithmetic": Spec(
        (10,),
        (
            ("BatchNormalization", {}),
            ("QDense", {"units": 1, "kernel_quantizer": "quantized_bits(3,0,1,alpha=0.5)", "use_bias": False}),
            ("LeakyReLU", {"negative_slope": 0.25}),
            ("QDense", {"units": 5, "kernel_quantizer": "quantized_bits(10,2,1,alpha=1)", "use_bias": False}),
        ),
        strategy="distributed_arithmetic",
    ),
    # the clip of the negative side was so coarse that it took the largest positive value away
    "leaky ReLU of integers": Spec(
        (3,), (("QActivation", {"activation": "quantized_relu(2,0,negative_slope=0.5)"}),), "fixed<2,2>"
    ),
    # the clip of a leaky ReLU was looked for on the grid of its input, which may be coarser than the bound itself
    "leaky ReLU of even numbers": Spec(
        (5, 1),
        (
            ("QDense", {"units": 4, "kernel_quantizer": "quantized_po2(2,1)", "use_bias": False}),
            ("QActivation", {"activation": "quantized_bits(3,3,alpha=1)"}),
            ("QActivation", {"activation": "quantized_relu(4,0,negative_slope=0.125)"}),
        ),
        "fixed<5,2>",
        seed=244,
    ),
    # hls4ml gives a padded map the type of its source, rounding mode and all
    "padding of a rounded map": Spec(
        (3, 3, 1),
        (
            ("QActivation", {"activation": "quantized_tanh(2,symmetric=1)"}),
            ("ZeroPadding2D", {"padding": ((0, 0), (0, 1))}),
        ),
        io_type="io_stream",
    ),
    # a Dense over a map is a convolution, wrong in parallel beyond a reuse factor of 3: the nearest is taken here
    "dense over a map, unrolled": Spec(
        (2, 4, 3),
        (("QDense", {"units": 4, "kernel_quantizer": "quantized_linear(6,0,1,alpha=1)", "use_bias": False}),),
        "fixed<7,3>",
        strategy="resource_unrolled",
        reuse=92,
    ),
}


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """The precompiled header, as a hunt uses it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FPGAML_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield precompiled_header(tmp_path_factory.mktemp("header"))


def must_be_equal(spec, folder, options):
    if spec.strategy == "distributed_arithmetic" and find_spec("da4ml") is None:
        pytest.skip("da4ml is not installed")
    outcome = check(spec, folder, options)
    assert not outcome.wrong, f"{spec!r}\n" + "\n".join(outcome.wrong)
    return outcome


@pytest.mark.parametrize("name", FOUND)
def test_what_a_hunt_found_stays_mended(name, options, tmp_path):
    assert not must_be_equal(FOUND[name], tmp_path, options).refused


@pytest.mark.parametrize("spec", draw_specs(2026, 12)[7:], ids=lambda spec: str(spec.seed))
def test_a_handful_of_random_networks(spec, options, tmp_path):
    must_be_equal(spec, tmp_path, options)


RNG = np.random.default_rng(0)
THREE = weights(RNG, 3)


def single(shape, kind, *window):
    kernel = weights(RNG, *window)
    return Network("n", (Input("x", (), shape, RELU), kind("c", ("x",), kernel, THREE, (1, 1), VALID)))


CONV = single((4, 4, 2), Conv, 2, 2, 2, 3)
DEPTH = single((4, 4, 3), DepthwiseConv, 2, 2, 3)


@pytest.mark.parametrize(
    ("network", "io_type", "strategy", "expected"),
    [
        (CONV, IoType.PARALLEL, Strategy.RESOURCE, (1, 2, 4, 8)),
        (CONV, IoType.STREAM, Strategy.RESOURCE, (1, 2, 4, 8, 24)),
        (CONV, IoType.STREAM, Strategy.RESOURCE_UNROLLED, (1, 2, 4, 8)),
        (CONV, IoType.PARALLEL, Strategy.DISTRIBUTED_ARITHMETIC, (1,)),
        (DEPTH, IoType.PARALLEL, Strategy.RESOURCE, ()),
    ],
)
def test_the_reuse_factors_of_a_layer(network, io_type, strategy, expected):
    assert reuse_factors(network, "c", Design(Backend.VITIS, PART, io_type=io_type, strategy=strategy)) == expected


def test_a_convolution_that_hls4ml_computes_wrong_is_refused():
    with pytest.raises(ConfigError) as caught:
        check_design(CONV, Design(Backend.VITIS, PART, strategy=Strategy.RESOURCE, reuse_factor=24))
    assert str(caught.value) == (
        "layer 'c': a convolution with io_parallel and resource must have a reuse factor of at most 8, its window "
        "times its channels, not 24: hls4ml's C++ is wrong beyond; use io_stream"
    )


def test_a_depthwise_convolution_has_no_resource_strategy():
    with pytest.raises(ConfigError) as caught:
        check_design(DEPTH, Design(Backend.VITIS, PART, strategy=Strategy.RESOURCE))
    assert str(caught.value) == (
        "layer 'c': hls4ml has no resource for depthwise convolutions with io_parallel; give this layer the "
        "strategy latency"
    )
