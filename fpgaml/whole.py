"""Files and folders that are seen whole or not at all: made beside their place, then renamed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

MARK = ".part-"
STALE_S = 3600.0  # nothing here takes an hour to make


@contextmanager
def made_whole(path: Path) -> Iterator[Path]:
    """Give a place, of the same name as `path`, at which to make a file or folder; it then takes `path`'s place.

    If making it fails or is interrupted, what was at `path` stays. The place is in a new folder of its own, so two
    that make the same at the same time do not meet: the later one stays.
    """
    with TemporaryDirectory(dir=path.parent, prefix=MARK) as own:
        part = Path(own) / path.name
        yield part
        if part.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        part.replace(path)


def is_unfinished(path: Path) -> bool:
    """Return whether `path` is where something is being made, or was when its process was killed."""
    return path.name.startswith(MARK)


def clear_unfinished(folder: Path) -> None:
    """Remove what killed processes left half made in `folder`, but not what another one may be making now."""
    for part in filter(is_unfinished, folder.iterdir()):
        if time.time() - part.stat().st_mtime > STALE_S:
            shutil.rmtree(part, ignore_errors=True)
