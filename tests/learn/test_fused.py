"""The quick quantizers equal QKeras' own, value and gradient, bit for bit."""

import numpy as np
import pytest
import qkeras
import tensorflow as tf

from fpgaml.learn.fused import fused, stand_in

VALUES = np.concatenate([
    np.random.default_rng(0).normal(0, 2, 20_000),
    np.arange(-600, 600) / 128,  # every tie
    [0.0, -0.0, 1e-30, -1e-30, 1e3, -1e3],  # far above: QKeras adds and subtracts x, and leaves the grid from about 1e6
]).astype(np.float32)  # fmt: skip

QUANTIZERS = [
    qkeras.quantized_bits(6, 0, alpha=1),
    qkeras.quantized_bits(4, -2, alpha=1),
    qkeras.quantized_bits(8, 3, symmetric=1, alpha=1),
    qkeras.quantized_bits(5, 1, keep_negative=False, alpha=1),
    qkeras.quantized_bits(2, 0, alpha=1),
    qkeras.quantized_relu(6, 2),
    qkeras.quantized_relu(8, 0),
    qkeras.quantized_relu(4, 4),
    qkeras.quantized_relu(3, 5),
]


@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=str)
def test_equal_values_and_gradients(quantizer):
    quick = stand_in(quantizer)
    assert quick is not None
    results = []
    for function in (quantizer, quick):
        x = tf.Variable(VALUES)
        with tf.GradientTape() as tape:
            y = function(x)
        results.append((np.asarray(y), np.asarray(tape.gradient(y, x))))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


@pytest.mark.parametrize(
    "quantizer",
    [
        None,
        qkeras.quantized_bits(1, 0, alpha=1),
        qkeras.quantized_bits(4, 0, alpha="auto"),
        qkeras.quantized_bits(4, 0, alpha=0.5),
        qkeras.quantized_relu(4, 0, 1),
        qkeras.quantized_relu(4, 0, negative_slope=0.25),
        qkeras.ternary(alpha=1),
        tf.nn.relu,
    ],
    ids=lambda quantizer: getattr(quantizer, "__name__", str(quantizer)),
)
def test_others_are_left_alone(quantizer):
    assert stand_in(quantizer) is None


def test_quantizers_come_back():
    import keras

    image = keras.Input((3,))
    dense = qkeras.QDense(2, kernel_quantizer=QUANTIZERS[0], bias_quantizer=QUANTIZERS[0])
    model = keras.Model(image, qkeras.QActivation(QUANTIZERS[5])(dense(image)))
    own = dense.kernel_quantizer_internal
    with fused(model):
        assert dense.kernel_quantizer_internal is not own
    assert dense.kernel_quantizer_internal is own
    assert dense.bias_quantizer_internal is not None
