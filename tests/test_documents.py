"""Every command line in README and docs is one that works: each is called, on small things that are prepared.

What would train, simulate or search for minutes is stopped once its arguments were read and checked: such jobs have
tests of their own. A new placeholder in the documents needs a line in STANDS_FOR.
"""

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from fpgaml.audit import audit
from fpgaml.backend import cpp
from fpgaml.card.runcard import TRAINED
from fpgaml.card.toml import card_of, to_toml
from fpgaml.cli.app import GROUPS
from fpgaml.datasets.dataset import load
from fpgaml.datasets.inputs import pixels
from fpgaml.datasets.raw import RawRows
from fpgaml.datasets.sources import load_data
from fpgaml.flow import deploy, foreign, steps
from fpgaml.frontend import store
from fpgaml.ir.saving import save
from fpgaml.project import vendor
from fpgaml.runs import subject
from fpgaml.runs.workspace import Workspace
from fpgaml.training import search, trials
from tests.commands import command

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "models" / "README.md"]
HISTORY = ("decisions.md",)  # tells of commands as they once were
RUN = "hls_projects/tiny"
TRIAL = trials.Trial("seed 0", 0.9, 0.9, 10, 60, 100, 0)
STANDS_FOR = {
    "RUN": RUN,
    "hls_projects/psd_mlp": RUN,
    "THING": RUN,
    "CARD": "models/psd_mlp.toml",
    "models/NAME.toml": "models/psd_mlp.toml",
    "MODEL": "model.keras",
    "FILE...": "tiny_cosim.rpt",
    "DATA": "images.npz",
}
OWN = {"quantize": {"MODEL": "float.keras"}, "new": {"DATA": f"{RUN}/x.npz"}}  # what stands for more in one command
NAMES = [name for group in GROUPS for name in group.COMMANDS.functions]


def spans(text):
    """Return the commands in a document: lines of code, and code within lines."""
    found = []
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        found += re.findall(r"^ *(fpgaml .*)", block, re.MULTILINE)
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    found += re.findall(r"^    (fpgaml .*)", text, re.MULTILINE)
    return found + re.findall(r"`(fpgaml [^`]+)`", re.sub(r"^    .*$", "", text, flags=re.MULTILINE))


def words(line):
    """Return the arguments of a command line: without the remark behind it, placeholders filled in."""
    line = re.split(r"\s#|\s{2,}(?!-)", line)[0].removeprefix("fpgaml ")
    args = shlex.split(line)
    return [(STANDS_FOR | OWN.get(args[0], {})).get(word, word) for word in args]


def test_commands_are_found_in_documents():
    text = (
        "`fpgaml run CARD` or\n\n    fpgaml audit m.keras --json     for machines\n\n```\nfpgaml boards  # all\n```\n"
    )
    assert [words(line) for line in spans(text)] == [
        ["boards"], ["audit", "m.keras", "--json"], ["run", "models/psd_mlp.toml"],
    ]  # fmt: skip


LINES = sorted({line for path in DOCUMENTS if path.name not in HISTORY for line in spans(path.read_text("utf-8"))})


def test_there_are_commands_in_the_documents():
    assert len(LINES) > 30
    assert {words(line)[0] for line in LINES} <= set(NAMES)


