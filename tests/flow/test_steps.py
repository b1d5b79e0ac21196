"""The main job, end to end: a real small network, real images, real g++; and what happens when something is wrong."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import fpgaml
from fpgaml import report
from fpgaml.card.changes import changed
from fpgaml.card.toml import card_of
from fpgaml.datasets.dataset import NUMBERED
from fpgaml.errors import BitMismatch, ConfigError, DataError, UnsupportedLayer
from fpgaml.exact import emulate
from fpgaml.flow import engine, steps
from fpgaml.ir.network import Weights
from fpgaml.ir.saving import load, save
from fpgaml.quoting import markdown
from fpgaml.report.figures import Drawn
from fpgaml.report.results import certificate_of
from fpgaml.runs.workspace import Workspace, digest_of
from tests.attack.page import Page
from tests.attack.payloads import PAYLOADS, with_all
from tests.commands import command

CARD = """
name = "tiny"
[data]
source = "few.npz"
[model]
layers = [
  { kind = "flatten" },
  { kind = "dense", units = 8, activation = "relu", name = "fc1" },
  { kind = "dense", units = 10, activation = "softmax", name = "logits" },
]
[training]
epochs = 8
[quantization]
epochs = 1
[design]
strategy = "latency"
reuse_factor = 1
[output]
golden_images = 10
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the card and 2,000 + 300 images of MNIST."""
    made = tmp_path_factory.mktemp("main_job")
    with np.load(Path(fpgaml.__file__).parent / "data/mnist.npz") as mnist:
        few = {key: mnist[key][: 2000 if "train" in key else 300] for key in mnist.files}
    np.savez_compressed(made / "few.npz", **few)
    (made / "tiny.toml").write_text(CARD)
    return made


@pytest.fixture(scope="module")
def finished(folder):
    """The job done once, for real."""
    return fpgaml.run(fpgaml.load_card(folder / "tiny.toml"), base=folder / "runs")


@pytest.fixture
def copy(finished, folder, tmp_path):
    """A copy of the finished run to spoil: (card, base, folder of the run)."""
    shutil.copytree(folder / "runs", tmp_path / "runs")
    return fpgaml.load_card(folder / "tiny.toml"), tmp_path / "runs", tmp_path / "runs/tiny"


class Listener(engine.Silent):
    def __init__(self):
        self.done, self.skipped = [], []

    def finished(self, step, seconds, summary, skipped):
        (self.skipped if skipped else self.done).append(step)


def steps_done(card, base, **options):
    listener = Listener()
    steps.run(card, base=base, listener=listener, **options)
    return listener.done


def test_everything_is_there_and_proved(finished):
    record = json.loads((finished / "report.json").read_text())
    comparison = record["comparison"]
    assert comparison["proved"] is True
    assert comparison["logits"] == 3000
    assert [e["name"] for e in comparison["executions"]] == ["float", "QKeras", "emulator", "C simulation"]
    assert [e["mismatching_logits"] for e in comparison["executions"]] == [None, 0, 0, 0]
    assert comparison["layers"]["C simulation"] == {"fc1": 0, "fc1_relu": 0, "logits": 0}
    assert comparison["executions"][3]["accuracy"] > 0.5  # it learned something
    assert record["size"]["parameters"] == 784 * 8 + 8 + 8 * 10 + 10
    page = (finished / "report.md").read_text()
    assert "**Proved: the generated C++ computes what the network says, bit for bit.**" in page
    for name in re.findall(r"\((figures/[^)]+)\)", page):
        assert (finished / name).stat().st_size > 1000


def test_a_proof_goes_into_the_report_and_leaves_with_its_project(copy, monkeypatch, capsys):
    card, base, run = copy
    assert command(monkeypatch, "run", card.folder / "tiny.toml", "-o", base, "--prove") == 0
    sentence = "proved for every input: the C++ is the network in all 4 layers, for 2^6272 inputs"
    printed = capsys.readouterr().out
    assert sentence in printed
    certificate = json.loads((run / "certificate.json").read_text())
    assert certificate["sentence"] == sentence
    assert [layer["layer"] for layer in certificate["layers"]] == ["flatten1", "fc1", "fc1_relu", "logits", ""]
    assert certificate["seconds"].keys() >= {"run on symbols", "judge"}
    page = (run / "report.md").read_text()
    assert f"**P{sentence[1:]}.**" in page
    assert "| fc1_relu | Activation | exhaustive | 8 outputs, 1 different functions of up to" in page
    assert steps_done(card, base) == []
    with (run / "hls/firmware/defines.h").open("a") as file:
        file.write("\n")
    assert certificate_of(Workspace.at(card, base)) is None  # it is of another project


@pytest.mark.parametrize("payload", PAYLOADS)
def test_nothing_in_a_report_is_markup(finished, payload):
    """Every text of the record replaced: names, notes, summaries, types, versions."""
    record = json.loads((finished / "report.json").read_text()) | {"note": "a note", "notes": ["a note"]}
    figures = dict.fromkeys(re.findall(r'figure\("(\w+)"', template := _template_text()), Drawn(payload, True))
    figures |= dict.fromkeys(re.findall(r'"(\w+)"', re.search(r"for one in \((.*?)\)", template)[1]), Drawn("", True))
    plain = Page(report._environment().get_template("report.md.j2").render(**record, figures=figures))
    record = with_all(record, payload)
    page = Page(report._environment().get_template("report.md.j2").render(**record, figures=figures))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags}
    assert all(attrs.get("src", "figures/").startswith("figures/") for _, attrs in page.tags)
    assert not any(set(attrs) - {"src", "alt", "style"} for _, attrs in page.tags)


def _template_text():
    return (Path(report.__file__).parent / "report.md.j2").read_text()


def test_accuracies_are_those_of_the_files(finished):
    """Recompute from the files, by other means than the code under test."""
    with np.load(finished.card.folder / "few.npz") as few, np.load(finished / "csim.npz") as file:
        expected = float((file["logits"].argmax(axis=1) == few["y_test"]).mean())
    record = json.loads((finished / "report.json").read_text())
    assert record["comparison"]["executions"][3]["accuracy"] == expected
    confusion = np.array(record["comparison"]["confusion"]["C simulation"])
    assert confusion.sum() == 300
    assert np.trace(confusion) / 300 == expected


def test_unchanged_steps_are_skipped(copy):
    card, base, _ = copy
    assert steps_done(card, base) == []
    assert steps_done(card, base, force=True, first="convert", last="convert") == ["convert"]
    assert steps_done(card, base) == ["csim", "compare", "report"] or steps_done(card, base) == []


def test_a_changed_design_redoes_only_what_depends_on_it(copy):
    card, base, _ = copy
    other = changed(card, {"design": {"io_type": "io_stream"}})
    assert steps_done(other, base) == [
        "convert",
        "csim",
        "estimate",
        "report",
    ]  # csim gives the same bits: nothing to compare anew


@pytest.mark.parametrize(
    ("path", "redone"),
    [
        ("few.npz", {"train", "quantize", "profile", "csim", "compare", "report"}),
        ("own/net.py", {"train", "report"}),
        ("teacher.keras", {"quantize", "report"}),
    ],
)
def test_a_step_depends_on_the_files_that_its_card_names(path, redone, tmp_path):
    stages = {"compress": ["distill", "qat"], "compression": {"teacher": "teacher.keras"}}
    card = card_of({"data": {"source": "few.npz"}, "model": {"function": "own.net:build"}} | stages, folder=tmp_path)

    def digests():
        run = engine.Engine(steps.STEPS, Workspace.open(card, tmp_path / "runs"))
        return {step.name: run.digest(step) for step in steps.STEPS}

    before = digests()
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text("other than before")
    assert {name for name, digest in digests().items() if digest != before[name]} == redone


def test_a_damaged_file_is_made_again(copy):
    card, base, run = copy
    (run / "csim.npz").write_bytes(b"cut off")
    assert steps_done(card, base) == ["csim"]


def test_from_needs_what_earlier_steps_make(copy):
    card, base, run = copy
    (run / "network.npz").unlink()
    with pytest.raises(
        ConfigError, match=r"^step 'convert' needs .*network\.npz, which step 'quantize' makes; run that"
    ):
        steps_done(card, base, first="convert")


def spoil_network(run):
    """Flip the last bit of one weight of the Network."""
    network = load(run / "network.npz")
    layer = network["logits"]
    codes = layer.bias.codes.copy()
    codes[0] ^= 1
    object.__setattr__(layer, "bias", Weights(codes, layer.bias.type))
    save(network, run / "network.npz")


def test_one_wrong_bit_fails_the_run_and_names_the_layer(copy):
    card, base, run = copy
    with np.load(run / "csim.npz") as file:
        arrays = {key: file[key] for key in file.files}
    arrays["layer.fc1"][3, 2] += 1
    arrays["logits"][3, 5] += 1
    np.savez(run / "csim.npz", **arrays)
    state = json.loads((run / "run.json").read_text())
    state["steps"]["csim"]["made"]["csim.npz"] = digest_of(run / "csim.npz")
    (run / "run.json").write_text(json.dumps(state))
    with pytest.raises(BitMismatch) as caught:
        steps_done(card, base)
    message = str(caught.value)
    assert message.startswith(
        "C simulation differs from the emulator in 1 of 3,000 logits; first difference: layer 'fc1': 1 of 80 values "
        "differ; the first at image 3, channel (2): emulator "
    )
    assert json.loads((run / "comparison.json").read_text())["proved"] is False
    page = (run / "report.html").read_text()
    assert '<dd class="large bad">not proved</dd>' in page
    assert '<svg role="img" aria-label="The first difference"' in page
    assert "Left: image 3, as the network gets it. Right: the values of layer fc1 that differ for it (red)" in page
    assert re.search(r"<td>fc1</td>\s*<td[^>]*>1</td>", page)


def test_one_wrong_weight_is_found_against_keras(copy):
    card, base, run = copy
    spoil_network(run)
    state = json.loads((run / "run.json").read_text())
    state["steps"]["quantize"]["made"]["network.npz"] = digest_of(run / "network.npz")
    (run / "run.json").write_text(json.dumps(state))
    with pytest.raises(
        BitMismatch,
        match=r"^QKeras differs from the emulator in 300 of 3,000 logits; first difference: layer 'logits': ",
    ):
        steps_done(card, base)


def test_a_killed_run_can_be_started_again(folder, tmp_path):
    command = [sys.executable, "-m", "fpgaml", "run", str(folder / "tiny.toml"), "-o", str(tmp_path), "-q"]
    for seconds in (1.5, 6.0):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    workspace = fpgaml.run(fpgaml.load_card(folder / "tiny.toml"), base=tmp_path)
    assert json.loads((workspace / "report.json").read_text())["comparison"]["proved"] is True
    for half in workspace.folder.glob(".part-*"):
        os.utime(half, (0, 0))  # as if it had been left long ago
    again = Workspace.open(workspace.card, tmp_path)
    assert not list(again.folder.glob(".part-*"))


def test_a_run_killed_before_its_first_file_can_be_started_again(tmp_path):
    card = card_of({"name": "killed"})
    (tmp_path / "killed" / ".part-x1").mkdir(parents=True)
    assert Workspace.open(card, tmp_path).folder == tmp_path / "killed"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"data": {"source": "none.npz"}}, DataError, r"none\.npz does not exist$"),
        (
            {"design": {"strategy": "resource", "reuse_factor": 1000}},
            ConfigError,
            r"^layer 'fc1': reuse factor 1000 is not valid .*; the nearest valid one is 784$",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(changes, error, message, folder, tmp_path):
    card = changed(fpgaml.load_card(folder / "tiny.toml"), changes)
    with pytest.raises(error, match=message):
        steps.run(card, base=tmp_path)
    assert not list(tmp_path.iterdir())


def test_steps_are_checked(tmp_path):
    with pytest.raises(ConfigError, match=r"^there is no step 'tran'; did you mean 'train'\?; the steps are train, "):
        steps.run(card_of({}), base=tmp_path, first="tran")
    with pytest.raises(ConfigError, match=r"^step 'csim' comes after 'convert'; the order is train, quantize"):
        steps.run(card_of({}), base=tmp_path, first="csim", last="convert")


def test_an_unknown_board_is_refused_with_the_nearest(folder):
    with pytest.raises(ConfigError, match=r"did you mean 'pynq-z"):
        changed(fpgaml.load_card(folder / "tiny.toml"), {"design": {"board": "pynq-z3"}})


@pytest.mark.parametrize("output", ["argmax", "softmax"])
def test_outputs_behind_the_logits(copy, output):
    card, base, run = copy
    listener = Listener()
    made = steps.run(changed(card, {"design": {"output": output}}), base=base, listener=listener)
    assert listener.skipped == ["train", "quantize", "profile"]
    record = json.loads((run / "comparison.json").read_text())
    network = load(run / "network.npz")
    with np.load(run / "csim.npz") as file:
        outputs, logits = file["outputs"], file["logits"]
    assert record["proved"]
    assert logits.shape == outputs.shape == (300, 10)
    assert record["head"]["values"] == 3000
    assert record["head"]["changed"] == int((logits.argmax(1) != outputs.argmax(1)).sum())
    if output == "argmax":
        assert outputs.tolist() == np.eye(10, dtype=int)[logits.argmax(1)].tolist()
    assert f"What comes out is {output}" in (made / "report.md").read_text()
    assert network.output.name == "logits"


def test_a_wrong_bit_behind_the_logits_is_found(copy):
    card, base, run = copy
    card = changed(card, {"design": {"output": "argmax"}})
    steps.run(card, base=base, last="csim")
    with np.load(run / "csim.npz") as file:
        arrays = dict(file)
    arrays["outputs"][17, 3] ^= 1
    np.savez_compressed(run / "csim.npz", **arrays)
    with pytest.raises(
        BitMismatch, match=r"^behind the logits, layer 'argmax': 1 of 3000 values differ; .* image 17, "
    ):
        steps.run(card, base=base, first="compare")


def test_float_scales_are_refused_or_rounded_as_the_card_says(copy):
    card, base, run = copy
    card = changed(card, {"quantization": {"kernel": "quantized_bits(4, 0, alpha='auto')"}})
    with pytest.raises(UnsupportedLayer, match=r"alpha='auto'.*give scale_bits"):
        steps.run(card, base=base, last="quantize")
    steps.run(changed(card, {"quantization": {"scale_bits": 6}}), base=base)
    record = json.loads((run / "comparison.json").read_text())
    assert record["proved"]
    assert record["no_reference"].startswith("layer 'fc1': ")
    unlike = {one["name"]: one["mismatching_logits"] for one in record["executions"]}
    assert unlike["emulator"] == 0
    assert unlike["QKeras"] > 0
    assert f"no reference here: {markdown(record['no_reference'])}" in (run / "report.md").read_text()


def test_what_a_diverged_training_had_reached_is_saved(folder, tmp_path, monkeypatch):
    from fpgaml.frontend import store
    from fpgaml.training import fit as training

    def diverge(model, *_, **__):
        raise training.Diverged("training diverged", model, 2)

    monkeypatch.setattr(training, "train", diverge)
    with pytest.raises(ConfigError) as caught:
        steps.run(fpgaml.load_card(folder / "tiny.toml"), base=tmp_path, last="train")
    path = tmp_path / "tiny/float_diverged.keras"
    assert str(caught.value) == f"training diverged; it is saved as {path}"
    assert store.load(path).get_layer("logits").units == 10


@pytest.fixture
def opened(monkeypatch):
    """How often each file of arrays is opened, by name."""
    names, load = Counter(), np.load

    def counted(file, *args, **options):
        names[Path(getattr(file, "name", file)).name] += 1
        return load(file, *args, **options)

    monkeypatch.setattr(np, "load", counted)
    return names


def test_a_run_opens_each_file_and_traces_each_golden_image_once(copy, opened, monkeypatch):
    card, base, _ = copy
    traced, trace = [], emulate.trace
    monkeypatch.setattr(
        emulate, "trace", lambda net, codes, *names: traced.append((len(codes), *names)) or trace(net, codes, *names)
    )
    steps.run(card, base=base, first="profile", force=True)
    files = {"few.npz", "network.npz", "golden.npz", "keras_golden.npz", "csim.npz", "float_logits.npy"}
    assert opened == dict.fromkeys(files | {"quantized_logits.npy"}, 1)
    assert traced == [(10,), (300, {"logits"})]


def test_an_unchanged_run_opens_nothing(copy, opened):
    card, base, _ = copy
    assert steps_done(card, base) == []
    assert opened == {}
    (base / "tiny/network.npz").touch()  # it is what is in a file that counts
    assert steps_done(card, base) == []


def test_data_are_read_again_when_their_file_changed(copy, folder, tmp_path):
    card, base, _ = copy
    with np.load(folder / "few.npz") as few:
        np.savez(tmp_path / "few.npz", **(dict(few) | {"y_train": few["y_train"] + 1}))
    (tmp_path / "tiny.toml").write_text(CARD)
    assert steps_done(card, base) == []  # read in this process
    with pytest.raises(
        DataError,
        match=rf"few\.npz: labels must start at 0, not 1; {re.escape(NUMBERED)}$",
    ):
        steps.run(fpgaml.load_card(tmp_path / "tiny.toml"), base=base)
