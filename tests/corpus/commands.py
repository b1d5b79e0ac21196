"""Every command on every model of the corpus: python -m tests.corpus.commands FOLDER [PART OF A NAME...]

Prints a line a model: each command's exit code and seconds. A model that is refused ends at convert, with code 2.
"""

import contextlib
import io
import sys
import time
import traceback
from pathlib import Path

import numpy as np

from fpgaml.cli import app
from tests.corpus.test_corpus import ARCHIVES, FILES, answers


def call(*words):
    """Run the command line; return its exit code, seconds, and what it printed."""
    sys.argv, text, start, code = ["fpgaml", *map(str, words)], io.StringIO(), time.time(), 0
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            app.main()
        except SystemExit as stopped:
            code = stopped.code or 0
        except BaseException:  # noqa: BLE001 - a traceback is what is looked for
            traceback.print_exc()
            code = "TRACEBACK"
    return code, time.time() - start, text.getvalue()


def commands(path, folder, name):
    """Yield (command, exit code, seconds, text) for one model."""
    codes = folder / f"{name}.npy"
    np.save(codes, answers(path)[0].astype(np.uint8))
    line = ["--data", codes]
    if path.suffix == ".json":
        line += ["--weights", path.with_suffix(".weights.h5")]
    yield "audit", *call("audit", path, "--no-simulate", *line)
    found = call("convert", path, *line, "-o", folder, "--name", name)
    yield "convert", *found
    made = folder / name
    for words in (
        ("profile", made), ("estimate", made), ("fit", made, "--board", "pynq-z2"),
        ("export", made, "-o", folder / f"{name}.zip"), ("board", made, "--board", "pynq-z2"),
    ) if found[0] == 0 else ():  # fmt: skip
        yield words[0], *call(*words)


def main(folder, wanted):
    for stack, archive in ARCHIVES.items():
        archive.extractall(folder / "models" / stack)
    for name in FILES:
        if wanted and not any(part in name for part in wanted):
            continue
        clean = name.replace("/", "_").replace(".", "_")
        found = list(commands(folder / "models" / name, folder, clean))
        shown = " ".join(f"{command} {code} ({seconds:.1f} s)" for command, code, seconds, _ in found)
        sys.stdout.write(f"{name}: {shown}\n")
        for _, code, _, text in found:
            if code not in (0, 1):
                sys.stdout.write(f"    {text.strip().splitlines()[-1][:300]}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    place = Path(sys.argv[1]).resolve()
    place.mkdir(parents=True, exist_ok=True)
    main(place, sys.argv[2:])
