"""What we say a QKeras activation does, against QKeras itself on a fine grid of inputs; no tolerance."""

import numpy as np
import pytest
import qkeras

from fpgaml.errors import UnsupportedLayer
from fpgaml.exact import emulate
from fpgaml.frontend.graph import Node
from fpgaml.frontend.quantizers import Rounded, meaning, quantized, tabulate
from fpgaml.frontend.read import Exact
from fpgaml.ir.accumulate import Interval, tensor_types
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import Input, Network

WIDE = FixedPoint(15, 7)  # -64 to 64 in steps of 1/256: every tie and every limit of the types below
CODES = np.arange(WIDE.low, WIDE.high + 1)

SETTINGS = [
    *(
        qkeras.quantized_bits(bits, integer, symmetric=symmetric, keep_negative=keep_negative, alpha=1)
        for bits, integer in ((2, 0), (4, 3), (4, 4), (6, 0), (8, 2), (3, 5), (5, -2))
        for symmetric in (0, 1)
        for keep_negative in (True, False)
    ),
    qkeras.quantized_bits(6, 2),  # alpha None is 1 for activations
    *(qkeras.quantized_relu(bits, integer) for bits, integer in ((4, 4), (3, 5), (6, 2), (8, 0), (1, 1), (2, 0))),
    *(qkeras.quantized_relu(bits, 2, negative_slope=slope) for bits in (4, 6) for slope in (0.5, 0.125)),
    *(
        qkeras.quantized_linear(bits, integer, symmetric=symmetric, keep_negative=keep_negative, alpha=alpha)
        for bits, integer in ((1, 0), (2, 0), (4, 3), (6, 0), (5, -2))
        for symmetric in (0, 1)
        for keep_negative in (True, False)
        for alpha in (None, 0.5)
    ),
    *(qkeras.quantized_tanh(bits, symmetric=symmetric) for bits in (1, 2, 8) for symmetric in (False, True)),
    *(qkeras.quantized_sigmoid(bits, symmetric=symmetric) for bits in (1, 2, 8) for symmetric in (False, True)),
    qkeras.quantized_tanh(6, use_real_tanh=True),
    qkeras.quantized_sigmoid(6, use_real_sigmoid=True),
    *(qkeras.quantized_po2(bits, max_value) for bits in (3, 4, 5) for max_value in (None, 1, 2)),
    *(qkeras.quantized_relu_po2(bits, max_value) for bits in (3, 4) for max_value in (None, 4)),
    qkeras.quantized_relu_po2(4, 4, negative_slope=0.25),
    qkeras.quantized_po2(4, quadratic_approximation=True),
    *(qkeras.quantized_bits(1, 0, keep_negative=k, alpha=1) for k in (True, False)),
    *(qkeras.quantized_bits(5, 1, alpha=alpha) for alpha in (0.5, 0.75)),
    *(qkeras.binary(use_01, alpha) for use_01 in (False, True) for alpha in (None, 1, 0.5)),
    *(qkeras.ternary(alpha, threshold) for alpha in (None, 1, 0.5) for threshold in (None, 0.5, 1.3)),
    qkeras.stochastic_binary(),
    qkeras.stochastic_ternary(),
    qkeras.quantized_relu(6, 1, use_sigmoid=1),
    qkeras.quantized_bits(6, 1, alpha=1, use_stochastic_rounding=True),
    qkeras.quantized_relu(6, 1, use_stochastic_rounding=True),
]


@pytest.mark.parametrize("quantizer", SETTINGS, ids=lambda q: type(q).__name__)
def test_meaning_equals_qkeras_on_every_code(quantizer):
    build = Exact()
    build.put(Input("x", (), (1,), WIDE))
    build.cast(Node("a", None, ("x",), (), None), quantizer, "x", "a")
    network = Network("n", tuple(build.layers))
    expected = np.asarray(quantizer(WIDE.decode(CODES).astype(np.float32)), np.float64)
    kind = tensor_types(network)[network.output.name]
    np.testing.assert_array_equal(kind.decode(emulate.run(network, CODES[:, None])[:, 0]), expected)


