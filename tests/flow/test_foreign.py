"""Models made elsewhere become proved projects: real models, real g++, wrong bits, what commands do with the result."""

import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import qkeras

import fpgaml
from fpgaml import convert_model
from fpgaml.backend import cpp
from fpgaml.card.toml import load_card
from fpgaml.datasets.sources import load_data
from fpgaml.errors import BitMismatch, ConfigError, DataError, FormatError, UnsupportedLayer
from fpgaml.flow import deploy
from fpgaml.frontend import store
from fpgaml.ir.fixed import FixedPoint
from fpgaml.ir.saving import load, save
from fpgaml.runs import opener
from tests.commands import command
from tests.networks import mlp

L = keras.layers
TRAINED = Path(fpgaml.__file__).parent.parent / "models/trained"
WEIGHTS = {
    "kernel_quantizer": qkeras.quantized_bits(6, 0, alpha=1),
    "bias_quantizer": qkeras.quantized_bits(6, 1, alpha=1),
}
PIXELS = 30


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory):
    """Compiled programs are shared within this module, never with the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FPGAML_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def with_weights(model, seed=0):
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
    return model


def branches(inner="relu"):
    """A functional model with two branches: 8 values, 4 classes, softmax inside the last layer."""
    image = keras.Input((8,), name="image")
    hidden = qkeras.QDense(6, name="fc1", **WEIGHTS)(image)
    hidden = qkeras.QActivation("quantized_relu(6,2)", name="act1")(hidden)
    if inner == "sigmoid":
        hidden = L.Activation("sigmoid", name="sig")(hidden)
    one, two = (qkeras.QDense(5, name=f"side-{n}", **WEIGHTS)(hidden) for n in "ab")
    both = qkeras.QActivation("quantized_bits(7,3,alpha=1)", name="act2")(L.Add(name="sum")([one, two]))
    return with_weights(
        keras.Model(image, qkeras.QDense(4, name="out", activation="softmax", **WEIGHTS)(both), name="branches")
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with models and images."""
    made = tmp_path_factory.mktemp("models")
    store.save(branches(), made / "two-branches.keras")
    branches().save(made / "old.h5")
    store.save(branches("sigmoid"), made / "sigmoid.keras")
    save(mlp(), made / "network.npz")
    rng = np.random.default_rng(3)
    codes, labels = rng.integers(0, 256, (PIXELS, 8), np.uint8), rng.integers(0, 4, PIXELS)
    np.savez(made / "few.npz", x_test=codes, y_test=labels)
    np.save(made / "plain.npy", codes)
    with np.load(Path(fpgaml.__file__).parent / "data/mnist.npz") as mnist:
        np.savez(made / "mnist.npz", x_test=mnist["x_test"][:200], y_test=mnist["y_test"][:200])
    return made


@pytest.fixture(scope="module")
def made(files, tmp_path_factory):
    """The functional model, converted once."""
    base = tmp_path_factory.mktemp("runs")
    return convert_model(files / "two-branches.keras", data=files / "few.npz", base=base)


@pytest.fixture
def copy(made, tmp_path):
    """The folder of a copy of that run, to spoil."""
    shutil.copytree(made.folder, tmp_path / "runs" / made.folder.name)
    return tmp_path / "runs" / made.folder.name


def test_a_functional_model_is_proved(made):
    assert made.summary == "0 of 120 logits differ: emulator = C simulation = QKeras"
    assert (made.folder.name, made.network.name, made.images, made.data) == ("two_branches",) * 2 + (30, "few.npz")
    assert made.notes == (
        "layer 'side-a' is called 'side_a' in C++",
        "layer 'side-b' is called 'side_b' in C++",
        "the softmax at the end is left out: the outputs are logits, and the class is the largest logit",
    )
    record = json.loads((made.folder / "comparison.json").read_text())
    assert record["proved"]
    assert record["layers"]["C simulation"] == {n: 0 for n in made.network.shapes if n != "image"}
    assert set(record["layers"]["QKeras"]) == set(made.network.shapes) - {"image"}
    assert made.accuracy == record["executions"][0]["accuracy"]


def test_the_card_says_where_model_and_images_are(made):
    assert (made.folder / "card.toml").read_text() == (
        'name = "two_branches"\n\n[data]\nsource = "images.npz"\n\n[model]\nfile = "two-branches.keras"\n'
    )
    data = load_data(load_card(made.folder / "card.toml"))
    assert (data.x_test.shape, data.x_test.dtype, data.y_test.shape) == ((30, 8), np.uint8, (30,))


