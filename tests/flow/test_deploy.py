"""The bench on a run's folder, and its commands."""

import shutil

import numpy as np
import pytest

from fpgaml.backend.hls4ml import convert
from fpgaml.card.toml import card_of, to_toml
from fpgaml.errors import ConfigError
from fpgaml.flow import deploy
from fpgaml.ir.saving import save
from fpgaml.runs.workspace import digest_of
from fpgaml.target.design import Design, IoType
from fpgaml.target.toolchain import Backend
from tests.commands import command
from tests.conftest import tiny as tiny_network
from tests.conftest import tiny_codes as some_codes

tiny, tiny_codes = tiny_network, some_codes  # fixtures of tests
CARD = {
    "name": "tiny",
    "model": {"layers": [{"kind": "flatten"}, {"kind": "dense", "units": 10, "activation": "softmax"}]},
    "design": {"backend": "Vitis", "board": "pynq-z2", "io_type": "io_stream"},
}


@pytest.fixture(scope="session")
def made(tiny, tiny_codes, tmp_path_factory):
    """Return the folder of a run as the pipeline leaves it after `convert`."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    folder.mkdir()
    card = card_of(CARD)
    assert card.design.resolve() == Design(Backend.VITIS, "xc7z020clg400-1", clock_ns=10.0, io_type=IoType.STREAM)
    (folder / "card.toml").write_text(to_toml(card), encoding="utf-8")
    save(tiny, folder / "network.npz")
    np.savez(folder / "golden.npz", x=tiny_codes)
    convert(tiny, card.design.resolve(), folder / "hls", log=folder / "convert.log")
    deploy.complete(tiny, card.design.resolve(), folder / "hls", tiny_codes)
    return folder


@pytest.fixture
def run(made, tmp_path):
    shutil.copytree(made, tmp_path / "tiny")
    return deploy.open_run(tmp_path / "tiny")


def test_all_test_benches_pass(run):
    assert [verdict[:15] for verdict in deploy.test(run)] == ["PASS: 6 images,"] * 2 + ["PASS: 6 images "]


def test_readme_has_the_estimate(run):
    text = (run.project / "README.md").read_text(encoding="utf-8")
    assert "| latency | ~" in text
    assert "| LUT | ~" in text


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(ConfigError, match=r"has no card\.toml: give the folder of a run, after `fpgaml run CARD`"):
        deploy.open_run(tmp_path)


def test_export_command(run, monkeypatch, tmp_path, capsys):
    for name in ("a.zip", "b.zip"):
        assert command(monkeypatch, "export", run.folder, "--output", tmp_path / name) == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert "unzip and `make test`" in capsys.readouterr().out


def test_import_reports_command(run, monkeypatch, tmp_path, capsys):
    report = tmp_path / "tiny_cosim.rpt"
    report.write_text(
        "Simulation tool   : xsim.\n\n+   RTL    +  Status  +----+\n"
        "|   Verilog|      Pass|   91|   92|   95|   90|   90|   94|\n",
        encoding="utf-8",
    )
    assert command(monkeypatch, "import-reports", run.folder, report) == 0
    printed = capsys.readouterr().out
    assert "95 cycles" in printed
    assert "RTL simulation (xsim)" in printed
    assert [found.top for found in deploy.known_reports(run)] == ["tiny"]


def test_synth_command_without_a_tool(run, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command(monkeypatch, "synth", run.folder, "--csynth") == 2
    assert "`fpgaml export RUN` makes one zip" in capsys.readouterr().err
    assert command(monkeypatch, "synth", run.folder, "--wrapper", "pcie") == 2
    assert "wrapper must be axi or lite, not 'pcie'" in capsys.readouterr().err


def test_board_command(run, monkeypatch, capsys):
    assert command(monkeypatch, "board", run.folder) == 0
    assert (run.folder / "board" / "pynq-z2" / "pynq" / "driver.py").is_file()
    assert "tiny/board/pynq-z2/pynq/driver.py" in deploy.export_run(run, run.folder / "tiny.zip")
    assert command(monkeypatch, "board", run.folder, "--board", "kv260") == 2
    assert "the design is for part xc7z020clg400-1, but board 'kv260' has xck26" in capsys.readouterr().err


def test_what_tools_leave_behind_does_not_undo_a_step(run):
    before = digest_of(run.project)
    for place in ("tiny_prj/solution1", "build"):
        (run.project / place).mkdir(parents=True)
        (run.project / place / "left.txt").write_text("left behind", encoding="utf-8")
    (run.project / "vitis_hls.log").write_text("left behind", encoding="utf-8")
    assert digest_of(run.project) == before
    (run.project / "project.tcl").write_text("changed", encoding="utf-8")
    assert digest_of(run.project) != before
