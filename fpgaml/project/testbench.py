"""A test bench that can fail: the generated C++ against golden vectors, bit for bit, in every tool.

    write_testbench(network, project, codes)      <name>_test.cpp and tb_data/ in the project, in place of hls4ml's
    run_testbench(project, name, log=...)         compile it with g++, run it; BitMismatch if one bit is wrong

The golden vectors are input codes and the emulator's codes for the logits and for each layer, as text that a person
can read. The C++ finds them relative to its own source file, so csim, cosim and g++ run the very same check.

hls4ml keeps every weight twice: ``weights/*.txt``, read in C simulation, and ``weights/*.h``, read by synthesis only.
A difference in the second would first show on the board; `WeightFiles.HEADER` runs the test bench with those.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpgaml.backend.csim import cache_folder
from fpgaml.backend.top_function import read_top
from fpgaml.errors import BitMismatch, DataError, FormatError, ToolFailed
from fpgaml.exact.emulate import trace
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import Codes
from fpgaml.ir.network import Network
from fpgaml.target.process import find_tool, run_tool
from fpgaml.target.template import fill
from fpgaml.whole import made_whole

TEMPLATE = Path(__file__).parent / "templates" / "testbench.cpp.in"
GOLDEN = Path(__file__).parent / "templates" / "golden.h.in"
FLAGS = ("-std=gnu++11", "-O1", "-w")


class WeightFiles(StrEnum):
    """Which of hls4ml's two copies of the weights a compiled test bench reads."""

    TEXT = "text"  # weights/*.txt: what C simulation reads
    HEADER = "header"  # weights/*.h: what synthesis reads


def write_testbench(
    network: Network, project: Path, codes: NDArray[np.integer], traced: Mapping[str, Codes] | None = None
) -> None:
    """Write test bench and golden vectors for input `codes` (images, *input shape) into a generated project.

    `traced`: what the emulator makes of them, layer by layer, if that is known already.

    Raises: DataError without images or if they do not fit; FormatError if `project` is of another network.
    """
    if not len(codes):
        raise DataError("a test bench must have at least one image")
    top = read_top(network, project)
    tensors = traced or trace(network, codes, [*dict.fromkeys([*top.layers, network.output.name])])
    data = project / "tb_data"
    data.mkdir(exist_ok=True)
    for old in data.iterdir():
        old.unlink()
    write_codes(data / "input.dat", np.asarray(codes))
    write_codes(data / "logits.dat", tensors[network.output.name])
    for name in top.layers:
        write_codes(data / f"layer_{name}.dat", tensors[name])
    text = top.text | {"layers": _layer_table(network, top.layers)}
    (project / f"{network.name}_test.cpp").write_text(fill(TEMPLATE, text), encoding="utf-8")
    (project / "golden.h").write_text(GOLDEN.read_text(encoding="utf-8"), encoding="utf-8")


def write_codes(path: Path, codes: NDArray[np.integer]) -> None:
    """Write codes (images, ...) as text: a line that says what follows, one line an image, ``end``."""
    flat = codes.reshape(len(codes), -1)
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write(f"fpgaml {path.stem} {flat.shape[0]} {flat.shape[1]}\n")
        file.writelines(" ".join(map(str, row)) + "\n" for row in flat.tolist())
        file.write("end\n")


def run_testbench(
    project: Path,
    name: str,
    *,
    log: Path,
    trace: bool = False,
    weights: WeightFiles = WeightFiles.TEXT,
    timeout_s: float | None = None,
) -> str:
    """Compile a project's test bench with g++ and run it; return its last line (``PASS: ...``).

    `name` is the network's. Only headers of the project are used. `trace` compares each layer too.
    Raises: BitMismatch with the first difference; DataError for missing or cut data; ToolFailed if it does not compile.
    """
    project = project.resolve()
    source = project / f"{name}_test.cpp"
    if not source.is_file():
        raise FormatError(f"{project} has no test bench {source.name}; write it with `write_testbench`")
    flags = ["-I.", *(["-DFPGAML_TRACE"] if trace else [])]
    program = compile_program(project, [source.name, f"firmware/{name}.cpp"], flags, log)
    if weights is WeightFiles.TEXT:
        return run_verdict(program, project, log, timeout_s)
    with tempfile.TemporaryDirectory(prefix="fpgaml-header-") as folder:
        weights_of_headers(project, Path(folder))
        return run_verdict(program, Path(folder), log, timeout_s)


