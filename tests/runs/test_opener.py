"""What commands can be pointed at, and what they refuse."""

from pathlib import Path

import pytest

import fpgaml
from fpgaml.card.toml import card_of
from fpgaml.card.untrained import skeleton
from fpgaml.errors import ConfigError, DataError
from fpgaml.ir.network import weights_of
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


def test_skeleton_refuses_windows_that_do_not_fit():
    card = card_of({"model": {"layers": [{"kind": "conv2d", "filters": 2, "kernel": 9, "name": "c"}]}})
    with pytest.raises(
        ConfigError, match=r"^layer 'c': window \(9, 9\) must not be larger than the padded input \(5, 5\)$"
    ):
        skeleton(card, (5, 5, 1))


def test_skeleton_has_the_parameters_of_the_card():
    card = fpgaml.load_card(MODELS / "mnist_cnn.toml")
    made = skeleton(card, (28, 28, 1))
    counts = [w.codes.size for layer in made for w in weights_of(layer).values()]
    assert sum(counts) == 8746  # 12 (9 + 1) + 24 (12 x 9 + 1) + 10 (600 + 1)
    assert made.shapes["logits"] == (10,)


def test_skeleton_upsamples_one_and_two_axes():
    layers = [
        {"kind": "upsampling2d", "size": [2, 3]},
        {"kind": "reshape", "shape": [24, 2]},
        {"kind": "upsampling1d"},
        {"kind": "flatten"},
        {"kind": "dense", "units": 2},
    ]
    made = skeleton(card_of({"model": {"layers": layers}}), (4, 2, 1))
    assert [made.shapes[name] for name in ("up1", "up2")] == [(8, 6, 1), (48, 2)]


def test_skeleton_has_a_slope_a_channel():
    layers = [
        {"kind": "conv2d", "filters": 3, "activation": "prelu"},
        {"kind": "flatten"},
        {"kind": "dense", "units": 2},
    ]
    made = skeleton(card_of({"model": {"layers": layers}}), (4, 4, 1))
    assert made["conv1_prelu_slope"].slopes.codes.shape == (1, 1, 3)
    assert [layer.name for layer in made][1:5] == ["conv1", "conv1_linear", "conv1_prelu_slope", "conv1_prelu"]


def test_a_run_without_a_network(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "card.toml").write_text("")
    with pytest.raises(ConfigError) as caught:
        opener.find(tmp_path)
    assert str(caught.value) == (f"{tmp_path} has no network yet; do its first steps: fpgaml run CARD --to quantize")
