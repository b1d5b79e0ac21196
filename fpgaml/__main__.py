"""``python -m fpgaml``, and ``fpgaml``, is the command line."""

from __future__ import annotations

import atexit
import gc
import signal
from types import FrameType


def main() -> None:
    """Run the command line; garbage is collected rarely, from the first import on, and not at all at the end."""
    signal.signal(signal.SIGTERM, _terminate)
    gc.set_threshold(50_000, 20, 20)  # TensorFlow's import makes 400,000 objects: a quarter of its time went into gc
    atexit.register(gc.freeze)  # and another second at the end
    from fpgaml.cli import app

    app.main()


def _terminate(number: int, frame: FrameType | None) -> None:
    """End as after an interrupt: programs are stopped and temporary folders removed on the way out; exit code 143."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
