"""Make an hls4ml project of a Network, and prove from the C++ that it is the same network.

    convert(network, design, folder)     layers and types in, HLS project out, proved equal or ConversionMismatch

`lowering` says what hls4ml is given; it runs in a child process (`hls4ml_child`); `readback` compares what it wrote.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from fpgaml.backend.lowering import lower
from fpgaml.backend.readback import check_project
from fpgaml.errors import ToolNotFound
from fpgaml.ir.network import Network, matrix_size
from fpgaml.target.design import Design, Strategy, check_design
from fpgaml.target.process import run_tool
from fpgaml.whole import made_whole

CHILD = Path(__file__).with_name("hls4ml_child.py")
STAMP = "fpgaml"  # in place of hls4ml's random one, so that equal networks give equal projects


def convert(network: Network, design: Design, folder: Path, *, log: Path) -> None:
    """Write the HLS project of `network` into `folder` (replaced as a whole) and read it back.

    Raises: ConfigError if the design cannot build the network; ToolFailed if hls4ml fails; ConversionMismatch if
    the written C++ differs from the network; ToolNotFound for distributed arithmetic without its solver.
    """
    check_design(network, design)
    _find_solver(network, design)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with made_whole(folder.resolve()) as project, TemporaryDirectory(prefix="fpgaml-hls4ml-") as name:
        _run_child(network, design, project, Path(name), log)
        _blank_stamp(project)
        check_project(network, design, project)


def _run_child(network: Network, design: Design, project: Path, work: Path, log: Path) -> None:
    """Let hls4ml write the project, in a process of its own that runs in the folder `work`."""
    request, arrays = lower(network, design, project)
    (work / "request.json").write_text(json.dumps(request, indent=1), encoding="utf-8")
    np.savez(work / "weights.npz", allow_pickle=False, **arrays)
    child: list[str | Path] = [
        sys.executable,
        "-P",
        CHILD,
        "request.json",
        "weights.npz",
    ]  # -P: our hls4ml.py must not hide hls4ml
    run_tool(child, cwd=work, log=log)


def _find_solver(network: Network, design: Design) -> None:
    """Raise ToolNotFound if a layer needs distributed arithmetic and its solver is not installed."""
    wanted = [n for n in network if matrix_size(n) and design.strategy_of(n.name) is Strategy.DISTRIBUTED_ARITHMETIC]
    if wanted and find_spec("da4ml") is None:
        raise ToolNotFound(
            f"layer {wanted[0].name!r}: distributed_arithmetic needs the Python package da4ml; "
            "install it: pip install 'hls4ml[da]'"
        )


def _blank_stamp(project: Path) -> None:
    """Replace hls4ml's random stamp, so that the same network always gives the same files."""
    script = project / "build_lib.sh"
    text = script.read_text(encoding="utf-8")
    found = re.search(r"^LIB_STAMP=(\w+)$", text, re.MULTILINE)
    if found:
        script.write_text(text.replace(found[1], STAMP), encoding="utf-8")
