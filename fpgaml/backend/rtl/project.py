"""A Verilog project of a Network: the modules it needs, its ROMs, and a top with AXI4-Stream ports.

    lowered = write_project(network, design, folder)

In the folder stand the modules of the library that are used, one file a made module or ROM, and ``<network>.sv``, the
top: ``s_axis_*`` takes an image beat by beat, ``m_axis_*`` gives its outputs, the last beat of an image with TLAST.
Values stand side by side in a beat, the first in the lowest bits; the rest up to whole bytes is zero.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from fpgaml.backend.rtl.lowering import Lowered, lower
from fpgaml.backend.rtl.stage import Rom, StreamStage
from fpgaml.ir.network import Network
from fpgaml.target.design import Design
from fpgaml.whole import made_whole

LIBRARY = Path(__file__).with_name("library")


def write_project(network: Network, design: Design, folder: Path) -> Lowered:
    """Write the Verilog of `network` into `folder` (replaced as a whole).

    Raises: ConfigError, UnsupportedLayer for what cannot be built, before anything is written.
    """
    lowered = lower(network, design)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with made_whole(folder.resolve()) as part:
        part.mkdir()
        for name, text in files(lowered).items():
            (part / name).write_text(text, encoding="utf-8")
    return lowered


def files(lowered: Lowered) -> dict[str, str]:
    """Return the text of every file of the project by its name."""
    used = {stage.module for stage in lowered.stages} | {"nn_value_cast"}
    found = {path.name: path.read_text(encoding="utf-8") for path in sorted(LIBRARY.glob("*.sv")) if path.stem in used}
    for stage in lowered.stages:
        if stage.own:
            found[f"{stage.module}.sv"] = stage.own
        elif stage.rom and stage.module.startswith("nn_"):
            found[f"{stage.name}__rom.sv"] = _rom(f"{stage.name}__rom", stage.rom)
        elif stage.rom:
            found[f"{stage.module}.sv"] = _lookup(stage, stage.rom)
    return found | {f"{lowered.network.name}.sv": _top(lowered)}


def sources(folder: Path) -> list[Path]:
    """Return the Verilog files of a project, the top last or not: the order does not matter."""
    return sorted(folder.glob("*.sv"))


def copy_project(folder: Path, target: Path) -> None:
    """Copy a project's Verilog."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sources(folder):
        shutil.copyfile(path, target / path.name)


