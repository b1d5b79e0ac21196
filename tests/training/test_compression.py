"""Stages on a tiny network: shapes, zeros, costs and refusals."""

import keras
import numpy as np
import pytest

from fpgaml.card.toml import card_of
from fpgaml.datasets.dataset import images
from fpgaml.errors import ConfigError
from fpgaml.exact.history import History
from fpgaml.frontend import store
from fpgaml.training.build import build
from fpgaml.training.compression import compress, factorize, measure, teach
from fpgaml.training.fit import Teacher, entropy_loss, train
from fpgaml.training.twin import size

LAYERS = [
    {"kind": "flatten"},
    {"kind": "dense", "units": 8, "activation": "relu", "name": "d1"},
    {"kind": "dense", "units": 2, "activation": "softmax", "name": "d2"},
]


def card(*stages, units=8, **compression):
    layers = [LAYERS[0], LAYERS[1] | {"units": units}, LAYERS[2]]
    return card_of({
        "model": {"layers": layers},
        "training": {"epochs": 1, "batch": 10},
        "compress": list(stages) or ["qat"],
        "compression": {"epochs": 2, "sparsity": 0.5} | compression,
        "quantization": {"epochs": 1, "weight_bits": 4},
    })  # fmt: skip


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 100, (100, 4, 4), np.uint8), (np.arange(100) % 2).astype(np.uint8)
    x[y == 1, :, :2] += 120
    return images({"x_train": x, "y_train": y, "x_test": x[:40], "y_test": y[:40]}, "here")


def run(own, data):
    return compress(own, build(own.model, data.shape), data)


def test_qat_alone(data):
    found = run(card("qat"), data)
    assert [stage.stage for stage in found.stages] == ["float", "qat"]
    first, last = found.stages
    assert (first.weights, first.weight_bits) == (144, 144 * 32)
    assert last.weight_bits == 4 * last.nonzero
    assert len(last.history.epochs) == 1


def test_zeros_of_pruning_stay_through_qat(data, compiled):
    found = run(card("prune", "qat"), data)
    assert [stage.stage for stage in found.stages] == ["float", "prune", "qat"]
    assert found.stages[1].nonzero == 72
    assert found.stages[2].nonzero <= 72


def test_qap(data, compiled):
    found = run(card("qap", layers={"d2": {"sparsity": 0.0}}), data)
    weights = size(found.model)
    assert weights["d1"][1] <= 64
    assert weights["d2"][0] == 16


def test_neurons_and_distillation(data):
    told = []
    own = card("distill", "prune", "qat", structure="neurons")
    found = compress(own, build(own.model, data.shape), data, progress=lambda stage, epoch: told.append(stage))
    assert told == ["prune", "prune", "qat"]
    assert [stage.weights for stage in found.stages] == [144, 144, 72, 72]
    assert found.model.get_layer("d1").units == 4


def test_svd(data):
    found = run(card("svd", "qat", layers={"d1": {"rank": 2}, "d2": {"rank": 2}}), data)
    names = [layer.name for layer in found.model.layers]
    assert "d1_low" in names
    assert "d1_low_linear" in names  # a quantizer between the two factors
    assert "d2_low" not in names  # 2 x (8 + 2) weights would be more than 8 x 2


def test_svd_of_a_low_rank_matrix_is_exact(data):
    model = build(card().model, data.shape)
    layer = model.get_layer("d1")
    rng = np.random.default_rng(1)
    layer.set_weights([(rng.normal(size=(16, 2)) @ rng.normal(size=(2, 8))).astype(np.float32), np.ones(8)])
    thin = factorize(model, 1.0 - 1e-9)
    assert thin.get_layer("d1_low").kernel.shape == (16, 2)
    x = data.values(data.x_test)
    np.testing.assert_allclose(thin(x), model(x), rtol=1e-4)
    for ranks, message in (
        ({"d1": 9}, "rank of layer 'd1' must be at most 8, not 9"),
        ({"d3": 2}, "rank of layer 'd3': no such dense layer; did you mean 'd2'?"),
    ):
        with pytest.raises(ConfigError) as caught:
            factorize(model, 0.9, ranks)
        assert str(caught.value) == message


def test_a_model_without_softmax(data):
    own = card("qap")
    image = keras.Input(data.shape)
    model = keras.Model(image, keras.layers.Dense(2, name="d1")(keras.layers.Flatten()(image)))
    train(model, data, own.training)
    assert not model.compiled
    assert [stage.stage for stage in compress(own, model, data).stages] == ["float", "qap"]


def test_sequential_models(data, tmp_path):
    layers = [keras.Input(data.shape), keras.layers.Flatten(), keras.layers.Dense(4, "relu"), keras.layers.Dense(2)]
    store.save(keras.Sequential([*layers, keras.layers.Softmax()]), tmp_path / "teacher.keras")
    own = card("distill", "svd", "prune", "qat", teacher="teacher.keras")
    own._folder = tmp_path
    found = compress(own, keras.Sequential(layers), data)
    assert [stage.stage for stage in found.stages] == ["float", "distill", "svd", "prune", "qat"]


def test_teachers(data, tmp_path):
    own = card(units=2, teacher="big.keras")
    own._folder = tmp_path
    student = build(own.model, data.shape)
    big = build(card(units=30).model, data.shape)
    store.save(big, tmp_path / "big.keras")
    teacher = teach(own, student, data, None)
    assert teacher.logits.shape == (100, 2)
    for units, shape, message in (
        (3, data.shape, "have outputs (2,) as the student does, not (3,)"),
        (2, (5, 5, 1), "take images of shape (4, 4, 1) as the student does, not (5, 5, 1)"),
    ):
        wrong = build(card_of({"model": {"layers": [LAYERS[0], {"kind": "dense", "units": units}]}}).model, shape)
        store.save(wrong, tmp_path / "big.keras")
        with pytest.raises(ConfigError) as caught:
            teach(own, student, data, None)
        assert str(caught.value) == f"teacher {tmp_path / 'big.keras'} must {message}"


def test_a_teacher_by_its_card(data, tmp_path):
    from fpgaml.card.toml import to_toml

    (tmp_path / "big.toml").write_text(to_toml(card(units=30)))
    own = card(units=2, teacher="big.toml")
    own._folder = tmp_path
    assert teach(own, build(own.model, data.shape), data, None).logits.shape == (100, 2)


@pytest.mark.parametrize("binary", [False, True])
def test_the_loss_of_a_teacher(binary):
    logits = np.array([[1.0], [-2.0]] if binary else [[1.0, 0, -1], [0, 2, 0]], np.float32)
    labels = np.array([1, 0], np.uint8)
    alone = Teacher(logits, 3.0, 1.0)
    plain = float(entropy_loss(binary)(labels[:, None], logits))
    assert float(alone.loss(binary)(alone.targets(labels), logits)) == pytest.approx(plain)
    soft = Teacher(logits, 3.0, 0.0)
    targets = soft.targets(labels)
    best = float(soft.loss(binary)(targets, logits))
    assert all(float(soft.loss(binary)(targets, logits + d)) > best for d in np.eye(logits.shape[1], dtype=np.float32))


def test_a_student_learns_from_a_teacher(data, compiled):
    own = card()
    model = build(own.model, data.shape)
    teacher = Teacher(np.where(np.arange(2) == data.y_train[:, None], 8.0, -8.0), 2.0, 0.1)
    train(model, data, own.training.model_copy(update={"epochs": 20, "learning_rate": 0.05}), teacher=teacher)
    assert measure("x", model, data, History((), 0)).accuracy == 1.0
