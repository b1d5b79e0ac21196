import csv
import json
import shutil
from pathlib import Path

import pytest

from fpgaml.errors import DataError
from fpgaml.estimate.laboratory.calibrate import FOLDER
from fpgaml.estimate.laboratory.groundtruth import expected_distinct, heavy_share, read
from fpgaml.estimate.laboratory.validate import as_json, as_text, main, validate
from fpgaml.target.measurement import Metric

UNSEEN = Path(__file__).parents[2] / "data" / "unseen"


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(UNSEEN, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_rows_never_seen_with_empty_cells_and_missing_columns(folder):
    found = validate(folder)
    assert not found.cross_validated
    assert found.designs == 2
    assert {row.metric: row.count for row in found.whole} == {
        Metric.LATENCY: 1, Metric.INTERVAL: 1, Metric.LUT: 2, Metric.FF: 1, Metric.DSP: 1, Metric.BRAM18: 1,
    }  # fmt: skip
    assert [(name, why[:30]) for name, why in found.left_out] == [
        ("new:3", "its authors changed the HLS li"),
        ("new:4", "no layer rows, and a topology "),
    ]
    assert validate(folder, everything=True).designs == 3


def test_json(folder, capsys):
    assert main([str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["design"]["LUT"]) == {"count", "median", "p90", "symmetric", "bias", "close", "coverage", "worst"}
    assert found == json.loads(as_json(validate(folder)))


def test_own_data_are_cross_validated(tmp_path):
    for name in ("designs.csv", "layers.csv"):
        shutil.copy(FOLDER / name, tmp_path)
    found = validate(tmp_path)
    assert found.cross_validated
    declared = json.loads((FOLDER / "coefficients.json").read_text())["errors"]["design"]
    for row in found.whole:
        assert row.median == pytest.approx(declared[row.metric]["median"], abs=0.002)
    text = as_text(found)
    assert text.startswith("86 designs, cross-validated by repository")
    assert "worst, designs, HLS csynth, LUT:" in text


def test_one_repository_alone(tmp_path):
    for name, key in (("designs.csv", "id"), ("layers.csv", "design")):
        with (FOLDER / name).open(newline="") as source, (tmp_path / name).open("w", newline="") as target:
            rows = csv.DictReader(source)
            out = csv.DictWriter(target, rows.fieldnames)
            out.writeheader()
            out.writerows(row for row in rows if row[key].startswith("HectorPl"))
    found = validate(tmp_path)
    assert (found.cross_validated, found.designs) == (False, 5)


def test_missing_files_and_columns(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "designs.csv must be a readable CSV file" in capsys.readouterr().err
    (tmp_path / "designs.csv").write_text("name,lut\n1,2\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert str(caught.value) == f"{tmp_path / 'designs.csv'}, line 1: column 'id' must be there, found name, lut"


def test_reports_are_never_features(folder):
    """Whatever a report says, the facts are the same."""
    before = [one.facts for design in read(FOLDER) for one in design.layers]
    text = (FOLDER / "layers.csv").read_text().splitlines()
    header = next(csv.reader(text[:1]))
    blank = {
        "pipeline", "latency_min", "latency_max", "ii_min", "ii_max", "bram18k", "dsp", "ff", "lut", "uram",
        "clock_est_ns", "n_mul_inst", "mul_inst_lut", "mul_inst_dsp", "n_add", "add_lut", "expr_lut", "fifo_lut",
        "fifo_ff", "fifo_bram", "inst_lut", "inst_dsp", "memo_bram", "memo_lut", "memo_ff", "mult_lut", "regi_ff",
        "regi_lut",
    }  # fmt: skip
    with (folder / "layers.csv").open("w", newline="") as target:
        out = csv.DictWriter(target, header)
        out.writeheader()
        out.writerows({k: "" if k in blank else v for k, v in row.items()} for row in csv.DictReader(text))
    shutil.copy(FOLDER / "designs.csv", folder)
    assert [one.facts for design in read(folder) for one in design.layers] == before


def test_guesses():
    assert [heavy_share(bits) for bits in (3, 8, 16)] == [0.0, pytest.approx(0.6), 0.8]
    assert expected_distinct(0.0, 10, 5) == 0.0
    assert expected_distinct(30.0, 30, 4) == pytest.approx(30.0)  # one product an input: all differ
    assert expected_distinct(1000.0, 10, 4) == pytest.approx(40.0)  # hundred an input: all four magnitudes


def test_a_clock_that_is_none(folder):
    path = folder / "designs.csv"
    path.write_text(
        path.read_text().replace("new:3,someone/new,1,Vivado HLS,zynq,5.0", "new:3,a/b,1,Vivado HLS,zynq,-5")
    )
    with pytest.raises(DataError) as caught:
        read(folder)
    assert str(caught.value) == f"{path}, line 4: clock_target_ns must be a period above 0 ns, not -5"


@pytest.mark.parametrize("odd", ["-1", "nan", "1e300", "?", "0", "3.5", "99999999"])
def test_odd_cells_never_stop_a_validation(folder, odd):
    for name in ("designs.csv", "layers.csv"):
        with (FOLDER / name).open(newline="") as source, (folder / name).open("w", newline="") as target:
            rows = csv.DictReader(source)
            keep = {"id", "design", "source", "outer", "kind", "clock_target_ns", "consistent", "nonstock"}
            out = csv.DictWriter(target, rows.fieldnames)
            out.writeheader()
            for number, row in enumerate(rows):
                if number % (40 if name == "layers.csv" else 5) == 0:
                    out.writerow({k: v if k in keep else odd for k, v in row.items()})
    assert as_text(validate(folder, everything=True))
