"""Execute a project's C++ on variables instead of codes: what each layer computes, for every input at once.

    run = explore(network, project, log=...)      a SymbolicRun, for exact/prove.py to judge

The project is compiled as it is, but against the number types in ``symbolic/``: there a number is an affine form of
variables with its exact interval, and whatever is not affine is written down as the operation it is. Its top function
is run on two images of variables, one after the other, so that what one image leaves in line buffers would show in the
next. Both copies of the weights count: C simulation's ``.txt`` are run, and synthesis' ``.h`` must hold the same.
"""

from __future__ import annotations

import hashlib
import platform
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path

import numpy as np

from fpgaml.backend.csim import cache_folder
from fpgaml.backend.top_function import TopFunction, read_top
from fpgaml.errors import ToolFailed, ToolNotFound
from fpgaml.exact.forms import Cut, Forms, Obstacle, Op, Operation, SymbolicRun
from fpgaml.ir.accumulate import intervals
from fpgaml.ir.network import Network
from fpgaml.target.process import find_tool, run_tool
from fpgaml.target.template import fill

SYMBOLIC = Path(__file__).with_name("symbolic")
RUNTIME = ("value.cpp", "execute.cpp")
IMAGES = 2
TIME_LIMIT_S = 900.0
# One place in memory has one type, frames can be walked, addresses are those of the file, and nothing is bound late.
FLAGS = (
    "-std=gnu++17", "-w", "-g1", "-fno-omit-frame-pointer", "-fno-stack-protector", "-fstack-reuse=none",
    "-fno-ira-share-spill-slots", "-fno-ira-share-save-slots", "-no-pie",
)  # fmt: skip
COPY = re.compile(r"^(\w+) (\w+)\[\d+\]", re.MULTILINE)


def explore(network: Network, project: Path, *, log: Path, options: tuple[str, ...] = ()) -> SymbolicRun:
    """Compile `project` for symbols and run it once. options: more of the compiler's.

    Raises: ToolNotFound without g++, addr2line or on another processor than x86-64; ToolFailed if it does not compile
    or does not end; FormatError if it is not the project of `network`.
    """
    project = project.resolve()
    compiler = find_tool(
        "g++", "to run C++ on symbols; install it with your system's compiler package (build-essential)"
    )
    lines = find_tool("addr2line", "to name places in the C++; install binutils")
    if platform.machine() not in ("x86_64", "AMD64"):
        raise ToolNotFound(f"a proof runs C++ on symbols, which is written for x86-64, not {platform.machine()}")
    top = read_top(network, project)
    with tempfile.TemporaryDirectory(prefix="fpgaml-prove-") as name:
        folder = Path(name)
        (folder / "main.cpp").write_text(_source(top, project), encoding="utf-8")
        _compile(compiler, project, folder, log, options)
        run_tool([folder / "prove", folder], cwd=project / "firmware", log=log.with_suffix(".run.log"),
                 timeout_s=TIME_LIMIT_S)  # fmt: skip
        return _read(folder, top, project, lines)


def _source(top: TopFunction, project: Path) -> str:
    """Return the C++ main program around a project's top function."""
    copies = _copies(project)
    text = top.text | {
        "images": str(IMAGES),
        "input": _layer(top.network, top.network.input.name),
        "layers": ",\n".join(_layer(top.network, name) for name in top.layers),
        "headers": "\n".join(
            f'typedef double {kind};\n#undef {name.upper()}_H_\n#include "firmware/weights/{name}.h"'
            for name, kind in copies.items()
        ),
        "copies": "\n".join(f'    check_copies("{name}", {name}, headers::{name});' for name in copies),
    }
    return fill(SYMBOLIC / "prove.cpp.in", text)


def _layer(network: Network, name: str) -> str:
    """Return a layer's entry in the C++ table: name, size, grid and interval."""
    own = intervals(network)[name]
    return f'{{"{name}", {prod(network.shapes[name])}, {own.fraction}, {own.low}LL, {own.high}LL}}'


def _copies(project: Path) -> dict[str, str]:
    """Return the weight arrays that have a copy for synthesis, with their types."""
    found = {}
    parameters = (project / "firmware" / "parameters.h").read_text(encoding="utf-8")
    for name in re.findall(r'^#include "weights/(\w+)\.h"$', parameters, re.MULTILINE):
        with (project / "firmware" / "weights" / f"{name}.h").open(encoding="utf-8") as file:
            declared = COPY.search(file.read(4000))
        if declared:
            found[declared[2]] = declared[1]
    return found


def _compile(compiler: str, project: Path, folder: Path, log: Path, options: tuple[str, ...]) -> None:
    types = folder / "types"
    types.mkdir()
    for name in ("ap_shift_reg.h",):  # the project's own; the others are stood in for
        (types / name).write_bytes((project / "firmware" / "ap_types" / name).read_bytes())
    include = [f"-I{SYMBOLIC}", f"-I{types}", f"-I{project}", '-DWEIGHTS_DIR="weights"']
    flags = (*FLAGS, "-O1", *options, "-Wl,-z,now")
    sources = (folder / "main.cpp", *runtime(compiler, log))
    run_tool([compiler, *flags, *include, *sources, "-o", folder / "prove"], cwd=folder, log=log)


