import numpy as np
import pytest

from fpgaml.errors import ConfigError, DataError, UnsupportedLayer
from fpgaml.ir import accumulate
from fpgaml.ir.fixed import FixedPoint
from fpgaml.ir.network import (
    Activation,
    Add,
    Affine,
    ArgMax,
    AveragePool,
    Concatenate,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    Function,
    Input,
    Layer,
    MaxPool,
    Multiply,
    Network,
    Pad,
    Reshape,
    Table,
    Weights,
    check_identifier,
    identifier,
)
from tests.networks import RELU, VALID, cnn, mlp, weights

RNG = np.random.default_rng(0)
IMAGE = Input("x", (), (4,), FixedPoint(8, 0, signed=False))


def test_one_bit_changes_equality_and_digest():
    one, other = mlp(), mlp()
    assert one == other
    kernel = other["fc0"].kernel.codes.copy()
    kernel[0, 0] ^= 1
    layers = list(other.layers)
    layers[1] = Dense("fc0", ("x",), Weights(kernel, FixedPoint(6, 1)), other["fc0"].bias)
    changed = Network("mlp", tuple(layers))
    assert changed != one
    assert changed.digest != one.digest


def test_shapes():
    assert cnn().shapes == {
        "x": (8, 8, 2), "c1": (8, 8, 4), "r1": (8, 8, 4), "p1": (4, 4, 4), "c2": (3, 2, 3), "r2": (3, 2, 3),
        "flat": (18,), "out": (3,),
    }  # fmt: skip


def test_ranges_and_types_are_found_once_for_a_network(monkeypatch):
    calls = []
    rule = accumulate.output_interval
    monkeypatch.setattr(accumulate, "output_interval", lambda layer, *x: calls.append(layer.name) or rule(layer, *x))
    made = cnn()
    for _ in range(3):
        assert list(accumulate.intervals(made)) == list(accumulate.tensor_types(made)) == list(made.shapes)
    assert calls == list(made.shapes)
    assert accumulate.tensor_types(cnn()) == accumulate.tensor_types(made)
    assert calls == 2 * list(made.shapes)  # an equal network is another value


def dense(name="fc", source="x", rows=4):
    return Dense(name, (source,), weights(RNG, rows, 2), weights(RNG, 2))


@pytest.mark.parametrize(
    ("name", "layers", "message"),
    [
        ("n", (dense(),), "network 'n' must begin with an Input"),
        ("n", (IMAGE, dense(source="y")), "layer 'fc' reads 'y', which is not before it"),
        ("n", (IMAGE, dense(), dense(source="fc")), "network 'n' has two layers called 'fc'"),
        ("n", (IMAGE, dense(rows=3)), "layer 'fc': input (4,) must end in 3, the rows of its kernel"),
        ("n", (IMAGE, dense("a"), dense("b")), "network 'n' has one output; nothing reads layer 'a'"),
        ("n", (IMAGE, Flatten("f", ("x", "x"))), "layer 'f' must have 1 input(s), not 2"),
        (
            "1-x",
            (IMAGE, dense()),
            "network name '1-x' must be a C++ identifier: letters, digits and single underscores, first a letter",
        ),
    ],
)
def test_refused_networks(name, layers, message):
    with pytest.raises(ConfigError) as caught:
        Network(name, layers)
    assert str(caught.value) == message


def test_weights_are_read_only_and_fit_their_type():
    held = weights(RNG, 3)
    with pytest.raises(ValueError, match="read-only"):
        held.codes[0] = 1
    with pytest.raises(DataError, match=r"^weights from 0 to 40 do not fit fixed<6,1>$"):
        Weights(np.array([0, 40]), FixedPoint(6, 1))


