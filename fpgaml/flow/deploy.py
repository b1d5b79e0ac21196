"""A run at the bench: its project tested, synthesized, exported, packed for a board.

run = open_run(folder)                  a run that has its HLS project
simulate(run)                           all test images through the C++, against the emulator
test(run)                               test bench, header weights and wrapper, by g++; BitMismatch if a bit is wrong
synthesize(run, [ToolStep.CSYNTH])          vendor tools, in <run>/synth
import_files(run, files)                reports from elsewhere, into <run>/reports
beside(run, reports)                    what was estimated, and what each report measured
export_run(run, target)                 one zip;  pack(run, "kv260")    a board package, in <run>/board
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpgaml import estimate
from fpgaml.backend import csim
from fpgaml.card.built import as_built
from fpgaml.card.runcard import RunCard
from fpgaml.card.toml import load_card
from fpgaml.datasets.sources import load_data
from fpgaml.errors import BitMismatch, ConfigError
from fpgaml.exact import emulate
from fpgaml.exact.comparison import first_difference
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import PIXEL
from fpgaml.ir.network import Network
from fpgaml.ir.saving import load
from fpgaml.project import board, generated, testbench, vendor
from fpgaml.project.axi import Wrapper, default_width, run_wrapper
from fpgaml.project.driver import Features
from fpgaml.project.testbench import WeightFiles
from fpgaml.target import archive, reports
from fpgaml.target.boards import find_board, find_part
from fpgaml.target.design import Design
from fpgaml.target.measurement import Measurement, Metric
from fpgaml.target.reports import Report, ReportKind
from fpgaml.target.toolchain import ToolStep


@dataclass(frozen=True)
class Run:
    """The folder of a run with what the bench needs of it; `codes` are the golden input images."""

    folder: Path
    card: RunCard
    network: Network
    design: Design
    codes: NDArray[np.int64]

    @property
    def project(self) -> Path:
        """The HLS project."""
        return self.folder / "hls"

    def log(self, name: str) -> Path:
        """Where a log goes."""
        return self.folder / "logs" / f"{name}.log"


def open_run(folder: Path) -> Run:
    """Open the folder of a run. Raises: ConfigError if it is none or has no project yet."""
    for name in ("card.toml", "network.npz", "golden.npz", "hls"):
        if not (folder / name).exists():
            raise ConfigError(f"{folder} has no {name}: give the folder of a run, after `fpgaml run CARD`")
    card = load_card(folder / "card.toml")
    network, design = as_built(card, load(folder / "network.npz"))
    with np.load(folder / "golden.npz") as file:
        codes = np.asarray(file[network.input.name], np.int64)
    return Run(folder, card, network, design, codes)


def complete(network: Network, design: Design, folder: Path, codes: NDArray[np.integer]) -> None:
    """Write all that makes a converted project in `folder` worth opening, with the estimate in its README."""
    found = estimate.estimate(network, design, find_part(design.part))
    cycles = {metric: found.csynth[metric] for metric in (Metric.LATENCY, Metric.INTERVAL)}
    generated.write_project(network, design, folder, codes, estimate=cycles | dict(found.synthesis))


def test(run: Run) -> list[str]:
    """Run the golden vectors through the C++: every layer, with the weights of synthesis, and through the wrapper.

    Raises: BitMismatch at the first difference.
    """
    name, place = run.network.name, run.project
    verdicts = [
        testbench.run_testbench(place, name, log=run.log("testbench"), trace=True),
        testbench.run_testbench(place, name, log=run.log("testbench_header"), trace=True, weights=WeightFiles.HEADER),
    ]
    found = [kind for kind in Wrapper if (place / "axi" / f"{name}_{kind}.cpp").is_file()]
    return verdicts + [run_wrapper(place, name, kind, log=run.log(f"wrapper_{kind}")) for kind in found]


def simulate(run: Run, images: int | None = None) -> str:
    """Run the test images (the first `images`) through the C++ and hold the output codes against the emulator's.

    Raises: BitMismatch at the first difference.
    """
    codes = load_data(run.card).x_test[:images]
    program = csim.build(run.network, run.project, log=run.log("g++"), images=len(codes))
    found, _ = csim.simulate(program, codes)
    kind, name = tensor_types(run.network)[run.network.output.name], run.network.output.name
    sides = ({name: kind.decode(emulate.run(run.network, codes))}, {name: kind.decode(found)})
    if different := first_difference(*sides, [name], ("emulator", "C simulation")):
        raise BitMismatch(str(different))
    return f"PASS: {found.size:,} outputs of {len(codes):,} images, C simulation equals the emulator"


def synthesize(
    run: Run,
    steps: Sequence[ToolStep],
    *,
    tool: Path | None = None,
    wrapper: Wrapper | None = None,
    timeout_s: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Report]:
    """Run the vendor's tools on the project, in the run's folder ``synth``. Raises: as `vendor.synth`."""
    return vendor.synth(
        run.network.name,
        run.design,
        run.project,
        run.folder / "synth",
        steps,
        tool=tool,
        wrapper=wrapper,
        timeout_s=timeout_s,
        progress=progress,
    )


def import_files(run: Run, files: Sequence[Path]) -> list[Report]:
    """Bring reports home, into the run's folder ``reports``. Raises: ReportError for reports of something else."""
    return vendor.import_reports(run.network.name, run.design, files, run.folder / "reports")


