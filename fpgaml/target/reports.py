"""Vendor reports: text in, Measurements out. No tool is needed to read them.

    csynth.xml, <top>_csynth.xml   Vivado HLS and Vitis HLS: design, and in Vitis HLS every module
    <top>_csynth.rpt               the same for people
    csynth.rpt                     the summary of Vitis HLS: every module
    <top>_cosim.rpt                cosimulation: latency and interval that the Verilog took
    vivado_synth.rpt               Vivado's report_utilization after logic synthesis
    vivado_timing.rpt              Vivado's report_timing_summary: the clock period that would do

`parse(text, name)` finds out by itself which of them a text is. What is not in a report has no Measurement. A report
of another tool, one that is cut off, and one of another design than asked for are refused with the file, the line and
what was expected.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fpgaml.errors import ReportError
from fpgaml.target.measurement import Measurement, MedianRange, Metric, Source
from fpgaml.target.toolchain import Tool, tool_of

Measurements = Mapping[Metric, Measurement]


class ReportKind(StrEnum):
    """Which program wrote a report, and after which step."""

    CSYNTH = "HLS csynth"
    COSIM = "cosimulation"
    SYNTHESIS = "logic synthesis"
    TIMING = "timing"


@dataclass(frozen=True)
class Report:
    """What a report says of a design: `top` is its name, `modules` what is known of its parts.

    clock_ns: target period; None where the report does not give it. part: device as the report writes it.
    """

    name: str
    kind: ReportKind
    tool: str
    version: str
    part: str
    top: str
    clock_ns: float | None
    measurements: Measurements
    modules: tuple[tuple[str, Measurements], ...] = ()

    @property
    def latency_us(self) -> MedianRange | None:
        """Latency in microseconds at the target clock, where both are known."""
        if self.clock_ns is None or Metric.LATENCY not in self.measurements:
            return None
        return self.measurements[Metric.LATENCY].value.scaled(self.clock_ns / 1000)


def read(path: Path, top: str | None = None) -> Report:
    """Return the report in a file. `top`: the name of the design it must be of. Raises: ReportError."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ReportError(f"{path} must be a readable report: {error}") from error
    return parse(text, str(path), top)


PATTERNS = ("**/syn/report/csynth.xml", "**/sim/report/*_cosim.rpt", "**/vivado_synth.rpt", "**/vivado_timing.rpt")


def find(project: Path, top: str | None = None) -> list[Report]:
    """Return the reports of an hls4ml project folder, csynth before logic synthesis; empty if it has none.

    Of the XML and text forms of one report the XML is read. Raises: ReportError if one is damaged or of another design.
    """
    found = []
    for pattern in PATTERNS:
        paths = sorted(project.glob(pattern)) or sorted(project.glob(pattern.rsplit("/", 1)[-1]))
        found += [read(path, top) for path in paths]
    return found


def parse(text: str, name: str, top: str | None = None) -> Report:
    """Return the report that `text` is; `name` stands for it in messages.

    Raises: ReportError if it is no report of Vivado HLS, Vitis HLS or Vivado, is cut off, or is not of design `top`.
    """
    if text.lstrip().startswith("<"):
        report = _parse_xml(text, name)
    elif "Synthesis Summary Report of" in text:
        report = _parse_summary(text, name)
    elif re.search(r"== V\w+ HLS Report for", text):
        report = _parse_rpt(text, name)
    elif re.search(r"\+\s+RTL\s+\+\s+Status\s+\+", text):
        report = _parse_cosim(text, name)
    elif "Tool Version" in text and "Vivado v." in text:
        report = _parse_timing(text, name) if "Design Timing Summary" in text else _parse_utilization(text, name)
    else:
        first = next((line.strip() for line in text.splitlines() if line.strip(" =-\t")), "nothing")
        raise ReportError(
            f"{name}, line 1: expected a csynth report of Vivado HLS or Vitis HLS, or a utilization report of Vivado, "
            f"found {first[:60]!r}"
        )
    if top is not None and report.top != top:
        raise ReportError(f"{name}: expected a report of design {top!r}, found one of {report.top!r}")
    return report


# -- csynth.xml ------------------------------------------------------------------------------------------------

