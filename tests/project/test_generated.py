"""A project is complete, readable, the same each time, and works where it is taken."""

import hashlib
import re
import shutil
import subprocess
import zipfile
from xml.etree import ElementTree

import pytest

from fpgaml.errors import FormatError
from fpgaml.ir.diagram import diagram
from fpgaml.ir.fixed import FixedPoint
from fpgaml.ir.network import Activation, Add, Function, Input, Network
from fpgaml.project.axi import Wrapper
from fpgaml.project.generated import write_project
from fpgaml.target.archive import export
from fpgaml.target.design import Design, IoType
from fpgaml.target.measurement import Measurement, MedianRange, Metric, Source
from fpgaml.target.toolchain import Backend

DESIGN = Design(Backend.VITIS, "xc7z020clg400-1", clock_ns=10.0, io_type=IoType.STREAM)


@pytest.fixture
def complete(project, tiny, tiny_codes):
    """Return a complete project, not to be shared: tests change it."""
    shutil.rmtree(project / "axi", ignore_errors=True)
    write_project(tiny, DESIGN, project, tiny_codes)
    return project


def test_files_of_a_project(complete):
    names = sorted(path.name for path in complete.iterdir())
    assert names == [
        "Makefile", "README.md", "axi", "firmware", "golden.h", "hls_config.cfg", "hls_config_axi.cfg", "network.svg",
        "project.tcl", "run_hls.tcl", "tb_data", "tiny_test.cpp", "vivado_synth.tcl",
    ]  # fmt: skip
    left = [path.name for path in complete.rglob("*") if path.is_file() and re.search(r"@\w+@", path.read_text())]
    assert left == []


def test_readme_states_the_network_and_the_estimate(complete, tiny, tiny_codes):
    estimate = {Metric.LUT: Measurement("tiny", Metric.LUT, MedianRange(5200, 4100, 7300), Source.FORMULA, "fit")}
    write_project(tiny, DESIGN, complete, tiny_codes, wrapper=Wrapper.LITE, estimate=estimate)
    text = (complete / "README.md").read_text(encoding="utf-8")
    assert "| `c1` | Conv | 4 x 2 x 2 | `fixed<" in text
    assert "| LUT | ~5,200 LUT (4,100 to 7,300) (formula) |" in text
    assert "the network behind AXI4-Lite" in text
    assert "| part | xc7z020clg400-1 |\n| clock | 10 ns, uncertainty 27% |" in text


def test_settings_are_those_of_the_design(complete):
    assert (complete / "project.tcl").read_text(encoding="utf-8").splitlines()[1:] == [
        'set project_name "tiny"', 'set backend "vitis"', 'set part "xc7z020clg400-1"', "set clock_ns 10",
        'set clock_uncertainty "27%"', 'set ip_version "1.0"', "set cosim_images 10",
    ]  # fmt: skip


def test_two_exports_are_identical_wherever_the_project_is(complete, tmp_path):
    names = export(complete, "tiny", tmp_path / "first.zip")
    (complete / "build").mkdir()
    (complete / "build" / "traced").write_text("left behind", encoding="utf-8")
    (complete / "tiny_prj").mkdir()
    (complete / "tiny_prj" / "hls.app").write_text("left behind", encoding="utf-8")
    moved = tmp_path / "moved"
    complete.rename(moved)
    assert export(moved, "tiny", tmp_path / "second.zip") == names
    digests = [hashlib.sha256((tmp_path / f"{n}.zip").read_bytes()).hexdigest() for n in ("first", "second")]
    assert digests[0] == digests[1]


def test_nothing_in_the_zip_names_this_machine(complete, tmp_path):
    export(complete, "tiny", tmp_path / "tiny.zip")
    with zipfile.ZipFile(tmp_path / "tiny.zip") as archive:
        bad = [name for name in archive.namelist() if str(tmp_path).encode() in archive.read(name)]
    assert bad == []


def test_unzipped_elsewhere_it_compiles_with_plain_gpp_and_passes(complete, tmp_path):
    card = tmp_path / "card.toml"
    card.write_text("name = 'tiny'\n", encoding="utf-8")
    assert "tiny/card.toml" in export(complete, "tiny", tmp_path / "tiny.zip", {"card.toml": card})
    shutil.rmtree(complete)
    away = tmp_path / "woanders schön"
    zipfile.ZipFile(tmp_path / "tiny.zip").extractall(away)
    sources = ["tiny_test.cpp", "firmware/tiny.cpp"]
    flags = ["-std=gnu++11", "-I.", "-Ifirmware/ap_types", '-DWEIGHTS_DIR="firmware/weights"']
    rules = subprocess.run(
        ["g++", *flags, "-MM", *sources], cwd=away / "tiny", capture_output=True, text=True, check=True
    )
    headers = [word for word in rules.stdout.replace("\\\n", " ").split() if not word.endswith(":")]
    assert [header for header in headers if header.startswith(("/", ".."))] == []
    subprocess.run(["g++", *flags, "-w", *sources, "-o", "bench"], cwd=away / "tiny", check=True)
    found = subprocess.run(["./bench"], cwd=away / "tiny", capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "PASS: 6 images, every code equal bit for bit\n")


def test_an_incomplete_project_is_not_exported(complete, tmp_path):
    (complete / "golden.h").unlink()
    with pytest.raises(FormatError, match=r"is not a complete project of network 'tiny': it has no golden\.h"):
        export(complete, "tiny", tmp_path / "tiny.zip")
    assert not list(tmp_path.glob("*.zip"))


def test_diagram(tiny):
    text = diagram(tiny)
    assert text == diagram(tiny)
    root = ElementTree.fromstring(text)
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words[:3] == ["x", "Input: 15 values", "5 x 3 x 1 of ufixed<8,0>"]
    assert "Dense: 3 values, 15 weights" in words


def test_diagram_of_a_branch():
    kind = FixedPoint(8, 4)
    layers = (
        Input("x", (), (4,), kind),
        Activation("a", ("x",), Function.RELU, kind),
        Activation("b", ("a",), Function.LINEAR, kind),
        Add("s", ("a", "b")),
    )
    root = ElementTree.fromstring(diagram(Network("branch", layers)))
    assert len(list(root.iter("{http://www.w3.org/2000/svg}line"))) == 3
    assert len([p for p in root.iter("{http://www.w3.org/2000/svg}path") if p.get("fill") == "none"]) == 1
