"""A package for one board: Vivado block design and bitstream scripts, address map, PYNQ driver, bare-metal program.

    write_board(network, design, board, folder, raw, data_width=32)

`folder` is ``<run>/board/<board>``. `raw` are test rows as the data set has them, and how they become codes: driver and
C program encode them as training did, so that their self-check begins where a user's own rows do. The driver is
driver.py, with a ``network.json`` that says encoding, classes and wire format; the C program has them as constants.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpgaml.datasets import encoding
from fpgaml.datasets.encoding import Encoding
from fpgaml.datasets.raw import RawRows
from fpgaml.errors import ConfigError, DataError
from fpgaml.exact import emulate
from fpgaml.ir.fixed import Array
from fpgaml.ir.network import Network
from fpgaml.project import driver
from fpgaml.project.axi import ports
from fpgaml.project.driver import OVERFLOWS, ROUND, Port, Settings
from fpgaml.quoting import c_string, code, markdown
from fpgaml.target.boards import Board, Part
from fpgaml.target.design import Design
from fpgaml.target.measurement import Measurement, Metric
from fpgaml.target.template import fill

HERE = Path(__file__).parent / "templates"
GOLDEN_ROWS = 10  # in the C program; the PYNQ package has all
DRIVER_IMPORT = "from fpgaml.datasets.encoding import"  # on the board, encoding.py lies beside driver.py


@dataclass(frozen=True)
class Kit:
    """What Vivado must know of a board: pattern of its board files, connections to a carrier, processor family."""

    family: str  # zynq or zynqmp
    board_parts: str
    connections: str = ""

    @property
    def bases(self) -> tuple[str, str]:
        """Addresses of DMA and network: in reach of M_AXI_GP0 (UG585, table 4-1) or M_AXI_HPM0_FPD (UG1085, 10-1)."""
        return ("0x40400000", "0x43C00000") if self.family == "zynq" else ("0xA0000000", "0xA0010000")


KITS = {
    "pynq-z1": Kit("zynq", "*:pynq-z1:part0:*"),
    "pynq-z2": Kit("zynq", "*:pynq-z2:part0:*"),
    "zedboard": Kit("zynq", "*:zed*:part0:*"),
    "ultra96-v2": Kit("zynqmp", "*:ultra96v2:part0:*"),
    "aup-zu3": Kit("zynqmp", "*:aup-zu3*:part0:*"),
    "kv260": Kit("zynqmp", "*:kv260_som:part0:*", "som240_1_connector xilinx.com:kv260_carrier:som240_1_connector:1.3"),
}


def write_board(
    network: Network,
    design: Design,
    board: Board,
    folder: Path,
    raw: RawRows,
    *,
    data_width: int = 32,
    c_rows: int = GOLDEN_ROWS,
    estimate: Mapping[Metric, Measurement] | None = None,
) -> list[str]:
    """Write the package of `board` into `folder`; return warnings, e.g. that the network will not fit.

    `raw`: golden rows, of which the C program gets the first `c_rows`.
    Raises: ConfigError for a board without a processor and DMA, another part than the design's, or a bad data width;
    DataError if there are no golden rows, or they do not become codes of the network's input.
    """
    kit = kit_of(board)
    if design.part != board.part_number:
        raise ConfigError(
            f"the design is for part {design.part}, but board {board.name!r} has {board.part_number}: set design.board"
        )
    x, y = ports(network, data_width)
    if x.rounding not in ROUND or x.overflow not in OVERFLOWS:
        raise ConfigError(f"the driver cannot round {x.rounding} and limit {x.overflow}: use RND_CONV and SAT")
    golden = _golden(network, raw)
    settings = Settings(
        name=network.name,
        digest=network.digest,
        input=x,
        output=y,
        encoding=raw.encoding,
        classes=_class_names(raw, y),
        bitstream=f"{network.name}.bit",
        dma="axi_dma_0",
        ip="network_0",
    )
    warnings = misfits(estimate or {}, board.part)
    text = _text(network, design, board, kit, x, y) | {"warning": "".join(f"**{line}**\n\n" for line in warnings)}
    text |= {
        "how": _in_words(raw.encoding),
        "classes": ", ".join(map(markdown, settings.classes)),
        "rows": f"{len(raw.rows):,}",
    }
    for name in ("pynq", "bare_metal"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, template in FILES.items():
        (folder / name).write_text(fill(HERE / template, text), encoding="utf-8")
    _write_pynq(settings, folder / "pynq", raw, golden)
    _write_headers(settings, folder / "bare_metal", kit, raw, golden, c_rows)
    return warnings


class Golden(NamedTuple):
    """What the golden rows must become: codes (rows, values), outputs (rows, outputs)."""

    codes: NDArray[np.int64]
    outputs: NDArray[np.int64]


def _golden(network: Network, raw: RawRows) -> Golden:
    """Return what raw rows must become. Raises: DataError if they are none, or no codes of the network's input."""
    if not len(raw.rows):
        raise DataError("a board package must have at least one golden row")
    own, kind = raw.encoding, network.input.type
    if own.count != prod(network.input.dims):
        raise DataError(f"raw rows have {own.count} values, but network {network.name!r} takes {network.input.dims}")
    if (own.low, own.high, own.fraction) != (kind.low, kind.high, kind.fraction):
        raise DataError(
            f"raw rows become codes {own.low} to {own.high} with {own.fraction} fraction bits, but network "
            f"{network.name!r} takes codes of {kind}"
        )
    codes = raw.codes(len(raw.rows)).reshape(len(raw.rows), *network.input.dims)
    outputs = emulate.run(network, codes)
    return Golden(codes.reshape(len(codes), -1), np.asarray(outputs.reshape(len(outputs), -1), np.int64))


