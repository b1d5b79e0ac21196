"""The quick quantizers equal QKeras' own, value and gradient, bit for bit."""

import keras
import numpy as np
import pytest
import qkeras
import tensorflow as tf

from fpgaml.training.fused import compiles, fused, stand_in

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

    def value_and_gradient(function, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return y, tape.gradient(y, x)

    x = tf.constant(VALUES)
    value, gradient = value_and_gradient(quantizer, x)
    compiled = tf.function(value_and_gradient, jit_compile=True)  # as dense networks train
    for own in (value_and_gradient, compiled):
        found, slope = own(quick, x)
        np.testing.assert_array_equal(found, value)
        np.testing.assert_array_equal(slope, gradient)


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


def model_of(*layers):
    image = keras.Input((4, 4, 1))
    last = keras.layers.Flatten()(image)
    for layer in layers:
        last = layer(last)
    return keras.Model(image, last)


def test_only_dense_networks_of_known_quantizers_are_compiled():
    known, other = QUANTIZERS[0], qkeras.ternary(alpha=1)
    dense = qkeras.QDense(2, kernel_quantizer=known, bias_quantizer=known)
    assert compiles(model_of(dense, qkeras.QActivation(QUANTIZERS[5])))
    assert compiles(model_of(keras.layers.Dense(2)))
    assert not compiles(model_of(keras.layers.Reshape((4, 4, 1)), keras.layers.Conv2D(1, 1)))
    assert not compiles(model_of(dense, qkeras.QDense(2, kernel_quantizer=other)))
    assert not compiles(model_of(dense, keras.layers.Reshape((2, 1)), keras.layers.Conv1D(1, 1)))


def test_quantizers_come_back():
    image = keras.Input((3,))
    dense = qkeras.QDense(2, kernel_quantizer=QUANTIZERS[0], bias_quantizer=QUANTIZERS[0])
    model = keras.Model(image, qkeras.QActivation(QUANTIZERS[5])(dense(image)))
    own = dense.kernel_quantizer_internal
    with fused(model):
        assert dense.kernel_quantizer_internal is not own
    assert dense.kernel_quantizer_internal is own
    assert dense.bias_quantizer_internal is not None
