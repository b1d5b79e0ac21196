"""The commands `trials`, `search` and `tradeoff` on a tiny set: tables, kept results, figures."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import fpgaml
from fpgaml.cli import app
from fpgaml.errors import ConfigError

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


def test_neither_folds_nor_seeds(card):
    with pytest.raises(ConfigError) as caught:
        call("trials", card)
    assert str(caught.value) == "trials must have either --folds or --seeds"