def _class_names(raw: RawRows, y: Port) -> tuple[str, ...]:
    """Return a name for each class that the outputs tell apart: a number where the data have no name for it."""
    return raw.classes + tuple(str(n) for n in range(len(raw.classes), max(2, y.count)))


FILES = {
    "settings.tcl": "board_settings.tcl.in",
    "block_design.tcl": "block_design.tcl.in",
    "bitstream.tcl": "bitstream.tcl.in",
    "README.md": "board_readme.md.in",
    "address_map.md": "address_map.md.in",
    "bare_metal/main.c": "bare_metal.c.in",
}


def kit_of(board: Board) -> Kit:
    """Return what Vivado must know of a board. Raises: ConfigError if it has no processor that could feed a DMA."""
    if board.name not in KITS:
        raise ConfigError(
            f"board {board.name!r} has no package: its FPGA has no processor with DMA, or nobody wrote one; "
            f"boards with one are {', '.join(KITS)}"
        )
    return KITS[board.name]


def misfits(estimate: Mapping[Metric, Measurement], part: Part) -> list[str]:
    """Return a sentence for each resource of which an estimate needs more than a part has."""
    has = {
        Metric.LUT: part.lut,
        Metric.FF: part.ff,
        Metric.DSP: part.dsp,
        Metric.BRAM18: part.bram18,
        Metric.URAM: part.uram,
    }
    found = []
    for metric, total in has.items():
        if metric not in estimate:
            continue
        needed = estimate[metric].value
        if needed.median > total:
            found.append(
                f"the network will not fit: it needs {estimate[metric]} of {total:,} that {part.device} has "
                f"({needed.median / max(total, 1):.0%})"
            )
        elif needed.high > total:
            found.append(f"the network may not fit: it needs {estimate[metric]} of {total:,} that {part.device} has")
    return found


def _text(network: Network, design: Design, board: Board, kit: Kit, x: Port, y: Port) -> dict[str, str]:
    dma, ip = kit.bases
    text = {
        "top": network.name,
        "title": board.title,
        "family": kit.family,
        "part": design.part,
        "board_parts": kit.board_parts,
        "connections": kit.connections,
        "clock_mhz": f"{1000 / design.clock_ns:g}",
        "data_width": str(x.data_width),
        "dma_base": dma,
        "ip_base": ip,
        "hls": design.backend.toolchain.command,
        "n_in": str(x.count),
        "n_out": str(y.count),
    }
    for end, port in (("in", x), ("out", y)):
        text |= {f"{end}_{key}": str(getattr(port, key)) for key in ("width", "fraction", "lane", "lanes", "beats")}
        text[f"{end}_signed"] = "yes" if port.signed else "no"
    return text


def _write_pynq(settings: Settings, folder: Path, raw: RawRows, golden: Golden) -> None:
    (folder / "network.json").write_text(json.dumps(asdict(settings), indent=1) + "\n", encoding="utf-8")
    text = Path(driver.__file__).read_text(encoding="utf-8")
    (folder / "driver.py").write_text(text.replace(DRIVER_IMPORT, "from encoding import"), encoding="utf-8")
    shutil.copyfile(encoding.__file__, folder / "encoding.py")
    names = np.array(settings.classes)
    np.savez_compressed(
        folder / "golden.npz",
        rows=raw.rows,
        columns=np.array(raw.encoding.names, np.str_),
        labels=names[raw.labels] if len(raw.labels) else np.array([], np.str_),
        codes=golden.codes.astype(settings.input.dtype),
        outputs=golden.outputs.astype(settings.output.dtype),
        classes=settings.names(settings.classify(golden.outputs)),
    )


# --- the C program --------------------------------------------------------------------------------------------------


