"""Keras models with random weights against their Networks: equal as numbers, layer by layer, without tolerance."""

import keras
import numpy as np
import pytest
import qkeras

from fpgaml.errors import DataError, UnsupportedLayer
from fpgaml.exact import emulate
from fpgaml.frontend import store
from fpgaml.frontend.graph import layer_outputs
from fpgaml.frontend.read import PIXEL, TableTypes, read
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding

L = keras.layers


def bits(*args, **kwargs):
    return qkeras.quantized_bits(*args, **{"alpha": 1, **kwargs})


WEIGHTS = {"kernel_quantizer": bits(6, 0), "bias_quantizer": bits(6, 1)}
RELU = qkeras.quantized_relu(6, 2)
SEPARABLE = {
    "depthwise_quantizer": bits(5, 0),
    "pointwise_quantizer": bits(4, 0),
    "bias_quantizer": bits(6, 1),
}


def randomized(model, seed=0):
    rng = np.random.default_rng(seed)
    model.set_weights(
        [
            rng.uniform(0.5, 1.5, w.shape) if v.name == "moving_variance" else rng.normal(0, 0.4, w.shape)
            for v, w in zip(model.weights, model.get_weights(), strict=True)
        ]
    )
    return model


def sequential(shape, *layers):
    return randomized(keras.Sequential([keras.Input(shape), *layers]))


def skip():
    x = keras.Input((6, 6, 2))
    a = qkeras.QActivation(RELU, name="a")(qkeras.QConv2D(3, 3, padding="same", name="c1", **WEIGHTS)(x))
    b = qkeras.QActivation(bits(5, 2), name="b")(qkeras.QConv2D(3, 1, name="c2", **WEIGHTS)(a))
    y = L.Concatenate(name="side")([L.Add(name="sum")([a, b]), a])
    y = qkeras.QDense(4, name="out", **WEIGHTS)(L.Flatten(name="flat")(y))
    return randomized(keras.Model(x, L.Activation("softmax", name="sm")(y)))


def gate():
    """A map times its own quantized copy."""
    x = image = keras.Input((5, 3), name="image")
    left = qkeras.QConv1D(4, 2, name="left", **WEIGHTS)(x)
    right = qkeras.QActivation(bits(5, 2), name="right")(left)
    return keras.Model(image, L.Multiply(name="gated")([right, left]))


def three():
    x = keras.Input((6, 6, 2))
    a, b, c = (qkeras.QActivation(bits(5, n), name=f"a{n}")(x) for n in range(3))
    y = L.Concatenate(name="side")([L.Add(name="sum")([a, b, c]), a, b])
    return randomized(keras.Model(x, y))


def quantized_depthwise_1d():
    """QKeras has no depthwise convolution in one dimension: a plain one with the attributes of a quantized one."""
    made = L.DepthwiseConv1D(3, padding="same", use_bias=False)
    made.depthwise_quantizer_internal = bits(5, 0)
    plain_call = made.call

    def call(inputs):
        made.kernel.assign(bits(5, 0)(made.kernel))
        return plain_call(inputs)

    made.call = call
    return made


def quantized_dense(**quantizers):
    return sequential((8,), qkeras.QDense(4, name="fc", **{**WEIGHTS, **quantizers}))


def shared():
    x, layer = keras.Input((3,)), qkeras.QDense(3, name="twice", **WEIGHTS)
    return randomized(keras.Model(x, layer(layer(x))))


def nested():
    return sequential((3,), keras.Sequential([keras.Input((3,)), qkeras.QDense(3, **WEIGHTS)], name="inner"))


def prelu():
    """Slopes of each kind: one a value, one a channel, one for all; on a grid of eighths."""
    model = sequential(
        (3, 2, 2),
        qkeras.QActivation(bits(6, 2)),
        L.PReLU(),
        qkeras.QConv2D(3, 1, **WEIGHTS),
        L.PReLU(shared_axes=[1, 2]),
        qkeras.QActivation(bits(6, 2), name="act"),
        L.PReLU(shared_axes=[1, 2, 3]),
    )
    for layer in model.layers:
        if isinstance(layer, L.PReLU):
            layer.set_weights([np.random.default_rng(0).integers(-9, 20, layer.alpha.shape) / 8])
    return model