def test_weights_of_values_are_minimal():
    held = Weights.of(np.array([[0.75, -0.5], [0.0, 0.25]]))
    assert held.type == FixedPoint(3, 1)
    np.testing.assert_array_equal(held.codes, [[3, -2], [0, 1]])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mnist_mlp", "mnist_mlp"), ("my model-2.1", "my_model_2_1"), ("2nd", "net_2nd"), ("__a__b__", "a_b"),
        ("model", "model_net"), ("größe", "gr_e"), ("", "net"), ("---", "net"),
    ],
)  # fmt: skip
def test_any_text_makes_an_identifier(text, found):
    assert identifier(text) == found
    check_identifier(found, "test")


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (IMAGE, "input"),
        (dense(), "4 x 2 sum"),
        (Conv("c", ("x",), weights(RNG, 2, 3, 1, 5), weights(RNG, 5), (1, 1), VALID), "2x3 convolution, 5 filters"),
        (DepthwiseConv("c", ("x",), weights(RNG, 3, 1), weights(RNG, 1), (1,), ((0, 0),)), "3 depthwise convolution"),
        (MaxPool("p", ("x",), (2, 3), (1, 1), VALID), "largest of 2x3"),
        (AveragePool("p", ("x",), (2, 3), (1, 1), VALID, RELU), "mean of 2x3, rounded once"),
        (Activation("a", ("x",), Function.RELU, RELU), "ReLU, RND_CONV SAT"),
        (Activation("a", ("x",), Function.LINEAR, RELU), "linear, RND_CONV SAT"),
        (Table("t", ("x",), FixedPoint(3, 3), weights(RNG, 8)), "table of 8 entries"),
        (Affine("s", ("x",), weights(RNG, 4), weights(RNG, 4)), "scale and shift"),
        (Flatten("f", ("x",)), "flatten"),
        (Reshape("r", ("x",), (2, 2)), "reshape"),
        (Pad("p", ("x",), ((1, 1),)), "zeros around"),
        (Add("s", ("x", "x", "x")), "add 3 inputs"),
        (Multiply("s", ("x", "x")), "multiply 2 inputs"),
        (Concatenate("s", ("x", "x")), "concatenate 2 inputs"),
        (ArgMax("s", ("x",)), "argmax"),
    ],
)
def test_a_layer_in_words(layer, words):
    assert layer.words == words


def test_a_kind_that_is_not_finished_says_what_it_lacks():
    bare = Layer("q", ())
    for ask, message in (
        (lambda: bare.words, "layer 'q': a Layer has no words for what it does"),
        (bare.shape, "layer 'q': a Layer has no shape rule"),
    ):
        with pytest.raises(UnsupportedLayer) as caught:
            ask()
        assert str(caught.value) == message


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((IMAGE, Input("y", (), (4,), RELU)), "network 'n' has a second input 'y'; one is supported"),
        ((IMAGE, Add("s", ("x",))), "layer 's' must have two or more inputs, not 1"),
        ((IMAGE, Multiply("s", ("x", "x", "x"))), "layer 's' must have 2 input(s), not 3"),
        ((IMAGE, Reshape("r", ("x",), (3, 2))), "layer 'r': shape (3, 2) must hold the 4 inputs"),
        ((IMAGE, Pad("p", ("x",), ((0, 1),))), "layer 'p': padding must name 0 axes"),
        (
            (IMAGE, MaxPool("p", ("x",), (2,), (1,), ((0, 0),))),
            "layer 'p': window (2,), strides (1,) and padding must match the axes of ()",
        ),
        (
            (Input("x", (), (2, 1), RELU), MaxPool("p", ("x",), (4,), (1,), ((1, 0),))),
            "layer 'p': window (4,) must not be larger than the padded input (2,)",
        ),
        (
            (Input("x", (), (2, 1), RELU), MaxPool("p", ("x",), (2,), (0,), ((0, 0),))),
            "layer 'p': strides must be positive, not (0,)",
        ),
    ],
)
def test_networks_that_do_not_fit(layers, message):
    with pytest.raises(ConfigError) as caught:
        Network("n", layers)
    assert str(caught.value) == message


def test_weights_are_values():
    held = Weights.of(np.array([[0.5, -1.0]]))
    assert repr(held) == "Weights(1x2 of fixed<2,1>)"
    assert len({held, Weights.of(np.array([[0.5, -1.0]])), Weights.of(np.array([0.5, -1.0]))}) == 2
    assert held != "weights"
    np.testing.assert_array_equal(held.values, [[0.5, -1.0]])
    assert Weights.of(np.zeros((0, 3))).codes.shape == (0, 3)


def test_a_layer_that_is_not_there():
    with pytest.raises(KeyError, match=r"^'nothing'$"):
        mlp()["nothing"]


def test_a_reserved_name_is_refused_with_the_true_reason():
    with pytest.raises(ConfigError) as caught:
        check_identifier("class", "layer")
    assert str(caught.value) == (
        "layer name 'class' is a word of C++, or a name in hls4ml's own code; take another, e.g. 'class_1'"
    )
    check_identifier("myproject", "run")  # hls4ml's default, which its users' scripts and reports have
    with pytest.raises(ConfigError, match="layer name 'myproject' is a word of"):
        check_identifier("myproject", "layer")
