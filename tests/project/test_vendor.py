"""The vendor's tools, by fakes first on PATH that check their arguments and run our Tcl in a real Tcl interpreter."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fpgaml.errors import ConfigError, ReportError, ToolFailed, ToolNotFound
from fpgaml.project.axi import Wrapper
from fpgaml.project.generated import write_project
from fpgaml.project.vendor import find_hls, import_reports, synth
from fpgaml.target import reports
from fpgaml.target.design import Design, IoType
from fpgaml.target.measurement import Metric, Source
from fpgaml.target.toolchain import Backend, ToolStep

pytest.importorskip("tkinter", reason="needs tkinter, whose Tcl interpreter runs the scripts in place of the vendor's")

FAKES = Path(__file__).parents[1] / "fake_tools"
ALL = list(ToolStep)


def design(backend=Backend.VITIS):
    return Design(backend, "xc7z020clg400-1", clock_ns=10.0, io_type=IoType.STREAM)


@pytest.fixture
def fakes(monkeypatch, tmp_path):
    """Put all fake tools first on PATH; return a function that leaves only the named ones there."""
    monkeypatch.setenv("PATH", f"{FAKES}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_PYTHON", sys.executable)

    def only(*names):
        place = tmp_path / "bin"
        place.mkdir()
        shutil.copy(FAKES / "fake.py", place)
        for name in names:
            shutil.copy(FAKES / name, place)
        monkeypatch.setenv("PATH", f"{place}{os.pathsep}/usr/bin{os.pathsep}/bin")
        return place

    return only


@pytest.fixture(scope="module")
def projects(converted, tiny, tiny_codes, tmp_path_factory):
    """Return one complete project a backend, with the AXI4-Stream wrapper."""
    made = {}
    for backend in Backend:
        made[backend] = tmp_path_factory.mktemp("complete") / "hls"
        shutil.copytree(converted(backend, IoType.STREAM), made[backend])
        write_project(tiny, design(backend), made[backend], tiny_codes)
    return made


def values(report):
    return {metric: found.value.median for metric, found in report.measurements.items()}


@pytest.mark.parametrize("backend", list(Backend))
def test_all_steps(fakes, projects, tmp_path, backend):
    seen = []
    found = synth("tiny", design(backend), projects[backend], tmp_path, ALL, progress=seen.append)
    csynth, cosim, utilization, timing = found
    assert values(csynth)[Metric.LUT] == 3400
    assert values(cosim) == {Metric.LATENCY: 95, Metric.INTERVAL: 94}
    assert cosim.measurements[Metric.LATENCY].source is Source.RTLSIM
    assert values(utilization) == {Metric.LUT: 3100, Metric.FF: 1100, Metric.BRAM18: 3, Metric.DSP: 7}
    assert values(timing) == {Metric.CLOCK: 7.521}
    assert {report.top for report in found} == {"tiny"}
    assert seen[-1] == "vivado: ***** done *****"
    log = (tmp_path / "hls.log").read_text(encoding="utf-8")
    uncertainty = {Backend.VITIS: "27%", Backend.VIVADO: "12.5%"}[backend]
    for line in ("set_top tiny", "set_part xc7z020clg400-1", "create_clock -period 10", f"uncertainty {uncertainty}"):
        assert line in log
    assert ("config_array_partition" in log) == (backend is Backend.VIVADO)
    assert (tmp_path / "tiny_prj" / "solution1" / "impl" / "ip" / "component.xml").is_file()


def test_csim_in_the_tools_way_passes_and_fails(fakes, projects, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_CSIM", "1")
    project = tmp_path / "hls"
    shutil.copytree(projects[Backend.VITIS], project)
    assert synth("tiny", design(), project, tmp_path / "work", [ToolStep.CSIM]) == []
    assert "PASS: 6 images" in (tmp_path / "work" / "hls.log").read_text(encoding="utf-8")
    logits = project / "tb_data" / "logits.dat"
    logits.write_text(logits.read_text().replace("end", ""), encoding="ascii")
    with pytest.raises(ToolFailed, match=r"vitis_hls -f failed with exit code 1; log: .*hls\.log"):
        synth("tiny", design(), project, tmp_path / "work", [ToolStep.CSIM])


def test_wrapper_is_the_top(fakes, projects, tmp_path):
    found = synth("tiny", design(), projects[Backend.VITIS], tmp_path, [ToolStep.CSYNTH], wrapper=Wrapper.STREAM)
    assert [report.top for report in found] == ["tiny_axi"]


@pytest.mark.parametrize("wrapper", [None, Wrapper.STREAM])
def test_component_flow_where_there_is_no_vitis_hls(fakes, projects, tmp_path, wrapper):
    fakes("v++", "vitis-run", "vivado")
    found = synth("tiny", design(), projects[Backend.VITIS], tmp_path / "work", ALL, wrapper=wrapper)
    assert [report.kind for report in found] == ["HLS csynth", "cosimulation", "logic synthesis", "timing"]
    assert {report.top for report in found} == {"tiny_axi" if wrapper else "tiny"}
    logs = sorted(path.name for path in (tmp_path / "work").glob("*.log"))
    assert logs == ["cosim.log", "csim.log", "csynth.log", "export.log", "vivado.log"]


def test_tool_is_found_by_option_path_and_environment(fakes, monkeypatch):
    assert str(find_hls(Backend.VITIS)) == "vitis_hls 2023.1"
    assert find_hls(Backend.VIVADO, FAKES).path == FAKES / "vivado_hls"
    assert find_hls(Backend.VITIS, FAKES / "v++").program.name == "v++"
    place = fakes("vitis_hls")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    (place.parent / "Vitis").mkdir()
    place.rename(place.parent / "Vitis" / "bin")
    monkeypatch.setenv("XILINX_VITIS", str(place.parent / "Vitis"))
    assert find_hls(Backend.VITIS).path == place.parent / "Vitis" / "bin" / "vitis_hls"


@pytest.mark.parametrize(
    ("backend", "version"),
    [(Backend.VITIS, "2020.1"), (Backend.VITIS, "2027.1"), (Backend.VIVADO, "2017.4"), (Backend.VIVADO, "2020.2")],
)
def test_unsupported_version(fakes, monkeypatch, backend, version):
    monkeypatch.setenv("FAKE_VERSION", version)
    span = {Backend.VITIS: "vitis_hls 2020.2 to 2025.2", Backend.VIVADO: "vivado_hls 2018.1 to 2020.1"}[backend]
    with pytest.raises(ConfigError, match=f"is version {version}; supported are {span}: choose another with --tool"):
        find_hls(backend)


def test_without_a_tool_one_sentence_says_what_to_do(monkeypatch, projects, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for root in ("XILINX_HLS", "XILINX_VITIS", "XILINX_VIVADO"):
        monkeypatch.delenv(root, raising=False)
    with pytest.raises(ToolNotFound) as caught:
        synth("tiny", design(), projects[Backend.VITIS], tmp_path / "work", [ToolStep.CSYNTH])
    assert str(caught.value) == (
        "vitis_hls or v++ was not found on PATH or under XILINX_HLS, XILINX_VITIS or XILINX_VIVADO: install Vitis HLS "
        "(part of Vitis or Vivado 2020.2 to 2025.2), or take the project to a machine that has it: `fpgaml export RUN` "
        "makes one zip, and `fpgaml import-reports RUN FILE...` brings the results home"
    )


def test_failure_timeout_and_missing_report(fakes, projects, tmp_path, monkeypatch):
    project = projects[Backend.VITIS]
    monkeypatch.setenv("FAKE_FAIL", "csynth_design")
    with pytest.raises(ToolFailed, match=r"(?s)failed with exit code 1; log: .*ERROR: C synthesis failed: "):
        synth("tiny", design(), project, tmp_path, [ToolStep.CSYNTH])
    monkeypatch.delenv("FAKE_FAIL")
    monkeypatch.setenv("FAKE_SLEEP", "30")
    with pytest.raises(ToolFailed, match="ran longer than 2 s and was stopped"):
        synth("tiny", design(), project, tmp_path, [ToolStep.CSYNTH], timeout_s=2)
    monkeypatch.setenv("FAKE_SLEEP", "0")
    synth("tiny", design(), project, tmp_path, [ToolStep.CSYNTH])
    monkeypatch.setenv("FAKE_REPORTS", "0")  # the report of the run before must not be taken for this one's
    with pytest.raises(ReportError, match=r"step 'csynth' ended well but left no csynth\.xml in "):
        synth("tiny", design(), project, tmp_path, [ToolStep.CSYNTH])


def test_a_killed_tool(fakes, projects, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_KILL", "1")
    with pytest.raises(ToolFailed, match=r"vitis_hls -f failed with exit code -9; log: .*hls\.log"):
        synth("tiny", design(), projects[Backend.VITIS], tmp_path, [ToolStep.CSYNTH])


def test_interrupt_stops_the_tool_and_its_children(fakes, projects, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_SLEEP", "60")
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from fpgaml.target.design import *\nfrom fpgaml.project.vendor import *\n"
        "d = Design(Backend.VITIS, 'xc7z020clg400-1', clock_ns=10.0)\n"
        "synth('tiny', d, Path(sys.argv[1]), Path(sys.argv[2]), [ToolStep.CSYNTH])\n"
    )
    args = [sys.executable, "-c", code, projects[Backend.VITIS], tmp_path / "work"]
    process = subprocess.Popen(args, stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    log = tmp_path / "work" / "hls.log"
    deadline = time.monotonic() + 60
    while "csynth_design" not in (log.read_text() if log.exists() else "") and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) != 0
    left = [p for p in Path("/proc").glob("[0-9]*/environ") if _has(p, str(tmp_path / "work"))]
    assert left == []


def _has(environ, text):
    try:
        command = environ.with_name("cwd").readlink()
    except OSError:
        return False
    return str(command) == text


def test_bad_requests(fakes, projects, tmp_path):
    project = projects[Backend.VITIS]
    with pytest.raises(ConfigError, match="choose at least one step: csim, csynth, cosim, export, vivado"):
        synth("tiny", design(), project, tmp_path, [])
    with pytest.raises(ConfigError, match="step 'cosim' needs C synthesis first: ask for csynth too"):
        synth("tiny", design(), project, tmp_path, [ToolStep.COSIM])
    with pytest.raises(ConfigError, match=r"need a path of plain letters, digits and _ \. - only, not '.*zwei Wörter'"):
        synth("tiny", design(), project, tmp_path / "zwei Wörter", [ToolStep.CSYNTH])


def test_script_itself_refuses_a_path_with_spaces(fakes, projects, tmp_path):
    place = tmp_path / "two words"
    place.mkdir()
    args = [FAKES / "vitis_hls", "-f", projects[Backend.VITIS] / "run_hls.tcl"]
    found = subprocess.run(args, cwd=place, capture_output=True, text=True)
    assert found.returncode == 1
    assert "ERROR: the folder must have a path of plain letters" in found.stdout


def test_reports_come_home(fakes, projects, tmp_path):
    work = tmp_path / "elsewhere"
    synth("tiny", design(), projects[Backend.VITIS], work, ALL)
    files = [path for pattern in reports.PATTERNS for path in work.glob(pattern)]
    found, warnings = import_reports("tiny", design(), files, tmp_path / "home")
    assert warnings == []
    assert [report.kind for report in found] == ["HLS csynth", "cosimulation", "logic synthesis", "timing"]
    names = sorted(path.name for path in (tmp_path / "home").iterdir())
    assert names == ["tiny_cosim.rpt", "tiny_csynth.xml", "tiny_vivado_synth.rpt", "tiny_vivado_timing.rpt"]
    assert len(import_reports("tiny", design(), sorted((tmp_path / "home").iterdir()), tmp_path / "home")[0]) == 4


def test_foreign_reports_stay_out(fakes, projects, tmp_path):
    work = tmp_path / "elsewhere"
    synth("tiny", design(), projects[Backend.VITIS], work, [ToolStep.CSYNTH])
    (report,) = work.glob("**/csynth.xml")
    home = tmp_path / "home"
    with pytest.raises(ReportError, match="expected a report of network 'other', found one of 'tiny'"):
        import_reports("other", design(), [report], home)
    with pytest.raises(
        ReportError, match="expected a report for part xck26-sfvc784-2LV-c, found one for xc7z020clg400-1"
    ):
        import_reports("tiny", Design(Backend.VITIS, "xck26-sfvc784-2LV-c", clock_ns=10.0), [report], home)
    with pytest.raises(ReportError, match="expected a report for a clock of 5 ns, found 10 ns"):
        import_reports("tiny", Design(Backend.VITIS, "xc7z020clg400-1", clock_ns=5.0), [report], home)
    with pytest.raises(ConfigError, match="give at least one report"):
        import_reports("tiny", design(), [], home)
    renamed = tmp_path / "csynth.xml"
    renamed.write_text(report.read_text().replace(">tiny<", ">myproject<"))
    with pytest.raises(ReportError) as caught:
        import_reports("tiny", design(), [renamed], home, sums=2)
    assert str(caught.value) == (
        f"{renamed}: expected a report of network 'tiny', found one of 'myproject'; if it is the same network, import "
        "its csynth.xml with it, or everything with --as-is"
    )
    failed = tmp_path / "tiny_cosim.rpt"
    failed.write_text((FAKES / "fake.py").read_text().split('COSIM = """')[1].split('"""')[0].replace("Pass", "Fail"))
    with pytest.raises(ReportError, match="cosimulation of 'tiny' did not pass but ended with 'Fail'"):
        import_reports("tiny", design(), [failed], home)
    assert not home.exists()


MODULES = """<ModuleInformation>
<Module><Name>dense_latency_ap_fixed_16_6_config2_s</Name></Module>
<Module><Name>relu_ap_fixed_16_6_relu_config4_s</Name></Module>
<Module><Name>conv_2d_cl_array_ap_fixed_8u_config5_s</Name></Module>
<Module><Name>dense_resource_ap_fixed_16_6_config5_mult_s</Name></Module>
</ModuleInformation></profile>"""  # layers 2 and 5 have sums


def test_a_project_of_another_name_comes_home_if_its_layers_are_those_of_the_network(fakes, projects, tmp_path):
    work, home = tmp_path / "elsewhere", tmp_path / "home"
    synth("tiny", design(), projects[Backend.VITIS], work, [ToolStep.CSYNTH, ToolStep.VIVADO])
    files = [path for pattern in reports.PATTERNS for path in work.glob(pattern)]
    for path in files:
        text = path.read_text()
        path.write_text(text.replace("tiny", "myproject").replace("</profile>", MODULES))
    found, warnings = import_reports("tiny", design(), files, home, sums=2)
    assert {report.top for report in found} == {"myproject"}
    assert warnings == [
        f"{path} is of 'myproject', taken for 'tiny': it has as many layers with sums, 2, for the same part and clock"
        for path in files
    ]
    with pytest.raises(ReportError, match="expected a report of network 'tiny', found one of 'myproject'"):
        import_reports("tiny", design(), files, home, sums=3)
    wrong = Design(Backend.VITIS, "xck26-sfvc784-2LV-c", clock_ns=10.0)
    _, warnings = import_reports("tiny", wrong, files[:1], home, as_is=True)
    assert warnings == [
        f"{files[0]}, taken as it is: expected a report of network 'tiny', found one of 'myproject'; if it is the same "
        "network, import its csynth.xml with it, or everything with --as-is"
    ]