def weights_of_headers(project: Path, folder: Path) -> None:
    """Write the weights of a project's headers as text into ``<folder>/firmware/weights``, its golden vectors beside.

    A program that runs in `folder` finds there what synthesis would build in. Raises: FormatError without weights.
    """
    target = folder / "firmware" / "weights"
    target.mkdir(parents=True)
    for header in sorted((project / "firmware" / "weights").glob("*.h")):
        found = re.search(r"= \{(.*)\};", header.read_text(encoding="utf-8"), re.DOTALL)
        if not found:
            raise FormatError(f"{header} has no weights between '= {{' and '}};'")
        (target / f"{header.stem}.txt").write_text(found[1].replace("\n", ""), encoding="utf-8")
    (folder / "tb_data").symlink_to(project / "tb_data")


def compile_program(project: Path, sources: list[str], flags: list[str], log: Path) -> Path:
    """Compile `sources` of a project (paths relative to it) with g++; objects of the very same files are reused.

    Run the program in the project's folder: weights and data are found relative to it.
    Raises: ToolNotFound without g++; ToolFailed with the last lines of its log.
    """
    compiler = find_tool("g++", "to compile the test bench; install your system's compiler package (build-essential)")
    command = [compiler, *FLAGS, *flags, "-Ifirmware/ap_types", '-DWEIGHTS_DIR="firmware/weights"']
    objects = [_compile(project, source, command, log) for source in sources]
    key = hashlib.sha256("".join(path.name for path in objects).encode()).hexdigest()[:32]
    program = objects[0].with_name(key)
    if not program.is_file():
        _make(program, [compiler, *objects], project, log)
    return program


def _compile(project: Path, source: str, command: list[str], log: Path) -> Path:
    """Compile one source into the cache, unless the same source with the same headers is there."""
    headers = [*project.glob("*.h"), *(project / "firmware").rglob("*.h"), *(project / "firmware").glob("*.cpp")]
    headers += (project / source).parent.rglob("*.h")
    sha = hashlib.sha256("\n".join([*command, source]).encode())
    for path in sorted({project / source, *headers}):
        sha.update(path.relative_to(project).as_posix().encode() + path.read_bytes())
    made = cache_folder().with_name("testbench") / f"{sha.hexdigest()[:32]}.o"
    if not made.is_file():
        _make(made, [*command, "-c", source], project, log)
    return made


def _make(made: Path, command: list[str | Path], project: Path, log: Path) -> None:
    """Run a compiler whose output is complete when it appears under its name."""
    made.parent.mkdir(parents=True, exist_ok=True)
    with made_whole(made) as part:
        run_tool([*command, "-o", part], cwd=project, log=log)


def run_verdict(
    program: Path, folder: Path, log: Path, timeout_s: float | None = None, args: tuple[str, ...] = ()
) -> str:
    """Run a compiled test bench in `folder` and return its last verdict line (``PASS: ...``).

    Raises: BitMismatch or DataError with its ``FAIL:`` lines; ToolFailed if it dies or gives no verdict.
    """
    try:
        run_tool([program, *args], cwd=folder, log=log, timeout_s=timeout_s)
    except ToolFailed as error:
        verdict = [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("FAIL:")]
        if not verdict:
            raise
        kind = BitMismatch if "exit code 1;" in str(error) else DataError
        raise kind(f"test bench in {folder}: " + "; ".join(v[6:] for v in verdict)) from error
    passed = [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("PASS:")]
    if not passed:
        raise ToolFailed(f"the test bench in {folder} ended without a verdict; log: {log}")
    return passed[-1]


def _layer_table(network: Network, names: Sequence[str]) -> str:
    types, shapes = tensor_types(network), network.shapes
    rows = [f'{{"{n}", {prod(shapes[n])}, {shapes[n][-1]}, {types[n].fraction}}}' for n in names]
    return ", ".join(rows)