def test_a_trained_model(files, tmp_path, monkeypatch, capsys):
    model = TRAINED / "mnist_mlp_small/quantized.keras"
    line = ("convert", model, "--data", files / "mnist.npz", "-o", tmp_path, "--name", "small")
    assert command(monkeypatch, *line, "--io-type", "io_stream") == 0
    printed = capsys.readouterr().out
    assert "\n✓ 0 of 2,000 logits differ: emulator = C simulation = QKeras\n" in printed
    assert "\nsmall: 200 images (mnist.npz), accuracy 99.50%\n" in printed
    network = load(tmp_path / "small/network.npz")
    assert network.layers == load(TRAINED / "mnist_mlp_small/network.npz").layers
    assert load_card(tmp_path / "small/card.toml").design.io_type == "io_stream"


def test_commands_take_the_folder(made, tmp_path, monkeypatch, capsys):
    assert command(monkeypatch, "simulate", made.folder) == 0
    assert capsys.readouterr().out == "PASS: 120 outputs of 30 images, C simulation equals the emulator\n"
    assert command(monkeypatch, "simulate", made.folder, "--testbench") == 0
    assert capsys.readouterr().out.count("PASS: 30 images") == 3
    assert command(monkeypatch, "estimate", made.folder) == 0
    assert command(monkeypatch, "profile", made.folder) == 0
    assert "side_a.kernel" in capsys.readouterr().out
    assert command(monkeypatch, "board", made.folder, "--board", "pynq-z2") == 0
    assert command(monkeypatch, "export", made.folder, "-o", tmp_path / "a.zip") == 0
    assert (tmp_path / "a.zip").stat().st_size > 10_000
    capsys.readouterr()
    assert command(monkeypatch, "run", made.folder / "card.toml") == 2
    assert capsys.readouterr().err == (
        "error: model.file: two-branches.keras was made elsewhere and is not trained here; to convert it again: fpgaml "
        "convert MODEL\n"
    )


def test_argmax_behind_the_logits_and_an_h5_file(files, tmp_path, monkeypatch, capsys):
    line = ("convert", files / "old.h5", "--data", files / "few.npz", "-o", tmp_path, "--outputs", "argmax")
    assert command(monkeypatch, *line) == 0
    printed = capsys.readouterr().out
    assert re.search(
        r"\nbehind the logits, argmax: the class of 0 of 30 images changes, accuracy \d+\.\d\d%\n", printed
    )
    assert (
        "✓ 0 of 120 logits differ: emulator = C simulation = QKeras; argmax: 0 of 120 differ, the class of 0 samples "
        "changes\n"
    ) in printed
    assert command(monkeypatch, "simulate", tmp_path / "old") == 0
    assert capsys.readouterr().out == "PASS: 120 outputs of 30 images, C simulation equals the emulator\n"


def test_what_is_rounded_to_a_grid_is_said_and_not_held_against_keras(files, tmp_path):
    made = convert_model(files / "sigmoid.keras", data=files / "few.npz", base=tmp_path)
    said = r"0 of 120 logits differ: emulator = C simulation \(QKeras: \d+ differ, rounded to a stated grid\)"
    assert re.fullmatch(said, made.summary)
    assert any(note.startswith("layer 'sig': a sigmoid in floating point is on no grid") for note in made.notes)


def test_the_cause_of_a_difference_is_the_true_one(tmp_path):
    """Sums of the normalization leave 24 bits, but what makes Keras' logits differ is its rounding to 6 bits."""
    model = with_weights(
        keras.Sequential(
            [
                keras.Input((8,)),
                qkeras.QDense(6, name="fc", **WEIGHTS),
                L.BatchNormalization(name="bn"),
                qkeras.QActivation("quantized_relu(6,2)", name="act"),
                qkeras.QDense(3, name="out", **WEIGHTS),
            ]
        )
    )
    model.get_layer("bn").moving_variance.assign(np.linspace(0.3, 1.5, 6))
    store.save(model, tmp_path / "bn.keras")
    rng = np.random.default_rng(5)
    np.save(tmp_path / "codes.npy", rng.integers(0, 256, (300, 8), np.uint8))
    few = convert_model(tmp_path / "bn.keras", data=tmp_path / "codes.npy", scale_bits=6, base=tmp_path / "few")
    found = re.fullmatch(
        r"0 of 900 logits differ: emulator = C simulation \(QKeras: (\d+) differ, rounded to a stated grid\)",
        few.summary,
    )
    assert found
    assert int(found[1]) > 0
    assert few.notes[-1].startswith("scales are rounded to 6 bits, as stated; observed: ")
    auto = convert_model(tmp_path / "bn.keras", data=tmp_path / "codes.npy", base=tmp_path / "auto")
    assert auto.summary == (
        "0 of 900 logits differ: emulator = C simulation (QKeras: 0 differ, rounded to a stated grid)"
    )
    assert "the fewest that do; observed: 0 of 2,700 values behind casts differ" in auto.notes[-1]


