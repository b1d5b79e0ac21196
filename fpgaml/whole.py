"""Files and folders that are seen whole or not at all: made beside their place, then renamed."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

MARK = ".part-"
HELD = ".held"  # locked by the process that makes something; the system frees it when that process ends
STALE_S = 3600.0  # nothing here takes an hour to make, where there are no locks


@contextmanager
def made_whole(path: Path) -> Iterator[Path]:
    """Give a place, of the same name as `path`, at which to make a file or folder; it then takes `path`'s place.

    If making it fails or is interrupted, what was at `path` stays. The place is in a new folder of its own, so two
    that make the same at the same time do not meet: the later one stays.
    """
    with own_place(path.parent) as own:
        part = own / path.name
        yield part
        if part.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        part.replace(path)


@contextmanager
def own_place(folder: Path) -> Iterator[Path]:
    """Give a new folder in `folder`, gone in the end; `clear_unfinished` knows by HELD if its process was killed."""
    with TemporaryDirectory(dir=folder, prefix=MARK) as own, (Path(own) / HELD).open("w") as file:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Path(own)


def is_unfinished(path: Path) -> bool:
    """Return whether `path` is where something is being made, or was when its process was killed."""
    return path.name.startswith(MARK)


def clear_unfinished(folder: Path) -> None:
    """Remove what killed processes left half made in `folder`, but not what another one may be making now."""
    for part in filter(is_unfinished, folder.iterdir()):
        with suppress(OSError):  # another process clears it, too
            if _is_dead(part):
                shutil.rmtree(part, ignore_errors=True)


def _is_dead(part: Path) -> bool:
    """Return whether the process that made something at `part` is gone: its lock is free, or it is long ago."""
    try:
        with (part / HELD).open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except OSError:
        return time.time() - part.stat().st_mtime > STALE_S
