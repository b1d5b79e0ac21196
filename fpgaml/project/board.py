"""A package for one board: Vivado block design and bitstream scripts, address map, PYNQ driver, bare-metal program.

    write_board(network, design, board, folder, codes, data_width=32)

`folder` is ``<run>/board/<board>``. The driver is driver.py as it is, with a ``network.json`` that says the wire
format, and golden vectors for its self-check. The C program carries some of the same vectors.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpgaml.errors import ConfigError, DataError
from fpgaml.exact import emulate
from fpgaml.ir.network import Network
from fpgaml.project import driver
from fpgaml.project.axi import ports
from fpgaml.project.driver import OVERFLOWS, ROUND, Features, Port, Settings
from fpgaml.target.boards import Board, Part
from fpgaml.target.design import Design
from fpgaml.target.measurement import Measurement, Metric
from fpgaml.target.template import fill

HERE = Path(__file__).parent / "templates"
GOLDEN_IMAGES = 10  # in the C program; the PYNQ package has all


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
    codes: NDArray[np.integer],
    *,
    data_width: int = 32,
    pixel_codes: Sequence[int] = (),
    features: Features | None = None,
    estimate: Mapping[Metric, Measurement] | None = None,
) -> list[str]:
    """Write the package of `board` into `folder`; return warnings, e.g. that the network will not fit.

    `codes`: golden input images. `pixel_codes`: the code of each pixel 0 to 255, if the images are pixels;
    `features`: how rows of a table become codes, if they are that.
    Raises: ConfigError for a board without a processor and DMA, another part than the design's, or a bad data width.
    """
    kit = kit_of(board)
    if design.part != board.part_number:
        raise ConfigError(
            f"the design is for part {design.part}, but board {board.name!r} has {board.part_number}: set design.board"
        )
    x, y = ports(network, data_width)
    check_pixel_codes(pixel_codes, x)
    if x.rounding not in ROUND or x.overflow not in OVERFLOWS:
        raise ConfigError(f"the driver cannot round {x.rounding} and limit {x.overflow}: use RND_CONV and SAT")
    if not len(codes):
        raise DataError("a board package must have at least one golden image")
    logits = emulate.run(network, codes)
    warnings = misfits(estimate or {}, board.part)
    text = _text(network, design, board, kit, x, y) | {"warning": "".join(f"**{line}**\n\n" for line in warnings)}
    for name in ("pynq", "bare_metal"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, template in FILES.items():
        (folder / name).write_text(fill(HERE / template, text), encoding="utf-8")
    settings = Settings(
        network.name,
        network.digest,
        x,
        y,
        tuple(pixel_codes),
        f"{network.name}.bit",
        "axi_dma_0",
        "network_0",
        features,
    )
    _write_pynq(settings, folder / "pynq", codes, logits)
    _write_headers(folder / "bare_metal", kit, x, y, codes[:GOLDEN_IMAGES], logits[:GOLDEN_IMAGES])
    return warnings


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


def check_pixel_codes(pixel_codes: Sequence[int], x: Port) -> None:
    """Raise ConfigError unless there are no pixel codes, or 256 that are codes of the input."""
    if len(pixel_codes) not in (0, 256):
        raise ConfigError(f"pixel codes must be 256 or none, not {len(pixel_codes)}")
    if pixel_codes and not (x.low <= min(pixel_codes) and max(pixel_codes) <= x.high):
        raise ConfigError(f"pixel codes must be {x.low} to {x.high}, not {min(pixel_codes)} to {max(pixel_codes)}")


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


def _write_pynq(settings: Settings, folder: Path, codes: NDArray[np.integer], logits: NDArray[np.integer]) -> None:
    (folder / "network.json").write_text(json.dumps(asdict(settings), indent=1) + "\n", encoding="utf-8")
    shutil.copyfile(str(driver.__file__), folder / "driver.py")
    np.save(folder / "golden_input.npy", codes.reshape(len(codes), -1).astype(settings.input.dtype))
    np.save(folder / "golden_logits.npy", logits.reshape(len(logits), -1).astype(settings.output.dtype))


def _write_headers(
    folder: Path, kit: Kit, x: Port, y: Port, codes: NDArray[np.integer], logits: NDArray[np.integer]
) -> None:
    """Write the constants and the golden images, packed, as C."""
    dma, ip = kit.bases
    lines = [
        "/* Addresses and wire format of the network: see address_map.md. */",
        "#include <stdint.h>",
        f"#define DMA_BASE {dma}u",
        f"#define IP_BASE {ip}u",
        f"#define N_OUT {y.count}",
        f"#define IN_WORDS {x.beats * x.lanes} /* lanes an image, those that fill its last beat among them */",
        f"#define OUT_WORDS {y.beats * y.lanes}",
        f"typedef {x.dtype.name}_t in_lane_t;",
        f"typedef {y.dtype.name}_t out_lane_t;",
    ]
    (folder / "network.h").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lines = [
        "/* Golden images and their logits, as codes, packed as they go over the wire. */",
        '#include "network.h"',
        f"#define GOLDEN_IMAGES {len(codes)}",
        _array("in_lane_t", "golden_images", "IN_WORDS", x.pack(codes)),
        _array("out_lane_t", "golden_logits", "OUT_WORDS", y.pack(logits)),
    ]
    (folder / "golden_images.h").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _array(kind: str, name: str, words: str, rows: NDArray[np.integer]) -> str:
    body = ",\n".join("    {" + ", ".join(map(str, row)) + "}" for row in rows.tolist())
    return f"static const {kind} {name}[GOLDEN_IMAGES][{words}] = {{\n{body}}};"
