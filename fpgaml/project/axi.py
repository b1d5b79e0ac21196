"""AXI wrappers around a generated network: AXI4-Stream for a DMA, AXI4-Lite registers for small networks.

    ports(network, data_width)                 what is on the wire, for both directions (driver.Port)
    write_stream(network, design, project, data_width=32)     axi/<name>_axi.{h,cpp}, its test bench, a stand-in header
    write_lite(network, design, project)       axi/<name>_lite.{h,cpp} and its test bench
    run_wrapper(project, name, Wrapper.STREAM, log=...)       golden vectors through it under g++, bit for bit

Raw codes travel; nothing is converted on the FPGA. The format of the wire is defined once, in driver.py, which also
packs and unpacks it on the board. The test bench of the stream wrapper sends with random gaps, receives with random
back pressure, and checks every bit of every beat, TKEEP and TLAST among them.
"""

from __future__ import annotations

import re
from enum import StrEnum
from math import prod
from pathlib import Path

from fpgaml.backend.top_function import read_top
from fpgaml.errors import ConfigError, FormatError
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import FixedPoint
from fpgaml.ir.network import Network
from fpgaml.project.driver import Port
from fpgaml.project.testbench import compile_program, run_verdict
from fpgaml.target.design import Design
from fpgaml.target.template import fill

HERE = Path(__file__).parent / "templates"
MAX_LITE_WORDS = 1024  # 4 KB of registers; beyond, a DMA is the better way


class Wrapper(StrEnum):
    """What is around the network."""

    STREAM = "axi"  # AXI4-Stream in and out, for a DMA
    LITE = "lite"  # AXI4-Lite registers


def ports(network: Network, data_width: int) -> tuple[Port, Port]:
    """Return the input and the output port for a stream of `data_width` bits.

    Raises: ConfigError if a code does not fit a beat, with the widths that do.
    """
    output = tensor_types(network)[network.output.name]
    sizes = {name: prod(shape) for name, shape in network.shapes.items()}
    return (
        _port(network, "input", network.input.type, sizes[network.input.name], data_width),
        _port(network, "output", output, sizes[network.output.name], data_width),
    )


def default_width(network: Network) -> int:
    """Return 32, the width at which a DMA is smallest, or 64 if a code of the network needs more."""
    widest = max(network.input.type.width, tensor_types(network)[network.output.name].width)
    return 32 if widest <= 32 else 64


def _port(network: Network, what: str, kind: FixedPoint, count: int, data_width: int) -> Port:
    try:
        return Port(count, kind.width, kind.fraction, kind.signed, str(kind.rounding), str(kind.overflow), data_width)
    except ValueError as error:
        raise ConfigError(f"network {network.name!r}, {what}: {error}") from error


def write_stream(network: Network, design: Design, project: Path, data_width: int = 32) -> None:
    """Write the AXI4-Stream wrapper, its test bench and a stand-in for ``ap_axi_sdata.h`` into ``project/axi``.

    Raises: ConfigError if `data_width` is not 8 to 64 or does not hold a code; FormatError for a foreign project.
    """
    text = _wrapper_text(network, design, project, *ports(network, data_width))
    folder = project / "axi"
    (folder / "sim").mkdir(parents=True, exist_ok=True)
    _write(folder / f"{network.name}_axi.h", "axi_stream.h.in", text)
    _write(folder / f"{network.name}_axi.cpp", "axi_stream.cpp.in", text)
    _write(folder / f"{network.name}_axi_test.cpp", "axi_stream_test.cpp.in", text)
    _write(folder / "sim" / "ap_axi_sdata.h", "ap_axi_sdata.h.in", text)


