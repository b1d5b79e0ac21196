"""What data are, before they are learned from, and how it is shown."""

import json

import numpy as np
import pytest

from fpgaml.card.toml import card_of
from fpgaml.cli.show_data import curve, picture
from fpgaml.datasets.dataset import save_codes
from fpgaml.datasets.pulses import write_table
from fpgaml.datasets.sources import load_data
from fpgaml.datasets.survey import columns, of_array, survey
from fpgaml.errors import DataError
from fpgaml.ir.fixed import FixedPoint
from fpgaml.report.data_figures import draw_data
from tests.commands import command
from tests.datasets.test_tables import write_csv

HITS = [("n", "charge", "note", "kind"), *((n, n / 4 if n != 3 else "", "a", ("x", "y")[n % 2]) for n in range(20))]


def surveyed(folder, **keys):
    return survey(card_of({"data": keys}, folder=folder))


def test_columns_of_a_table_are_told_as_they_are_written(tmp_path):
    number, charge, note, kind = columns(write_csv(tmp_path / "hits.csv", HITS))
    assert (number.counts, number.low, number.high, number.mean, number.distinct) == (True, 0, 19, 9.5, 20)
    assert (charge.counts, charge.missing, charge.distinct, charge.high) == (False, 1, 19, 4.75)
    assert (note.words, note.distinct, note.low) == (True, 1, None)
    assert (kind.name, kind.words, kind.distinct, kind.missing) == ("kind", True, 2, 0)


@pytest.mark.parametrize("cell", ["", "NaN", "n/a", " ? ", "NULL", "inf"])
def test_cells_without_a_value_are_missing(tmp_path, cell):
    (column, _) = columns(write_csv(tmp_path / "a.csv", [("a", "b"), (1, 1), (cell, 2), (3, 3)]))
    assert (column.missing, column.words, column.low, column.high) == (1, False, 1, 3)


def test_few_values_are_told_one_by_one_and_many_as_one():
    x = np.arange(12.0).reshape(3, 2, 2)
    x[1, 0, 1] = np.nan
    found = of_array(x)
    assert [(one.name, one.low, one.high, one.missing) for one in found] == [
        ("value 0", 0, 8, 0), ("value 1", 1, 9, 1), ("value 2", 2, 10, 0), ("value 3", 3, 11, 0),
    ]  # fmt: skip
    (all_of_them,) = of_array(np.arange(99).reshape(3, 33))
    assert (all_of_them.name, all_of_them.low, all_of_them.high, all_of_them.distinct) == ("all values", 0, 98, 99)


def test_a_survey_says_what_the_network_gets(tmp_path):
    write_csv(tmp_path / "hits.csv", HITS)
    keys = {"source": "hits.csv", "label": "kind", "features": ["n"], "normalize": "none"}
    found = surveyed(tmp_path, **keys)
    assert (found.shape, found.noun, found.features, found.missing) == ((1,), "sample", ("n",), 1)
    assert found.classes == (("x", 8, 2), ("y", 8, 2))
    assert found.input_type == str(load_data(card_of({"data": keys}, folder=tmp_path)).input_type)
    assert found.split == (
        "13 to train, 3 to choose the best epoch (training.validation_split = 0.188), 4 to test (data.test_fraction = "
        "0.2 of each class)"
    )
    assert found.preprocessing == "values as they are, exactly (data.normalize = 'none')"
    label, values = found.first[0]
    assert ("x", "y")[int(values[0]) % 2] == label  # the raw row, not its codes


def test_files_of_ones_own_to_test_and_to_validate_are_named(tmp_path):
    for name, rows in {"a.csv": 20, "t.csv": 6, "v.csv": 4}.items():
        write_csv(tmp_path / name, [("a", "label"), *((n * n, n % 2) for n in range(rows))])
    found = surveyed(tmp_path, source="a.csv", test="t.csv", validation="v.csv")
    assert found.split == "20 to train, 4 to choose the best epoch (of v.csv), 6 to test (of t.csv)"


def test_codes_are_to_test_with_alone(tmp_path):
    save_codes(tmp_path / "codes.npz", np.arange(12).reshape(6, 2), np.arange(6) % 2, FixedPoint(10, 3))
    found = surveyed(tmp_path, source="codes.npz")
    assert (found.split, found.preprocessing) == ("6 to test, none to learn from", "integers are codes as they come")
    assert found.classes == (("0", 0, 3), ("1", 0, 3))
    assert (found.columns[1].low, found.columns[1].high) == (1, 11)


