"""The one place that starts a program: a list of strings, never a shell, never another working directory than asked.

    run_tool(["g++", "-O1", "main.cpp"], cwd=folder, log=folder / "g++.log")

The log is always written. A program that is missing is `ToolNotFound`; one that fails is `ToolFailed`, with the
command, its exit code, the log's path and last lines. An interrupt stops the program before it is passed on, and a
program ends with the process that started it, however that ends (`start`).
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from fpgaml.errors import ToolFailed, ToolNotFound

LAST_LINES = 12
WATCH_S = 0.25
PR_SET_PDEATHSIG = 1
PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None  # found before a process is forked


def find_tool(name: str, wanted_for: str) -> str:
    """Return the path of program `name`. Raises: ToolNotFound, saying what it is `wanted_for`."""
    found = shutil.which(name)
    if not found:
        raise ToolNotFound(f"{name} was not found on PATH; it is needed {wanted_for}")
    return found


def run_tool(
    args: Sequence[str | Path],
    *,
    cwd: Path,
    log: Path,
    timeout_s: float | None = None,
    env: Mapping[str, str] | None = None,
    watch: Callable[[str], None] | None = None,
) -> None:
    """Run a program to its end, standard output and error into `log`.

    `env` adds to the environment. `watch` is called with the log's last line whenever there is a new one.
    Raises: ToolNotFound if the program is missing; ToolFailed if it exits with another code than 0 or runs too long.
    """
    command = [str(arg) for arg in args]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8", errors="replace") as file:
        file.write(f"$ {' '.join(command)}\n")
        file.flush()
        try:
            process = start(command, cwd=cwd, stdout=file, env=env)
        except FileNotFoundError as error:
            raise ToolNotFound(f"{command[0]} was not found") from error
        try:
            code = process.wait(timeout_s) if watch is None else _wait(process, timeout_s, log, watch)
        except subprocess.TimeoutExpired as error:
            stop(process)
            raise ToolFailed(
                f"{_short(command)} ran longer than {timeout_s:.0f} s and was stopped; log: {log}"
            ) from error
        except BaseException:  # Ctrl-C among them: leave no orphan behind
            stop(process)
            raise
    if code:
        raise ToolFailed(f"{_short(command)} failed with exit code {code}; log: {log}\n{last_lines(log)}")


def start(
    command: Sequence[str | Path], *, cwd: Path, stdout: IO[str] | int, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, which `stop` ends; it is killed if this process dies.

    Source: ``prctl(2)``, PR_SET_PDEATHSIG (Linux only, and for the program itself, not for those that it starts).
    """
    return subprocess.Popen(
        command,
        cwd=cwd,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env=None if env is None else {**os.environ, **env},
        preexec_fn=_die_with_parent if PRCTL else None,
    )


def _die_with_parent() -> None:
    assert PRCTL
    PRCTL(PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait(process: subprocess.Popen[bytes], timeout_s: float | None, log: Path, watch: Callable[[str], None]) -> int:
    """Wait for a program while its log is watched. Raises: subprocess.TimeoutExpired."""
    end = None if timeout_s is None else time.monotonic() + timeout_s
    shown = ""
    while True:
        try:
            return process.wait(WATCH_S if end is None else max(0.0, min(WATCH_S, end - time.monotonic())))
        except subprocess.TimeoutExpired:
            if end is not None and time.monotonic() >= end:
                raise
        finally:
            line = last_lines(log, 1).strip()
            if line != shown:
                watch(line)
                shown = line


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program and its children: ask, wait two seconds, insist."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        try:
            os.killpg(process.pid, sign)
            process.wait(2)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def last_lines(log: Path, count: int = LAST_LINES) -> str:
    """Return the last `count` lines of a log, indented."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
    return "\n".join(f"    {line}" for line in lines)


def _short(command: list[str]) -> str:
    return Path(command[0]).name + (f" {command[1]}" if len(command) > 1 and not command[1].startswith("/") else "")