def test_a_saved_network_and_images_without_labels(files, tmp_path, monkeypatch, capsys):
    made = convert_model(files / "network.npz", base=tmp_path)
    assert made.summary == "0 of 2,500 logits differ: emulator = C simulation"
    assert (made.folder.name, made.data, made.accuracy) == ("mlp", "random codes (seed 0)", None)
    assert command(monkeypatch, "simulate", made.folder, "--images", "7") == 0
    assert capsys.readouterr().out == "PASS: 35 outputs of 7 images, C simulation equals the emulator\n"
    assert command(monkeypatch, "profile", made.folder) == 0
    assert command(monkeypatch, "sweep", made.folder) == 2
    assert capsys.readouterr().err == (
        "error: the images of 'mlp' have no labels to count right answers with; give --data\n"
    )


# --- wrong bits -----------------------------------------------------------------------------------------------------


def spoil(project):
    """Change one weight of the first layer in a project's C++."""
    path = project / "firmware/weights/w2.txt"
    first, *rest = path.read_text().split(",")
    path.write_text(",".join([str(float(first) + 0.25), *rest]))


def test_one_wrong_weight_is_found_and_its_layer_named(files, tmp_path, monkeypatch, capsys):
    convert = cpp.convert

    def wrong(network, design, folder, **options):
        made = convert(network, design, folder, **options)
        spoil(folder)
        return made

    monkeypatch.setattr(cpp, "convert", wrong)
    with pytest.raises(BitMismatch) as caught:
        convert_model(files / "two-branches.keras", data=files / "few.npz", base=tmp_path)
    assert re.match(
        r"C simulation differs from the emulator in \d+ of 120 logits; first difference: layer 'fc1': \d+ of 180 "
        r"values differ; the first at image 0, channel \(0\): emulator ",
        str(caught.value),
    )
    line = ("convert", files / "two-branches.keras", "--data", files / "few.npz", "-o", tmp_path / "again")
    assert command(monkeypatch, *line, "--outputs", "softmax") == 1
    assert "mismatch: C simulation differs from the emulator in " in capsys.readouterr().err


def test_a_wrong_weight_later_is_found_by_simulate_and_mended_by_converting_again(files, copy):
    spoil(copy / "hls")
    with pytest.raises(BitMismatch, match=r"^layer 'out': \d+ of 120 values differ; the first at image 0, channel "):
        deploy.simulate(opener.open_run(copy))
    convert_model(files / "two-branches.keras", data=files / "few.npz", base=copy.parent)
    assert deploy.simulate(opener.open_run(copy)).startswith("PASS: 120 outputs of 30 images")


def test_what_did_not_change_is_not_done_again(files, copy, monkeypatch):
    monkeypatch.setattr(cpp, "convert", None)
    again = convert_model(files / "two-branches.keras", data=files / "few.npz", base=copy.parent)
    assert again.summary == "0 of 120 logits differ: emulator = C simulation = QKeras"


# --- bad input ------------------------------------------------------------------------------------------------------


def refused(kind, model, base, **options):
    """Return the message; nothing may be written."""
    with pytest.raises(kind) as caught:
        convert_model(model, base=base / "runs", **options)
    assert not (base / "runs").exists()
    return str(caught.value)


def test_files_that_are_no_models(files, tmp_path):
    assert refused(DataError, Path("nothing.keras"), tmp_path) == "model file nothing.keras does not exist"
    wanted = "must be the file of a Keras model (.keras, .h5) or of a Network (.npz)"
    assert refused(DataError, files, tmp_path) == f"{files} {wanted}"
    for name, kind, text in (
        ("thesis.pdf", DataError, f"thesis.pdf {wanted}"),
        ("thesis.keras", FormatError, "thesis.keras is not a Keras model that can be read: File is not a zip file"),
    ):
        (tmp_path / name).write_text("years of work")
        assert refused(kind, tmp_path / name, tmp_path) == f"{tmp_path}/{text}"