def _write_headers(settings: Settings, folder: Path, kit: Kit, raw: RawRows, golden: Golden, count: int) -> None:
    """Write the constants, the encoding, and the first `count` golden rows with what they must become."""
    x, y = settings.input, settings.output
    dma, ip = kit.bases
    lines = [
        "/* Addresses, wire format and classes of the network: see address_map.md. */",
        "#ifndef NETWORK_H_",
        "#define NETWORK_H_",
        "#include <stdint.h>",
        f"#define DMA_BASE {dma}u",
        f"#define IP_BASE {ip}u",
        f"#define N_IN {x.count}",
        f"#define N_OUT {y.count}",
        f"#define IN_WORDS {x.beats * x.lanes} /* lanes a row, those that fill its last beat among them */",
        f"#define OUT_WORDS {y.beats * y.lanes}",
        f"typedef {_c_type(x)} in_lane_t;",
        f"typedef {_c_type(y)} out_lane_t;",
        f"#define CLASS_NAMES {_strings(settings.classes)}",
        "#endif",
    ]
    (folder / "network.h").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "encode.h").write_text(encode_header(raw.encoding), encoding="utf-8")
    rows = raw.rows[:count].reshape(-1, x.count)
    classes = settings.names(settings.classify(golden.outputs[:count]))
    labels = np.array(settings.classes)[raw.labels[:count]] if len(raw.labels) else [""] * len(rows)
    values = "\n".join(_strings([name]) + "," for name in raw.encoding.names)
    lines = [
        "/* Raw golden rows, the codes and outputs that they must become, packed as on the wire, and their classes. */",
        '#include "encode.h"',
        '#include "network.h"',
        f"#define GOLDEN_ROWS {len(rows)}",
        f"#define LABELLED {int(len(raw.labels) > 0)}",
        f"static const char *const golden_columns[] = {{{values}0}};",
        _c_table("raw_t", "golden_rows", "N_IN", _numbers(rows, raw.encoding)),
        _c_table("in_lane_t", "golden_codes", "IN_WORDS", x.pack(golden.codes[:count]).tolist()),
        _c_table("out_lane_t", "golden_outputs", "OUT_WORDS", y.pack(golden.outputs[:count]).tolist()),
        f"static const char *const golden_classes[GOLDEN_ROWS] = {{{_strings(classes)}}};",
        f"static const char *const golden_labels[GOLDEN_ROWS] = {{{_strings(labels)}}};",
    ]
    (folder / "golden_rows.h").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _c_type(port: Port) -> str:
    return f"{'' if port.signed else 'u'}int{port.lane}_t"


def encode_header(own: Encoding) -> str:
    """Return the C of an encoding; its numbers are hexadecimal floats, which lose nothing."""
    raw = {"pixels": "uint8_t", "codes": "int64_t"}.get(own.kind, "double")
    text = {
        "KIND": own.kind.upper(),
        "raw": raw,
        "low": str(own.low),
        "high": str(own.high),
        "largest": encoding.LARGEST.hex(),
        "smallest": encoding.SMALLEST.hex(),
        "offset": ", ".join(value.hex() for value in own.offset) or "0",
        "scale": ", ".join(value.hex() for value in own.scale) or "0",
        "pixels": ", ".join(map(str, own.pixels)) or "0",
        "names": "".join(_strings([name]) + ", " for name in own.names),
    }
    return fill(HERE / "encode.h.in", text)


def _numbers(rows: Array, own: Encoding) -> list[list[str]]:
    """Return raw rows as C numbers of the encoding's raw type."""
    if own.kind in ("pixels", "codes"):
        whole: Any = (rows if own.kind == "pixels" else own.codes(rows)).reshape(rows.shape).tolist()
        return [list(map(str, row)) for row in whole]
    return [[float(value).hex() for value in row] for row in rows.tolist()]


def _strings(texts: Iterable[str]) -> str:
    """Return C string literals with commas between."""
    return ", ".join(c_string(str(text)) for text in texts)


def _c_table(kind: str, name: str, words: str, rows: Any) -> str:
    body = ",\n".join("    {" + ", ".join(map(str, row)) + "}" for row in rows)
    return f"static const {kind} {name}[GOLDEN_ROWS][{words}] = {{\n{body}}};"


def _in_words(own: Encoding) -> str:
    """Say what a raw row is."""
    values = f"{', '.join(map(code, own.names))}, in this order or by name" if own.names else f"of shape {own.shape}"
    return {
        "pixels": f"uint8 pixels, {values}",
        "codes": f"codes of the input type, or real values on its grid, {values}",
        "none": f"numbers as they are in the data set, exact on its grid: {values}",
    }.get(own.kind, f"numbers as they are in the data set: {values}; normalized by {own.kind}")
