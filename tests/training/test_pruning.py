"""Masks and cut neurons."""

import keras
import numpy as np
import pytest

from fpgaml.card.sections import Scope
from fpgaml.card.toml import card_of
from fpgaml.datasets.dataset import images
from fpgaml.errors import ConfigError, UnsupportedLayer
from fpgaml.training.build import build
from fpgaml.training.fit import train
from fpgaml.training.pruning import Pruner, cut_neurons

LAYERS = [
    {"kind": "conv2d", "filters": 4, "name": "c1", "activation": "relu"},
    {"kind": "batchnorm"},
    {"kind": "maxpool2d"},
    {"kind": "flatten"},
    {"kind": "dense", "units": 6, "name": "d1", "activation": "relu"},
    {"kind": "dense", "units": 3, "name": "d2", "activation": "softmax"},
]
CARD = card_of({"model": {"layers": LAYERS}, "training": {"epochs": 4, "batch": 8}})


@pytest.fixture
def model():
    return build(CARD.model, (8, 8, 1))


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 8, 8), np.uint8), (np.arange(60) % 3).astype(np.uint8)
    return images({"x_train": x, "y_train": y, "x_test": x, "y_test": y}, "here")


def zeros(model):
    return {
        layer.name: 1 - np.count_nonzero(layer.kernel) / np.size(layer.kernel)
        for layer in model.layers
        if hasattr(layer, "kernel")
    }


@pytest.mark.parametrize("scope", list(Scope))
def test_sparsity_is_reached_and_stays(model, data, scope):
    pruner = Pruner(model, sparsity=0.75, scope=scope, ramp=0.5)
    history = train(model, data, CARD.training, pruner=pruner)
    assert pruner.zeros() == pytest.approx(0.75, abs=0.005)
    assert history.kept > 2  # epochs before the last change of the masks cannot be the best
    found = zeros(model)
    if scope is Scope.LAYER:
        assert found == {"c1": 27 / 36, "d1": 162 / 216, "d2": pytest.approx(0.75, abs=0.05)}
    assert all(layer.kernel.constraint is None for layer in model.layers if hasattr(layer, "kernel"))


def test_the_schedule_is_cubic(model):
    pruner = Pruner(model, sparsity=0.8, scope=Scope.GLOBAL, ramp=0.5)
    shares = []
    for done in (0.0, 0.25, 0.5, 0.75):
        pruner.advance(done)
        shares.append(pruner.zeros())
    assert shares == pytest.approx([0, 0.8 * (1 - 0.5**3), 0.8, 0.8], abs=0.005)
    assert pruner.settled


def test_the_smallest_go_first(model):
    before = np.abs(np.asarray(model.get_layer("d1").kernel))
    pruner = Pruner(model, sparsity=0.0, ramp=0, per_layer={"d1": 0.5})
    pruner.advance(0.0)
    kept = np.asarray(model.get_layer("d1").kernel) != 0
    assert before[kept].min() > before[~kept].max()
    assert zeros(model) == {"c1": 0, "d1": 0.5, "d2": 0}


def test_a_layer_never_loses_all(model):
    pruner = Pruner(model, sparsity=0.0, ramp=0, per_layer={"d2": 0.999})
    pruner.advance(0.0)
    assert np.count_nonzero(model.get_layer("d2").kernel) == 1


def test_zeros_are_kept(model, data):
    layer = model.get_layer("d1")
    kernel, bias = layer.get_weights()
    kernel[:, :3] = 0
    layer.set_weights([kernel, bias])
    train(model, data, CARD.training, pruner=Pruner.keeping(model))
    assert zeros(model) == {"c1": 0, "d1": 0.5, "d2": 0}


def test_impossible_sparsity(model):
    for sparsity, layers, message in (
        (1.0, {}, "sparsity must be 0 to below 1, not 1"),
        (0.5, {"d1": -0.1}, "sparsity of layer 'd1' must be 0 to below 1, not -0.1"),
        (0.5, {"d7": 0.1}, "sparsity of layer 'd7': no such layer; did you mean 'd2'?"),
    ):
        with pytest.raises(ConfigError) as caught:
            Pruner(model, sparsity=sparsity, per_layer=layers)
        assert str(caught.value) == message


def test_neurons_are_cut_with_their_slopes():
    image = keras.Input((4,))
    hidden = keras.layers.PReLU(name="slopes")(keras.layers.Dense(3, name="a")(image))
    model = keras.Model(image, keras.layers.Dense(2, name="b")(hidden))
    model.get_layer("a").set_weights([np.array([[1.0, 0, 2]] * 4), np.zeros(3)])  # the middle neuron does nothing
    model.get_layer("slopes").set_weights([np.array([0.5, 0.25, 0.125])])
    smaller = cut_neurons(model, {"a": 0.34})
    np.testing.assert_array_equal(smaller.get_layer("slopes").alpha, [0.5, 0.125])
    x = np.array([[1.0, 2, 3, 4], [-1, -2, 3, -4]], np.float32)
    np.testing.assert_array_equal(smaller(x), model(x))


def test_cut_neurons_that_do_nothing(model):
    """Neurons without incoming weights and bias are the weakest; cutting them changes no output."""
    x = np.random.default_rng(1).random((5, 8, 8, 1), np.float32)
    for name, dead in (("c1", [1, 2]), ("d1", [0, 3, 5])):
        layer = model.get_layer(name)
        kernel, bias = layer.get_weights()
        kernel[..., dead] = 0
        layer.set_weights([kernel, bias])
    smaller = cut_neurons(model, {"c1": 0.5, "d1": 0.5})
    assert [smaller.get_layer(name).kernel.shape for name in ("c1", "d1", "d2")] == [(3, 3, 1, 2), (18, 3), (3, 3)]
    np.testing.assert_allclose(smaller(x), model(x), rtol=1e-5)
    assert [layer.name for layer in smaller.layers] == [layer.name for layer in model.layers]


def test_neurons_that_cannot_be_cut(model):
    with pytest.raises(ConfigError) as caught:
        cut_neurons(model, {"d2": 0.5})
    assert str(caught.value) == "neurons of layer 'd2' cannot be cut; did you mean 'd1'?"
    image = keras.Input((4,), name="image")
    left = keras.layers.Dense(3, name="a")(image)
    branched = keras.Model(image, keras.layers.Add(name="s")([left, keras.layers.Dense(3, name="b")(image)]))
    with pytest.raises(UnsupportedLayer) as caught:
        cut_neurons(branched, {"a": 0.5})
    assert str(caught.value) == "layer 'b': neurons can be cut in a plain stack of layers only"
