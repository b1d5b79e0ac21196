"""The audit: every finding from a tiny model that has the trap, bad input, the page and its exit codes."""

import json
import subprocess
import sys
import zipfile
from io import StringIO
from pathlib import Path

import keras
import numpy as np
import pytest
import qkeras
from rich.console import Console
from typer.testing import CliRunner

from fpgaml import convert_model
from fpgaml.audit.audit import Audit, Images, Side, _stock_side, audit, hls4ml_name, load_images, summary
from fpgaml.backend.stock import StockRun
from fpgaml.cli.app import app
from fpgaml.cli.show_audit import short, show_audit
from fpgaml.errors import DataError, FormatError
from fpgaml.frontend import store
from fpgaml.frontend.findings import RULES, Code, Severity
from fpgaml.frontend.inspection import logits_bare
from fpgaml.ir.fixed import FixedPoint

L = keras.layers
PIXEL = FixedPoint(8, 0, signed=False)


def bits(*args, **kwargs):
    return qkeras.quantized_bits(*args, **{"alpha": 1, **kwargs})


WEIGHTS = {"kernel_quantizer": bits(6, 0), "bias_quantizer": bits(6, 1)}
RELU = qkeras.quantized_relu(6, 2)


def model(shape, *layers, seed=0):
    made = keras.Sequential([keras.Input(shape, name="image"), *layers], name="tiny")
    rng = np.random.default_rng(seed)
    made.set_weights([rng.normal(0, 0.4, w.shape) for w in made.get_weights()])
    return made


def dense(**options):
    return model((8,), qkeras.QDense(4, name="fc", **{**WEIGHTS, **options}))


def activated(quantizer, name="act"):
    return model((8,), qkeras.QDense(4, name="fc", **WEIGHTS), qkeras.QActivation(quantizer, name=name))


def pooled(layer):
    return model((4, 4, 2), layer, qkeras.QActivation(RELU, name="act"))


def plain(found):
    return {(f.code, f.layer): f for f in found.findings}


def look(made, **options):
    return audit(made, simulate=False, **options)


