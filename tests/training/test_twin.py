"""The QKeras twin: structure, weights, ranges, names; equal outputs where the float weights lie on the grid."""

import keras
import numpy as np
import pytest

from fpgaml.card.sections import Quantization
from fpgaml.card.toml import card_of
from fpgaml.errors import ConfigError, FormatError, UnsupportedLayer
from fpgaml.frontend import store
from fpgaml.frontend.folding import fold
from fpgaml.frontend.graph import walk
from fpgaml.training.build import build
from fpgaml.training.twin import best_integer, quantizer, size, twin

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1)).astype(np.float32) / 256

CNN = (
    {"kind": "conv2d", "filters": 3, "name": "c1"},
    {"kind": "batchnorm"},
    {"kind": "activation", "activation": "relu", "name": "r1"},
    {"kind": "maxpool2d"},
    {"kind": "averagepool2d", "pool": [3, 1]},
    {"kind": "upsampling2d", "size": [2, 1]},
    {"kind": "flatten"},
    {"kind": "dropout"},
    {"kind": "dense", "units": 4, "activation": "relu", "name": "d1"},
    {"kind": "dense", "units": 3, "name": "d2"},
    {"kind": "dense", "units": 2, "activation": "softmax", "name": "d3"},
)


def float_model(layers=CNN):
    return build(card_of({"model": {"layers": list(layers)}}).model, (8, 8, 1))


def quantized(model, **keys):
    return twin(model, card_of({"model": {"function": "m:f"}, "quantization": keys}).quantization, IMAGES)


def described(model):
    found = []
    for layer in model.layers:
        kernel, bias = (getattr(layer, f"{part}_quantizer_internal", None) for part in ("kernel", "bias"))
        kind = type(layer).__name__
        own = map(str, (kernel, bias)) if kernel else [str(layer.activation)] if kind == "QActivation" else []
        found.append((layer.name, kind, *own))
    return found


def test_structure():
    own = {"d1": {"weight_bits": 3, "weight_integer": -1, "activation_bits": 4}}
    bits = {
        "weight_bits": 5,
        "weight_integer": 0,
        "bias_bits": 7,
        "bias_integer": 1,
        "activation_bits": 6,
        "activation_integer": 2,
    }
    made = quantized(float_model(), **bits, layers=own)
    assert described(made) == [
        ("image", "InputLayer"),
        ("c1", "QConv2D", "quantized_bits(5,0,0,alpha=1)", "quantized_bits(7,1,0,alpha=1)"),
        ("r1", "QActivation", "quantized_relu(6,2)"),
        ("pool1", "MaxPooling2D"),
        ("pool2", "AveragePooling2D"),
        ("pool2_round", "QActivation", "quantized_relu(6,2)"),
        ("up1", "UpSampling2D"),
        ("flatten1", "Flatten"),
        ("dropout1", "Dropout"),
        ("d1", "QDense", "quantized_bits(3,-1,0,alpha=1)", "quantized_bits(7,1,0,alpha=1)"),
        ("d1_relu", "QActivation", "quantized_relu(4,2)"),
        ("d2", "QDense", "quantized_bits(5,0,0,alpha=1)", "quantized_bits(7,1,0,alpha=1)"),
        ("d2_linear", "QActivation", "quantized_bits(6,2,0,alpha=1)"),
        ("d3", "QDense", "quantized_bits(5,0,0,alpha=1)", "quantized_bits(7,1,0,alpha=1)"),
        ("d3_softmax", "Activation"),
    ]


def test_many_bits_give_the_float_model():
    model = float_model()
    norm = model.get_layer("norm1")
    norm.set_weights(
        [np.array([1.5, 0.5, 1]), np.array([0.1, -0.2, 0.3]), np.array([0.2, 0, -0.1]), np.array([2, 1, 0.5])]
    )
    made = quantized(model, weight_bits=16, weight_integer="auto", bias_bits=24, activation_bits=16)
    np.testing.assert_allclose(made(IMAGES), model(IMAGES), atol=2e-3)


def test_slopes_are_rounded_as_weights_are_and_kept():
    model = float_model(({"kind": "conv2d", "filters": 3, "name": "c", "activation": "prelu"}, *CNN[5:]))
    model.get_layer("c_prelu").set_weights([np.array([[[0.3, -0.1, 0.26]]])])
    made = quantized(model, weight_bits=5, activation_bits=8, activation_integer=1)
    assert described(made)[2:5] == [
        ("c_linear", "QActivation", "quantized_bits(8,1,0,alpha=1)"),
        ("c_prelu_slope", "PReLU"),
        ("c_prelu", "QActivation", "quantized_bits(8,1,0,alpha=1)"),
    ]
    slopes = made.get_layer("c_prelu_slope")
    np.testing.assert_array_equal(np.ravel(slopes.alpha), np.array([10, -3, 8]) / 32)
    assert not slopes.trainable_variables


