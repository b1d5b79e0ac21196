"""C simulation: compile the generated C++ with g++ and run images through it, on all cores.

    program = build(project, log=...)                 compiled once, cached by the digest of what went in
    logits  = simulate(program, codes)                output codes (images, *shape)
    logits, layers = simulate(program, codes, trace=True)          and those of every layer, or of the layers named

Codes go in and come out raw, so nothing is rounded on the way. Workers are processes, each with a share of the
images: generated io_stream code keeps line buffers in static variables, and threads would mix them up. Each writes
its own file; the file's size is its progress and, after a crash, says at which image.

The project's own fixed-point types mark the function that every assignment ends in as `volatile`, so that each
intermediate value goes through memory. An optimized build uses a copy of them without that (`lean_types`): the same
arithmetic, five to ten times the speed. The project itself stays as it is.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpgaml.backend.top_function import read_top
from fpgaml.errors import ToolFailed
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import Codes, code_type
from fpgaml.ir.network import Network
from fpgaml.target.process import find_tool, run_tool, start, stop
from fpgaml.target.template import fill
from fpgaml.whole import clear_unfinished, own_place

HARNESS = Path(__file__).with_name("csim.cpp.in")
FLAGS = ("-std=gnu++17", "-w")
# From how many images a core on does the longer compilation of the next level pay? Measured: docs/decisions.md.
O1_PAYS = 20
O2_PAYS_DENSE = 10_000
O2_PAYS_STREAM = 1200  # convolutions in io_stream: -O2 saves a third of each image's time
O2_PAYS_UNROLLED = 40_000  # io_parallel unrolls every window: thousands of lines, and -O2 takes 15 s longer
CONVOLUTION = re.compile(r"nnet::\w*conv_")
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Program:
    """A compiled C simulation: where it is, the project's weights it needs, and what it prints."""

    path: Path
    firmware: Path
    network: Network
    traced: tuple[tuple[str, int], ...]  # layer and number of values, in the order written
    in_code: np.dtype[np.integer]


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def build(network: Network, project: Path, *, log: Path, images: int = 1000, options: tuple[str, ...] = ()) -> Program:
    """Compile the project that `convert` wrote for `network`; reuse an earlier build of the very same sources.

    `images` is how many it is for: more of them repay a slower, better optimizing compilation. options: more of the
    compiler's, such as a precompiled header.

    Raises: ToolNotFound without g++; ToolFailed with the last lines of its log; FormatError for a foreign project.
    """
    project = project.resolve()  # compiler and workers run elsewhere
    compiler = find_tool("g++", "for C simulation; install it with your system's compiler package (build-essential)")
    source, traced, in_code = harness(network, project)
    flags = (*FLAGS, optimization(project, images), *options)
    key = _digest(project, source, flags, compiler)
    folder = cache_folder() / key
    path = folder / "csim"
    if not _intact(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        clear_unfinished(folder.parent)
        with own_place(folder.parent) as own:
            part = own / key
            part.mkdir()
            _compile(compiler, flags, project, source, part, log)
            try:
                part.rename(folder)
            except OSError:
                if not _intact(folder):  # another run built the same at the same time: that one serves
                    raise
    else:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"compiled before: {path}\n", encoding="utf-8")
    return Program(path, project / "firmware", network, traced, in_code)


def optimization(project: Path, images: int) -> str:
    """Return the g++ level that makes compile and simulate together shortest for this design and number of images."""
    share = images / cores()
    if share <= O1_PAYS:
        return "-O0"
    code = "".join(path.read_text(encoding="utf-8") for path in (project / "firmware").glob("*.cpp"))
    if not CONVOLUTION.search(code):
        limit = O2_PAYS_DENSE
    else:
        limit = O2_PAYS_STREAM if "hls::stream<" in code else O2_PAYS_UNROLLED
    return "-O1" if share <= limit else "-O2"


def lean_types(types: Path, folder: Path) -> Path:
    """Copy the fixed-point types of a project to `folder` and give their mask a form that is not volatile.

    `clearUnusedBits` alone is `volatile`, so the compiler must store and load every value that passes it. The copy
    declares it twice: C++ then takes the plain one for plain objects. Nothing else is changed.
    Source: hls4ml 1.3, ``ap_types/etc/ap_private.h``, twice (up to 64 bits, and beyond).
    """
    shutil.copytree(types, folder)
    path = folder / "etc" / "ap_private.h"
    text = path.read_text(encoding="utf-8")
    path.write_text(VOLATILE_MASK.sub(lambda m: m[0].replace(" volatile", "", 1) + m[0], text), encoding="utf-8")
    return folder


VOLATILE_MASK = re.compile(r"^  INLINE void clearUnusedBits\(void\) volatile\n.*?^  }\n", re.MULTILINE | re.DOTALL)


