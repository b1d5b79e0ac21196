"""Results of hls4ml's own way, as its child process leaves them; tests/audit runs that process itself."""

import json
import sys

import numpy as np
import pytest

from fpgaml.backend import stock
from fpgaml.errors import ToolFailed
from fpgaml.target.design import Backend, Design, IoType

DESIGN = Design(Backend.VITIS, "xc7z020clg400-1", clock_ns=4.0, io_type=IoType.STREAM)
WELL = {
    "call": "a call", "refused": None, "failed": None, "seconds": 2.5, "values": "values0.npz", "order": ["b", "a"],
    "kinds": {"a": "Dense", "b": "Input"}, "types": {"a": "fixed<16,6>", "b": "fixed<8,0>"},
}  # fmt: skip
BADLY = WELL | {
    "call": "other",
    "refused": "no",
    "failed": "neither",
    "values": "",
    "order": [],
    "kinds": {},
    "types": {},
}
HANDLED = WELL | {"refused": "no"}


@pytest.fixture
def child(monkeypatch):
    """A child process that leaves what it is told to, and the arguments it was called with."""
    called = {}

    def answer(*records):
        def run_tool(command, cwd, log):
            called.update(command=command, cwd=cwd, images=np.load(cwd / "images.npy"))
            called["request"] = json.loads((cwd / "request.json").read_text())
            log.write_text("hls4ml said this")
            np.savez(cwd / "values0.npz", **{"output": [[7.0]], "layer.a": [[1.0]], "layer.b": [[2.0]]})
            if records:
                (cwd / "result.json").write_text(json.dumps(records))

        monkeypatch.setattr(stock, "run_tool", run_tool)
        return called

    return answer


def test_the_child_is_told_all_it_needs(child, tmp_path):
    called = child(WELL)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("from before")
    stock.stock_runs(tmp_path / "m.keras", [[1, 2]], DESIGN, tmp_path / "out", log=tmp_path / "log")
    assert called["command"] == [sys.executable, "-P", stock.CHILD, "request.json", "images.npy"]
    assert called["cwd"] == tmp_path / "out"
    assert (called["images"].dtype, called["images"].tolist()) == (np.float64, [[1.0, 2.0]])
    assert called["request"] == {
        "model": str(tmp_path / "m.keras"), "folder": str(tmp_path / "out"),
        "project": {"backend": "Vitis", "part": "xc7z020clg400-1", "clock_period": 4.0, "io_type": "io_stream"},
    }  # fmt: skip
    assert not (tmp_path / "out" / "old").exists()


def test_what_it_leaves_is_read(child, tmp_path):
    child(WELL, BADLY, HANDLED)
    runs = stock.stock_runs(tmp_path / "m.keras", [[1.0]], DESIGN, tmp_path / "out", log=tmp_path / "log")
    well, badly, _ = runs
    assert (well.call, well.refused, well.failed, well.seconds) == ("a call", None, None, 2.5)
    assert well.output.tolist() == [[7.0]]
    assert {name: found.tolist() for name, found in well.layers.items()} == {"b": [[2.0]], "a": [[1.0]]}
    assert list(well.layers) == ["b", "a"]
    assert (well.kinds, well.types) == (WELL["kinds"], WELL["types"])
    assert (badly.refused, badly.failed, badly.output, badly.layers) == ("no", "neither", None, {})
    assert [run.by_handlers for run in runs] == [False, False, True]


def test_a_child_that_leaves_nothing(child, tmp_path):
    child()
    with pytest.raises(ToolFailed) as caught:
        stock.stock_runs(tmp_path / "m.keras", [[1.0]], DESIGN, tmp_path / "out", log=tmp_path / "log")
    assert str(caught.value) == f"hls4ml's process left no result; log: {tmp_path / 'log'}\n    hls4ml said this"