@pytest.mark.parametrize(
    ("quantizer", "message"),
    [
        (qkeras.quantized_relu(8, 0, is_quantized_clip=False), "is lost when QKeras saves it"),
        (qkeras.quantized_bits(8, 0, alpha="auto"), "must have alpha 1, another number or None, not 'auto'"),
        (qkeras.ternary(alpha="auto_po2"), "must have alpha 1, another number or None, not 'auto_po2'"),
        (qkeras.quantized_bits(8, 0, alpha=1, qnoise_factor=0.5), "must have qnoise_factor 1, not 0.5"),
        (qkeras.quantized_ulaw(8), "is on a logarithmic scale that no fixed-point type holds"),
        (qkeras.bernoulli(), "draws its results at random, at inference too"),
        (np.tanh, "activation quantizer ufunc is not supported; supported are quantized_bits, "),
    ],
)
def test_what_has_no_exact_meaning_is_refused(quantizer, message):
    with pytest.raises(UnsupportedLayer, match=r"^layer 'a': ") as caught:
        meaning(quantizer, "a")
    assert message in str(caught.value)


def test_a_float_weight_points_to_post_training_quantization():
    with pytest.raises(UnsupportedLayer, match=r"^the kernel of layer 'fc' has no quantizer: .*fpgaml quantize MODEL"):
        quantized(None, [0.1], "the kernel of layer 'fc'")


def test_signs_need_no_table_over_every_code():
    wide = Interval(-(1 << 40), 1 << 40, 20)
    index, table = tabulate(qkeras.binary(alpha=1), wide, "a")
    assert (index, list(table.values)) == (FixedPoint(1, 1, True, Rounding.TRN, Overflow.SAT), [-1, 1])


def test_the_index_of_a_table_is_as_narrow_as_can_be():
    index, _ = tabulate(qkeras.ternary(threshold=0.5), Interval.of(WIDE), "a")
    assert index.fraction == 8  # a threshold below zero is reached from above: no coarser index tells
    index, _ = tabulate(qkeras.quantized_bits(4, 0, alpha=0.75), Interval.of(WIDE), "a")
    assert index == FixedPoint(4, 1, True, Rounding.RND_CONV, Overflow.SAT)


@pytest.mark.parametrize(
    ("function", "x", "message"),
    [
        (qkeras.ternary(), Interval(-(1 << 30), 1 << 30, 20), "its input has 32 bits, too many to tabulate ternary; "),
        (
            qkeras.quantized_sigmoid(16, use_real_sigmoid=True),
            Interval(-(1 << 17), 1 << 17, 14),
            "a table of quantized_sigmoid for its input needs 18 index bits, more than 16; ",
        ),
        (qkeras.quantized_po2(8), Interval(-8, 7, 2), "the results of quantized_po2 "),
        (qkeras.bernoulli(), Interval(-128, 127, 10), "bernoulli gives random results at inference too"),
    ],
)
def test_what_no_table_holds_is_refused(function, x, message):
    with pytest.raises(UnsupportedLayer) as caught:
        tabulate(function, x, "a")
    assert str(caught.value).startswith(f"layer 'a': {message}")


WEIGHTS = np.random.default_rng(2).normal(0, 0.4, (20, 6)).astype(np.float32)


def test_a_scale_on_no_grid_is_refused_or_rounded():
    quantizer = qkeras.quantized_bits(4, 0, alpha="auto", symmetric=1)
    with pytest.raises(UnsupportedLayer, match=r"^w: quantized_bits has alpha='auto', .* on no grid; train with"):
        quantized(quantizer, WEIGHTS, "w")
    found = quantized(quantizer, WEIGHTS, "w", scale_bits=10)
    assert isinstance(found, Rounded)
    assert found.type.width == 10
    assert 0 < found.change <= found.type.step / 2
    np.testing.assert_array_equal(found.type.decode(found.type.encode(found.values)), found.values)