def known_reports(run: Run) -> list[Report]:
    """Return all reports of the run's network alone: made here, and brought home."""
    name = run.network.name
    home = [reports.read(path) for path in sorted((run.folder / "reports").glob("*")) if path.is_file()]
    here = [reports.read(path) for pattern in reports.PATTERNS for path in sorted((run.folder / "synth").glob(pattern))]
    return [report for report in here + home if report.top == name]


@dataclass(frozen=True)
class Row:
    """One metric: what was estimated, and what was measured; None where nobody measured."""

    metric: Metric
    stage: ReportKind
    estimated: Measurement | None
    measured: Measurement


def beside(run: Run, found: Iterable[Report]) -> list[Row]:
    """Return every measured value beside the estimate of the same stage."""
    guess = estimate.estimate(run.network, run.design, find_part(run.design.part))
    stages = {
        ReportKind.CSYNTH: guess.csynth,
        ReportKind.COSIM: guess.csynth,
        ReportKind.SYNTHESIS: guess.synthesis,
        ReportKind.TIMING: {},
    }
    return [
        Row(metric, report.kind, stages[report.kind].get(metric), measured)
        for report in found
        for metric, measured in report.measurements.items()
    ]


def export_run(run: Run, target: Path) -> list[str]:
    """Write the project, the card, the network and board packages into one zip; return the names in it."""
    also = {name: run.folder / name for name in ("card.toml", "network.npz")}
    also |= {path.relative_to(run.folder).as_posix(): path for path in archive.sources(run.folder / "board")}
    return archive.export(run.project, run.network.name, target, also)


def pack(
    run: Run, board_name: str | None = None, *, data_width: int | None = None, features: Features | None = None
) -> tuple[Path, list[str]]:
    """Write the board package of the run (of its card's board by default); return its folder and warnings.

    The stream is as wide as the project's wrapper. Raises: ConfigError as `board.write_board`.
    """
    name = board_name or run.card.design.board
    place = find_board(name)
    folder = run.folder / "board" / place.name
    width = data_width or wrapper_width(run.project, run.network)
    pixels = range(256) if run.network.input.type == PIXEL and features is None else ()
    found = estimate.estimate(run.network, run.design, place.part).synthesis
    warnings = board.write_board(
        run.network,
        run.design,
        place,
        folder,
        run.codes,
        data_width=width,
        pixel_codes=pixels,
        features=features,
        estimate=found,
    )
    return folder, warnings


def wrapper_width(folder: Path, network: Network) -> int:
    """Return the data width of the stream wrapper in a project; the default if it has none."""
    header = folder / "axi" / f"{network.name}_axi.h"
    found = re.search(r"DATA_WIDTH = (\d+);", header.read_text(encoding="utf-8")) if header.is_file() else None
    return int(found[1]) if found else default_width(network)
