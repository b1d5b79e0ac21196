"""Board packages: Tcl against recorders, driver and C program against stand-ins with the wrapper's real C++ behind."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fpgaml.datasets.inputs import given_codes, pixels
from fpgaml.datasets.raw import RawRows
from fpgaml.errors import ConfigError, DataError
from fpgaml.ir.fixed import FixedPoint
from fpgaml.project.axi import write_stream
from fpgaml.project.board import KITS, misfits, write_board
from fpgaml.project.driver import Accelerator, Settings
from fpgaml.target.boards import find_board
from fpgaml.target.design import Design, IoType
from fpgaml.target.measurement import Measurement, MedianRange, Metric, Source
from fpgaml.target.toolchain import Backend
from tests.project.test_driver import allocate

HERE = Path(__file__).parent
FAKES = HERE.parent / "fake_tools"
BOARDS = list(KITS)


def design_for(name):
    board = find_board(name)
    return Design(Backend.VITIS, board.part_number, clock_ns=10.0, io_type=IoType.STREAM)


def images_of(codes):
    return RawRows(codes.astype(np.uint8), np.arange(len(codes)) % 3, ("a", "b", "c"), pixels(codes.shape[1:]))


@pytest.fixture
def package(tiny, tiny_codes, tmp_path):
    """Return a function that writes the package of a board."""

    def write(name, **options):
        folder = tmp_path / "board" / name
        write_board(tiny, design_for(name), find_board(name), folder, images_of(tiny_codes), **options)
        return folder

    return write


@pytest.fixture(scope="module")
def wrapped(converted, tiny, tmp_path_factory):
    """Return a project with the stream wrapper, compiled as `compile_wrapper` does."""
    project = tmp_path_factory.mktemp("wrapped") / "hls"
    shutil.copytree(converted(Backend.VITIS, IoType.STREAM), project)
    write_stream(tiny, design_for("pynq-z2"), project, 32)
    compile_wrapper(project, "tiny")
    return project


def compile_wrapper(project, top):
    """Compile a network, its wrapper, the DMA and the vendor's functions around it, in one go: ``board.o``."""
    sources = (project / "axi" / f"{top}_axi.cpp", project / "firmware" / f"{top}.cpp", HERE / "bare_metal_standin.cpp")
    (project / "board.cpp").write_text("".join(f'#include "{path}"\n' for path in sources), encoding="utf-8")
    flags = ["-std=gnu++14", "-w", f"-I{project}", f"-I{project}/axi", f"-I{project}/axi/sim", f"-I{HERE}"]
    flags += [f"-I{project}/firmware/ap_types", f'-DWRAPPER_HEADER="{top}_axi.h"', f"-DTOP={top}_axi"]
    flags += [f'-DWEIGHTS_DIR="{project}/firmware/weights"']
    subprocess.run(["g++", *flags, "-c", project / "board.cpp", "-o", project / "board.o"], check=True)


def link(project, main, program, name="pynq-z2"):
    """Link the object of a C program with a compiled wrapper, at the addresses of a board."""
    bases = "".join(f"{what}_AT = {base}, " for what, base in zip(("DMA", "IP"), KITS[name].bases, strict=True))
    (program.parent / "bases.c").write_text(f"#include <stdint.h>\nconst uint64_t {bases.rstrip(', ')};\n")
    subprocess.run(["gcc", "-c", program.parent / "bases.c", "-o", program.parent / "bases.o"], check=True)
    subprocess.run(["g++", main, program.parent / "bases.o", project / "board.o", "-o", program], check=True)
    return program


def pipe(project, folder):
    """Return a program that sends memory through the DMA of a compiled wrapper."""
    subprocess.run(["gcc", "-c", HERE / "dma_pipe.c", "-o", folder / "pipe.o"], check=True)
    return link(project, folder / "pipe.o", folder / "pipe")


def run_tcl(folder, script, monkeypatch, **environment):
    """Run a script of a package in the fake Vivado; return exit code and what it printed."""
    pytest.importorskip("tkinter", reason="needs tkinter, whose Tcl interpreter runs the scripts in place of Vivado's")
    ip = folder.parents[1] / "synth" / "tiny_axi_prj" / "solution1" / "impl" / "ip"  # where `fpgaml synth` leaves it
    known = {"FAKE_PYTHON": sys.executable, **environment}
    ip.mkdir(parents=True, exist_ok=True)
    (ip / "component.xml").write_text("<ip/>", encoding="utf-8")
    args = [FAKES / "vivado", "-mode", "batch", "-source", folder / script]
    found = subprocess.run(args, cwd=folder, env={**os.environ, **known}, capture_output=True, text=True)
    return found.returncode, found.stdout


# ---- Vivado's scripts ----


