"""Models as real stacks wrote them, against the outputs of the program that wrote each: equal, or refused and why.

The archives were made by stacks.sh: QKeras 0.9 on TensorFlow 2.12 (.h5) and 2.15 (.keras), qkeras-v3 on Keras 3.
"""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from fpgaml.errors import FpgamlError
from fpgaml.exact import emulate
from fpgaml.frontend import floats, store
from fpgaml.frontend.read import read
from fpgaml.frontend.scale_bits import settle
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import PIXEL
from tests.commands import command

HERE = Path(__file__).parent
ARCHIVES = {path.stem: zipfile.ZipFile(path) for path in sorted(HERE.glob("*.zip"))}
FILES = [
    f"{stack}/{name}"
    for stack, archive in ARCHIVES.items()
    for name in archive.namelist()
    if not name.endswith((".npz", ".weights.h5"))
]

# What is on no grid, by the layers where it is rounded; all else is exact.
ROUNDED = {
    "normalized": 1, "cnn_normalized": 1, "normalized_plain": 1, "normalized_input": 1, "float_functions": 2,
}  # fmt: skip
FLOAT = ("float_mlp", "float_cnn")
STEP = "is recurrent, and a Network keeps nothing from one step to the next; use a convolution or a dense layer over a "
CODE = "it holds Python code, which fpgaml never runs; use a built-in layer"
ONE = "one of each is supported, such as keras.Model(model.inputs[0], model.outputs[0])"
QUANTIZE = (
    "has no quantizer: the model is in floating point there; quantize it in training, or use post-training "
    "quantization (fpgaml quantize MODEL --data ...)"
)
REFUSED = {  # the whole message, but for the layer's name and a list of what is supported
    "alpha_auto": "the kernel of layer {}: quantized_bits has alpha='auto', a scale in floating point that is on no "
    "grid; train with alpha='auto_po2' or 1, or give scale_bits to round the scaled values to that many bits",
    "attention": "layer {}: a MultiHeadAttention is not supported; supported are {}",
    "permuted": "layer {}: a Permute is not supported; supported are {}",
    "python_code": f"layer {{}} is a Lambda: {CODE}",
    "recurrent": f"layer {{}}: a QGRU {STEP}window of steps",
    "recurrent_float": f"layer {{}}: a LSTM {STEP}window of steps",
    "two_inputs": f"the model has 2 inputs and 1 outputs; {ONE}",
    "two_outputs": f"the model has 1 inputs and 2 outputs; {ONE}",
    "float_mlp": f"the kernel of layer {{}} {QUANTIZE}",
    "float_cnn": f"the kernel of layer {{}} {QUANTIZE}",
}
OLD_ATTENTION = "layer {}: a MultiHeadAttention of Keras 2 cannot be rebuilt with the layers of today; use other layers"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All archives, unpacked."""
    made = tmp_path_factory.mktemp("corpus")
    for stack, archive in ARCHIVES.items():
        archive.extractall(made / stack)
    return made


def load(path):
    """Return a model, the weights of one that is only described beside it."""
    weights = path.with_suffix(".weights.h5")
    return store.load(path, weights if path.suffix == ".json" else None)


def answers(path):
    """Return the input codes, and what the program that wrote the model gave for them."""
    with np.load(path.parent / f"{path.stem}.npz") as file:
        return file["codes"].astype(np.int64), file["logits"].astype(np.float64)


def logits(network, codes, like):
    kind = tensor_types(network)[network.output.name]
    return kind.decode(emulate.run(network, codes)).reshape(like.shape)


def matches(message, template):
    """Whether a message is the template with something in place of each {}."""
    at = 0
    parts = template.split("{}")
    for part in parts:
        found = message.find(part, at)
        if found < 0 or (at == 0 and found > 0 and not template.startswith("{}")):
            return False
        at = found + len(part)
    return at == len(message) or template.endswith("{}")


def test_the_corpus_is_large_and_of_three_stacks():
    assert set(ARCHIVES) == {"keras3", "tf212", "tf215"}
    assert len(FILES) >= 120
    assert max(path.stat().st_size for path in HERE.glob("*.zip")) < 300_000


@pytest.mark.parametrize("name", FILES)
def test_a_model_is_exact_or_refused(name, folder):
    path, kind = folder / name, Path(name).stem
    if kind in REFUSED:
        wanted = OLD_ATTENTION if kind == "attention" and "tf2" in name else REFUSED[kind]
        with pytest.raises(FpgamlError) as caught:
            read(load(path), name="n")
        assert matches(str(caught.value), wanted), str(caught.value)
        return
    model, (codes, theirs) = load(path), answers(path)
    reading = read(model, name="n")
    assert len(reading.apart) == ROUNDED.get(kind, 0)
    ours = logits(reading.network, codes, theirs)
    if kind == "float_functions":  # tables of eight bits: only said to be close
        assert (ours != theirs).all()
    elif kind == "float_bias":  # Keras adds a bias of 24 bits in float32
        np.testing.assert_array_equal(ours.astype(np.float32), theirs)
    else:
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", [name for name in FILES if "normalized" in name])
def test_the_bits_that_are_chosen_leave_nothing_different(name, folder):
    codes, theirs = answers(folder / name)
    found = settle(load(folder / name), name="n", input_type=PIXEL, codes=codes)
    assert (found.unlike, found.cause) == (0, "")
    np.testing.assert_array_equal(logits(found.reading.network, codes, theirs), theirs)


@pytest.mark.parametrize("name", [name for name in FILES if Path(name).stem == "alpha_auto"])
def test_a_scale_on_no_grid_is_rounded_where_that_is_asked_for(name, folder):
    codes, theirs = answers(folder / name)
    reading = read(load(folder / name), name="n", scale_bits=20)
    assert next(iter(reading.apart.values())).startswith("the kernel of layer 'q_dense")
    assert np.abs(logits(reading.network, codes, theirs) - theirs).max() < 2.0**-4  # a step of the cast behind


@pytest.mark.parametrize("name", [name for name in FILES if Path(name).stem in FLOAT])
def test_float_models_are_ready_for_quantization(name, folder):
    model, (codes, theirs) = load(folder / name), answers(folder / name)
    assert floats.read(model, name="n").model.weights
    assert (floats.answers(model, PIXEL.decode(codes)) == theirs.argmax(axis=1)).all()


@pytest.mark.parametrize("name", ["tf212/merged.h5", "tf215/causal.keras", "keras3/cnn_normalized.json"])
def test_every_command_takes_a_model(name, folder, tmp_path, monkeypatch, capsys):
    """One model of each stack through the command line; all of them went once, by commands.py."""
    path = folder / name
    np.save(tmp_path / "codes.npy", answers(path)[0].astype(np.uint8))
    line = ("--data", tmp_path / "codes.npy")
    line += ("--weights", path.with_suffix(".weights.h5")) if path.suffix == ".json" else ()
    assert command(monkeypatch, "audit", path, "--no-simulate", *line) == 0
    assert command(monkeypatch, "convert", path, *line, "-o", tmp_path, "--name", "made") == 0
    assert "✓ 0 of " in capsys.readouterr().out
    made = tmp_path / "made"
    for words in (
        ("profile", made),
        ("estimate", made),
        ("fit", made, "--board", "pynq-z2"),
        ("export", made, "-o", tmp_path / "made.zip"),
        ("board", made, "--board", "pynq-z2"),
    ):
        assert command(monkeypatch, *words) == 0, words