def test_weights_start_from_the_float_model():
    model = float_model()
    made = quantized(model)
    np.testing.assert_array_equal(made.get_layer("d1").kernel, model.get_layer("d1").kernel)
    assert "norm1" not in [layer.name for layer in made.layers]
    assert size(made)["d3"][0] == 6


def test_quantizers_by_name():
    made = quantized(float_model(), kernel="quantized_bits(4, 0)", activation="quantized_relu(5, 1)",
                     layers={"d3": {"kernel": "ternary(alpha=1)"}})  # fmt: skip
    assert str(made.get_layer("c1").kernel_quantizer_internal) == "quantized_bits(4,0,0,alpha=1)"
    assert type(made.get_layer("d3").kernel_quantizer_internal).__name__ == "ternary"
    assert str(made.get_layer("d1_relu").activation) == "quantized_relu(5,1)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "quantized_bit(4)",
            "k must be one of quantized_bits, ternary, not 'quantized_bit'; did you mean 'quantized_bits'?",
        ),
        ("ternary", "k must be a QKeras quantizer such as 'quantized_bits(4, 0, alpha=1)', not 'ternary'"),
        ("ternary(", "k must be a QKeras quantizer such as 'quantized_bits(4, 0, alpha=1)', not 'ternary('"),
        ("ternary(alfa=1)", "k: QKeras cannot make 'ternary(alfa=1)': "
                            "ternary.__init__() got an unexpected keyword argument 'alfa'"),
    ],
)  # fmt: skip
def test_bad_quantizers(text, message):
    with pytest.raises(ConfigError) as caught:
        quantizer(text, ("quantized_bits", "ternary"), "k")
    assert str(caught.value) == message


def test_the_sigmoid_trap_of_quantized_relu():
    with pytest.raises(ConfigError, match="the third number of quantized_relu is use_sigmoid"):
        quantizer("quantized_relu(8, 0, 1)", ("quantized_relu",), "a")


def test_best_integer():
    assert best_integer(np.array([0.9, -0.9]), 8, signed=True) == 0
    assert best_integer(np.array([0.1, -0.05]), 8, signed=True) == -3
    assert best_integer(np.array([3.5, 0.25]), 6, signed=False) == 2
    outlier = np.append(np.linspace(0, 0.9, 1000), 7.0)
    assert best_integer(outlier, 4, signed=False, low=0) in (1, 2)  # one large value may saturate
    with pytest.raises(ConfigError, match="must be finite"):
        best_integer(np.array([np.nan]), 4, signed=True)


def test_layers_without_quantized_form():
    image = keras.Input((8, 8, 1), name="image")
    lonely = keras.layers.BatchNormalization(name="bn")(keras.layers.MaxPooling2D(name="mp")(image))
    with pytest.raises(UnsupportedLayer) as caught:
        fold(walk(keras.Model(image, lonely)))
    assert str(caught.value) == (
        "layer 'bn': batch normalization must directly follow a dense or convolution layer without activation, "
        "to be folded into it; it follows 'mp'"
    )
    gelu = keras.Model(image, keras.layers.Dense(2, activation="gelu", name="d")(keras.layers.Flatten()(image)))
    with pytest.raises(UnsupportedLayer) as caught:
        quantized(gelu)
    assert str(caught.value) == "layer 'd_gelu': activation 'gelu' has no quantized form in fpgaml"
    norm = keras.Model(image, keras.layers.LayerNormalization(name="ln")(image))
    with pytest.raises(UnsupportedLayer) as caught:
        quantized(norm)
    assert str(caught.value) == "layer 'ln': a LayerNormalization has no quantized form in fpgaml"


def test_settings_for_a_layer_that_is_not_there():
    with pytest.raises(ConfigError) as caught:
        quantized(float_model(), layers={"pol1": {"weight_bits": 4}})
    assert str(caught.value) == "quantization.layers.pol1: the model has no layer 'pol1'; did you mean 'pool1'?"


def test_a_model_with_a_branch():
    image = keras.Input((8, 8, 1), name="image")
    flat = keras.layers.Flatten(name="f")(image)
    left = keras.layers.Dense(4, activation="relu", name="a")(flat)
    right = keras.layers.Dense(4, activation="relu", name="b")(flat)
    out = keras.layers.Dense(2, name="o")(keras.layers.Add(name="s")([left, right]))
    model = keras.Model(image, out)
    made = quantized(model, weight_bits=16, weight_integer="auto", bias_bits=24, activation_bits=16)
    np.testing.assert_allclose(made(IMAGES), model(IMAGES), atol=1e-3)


def test_saving_and_loading(tmp_path):
    made = quantized(float_model())
    path = tmp_path / "model.keras"
    store.save(made, path)
    again = store.load(path)
    np.testing.assert_array_equal(made(IMAGES), again(IMAGES))
    assert described(again) == described(made)
    assert [found.name for found in tmp_path.iterdir()] == ["model.keras"]
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(FormatError, match="is not a Keras model that can be read"):
        store.load(path)


def test_defaults_are_six_bits():
    assert (Quantization().weight_bits, Quantization().activation_bits) == (6, 6)
