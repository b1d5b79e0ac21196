"""One process at a time in a run's folder: a lock that the system frees when its holder ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EAGAIN
from pathlib import Path

from fpgaml.errors import ConfigError

LOCK = ".run.lock"  # in the folder; what it says is for people, that it is locked is what counts


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process; a file system without locks is trusted.

    Raises: ConfigError that says who holds it.
    """
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (EACCES, EAGAIN):
                raise ConfigError(
                    f"output folder {folder} is in use by {_holder(folder)}; wait until it ends"
                ) from error
        file.truncate(0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
        file.write(f"process {os.getpid()} since {since}: {command}\n")
        file.flush()
        yield
        file.truncate(0)


def _holder(folder: Path) -> str:
    """Return what the holder of a folder wrote of itself."""
    text = ""
    with suppress(OSError, UnicodeDecodeError):
        text = (folder / LOCK).read_text(encoding="utf-8").strip()
    return text or "another process"
