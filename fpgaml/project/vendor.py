"""Run the vendor's tools on a project, with a log, progress and a time limit, and read what they made.

    hls = find_hls(design.backend, tool=None)                    Vivado HLS, Vitis HLS, or v++ with vitis-run
    synth(network.name, design, project, work, [ToolStep.CSIM, ToolStep.CSYNTH, ToolStep.VIVADO])    -> Reports
    import_reports(network.name, design, files, folder)          reports from another machine -> Reports

The project folder is only read: the tools work in `work`. Commands are data (`commands`), so a test can read them.
Which programs and versions there are, `fpgaml.target.toolchain` says.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fpgaml.errors import ConfigError, ReportError, ToolFailed, ToolNotFound
from fpgaml.project.axi import Wrapper
from fpgaml.target import reports
from fpgaml.target.design import Design
from fpgaml.target.process import run_tool
from fpgaml.target.reports import Report, ReportKind
from fpgaml.target.toolchain import Backend, ToolStep, VendorProgram, Version

PLAIN_PATH = re.compile(r"[A-Za-z0-9_./:~+\-]+")  # what run_hls.tcl accepts too
ROOTS = ("XILINX_HLS", "XILINX_VITIS", "XILINX_VIVADO")


TAKE_AWAY = (
    "or take the project to a machine that has it: `fpgaml export RUN` makes one zip, and "
    "`fpgaml import-reports RUN FILE...` brings the results home"
)


@dataclass(frozen=True)
class HlsTool:
    """A synthesis program that was found: which, where, and its version."""

    program: VendorProgram
    path: Path
    version: Version

    def __str__(self) -> str:
        return f"{self.program.name} {self.version[0]}.{self.version[1]}"


@dataclass(frozen=True)
class Command:
    """One program to run: what it does, its arguments, what it adds to the environment."""

    title: str
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()


def find_hls(backend: Backend, tool: Path | None = None) -> HlsTool:
    """Return the synthesis program for a backend: `tool` (program or its folder), else PATH, else XILINX_* folders.

    Raises: ToolNotFound if there is none, with what to do; ConfigError if its version is not supported.
    """
    toolchain = backend.toolchain
    for program in toolchain.programs:
        path = find_program(program.name, tool)
        if path is not None:
            return HlsTool(program, path, _supported(program, path))
    names = " or ".join(program.name for program in toolchain.programs)
    where = f"at {tool}" if tool else "on PATH or under XILINX_HLS, XILINX_VITIS or XILINX_VIVADO"
    raise ToolNotFound(f"{names} was not found {where}: install {toolchain.install}, {TAKE_AWAY}")


def find_program(name: str, tool: Path | None = None) -> Path | None:
    """Return the path of a vendor program, or None."""
    if tool is not None:
        places = [tool] if tool.name == name else [tool / name, tool / "bin" / name]
        return next((place.absolute() for place in places if place.is_file()), None)
    roots = [Path(os.environ[key]) / "bin" for key in ROOTS if os.environ.get(key)]
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, roots)))
    return Path(found) if found else None


def _supported(program: VendorProgram, path: Path) -> Version:
    version = version_of(path, program.version_flag)
    first, last = program.first, program.last
    if not first <= version <= last:
        raise ConfigError(
            f"{path} is version {version[0]}.{version[1]}; supported are {program.name} {first[0]}.{first[1]} to "
            f"{last[0]}.{last[1]}: choose another with --tool"
        )
    return version


def version_of(path: Path, flag: str) -> Version:
    """Return year and number of a vendor program. Raises: ToolFailed if it does not say."""
    try:
        found = subprocess.run([path, flag], capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolFailed(f"{path} {flag} must print its version, but failed: {error}") from error
    version = re.search(r"\bv(\d{4})\.(\d)", found.stdout + found.stderr)
    if not version:
        raise ToolFailed(f"{path} {flag} must print its version, but printed {found.stdout.strip()[:80]!r}")
    return int(version[1]), int(version[2])


def commands(
    hls: HlsTool, name: str, project: Path, work: Path, steps: Sequence[ToolStep], wrapper: Wrapper | None = None
) -> list[Command]:
    """Return the programs to run in `work` for `steps`, in order."""
    asked = [step for step in ToolStep if step in steps and step is not ToolStep.VIVADO]
    top = name if wrapper is None else f"{name}_{wrapper}"
    if hls.program.component:
        config = project / ("hls_config.cfg" if wrapper is None else f"hls_config_{wrapper}.cfg")
        return [_component(step, hls, config, work / f"{top}_hls") for step in asked]
    if not asked:
        return []
    env = (("FPGAML_STEPS", " ".join(asked)), ("FPGAML_TOP", str(wrapper or "network")))
    return [Command("hls", (str(hls.path), "-f", str(project / "run_hls.tcl")), env)]


def _component(step: ToolStep, hls: HlsTool, config: Path, folder: Path) -> Command:
    options = ("--config", str(config), "--work_dir", str(folder))
    if step is ToolStep.CSYNTH:
        return Command(step, (str(hls.path), "-c", "--mode", "hls", *options))
    action = {ToolStep.CSIM: "--csim", ToolStep.COSIM: "--cosim", ToolStep.EXPORT: "--package"}[step]
    return Command(step, (str(hls.path.with_name("vitis-run")), "--mode", "hls", action, *options))


def synth(
    name: str,
    design: Design,
    project: Path,
    work: Path,
    steps: Sequence[ToolStep],
    *,
    tool: Path | None = None,
    wrapper: Wrapper | None = None,
    timeout_s: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Report]:
    """Do `steps` on the project of network `name` in the folder `work`, and return the reports they made.

    `timeout_s` is for each program. Interrupted, it stops the tool and its children and keeps what was finished.
    Raises: ToolNotFound, ToolFailed (with the log's last lines), ConfigError, ReportError if a report is missing.
    """
    project, work = project.resolve(), work.resolve()
    check_steps(steps, work)
    check_path(project)
    check_path(work)
    hls_steps = [step for step in steps if step is not ToolStep.VIVADO]
    todo: list[Command] = []
    if hls_steps:
        todo += commands(find_hls(design.backend, tool), name, project, work, steps, wrapper)
    top = name if wrapper is None else f"{name}_{wrapper}"
    vivado = find_vivado(tool) if ToolStep.VIVADO in steps else None
    work.mkdir(parents=True, exist_ok=True)
    forget(work, steps)
    for command in todo:
        _run(command, work, timeout_s, progress)
    if vivado:
        _run(vivado_command(vivado, project, verilog_folder(work), top), work, timeout_s, progress)
    return read_made(work, top, steps)


def vivado_command(vivado: Path, project: Path, verilog: Path, top: str) -> Command:
    """Return the program that synthesizes a folder of Verilog out of context."""
    script = str(project / "vivado_synth.tcl")
    return Command(ToolStep.VIVADO, (str(vivado), "-mode", "batch", "-source", script, "-tclargs", str(verilog), top))


def find_vivado(tool: Path | None = None) -> Path:
    """Return Vivado. Raises: ToolNotFound with what to do."""
    found = find_program("vivado", tool) or find_program("vivado")
    if found is None:
        raise ToolNotFound(f"vivado was not found on PATH or under XILINX_VIVADO: install Vivado, {TAKE_AWAY}")
    return found


def check_steps(steps: Sequence[ToolStep], work: Path) -> None:
    """Raise ConfigError for no step, or for one that needs C synthesis when there was none."""
    if not steps:
        raise ConfigError(f"choose at least one step: {', '.join(ToolStep)}")
    synthesized = ToolStep.CSYNTH in steps or any(work.glob("**/syn/verilog/*.v"))
    for step in (ToolStep.COSIM, ToolStep.EXPORT, ToolStep.VIVADO):
        if step in steps and not synthesized:
            raise ConfigError(f"step '{step}' needs C synthesis first: ask for csynth too")


def check_path(path: Path) -> None:
    """Raise ConfigError if a vendor tool would break at `path`."""
    if not PLAIN_PATH.fullmatch(path.as_posix()):
        raise ConfigError(
            f"the vendor's tools need a path of plain letters, digits and _ . - only, not {str(path)!r}: "
            "choose another output folder"
        )


def verilog_folder(work: Path) -> Path:
    """Return the newest folder of Verilog that C synthesis made in `work`. Raises: ToolFailed if there is none."""
    found = sorted(work.glob("**/syn/verilog"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ToolFailed(f"C synthesis left no Verilog in {work}")
    return found[-1]


REPORT_OF = {
    ToolStep.CSYNTH: ("**/syn/report/csynth.xml",),
    ToolStep.COSIM: ("**/sim/report/*_cosim.rpt",),
    ToolStep.VIVADO: ("**/vivado_synth.rpt", "**/vivado_timing.rpt"),
}


def forget(work: Path, steps: Sequence[ToolStep]) -> None:
    """Remove the reports that `steps` will make again, so that none is taken for a new one after a failure."""
    for step in steps:
        for pattern in REPORT_OF.get(step, ()):
            for path in list(work.glob(pattern)):
                path.unlink()


def read_made(work: Path, top: str, steps: Sequence[ToolStep]) -> list[Report]:
    """Return the reports that `steps` made. Raises: ReportError if one is missing or of another design."""
    found = []
    for step in ToolStep:
        for pattern in REPORT_OF.get(step, ()) if step in steps else ():
            paths = sorted(work.glob(pattern))
            if not paths:
                raise ReportError(f"step '{step}' ended well but left no {Path(pattern).name} in {work}")
            found += [reports.read(path, top) for path in paths]
    return found


def import_reports(
    name: str, design: Design, files: Sequence[Path], folder: Path, *, sums: int = 0, as_is: bool = False
) -> tuple[list[Report], list[str]]:
    """Read reports made elsewhere, check that they are of this network, part and clock, and copy them into `folder`.

    A project that hls4ml made under another name, such as ``myproject``, is taken if its csynth report has as many
    layers with sums as the network (`sums`); with `as_is` any report is. Either is said in a warning, which the second
    result holds. Nothing is copied unless all are right.

    Raises: ReportError for a report of something else; ConfigError without.
    """
    if not files:
        raise ConfigError("give at least one report: csynth.xml, <name>_cosim.rpt, vivado_synth.rpt, vivado_timing.rpt")
    tops = {name, *(f"{name}_{wrapper}" for wrapper in Wrapper)}
    found = [reports.read(path) for path in files]
    warnings: list[str] = []
    alike = {report.top for report in found if sums and summing_layers(report) == sums}
    for report in found:
        said = _strange(report, tops | alike, name, design)
        if said and not as_is:
            raise ReportError(f"{report.name}: {said}")
        if said:
            warnings.append(f"{report.name}, taken as it is: {said}")
        elif report.top not in tops:
            like = f"it has as many layers with sums, {sums}, for the same part and clock"
            warnings.append(f"{report.name} is of {report.top!r}, taken for {name!r}: {like}")
    folder.mkdir(parents=True, exist_ok=True)
    for path, report in zip(files, found, strict=True):
        target = folder / FILE_OF[report.kind].format(top=report.top, suffix=path.suffix)
        if path.resolve() != target.resolve():
            shutil.copyfile(path, target)
    return found, warnings


def summing_layers(report: Report) -> int:
    """Return how many layers with sums (dense, convolutions) the modules of a csynth report belong to."""
    layer = re.compile(r"(?:dense|conv|depthwise|pointwise|compute_output).*?_config(\d+)")
    return len({found[1] for title, _ in report.modules if (found := layer.match(title))})


FILE_OF = {
    ReportKind.CSYNTH: "{top}_csynth{suffix}",
    ReportKind.COSIM: "{top}_cosim.rpt",
    ReportKind.SYNTHESIS: "{top}_vivado_synth.rpt",
    ReportKind.TIMING: "{top}_vivado_timing.rpt",
}


def _strange(report: Report, tops: set[str], name: str, design: Design) -> str:
    """Return why a report is not of this network and design; empty if it is."""
    if report.top not in tops:
        return (
            f"expected a report of network {name!r}, found one of {report.top!r}; if it is the same network, import "
            "its csynth.xml with it, or everything with --as-is"
        )
    if report.part and not _plain(design.part).startswith(_plain(report.part)):
        return f"expected a report for part {design.part}, found one for {report.part}"
    if report.clock_ns is not None and abs(report.clock_ns - design.clock_ns) > 0.005:
        return f"expected a report for a clock of {design.clock_ns:g} ns, found {report.clock_ns:g} ns"
    return ""


def _plain(part: str) -> str:
    """Return a part number without what tools leave out: ``xc``, punctuation."""
    return re.sub(r"[^a-z0-9]", "", part.lower()).removeprefix("xc")


def _run(command: Command, work: Path, timeout_s: float | None, progress: Callable[[str], None] | None) -> None:
    def watch(line: str) -> None:
        if progress:
            progress(f"{command.title}: {line}")

    env = dict(command.env)
    run_tool(command.args, cwd=work, log=work / f"{command.title}.log", timeout_s=timeout_s, env=env, watch=watch)
