"""The network of a card that was not trained: shapes, parameters, what does not fit."""

import pytest

import fpgaml
from fpgaml.card.toml import card_of
from fpgaml.card.untrained import skeleton
from fpgaml.errors import ConfigError
from fpgaml.ir.network import weights_of
from tests.runs.test_opener import MODELS


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
