"""What we say a QKeras activation does, against QKeras itself on a fine grid of inputs; no tolerance."""

import numpy as np
import pytest
import qkeras

from fpgaml import emulate
from fpgaml.errors import UnsupportedLayer
from fpgaml.fixed import FixedPoint
from fpgaml.learn.quantizers import meaning, quantized
from fpgaml.learn.read import Builder, _quantized_activation
from fpgaml.network import Input, Network

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
]


@pytest.mark.parametrize("quantizer", SETTINGS, ids=str)
def test_meaning_equals_qkeras_on_every_code(quantizer):
    build = Builder()
    build.add(Input("x", (), (1,), WIDE))
    _quantized_activation(build, _Node(), "x", quantizer, "a")
    network = Network("n", tuple(build.layers))
    expected = np.asarray(quantizer(WIDE.decode(CODES).astype(np.float32)), np.float64)
    kind = network.output.type
    np.testing.assert_array_equal(kind.decode(emulate.run(network, CODES[:, None])[:, 0]), expected)


class _Node:
    class layer:
        name = "a"


@pytest.mark.parametrize(
    ("quantizer", "message"),
    [
        (qkeras.quantized_relu(8, 0, 1), "has use_sigmoid set"),
        (qkeras.quantized_bits(8, 0, alpha="auto"), "must have alpha 1 or None, not 'auto'"),
        (qkeras.quantized_ulaw(8), "activation quantizer quantized_ulaw is not supported; supported are "),
    ],
)
def test_what_has_no_exact_meaning_is_refused(quantizer, message):
    with pytest.raises(UnsupportedLayer, match=r"^layer 'a': ") as caught:
        meaning(quantizer, "a")
    assert message in str(caught.value)


def test_a_float_weight_points_to_post_training_quantization():
    with pytest.raises(UnsupportedLayer, match=r"^the kernel of layer 'fc' has no quantizer: .*fpgaml quantize MODEL"):
        quantized(None, [0.1], "the kernel of layer 'fc'")