def write_lite(network: Network, design: Design, project: Path) -> None:
    """Write the AXI4-Lite wrapper and its test bench into ``project/axi``.

    Raises: ConfigError if a code has more than 32 bits or the image is too large for registers.
    """
    x, y = ports(network, 32)
    if x.beats + y.beats > MAX_LITE_WORDS:
        raise ConfigError(
            f"network {network.name!r} needs {x.beats + y.beats} registers of 32 bits, more than {MAX_LITE_WORDS}: "
            "use the AXI4-Stream wrapper"
        )
    text = _wrapper_text(network, design, project, x, y)
    folder = project / "axi"
    folder.mkdir(exist_ok=True)
    _write(folder / f"{network.name}_lite.h", "axi_lite.h.in", text)
    _write(folder / f"{network.name}_lite.cpp", "axi_lite.cpp.in", text)
    _write(folder / f"{network.name}_lite_test.cpp", "axi_lite_test.cpp.in", text)


def run_wrapper(
    project: Path,
    name: str,
    wrapper: Wrapper,
    *,
    log: Path,
    images: int = 0,
    seed: int = 0,
    timeout_s: float | None = None,
) -> str:
    """Run the golden vectors (or the first `images`) through a wrapper under g++; return ``PASS: ...``.

    Raises: BitMismatch at the first beat or word that differs, or if the wrapper hangs; FormatError without a wrapper.
    """
    project = project.resolve()
    source = f"axi/{name}_{wrapper}.cpp"
    if not (project / source).is_file():
        raise FormatError(f"{project} has no {source}; write it with `write_{wrapper.name.lower()}`")
    sources = [f"axi/{name}_{wrapper}_test.cpp", source, f"firmware/{name}.cpp"]
    program = compile_program(project, sources, ["-I.", "-Iaxi", "-Iaxi/sim"], log)
    return run_verdict(program, project, log, timeout_s, (str(images), str(seed)))


def _wrapper_text(network: Network, design: Design, project: Path, x: Port, y: Port) -> dict[str, str]:
    """Return everything the templates of both wrappers leave open."""
    top = read_top(network, project)
    kept = ((y.count - 1) % y.lanes + 1) * y.lane // 8  # bytes of codes in an image's last beat
    element = "{}::value_type" if top.stream else "{}"
    argument = "hls::stream<{}> &{}" if top.stream else "{} {}[{}]"
    text = {
        "TOP": network.name.upper(),
        "tool": str(design.tool),
        "data_width": str(x.data_width),
        **design.backend.toolchain.axi,
        "keep_last": hex((1 << kept) - 1),
        "in_element": element.format("input_t"),
        "out_element": element.format("result_t"),
        "in_argument": argument.format("input_t", "codes", "N_IN"),
        "out_argument": argument.format("result_t", "logits", "N_OUT"),
        "out_int": "ap_int" if y.signed else "ap_uint",
        "out_type": tensor_types(network)[network.output.name].cpp,
        "in_type": network.input.type.cpp,
        "in_pragma": _array_pragma(network, project, "input_t", "codes"),
        "out_pragma": _array_pragma(network, project, "result_t", "logits"),
    }
    for end, port in (("in", x), ("out", y)):
        text |= {f"{end}_{key}": str(getattr(port, key)) for key in ("width", "fraction", "lane", "lanes", "beats")}
        text |= {f"{end}_words": str(port.beats), f"{end}_per_word": str(32 // port.lane if port.lane <= 32 else 0)}
    return top.text | text


def _array_pragma(network: Network, project: Path, kind: str, name: str) -> str:
    """Return hls4ml's pragma for its array argument of type `kind`, for the wrapper's array `name`: they must agree."""
    top = (project / "firmware" / f"{network.name}.cpp").read_text(encoding="utf-8")
    argument = re.search(rf"^ *{kind} (\w+)\[", top, re.MULTILINE)
    found = argument and re.search(rf"#pragma HLS (ARRAY_\w+) variable={argument[1]} ([\w ]+ dim=0)", top)
    return f"#pragma HLS {found[1]} variable={name} {found[2]}" if found else ""


def _write(path: Path, template: str, text: dict[str, str]) -> None:
    path.write_text(fill(HERE / template, text), encoding="utf-8")