def branches(merge, shape=(6,), units=4):
    """Two quantized branches, merged, and a layer behind."""
    x = keras.Input(shape)
    a = qkeras.QActivation(RELU)(qkeras.QDense(units, **WEIGHTS)(x))
    b = qkeras.QActivation(bits(6, 2))(qkeras.QDense(units, **WEIGHTS)(x))
    return randomized(keras.Model(x, qkeras.QDense(3, **WEIGHTS)(merge(a, b))))


def by_step():
    """What a TimeDistributed does at each step is done to the whole map."""
    return sequential(
        (5, 4),
        L.TimeDistributed(qkeras.QDense(6, **WEIGHTS)),
        L.TimeDistributed(qkeras.QActivation(RELU)),
        L.Flatten(),
        qkeras.QDense(3, **WEIGHTS),
    )


MODELS = {
    "mlp": sequential(
        (8,), qkeras.QDense(5, name="fc", **WEIGHTS), qkeras.QActivation(RELU), qkeras.QDense(3, **WEIGHTS), L.Softmax()
    ),
    "activation inside": sequential((8,), qkeras.QDense(5, activation=RELU, **WEIGHTS), qkeras.QDense(3, **WEIGHTS)),
    "no bias": sequential((8,), qkeras.QDense(5, use_bias=False, kernel_quantizer=bits(4, 0))),
    "conv": sequential(
        (9, 8, 2),
        qkeras.QConv2D(3, (3, 2), strides=2, padding="same", **WEIGHTS),
        qkeras.QActivation(RELU),
        L.MaxPooling2D(2, padding="same"),
        L.Flatten(),
        L.Dropout(0.5),
        qkeras.QDense(3, **WEIGHTS),
    ),
    "conv 1d": sequential(
        (9, 2), qkeras.QConv1D(3, 3, padding="same", **WEIGHTS), qkeras.QActivation(RELU), L.MaxPooling1D(2)
    ),
    "depthwise": sequential(
        (6, 6, 3), qkeras.QDepthwiseConv2D(3, depthwise_quantizer=bits(5, 0), bias_quantizer=bits(6, 1), padding="same")
    ),
    "average pooling": sequential(
        (6, 6, 2), L.AveragePooling2D(2), qkeras.QActivation(RELU), L.Flatten(), qkeras.QDense(2, **WEIGHTS)
    ),
    "average pooling over 9": sequential((6, 6, 2), L.AveragePooling2D(3), qkeras.QActivation(RELU)),
    "global pooling": sequential((4, 4, 3), L.GlobalAveragePooling2D(), qkeras.QDense(2, **WEIGHTS)),
    "global maximum": sequential((4, 5, 3), L.GlobalMaxPooling2D(), qkeras.QDense(2, **WEIGHTS)),
    "padding, reshape": sequential((12,), L.Reshape((3, 2, 2)), L.ZeroPadding2D(((1, 0), (2, 1)))),
    "upsampling": sequential(
        (3, 2, 2), qkeras.QActivation(RELU), L.UpSampling2D((2, 3)), L.Reshape((18, 4)), L.UpSampling1D(2, name="up")
    ),
    "float relu": sequential((8,), qkeras.QDense(5, **WEIGHTS), L.ReLU(), qkeras.QDense(3, **WEIGHTS)),
    "leaky relu": sequential(
        (8,), qkeras.QDense(5, **WEIGHTS), L.LeakyReLU(negative_slope=0.25), qkeras.QDense(3, **WEIGHTS)
    ),
    "prelu": prelu(),
    "bounded relu": sequential(
        (8,),
        qkeras.QDense(5, **WEIGHTS),
        L.ReLU(max_value=0.75, negative_slope=0.25),
        qkeras.QActivation(bits(8, 0)),
        qkeras.QDense(5, **WEIGHTS),
        L.Activation("relu6"),
        L.Activation(L.ReLU()),
        L.Activation(L.LeakyReLU(0.25)),
    ),
    "rescaling": sequential((8,), L.Rescaling(1 / 4, offset=-1), qkeras.QDense(5, **WEIGHTS)),
    "nothing at inference": sequential(
        (4, 4, 2),
        L.RandomFlip(),
        qkeras.QConv2D(3, 2, **WEIGHTS),
        L.GaussianNoise(0.1),
        L.GaussianDropout(0.2),
        L.ActivityRegularization(0.1),
        L.SpatialDropout2D(0.2),
        L.AlphaDropout(0.1),
    ),
    "subtract": branches(lambda a, b: L.Subtract()([a, b])),
    "mean of two": branches(lambda a, b: L.Average()([a, b])),
    "largest, smallest": branches(lambda a, b: L.Concatenate()([L.Maximum()([a, b, a]), L.Minimum()([a, b, b])])),
    "stacked": branches(lambda a, b: L.Flatten()(L.Concatenate(axis=1)([a, b, a])), (3, 2)),
    "operators": branches(lambda a, b: 2 - (a * b + a / 4 - 0.5) + keras.ops.square(b) - (-a)),
    "bounds by operators": branches(
        lambda a, b: keras.ops.maximum(keras.ops.minimum(a, 0.75), b) + keras.ops.minimum(keras.ops.maximum(a, 1.5), b)
    ),
    "functions by operators": branches(lambda a, b: keras.ops.concatenate([keras.ops.relu(b), a], axis=-1)),
    "by step": by_step(),
    "repeated": sequential((6,), qkeras.QDense(3, **WEIGHTS), L.RepeatVector(4)),
    "cropping": sequential((7, 6, 2), L.Cropping2D(((1, 2), (0, 1))), L.Reshape((20, 2)), L.Cropping1D(3)),
    "groups": sequential((5, 5, 4), qkeras.QConv2D(6, 3, groups=2, **WEIGHTS)),
    "dilation": sequential((7, 7, 2), qkeras.QConv2D(3, (3, 2), dilation_rate=(2, 3), padding="same", **WEIGHTS)),
    "depth multiplier": sequential(
        (5, 5, 3),
        qkeras.QDepthwiseConv2D(2, depth_multiplier=2, depthwise_quantizer=bits(5, 0), bias_quantizer=bits(6, 1)),
    ),
    "skip connections": skip(),
    "a layer used twice": shared(),
    "a model in a model": nested(),
    "three branches": three(),
    "gate": gate(),
    "depthwise 1d": sequential((9, 3), quantized_depthwise_1d()),
    "separable 1d": sequential((9, 3), qkeras.QSeparableConv1D(4, 3, padding="same", **SEPARABLE)),
    "separable 2d": sequential(
        (7, 6, 3), qkeras.QSeparableConv2D(4, (3, 2), strides=2, padding="same", activation=RELU, **SEPARABLE)
    ),
    "dense, normalized": sequential((8,), qkeras.QDenseBatchnorm(5, name="fc", **WEIGHTS), qkeras.QActivation(RELU)),
    "conv, normalized": sequential((6, 6, 2), qkeras.QConv2DBatchnorm(3, 3, name="c", use_bias=False, **WEIGHTS)),
    "depthwise, normalized": sequential(
        (6, 6, 3), qkeras.QDepthwiseConv2DBatchnorm(3, depthwise_quantizer=bits(6, 0), bias_quantizer=bits(6, 1))
    ),
    "quantized average": sequential(
        (6, 6, 2), qkeras.QAveragePooling2D(3, average_quantizer=bits(8, 0), activation=RELU), L.Flatten()
    ),
    "quantized average, plain": sequential((6, 6, 2), qkeras.QAveragePooling2D(3, activation=RELU), L.Flatten()),
    "quantized global average": sequential(
        (5, 5, 2), qkeras.QGlobalAveragePooling2D(average_quantizer=bits(8, 0), activation=bits(6, 1))
    ),
    "inner functions": sequential(
        (8,), qkeras.QDense(5, activation="relu", **WEIGHTS), L.Activation("relu"), qkeras.QActivation("hard_tanh")
    ),
    "tables": sequential(
        (8,),
        qkeras.QDense(5, activation="quantized_tanh(6)", **WEIGHTS),
        qkeras.QActivation("ternary()"),
        qkeras.QDense(5, **WEIGHTS),
        qkeras.QActivation(qkeras.quantized_sigmoid(5)),
        qkeras.QDense(5, **WEIGHTS),
        qkeras.QActivation("binary()"),
        qkeras.QDense(5, **WEIGHTS),
        qkeras.QActivation(qkeras.quantized_po2(4, 2)),
    ),
    "keep_negative=False weights": quantized_dense(kernel_quantizer=bits(6, 0, keep_negative=False)),
    "alpha None": quantized_dense(kernel_quantizer=qkeras.quantized_bits(6, 0)),
    "auto_po2": quantized_dense(kernel_quantizer=qkeras.quantized_bits(6, 0, alpha="auto_po2")),
    "alpha 0.5": quantized_dense(kernel_quantizer=bits(6, 0, alpha=0.5)),
    "one bit": quantized_dense(kernel_quantizer=bits(1, 0)),
    "power of two": quantized_dense(kernel_quantizer=qkeras.quantized_po2(4)),
    "binary": quantized_dense(kernel_quantizer=qkeras.binary(alpha=1)),
    "ternary": quantized_dense(kernel_quantizer=qkeras.ternary(alpha=1)),
}


