"""Run a network on a Zynq board from Python: raw rows to codes, codes over DMA, outputs back, checked on golden rows.

On the board, in the folder of the package:

    from driver import Accelerator
    network = Accelerator.load(".")          # loads the bitstream
    print(network.self_check())              # raw golden rows through encoding and FPGA, bit for bit; accuracy
    network.classify(rows)                   # raw rows, as in the data set -> class of each; name(rows): its name
    network.throughput(rows)                 # rows a second, DMA included

On the wire there are raw codes and nothing else. A code is the stored integer of a fixed-point number, value =
code * 2**-fraction. Each code has a *lane* of 8, 16, 32 or 64 bits, the smallest that holds it, sign-extended; a *beat*
of the AXI4-Stream carries data_width / lane of them, the first in the lowest bits. An image begins with a new beat,
and the rest of its last beat is zero. So a buffer in memory is a numpy array (images, beats * lanes) of the lane's
integer type.

This file is copied into board packages, with encoding.py beside it; it needs numpy, and `pynq` only to touch the FPGA.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpgaml.datasets.encoding import Encoding

Rows: TypeAlias = "ArrayLike | Mapping[str, ArrayLike]"  # an array (rows, ...), or a table's columns by name
LANES = (8, 16, 32, 64)
DATA_WIDTHS = (8, 16, 32, 64)  # of an AXI4-Stream into AXI DMA that this package makes
MAX_TRANSFER_BYTES = (1 << 26) - 1  # the AXI DMA is built with a length register of 26 bits
CONTROL = 0x00  # offset of the control register: bit 0 start, bit 7 start again by itself
RUN_FOREVER = 0x81


@dataclass(frozen=True)
class Port:
    """One direction of the wire: how many codes an image, what a code is, and how wide the stream is (bits)."""

    count: int
    width: int
    fraction: int
    signed: bool
    rounding: str
    overflow: str
    data_width: int

    def __post_init__(self) -> None:
        if self.data_width not in DATA_WIDTHS:
            raise ValueError(
                f"the data width must be one of {', '.join(map(str, DATA_WIDTHS))} bits: {self.data_width}"
            )
        if self.lane > self.data_width:
            raise ValueError(
                f"a code of {self.width} bits has a lane of {self.lane}, which a data width of {self.data_width} bits "
                f"does not hold; use {' or '.join(str(w) for w in DATA_WIDTHS if w >= self.lane)}"
            )

    @property
    def lane(self) -> int:
        """Bits from one code to the next."""
        return next(lane for lane in LANES if lane >= self.width)

    @property
    def lanes(self) -> int:
        """Codes a beat."""
        return self.data_width // self.lane

    @property
    def beats(self) -> int:
        """Beats an image."""
        return -(-self.count // self.lanes)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type of a lane, its lowest byte first."""
        return np.dtype(f"<{'i' if self.signed else 'u'}{self.lane // 8}")

    @property
    def low(self) -> int:
        """Smallest code."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest code."""
        return (1 << (self.width - self.signed)) - 1

    def pack(self, codes: ArrayLike) -> NDArray[Any]:
        """Return the buffer (images, beats * lanes) for codes (images, ...). Raises: ValueError if they do not fit."""
        array = np.asarray(codes)
        flat = array.reshape(len(array), -1)
        if flat.shape[1] != self.count:
            raise ValueError(f"an image must have {self.count} codes, not {flat.shape[1]}")
        if flat.size and not (flat.min() >= self.low and flat.max() <= self.high):
            raise ValueError(f"codes must be {self.low} to {self.high}, not {flat.min()} to {flat.max()}")
        buffer = np.zeros((len(flat), self.beats * self.lanes), self.dtype)
        buffer[:, : self.count] = flat
        return buffer

    def unpack(self, buffer: ArrayLike) -> NDArray[np.int64]:
        """Return the codes (images, count) that are in a buffer."""
        array = np.asarray(buffer)
        return array.reshape(len(array), -1)[:, : self.count].astype(np.int64)

    def encode(self, values: ArrayLike) -> NDArray[np.int64]:
        """Return the codes of real values: scaled, rounded and limited as the type says."""
        scaled = np.ldexp(np.asarray(values, np.float64), self.fraction)
        codes: NDArray[np.int64] = ROUND[self.rounding](scaled).astype(np.int64)
        wrapped = ((codes - self.low) & ((1 << self.width) - 1)) + self.low
        return np.clip(codes, self.low, self.high) if self.overflow == "SAT" else wrapped

    def decode(self, codes: ArrayLike) -> NDArray[np.float64]:
        """Return the real values of codes."""
        return np.ldexp(np.asarray(codes).astype(np.float64), -self.fraction)


def _round_half_up(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    floor = np.floor(scaled)
    return np.asarray(floor + (scaled - floor >= 0.5), np.float64)  # s + 1/2 would not always be exact


ROUND: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "TRN": np.floor,
    "TRN_ZERO": np.trunc,
    "RND": _round_half_up,
    "RND_CONV": np.rint,
}
OVERFLOWS = ("SAT", "WRAP")


