"""Run cards: what is read, what is refused and in which words."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fpgaml.card.changes import changed, trained_as
from fpgaml.card.layers import ActivationKind, DenseLayer
from fpgaml.card.runcard import TRAINED, RunCard, Task
from fpgaml.card.sections import OptimizerKind, Schedule
from fpgaml.card.toml import card_of, load_card, to_toml
from fpgaml.errors import ConfigError
from fpgaml.target.design import Design, IoType, LayerDesign, Strategy
from fpgaml.target.toolchain import Backend

CARDS = sorted((Path(__file__).parents[2] / "models").glob("*.toml"))


def dense(**keys):
    return {"model": {"layers": [{"kind": "flatten"}, {"kind": "dense", "units": 10} | keys]}}


def test_an_empty_card_is_the_lecture():
    card = card_of({})
    assert card == RunCard()
    assert [layer.name for layer in card.model.layers] == ["flatten1", "fc1", "fc2", "fc3", "fc4"]
    assert card.training.optimizer is OptimizerKind.ADAM
    assert (card.training.learning_rate, card.training.epochs, card.training.batch) == (0.001, 32, 50)
    assert card.task() is Task.CATEGORICAL


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_shipped_cards_load_and_survive_writing(path):
    card = load_card(path)
    assert card.name == path.stem
    assert card.folder == path.parent
    assert card_of(tomllib.loads(to_toml(card))) == card
    assert isinstance(card.design.resolve(), Design)


def test_every_key_survives_writing():
    card = card_of({
        "name": "x",
        "data": {"source": "a b.csv", "classes": [1, 9]},
        "model": {"layers": [{"kind": "conv2d", "filters": 3, "kernel": [3, 5], "padding": "same"}, {"kind": "flatten"},
                             {"kind": "dense", "units": 2, "name": "out"}]},
        "training": {"schedule": "plateau", "learning_rate": 1},
        "quantization": {"weight_integer": "auto", "layers": {"conv1": {"kernel": "quantized_bits(4, 0)"}}},
        "design": {"clock_ns": 4, "layers": {"out": {"reuse_factor": 2, "strategy": "resource"}}},
    })  # fmt: skip
    again = card_of(tomllib.loads(to_toml(card)))
    assert again == card
    assert again.training.schedule is Schedule.PLATEAU
    assert again.model_dump(mode="json") == card.model_dump(mode="json")


def test_design_is_resolved_from_the_board():
    card = card_of({
        "design": {"backend": "Vivado", "strategy": "resource", "reuse_factor": 4,
                   "layers": {"fc1": {"reuse_factor": 16}}}
    })  # fmt: skip
    assert card.design.resolve() == Design(
        Backend.VIVADO, "xc7z020clg400-1", 10.0, IoType.PARALLEL, Strategy.RESOURCE, 4, (LayerDesign("fc1", 16),)
    )
    own = card_of({"design": {"part": "xczu7ev-ffvc1156-2-e", "clock_ns": 5}}).design.resolve()
    assert (own.part, own.clock_ns) == ("xczu7ev-ffvc1156-2-e", 5.0)


def test_quantization_of_a_layer_fills_in_the_general_settings():
    own = card_of({
        "quantization": {"weight_bits": 5, "kernel": "ternary(alpha=1)", "layers": {"fc1": {"weight_bits": 3}}}
    }).quantization  # fmt: skip
    assert (own.of("fc1").weight_bits, own.of("fc1").kernel) == (3, "")
    assert (own.of("fc2").weight_bits, own.of("fc2").kernel) == (5, "ternary(alpha=1)")
    assert own.of("fc1").activation_bits == 6


def test_changed_replaces_keys_and_checks_them():
    card = changed(RunCard(), {"training": {"epochs": 3}, "quantization": {"layers": {"fc1": {"weight_bits": 2}}}})
    assert (card.training.epochs, card.training.batch) == (3, 50)
    assert card.quantization.of("fc1").weight_bits == 2
    with pytest.raises(ConfigError) as caught:
        changed(card, {"training": {"epochs": 0}})
    assert str(caught.value) == "run card 'mnist_mlp': training.epochs must be at least 1, not 0"


def test_python_may_build_a_card():
    card = RunCard(model={"layers": (DenseLayer(units=3, activation=ActivationKind.RELU), DenseLayer(units=2))})
    assert [layer.name for layer in card.model.layers] == ["fc1", "fc2"]


def test_cards_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        RunCard().name = "other"


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
    ({"data": {"classes": [1, -1]}}, "data.classes[2] must be at least 0, not -1"),
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


def test_files_that_cannot_be_read(tmp_path):
    path = tmp_path / "card.toml"
    with pytest.raises(ConfigError) as caught:
        load_card(path)
    assert str(caught.value) == f"{path} must be a readable run card: No such file or directory"
    path.write_text("name = ")
    with pytest.raises(ConfigError, match="must be TOML: Invalid value"):
        load_card(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="must be a readable run card"):
        load_card(path)


def test_the_module_is_light():
    loaded = (
        "import sys, fpgaml.card.runcard, fpgaml.datasets.dataset;"
        "print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_record_of_a_training_is_known_again_though_keys_came_later():
    card = card_of({"quantization": {"weight_bits": 4}})
    record = card.model_dump(mode="json", include=set(TRAINED))
    assert trained_as(card, record)
    del record["quantization"]["scale_bits"]
    assert trained_as(card, record)
    record["quantization"]["weight_bits"] = 5
    assert not trained_as(card, record)
    assert not trained_as(card, {"quantization": {"weight_bit": 4}})
    assert not trained_as(card, None)


def test_a_model_made_elsewhere_has_no_layers_and_is_not_trained():
    card = card_of({"name": "n", "model": {"file": "m.keras"}, "design": {"layers": {"dense": {"reuse_factor": 2}}}})
    assert "layers = [" not in to_toml(card)
    assert card_of(tomllib.loads(to_toml(card))) == card
    with pytest.raises(ConfigError) as caught:
        card.model.must_be_made_here()
    assert str(caught.value) == (
        "model.file: m.keras was made elsewhere and is not trained here; to convert it again: fpgaml convert MODEL"
    )