@pytest.mark.parametrize("name", MODELS)
def test_network_equals_keras_in_every_layer(name):
    model = MODELS[name]
    reading = read(model, name="n")
    network, types = reading.network, tensor_types(reading.network)
    codes = np.random.default_rng(5).integers(0, 256, (40, *network.input.dims))
    found = emulate.trace(network, codes)
    expected = layer_outputs(model, reading.keras_names, PIXEL.decode(codes))
    assert network.output.name in expected or name in ("mlp", "skip connections")
    for layer, values in expected.items():
        np.testing.assert_array_equal(
            types[layer].decode(found[layer]), values.reshape(found[layer].shape), err_msg=layer
        )


def test_a_saved_model_reads_the_same(tmp_path):
    model = MODELS["conv"]
    store.save(model, tmp_path / "m.keras")
    assert read(store.load(tmp_path / "m.keras"), name="n").network == read(model, name="n").network


def test_softmax_is_left_out_and_said():
    reading = read(MODELS["skip connections"], name="n")
    assert reading.network.output.name == "out"
    assert (
        "the softmax at the end is left out: the outputs are logits, and the class is the largest logit"
        in reading.notes
    )


def test_names_become_identifiers():
    model = sequential((8,), qkeras.QDense(5, name="fc-1.a", **WEIGHTS), qkeras.QDense(5, name="double", **WEIGHTS))
    reading = read(model, name="n")
    assert list(reading.network.shapes)[1:] == ["fc_1_a", "double_layer"]
    assert "layer 'fc-1.a' is called 'fc_1_a' in C++" in reading.notes