@dataclass(frozen=True)
class Settings:
    """What ``network.json`` says. classes: the name of each class."""

    name: str
    digest: str
    input: Port
    output: Port
    encoding: Encoding
    classes: tuple[str, ...]
    bitstream: str
    dma: str
    ip: str

    @classmethod
    def read(cls, folder: Path) -> Settings:
        """Read ``network.json`` in `folder`."""
        found = json.loads((folder / "network.json").read_text(encoding="utf-8"))
        ports = {key: Port(**found[key]) for key in ("input", "output")}
        encoding = Encoding.of_record(found["encoding"])
        return cls(**found | ports | {"encoding": encoding, "classes": tuple(found["classes"])})

    def classify(self, outputs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the class of each row of output codes: the first of the largest, or above 0 if there is one output."""
        return np.asarray((outputs[:, 0] > 0) if outputs.shape[1] == 1 else outputs.argmax(axis=1), np.int64)

    def names(self, classes: NDArray[np.int64]) -> NDArray[np.str_]:
        """Return the name of each class."""
        return np.array(self.classes)[classes]


class Check(NamedTuple):
    """What `self_check` found: how many rows, and how many of them got their label; None without labels."""

    rows: int
    right: int | None

    def __str__(self) -> str:
        accuracy = (
            "" if self.right is None else f"; {self.right / self.rows:.2%} of the classes are those of the labels"
        )
        return f"PASS: {self.rows:,} raw rows, every code, output and class as expected{accuracy}"


class Accelerator:
    """The network in the FPGA. Buffers are allocated once and used again; the IP restarts by itself."""

    def __init__(self, settings: Settings, overlay: Any, allocate: Any, folder: Path, batch: int = 1000) -> None:
        self.settings, self.folder = settings, folder
        self.dma = getattr(overlay, settings.dma)
        self.ip = getattr(overlay, settings.ip)
        image_bytes = max(port.beats * port.data_width // 8 for port in (settings.input, settings.output))
        self.batch = max(1, min(batch, MAX_TRANSFER_BYTES // image_bytes))
        self._send = _buffer(allocate, self.batch, settings.input)
        self._receive = _buffer(allocate, self.batch, settings.output)
        self.ip.write(CONTROL, RUN_FOREVER)

    @classmethod
    def load(cls, folder: str | Path) -> Accelerator:
        """Program the FPGA with the bitstream in `folder` and return its accelerator."""
        from pynq import Overlay, allocate  # on the board only

        path = Path(folder).resolve()
        settings = Settings.read(path)
        return cls(settings, Overlay(str(path / settings.bitstream)), allocate, path)

    def run(self, codes: ArrayLike) -> NDArray[np.int64]:
        """Return logits codes (images, classes) for input codes (images, ...), batch by batch."""
        array = np.asarray(codes)
        found = np.empty((len(array), self.settings.output.count), np.int64)
        for first in range(0, len(array), self.batch):
            part = array[first : first + self.batch]
            self._send[: len(part)] = self.settings.input.pack(part)
            self._transfer(len(part))
            found[first : first + len(part)] = self.settings.output.unpack(self._receive[: len(part)])
        return found

    def classify(self, rows: Rows) -> NDArray[np.int64]:
        """Return the class of each raw row: the index of its largest output, or whether the only one is above 0."""
        return self.settings.classify(self.run(self.settings.encoding.codes(rows)))

    def name(self, rows: Rows) -> NDArray[np.str_]:
        """Return the name of the class of each raw row."""
        return self.settings.names(self.classify(rows))

    def self_check(self) -> Check:
        """Encode and run the raw golden rows; return how many they are, and how many got their label.

        Raises: RuntimeError at a code, output or class that is not the expected one.
        """
        with np.load(self.folder / "golden.npz") as golden:
            rows: Rows = golden["rows"]
            if golden["columns"].size:
                rows = dict(zip(golden["columns"].tolist(), golden["rows"].T, strict=True))
            codes = self.settings.encoding.codes(rows)
            self._compare("input codes", codes.reshape(len(codes), -1), golden["codes"])
            outputs = self.run(codes)
            self._compare("output codes", outputs, golden["outputs"])
            names = self.settings.names(self.settings.classify(outputs))
            self._compare("classes", names[:, np.newaxis], golden["classes"][:, np.newaxis])
            right = int((names == golden["labels"]).sum()) if golden["labels"].size else None
        return Check(len(names), right)

    def _compare(self, what: str, found: NDArray[Any], golden: NDArray[Any]) -> None:
        wrong = np.argwhere(found != golden)
        if len(wrong):
            row, at = (int(n) for n in wrong[0])
            raise RuntimeError(
                f"{self.settings.name}: {len(wrong)} of {golden.size} {what} are wrong; the first, row {row}, number "
                f"{at}, is {found[row, at]} instead of {golden[row, at]}"
            )

    def throughput(self, rows: Rows, repeats: int = 10) -> float:
        """Return rows a second through the FPGA, DMA included, encoding and packing not; at most one batch of rows."""
        codes = self.settings.encoding.codes(rows)[: self.batch]
        self._send[: len(codes)] = self.settings.input.pack(codes)
        begin = time.perf_counter()
        for _ in range(repeats):
            self._transfer(len(codes))
        return repeats * len(codes) / (time.perf_counter() - begin)

    def close(self) -> None:
        """Give the buffers back."""
        self._send.freebuffer()
        self._receive.freebuffer()

    def _transfer(self, images: int) -> None:
        """Send and receive the first `images` rows of the buffers; one TLAST at the end of all."""
        self.dma.recvchannel.transfer(self._receive[:images])  # first: the FPGA may answer at once
        self.dma.sendchannel.transfer(self._send[:images])
        self.dma.sendchannel.wait()
        self.dma.recvchannel.wait()


def _buffer(allocate: Any, images: int, port: Port) -> Any:
    return allocate(shape=(images, port.beats * port.lanes), dtype=port.dtype)