# (model, layer, code, severity, what was found)
TRAPS = {
    "input type": (dense, "", "input-type", "info", "a Keras file states no input type; ufixed<8,0> was taken, "
                   "values in steps of 0.00390625"),
    "name lies": (lambda: activated(bits(6, 2), "relu1"), "relu1", "name-lies", "warning",
                  "its name promises a ReLU, but it is quantized_bits(6,2,0,alpha=1), which is linear"),
    "softmax": (lambda: model((8,), qkeras.QDense(4, name="fc", **WEIGHTS), L.Activation("softmax", name="sm")), "sm",
                "softmax-left-out", "info", "the model ends in a softmax"),
    "softmax table": (lambda: model((8,), qkeras.QDense(4, name="fc", **WEIGHTS), L.Softmax(name="sm")), "sm",
                      "softmax-table", "info", "its input, the logits of 'fc', is a sum of many bits"),
    "sigmoid": (lambda: model((8,), qkeras.QDense(1, name="fc", **WEIGHTS), L.Activation("sigmoid", name="sg")), "sg",
                "sigmoid-left-out", "info", "the model ends in a sigmoid"),
    "alpha None": (lambda: dense(kernel_quantizer=qkeras.quantized_bits(6, 0)), "fc", "alpha-auto-po2", "info",
                   "its kernel quantizer scales by a power of two per channel (alpha='auto_po2', or None, QKeras' "
                   "default)"),
    "alpha number": (lambda: dense(kernel_quantizer=bits(6, 0, alpha=0.5)), "fc", "alpha-number", "info",
                     "its kernel quantizer scales by alpha=0.5"),
    "unsigned weights": (lambda: dense(kernel_quantizer=bits(6, 0, keep_negative=False)), "fc", "unsigned-weights",
                         "info", "its kernel quantizer has keep_negative=False"),
    "one bit": (lambda: dense(kernel_quantizer=bits(1, 0)), "fc", "one-bit-weights", "info",
                "its kernel quantizer quantized_bits has 1 bit: weights are a sign"),
    "binary": (lambda: dense(kernel_quantizer=qkeras.binary(alpha=1)), "fc", "binary-weights", "info",
               "its kernel is quantized by binary"),
    "ternary": (lambda: dense(kernel_quantizer=qkeras.ternary(alpha=1)), "fc", "ternary-weights", "info",
                "its kernel is quantized by ternary"),
    "powers of two": (lambda: dense(kernel_quantizer=qkeras.quantized_po2(4)), "fc", "po2-weights", "info",
                      "its kernel is quantized by quantized_po2"),
    "float bias": (lambda: dense(bias_quantizer=None), "fc", "float-bias", "warning",
                   "its bias has no quantizer: it is in floating point"),
    "stochastic": (lambda: activated(qkeras.quantized_relu(6, 2, use_stochastic_rounding=True)), "act", "stochastic",
                   "warning", "its quantizer quantized_relu is stochastic"),
    "deleted": (lambda: activated(bits(6, 2)), "act", "deleted-requantizer", "info",
                "it is linear: quantized_bits(6,2,0,alpha=1) rounds and saturates, no more"),
    "symmetric": (lambda: activated(bits(6, 2, symmetric=1)), "act", "symmetric", "info",
                  "quantized_bits(6,2,1,alpha=1) is symmetric: its lowest code is left out"),
    "unsigned linear": (lambda: activated(bits(6, 2, keep_negative=False)), "act", "unsigned-linear", "info",
                        "quantized_bits(6,2,0,keep_negative=False,alpha=1) has keep_negative=False"),
    "no fraction": (lambda: activated(qkeras.quantized_relu(4, 4)), "act", "no-fraction-bits", "info",
                    "quantized_relu(4,4) has no fraction bits: bits 4, integer 4"),
    "slope": (lambda: activated(qkeras.quantized_relu(6, 2, negative_slope=0.25)), "act", "negative-slope", "info",
              "quantized_relu(6,2,0.25) has the negative slope 0.25"),
    "float relu": (lambda: model((8,), qkeras.QDense(4, name="fc", **WEIGHTS), L.ReLU(name="r")), "r",
                   "float-activation", "info", "its activation relu is in floating point"),
    "mean": (lambda: pooled(L.AveragePooling2D(2, name="p")), "p", "mean", "info",
             "a mean over 4 values needs 2 more fraction bits"),
    "mean over 9": (lambda: pooled(L.AveragePooling2D(3, name="p")), "p", "mean-not-power-of-two", "info",
                    "a mean over 9 values (or fewer, at the edges) is on no grid"),
    "global mean": (lambda: pooled(L.GlobalAveragePooling2D(name="p")), "p", "global-mean", "info",
                    "a mean over 16 values, the whole map"),
    "dropout": (lambda: model((8,), L.Dropout(0.5, name="d"), qkeras.QDense(4, name="fc", **WEIGHTS)), "d", "left-out",
                "info", "a Dropout does nothing at inference"),
    "float32": (lambda: model((64,), qkeras.QDense(4, name="fc", kernel_quantizer=bits(20, 0), use_bias=False)), "fc",
                "float32-limit", "warning", None),
    "batch normalization": (lambda: model((8,), qkeras.QDense(4, name="fc", **WEIGHTS), L.BatchNormalization(name="bn"),
                                  ), "bn", "batch-normalization", "warning",
                            "a BatchNormalization scales and shifts by float values"),
    "renamed": (lambda: model((8,), qkeras.QDense(4, name="fc-1", **WEIGHTS)), "", "renamed", "info",
                "layer 'fc-1' is called 'fc_1' in C++"),
    "float weights": (lambda: model((8,), L.Dense(4, name="fc")), "fc", "float-weights", "error",
                      "the kernel of layer 'fc' has no quantizer: the model is in floating point there; quantize it in "
                      "training, or use post-training quantization (fpgaml quantize MODEL --data ...)"),
    "Lambda": (lambda: model((8,), L.Lambda(lambda x: x, name="code")), "code", "python-code", "error",
               "layer 'code' is a Lambda: it holds Python code, which fpgaml never runs; use a built-in layer"),
    "alpha auto": (lambda: dense(kernel_quantizer=qkeras.quantized_bits(6, 0, alpha="auto")), "fc", "alpha-auto",
                   "error", None),
    "quantized clip": (lambda: activated(qkeras.quantized_relu(6, 2, is_quantized_clip=False)), "act", "quantized-clip",
                       None, None),
    "sigmoid flag": (lambda: activated(qkeras.quantized_relu(6, 2, 1)), "act", "use-sigmoid", None, None),
    "po2 activation": (lambda: activated(qkeras.quantized_relu_po2(4)), "act", "po2-activation", None, None),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAPS)
