"""Models made elsewhere: files of Keras 3, of Keras 2 with QKeras 0.9, and files that bring code along."""

import json
import re

import h5py
import keras
import numpy as np
import pytest
import qkeras

from fpgaml.errors import DataError, FormatError, UnsupportedLayer
from fpgaml.frontend import store
from fpgaml.frontend.read import read
from tests.frontend.test_read import MODELS, float_parts

L = keras.layers


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    "name", ["mlp", "conv", "separable 2d", "dense, normalized", "conv, normalized", "tables", "skip connections"]
)
def test_a_saved_model_reads_the_same(name, suffix, tmp_path):
    model = MODELS[name]
    model.save(tmp_path / f"m{suffix}")
    assert read(store.load(tmp_path / f"m{suffix}"), name="n").network == read(model, name="n").network


def as_keras_2(model, path):
    """Write `model` as Keras 2 and QKeras 0.9 did: settings of other names or gone since, weights called ``name:0``."""
    gone = {"dtype": "float32", "kernel_range": None, "kernel_initializer": {"class_name": "Gone", "config": {}}}
    graph = getattr(model, "_functional", None) or model

    def plain(value):
        if hasattr(value, "get_config") and not isinstance(value, L.Layer):
            return {"class_name": type(value).__name__, "config": plain(value.get_config())}
        if isinstance(value, dict):
            if value.get("module"):
                return {"class_name": value["class_name"], "config": plain(value["config"])}
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        if callable(value):
            return value.__name__
        return value.item() if isinstance(value, np.generic) else value

    layers = []
    for layer in graph.layers:
        config = plain(layer.get_config())
        if isinstance(layer, L.InputLayer):
            config = {
                "batch_input_shape": [None, *layer.batch_shape[1:]],
                "dtype": "float32",
                "sparse": False,
                "ragged": False,
                "name": layer.name,
            }
        else:
            config |= gone
        sources = [t._keras_history.operation.name for n in layer._inbound_nodes[:1] for t in n.input_tensors]
        inbound = [[[name, 0, 0, {}] for name in sources]] if sources else []
        kind = type(layer).__name__
        layers.append({"class_name": kind, "config": config, "name": layer.name, "inbound_nodes": inbound})
    ends = {"input_layers": [[graph.layers[0].name, 0, 0]], "output_layers": [[graph.layers[-1].name, 0, 0]]}
    whole = {"class_name": "Functional", "config": {"name": "m", "layers": layers, **ends}}
    if isinstance(model, keras.Sequential):
        whole["class_name"] = "Sequential"
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.14.0"
        file.attrs["backend"] = "tensorflow"
        file.attrs["model_config"] = json.dumps(whole)
        group = file.create_group("model_weights")
        for layer in model.layers:
            own = group.create_group(layer.name)
            names = [f"{layer.name}/{v.name}:0" for v in layer.weights]
            own.attrs["weight_names"] = [n.encode() for n in names]
            for name, variable in zip(names, layer.weights, strict=True):
                own[name] = np.asarray(variable)


ELSEWHERE = (  # not by Keras 2 or, for real, in the corpus
    "depthwise 1d", "a layer used twice", "a model in a model", "operators", "bounds by operators",
    "functions by operators",
)  # fmt: skip


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ELSEWHERE])
def test_a_file_of_keras_2_reads_the_same(name, tmp_path):
    as_keras_2(MODELS[name], tmp_path / "m.h5")
    found, expected = (read(m, name="n") for m in (store.load(tmp_path / "m.h5"), MODELS[name]))
    assert found.network == expected.network


def test_a_float_model_of_keras_2_is_read(tmp_path):
    model = keras.Sequential([keras.Input((6,)), L.Dense(4, activation="relu"), L.LeakyReLU(0.25), L.Dense(2)])
    as_keras_2(model, tmp_path / "m.h5")
    x = np.random.default_rng(0).normal(0, 1, (5, 6)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(store.load(tmp_path / "m.h5")(x)), np.asarray(model(x)))