@pytest.mark.parametrize("name", BOARDS)
def test_block_design_connects_everything(package, monkeypatch, name):
    folder = package(name)
    code, log = run_tcl(folder, "bitstream.tcl", monkeypatch)
    assert code == 0, log
    wires = {frozenset(pair) for pair in re.findall(r"connect_bd_intf_net (\S+) (\S+)", log)}
    for pair in (
        ("axi_dma_0/M_AXIS_MM2S", "network_0/s_axis"),
        ("network_0/m_axis", "axi_dma_0/S_AXIS_S2MM"),
        ("control/M00_AXI", "axi_dma_0/S_AXI_LITE"),
        ("control/M01_AXI", "network_0/s_axi_control"),
        ("axi_dma_0/M_AXI_MM2S", "access/S00_AXI"),
        ("axi_dma_0/M_AXI_S2MM", "access/S01_AXI"),
    ):
        assert frozenset(pair) in wires
    zynq = KITS[name].family == "zynq"
    assert frozenset(("access/M00_AXI", "ps/S_AXI_HP0" if zynq else "ps/S_AXI_HP0_FPD")) in wires
    pins = [pin for pair in re.findall(r"connect_bd_net (\S+) (\S+)", log) for pin in pair]
    clocks = {"network_0/ap_clk", "control/aclk", "access/aclk", "axi_dma_0/s_axi_lite_aclk", "reset/slowest_sync_clk"}
    resets = {"network_0/ap_rst_n", "control/aresetn", "access/aresetn", "axi_dma_0/axi_resetn", "reset/ext_reset_in"}
    assert (clocks | resets) <= set(pins)
    for base in KITS[name].bases:
        assert f"assign_bd_address -offset {base} -range 64K -target_address_space ps/Data" in log
        assert f"`{base}`" in (folder / "address_map.md").read_text(encoding="utf-8")
        assert base in (folder / "bare_metal" / "network.h").read_text(encoding="utf-8")
    assert f"create_project -force tiny_board tiny_board -part {find_board(name).part_number}" in log
    made = ["pynq/tiny.bit", "pynq/tiny.hwh", "bare_metal/tiny.xsa", "timing.rpt", "utilization.rpt"]
    assert [path for path in made if not (folder / path).is_file()] == []


def test_scripts_stop_with_a_reason(package, monkeypatch):
    folder = package("pynq-z2")
    code, log = run_tcl(folder, "bitstream.tcl", monkeypatch, FAKE_WNS="-0.25")
    assert (code, "ERROR: timing is missed by 0.25 ns at 100 MHz: choose a longer clock period" in log) == (1, True)
    code, log = run_tcl(folder, "block_design.tcl", monkeypatch, FAKE_BOARD="")
    assert (code, "ERROR: Vivado has no board files *:pynq-z2:part0:*: install them" in log) == (1, True)
    code, log = run_tcl(folder, "block_design.tcl", monkeypatch, FPGAML_IP=str(folder))
    assert (code, "ERROR: there is no exported IP: run HLS with FPGAML_TOP=axi" in log) == (1, True)


# ---- the driver and the C program, with the wrapper's C++ as the FPGA ----


class Dma:
    """pynq's DMA, with the C++ of the wrapper behind it."""

    def __init__(self, program):
        self.program, self.sendchannel, self.recvchannel = program, self, self
        self.arrays = []

    def transfer(self, array):
        self.arrays.append(array)

    def wait(self):
        if not self.arrays:
            return
        answer, sent = self.arrays
        self.arrays = []
        memory = answer.reshape(-1).view(np.uint8)
        command = [self.program, str(memory.nbytes)]
        found = subprocess.run(command, input=sent.tobytes(), capture_output=True, check=True).stdout
        assert memory.nbytes - 4 < len(found) <= memory.nbytes  # TKEEP leaves out what is behind the last code
        memory[: len(found)] = np.frombuffer(found, np.uint8)


def test_driver_against_the_wrapper(package, wrapped, tiny_codes, tmp_path):
    folder = package("pynq-z2") / "pynq"
    program = pipe(wrapped, tmp_path)
    settings = Settings.read(folder)
    overlay = type("Overlay", (), {"axi_dma_0": Dma(program), "network_0": type("Ip", (), {"write": print})()})()
    network = Accelerator(settings, overlay, allocate, folder, batch=4)
    assert network.self_check().rows == len(tiny_codes)
    with np.load(folder / "golden.npz") as file:
        golden = dict(file)
    outputs = golden["outputs"]
    assert network.classify(tiny_codes.astype(np.uint8)).tolist() == outputs.argmax(axis=1).tolist()
    golden["outputs"] = outputs ^ (np.arange(outputs.size) == 7).reshape(outputs.shape)
    np.savez(folder / "golden.npz", **golden)
    with pytest.raises(RuntimeError, match="tiny: 1 of 18 output codes are wrong; the first, row 2, number 1, is"):
        network.self_check()


def bare_metal_object(folder, place):
    """Compile the C program of a package, with all warnings, against the vendor's headers; return its object."""
    headers = place / "headers"
    headers.mkdir(exist_ok=True)
    for header in ("xil_cache.h", "xil_io.h", "xil_printf.h"):
        (headers / header).write_text(
            "#include <stdint.h>\nvoid Xil_Out32(uint64_t, uint32_t);\nuint32_t Xil_In32(uint64_t);\n"
            "void Xil_DCacheFlushRange(uintptr_t, unsigned);\nvoid Xil_DCacheInvalidateRange(uintptr_t, unsigned);\n"
            "void xil_printf(const char *, ...);\n",
            encoding="utf-8",
        )
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{headers}", f"-I{folder}"]
    subprocess.run(["gcc", *flags, "-c", folder / "main.c", "-o", place / "main.o"], check=True)
    return place / "main.o"


