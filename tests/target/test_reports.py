from pathlib import Path

import pytest

from fpgaml.errors import ReportError
from fpgaml.target.measurement import Metric, Source
from fpgaml.target.reports import ReportKind, find, parse, read

XML = """<profile>
<ReportVersion>
<Version>{version}</Version>
</ReportVersion>
<UserAssignments>
<unit>ns</unit>
<Part>xc7z020-clg400-1</Part>
<TopModelName>digits</TopModelName>
<TargetClockPeriod>10.00</TargetClockPeriod>
</UserAssignments>
<PerformanceEstimates>
<PipelineType>dataflow</PipelineType>
<SummaryOfTimingAnalysis><EstimatedClockPeriod>8.518</EstimatedClockPeriod></SummaryOfTimingAnalysis>
<SummaryOfOverallLatency>
<Best-caseLatency>900</Best-caseLatency>
<Worst-caseLatency>1000</Worst-caseLatency>
<Interval-min>800</Interval-min>
<Interval-max>850</Interval-max>
</SummaryOfOverallLatency>
</PerformanceEstimates>
<AreaEstimates>
<Resources><BRAM_18K>45</BRAM_18K><{dsp}>76</{dsp}><FF>16975</FF><LUT>25632</LUT><URAM>0</URAM></Resources>
</AreaEstimates>
{modules}
</profile>
"""
MODULES = """<ModuleInformation>
<Module><Name>dense_config2</Name>
<PerformanceEstimates><SummaryOfOverallLatency><Worst-caseLatency>5</Worst-caseLatency>
<PipelineInitiationInterval>1</PipelineInitiationInterval></SummaryOfOverallLatency></PerformanceEstimates>
<AreaEstimates><Resources><DSP>3</DSP><FF>20</FF><LUT>30</LUT></Resources></AreaEstimates></Module>
</ModuleInformation>"""
VIVADO_XML = XML.format(version="2020.1", dsp="DSP48E", modules="")
VITIS_XML = XML.format(version="2023.1", dsp="DSP", modules=MODULES)

RPT = """

================================================================
== Vivado HLS Report for 'digits'
================================================================
* Version:        2019.2 (Build 1 on Wed Nov 06 2019)
* Project:        digits_prj
* Target device:  xc7z020-clg400-1

== Performance Estimates
+ Timing:
    +--------+---------+----------+------------+
    |  Clock |  Target | Estimated| Uncertainty|
    +--------+---------+----------+------------+
    |ap_clk  | 5.00 ns | 6.982 ns |   0.62 ns  |
    +--------+---------+----------+------------+
+ Latency:
    +---------+---------+----------+----------+-----+-----+----------+
    |  Latency (cycles) |  Latency (absolute) |  Interval | Pipeline |
    |   min   |   max   |    min   |    max   | min | max |   Type   |
    +---------+---------+----------+----------+-----+-----+----------+
    |      250|      258| 1.801 us | 1.801 us |   60|   64| dataflow |
    +---------+---------+----------+----------+-----+-----+----------+

== Utilization Estimates
* Summary:
+-----------------+---------+-------+--------+-------+-----+
|       Name      | BRAM_18K| DSP48E|   FF   |  LUT  | URAM|
+-----------------+---------+-------+--------+-------+-----+
|Instance         |       20|     21|    9200|  25608|    -|
+-----------------+---------+-------+--------+-------+-----+
|Total            |       20|     21|   10771|  35327|    0|
+-----------------+---------+-------+--------+-------+-----+
"""

SUMMARY = (Path(__file__).parents[1] / "data" / "csynth.rpt").read_text()

UTILIZATION = """Copyright 1986-2020 Xilinx, Inc. All Rights Reserved.
| Tool Version : Vivado v.2020.1 (lin64) Build 2902540 Wed May 27 2020
| Command      : report_utilization -file vivado_synth.rpt
| Design       : digits
| Device       : 7z020clg400-1

| Slice LUTs*                |  9964 |     0 |     53200 | 18.73 |
| Slice Registers            | 10881 |     0 |    106400 | 10.23 |

| Block RAM Tile    |  4.5 |     0 |       140 |  2.86 |

| DSPs           |   76 |     0 |       220 | 34.55 |
"""


def values(measurements):
    return {str(metric): one.value.median for metric, one in measurements.items()}


