"""What commands can be pointed at, and what they refuse."""

from pathlib import Path

import pytest

import fpgaml
from fpgaml.errors import ConfigError, DataError
from fpgaml.ir.saving import save
from fpgaml.runs import opener
from tests.networks import cnn

MODELS = Path(fpgaml.__file__).parent.parent / "models"


def test_a_card_that_was_not_run_has_random_weights_of_its_shapes_and_bits(tmp_path):
    found = opener.find(MODELS / "mnist_mlp_small.toml", base=tmp_path)
    assert found.origin == "card 'mnist_mlp_small', not trained yet: weights drawn at random"
    assert found.network["fc1"].kernel.codes.shape == (784, 64)
    assert found.network["fc1"].kernel.type.width == found.card.quantization.weight_bits
    assert found.run is None


def test_a_saved_network(tmp_path):
    save(cnn(), tmp_path / "network.npz")
    assert opener.find(tmp_path / "network.npz").network == cnn()


def test_a_keras_model_is_read():
    found = opener.find(MODELS / "trained/mnist_mlp_small/quantized.keras")
    shipped = opener.find(MODELS / "trained/mnist_mlp_small/network.npz")
    assert [layer.name for layer in found.network] == [layer.name for layer in shipped.network]
    assert found.network.layers[1:] == shipped.network.layers[1:]  # the network's name is the file's


def test_another_board(tmp_path):
    found = opener.find(MODELS / "mnist_mlp_small.toml", base=tmp_path)
    assert opener.design_of(found).part == "xczu3eg-sfvc784-2-e"
    assert opener.design_of(found, board="kv260").part == "xck26-sfvc784-2LV-c"


def test_refusals(tmp_path):
    things = "a run card (.toml), a run's folder, a saved network (.npz) or a Keras model (.keras, .h5)"
    with pytest.raises(DataError) as error:
        opener.find(tmp_path / "nothing.toml")
    assert str(error.value) == f"{tmp_path / 'nothing.toml'} does not exist; name {things}"
    with pytest.raises(DataError, match=r"is no run of fpgaml; it has no run\.json$"):
        opener.find(tmp_path)
    (tmp_path / "thesis.pdf").write_text("")
    with pytest.raises(DataError) as error:
        opener.find(tmp_path / "thesis.pdf")
    assert str(error.value) == f"{tmp_path / 'thesis.pdf'} must be {things}"


def test_a_run_without_a_network(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "card.toml").write_text("")
    with pytest.raises(ConfigError) as caught:
        opener.find(tmp_path)
    assert str(caught.value) == (f"{tmp_path} has no network yet; do its first steps: fpgaml run CARD --to quantize")
