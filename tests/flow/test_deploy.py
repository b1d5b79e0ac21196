"""The bench on a run's folder, and its commands."""

import shutil

import numpy as np
import pytest

from fpgaml.backend.hls4ml import convert
from fpgaml.card.changes import changed
from fpgaml.card.toml import card_of, to_toml
from fpgaml.datasets import raw
from fpgaml.datasets.inputs import pixels
from fpgaml.errors import ConfigError, DataError
from fpgaml.flow import deploy
from fpgaml.ir.saving import save
from fpgaml.runs import opener
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
    rows = raw.RawRows(tiny_codes.astype(np.uint8), np.arange(6) % 3, ("a", "b", "c"), pixels((5, 3, 1)))
    rows.save(folder / "raw.npz")
    convert(tiny, card.design.resolve(), folder / "hls", log=folder / "convert.log")
    deploy.complete(tiny, card.design.resolve(), folder / "hls", tiny_codes)
    return folder


@pytest.fixture
def run(made, tmp_path):
    shutil.copytree(made, tmp_path / "tiny")
    return deploy.for_board(opener.open_run(tmp_path / "tiny"))


def test_all_test_benches_pass(run):
    assert [verdict[:15] for verdict in deploy.test(run)] == ["PASS: 6 images,"] * 2 + ["PASS: 6 images "]


def test_readme_has_the_estimate(run):
    text = (run.project / "README.md").read_text(encoding="utf-8")
    assert "| latency | ~" in text
    assert "| LUT | ~" in text


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(ConfigError, match=r"has no card\.toml: give the folder of a run, after `fpgaml run CARD`"):
        opener.open_run(tmp_path)


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
    assert [path.name for path in (run.folder / "reports").iterdir()] == ["tiny_cosim.rpt"]


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


def test_a_package_for_another_board_is_the_same_cpp_for_its_part(run, tiny, tmp_path, monkeypatch, capsys):
    assert command(monkeypatch, "board", run.folder, "--board", "kv260") == 0
    place = run.folder / "board" / "kv260"
    assert f"{place / 'hls'}: the same C++, made again for xck26-sfvc784-2LV-c" in capsys.readouterr().out
    assert (place / "pynq" / "driver.py").is_file()
    opened = deploy.for_board(opener.open_run(run.folder, "kv260"))
    assert opened.project == place / "hls"
    assert "xck26-sfvc784-2LV-c" in (opened.project / "project.tcl").read_text(encoding="utf-8")
    convert(tiny, opened.design, tmp_path / "anew", log=tmp_path / "log")  # what hls4ml would write for that part
    for path in (tmp_path / "anew" / "firmware").rglob("*.*"):
        if path.is_file() and "ap_types" not in path.parts:
            assert path.read_bytes() == (opened.project / path.relative_to(tmp_path / "anew")).read_bytes(), path
    assert [verdict[:15] for verdict in deploy.test(opened)] == ["PASS: 6 images,"] * 2 + ["PASS: 6 images "]
    names = deploy.export_run(opened, tmp_path / "kv260.zip")
    assert "tiny/board/kv260/pynq/encoding.py" in names
    assert not [name for name in names if "kv260/hls" in name]
    assert not [name for name in deploy.export_run(run, tmp_path / "own.zip") if "kv260" in name]


def test_a_folder_that_cannot_be_written(run):
    (run.folder / "board").write_text("", encoding="utf-8")
    for name in (None, "kv260"):
        with pytest.raises(ConfigError) as caught:
            deploy.pack(deploy.for_board(opener.open_run(run.folder, name)))
        assert str(caught.value) == (
            f"{run.folder / 'board' / (name or 'pynq-z2')} cannot be written (Not a directory); copy the run to a "
            "folder of yours, and name that"
        )


def test_the_project_of_another_board_follows_the_run(run):
    other = deploy.for_board(opener.open_run(run.folder, "kv260")).project
    (other / "left_by_the_user.txt").write_text("", encoding="utf-8")
    assert (deploy.for_board(opener.open_run(run.folder, "kv260")).project / "left_by_the_user.txt").is_file()
    (run.project / "golden.h").write_text("// changed", encoding="utf-8")
    assert not (deploy.for_board(opener.open_run(run.folder, "kv260")).project / "left_by_the_user.txt").is_file()
    assert deploy.for_board(opener.open_run(run.folder, "pynq-z1")).project == run.project  # the same part and clock


def test_a_run_from_before_raw_rows_were_kept(run, tiny_codes, tmp_path):
    kept = raw.load(run.folder / "raw.npz")
    (run.folder / "raw.npz").unlink()
    with pytest.raises(DataError, match="do not become the codes"):  # the card names MNIST, whose images are larger
        deploy.pack(run)
    np.savez(
        run.folder / "x.npz",
        x_train=kept.rows, y_train=np.arange(6) % 2, x_test=kept.rows, y_test=np.arange(6) % 2,
    )  # fmt: skip
    own = changed(run.card, {"data": {"source": "x.npz"}})
    (run.folder / "card.toml").write_text(to_toml(own), encoding="utf-8")
    folder, notes = deploy.pack(deploy.for_board(opener.open_run(run.folder)))
    assert notes[0] == (
        f"{run.folder} keeps no raw rows: it is older than these, or no board can scale as its inputs were; the "
        "package takes rows as they are in x.npz"
    )
    assert (folder / "pynq" / "golden.npz").is_file()
    np.savez(
        run.folder / "x.npz",
        x_train=kept.rows, y_train=np.arange(6) % 2, x_test=kept.rows[::-1], y_test=np.arange(6) % 2,
    )  # fmt: skip
    with pytest.raises(DataError) as caught:
        deploy.pack(deploy.for_board(opener.open_run(run.folder)))
    assert str(caught.value) == (
        f"the raw rows of {run.folder} do not become the codes that its network was tested with: the data changed "
        "since; do `fpgaml run CARD --from quantize` again"
    )
    (run.folder / "x.npz").unlink()
    with pytest.raises(DataError) as caught:
        deploy.pack(deploy.for_board(opener.open_run(run.folder)))
    assert str(caught.value) == (
        f"{run.folder} kept no raw rows, without which no package can encode as training did: data file "
        f"{run.folder / 'x.npz'} does not exist"
    )


def test_what_tools_leave_behind_does_not_undo_a_step(run):
    before = digest_of(run.project)
    for place in ("tiny_prj/solution1", "build"):
        (run.project / place).mkdir(parents=True)
        (run.project / place / "left.txt").write_text("left behind", encoding="utf-8")
    (run.project / "vitis_hls.log").write_text("left behind", encoding="utf-8")
    assert digest_of(run.project) == before
    (run.project / "project.tcl").write_text("changed", encoding="utf-8")
    assert digest_of(run.project) != before
