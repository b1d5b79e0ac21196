"""Cards as TOML: what is written reads equal, and files that cannot be read say so."""

import tomllib
from pathlib import Path

import pytest

from fpgaml.card.sections import Schedule
from fpgaml.card.toml import card_of, load_card, to_toml
from fpgaml.errors import ConfigError
from fpgaml.target.design import Design

CARDS = sorted((Path(__file__).parents[2] / "models").glob("*.toml"))


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