@pytest.mark.parametrize(("text", "tool"), [(VIVADO_XML, "Vivado HLS"), (VITIS_XML, "Vitis HLS")])
def test_csynth_xml(text, tool):
    found = parse(text, "csynth.xml", "digits")
    assert (found.kind, found.tool, found.top, found.part, found.clock_ns) == (
        ReportKind.CSYNTH, tool, "digits", "xc7z020-clg400-1", 10.0,
    )  # fmt: skip
    assert values(found.measurements) == {
        "latency": 1000, "initiation interval": 850, "clock": 8.518, "BRAM18": 45, "DSP": 76, "FF": 16975,
        "LUT": 25632, "URAM": 0,
    }  # fmt: skip
    assert found.latency_us.median == 10.0
    assert found.measurements[Metric.LUT].source is Source.CSYNTH


def test_modules():
    ((name, found),) = parse(VITIS_XML, "csynth.xml").modules
    assert name == "dense_config2"
    assert values(found) == {"latency": 5, "initiation interval": 1, "DSP": 3, "FF": 20, "LUT": 30}


def test_csynth_rpt():
    found = parse(RPT, "digits_csynth.rpt")
    assert (found.tool, found.version, found.clock_ns) == ("Vivado HLS", "2019.2", 5.0)
    assert values(found.measurements) == {
        "clock": 6.982, "latency": 258, "initiation interval": 64, "BRAM18": 20, "DSP": 21, "FF": 10771, "LUT": 35327,
        "URAM": 0,
    }  # fmt: skip


def test_summary():
    found = parse(SUMMARY, "csynth.rpt")
    assert values(found.measurements) == {
        "latency": 229, "initiation interval": 1, "BRAM18": 6, "DSP": 413, "FF": 246315, "LUT": 237120, "URAM": 0,
    }  # fmt: skip
    assert [name for name, _ in found.modules] == ["dense"]
    assert found.latency_us is None


def test_utilization():
    found = parse(UTILIZATION, "vivado_synth.rpt")
    assert (found.kind, found.tool, found.version, found.top) == (ReportKind.SYNTHESIS, "Vivado", "2020.1", "digits")
    assert values(found.measurements) == {"LUT": 9964, "FF": 10881, "BRAM18": 9, "DSP": 76}
    assert {one.source for one in found.measurements.values()} == {Source.IMPLEMENTATION}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "Quartus Prime Fitter report\n",
            "r, line 1: expected a csynth report of Vivado HLS or Vitis HLS, or a utilization report of Vivado, "
            "found 'Quartus Prime Fitter report'",
        ),
        ("<svg/>", "r, line 1: expected <profile> of an HLS report, found <svg>"),
        (
            UTILIZATION[: UTILIZATION.index("| DSPs")],
            "r, line 11: expected a row for DSP, found the end of the report",
        ),
        (RPT[: RPT.index("|Total")], "r, line 31: expected the row 'Total' of the utilization summary, found the end"),
        (RPT[: RPT.index("|ap_clk")], "r, line 15: expected the row of ap_clk, found the end of the report"),
        (
            SUMMARY[: SUMMARY.index("    | Modules")],
            "r, line 9: expected the table of modules, found the end of the report",
        ),
    ],
)
def test_refused(text, message):
    with pytest.raises(ReportError) as caught:
        parse(text, "r")
    assert str(caught.value) == message


def test_cut_off_xml():
    with pytest.raises(ReportError) as caught:
        parse(VIVADO_XML[:400], "csynth.xml")
    assert str(caught.value).startswith("csynth.xml, line 14: expected complete XML, found its end or a fault")


def test_another_project():
    with pytest.raises(ReportError) as caught:
        parse(VIVADO_XML, "csynth.xml", "faces")
    assert str(caught.value) == "csynth.xml: expected a report of design 'faces', found one of 'digits'"


def test_find(tmp_path):
    folder = tmp_path / "digits_prj" / "solution1" / "syn" / "report"
    folder.mkdir(parents=True)
    (folder / "csynth.xml").write_text(VIVADO_XML)
    (tmp_path / "vivado_synth.rpt").write_text(UTILIZATION)
    assert [one.kind for one in find(tmp_path, "digits")] == [ReportKind.CSYNTH, ReportKind.SYNTHESIS]
    assert find(folder.parent.parent.parent / "nothing") == []


def test_read_a_missing_file(tmp_path):
    with pytest.raises(ReportError) as caught:
        read(tmp_path / "csynth.xml")
    assert "must be a readable report" in str(caught.value)
