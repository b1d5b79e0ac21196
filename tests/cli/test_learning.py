"""The commands `trials`, `search` and `tradeoff` on a tiny set: tables, kept results, figures."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import fpgaml
from fpgaml.cli.app import app
from fpgaml.errors import ConfigError, FormatError

CARD = """
name = "tiny"
[data]
source = "few.npz"
classes = [1, 9]
[model]
layers = [{ kind = "flatten" }, { kind = "dense", units = 1, activation = "sigmoid", name = "logit" }]
[training]
epochs = 3
[quantization]
epochs = 1
"""


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trials")
    with np.load(Path(fpgaml.__file__).parent / "data/mnist.npz") as mnist:
        np.savez(folder / "few.npz", **{key: mnist[key][: 2000 if "train" in key else 300] for key in mnist.files})
    (folder / "tiny.toml").write_text(CARD)
    return folder / "tiny.toml"


def call(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(done.exception, Exception):
        raise done.exception
    assert done.exit_code == 0
    return done.output


def test_seeds_are_kept(card, tmp_path):
    first = call("trials", card, "--seeds", 1, "-o", tmp_path)
    assert "seed 0" in first
    kept = json.loads((tmp_path / "tiny/seeds.json").read_text())["trials"]
    assert kept[0]["hardware_accuracy"] > 0.9  # two digits that a line can part
    again = call("trials", card, "--seeds", 2, "-o", tmp_path)
    assert "seed 1" in again
    now = json.loads((tmp_path / "tiny/seeds.json").read_text())["trials"]
    assert (now[0], len(now)) == (kept[0], 2)
    assert (tmp_path / "tiny/figures/seeds.png").stat().st_size > 1000


def test_folds(card, tmp_path):
    assert "fold 2" in call("trials", card, "--folds", 2, "-o", tmp_path)


def test_search(card, tmp_path):
    said = call("search", card, "--points", 1, "-o", tmp_path)
    assert "Pareto front" in said
    assert (tmp_path / "tiny/search/w8_s000.toml").is_file()


def test_trade_off_of_all_that(card, tmp_path):
    call("search", card, "--points", 1, "-o", tmp_path)
    call("trials", card, "--seeds", 1, "-o", tmp_path)
    said = call("tradeoff", tmp_path)
    for word in ("QAT", "mean of 1 seed", "searched", "tiny/w8_s000", f"figure: {tmp_path / 'tradeoff.png'}"):
        assert word in said
    assert "left out: tiny: the size of its float network is unknown" in said
    call("tradeoff", tmp_path, "-o", tmp_path / "new/all.svg")
    for kind in ("png", "svg", "json"):
        assert (tmp_path / f"tradeoff.{kind}").stat().st_size > 200
        assert (tmp_path / f"new/all.{kind}").read_bytes() == (tmp_path / f"tradeoff.{kind}").read_bytes()
    with pytest.raises(ConfigError) as caught:
        call("tradeoff", tmp_path, "-o", card / "all.png")
    assert str(caught.value) == f"figure {card / 'all.png'} cannot be written: File exists; name another file"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "trials must have either --folds or --seeds"),
        (("--folds", 2, "--seeds", 2), "trials must have either --folds or --seeds"),
        (("--folds", 0), "--folds must be 2 to 10, not 0"),
        (("--folds", 1), "--folds must be 2 to 10, not 1"),
        (("--folds", 11), "--folds must be 2 to 10, not 11"),
        (("--seeds", 0), "--seeds must be at least 1, not 0"),
    ],
)
def test_wrong_numbers_of_trials(card, tmp_path, words, message):
    with pytest.raises(ConfigError) as caught:
        call("trials", card, *words, "-o", tmp_path)
    assert str(caught.value) == message
    assert not list(tmp_path.iterdir())


def test_damaged_trials_are_not_overwritten(card, tmp_path):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/run.json").write_text('{"fpgaml": 1, "name": "tiny"}')
    path = tmp_path / "tiny/seeds.json"
    path.write_text('{"trials": [')
    with pytest.raises(FormatError) as caught:
        call("trials", card, "--seeds", 1, "-o", tmp_path)
    assert str(caught.value) == (
        f"{path} must hold the trials of an earlier call: Expecting value: line 1 column 13 (char 12); remove it to "
        "start anew"
    )
    assert path.read_text() == '{"trials": ['


@pytest.mark.parametrize("words", [("trials", "--seeds", 1), ("search",), ("run",)])
def test_a_teacher_that_is_not_there_is_said_before_any_training(card, tmp_path, words):
    other = card.with_name("student.toml")
    student = 'compress = ["distill", "qat"]\n[compression]\nteacher = "gone.keras"\n[data]'
    other.write_text(CARD.replace("[data]", student))
    with pytest.raises(ConfigError) as caught:
        call(words[0], other, *words[1:], "-o", tmp_path)
    assert str(caught.value) == (
        f"compression.teacher {card.parent / 'gone.keras'} does not exist; name a .keras model or a card, from the "
        "card's folder"
    )
    assert not list(tmp_path.iterdir())
