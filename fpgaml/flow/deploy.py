"""A run at the bench: its project tested, synthesized, exported, packed for a board.

run = for_board(opener.open_run(folder))    a run that has its HLS project
simulate(run)                           all test images through the C++, against the emulator
test(run)                               test bench, header weights and wrapper, by g++; BitMismatch if a bit is wrong
synthesize(run, [ToolStep.CSYNTH])          vendor tools, in <run>/synth
import_files(run, files)                reports from elsewhere, into <run>/reports
beside(run, reports)                    what was estimated, and what each report measured
export_run(run, target)                 one zip;  pack(run)    a board package, in <run>/board/<board>

A run is opened for its card's board, or for another: then what depends on the part is made again for that one, in
<run>/board/<board>, around the C++ that was proved; nothing is trained, and not one bit of the network changes.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpgaml import estimate
from fpgaml.backend import cpp
from fpgaml.datasets import raw
from fpgaml.datasets.raw import RAW_ROWS, RawRows
from fpgaml.errors import ConfigError, DataError, FpgamlError
from fpgaml.ir.fixed import Codes
from fpgaml.ir.network import Network, matrix_size
from fpgaml.project import board, generated, testbench, vendor
from fpgaml.project.axi import Wrapper, default_width, run_wrapper
from fpgaml.project.testbench import WeightFiles
from fpgaml.runs.opener import Run, data_of
from fpgaml.runs.workspace import digest_of
from fpgaml.target import archive
from fpgaml.target.boards import find_part
from fpgaml.target.design import Design
from fpgaml.target.measurement import Measurement, Metric
from fpgaml.target.reports import Report, ReportKind
from fpgaml.target.toolchain import ToolStep

MARK = "made_for.txt"  # in the folder of another board: what its project was made of, and for which design


def for_board(run: Run) -> Run:
    """Make the project of a run again if it was opened for another part or clock, unless it is there already."""
    if run.place == run.folder:
        return run
    mark, wanted = run.place / MARK, f"{digest_of(run.folder / 'hls')} {run.design}\n"
    if mark.is_file() and mark.read_text(encoding="utf-8") == wanted and run.project.is_dir():
        return run
    with _writable(run):
        mark.unlink(missing_ok=True)
        shutil.rmtree(run.project, ignore_errors=True)
        for path in archive.sources(run.folder / "hls"):
            target = run.project / path.relative_to(run.folder / "hls")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        complete(run.network, run.design, run.project, run.codes)
        mark.write_text(wanted, encoding="utf-8")
    return run


def complete(
    network: Network,
    design: Design,
    folder: Path,
    codes: NDArray[np.integer],
    traced: Mapping[str, Codes] | None = None,
) -> None:
    """Write all that makes a converted project in `folder` worth opening, with the estimate in its README.

    codes, traced: as `generated.write_project` has them.
    """
    found = estimate.estimate(network, design, find_part(design.part))
    cycles = {metric: found.csynth[metric] for metric in (Metric.LATENCY, Metric.INTERVAL)}
    generated.write_project(network, design, folder, codes, traced=traced, estimate=cycles | dict(found.synthesis))


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
    codes = data_of(run.folder, run.card, run.given).x_test[:images]
    found = cpp.against_emulator(run.network, run.project, codes, log=run.log("g++"))
    found.require()
    return f"PASS: {found.values:,} outputs of {len(codes):,} images, C simulation equals the emulator"


def synthesize(
    run: Run,
    steps: Sequence[ToolStep],
    *,
    tool: Path | None = None,
    wrapper: Wrapper | None = None,
    timeout_s: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Report]:
    """Run the vendor's tools on the project, in the folder ``synth``. Raises: as `vendor.synth`."""
    return vendor.synth(
        run.network.name,
        run.design,
        run.project,
        run.place / "synth",
        steps,
        tool=tool,
        wrapper=wrapper,
        timeout_s=timeout_s,
        progress=progress,
    )