def change(path, old, new):
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = re.sub(old, new, file.attrs["model_config"], count=1)


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        (
            "QActivation",
            "Lambda",
            UnsupportedLayer,
            "it holds Python code, which fpgaml never runs; use a built-in layer",
        ),
        (
            "QActivation",
            "MyLayer",
            UnsupportedLayer,
            "MyLayer is a class of neither Keras nor QKeras; fpgaml never runs",
        ),
        (
            '"quantized_relu"',
            '"mine"',
            UnsupportedLayer,
            "mine is no quantizer of QKeras; fpgaml never runs custom code",
        ),
        ('"units": 5', '"units": 6', FormatError, "needs a kernel of shape (8, 6); the file has one of shape (8, 5)"),
    ],
)
def test_what_a_file_of_keras_2_must_not_bring(old, new, error, message, tmp_path):
    as_keras_2(MODELS["mlp"], tmp_path / "m.h5")
    change(tmp_path / "m.h5", old, new)
    with pytest.raises(error) as caught:
        store.load(tmp_path / "m.h5")
    assert message in str(caught.value)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_code_in_a_file_is_never_run(suffix, tmp_path):
    model = keras.Sequential([keras.Input((3,)), L.Lambda(lambda x: x + 0, name="code", output_shape=(3,))])
    model.save(tmp_path / f"m{suffix}")
    with pytest.raises(UnsupportedLayer, match=r"^layer 'code' is a Lambda: it holds Python code, which fpgaml never"):
        store.load(tmp_path / f"m{suffix}")


@keras.saving.register_keras_serializable(package="elsewhere")
class Elsewhere(L.Layer):
    """A layer that no file may name."""

    def call(self, x):
        return x


def test_a_class_of_another_module_is_not_imported(tmp_path):
    keras.Sequential([keras.Input((3,)), Elsewhere(name="e")]).save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedLayer) as caught:
        store.load(tmp_path / "m.keras")
    assert str(caught.value) == (
        f"Elsewhere 'e' comes from the Python module {__name__!r}, which fpgaml never imports; use layers of Keras and "
        "QKeras"
    )


def test_a_plain_float_model_is_loaded_and_points_to_quantization(tmp_path):
    model = keras.Sequential([keras.Input((6,)), L.Dense(4, name="fc")])
    model.save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedLayer, match=r"^the kernel of layer 'fc' has no quantizer: .*fpgaml quantize MODEL"):
        read(store.load(tmp_path / "m.keras"), name="n")


def test_no_file_no_model(tmp_path):
    with pytest.raises(DataError, match=r"does not exist$"):
        store.load(tmp_path / "m.keras")
    for content in (b"", b"hello", b"\x89HDF\r\n\x1a\n"):
        (tmp_path / "m.h5").write_bytes(content)
        with pytest.raises(FormatError, match=r"m\.h5 is not a Keras model that can be read: "):
            store.load(tmp_path / "m.h5")


def test_weights_alone_are_no_model(tmp_path):
    float_parts().save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(FormatError, match=r"has weights but no model_config: save the whole model"):
        store.load(tmp_path / "m.weights.h5")


def test_qkeras_is_found_without_naming_it():
    assert isinstance(store._known()["QDense"], type)
    assert store._known()["quantized_bits"] is qkeras.quantized_bits


def test_a_depthwise_batchnorm_comes_back_from_h5_only(tmp_path):
    """qkeras-v3 1.2.1 cannot load its own QDepthwiseConv2DBatchnorm from ``.keras``."""
    model = MODELS["depthwise, normalized"]
    model.save(tmp_path / "m.keras")
    with pytest.raises(FormatError, match=r"m\.keras is not a Keras model that can be read: "):
        store.load(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    assert read(store.load(tmp_path / "m.h5"), name="n").network == read(model, name="n").network