def two_inputs():
    a, b = keras.Input((3,)), keras.Input((3,))
    return keras.Model([a, b], L.Add()([a, b]))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            two_inputs(),
            "the model has 2 inputs and 1 outputs; one of each is supported, such as keras.Model(model.inputs[0], "
            "model.outputs[0])",
        ),
        (
            sequential((3,), L.Lambda(lambda x: x, name="code")),
            "layer 'code' is a Lambda: it holds Python code, which fpgaml never runs; use a built-in layer",
        ),
        (
            sequential((None, 3), qkeras.QConv1D(2, 3, **WEIGHTS)),
            "the input has the dynamic shape (None, 3); every axis but the images must be fixed",
        ),
        (
            sequential((6, 6, 2), L.AveragePooling2D(3, name="mean"), L.Flatten(), qkeras.QDense(2, **WEIGHTS)),
            "layer 'mean': a mean over 9 values (or over padding) is on no grid; put a QActivation right after it, "
            "which says where to round",
        ),
        (
            sequential((3, 3, 1), L.UpSampling2D(2, interpolation="bilinear", name="up")),
            "layer 'up': interpolation must be nearest, not bilinear",
        ),
        (
            sequential((8,), L.Dense(2, name="fc")),
            "the kernel of layer 'fc' has no quantizer: the model is in floating point there; quantize it in training, "
            "or use post-training quantization (fpgaml quantize MODEL --data ...)",
        ),
    ],
    ids=["two inputs", "Lambda", "dynamic shape", "mean on no grid", "bilinear", "float weights"],
)
def test_refused_models(model, message):
    with pytest.raises(UnsupportedLayer) as caught:
        read(model, name="n")
    assert str(caught.value) == message


def test_an_unknown_layer_is_named_with_what_is_supported():
    with pytest.raises(UnsupportedLayer, match=r"^layer 'swap': a Permute is not supported; supported are .*QConv2D"):
        read(sequential((4, 4, 1), L.Permute((2, 1, 3), name="swap")), name="n")


