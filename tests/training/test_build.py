"""Keras models from cards: shapes, names, repeatable weights, refusals."""

import keras
import numpy as np
import pytest

from fpgaml.card.toml import card_of
from fpgaml.errors import ConfigError
from fpgaml.training.build import build, check_outputs, functional


def model(*layers, shape=(8, 8, 1)):
    return build(card_of({"model": {"layers": list(layers)}}).model, shape)


def test_the_lecture_network():
    made = build(card_of({}).model, (28, 28, 1))
    assert [layer.name for layer in made.layers] == [
        "image", "flatten1", "fc1", "fc1_relu", "fc2", "fc2_relu", "fc3", "fc3_relu", "fc4", "fc4_softmax",
    ]  # fmt: skip
    assert made.count_params() == 784 * 256 + 256 + 256 * 64 + 64 + 64 * 32 + 32 + 32 * 10 + 10


def test_every_kind_of_layer():
    made = model(
        {"kind": "conv2d", "filters": 2, "kernel": [3, 1], "strides": 2, "padding": "same", "bias": False},
        {"kind": "batchnorm"},
        {"kind": "activation", "activation": "leaky_relu"},
        {"kind": "averagepool2d", "pool": 4},
        {"kind": "upsampling2d", "size": [2, 2]},
        {"kind": "reshape", "shape": [4, 2]},
        {"kind": "conv1d", "filters": 3, "kernel": 2, "activation": "relu"},
        {"kind": "upsampling1d"},
        {"kind": "maxpool1d", "pool": 3, "strides": 2},
        {"kind": "averagepool1d", "pool": 2},
        {"kind": "flatten"},
        {"kind": "dropout", "rate": 0.25},
        {"kind": "activation", "activation": "prelu"},
        {"kind": "dense", "units": 1, "activation": "sigmoid"},
    )
    assert [(layer.name, tuple(layer.output.shape[1:])) for layer in made.layers] == [
        ("image", (8, 8, 1)),
        ("conv1", (4, 4, 2)),
        ("norm1", (4, 4, 2)),
        ("act1", (4, 4, 2)),
        ("pool1", (1, 1, 2)),
        ("up1", (2, 2, 2)),
        ("reshape1", (4, 2)),
        ("conv2", (3, 3)),
        ("conv2_relu", (3, 3)),
        ("up2", (6, 3)),
        ("pool2", (2, 3)),
        ("pool3", (1, 3)),
        ("flatten1", (3,)),
        ("dropout1", (3,)),
        ("act2", (3,)),
        ("fc1", (1,)),
        ("fc1_sigmoid", (1,)),
    ]
    assert made.get_layer("act1").negative_slope == 0.125


def test_the_seed_decides_the_weights():
    card = card_of({}).model
    first, again, other = (build(card, (4, 4, 1), seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(map(np.array_equal, first, again))
    assert not np.array_equal(first[0], other[0])


REFUSED = [
    (({"kind": "flatten"}, {"kind": "conv2d", "filters": 2}),
     r"^layer 'conv1' \(conv2d\) cannot take an input of shape \(64,\): "),
    (({"kind": "conv2d", "filters": 2, "kernel": 9}, {"kind": "flatten"}),
     r"^layer 'conv1' \(conv2d\) cannot take an input of shape \(8, 8, 1\): "),
    (({"kind": "reshape", "shape": [9]}, {"kind": "dense", "units": 2}),
     r"^layer 'reshape1' \(reshape\) cannot take an input of shape \(8, 8, 1\): shape \(9,\) must hold 64 values$"),
    (({"kind": "dense", "units": 2},),
     r"^the last layer 'fc1' must give one value a class, not shape \(8, 8, 2\); put a flatten before it$"),
]  # fmt: skip


@pytest.mark.parametrize(("layers", "message"), REFUSED)
def test_layers_that_do_not_fit(layers, message):
    with pytest.raises(ConfigError, match=message):
        model(*layers)


def test_outputs_must_fit_the_classes():
    made = model({"kind": "flatten"}, {"kind": "dense", "units": 3})
    check_outputs(made, 3)
    with pytest.raises(ConfigError) as caught:
        check_outputs(made, 2)
    assert str(caught.value) == "the model must have 2 outputs or 1 for the 2 classes of the data, not 3"


def test_softmax_of_one_output_says_nothing():
    image = keras.Input((4,))
    for last in (keras.layers.Softmax(name="last"), keras.layers.Activation("softmax", name="last")):
        with pytest.raises(ConfigError) as caught:
            check_outputs(keras.Model(image, last(keras.layers.Dense(1)(image))), 2)
        assert str(caught.value) == "layer 'last': softmax of one output is always 1; use sigmoid, or two outputs"


def test_a_sequential_becomes_functional():
    given = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(name="f"), keras.layers.Dense(2, name="d")])
    made = functional(given)
    assert [layer.name for layer in made.layers] == ["image", "f", "d"]
    assert all(map(np.array_equal, given.get_weights(), made.get_weights()))
    assert functional(made) is made


def test_a_function_of_the_users(tmp_path):
    (tmp_path / "my_model.py").write_text(
        "import keras\n"
        "def build(shape):\n"
        "    return keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(2)])\n"
        "def wrong(shape):\n"
        "    return 3\n"
        "def broken(shape):\n"
        "    raise ValueError('no such layer')\n"
        "def twice(shape, other):\n"
        "    return 3\n"
    )
    (tmp_path / "unfinished.py").write_text("def build(shape:\n")
    card = card_of({"model": {"function": "my_model:build"}}).model
    assert build(card, (4, 4, 1), folder=tmp_path).output_shape == (None, 2)
    for function, message in (
        ("my_model:gone", "model.function: module 'my_model' has no function 'gone'"),
        ("my_model:wrong", "model.function: my_model:wrong must return a Keras model, not int"),
        ("my_model:broken", f"model.function: my_model:broken, line 7 of {tmp_path}/my_model.py: "
                             "ValueError: no such layer"),
        ("my_model:twice", "model.function: my_model:twice: TypeError: twice() missing 1 required positional "
                            "argument: 'other'"),
        ("unfinished:build", "model.function: module 'unfinished': SyntaxError: '(' was never closed "
                             "(unfinished.py, line 1)"),
        ("no_such:f", "model.function: cannot import module 'no_such', not beside the card either: "
                      "No module named 'no_such'"),
    ):  # fmt: skip
        with pytest.raises(ConfigError) as caught:
            build(card_of({"model": {"function": function}}).model, (4, 4, 1), folder=tmp_path)
        assert str(caught.value) == message