_RESOURCE_TAGS = {
    "BRAM_18K": Metric.BRAM18,
    "DSP": Metric.DSP,
    "DSP48E": Metric.DSP,
    "FF": Metric.FF,
    "LUT": Metric.LUT,
    "URAM": Metric.URAM,
}


def _parse_xml(text: str, name: str) -> Report:
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        line = error.position[0]
        raise ReportError(f"{name}, line {line}: expected complete XML, found its end or a fault: {error}") from error
    if root.tag != "profile":
        raise ReportError(f"{name}, line 1: expected <profile> of an HLS report, found <{root.tag}>")
    version = _text(root, "ReportVersion/Version", name)
    tool = _hls_tool(version, name)
    top = _text(root, "UserAssignments/TopModelName", name)
    clock = _number(_text(root, "UserAssignments/TargetClockPeriod", name), "TargetClockPeriod", name)
    made = f"{tool} {version}"
    found = _xml_measurements(root, top, made, name)
    for metric in (Metric.LUT, Metric.FF):
        if metric not in found:
            raise ReportError(f"{name}: expected <{metric}> in <AreaEstimates><Resources>, found none")
    modules = []
    for module in root.iterfind("ModuleInformation/Module"):
        title = _text(module, "Name", name)
        modules.append((title, _xml_measurements(module, title, made, name)))
    part = _text(root, "UserAssignments/Part", name)
    return Report(name, ReportKind.CSYNTH, tool, version, part, top, clock, found, tuple(modules))


def _xml_measurements(element: ElementTree.Element, subject: str, tool: str, name: str) -> Measurements:
    found: dict[Metric, Measurement] = {}

    def add(metric: Metric, *places: str) -> None:
        for place in places:
            text = (element.findtext(place) or "").strip()
            if re.fullmatch(r"\d+(\.\d+)?", text):
                found[metric] = _measured(subject, metric, float(text), tool)
                return

    overall = "PerformanceEstimates/SummaryOfOverallLatency"
    add(Metric.LATENCY, f"{overall}/Worst-caseLatency")
    add(Metric.INTERVAL, f"{overall}/Interval-max", f"{overall}/PipelineInitiationInterval")
    add(Metric.CLOCK, "PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod")
    for tag, metric in _RESOURCE_TAGS.items():
        add(metric, f"AreaEstimates/Resources/{tag}")
    return found


def _text(element: ElementTree.Element, place: str, name: str) -> str:
    text = (element.findtext(place) or "").strip()
    if not text:
        raise ReportError(f"{name}: expected <{place.replace('/', '><')}>, found none")
    return text


def _hls_tool(version: str, name: str) -> Tool:
    found = re.match(r"(\d{4})\.(\d)", version)
    if not found:
        raise ReportError(f"{name}: expected a version such as 2020.1, found {version!r}")
    return tool_of((int(found[1]), int(found[2])))


# -- <top>_csynth.rpt ------------------------------------------------------------------------------------------


def _parse_rpt(text: str, name: str) -> Report:
    lines = text.splitlines()
    title = _search(lines, r"== (V\w+ HLS) Report for '([^']+)'", "the title of an HLS report", name)
    version = _search(lines, r"\* Version:\s+(\S+)", "a line '* Version:'", name)[1]
    device = _search(lines, r"\* Target device:\s+(\S+)", "a line '* Target device:'", name)[1]
    clock = _search(lines, r"\|\s*ap_clk\s*\|\s*([\d.]+) ns\s*\|\s*([\d.]+) ns\s*\|", "the row of ap_clk", name)
    tool, top = title[1], title[2]
    made = f"{tool} {version}"
    found = {Metric.CLOCK: _measured(top, Metric.CLOCK, float(clock[2]), made)}
    found |= _rpt_cycles(lines, top, made, name)
    found |= _rpt_resources(lines, top, made, name)
    return Report(name, ReportKind.CSYNTH, tool, version, device, top, float(clock[1]), found)


