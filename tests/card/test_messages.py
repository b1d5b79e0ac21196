"""What is wrong with a card is said with the key, the value and what to do."""

import pytest

from fpgaml.card.toml import card_of
from fpgaml.errors import ConfigError


def dense(**keys):
    return {"model": {"layers": [{"kind": "flatten"}, {"kind": "dense", "units": 10} | keys]}}


IDENTIFIER = "must be a C++ identifier: letters, digits and single underscores, first a letter"


REFUSED = [
    ({"trainng": {}}, "the card has no key 'trainng'; did you mean 'training'?"),
    ({"training": {"epcohs": 1}}, "[training] has no key 'epcohs'; did you mean 'epochs'?"),
    ({"training": {"xyz": 1}}, "[training] has no key 'xyz'"),
    ({"training": {"epochs": 0}}, "training.epochs must be at least 1, not 0"),
    ({"training": {"epochs": 1.5}}, "training.epochs must be a whole number, not 1.5"),
    ({"training": {"epochs": "3"}}, 'training.epochs must be a whole number, not "3"'),
    ({"training": {"epochs": True}}, "training.epochs must be a whole number, not true"),
    ({"training": {"learning_rate": 0}}, "training.learning_rate must be above 0, not 0"),
    ({"training": {"learning_rate": float("nan")}}, "training.learning_rate must be a finite number, not NaN"),
    ({"training": {"restore_best": 1}}, "training.restore_best must be true or false, not 1"),
    ({"training": {"validation_split": 1}}, "training.validation_split must be at most 0.9, not 1"),
    (
        {"training": {"schedule": "cosin"}},
        "training.schedule must be 'constant' or 'cosine' or 'plateau', not \"cosin\"; did you mean 'cosine'?",
    ),
    (
        {"training": {"loss": "binary"}},
        "training.loss must be 'categorical' for the last layer 'fc4', not 'binary'",
    ),
    ({"training": 3}, "training must be a table, not 3"),
    ({"name": "2 fast"}, f"name: run name '2 fast' {IDENTIFIER}"),
    ({"data": {"classes": [1]}}, "data.classes must name two or more different labels"),
    ({"data": {"classes": [1, 0.5]}}, "data.classes[2] must be a whole number or a text in quotes, not 0.5"),
    ({"data": {"features": ["a", "b", "a"]}}, "data.features must name each column once; 'a' is there 2 times"),
    (
        {"model": {"layers": [{"kind": "dens", "units": 3}]}},
        "model.layers[1].kind must be a known kind of layer, not 'dens'; did you mean 'dense'?",
    ),
    ({"model": {"layers": []}}, "model.layers must have at least one dense or convolution layer"),
    (dense(unit=3), "[model.layers[2]] has no key 'unit'; did you mean 'units'?"),
    (dense(units=0), "model.layers[2].units must be at least 1, not 0"),
    (dense(name="in-put"), f"model.layers[2].name: layer name 'in-put' {IDENTIFIER}"),
    (dense(name="flatten1"),
     "model.layers must have different names; 'flatten1' is also the automatic name of a flatten"),
    (
        dense(activation="leaky_relu", negative_slope=0.3),
        "model.layers[2].negative_slope must be a power of two such as 0.25 or 0.125, not 0.3",
    ),
    (
        dense(units=1, activation="softmax"),
        "model.layers must have two or more units under softmax; use sigmoid for one output",
    ),
    (
        {"model": {"layers": [{"kind": "dense", "units": 1}, {"kind": "activation", "activation": "softmax"}]}},
        "model.layers must have two or more units under softmax; use sigmoid for one output",
    ),
    (
        {"training": {"loss": "binary"}, **dense(units=10, activation="sigmoid")},
        "model.layers must have one unit under the last sigmoid, not 10; use softmax for several classes",
    ),
    (
        {"training": {"loss": "categorical"}, **dense(units=1, activation="sigmoid")},
        "training.loss must be 'binary' for the last layer 'fc1', not 'categorical'",
    ),
    ({"compression": {"sparsity": 1}}, "compression.sparsity must be below 1, not 1"),
    ({"compression": {"layers": {"fc1": {"sparsity": 1}}}}, "compression.layers.fc1.sparsity must be below 1, not 1"),
    (
        {"compression": {"layers": {"flatten1": {"sparsity": 0.5}}}},
        "compression.layers.flatten1: the model has no layer with weights 'flatten1'",
    ),
    (
        {"model": {"layers": [{"kind": "dense", "units": 3, "activation": "softmax"}, {"kind": "dense", "units": 3}]}},
        "model.layers must have softmax on the last layer only, not on 'fc1'",
    ),
    ({"model": {"function": "build"}}, "model.function must be 'module:function', not \"build\""),
    (
        {"quantization": {"weight_integer": "aut"}},
        "quantization.weight_integer must be a whole number or 'auto', not \"aut\"; did you mean 'auto'?",
    ),
    (
        {"quantization": {"layers": {"fc9": {}}}},
        "quantization.layers.fc9: the model has no layer 'fc9'; did you mean 'fc4'?",
    ),
    (
        {"quantization": {"layers": {"fc1": {"weight_bit": 4}}}},
        "[quantization.layers.fc1] has no key 'weight_bit'; did you mean 'weight_bits'?",
    ),
    ({"quantization": {"layers": {"fc1": {"weight_bits": 0}}}},
     "quantization.layers.fc1.weight_bits must be at least 1, not 0"),
    ({"design": {"io_type": "io_streem"}},
     "design.io_type must be 'io_parallel' or 'io_stream', not \"io_streem\"; did you mean 'io_stream'?"),
    ({"design": {"layers": {"fc2": {"reuse_factor": 0}}}}, "design.layers.fc2.reuse_factor must be at least 1, not 0"),
    ({"output": {"folder": ""}}, "output.folder must not be empty"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "message"), REFUSED, ids=[message[:60] for _, message in REFUSED])
def test_refused(table, message):
    with pytest.raises(ConfigError) as caught:
        card_of(table, "card.toml")
    assert str(caught.value) == f"card.toml: {message}"


@pytest.mark.parametrize(("key", "value"), [("board", "pynq-z3"), ("part", "xc7z999")])
def test_unknown_hardware_is_refused(key, value):
    with pytest.raises(ConfigError, match=rf"^card.toml: design.{key}: unknown {key} '{value}'"):
        card_of({"design": {key: value}}, "card.toml")


def test_all_faults_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        card_of({"training": {"epochs": 0, "batch": 0}}, "card.toml")
    assert str(caught.value).splitlines() == [
        "card.toml: training.epochs must be at least 1, not 0",
        "card.toml: training.batch must be at least 1, not 0",
    ]