def test_each_trap_has_its_finding(name):
    make, layer, code, severity, text = TRAPS[name]
    found = plain(look(make()))
    assert (code, layer) in found, list(found)
    one = found[code, layer]
    if severity is not None:
        assert one.severity == severity
    if text is not None:
        assert one.found == text
    assert one.fpgaml
    assert one.hls4ml
    assert one.mend


def test_every_code_has_a_rule():
    assert set(RULES) == set(Code)


def broken():
    return model(
        (6, 6, 2),
        L.Conv2D(3, 3, name="float_conv"),
        qkeras.QActivation(RELU, name="act"),
        L.Permute((2, 1, 3), name="up"),
        L.Flatten(name="flat"),
        qkeras.QDense(2, name="fc", **WEIGHTS),
    )


def test_all_errors_come_at_once_and_the_table_goes_on():
    found = look(broken())
    assert [(f.code, f.layer) for f in found.errors] == [("float-weights", "float_conv"), ("unsupported-layer", "up")]
    assert found.exit_code == 1
    assert summary(found) == "2 error(s): this model cannot be converted exactly; each says how to mend it"
    rows = {row.layer: row for row in found.rows}
    assert (rows["float_conv"].does, rows["float_conv"].output) == ("refused", "?")
    assert rows["act"].output == "ufixed<6,2,RND_CONV,SAT>"  # a quantizer states its type whatever comes in
    assert (rows["fc"].weight, rows["fc"].output, rows["fc"].float32) == ("fixed<6,1>", "?", None)


def test_the_table_says_what_a_layer_does():
    found = look(model((8,), qkeras.QDense(4, name="fc", **WEIGHTS), qkeras.QActivation(bits(6, 2), name="relu1")))
    fc, act = found.rows[1:]
    assert (fc.does, fc.inputs, fc.weight, fc.accumulator) == ("8 x 4 sum", "ufixed<8,0>", fc.weight, fc.output)
    assert fc.float32 is True
    assert 0 <= fc.sparsity < 1
    assert (act.does, act.output) == ("linear, RND_CONV SAT", "fixed<6,3,RND_CONV,SAT>")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: keras.Model([a := keras.Input((3,)), b := keras.Input((3,))], L.Add()([a, b])),
            "the model has 2 inputs and 1 outputs; one of each is supported, such as keras.Model(model.inputs[0], "
            "model.outputs[0])",
        ),
    ],
    ids=["two inputs"],
)
def test_graphs_that_are_refused_still_give_a_table(make, message):
    found = look(make())
    assert [(f.code, f.found) for f in found.errors] == [("unsupported-graph", message)]
    assert found.rows


def test_a_dynamic_shape_is_an_error():
    found = look(model((None, 3), qkeras.QConv1D(2, 3, name="c", **WEIGHTS)))
    assert [f.found for f in found.errors] == [
        "the input has the dynamic shape (None, 3); every axis but the images must be fixed"
    ]