def cache_folder() -> Path:
    """Return where compiled simulations are kept: $FPGAML_CACHE, or fpgaml in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("FPGAML_CACHE") or Path(base) / "fpgaml") / "csim"


def simulate(
    program: Program,
    codes: NDArray[np.integer],
    *,
    trace: bool | Collection[str] = False,
    progress: Progress | None = None,
) -> tuple[Codes, dict[str, Codes]]:
    """Return output codes (images, *output shape) and those of every layer that the C++ computes, or of some.

    trace: True for all layers, or their names; a layer of more than 53 bits is left out.
    Raises: ToolFailed if a worker dies, naming the image it died at; the other workers finish first.
    """
    count = len(codes)
    workers = max(1, min(cores(), count))
    with tempfile.TemporaryDirectory(prefix="fpgaml-csim-") as name:
        work = Path(name)
        np.ascontiguousarray(codes, program.in_code).tofile(work / "input")
        edges = [count * n // workers for n in range(workers + 1)]
        shares = [(a, b - a, work / f"out{n}", work / f"trace{n}") for n, (a, b) in enumerate(pairwise(edges))]
        traced = [(n, size) for n, size in program.traced if trace is True or (trace and n in trace)]
        _run_workers(program, work / "input", shares, [n for n, _ in traced], progress)
        shape = program.network.shapes[program.network.output.name]
        output = np.concatenate([np.fromfile(out, np.int64) for _, _, out, _ in shares]).reshape(count, *shape)
        layers = _read_traces(program, shares, traced) if traced else {}
    return output, layers


Share = tuple[int, int, Path, Path]


def _run_workers(
    program: Program, images: Path, shares: list[Share], traced: list[str], progress: Progress | None
) -> None:
    size = 8 * int(np.prod(program.network.shapes[program.network.output.name]))
    processes = []
    try:
        for first, count, out, layers in shares:
            args: list[str | Path] = [program.path, images, str(first), str(count), out]
            args += [layers, *traced] if traced else []
            processes.append(start(args, cwd=program.firmware, stdout=subprocess.DEVNULL))
        while any(process.poll() is None for process in processes):
            time.sleep(0.02)
            if progress:
                progress(sum(_done(out, size) for _, _, out, _ in shares))
    finally:
        for process in processes:
            stop(process)
    broken = [
        f"images {first} to {first + count - 1} stopped at {first + _done(out, size)} (exit code {process.returncode})"
        for process, (first, count, out, _) in zip(processes, shares, strict=True)
        if process.returncode
    ]
    if broken:
        raise ToolFailed(f"C simulation of {program.network.name!r} died: {'; '.join(broken)}")
    if progress:
        progress(sum(count for _, count, _, _ in shares))


def _done(out: Path, size: int) -> int:
    return out.stat().st_size // size if out.exists() else 0


def _read_traces(program: Program, shares: list[Share], traced: list[tuple[str, int]]) -> dict[str, Codes]:
    types = tensor_types(program.network)
    values = np.concatenate([np.fromfile(path, np.float64) for *_, path in shares])
    table = values.reshape(-1, sum(size for _, size in traced))
    found, at = {}, 0
    for name, size in traced:
        if name in types and types[name].width <= 53:  # traced as double, which holds no more exactly
            scaled = np.ldexp(table[:, at : at + size], types[name].fraction)
            found[name] = scaled.astype(np.int64).reshape(len(table), *program.network.shapes[name])
        at += size
    return found


def harness(network: Network, project: Path) -> tuple[str, tuple[tuple[str, int], ...], np.dtype[np.integer]]:
    """Return a project's C++ main program, its traced layers with their sizes, and the type of its input codes."""
    top = read_top(network, project)
    traced = tuple((name, prod(network.shapes[name])) for name in top.layers)
    in_code = code_type(network.input.type)
    text = top.text | {
        "in_code": f"{in_code.name}_t",
        "traced": ", ".join(f'{{"{name}", {size}}}' for name, size in traced),
    }
    return fill(HARNESS, text), traced, in_code


def _compile(compiler: str, flags: tuple[str, ...], project: Path, source: str, folder: Path, log: Path) -> None:
    (folder / "main.cpp").write_text(source, encoding="utf-8")
    types = project / "firmware" / "ap_types"
    with tempfile.TemporaryDirectory(dir=folder) as name:
        if "-O0" not in flags:
            types = lean_types(types, Path(name) / "ap_types")
        include = [f"-I{project}", f"-I{types}", '-DWEIGHTS_DIR="weights"']
        run_tool([compiler, *flags, *include, folder / "main.cpp", "-o", folder / "csim"], cwd=folder, log=log)
    (folder / "sha256").write_text(_sha(folder / "csim"), encoding="utf-8")


def _intact(folder: Path) -> bool:
    """Return whether a cached build is complete and unchanged."""
    mark, path = folder / "sha256", folder / "csim"
    return mark.is_file() and path.is_file() and mark.read_text(encoding="utf-8") == _sha(path)


def _digest(project: Path, source: str, flags: tuple[str, ...], compiler: str) -> str:
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout
    sha = hashlib.sha256("\n".join([source, *flags, version]).encode())
    firmware = project / "firmware"
    for path in sorted(firmware.rglob("*")):
        if path.suffix in (".h", ".cpp", ".hpp"):
            sha.update(str(path.relative_to(firmware)).encode() + path.read_bytes())
    return sha.hexdigest()[:32]


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
