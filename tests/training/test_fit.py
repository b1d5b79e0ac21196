"""Training: a few steps on a few images; what the callback keeps; what diverges."""

import math

import keras
import numpy as np
import pytest
import qkeras

from fpgaml.card.toml import card_of
from fpgaml.datasets.dataset import images
from fpgaml.errors import ConfigError, DataError
from fpgaml.exact.history import Epoch, History
from fpgaml.training.build import build
from fpgaml.training.fit import Diverged, _Watch, evaluate, logits_model, predict, split, train, xla_pays
from fpgaml.training.fused import compiles


@pytest.fixture(scope="module")
def data():
    """Images whose left or right half is bright: two classes anything can learn."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 60, (120, 4, 4), np.uint8)
    y = (np.arange(120) % 2).astype(np.uint8)
    x[y == 1, :, :2] += 150
    return images({"x_train": x[:100], "y_train": y[:100], "x_test": x[100:], "y_test": y[100:]}, "here")


def card(units=2, activation="softmax", **training):
    layers = [{"kind": "flatten"}, {"kind": "dense", "units": units, "activation": activation}]
    return card_of({"model": {"layers": layers}, "training": {"epochs": 2, "batch": 8} | training})


@pytest.mark.parametrize(("units", "activation"), [(2, "softmax"), (1, "sigmoid"), (2, "linear")])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_it_learns(data, units, activation, optimizer, compiled):
    settings = card(units, activation, optimizer=optimizer, learning_rate=0.1, epochs=5)
    model = build(settings.model, data.shape)
    seen = []
    history = train(model, data, settings.training, progress=seen.append)
    assert tuple(seen) == history.epochs
    assert [epoch.number for epoch in seen] == [1, 2, 3, 4, 5]
    assert evaluate(model, data) == 1.0
    assert history.best.val_accuracy == max(epoch.val_accuracy for epoch in seen)
    assert History.from_json(history.to_json()) == history


def test_runs_repeat(data, compiled):
    weights = []
    for _ in range(2):
        settings = card(seed=3)
        model = build(settings.model, data.shape, seed=3)
        train(model, data, settings.training)
        weights.append(model.get_weights())
    assert all(map(np.array_equal, *weights))


def test_batchnorm_and_dropout_are_compiled_too(data, compiled):
    hidden = [{"kind": "dense", "units": 8}, {"kind": "batchnorm"}, {"kind": "dropout", "rate": 0.2}]
    layers = [{"kind": "flatten"}, *hidden, {"kind": "dense", "units": 2, "activation": "softmax"}]
    settings = card_of({"model": {"layers": layers}, "training": {"epochs": 8, "batch": 7, "learning_rate": 0.02}})
    model = build(settings.model, data.shape)
    assert compiles(model)
    train(model, data, settings.training)
    assert evaluate(model, data) == 1.0


def test_only_long_trainings_of_large_networks_are_compiled():
    networks = [build(card(units).model, (28, 28, 1)) for units in (2, 200)]
    assert [[xla_pays(network, batches) for batches in (1999, 2000)] for network in networks] == [
        [False, False],
        [False, True],
    ]


def test_a_quantizer_keeps_its_scale_as_a_number(data):
    image = keras.Input(data.shape)
    own = qkeras.quantized_bits(4, 0, alpha="auto")
    model = keras.Model(image, qkeras.QDense(2, kernel_quantizer=own)(keras.layers.Flatten()(image)))
    train(model, data, card(units=2, activation="linear").training)
    kept = model.layers[-1].kernel_quantizer_internal
    scale = np.array(kept.scale)
    kept(model.layers[-1].kernel)
    np.testing.assert_array_equal(scale, np.array(kept.scale))


def test_divergence_stops_and_says_so(data, compiled):
    settings = card(optimizer="sgd", learning_rate=10.0, epochs=3)
    model = build(settings.model, data.shape)
    kernel, bias = model.get_weights()
    kernel[:] = np.inf
    model.set_weights([kernel, bias])
    with pytest.raises(ConfigError) as caught:
        train(model, data, settings.training)
    assert str(caught.value) == (
        "training diverged: the loss must be a number, but in epoch 1 it was not; lower the learning rate (now 10); "
        "the model is as it was"
    )


def test_divergence_later_keeps_the_best_weights(data, compiled):
    settings = card(epochs=5, learning_rate=0.05)
    model, seen = build(settings.model, data.shape), []

    def spoil(epoch):
        seen.append((epoch.val_accuracy, -epoch.val_loss, [weights.copy() for weights in model.get_weights()]))
        if epoch.number == 3:
            model.set_weights([weights * np.nan for weights in model.get_weights()])

    with pytest.raises(Diverged) as caught:
        train(model, data, settings.training, progress=spoil)
    best = max(range(3), key=lambda at: seen[at][:2])
    assert str(caught.value) == (
        "training diverged: the loss must be a number, but in epoch 4 it was not; lower the learning rate (now 0.05); "
        f"the model has the weights of epoch {best + 1}"
    )
    assert (caught.value.model, caught.value.kept) == (model, best + 1)
    assert all(map(np.array_equal, model.get_weights(), seen[best][2]))


def test_weights_spoilt_by_the_last_step_are_not_kept(data):
    settings = card(epochs=1, validation_split=0.0, restore_best=False)
    model = build(settings.model, data.shape)
    before = [weights.copy() for weights in model.get_weights()]
    watch = _Watch(model, logits_model(model), settings.training, None, data, np.array([], int), None, 1)
    watch.logits.set_weights([np.full_like(weights, np.inf) for weights in before])
    watch.set_model(watch.logits)
    watch.on_epoch_end(0, {"loss": 0.5, "accuracy": 0.5})  # the loss before that step was a number
    with pytest.raises(Diverged) as caught:
        watch.finish()
    assert str(caught.value) == (
        "training diverged: the loss must be a number, but in epoch 1 it was not; lower the learning rate (now 0.001); "
        "the model is as it was"
    )
    assert all(map(np.array_equal, model.get_weights(), before))


@pytest.mark.parametrize(("units", "activation", "loss"), [(2, "linear", "binary"), (1, "linear", "categorical")])
def test_the_loss_must_fit_the_outputs(data, units, activation, loss):
    settings = card(units, activation)
    with pytest.raises(ConfigError) as caught:
        train(build(settings.model, data.shape), data, settings.training.model_copy(update={"loss": loss}))
    assert str(caught.value) == f"training.loss must be 'auto' for a model of {units} output(s), not {loss!r}"


def test_patience_stops_early(data):
    settings = card(learning_rate=1e-30, epochs=30, patience=2, schedule="plateau")  # below what float32 can add
    history = train(build(settings.model, data.shape), data, settings.training)
    assert history.ended == "no better epoch in 2"
    assert len(history.epochs) == history.kept + 2


def test_cosine_falls_from_the_rate_to_almost_nothing(data):
    settings = card(epochs=4)
    history = train(build(settings.model, data.shape), data, settings.training)
    rates = [epoch.learning_rate for epoch in history.epochs]
    assert rates == [0.001 * 0.5 * (1 + math.cos(math.pi * n / 4)) for n in range(4)]


def test_nothing_held_out_keeps_the_last(data):
    settings = card(validation_split=0.0)
    history = train(build(settings.model, data.shape), data, settings.training)
    assert (history.kept, history.best.val_loss) == (2, None)


def test_split():
    learn, held = split(10, 0.2, seed=1)
    assert (len(learn), len(held)) == (8, 2)
    assert sorted([*learn, *held]) == list(range(10))
    np.testing.assert_array_equal(held, split(10, 0.2, seed=1)[1])
    with pytest.raises(DataError) as caught:
        split(3, 0.1, seed=1)
    assert str(caught.value) == "training.validation_split 0.1 of 3 images must leave some on both sides"


def test_logits_are_cut_before_softmax(data):
    model = build(card().model, data.shape)
    logits = predict(model, data, data.x_test)
    assert logits_model(model).layers[-1].name == "fc1"
    assert logits_model(logits_model(model)).layers[-1].name == "fc1"
    soft = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model(data.values(data.x_test)), soft, rtol=1e-5)


def test_epochs_are_plain_values():
    assert Epoch(1, 2, 0.1, 3.0, 0.5, 0.9) == Epoch(1, 2, 0.1, 3.0, 0.5, 0.9, None, None)