def test_code_is_refused_and_floats_are_sent_to_quantize(tmp_path):
    for layer, text in (
        (L.Lambda(lambda x: x, name="code"),
         "layer 'code' is a Lambda: it holds Python code, which fpgaml never runs; use a built-in layer"),
        (L.Dense(2, name="fc"),
         "the kernel of layer 'fc' has no quantizer: the model is in floating point there; quantize it in training, or "
         "use post-training quantization (fpgaml quantize MODEL --data ...)"),
    ):  # fmt: skip
        store.save(keras.Sequential([keras.Input((3,)), layer]), tmp_path / "m.keras")
        assert refused(UnsupportedLayer, tmp_path / "m.keras", tmp_path) == text


def test_options_that_cannot_be(files, tmp_path):
    model = files / "two-branches.keras"
    assert refused(ConfigError, model, tmp_path, name="2nd-model") == (
        "run name '2nd-model' must be a C++ identifier: letters, digits and single underscores, first a letter"
    )
    resource = {"strategy": "resource", "reuse_factor": 5}
    assert refused(ConfigError, model, tmp_path, design=resource) == (
        "layer 'fc1': reuse factor 5 is not valid for its 8 x 6 matrix in the resource strategy; the nearest valid one "
        "is 4"
    )
    assert refused(ConfigError, model, tmp_path, design={"backend": "Quartus"}) == (
        "options: design.backend must be 'Vivado' or 'Vitis', not \"Quartus\""
    )
    assert refused(ConfigError, files / "network.npz", tmp_path, input_type=FixedPoint(6, 2)) == (
        f"{files}/network.npz is a Network, whose types are settled (its input is ufixed<8,0>); leave out --input-type "
        "and --scale-bits"
    )


def test_data_that_do_not_fit(files, tmp_path):
    model, data = files / "two-branches.keras", tmp_path / "d.npz"
    np.savez(data, x_test=np.zeros((5, 9), np.uint8))
    assert refused(DataError, model, tmp_path, data=data) == (
        f"images in {data} must have shape (images, 8) as the model's input, not (5, 9)"
    )
    np.savez(data, x_test=np.full((5, 8), 300))
    assert refused(DataError, model, tmp_path, data=data) == (
        f"images in {data} are integers from 300 to 300, which are no codes of ufixed<8,0>, 0 to 255; state their type "
        "with --input-type"
    )
    np.savez(data, x_test=np.zeros((5, 8), np.uint8), y_test=np.array([0, 1, 2, 3, 4]))
    assert refused(DataError, model, tmp_path, data=data) == (
        "labels in d.npz must be 0 to 3, one for each output of the model, not 0 to 4"
    )
    np.savez(data, x_test=np.zeros((4, 8), np.uint8), y_test=np.eye(4) / 2)
    assert refused(DataError, model, tmp_path, data=data) == (
        f"labels in {data} must be one whole number for each of its 4 images, not float64 of shape (4, 4)"
    )


def test_standardized_features_and_labels_one_hot(files, tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", x_test=rng.normal(size=(40, 8)), y_test=np.eye(4)[rng.integers(0, 4, 40)])
    line = ("convert", files / "two-branches.keras", "--data", tmp_path / "d.npz", "-o", tmp_path)
    assert command(monkeypatch, *line) == 0
    kind = load(tmp_path / "two_branches/network.npz").input.type
    printed = capsys.readouterr().out
    assert f"\nnote: no input type was stated; {kind} is proposed from the data\n" in printed
    assert f"\nnote: 320 of 320 input values are rounded to {kind}, by at most " in printed
    assert "; the class of 0 of 40 samples changes\n" in printed
    assert ", accuracy " in printed


def test_folders_that_are_not_ours_to_write(files, copy, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError) as caught:
        convert_model(files / "two-branches.keras", base=tmp_path / "file")
    assert str(caught.value) == f"output folder {tmp_path}/file/two_branches cannot be written: Not a directory"
    with pytest.raises(ConfigError) as caught:
        convert_model(files / "old.h5", name="two_branches", base=copy.parent)
    assert str(caught.value) == (
        f"output folder {copy} has a run 'two_branches' of something else; give another --name or --output"
    )
