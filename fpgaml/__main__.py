"""``python -m fpgaml``, and ``fpgaml``, is the command line."""

from __future__ import annotations

import atexit
import gc


def main() -> None:
    """Run the command line; garbage is collected rarely, from the first import on, and not at all at the end."""
    gc.set_threshold(50_000, 20, 20)  # TensorFlow's import makes 400,000 objects: a quarter of its time went into gc
    atexit.register(gc.freeze)  # and another second at the end
    from fpgaml.cli import app

    app.main()


if __name__ == "__main__":
    main()
