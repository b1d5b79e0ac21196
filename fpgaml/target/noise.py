"""What TensorFlow prints goes into a log, never onto a user's terminal."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def keras_noise(log: Path) -> Iterator[None]:
    """Send what TensorFlow's C++ code prints to file descriptor 2, and Python warnings, into the log."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    saved = os.dup(2)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 2)
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