def _rpt_cycles(lines: list[str], top: str, tool: str, name: str) -> dict[Metric, Measurement]:
    start = _line_of(lines, r"Latency \(cycles\)", "the latency table", name)
    for line in lines[start : start + 6]:
        cells = _cells(line)
        if len(cells) >= 6 and re.fullmatch(r"\d+|\?", cells[0]):
            values = {Metric.LATENCY: cells[1], Metric.INTERVAL: cells[5]}
            return {m: _measured(top, m, float(v), tool) for m, v in values.items() if v.isdigit()}
    raise ReportError(f"{name}, line {start + 1}: expected a row of cycles in the latency table, found none")


def _rpt_resources(lines: list[str], top: str, tool: str, name: str) -> dict[Metric, Measurement]:
    start = _line_of(lines, r"\|\s*Name\s*\|.*LUT", "the utilization summary", name)
    header = _cells(lines[start])
    for line in lines[start:]:
        cells = _cells(line)
        if cells and cells[0] == "Total":
            pairs = zip(header[1:], cells[1:], strict=False)
            return {
                _RESOURCE_TAGS[tag]: _measured(top, _RESOURCE_TAGS[tag], float(value), tool)
                for tag, value in pairs
                if tag in _RESOURCE_TAGS and value.isdigit()
            }
    raise ReportError(f"{name}, line {len(lines)}: expected the row 'Total' of the utilization summary, found the end")


# -- csynth.rpt of Vitis HLS -----------------------------------------------------------------------------------

_SUMMARY = {
    3: Metric.LATENCY,
    6: Metric.INTERVAL,
    9: Metric.BRAM18,
    10: Metric.DSP,
    11: Metric.FF,
    12: Metric.LUT,
    13: Metric.URAM,
}


def _parse_summary(text: str, name: str) -> Report:
    lines = text.splitlines()
    top = _search(lines, r"Synthesis Summary Report of '([^']+)'", "the title of a synthesis summary", name)[1]
    version = _search(lines, r"\* Version:\s+(\S+)", "a line '* Version:'", name)[1]
    device = _search(lines, r"\* Target device:\s+(\S+)", "a line '* Target device:'", name)[1]
    tool = _hls_tool(version, name)
    start = _line_of(lines, r"\|\s*Modules\s*\|", "the table of modules", name)
    modules = []
    for number, line in enumerate(lines[start:], start + 1):
        if not line.strip():
            break  # the table ends
        row = re.match(r"\s*\|\s*\+\s*(\S+)\s*\|(.*)\|\s*$", line)
        if row:
            cells = [row[1], *(cell.strip() for cell in row[2].split("|"))]
            if len(cells) != 14:
                raise ReportError(
                    f"{name}, line {number}: expected 14 columns in the table of modules, found {len(cells)}"
                )
            modules.append((row[1], _summary_row(row[1], cells, f"{tool} {version}")))
    if not modules:
        raise ReportError(f"{name}, line {start + 1}: expected at least one module in the table, found none")
    return Report(name, ReportKind.CSYNTH, tool, version, device, top, None, modules[0][1], tuple(modules[1:]))


def _summary_row(subject: str, cells: list[str], tool: str) -> Measurements:
    found = {}
    for place, metric in _SUMMARY.items():
        number = re.match(r"(\d+)(?![\d.])", cells[place])
        if number:
            found[metric] = _measured(subject, metric, float(number[1]), tool)
        elif cells[place] == "-" and metric in (Metric.BRAM18, Metric.DSP, Metric.FF, Metric.LUT, Metric.URAM):
            found[metric] = _measured(subject, metric, 0.0, tool)  # the summary writes - for none
    return found


# -- vivado_synth.rpt ------------------------------------------------------------------------------------------

_SITES = (
    (Metric.LUT, r"(?:Slice|CLB) LUTs\*?", 1.0),
    (Metric.FF, r"(?:Slice|CLB) Registers", 1.0),
    (Metric.BRAM18, r"Block RAM Tile", 2.0),
    (Metric.DSP, r"DSPs", 1.0),
    (Metric.URAM, r"URAM", 1.0),
)