@pytest.fixture(scope="module")
def folder(tiny, tiny_codes, converted, tmp_path_factory):
    """A working directory: models/, a run of the tiny network, a QKeras model and images that fit both."""
    made = tmp_path_factory.mktemp("documents")
    (made / "models").symlink_to(ROOT / "models")
    run = made / RUN
    run.mkdir(parents=True)
    x, y = tiny_codes.astype(np.uint8), np.arange(len(tiny_codes)) % 3
    np.savez(run / "x.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    layers = [{"kind": "flatten"}, {"kind": "dense", "units": 3, "activation": "softmax"}]
    card = card_of({"name": "tiny", "data": {"source": "x.npz"}, "model": {"layers": layers}})
    (run / "card.toml").write_text(to_toml(card), encoding="utf-8")
    (run / "run.json").write_text(json.dumps({"fpgaml": 1, "name": "tiny", "steps": {}}), encoding="utf-8")
    kept = {"card": card.model_dump(mode="json", include=set(TRAINED)), "folds": 0, "trials": [vars(TRIAL)]}
    (run / "seeds.json").write_text(json.dumps(kept), encoding="utf-8")
    save(tiny, run / "network.npz")
    save(tiny, made / "network.npz")
    np.savez(run / "golden.npz", x=tiny_codes)
    RawRows(x, y, ("a", "b", "c"), pixels((5, 3, 1))).save(run / "raw.npz")
    shutil.copytree(converted(), run / "hls")
    deploy.complete(tiny, card.design.resolve(), run / "hls", tiny_codes)
    for name in ("float", "quantized"):
        shutil.copy(ROOT / "models/trained/mnist_mlp_small" / f"{name}.keras", made / f"{name}.keras")
    (made / "quantized.keras").rename(made / "model.keras")
    mnist = load("mnist")
    np.savez(made / "images.npz", x_test=mnist.x_test[:20], y_test=mnist.y_test[:20])
    (made / "tiny_cosim.rpt").write_text(
        "Simulation tool   : xsim.\n\n+   RTL    +  Status  +----+\n"
        "|   Verilog|      Pass|   91|   92|   95|   90|   90|   94|\n",
        encoding="utf-8",
    )
    return made


@pytest.fixture
def short(monkeypatch):
    """Let what takes long end when its arguments were checked."""
    audited, quantized, loaded = audit.audit, subject.quantize_model, store.load

    def run(card, *, base=None, first=None, last=None, **_):
        engine = steps.Engine(steps.STEPS, Workspace.at(card, base), steps.Silent())
        engine.between(first, last)
        steps.check_card(engine)
        engine.workspace.create()
        return engine.workspace

    def simulated(run, images=None):
        return f"PASS: {len(load_data(run.card).x_test[:images])} images"

    def converted(model, *, data, input_type, input_scale, scale_bits, name, design, base, **_):
        source = foreign._open(Path(model), name, input_type, scale_bits, None)
        foreign.as_built(foreign._card(source.network.name, Path(model), design, base), source.network)
        images = foreign._images(source.network, data, input_scale, None, None)
        return foreign.Conversion(Path(RUN), source.network, len(images.codes), images.data, "", None, None, ())

    found = search.Found((search.TrainedPoint(**dict.fromkeys(search.TrainedPoint.__dataclass_fields__, 1)),))
    monkeypatch.setattr(steps, "run", run)
    monkeypatch.setattr(trials, "repeat", lambda *_, **__: iter([TRIAL]))
    monkeypatch.setattr(trials, "cross_validate", lambda *_, **__: iter([TRIAL]))
    monkeypatch.setattr(search, "search", lambda *_, **__: found)
    monkeypatch.setattr(store, "load", lambda path, _=None: loaded(path) if path.exists() else None)
    monkeypatch.setattr(audit, "audit", lambda *a, **k: audited(*a, **k | {"simulate": False, "against_hls4ml": False}))
    monkeypatch.setattr(subject, "quantize_model", lambda *a, **k: quantized(*a, **k | {"refine": False}))
    monkeypatch.setattr(foreign, "convert_model", converted)
    monkeypatch.setattr(cpp, "prove", lambda *_, **__: 1)
    monkeypatch.setattr(deploy, "test", lambda run: ["PASS: "])
    monkeypatch.setattr(deploy, "simulate", simulated)
    monkeypatch.setattr(vendor, "synth", lambda *_, **__: [])


@pytest.mark.parametrize("line", LINES)
def test_a_documented_command_works(folder, short, line, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    args = words(line)
    if len(args) == 1 and args[0] not in ("boards", "doctor", "tradeoff"):
        args.append("--help")  # the command is spoken of, not called
    code = command(monkeypatch, *args)
    printed = capsys.readouterr()
    assert (code, printed.err) == (0, ""), " ".join(args)
