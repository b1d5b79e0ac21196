"""Every command on a run with data of one's own: from CSV, from .npz, and of a model made elsewhere.

The runs are made once, with a few epochs, and then moved with their cards and data: nothing may depend on where they
were made, or on the working directory.
"""

import json
import shutil

import numpy as np
import pytest

import fpgaml
from fpgaml.card.toml import load_card
from fpgaml.cli.app import GROUPS
from fpgaml.datasets.pulses import write_table
from fpgaml.exact import emulate
from fpgaml.ir.saving import save
from tests.commands import command
from tests.networks import codes_for, mlp

CARD = """
name = "{name}"
[data]
source = "{source}"
label = "class"
[model]
layers = [
  {{ kind = "dense", units = 3, activation = "relu" }},
  {{ kind = "dense", units = {classes}, activation = "softmax" }},
]
[training]
epochs = 1
batch = 20
[quantization]
epochs = 1
batch = 20
[output]
golden_images = 5
"""
KINDS = {"csv": "pulses.csv", "npz": "samples.npz"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A folder with cards/, runs/ and models/, moved after everything in it was made."""
    made = tmp_path_factory.mktemp("made") / "lab"
    (made / "cards").mkdir(parents=True)
    write_table(made / "cards/pulses.csv", 100, 0)
    x = np.random.default_rng(0).integers(0, 256, (90, 6), np.uint8)
    np.savez(made / "cards/samples.npz", x=x, **{"class": np.arange(90) % 3})
    for kind, source in KINDS.items():
        text = CARD.format(name=kind, source=source, classes=2 + (kind == "npz"))
        (made / f"cards/{kind}.toml").write_text(text, encoding="utf-8")
        fpgaml.run(load_card(made / f"cards/{kind}.toml"), base=made / "runs", last="compare")
    network = mlp(sizes=(6, 4, 3), name="foreign")
    (made / "models").mkdir()
    save(network, made / "models/foreign.npz")
    codes = codes_for(network, 40)
    labels = {"class": emulate.run(network, codes).argmax(axis=1)}
    np.savez(made / "models/few.npz", x_test=codes.astype(np.uint8), **labels)
    fpgaml.convert_model(made / "models/foreign.npz", data=made / "models/few.npz", label="class", base=made / "runs")
    return made.rename(tmp_path_factory.mktemp("moved") / "lab")


NO_CARD = (
    "error: model.file: foreign.npz was made elsewhere and is not trained here; to convert it again: fpgaml convert"
)
NO_TOOL = "error: vitis_hls or v++ was not found on PATH "
# Each command as it is called on a run, and what it says of a model made elsewhere, if it refuses that.
CALLS = {
    "run": (["run", "{card}", "--to", "compare", "-o", "{lab}/runs"], NO_CARD),
    "new": (["new", "{data}", "--label", "class", "-o", "new.toml"], "must have x_train and y_train"),
    "data": (["data", "{card}"], None),
    "doctor": (["doctor"], None),
    "pulses": (["pulses", "new.csv", "--rows", "20"], None),
    "estimate": (["estimate", "{run}"], None),
    "fit": (["fit", "{run}"], None),
    "boards": (["boards"], None),
    "profile": (["profile", "{run}"], None),
    "quantize": (
        ["quantize", "{run}/float.keras", "--data", "{data}", "--label", "class", "--prove", "0", "-o", "q.npz"],
        "does not exist",
    ),
    "sweep": (["sweep", "{run}", "--widths", "8", "--integers", "2"], None),
    "trials": (["trials", "{card}", "--seeds", "1", "-o", "trials"], NO_CARD),
    "search": (["search", "{card}", "--points", "1", "--minutes", "5", "-o", "{lab}/runs"], NO_CARD),
    "tradeoff": (["tradeoff", "{lab}/runs", "-o", "t.png", "--page", "t.html"], None),
    "audit": (
        ["audit", "{run}/quantized.keras", "--data", "{data}", "--label", "class", "--page", "a.html"],
        "does not exist",
    ),
    "convert": (
        ["convert", "{run}/network.npz", "--data", "{data}", "--label", "class", "-o", "c", "--name", "again"],
        None,
    ),
    "simulate": (["simulate", "{run}"], None),
    "prove": (["prove", "{run}"], None),
    "export": (["export", "{run}", "-o", "e.zip"], None),
    "board": (["board", "{run}", "--board", "kv260"], None),
    "import-reports": (["import-reports", "{run}", "gone.xml"], None),
    "synth": (["synth", "{run}"], None),
    "view": (["view", "{run}"], None),
    "diff": (["diff", "{run}", "{lab}/runs/csv", "--page", "d.html"], None),
}
REFUSED = {"synth": NO_TOOL, "import-reports": "error: gone.xml must be a readable report: "}  # of any run, here


def test_the_list_is_complete():
    assert set(CALLS) == {name for group in GROUPS for name in group.COMMANDS.functions}


@pytest.mark.parametrize("kind", [*KINDS, "foreign"])
@pytest.mark.parametrize("name", CALLS)
def test_a_command_works_or_says_in_a_sentence_why_not(lab, tmp_path, monkeypatch, capsys, name, kind):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # no vendor's tools
    places = {"run": lab / "runs" / kind, "card": lab / "cards" / f"{kind}.toml", "lab": lab}
    places["data"] = lab / ("models/few.npz" if kind == "foreign" else f"cards/{KINDS[kind]}")
    if kind == "foreign":
        places["card"] = places["run"]
    words, foreign = CALLS[name]
    code = command(monkeypatch, *(word.format(**places) for word in words))
    out, err = capsys.readouterr()
    expected = REFUSED.get(name) or (foreign if kind == "foreign" else None)
    assert "Traceback" not in err
    if expected is None:
        assert code == 0, err
    else:
        assert code == 2, out
        assert expected in " ".join(err.split())


@pytest.mark.parametrize(("kind", "name"), [(kind, KINDS[kind]) for kind in KINDS])
def test_a_run_without_its_data_says_what_is_missing_and_takes_it_by_name(
    lab, tmp_path, monkeypatch, capsys, kind, name
):
    run = tmp_path / "alone" / kind
    shutil.copytree(lab / "runs" / kind, run)
    mark = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(mark | {"card": ["../../cards", "/nowhere/cards"]}))
    monkeypatch.chdir(tmp_path)
    for words in (["profile", run], ["simulate", run], ["sweep", run, "--widths", "8", "--integers", "2"]):
        assert command(monkeypatch, *words) == 2
        error = capsys.readouterr().err
        assert error == (
            f"error: run '{kind}' needs its data, and {name} is not in {run} or {tmp_path / 'cards'} or "
            "/nowhere/cards: put it there, or name it with --data\n"
        )
        assert command(monkeypatch, *words, "--data", lab / "cards" / name) == 0
    for words in (["estimate", run], ["fit", run], ["export", run, "-o", "e.zip"]):
        assert command(monkeypatch, *words) == 0
    shutil.copy(lab / "cards" / name, run)
    assert command(monkeypatch, "profile", run) == 0


def test_other_rows_are_encoded_as_the_run_learned(lab, tmp_path, monkeypatch, capsys):
    """Ten rows of one class: on their own they would be scaled to their own range, and have another class 0."""
    lines = (lab / "cards/pulses.csv").read_text().splitlines()
    chosen = [line for line in lines[1:] if line.endswith("neutron")][:10]
    (tmp_path / "few.csv").write_text("\n".join([lines[0], *chosen]) + "\n")
    assert command(monkeypatch, "simulate", lab / "runs/csv", "--test", tmp_path / "few.csv") == 0
    assert "20 outputs of 10 images" in capsys.readouterr().out
    from fpgaml.runs.opener import data_of, find_run

    opened = find_run(lab / "runs/csv")
    few = data_of(opened.run, opened.card, {"test": str(tmp_path / "few.csv")})
    every = data_of(opened.run, opened.card, {"test": str(lab / "cards/pulses.csv")})
    assert set(few.y_test.tolist()) == {1}
    np.testing.assert_array_equal(few.x_test, every.x_test[[lines[1:].index(line) for line in chosen]])
