"""The one walk over a Keras model's graph."""

import keras
import numpy as np
import pytest
import qkeras

from fpgaml.errors import FpgamlError, UnsupportedLayer
from fpgaml.frontend.findings import Code
from fpgaml.frontend.graph import activation_of, input_of, layer_outputs, walk
from fpgaml.frontend.read import read
from tests.frontend.test_read import WEIGHTS, bits, sequential, skip

L = keras.layers


def test_nodes_come_in_order_with_what_they_read_and_who_reads_them():
    graph = walk(skip())
    assert [node.name for node in graph][1:] == ["c1", "a", "c2", "b", "sum", "side", "flat", "out", "sm"]
    assert graph["sum"].sources == ("a", "b")
    assert {reader.name for reader in graph["a"].readers} == {"c2", "sum", "side"}
    assert (graph["a"].ahead, graph["flat"].ahead.name) == (None, "out")
    assert [node.name for node in graph if node.last] == ["sm"]
    assert (graph["c1"].kind, graph["c1"].shape, graph.before(graph["c1"]).kind) == ("QConv2D", (6, 6, 3), "InputLayer")


def test_edges_are_those_of_the_model_given():
    whole = skip()
    part = keras.Model(whole.inputs[0], whole.get_layer("a").output)
    graph = walk(part)
    assert [node.name for node in graph][1:] == ["c1", "a"]
    assert graph["a"].readers == ()
    values = np.random.default_rng(0).random((2, 6, 6, 2), np.float32)
    np.testing.assert_array_equal(layer_outputs(part, {"x": "a"}, values)["x"], np.asarray(part(values)))


@pytest.mark.parametrize(("name", "wanted"), [("input_layer_7", "image"), ("input", "image"), ("pixels", "pixels")])
def test_a_default_name_of_the_input_says_nothing(name, wanted):
    graph = walk(keras.Sequential([keras.Input((3, 2), name=name), L.Flatten()]))
    assert input_of(graph[name]) == (wanted, (3, 2))


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (L.Dense(2), "linear"),
        (L.Dense(2, activation="tanh"), "tanh"),
        (L.Flatten(), "linear"),
        (L.ReLU(), "relu"),
        (L.ReLU(negative_slope=0.5), "leaky_relu"),
        (L.LeakyReLU(0.5), "leaky_relu"),
        (L.Softmax(), "softmax"),
        (qkeras.QActivation("quantized_relu(4)"), ""),
    ],
)
def test_the_function_inside_a_layer(layer, name):
    assert activation_of(layer) == name


def test_a_model_that_keras_cannot_run_is_refused():
    """QKeras on Keras 3 hands causal padding to TensorFlow, which has none."""
    model = keras.Sequential(
        [keras.Input((8, 2)), qkeras.QConv1D(3, 3, padding="causal", name="c", **WEIGHTS)], name="m"
    )
    with pytest.raises(UnsupportedLayer, match=r"^model 'm' cannot be run by Keras itself: .*CAUSAL"):
        layer_outputs(model, {"c": "c"}, np.zeros((1, 8, 2)))


@pytest.mark.parametrize(
    ("layer", "code"),
    [
        (L.Dense(2), Code.FLOAT_WEIGHTS),
        (L.Lambda(lambda x: x), Code.PYTHON_CODE),
        (qkeras.QDense(2, kernel_quantizer=qkeras.quantized_bits(4, 0, alpha="auto")), Code.ALPHA_AUTO),
        (qkeras.QActivation(bits(4, 0, alpha="auto")), Code.ALPHA_AUTO),
        (qkeras.QActivation(bits(4, 0, alpha="auto_po2")), Code.ALPHA_AUTO_PO2),
        (qkeras.QActivation(qkeras.quantized_relu(4, 0, is_quantized_clip=False)), Code.QUANTIZED_CLIP),
        (qkeras.QActivation(qkeras.quantized_po2(8)), Code.PO2_ACTIVATION),
        (L.Activation("log_softmax"), ""),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, L.Layer) else str(one),
)
def test_a_refusal_carries_its_code(layer, code):
    with pytest.raises(UnsupportedLayer) as caught:
        read(sequential((4,), layer, qkeras.QDense(2, **WEIGHTS)), name="n")
    assert caught.value.code == code


def test_weights_that_are_no_numbers_carry_their_code():
    model = sequential((4,), qkeras.QDense(2, **WEIGHTS))
    model.set_weights([np.full((4, 2), np.nan), np.zeros(2)])
    with pytest.raises(FpgamlError) as caught:
        read(model, name="n")
    assert caught.value.code == Code.BAD_WEIGHTS