@pytest.mark.parametrize("name", ["pynq-z2", "kv260"])
def test_bare_metal_program_against_the_wrapper(package, wrapped, tmp_path, name):
    folder = package(name) / "bare_metal"

    def run():
        program = link(wrapped, bare_metal_object(folder, tmp_path), tmp_path / "program", name)
        return subprocess.run([program], capture_output=True, text=True)

    found = run()
    assert found.returncode == 0, found
    assert found.stdout.endswith("PASS: 6 raw rows, every code, output and class as expected\n")
    golden = folder / "golden_rows.h"
    head, logits = golden.read_text(encoding="utf-8").split("golden_outputs", 1)
    first = re.search(r"\{(-?\d+)", logits)
    golden.write_text(
        head + "golden_outputs" + logits.replace(first[0], "{" + str(int(first[1]) ^ 1), 1), encoding="utf-8"
    )
    found = run()
    assert (found.returncode, found.stdout.startswith("FAIL: row 0, output 0: code ")) == (1, True)


def test_driver_in_the_package_stands_alone(package):
    folder = package("kv260") / "pynq"
    code = (
        "import sys; sys.path = [p for p in sys.path if 'site-packages' in p or 'lib' in p]; sys.path.insert(0, '.')\n"
    )
    code += "from driver import Settings; from pathlib import Path; print(Settings.read(Path('.')).name)"
    found = subprocess.run([sys.executable, "-I", "-c", code], cwd=folder, capture_output=True, text=True)
    assert found.stdout == "tiny\n", found.stderr
    assert json.loads((folder / "network.json").read_text())["input"]["count"] == 15


# ---- bad input ----


def test_refusals(tiny, tiny_codes, tmp_path):
    zed, folder, rows = find_board("zedboard"), tmp_path / "package", images_of(tiny_codes)
    with pytest.raises(
        ConfigError, match="board 'basys-3' has no package: its FPGA has no processor with DMA, or nobody"
    ):
        write_board(tiny, design_for("basys-3"), find_board("basys-3"), folder, rows)
    with pytest.raises(
        ConfigError, match="the design is for part xck26-sfvc784-2LV-c, but board 'zedboard' has xc7z020cl"
    ):
        write_board(tiny, design_for("kv260"), zed, folder, rows)
    with pytest.raises(ConfigError, match="which a data width of 8 bits does not hold; use 16 or 32 or 64"):
        write_board(tiny, design_for("zedboard"), zed, folder, rows, data_width=8)
    with pytest.raises(ValueError, match="pixels of encoding 'pixels' must be 256, not 3"):
        pixels((5, 3, 1), codes=(1, 2, 3))
    with pytest.raises(ValueError, match="pixel codes must be 0 to 255, not 1 to 256"):
        pixels((5, 3, 1), codes=tuple(range(1, 257)))
    with pytest.raises(DataError, match="a board package must have at least one golden row"):
        write_board(tiny, design_for("zedboard"), zed, folder, images_of(tiny_codes[:0]))
    other = dataclasses.replace(rows, encoding=given_codes((5, 3, 1), FixedPoint(8, 1)))
    with pytest.raises(
        DataError, match=r"raw rows become codes -128 to 127 with 7 fraction bits, but network 'tiny' takes codes of uf"
    ):
        write_board(tiny, design_for("zedboard"), zed, folder, other)
    other = images_of(tiny_codes.reshape(-1, 5, 1, 1))
    with pytest.raises(DataError, match=r"raw rows have 5 values, but network 'tiny' takes \(5, 3, 1\)"):
        write_board(tiny, design_for("zedboard"), zed, folder, other)
    assert not folder.exists()


def test_what_does_not_fit_is_said_with_figures(package, tiny, tiny_codes, tmp_path):
    part = find_board("pynq-z2").part
    estimate = {
        Metric.LUT: Measurement("tiny", Metric.LUT, MedianRange(60000, 50000, 70000), Source.FORMULA, "fit"),
        Metric.DSP: Measurement("tiny", Metric.DSP, MedianRange(200, 180, 240), Source.FORMULA, "fit"),
        Metric.FF: Measurement("tiny", Metric.FF, MedianRange.exactly(100), Source.CSYNTH, "Vitis HLS"),
    }
    assert misfits(estimate, part) == [
        "the network will not fit: it needs ~60,000 LUT (50,000 to 70,000) of 53,200 that xc7z020 has (113%)",
        "the network may not fit: it needs ~200 DSP (180 to 240) of 220 that xc7z020 has",
    ]
    folder = package("pynq-z2", estimate=estimate)
    assert "**the network will not fit: it needs ~60,000 LUT" in (folder / "README.md").read_text(encoding="utf-8")
    assert misfits({Metric.LUT: dataclasses.replace(estimate[Metric.FF], metric=Metric.LUT)}, part) == []
