"""The AXI wrappers: every beat of every image, with gaps and back pressure, and a wrong wrapper is found out."""

import shutil

import numpy as np
import pytest

from fpgaml.backend.hls4ml import convert
from fpgaml.errors import BitMismatch, ConfigError, FormatError
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import Activation, Dense, Function, Input, Network, Weights
from fpgaml.project.axi import Wrapper, ports, run_wrapper, write_lite, write_stream
from fpgaml.project.testbench import write_testbench
from fpgaml.target.design import Design, IoType
from fpgaml.target.toolchain import Backend
from tests.conftest import PROJECTS

STREAM = "PASS: 6 images through the AXI4-Stream wrapper, every beat equal bit for bit"


def design(backend=Backend.VITIS, io_type=IoType.STREAM):
    return Design(backend, "xc7z020clg400-1", clock_ns=10.0, io_type=io_type)


@pytest.mark.parametrize(("backend", "io_type"), PROJECTS)
def test_stream_wrapper(converted, tiny, tmp_path, backend, io_type):
    project = converted(backend, io_type)
    write_stream(tiny, design(backend, io_type), project, 64 if io_type is IoType.PARALLEL else 32)
    assert run_wrapper(project, "tiny", Wrapper.STREAM, log=tmp_path / "log", seed=3) == STREAM


def test_flavours_differ_where_the_tools_do(converted, tiny):
    sources = {}
    for backend in Backend:
        project = converted(backend, IoType.STREAM)
        write_stream(tiny, design(backend), project, 32)
        sources[backend] = [(project / "axi" / f"tiny_axi.{end}").read_text(encoding="utf-8") for end in ("cpp", "h")]
    assert "#pragma HLS INTERFACE mode=axis register_mode=both port=s_axis" in sources[Backend.VITIS][0]
    assert "typedef ap_axiu<DATA_WIDTH, 0, 0, 0> beat_t;" in sources[Backend.VITIS][1]
    assert "#pragma HLS INTERFACE axis register both port=s_axis" in sources[Backend.VIVADO][0]
    assert "typedef ap_axiu<DATA_WIDTH, 1, 1, 1> beat_t;" in sources[Backend.VIVADO][1]
    assert "beat.user = 0;" in sources[Backend.VIVADO][0]
    assert "beat.user" not in sources[Backend.VITIS][0]
    assert sources[Backend.VIVADO][0].count("#pragma HLS DATA_PACK variable=pack") == 2
    assert "DATA_PACK" not in sources[Backend.VITIS][0]


def test_one_byte_beats_and_unsigned_logits(tmp_path):
    rng = np.random.default_rng(2)
    out = FixedPoint(7, 3, False, Rounding.RND, Overflow.SAT)
    weights = Weights(rng.integers(-7, 8, (4, 3)), FixedPoint(4, 1)), Weights(rng.integers(0, 8, 3), FixedPoint(4, 1))
    layers = Input("x", (), (4,), FixedPoint(5, 2)), Dense("d", ("x",), *weights)
    network = Network("small", (*layers, Activation("r", ("d",), Function.RELU, out)))
    project = tmp_path / "project"
    convert(network, design(), project, log=tmp_path / "log")
    write_testbench(network, project, rng.integers(-16, 16, (6, 4)))
    write_stream(network, design(), project, 8)
    assert run_wrapper(project, "small", Wrapper.STREAM, log=tmp_path / "log") == STREAM
    assert ports(network, 8)[1].beats == 3


@pytest.mark.parametrize("io_type", list(IoType))
def test_lite_wrapper(converted, tiny, tmp_path, io_type):
    project = converted(Backend.VITIS, io_type)
    write_lite(tiny, design(io_type=io_type), project)
    found = run_wrapper(project, "tiny", Wrapper.LITE, log=tmp_path / "log")
    assert found == "PASS: 6 images through the AXI4-Lite wrapper, every word equal bit for bit"


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("beat.last = end;", "beat.last = b == OUT_BEATS - 1;", "last 1; the golden one has .* last 0"),
        ("end ? KEEP_LAST : KEEP_ALL", "KEEP_ALL", "keep 0b1111, last 1; the golden one has .* keep 0b0*11, last 1"),
        ("b < IN_BEATS; b++", "b < IN_BEATS - 1; b++", r"first difference: image \d, beat 0"),
        ("lane = code;", "lane = code ^ 1;", r"first difference: image \d, beat 0"),
        ("if (!ended) {", "if (true) {", "waits for the rest of an image that TLAST ended"),
        ("lasts.write(ended);", "lasts.write(ended);\n    s_axis.read();", "the wrapper hangs: 8 of 8 beats in"),
    ],
)
def test_a_wrong_wrapper_is_found_out(project, tiny, tmp_path, right, wrong, message):
    write_stream(tiny, design(), project, 32)
    source = project / "axi" / "tiny_axi.cpp"
    text = source.read_text(encoding="utf-8")
    assert right in text
    source.write_text(text.replace(right, wrong), encoding="utf-8")
    with pytest.raises(BitMismatch, match=message):
        run_wrapper(project, "tiny", Wrapper.STREAM, log=tmp_path / "log")


def test_refusals(converted, tiny, project, tmp_path):
    message = (
        r"network 'tiny', output: a code of 1\d bits has a lane of 16, which a data width of 8 bits does not hold; "
        "use 16 or 32 or 64"
    )
    with pytest.raises(ConfigError, match=message):
        write_stream(tiny, design(), project, 8)
    shutil.rmtree(project / "axi", ignore_errors=True)
    with pytest.raises(ConfigError, match=r"the data width must be one of 8, 16, 32, 64 bits: 24"):
        write_stream(tiny, design(), project, 24)
    with pytest.raises(FormatError, match=r"has no axi/tiny_axi\.cpp; write it with `write_stream`"):
        run_wrapper(project, "tiny", Wrapper.STREAM, log=tmp_path / "log")


def test_a_large_image_needs_a_stream(tmp_path):
    network = Network(
        "big", (Input("x", (), (8192,), FixedPoint(8, 0)), Activation("r", ("x",), Function.RELU, FixedPoint(8, 0)))
    )
    with pytest.raises(
        ConfigError, match="needs 4096 registers of 32 bits, more than 1024: use the AXI4-Stream wrapper"
    ):
        write_lite(network, design(), tmp_path)