def test_a_file_that_is_no_model(tmp_path):
    path = tmp_path / "thesis.keras"
    path.write_text("years of work")
    found = audit(path)
    assert [(f.code, f.severity) for f in found.findings] == [("unreadable-file", "error")]
    assert found.findings[0].found.startswith(f"{path} is not a Keras model that can be read: ")
    assert found.exit_code == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "m.h5",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "is a pointer of Git LFS, not the model itself; fetch it with git lfs pull",
        ),
        ("m.onnx", b"\x08", "is an ONNX model; fpgaml reads Keras models, .keras or .h5"),
        ("m.pt", b"PK", "is a PyTorch model; fpgaml reads Keras models, .keras or .h5"),
        (
            "m.tflite",
            b"\x1c\0\0\0TFL3",
            "is a TensorFlow Lite model, whose layers are fused and rounded; name the Keras model it was made from",
        ),
        ("m.json", b"{}", "describes a model without its weights; name their file with --weights"),
        (
            "saved/saved_model.pb",
            b"",
            "is a SavedModel of TensorFlow, which holds compiled functions; save the model as one file, "
            "model.save('model.keras'), and name that",
        ),
    ],
)
def test_what_is_no_keras_file_is_said_with_what_to_do(name, content, message, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    path = path if path.parent == tmp_path else path.parent
    found = audit(path)
    assert [(one.found, one.mend) for one in found.findings] == [(f"{path} {message}", "see the message")]
    with pytest.raises(FormatError) as caught:
        convert_model(path, base=tmp_path / "runs")
    assert str(caught.value) == f"{path} {message}"


class OwnModel(keras.Model):
    """A class of one's own, whose file lists no layers."""

    def __init__(self):
        super().__init__(name="own")
        self.fc = qkeras.QDense(2, **WEIGHTS)

    def call(self, x):
        return self.fc(x)

    def get_config(self):
        return {}


def test_a_model_of_the_users_own_class(tmp_path):
    model = OwnModel()
    model(np.zeros((1, 3), np.float32))
    model.save(tmp_path / "m.keras")
    found = audit(tmp_path / "m.keras")
    assert [(one.code, one.found) for one in found.errors] == [
        (
            "python-code",
            f"OwnModel '' comes from the Python module {__name__!r}, which fpgaml never imports; use layers of Keras "
            "and QKeras",
        )
    ]
    assert found.rows == ()
    with zipfile.ZipFile(tmp_path / "m.keras") as old, zipfile.ZipFile(tmp_path / "main.keras", "w") as new:
        text = json.loads(old.read("config.json")) | {"module": None, "registered_name": "OwnModel"}
        new.writestr("config.json", json.dumps(text))  # as Keras writes a class of the very script that saves it
        new.writestr("metadata.json", old.read("metadata.json"))
    assert [(one.code, one.found) for one in audit(tmp_path / "main.keras").errors] == [
        (
            "python-code",
            "OwnModel '' is a class of neither Keras nor QKeras, whose Python code fpgaml never runs; build the model "
            "of layers instead, as a Sequential or functional model",
        )
    ]


@pytest.mark.parametrize("config", [{}, [], {"config": []}, {"config": [{}]}, {"config": {"layers": [{"config": 1}]}}])
def test_a_description_that_is_none(config, tmp_path):
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.15.0"}))
        archive.writestr("model.weights.h5", b"")
    found = audit(tmp_path / "m.keras")
    assert found.findings[0].found.startswith(f"{tmp_path}/m.keras is not a Keras model that can be read: ")


def test_a_sum_wider_than_any_type_is_an_error_with_advice():
    layers = [qkeras.QDense(64, name=f"fc{n}", **WEIGHTS) for n in range(6)]
    found = look(model((64,), *layers))
    assert [one.found for one in found.errors] == [
        "layer 'fc5' needs 66 bits to be exact, more than 63: give its weights or its input fewer bits"
    ]
    assert found.rows[-1].output == "?"
    found = look(model((64,), *layers[:5], qkeras.QDense(64, activation="relu", name="last", **WEIGHTS)))
    assert [one.found for one in found.errors] == [
        "layer 'last': its result needs 66 bits to be exact, more than the 63 that a type can have; put a QActivation "
        "of fewer bits before it"
    ]


def test_no_file():
    with pytest.raises(DataError, match=r"^model file nothing\.keras does not exist$"):
        audit(Path("nothing.keras"))


def test_python_code_in_a_file_is_never_run(tmp_path):
    made = model((8,), qkeras.QDense(4, name="fc", **WEIGHTS), L.Lambda(lambda x: x * 2, name="code"))
    store.save(made, tmp_path / "m.keras")
    found = audit(tmp_path / "m.keras")
    assert [(f.code, f.layer, f.found) for f in found.errors] == [
        ("python-code", "code", "layer 'code' is a Lambda: Python code of the model's own, which fpgaml never runs")
    ]
    assert [row.layer for row in found.rows] == ["image", "fc", "code"]


def test_a_class_of_the_users_own(tmp_path):
    path = tmp_path / "m.keras"
    store.save(model((8,), qkeras.QDense(4, name="fc", **WEIGHTS)), path)
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    config = json.loads(parts["config.json"])
    config["config"]["layers"][1] |= {"class_name": "Mine", "module": "thesis", "registered_name": "Mine"}
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    assert [f.found for f in audit(path).errors] == [
        "layer 'fc' is a Mine: Python code of the model's own, which fpgaml never runs; neither Keras nor QKeras has "
        "this class"
    ]


# --- data -----------------------------------------------------------------------------------------------------------


def test_images_of_another_shape(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((5, 9), np.uint8))
    with pytest.raises(DataError) as caught:
        load_images(path, (8,), PIXEL, 10)
    assert str(caught.value) == f"images in {path} must have shape (images, 8) as the model's input, not (5, 9)"


def test_codes_out_of_range(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.full((5, 8), 300))
    with pytest.raises(DataError) as caught:
        load_images(path, (8,), PIXEL, 10)
    assert str(caught.value) == (
        f"images in {path} are integers from 300 to 300, which are no codes of ufixed<8,0>, 0 to 255; state their type "
        "with --input-type"
    )


def test_values_off_the_grid(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.full((5, 8), 1 / 255))
    with pytest.raises(DataError) as caught:
        load_images(path, (8,), PIXEL, 10)
    assert str(caught.value) == (
        f"images in {path}: 40 of 40 values are not on the grid of ufixed<8,0>, multiples of 0.00390625 from 0 to "
        f"0.996094; the first is {1 / 255!r}. A pixel divided by 255 is on no grid: divide by 256, or "
        "state --input-type"
    )


def test_values_on_the_grid_and_labels(tmp_path):
    np.savez(tmp_path / "d.npz", x_test=np.array([[0.5, 0.25]] * 3), y_test=np.array([1, 0, 1]))
    found = load_images(tmp_path / "d.npz", (2,), PIXEL, 2)
    np.testing.assert_array_equal(found.codes, [[128, 64]] * 2)
    np.testing.assert_array_equal(found.labels, [1, 0])


def test_pixels_times_a_scale(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[255, 51, 0]], np.uint8))
    found = load_images(tmp_path / "x.npy", (3,), FixedPoint(9, 1, signed=False), 5, "1/255")
    np.testing.assert_array_equal(found.codes, [[256, 51, 0]])
    assert found.data == "x.npy times 1/255"