def test_nan_weights_are_refused():
    model = quantized_dense()
    model.set_weights([np.full((8, 4), np.nan), np.zeros(4)])
    with pytest.raises(DataError, match=r"^the kernel of layer 'fc' has 32 NaN or infinite values; train it again$"):
        read(model, name="n")


def float_parts():
    return sequential(
        (8,),
        qkeras.QDense(5, name="fc", **WEIGHTS),
        L.BatchNormalization(name="bn"),
        qkeras.QActivation(RELU, name="act"),
        qkeras.QDense(3, name="end", **WEIGHTS),
    )


def test_batch_normalization_is_rounded_to_a_stated_grid_and_said():
    model = float_parts()
    for given, bits_used in ((None, 16), (24, 24)):
        reading = read(model, name="n", scale_bits=given)
        made = reading.network["bn"]
        assert {made.scale.type.width <= bits_used, made.bias.type.width <= bits_used} == {True}
        assert list(reading.apart) == ["bn"]
        assert reading.apart["bn"].startswith(
            "batch normalization in floating point is on no grid: its scale is rounded"
        )
        assert reading.keras_names == {"fc": "fc"}  # no layer behind it is promised to be equal
        values = layer_outputs(model, {"bn": "bn"}, PIXEL.decode(np.full((1, 8), 77)))["bn"]
        kind = tensor_types(reading.network)["bn"]
        found = kind.decode(emulate.trace(reading.network, np.full((1, 8), 77))["bn"])
        assert np.abs(found - values).max() < 2.0 ** (4 - bits_used)


@pytest.mark.parametrize(("function", "formula"), [("sigmoid", lambda x: 1 / (1 + np.exp(-x))), ("tanh", np.tanh)])
def test_a_float_function_is_a_stated_table(function, formula):
    model = sequential((8,), qkeras.QDense(5, **WEIGHTS), L.Activation(function, name="f"), qkeras.QDense(2, **WEIGHTS))
    index = FixedPoint(9, 4, True, Rounding.RND, Overflow.SAT)
    reading = read(model, name="n", tables=TableTypes(index=index))
    made = reading.network["f"]
    x = index.decode(np.arange(-256, 256))
    kind = getattr(TableTypes(), function)
    np.testing.assert_array_equal(made.table.codes, kind.encode(formula(x)))
    assert made.index == index
    assert "f" in reading.apart


def test_a_slope_on_no_grid_is_rounded_and_said():
    reading = read(sequential((8,), qkeras.QDense(5, **WEIGHTS), L.LeakyReLU(0.3, name="f")), name="n")
    assert reading.network["f"].slope == round(0.3 * 2**16) / 2**16
    assert reading.apart["f"].startswith(
        "its slope 0.3 is on no grid: it is rounded to fixed<16,0,RND_CONV,SAT> (change"
    )


def test_learned_slopes_on_no_grid_are_rounded_and_said():
    model = sequential((8,), qkeras.QDense(5, **WEIGHTS), L.PReLU(name="f"))
    model.get_layer("f").set_weights([np.array([0.3, 0.1, 0.25, -1.7, 0.0])])
    reading = read(model, name="n", scale_bits=8)
    assert reading.network["f"].slopes.codes.tolist() == [19, 6, 16, -109, 0]  # 64ths
    assert reading.apart["f"].startswith("the slopes of layer 'f' is on no grid")


def test_slopes_that_are_no_numbers_are_refused():
    model = sequential((8,), qkeras.QDense(5, **WEIGHTS), L.PReLU(name="f"))
    model.get_layer("f").set_weights([np.full(5, np.nan)])
    with pytest.raises(DataError, match=r"^layer 'f' has NaN or infinite slopes; train it again$"):
        read(model, name="n")


def test_alpha_auto_is_refused_or_rounded():
    model = quantized_dense(kernel_quantizer=qkeras.quantized_bits(4, 0, alpha="auto", symmetric=1))
    with pytest.raises(UnsupportedLayer, match=r"^the kernel of layer 'fc': quantized_bits has alpha='auto', "):
        read(model, name="n")
    reading = read(model, name="n", scale_bits=9)
    assert reading.network["fc"].kernel.type.width <= 9
    assert reading.apart["fc"].startswith("the kernel of layer 'fc' is on no grid: it is rounded to fixed<9,")
    assert reading.keras_names == {}
