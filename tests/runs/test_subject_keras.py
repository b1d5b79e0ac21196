"""A float Keras model, quantized after training, as C++: random weights, labels that are its own answers."""

import keras
import numpy as np
import pytest

from fpgaml.backend import cpp
from fpgaml.exact.accuracy import right_answers
from fpgaml.frontend import store
from fpgaml.runs import subject as subjects
from fpgaml.runs.opener import open_subject

L = keras.layers


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("float")
    rng = np.random.default_rng(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1), name="image"),
            L.Conv2D(3, 3, name="c1"),
            L.BatchNormalization(name="bn"),
            L.ReLU(name="r1"),
            L.MaxPooling2D(2, name="p1"),
            L.Flatten(name="flat"),
            L.Dense(4, activation="softmax", name="out"),
        ]
    )
    weights = [np.abs(rng.normal(0.4, 0.2, w.shape)) if "variance" in w.path else rng.normal(0, 0.5, w.shape)
               for w in model.weights]  # fmt: skip
    model.set_weights(weights)
    codes = rng.integers(0, 256, (1000, 6, 6, 1)).astype(np.uint8)
    logs = np.log(np.asarray(model(codes.astype(np.float32) / 256)))
    out = model.get_layer("out")
    out.bias.assign(out.bias - logs.mean(axis=0))  # every class is somebody's
    store.save(model, folder / "tiny.keras")
    labels = np.asarray(model(codes.astype(np.float32) / 256)).argmax(axis=1)
    parts = {"x_train": codes[:800], "y_train": labels[:800], "x_test": codes[800:], "y_test": labels[800:]}
    np.savez(folder / "data.npz", **parts)
    return folder


@pytest.fixture(scope="module")
def subject(files):
    return open_subject(files / "tiny.keras", str(files / "data.npz"))


def test_float_answers_are_keras_answers(subject):
    codes, labels = subject.test
    np.testing.assert_array_equal(subjects.float_answers(subject, codes), labels)


def test_float_tensors_have_the_names_of_the_network(subject):
    network = subjects.starting_network(subject)
    names = {*network.shapes, "c1.kernel", "c1.bias", "out.kernel", "out.bias"}
    found = subject.float_statistics()
    assert set(found) == {"image", "c1.kernel", "c1.bias", "r1", "p1", "out.kernel", "out.bias"}
    assert set(found) <= names


def test_quantized_after_training_equals_its_c_simulation(subject, tmp_path):
    found = subjects.quantize_model(subject, loss=0.2)
    codes, labels = subject.test
    assert found.correct >= 0.8 * found.images
    assert max(kind.width for kind in found.types.values()) <= 8
    assert right_answers(found.network, codes, labels) > 0.7 * len(codes)
    assert cpp.prove(found.network, codes, tmp_path / "p" / "hls") == 200 * 4


def test_fewer_bits_answer_fewer_images_right(subject):
    assert subjects.at_equal_bits(subject, 2) < subjects.at_equal_bits(subject, 8)