def test_no_data_file(tmp_path):
    (tmp_path / "x.npy").write_text("text")
    with pytest.raises(DataError, match=r"x\.npy is not a readable \.npy file: its first bytes are another kind's"):
        load_images(tmp_path / "x.npy", (8,), PIXEL, 10)
    with pytest.raises(DataError, match=r"none\.npy does not exist$"):
        load_images(tmp_path / "none.npy", (8,), PIXEL, 10)


def test_without_data_mnist_or_random_codes():
    assert load_images(None, (28, 28, 1), PIXEL, 3).data == "MNIST test images"
    found = load_images(None, (7,), PIXEL, 3)
    assert (found.data, found.codes.shape, found.labels) == ("random codes (seed 0)", (3, 7), None)


# --- executions -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulated():
    made = model(
        (8,),
        qkeras.QDense(5, name="fc", **WEIGHTS),
        qkeras.QActivation(RELU, name="relu"),
        qkeras.QDense(3, name="out", activation="softmax", **WEIGHTS),
    )
    return audit(made, images=40)


def test_the_simulation_proves_it(simulated):
    keras_side, ours = simulated.simulation.sides
    assert (keras_side.name, keras_side.logits_unequal, keras_side.first) == ("Keras", 0, None)
    assert (ours.name, ours.logits_unequal, ours.first, ours.agreement) == ("fpgaml: C simulation", 0, None, 1.0)
    assert ours.layers == {"fc": 0, "relu": 0, "out": 0}
    assert simulated.exit_code == 0
    assert summary(simulated) == "exact: 0 of 120 logits differ on 40 images, Keras = emulator = C simulation"


def test_the_record_is_json(simulated):
    record = json.loads(json.dumps(simulated.record()))
    assert record["exit_code"] == 0
    assert record["simulation"]["sides"][1]["logits_unequal"] == 0


def page(found):
    console = Console(file=StringIO(), width=100, highlight=False)
    show_audit(console, found)
    return console.file.getvalue()


def test_the_page(simulated):
    text = page(simulated)
    for part in ("fc", "8 x 5 sum", "fixed<6,1>", "softmax-left-out", "0 of 120", "nowhere", "✓ exact: 0 of 120"):
        assert part in text


def test_a_softmax_inside_the_last_layer_is_put_back():
    made = model((8,), qkeras.QDense(4, name="fc", activation="softmax", **WEIGHTS))
    before = made.layers[-1].activation
    with logits_bare(made):
        assert made.layers[-1].activation is keras.activations.linear
    assert made.layers[-1].activation is before