def _parse_utilization(text: str, name: str) -> Report:
    lines = text.splitlines()
    version = _search(lines, r"\| Tool Version\s*:\s*Vivado v\.(\S+)", "a line '| Tool Version'", name)[1]
    top = _search(lines, r"\| Design\s*:\s*(\S+)", "a line '| Design'", name)[1]
    device = _search(lines, r"\| Device\s*:\s*(\S+)", "a line '| Device'", name)[1]
    found = {}
    for metric, site, factor in _SITES:
        row = next((m for line in lines if (m := re.match(rf"\|\s*{site}\s*\|\s*([\d.]+)\s*\|", line))), None)
        if row:
            value = float(row[1]) * factor
            found[metric] = _measured(top, metric, value, f"Vivado {version}", Source.IMPLEMENTATION)
        elif metric is not Metric.URAM:
            raise ReportError(f"{name}, line {len(lines)}: expected a row for {metric}, found the end of the report")
    return Report(name, ReportKind.SYNTHESIS, "Vivado", version, device, top, None, found)


# -- vivado_timing.rpt -----------------------------------------------------------------------------------------


def _parse_timing(text: str, name: str) -> Report:
    """Read the worst slack and the clock; the period that would do is period - slack."""
    lines = text.splitlines()
    version = _search(lines, r"\| Tool Version\s*:\s*Vivado v\.(\S+)", "a line '| Tool Version'", name)[1]
    top = _search(lines, r"\| Design\s*:\s*(\S+)", "a line '| Design'", name)[1]
    device = _search(lines, r"\| Device\s*:\s*(\S+)", "a line '| Device'", name)[1]
    start = _line_of(lines, r"\| Design Timing Summary", "the design timing summary", name)
    slack = _search(lines[start:], r"^\s*(-?\d+\.\d+|NA)\s+(-?\d+\.\d+|NA)\s+", "a row of slacks", name)[1]
    period = _search(lines, r"^ap_clk\s+\{[^}]*\}\s+([\d.]+)\s", "the row of ap_clk in the clock summary", name)[1]
    found = {}
    if slack != "NA":
        needed = round(float(period) - float(slack), 6)
        found[Metric.CLOCK] = _measured(top, Metric.CLOCK, needed, f"Vivado {version}", Source.IMPLEMENTATION)
    return Report(name, ReportKind.TIMING, "Vivado", version, device, top, float(period), found)


# -- <top>_cosim.rpt -------------------------------------------------------------------------------------------


def _parse_cosim(text: str, name: str) -> Report:
    """Read the row of the language that was simulated. The report gives neither part nor tool version."""
    named = re.fullmatch(r"(\w+)_cosim\.rpt", Path(name).name)
    if not named:
        raise ReportError(f"{name}: expected a file called <design>_cosim.rpt, for its text does not say the design")
    top = named[1]
    lines = text.splitlines()
    tool = _search(lines, r"Simulation tool\s*:\s*(\w+)", "a line 'Simulation tool'", name)[1]
    for line in lines:
        cells = _cells(line)
        if len(cells) < 8 or cells[0] not in ("Verilog", "VHDL") or cells[1] == "NA":
            continue
        if cells[1] != "Pass":
            raise ReportError(f"{name}: cosimulation of {top!r} did not pass but ended with {cells[1]!r}")
        values = {Metric.LATENCY: cells[4], Metric.INTERVAL: cells[7]}  # the largest of each
        found = {m: _measured(top, m, float(v), tool, Source.RTLSIM) for m, v in values.items() if v.isdigit()}
        return Report(name, ReportKind.COSIM, tool, "", "", top, None, found)
    raise ReportError(f"{name}, line {len(lines)}: expected a row of Verilog or VHDL that was simulated, found the end")


# -- helpers ---------------------------------------------------------------------------------------------------


def _measured(subject: str, metric: Metric, value: float, tool: str, source: Source = Source.CSYNTH) -> Measurement:
    return Measurement(subject, metric, MedianRange.exactly(value), source, tool)


def _search(lines: list[str], pattern: str, what: str, name: str) -> re.Match[str]:
    for line in lines:
        found = re.search(pattern, line)
        if found:
            return found
    raise ReportError(f"{name}, line {len(lines)}: expected {what}, found the end of the report")


def _line_of(lines: list[str], pattern: str, what: str, name: str) -> int:
    for place, line in enumerate(lines):
        if re.search(pattern, line):
            return place
    raise ReportError(f"{name}, line {len(lines)}: expected {what}, found the end of the report")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if "|" in line else []


def _number(text: str, what: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ReportError(f"{name}: expected a number in <{what}>, found {text!r}") from None