def runtime(compiler: str, log: Path) -> list[Path]:
    """Return the object files of the symbolic types' own code, compiled once for a version of them and of g++."""
    sha = hashlib.sha256((compiler_version(compiler) + "\n" + "\n".join(FLAGS)).encode())
    for path in sorted(SYMBOLIC.rglob("*")):
        if path.is_file():
            sha.update(path.read_bytes())
    folder = cache_folder().with_name("symbolic") / sha.hexdigest()[:32]
    objects = [folder / Path(name).with_suffix(".o") for name in RUNTIME]
    if not all(path.is_file() for path in objects):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            for source, path in zip(RUNTIME, objects, strict=True):
                made = Path(name) / path.name
                run_tool([compiler, *FLAGS, "-O2", "-c", SYMBOLIC / source, "-o", made], cwd=folder, log=log)
                made.replace(path)
    return objects


def compiler_version(compiler: str) -> str:
    """Return the first line of a compiler's version."""
    done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[0] if done.stdout else compiler


# --- reading what it wrote -------------------------------------------------------------------------------------------


def _read(folder: Path, top: TopFunction, project: Path, lines: str) -> SymbolicRun:
    if not (folder / "record.txt").is_file():
        raise ToolFailed(f"the C++ of {top.network.name!r} on symbols left no record")
    rows = [line.split("\t") for line in (folder / "record.txt").read_text(encoding="utf-8").splitlines()]
    cuts = tuple(Cut(r[1], *map(int, r[2:])) for r in rows if r[0] == "record")
    table = np.fromfile(folder / "atoms.i64", np.int64).reshape(-1, 11).tolist()
    asked = {int(r[2]) for r in rows if r[0] == "finding"} | {row[2] for row in table}
    addresses = {int(r[1]): r[2:] for r in rows if r[0] == "site" and int(r[1]) in asked}
    places = _places(addresses, folder / "prove", project, lines)
    users = _users(project, top)
    obstacles = tuple(
        Obstacle(_owner(r[1], cuts, top, users), r[3], places.get(int(r[2]), "")) for r in rows if r[0] == "finding"
    )
    forms = Forms(
        np.fromfile(folder / "starts.i64", np.int64),
        np.fromfile(folder / "offsets.i64", np.int64),
        np.fromfile(folder / "fractions.i32", np.int32).astype(np.int64),
        np.fromfile(folder / "columns.i32", np.int32).astype(np.int64),
        np.fromfile(folder / "coefficients.i64", np.int64),
    )
    counts = {r[1]: int(r[2]) for r in rows if r[0] == "count"}
    operations = {row[0]: _operation(row, places) for row in table}
    return SymbolicRun(forms, operations, cuts, obstacles, counts, IMAGES)


def _operation(row: list[int], places: dict[int, str]) -> Operation:
    _, op, site, *parameters, fraction, operand, outcome = row
    operands = 1 if op in (Op.CAST, Op.SWITCH) else 2
    outcomes = range(outcome, outcome + parameters[1]) if op == Op.SWITCH else ()
    return Operation(
        Op(op),
        tuple(parameters),
        fraction,
        tuple(range(operand, operand + operands)),
        tuple(outcomes),
        places.get(site, ""),
    )


def _owner(name: str, cuts: tuple[Cut, ...], top: TopFunction, users: dict[str, str]) -> str:
    """Return the layer of an obstacle: "*" before a weight array, "+" for the layer after the last that came."""
    if name.startswith("*"):
        return users.get(name[1:], "")
    if name != "+":
        return name
    order = [top.network.input.name, *top.layers, ""]
    last = order.index(cuts[-1].layer) if cuts else -1
    return order[(last + 1) % len(order)]


def _users(project: Path, top: TopFunction) -> dict[str, str]:
    """Return which layer each weight array belongs to."""
    text = (project / "firmware" / f"{top.network.name}.cpp").read_text(encoding="utf-8")
    calls = re.findall(r"nnet::\w+<.*>\((.*)\); // (\w+)$", text, re.MULTILINE)
    return {value.strip(): layer for values, layer in calls for value in values.split(",")}


def _places(addresses: dict[int, list[str]], program: Path, project: Path, lines: str) -> dict[int, str]:
    """Return file and line in the project's own C++ for each remembered chain of calls; "" where there is none."""
    wanted = sorted({a for chain in addresses.values() for a in chain})
    if not wanted:
        return {}
    before = [hex(int(a, 16) - 1) for a in wanted]  # a return address is behind its call
    done = subprocess.run(
        [lines, "-a", "-i", "-e", program], input="\n".join(before), capture_output=True, text=True, check=False
    )
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        if line.startswith("0x"):
            found[hex(int(line, 16) + 1)] = own = []
        else:
            own.append(line.split(" (")[0])
    firmware = str(project / "firmware") + "/"
    return {
        site: next(_own_lines(firmware, (line for a in chain for line in found.get(hex(int(a, 16)), []))), "")
        for site, chain in addresses.items()
    }


def _own_lines(firmware: str, lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if line.startswith(firmware):
            yield line.removeprefix(firmware)