def test_hls4ml_names_its_layers_otherwise():
    order = ["image", "fc", "fc_act", "out"]
    assert hls4ml_name("fc", order) == "fc"
    assert hls4ml_name("out_linear", order) == "out"
    assert hls4ml_name("fc_quantized_relu", order) == "fc_act"
    assert hls4ml_name("out_softmax", order) is None
    assert hls4ml_name("fc_relu", ["fc", "out"], of_network=False) == "fc"


GOLDEN = {"fc": np.array([[1.0, 2.0], [3.0, 1.0]])}
IMAGES = Images(np.zeros((2, 1), np.int64), np.array([1, 1]), "two images")


def test_hls4ml_beside_the_emulator():
    wrong = GOLDEN["fc"] + [[0, 0], [-3, 0]]
    run = StockRun("call", "refused it", None, 1.0, wrong, {"fc": wrong}, {}, {})
    side = _stock_side(run, GOLDEN, ["fc"], None, IMAGES)
    assert isinstance(side, Side)
    assert (side.name, side.by_handlers) == ("hls4ml handlers, no backend", True)
    assert (side.logits_unequal, side.accuracy, side.agreement, side.must_agree) == (1, 1.0, 0.5, False)
    assert str(side.first) == (
        "layer 'fc': 1 of 4 values differ; the first at image 1, channel (0): Keras 3.0, hls4ml 0.0"
    )


def test_hls4ml_that_fails_both_ways():
    run = StockRun("call", "one", "two", 1.0, None, {}, {}, {})
    side = _stock_side(run, GOLDEN, ["fc"], None, IMAGES)
    assert (side.name, side.failed) == ("hls4ml handlers, no backend", "two")


def test_types_are_short_in_the_table():
    assert short("ufixed<6,2,RND_CONV,SAT>") == "ufixed<6,2>"
    assert short("fixed<20,7>") == "fixed<20,7>"


# --- the command ----------------------------------------------------------------------------------------------------


def command(*args):
    return subprocess.run(
        [sys.executable, "-m", "fpgaml", "audit", *map(str, args)], capture_output=True, text=True, check=False
    )


def test_exit_code_1_when_errors_remain(tmp_path):
    store.save(broken(), tmp_path / "m.keras")
    done = command(tmp_path / "m.keras", "--no-simulate", "--json")
    assert done.returncode == 1
    record = json.loads(done.stdout)
    assert (record["errors"], record["exit_code"], record["model"]) == (2, 1, "m")
    assert done.stderr == ""


def test_exit_code_0_and_2(tmp_path):
    store.save(dense(), tmp_path / "m.keras")
    done = command(tmp_path / "m.keras", "--no-simulate")
    assert done.returncode == 0, done.stderr
    assert "✓ no errors: it can be converted; not simulated" in done.stdout
    done = command(tmp_path / "none.keras")
    assert done.returncode == 2
    assert "none.keras does not exist" in done.stderr.replace("\n", "")


def test_every_option_reaches_the_audit(monkeypatch):
    seen = {}
    empty = Audit("m", "ufixed<8,0>", (), (), None)
    monkeypatch.setattr("fpgaml.audit.audit.audit", lambda path, **options: seen.update(path=path, **options) or empty)
    line = "audit m.keras --data d.npz --input-type fixed<6,2> --images 9 --scale-bits 12"
    line += " --weights m.h5 --input-scale 1/255 --no-simulate --against-hls4ml"
    assert CliRunner().invoke(app, line.split()).exit_code == 0
    del seen["progress"]
    assert seen == {
        "path": Path("m.keras"),
        "weights": Path("m.h5"),
        "data": "d.npz",
        "label": None,
        "input_type": FixedPoint(6, 2),
        "images": 9,
        "scale_bits": 12,
        "input_scale": "1/255",
        "simulate": True,
        "against_hls4ml": True,
    }


def test_severities_are_three():
    assert [str(one) for one in Severity] == ["info", "warning", "error"]


def test_every_code_is_in_the_documentation():
    text = (Path(__file__).parents[2] / "docs/audit.md").read_text(encoding="utf-8")
    assert [code for code, rule in RULES.items() if f"| `{code}` | {rule.severity} | {rule.fpgaml} |" not in text] == []
