"""The folder of a run: what it belongs to, what is in the way, what is opened once."""

import pytest

from fpgaml.card.toml import card_of
from fpgaml.errors import ConfigError, FormatError
from fpgaml.flow import steps


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"^output folder .*tiny is no run of fpgaml; move it away, or give the card"):
        steps.run(card_of({"name": "tiny"}), base=tmp_path)
    assert [p.name for p in (tmp_path / "tiny").iterdir()] == ["thesis.tex"]


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(ConfigError, match=r"^output folder .*runs/mnist_mlp cannot be written: "):
        steps.run(card_of({}), base=tmp_path / "runs")


def test_a_damaged_mark(tmp_path):
    (tmp_path / "mnist_mlp").mkdir()
    (tmp_path / "mnist_mlp/run.json").write_text("{")
    with pytest.raises(FormatError, match=r"run\.json cannot be read .*; remove it to start the run again$"):
        steps.run(card_of({}), base=tmp_path)
