"""Programs end with the process that started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# A command line that runs a program which starts another one, and tells the numbers of both in its log.
PARENT = """
import signal, sys
from pathlib import Path
from fpgaml.__main__ import _terminate
from fpgaml.target.process import run_tool
from fpgaml.whole import own_place
signal.signal(signal.SIGTERM, _terminate)
place = Path(sys.argv[1])
with own_place(place):
    run_tool(["sh", "-c", "sleep 61 & echo $$ $! ; wait"], cwd=place, log=place / "log")
"""


def started(folder):
    """Return the process, and the numbers of the program that it runs and of the one that this runs."""
    process = subprocess.Popen([sys.executable, "-c", PARENT, str(folder)])
    end = time.monotonic() + 60
    lines = []
    while len(lines) < 2 and time.monotonic() < end:
        lines = (folder / "log").read_text().splitlines() if (folder / "log").exists() else []
        time.sleep(0.05)
    return process, [int(number) for number in lines[1].split()]


def lives(number):
    """Return whether a process runs; one that ended and is not yet waited for does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(number):
    end = time.monotonic() + 30
    while lives(number) and time.monotonic() < end:
        time.sleep(0.05)
    return not lives(number)


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prctl and /proc are Linux'")


def test_sigterm_stops_a_program_and_those_it_started(tmp_path):
    process, numbers = started(tmp_path)
    assert all(map(lives, numbers))
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert all(map(gone, numbers))
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_program_ends_with_a_killed_parent(tmp_path):
    process, (program, inner) = started(tmp_path)
    process.kill()
    process.wait(60)
    assert gone(program)
    os.kill(inner, signal.SIGKILL)  # only the group's first process is told by the system
