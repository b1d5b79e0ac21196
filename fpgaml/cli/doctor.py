"""The command `fpgaml doctor`: the versions the main job depends on, and the tools that would add something."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

import typer
from rich.table import Table

from fpgaml.cli.console import Commands, err, out, shown
from fpgaml.target.toolchain import TOOLCHAINS

PACKAGES = {
    "tensorflow": "trains; 2.21 is what the results were measured with",
    "keras": "the models' format",
    "qkeras": "quantization-aware training",
    "hls4ml": "writes the HLS C++",
    "numpy": "the emulator",
}
PROGRAMS = {
    "g++": (True, "C simulation", "install your system's C++ compiler (Debian, Ubuntu: apt install g++)"),
    "make": (True, "make run, make test", "install make (Debian, Ubuntu: apt install make)"),
    "vitis_hls": (False, "synthesis of Vitis projects: measured latency and resources, IP export (2024.1)", ""),
    "vivado_hls": (False, "synthesis of Vivado HLS projects (2018 to 2020.1)", ""),
    "vivado": (False, "logic synthesis, timing, bitstreams", ""),
    "yosys": (False, "open-source logic synthesis of exported Verilog", ""),
    "verilator": (False, "open-source simulation of exported Verilog", ""),
}
VERSION_FLAGS = {"vivado": "-version", "yosys": "-V"} | {
    program.name: program.version_flag for one in TOOLCHAINS.values() for program in one.programs
}


@dataclass(frozen=True)
class Requirement:
    """One thing looked for: its version or None, whether the main job needs it, what it adds, how to get it."""

    name: str
    version: str | None
    needed: bool
    adds: str
    remedy: str = ""

    @property
    def stops(self) -> bool:
        """Whether the main job cannot run because of this."""
        return self.needed and self.version is None


def doctor() -> None:
    """Show what this machine has, what is missing, and what each thing would add."""
    findings = examine()
    table = Table(box=None, pad_edge=False)
    for heading in ("", "name", "version", "for"):
        table.add_column(heading)
    for found in findings:
        mark = "[green]ok[/]" if found.version else ("[red]missing[/]" if found.needed else "[dim]not found[/]")
        table.add_row(mark, found.name, found.version or "", found.adds)
    out.print(table)
    stops = [found for found in findings if found.stops]
    for found in stops:
        err.print(f"[bold red]{found.name}:[/] {shown(found.remedy)}", soft_wrap=True)
    out.print("the main job can run" if not stops else "the main job cannot run")
    if stops:
        raise typer.Exit(1)


def examine() -> list[Requirement]:
    """Look for everything, in the order it is used."""
    return [_python(), *(_package(name, adds) for name, adds in PACKAGES.items()), *map(_program, PROGRAMS)]


def qkeras_owners() -> list[str]:
    """Return the distributions that own the import name ``qkeras``; more than one is trouble."""
    return sorted(set(importlib.metadata.packages_distributions().get("qkeras", [])))


def _python() -> Requirement:
    found = ".".join(map(str, sys.version_info[:3]))
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Requirement(
        "python", found if good else None, True, "everything", f"{found} is not 3.11 to 3.13; install one of these"
    )


def _package(name: str, adds: str) -> Requirement:
    owners = qkeras_owners() if name == "qkeras" else [name]
    if name == "qkeras" and owners != ["qkeras-v3"]:
        found = ", ".join(owners) or "nothing"
        remedy = f"{found} owns the name qkeras; pip uninstall it, then pip install qkeras-v3"
        return Requirement(name, None, True, adds, remedy)
    try:
        version = importlib.metadata.version(owners[0])
    except importlib.metadata.PackageNotFoundError:
        return Requirement(name, None, True, adds, "pip install . in the project's folder")
    return Requirement(name, f"{version} (from {owners[0]})" if owners[0] != name else version, True, adds)


def _program(name: str) -> Requirement:
    needed, adds, remedy = PROGRAMS[name]
    path = shutil.which(name)
    return Requirement(
        name, _version(path, VERSION_FLAGS.get(name, "--version")) if path else None, needed, adds, remedy
    )


def _version(path: str, flag: str) -> str:
    try:
        done = subprocess.run([path, flag], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "found, but does not answer"
    first = re.search(r"\d+\.\d+(?:\.\d+)?", done.stdout + done.stderr)
    return first[0] if first else "found"


COMMANDS = Commands("The main job", {"doctor": doctor})