def byte_bits(width: int) -> int:
    """Return the bits of the whole bytes that hold `width` bits."""
    return -(-width // 8) * 8


def _rom(module: str, rom: Rom) -> str:
    """Return a ROM with one register."""
    address = max(1, (len(rom.rows) - 1).bit_length())
    return "\n".join(
        [
            f"// Made for this network: {len(rom.rows)} rows of weights.",
            f"module {module} (",
            "    input  logic clk,",
            "    input  logic enable,",
            f"    input  logic [{address - 1}:0] row,",
            f"    output logic [{rom.width - 1}:0] weights",
            ");",
            *_contents(rom),
            "  always_ff @(posedge clk) if (enable) weights <= rows[row];",
            "endmodule",
            "",
        ]
    )


def _contents(rom: Rom) -> list[str]:
    digits = -(-rom.width // 4)
    rows = [f"    rows[{at}] = {rom.width}'h{row:0{digits}x};" for at, row in enumerate(rom.rows)]
    return [f"  logic [{rom.width - 1}:0] rows[{len(rom.rows)}];", "  initial begin", *rows, "  end"]


def _lookup(stage: StreamStage, rom: Rom) -> str:
    """Return a stream stage that looks each value of a beat up in a ROM."""
    channels, index = int(stage.parameters["CHANNELS"]), int(stage.parameters["INDEX_WIDTH"])
    reads = [
        f"      out_data[{c * rom.width}+:{rom.width}] <= rows[in_data[{c * index}+:{index}]];" for c in range(channels)
    ]
    return "\n".join(
        [
            f"// Made for this network: a table of {len(rom.rows)} entries, for {channels} values at once.",
            f"module {stage.module} (",
            "    input  logic clk,",
            "    input  logic rst,",
            "    input  logic in_valid,",
            "    output logic in_ready,",
            f"    input  logic [{channels * index - 1}:0] in_data,",
            "    output logic out_valid,",
            "    input  logic out_ready,",
            f"    output logic [{channels * rom.width - 1}:0] out_data",
            ");",
            *_contents(rom),
            "  assign in_ready = !out_valid || out_ready;",
            "  always_ff @(posedge clk) begin",
            "    if (rst) out_valid <= 1'b0;",
            "    else if (in_ready) out_valid <= in_valid;",
            "    if (in_ready) begin",
            *reads,
            "    end",
            "  end",
            "endmodule",
            "",
        ]
    )


def _top(lowered: Lowered) -> str:
    first, last = lowered.inputs, lowered.output
    in_bits, out_bits = byte_bits(first.width), byte_bits(last.width)
    beat = max(1, (last.beats - 1).bit_length())
    before, body = "input__", list[str]()
    for stage in lowered.stages:
        body += _instance(stage, before)
        before = f"{stage.name}__"
    spare = out_bits - last.width
    data = f"{{{spare}'d0, {before}data}}" if spare else f"{before}data"
    return "\n".join(
        [
            f"// {lowered.network.name}: an image comes in {first.beats} beats of {first.channels} x {first.type},",
            f"// and leaves in {last.beats} of {last.channels} x {last.type}. Reset is synchronous, active low.",
            f"module {lowered.network.name} (",
            "    input  logic aclk,",
            "    input  logic aresetn,",
            "    input  logic s_axis_tvalid,",
            "    output logic s_axis_tready,",
            "    /* verilator lint_off UNUSEDSIGNAL */  // positions are counted; bits beyond the values are not read",
            f"    input  logic [{in_bits - 1}:0] s_axis_tdata,",
            "    input  logic s_axis_tlast,",
            "    /* verilator lint_on UNUSEDSIGNAL */",
            "    output logic m_axis_tvalid,",
            "    input  logic m_axis_tready,",
            f"    output logic [{out_bits - 1}:0] m_axis_tdata,",
            "    output logic m_axis_tlast",
            ");",
            "  wire clk = aclk;",
            "  wire rst = !aresetn;",
            "  wire input__valid = s_axis_tvalid && aresetn;",
            "  wire input__ready;",
            f"  wire [{first.width - 1}:0] input__data = s_axis_tdata[{first.width - 1}:0];",
            "  assign s_axis_tready = input__ready && aresetn;",
            *body,
            f"  assign m_axis_tvalid = {before}valid;",
            f"  assign {before}ready = m_axis_tready;",
            f"  assign m_axis_tdata = {data};",
            f"  logic [{beat - 1}:0] beat;",
            f"  assign m_axis_tlast = 32'(beat) == {last.beats - 1};",
            "  always_ff @(posedge clk)",
            "    if (rst) beat <= '0;",
            "    else if (m_axis_tvalid && m_axis_tready) beat <= m_axis_tlast ? '0 : beat + 1'b1;",
            "endmodule",
            "",
        ]
    )


def _instance(stage: StreamStage, before: str) -> list[str]:
    """Return the wires behind a stage, and the stage between them and those before."""
    name, library = f"{stage.name}__", stage.module.startswith("nn_")
    given = ", ".join(f".{key}({value})" for key, value in stage.parameters.items()) if library else ""
    parameters = f" #({given})" if given else ""
    ports = f".clk, .rst, .in_valid({before}valid), .in_ready({before}ready), .in_data({before}data), "
    ports += f".out_valid({name}valid), .out_ready({name}ready), .out_data({name}data)"
    found = [f"  wire {name}valid, {name}ready;", f"  wire [{stage.out.width - 1}:0] {name}data;"]
    if stage.rom and library:
        width = int(stage.parameters["ROW_WIDTH"])
        found += [
            f"  wire {name}advance;",
            f"  wire [{width - 1}:0] {name}row;",
            f"  wire [{stage.rom.width - 1}:0] {name}weights;",
            f"  {stage.name}__rom {name}rom (.clk, .enable({name}advance), .row({name}row), .weights({name}weights));",
        ]
        ports += f", .advance({name}advance), .row({name}row), .weights({name}weights)"
    return [*found, f"  {stage.module}{parameters} {name}stage ({ports});"]