X = np.random.default_rng(0).integers(0, 200, (40, 6))
HOW = {
    "pixels": (X.astype(np.uint8), {}, "a pixel is uint8 / 256, its own code"),
    "integers": (X, {"input_type": "ufixed<8,0>"}, "integers are codes as they come"),
    "scaled": (X, {"input_type": "ufixed<9,0>", "input_scale": "1/512"},
               "integers times 1/512, rounded to the grid of data.input_type"),
    "rounded": (X / 7, {"input_type": "ufixed<8,5>"}, "values rounded to the grid of data.input_type"),
    "feature": (X / 7, {"normalize": "feature"},
                "each value from its least to its largest in the training samples (data.normalize = 'feature')"),
    "standard": (X / 7, {"normalize": "standard"},
                 "each value by its mean and standard deviation in the training samples, 4 deviations either way"),
    "sample": (X / 7, {"normalize": "sample"},
               "each sample from its own least value to its largest (data.normalize = 'sample')"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOW)
def test_every_preprocessing_has_its_sentence(tmp_path, kind):
    x, keys, sentence = HOW[kind]
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(40) % 2)
    assert surveyed(tmp_path, source="a.npz", **keys).preprocessing == sentence


def test_data_that_cannot_be_learned_from_are_shown_and_refused(tmp_path, monkeypatch, capsys):
    path = write_csv(tmp_path / "hits.csv", HITS)
    (tmp_path / "c.toml").write_text('[data]\nsource = "hits.csv"\nlabel = "kind"\n', encoding="utf-8")
    assert command(monkeypatch, "data", tmp_path / "c.toml") == 2
    out, err = capsys.readouterr()
    assert err == f"error: {path}, row 2, column 'note' must be a number, not 'a'\n"
    assert "charge" in out
    assert "missing values: 1" in out
    with pytest.raises(DataError) as caught:
        surveyed(tmp_path, source="gone.csv")
    assert str(caught.value) == f"data file {tmp_path / 'gone.csv'} does not exist"


def test_the_command_shows_a_card_and_draws_it(tmp_path, monkeypatch, capsys):
    write_table(tmp_path / "p.csv", 100, 0)
    (tmp_path / "c.toml").write_text('[data]\nsource = "p.csv"\nlabel = "class"\n', encoding="utf-8")
    assert command(monkeypatch, "data", tmp_path / "c.toml", "--figures", tmp_path / "f") == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "gamma 40 10 50.0%" in lines
    assert "no value is missing" in lines
    assert "p.csv: samples of 8 values, codes of ufixed<8,0>" in lines
    assert {path.name for path in (tmp_path / "f").iterdir()} == {"samples.png", "samples.svg", "captions.md"}
    assert command(monkeypatch, "data", tmp_path / "c.toml", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["classes"][1] == {"name": "neutron", "learn": 40, "test": 10}
    assert [one["name"] for one in record["columns"]] == [*record["features"], "class"]
    assert len(record["first"]) == 5


def test_curves_and_pictures_go_from_least_to_largest():
    assert curve(np.array([[-1, 5], [0, 5], [2.5, 5]])) == "▁▃█"  # the first channel
    assert curve(np.full((4, 1), 7)) == "▁▁▁▁"
    image = np.zeros((4, 3, 1))
    image[:2, 0], image[2, 2] = 8, 8
    assert picture(image) == ["@  ", "  ="]  # two rows of pixels a line
    assert max(map(len, picture(np.eye(300)[..., None]))) <= 64


FIGURES = {
    "images": (np.zeros((20, 6, 6, 1), np.uint8), "The first test images of each class, as the source has them."),
    "series": (np.zeros((20, 30), np.uint8), "The first 12 test samples of each class, one over the other, as the "
               "source has them."),
    "features": (np.arange(60, dtype=np.uint8).reshape(20, 3), "How the values of each feature are spread in each "
                 "class, over 4 test samples."),
}  # fmt: skip


@pytest.mark.parametrize("kind", FIGURES)
def test_the_figure_fits_the_data(tmp_path, kind):
    x, caption = FIGURES[kind]
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(20) % 2)
    figure, text = draw_data(load_data(card_of({"data": {"source": "a.npz"}}, folder=tmp_path)))["samples"]
    assert text == caption
    assert len(figure.axes) == {"images": 16, "series": 2, "features": 3}[kind]