def import_files(run: Run, files: Sequence[Path], *, as_is: bool = False) -> tuple[list[Report], list[str]]:
    """Bring reports home, into the folder ``reports``; return them, and what is strange about them.

    Raises: as `vendor.import_reports`.
    """
    sums = sum(matrix_size(layer) is not None for layer in run.network)
    folder = run.place / "reports"
    return vendor.import_reports(run.network.name, run.design, files, folder, sums=sums, as_is=as_is)


@dataclass(frozen=True)
class Row:
    """One metric: what was estimated, and what was measured; None where nobody measured."""

    metric: Metric
    stage: ReportKind
    estimated: Measurement | None
    measured: Measurement

    def record(self) -> dict[str, Any]:
        """Return the row as JSON-ready data."""
        guess = self.estimated
        return {
            "metric": str(self.metric),
            "stage": str(self.stage),
            "estimated": None if guess is None else asdict(guess.value),
            "measured": self.measured.value.median,
            "source": str(self.measured.source),
            "tool": self.measured.tool,
        }


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
    also = {name: run.folder / name for name in ("card.toml", "network.npz", "raw.npz")}
    boards = [path for path in (run.folder / "board").glob("*") if not (path / "hls").is_dir()]
    for package in boards if run.place == run.folder else [run.package]:
        files = {path: path.relative_to(package) for path in archive.sources(package)}
        also |= {
            f"board/{package.name}/{inside.as_posix()}": path
            for path, inside in files.items()
            if inside.parts[0] not in ("hls", "synth", "reports", MARK)
        }
    found = {name: path for name, path in also.items() if path.is_file()}
    return archive.export(run.project, run.network.name, target, found)


def pack(run: Run, *, data_width: int | None = None) -> tuple[Path, list[str]]:
    """Write the package of the run's board; return its folder and warnings.

    The stream is as wide as the project's wrapper. Raises: ConfigError, DataError as `write_board` and `raw_rows`.
    """
    rows, note = raw_rows(run)
    with _writable(run):
        warnings = board.write_board(
            run.network,
            run.design,
            run.board,
            run.package,
            rows,
            data_width=data_width or wrapper_width(run.project, run.network),
            estimate=estimate.estimate(run.network, run.design, run.board.part).synthesis,
        )
    return run.package, note + warnings


@contextmanager
def _writable(run: Run) -> Iterator[None]:
    """Say in a sentence that what belongs to a run's board cannot be written. Raises: ConfigError."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{run.package} cannot be written ({error.strerror}); copy the run to a folder of yours, and name that"
        ) from error


def raw_rows(run: Run) -> tuple[RawRows, list[str]]:
    """Return the run's raw rows, and what must be said of them: older runs kept none, theirs are read again.

    Raises: DataError if they cannot be had, or are not those that the run was made of.
    """
    path, note = run.folder / "raw.npz", []
    if path.is_file():
        found = raw.load(path)
    else:
        note = [
            f"{run.folder} keeps no raw rows: it is older than these, or no board can scale as its inputs were; the "
            f"package takes rows as they are in {run.card.data.source}"
        ]
        try:
            found = data_of(run.folder, run.card, run.given).raw(RAW_ROWS)
        except FpgamlError as error:
            raise DataError(
                f"{run.folder} kept no raw rows, without which no package can encode as training did: {error}"
            ) from error
    count = min(len(found.rows), len(run.codes))
    codes = found.codes(count)
    if codes[0].size != run.codes[0].size or (codes.reshape(count, -1) != run.codes[:count].reshape(count, -1)).any():
        raise DataError(
            f"the raw rows of {run.folder} do not become the codes that its network was tested with: the data changed "
            "since; do `fpgaml run CARD --from quantize` again"
        )
    return found, note


def wrapper_width(folder: Path, network: Network) -> int:
    """Return the data width of the stream wrapper in a project; the default if it has none."""
    header = folder / "axi" / f"{network.name}_axi.h"
    found = re.search(r"DATA_WIDTH = (\d+);", header.read_text(encoding="utf-8")) if header.is_file() else None
    return int(found[1]) if found else default_width(network)
