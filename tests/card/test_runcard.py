"""Run cards: what is read, what is refused and in which words."""

import subprocess
import sys
import tomllib

import pytest

from fpgaml.card.changes import changed, trained_as
from fpgaml.card.layers import ActivationKind, DenseLayer
from fpgaml.card.runcard import TRAINED, RunCard, Task
from fpgaml.card.sections import OptimizerKind
from fpgaml.card.toml import card_of, to_toml
from fpgaml.errors import ConfigError
from fpgaml.target.design import Design, IoType, LayerDesign, Strategy
from fpgaml.target.toolchain import Backend


def test_an_empty_card_is_the_lecture():
    card = card_of({})
    assert card == RunCard()
    assert [layer.name for layer in card.model.layers] == ["flatten1", "fc1", "fc2", "fc3", "fc4"]
    assert card.training.optimizer is OptimizerKind.ADAM
    assert (card.training.learning_rate, card.training.epochs, card.training.batch) == (0.001, 32, 50)
    assert card.task() is Task.CATEGORICAL


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
